//! Regression from second moments (TRN), without encryption: the opened sums
//! are the integer simulation's, which decrypted results equal exactly.

#![allow(clippy::print_stdout, clippy::needless_range_loop)] // figures for people; matrices

mod columns;
mod laws;
mod plain;
mod reference;
mod support;
