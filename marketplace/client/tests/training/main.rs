//! Regression from second moments (TRN), without encryption: the opened sums
//! are the integer simulation's, which decrypted results equal exactly.

mod columns;
mod laws;
mod plain;
mod reference;
mod support;
