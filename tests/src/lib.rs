//! End-to-end, authorization, fault and architecture tests.
