//! The vault (VLT): a person's secrets in one file under a passphrase: signing
//! keys, data keys and dealers' secrets, kept orders with the keys that open their
//! results, pinned marketplace keys.
//!
//! The browser keeps it in its own storage and gives it out as a backup; the
//! command line reads the same file. `format` is the file, `contents` what is in
//! it.

mod contents;
mod error;
mod format;

pub use contents::{CONTENTS_VERSION, Contents, DatasetEntry, OrderEntry, Secret, SigningEntry};
pub use error::VaultError;
pub use format::{Kdf, LEAST_PASSPHRASE, MAX_VAULT_BYTES, VAULT_VERSION, Vault};
