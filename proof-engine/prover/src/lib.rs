//! Marlin and FRI provers, structured reference strings, witness generation for the linear statement.
