//! CSV to quantised tables: schema inference, segments, second moments, suppression, synthetic twin.
