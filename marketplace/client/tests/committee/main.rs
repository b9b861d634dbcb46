//! Committee custody from the custodian's dealing to the buyer's result, in one
//! process: what is dealt to files is taken in by nodes' stores, checked, used to
//! open real ciphertexts, and unmasked (TKT, CST, OPN, DOC-13, DOC-14).

mod dealing;
mod hostile;
mod joint;
mod plans;
mod support;
