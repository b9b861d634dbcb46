//! What a page calls (see `web-static/assets/core/core.d.ts`): the vault, drafts of
//! datasets, dealing, policies, queries, results, receipts.
//!
//! [`Core::call`] takes a method's name and its arguments as JSON and gives JSON,
//! files and, where the vault changed, its new bytes, which the page stores before
//! it looks at the answer. Nothing here knows a browser but `page`: what a page
//! lends (files, requests, randomness, time) comes through traits, so all of it runs
//! in native tests.

mod buyer;
mod calls;
mod core;
mod drafts;
mod error;
mod fit;
#[cfg(target_family = "wasm")]
mod page;
mod policy;
mod quotes;
mod results;
mod table;
mod twin;
mod vault;

pub use crate::core::{Core, Environment, File, Input, Reply};
pub use error::CoreError;
