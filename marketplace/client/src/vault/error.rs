//! Why a vault is not opened.

use thiserror::Error;

/// A refusal, one variant a rule.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum VaultError {
    /// More bytes than a vault may have (VLT-1).
    #[error("the vault has {value} bytes, the limit is {limit}")]
    TooLarge {
        /// The limit.
        limit: u64,
        /// Found.
        value: u64,
    },
    /// No vault's first bytes, or too few (VLT-1).
    #[error("this is no vault file")]
    NoVault,
    /// Another version (VLT-1).
    #[error("{field} is version {found}, this program reads {expected}")]
    Version {
        /// File or contents.
        field: &'static str,
        /// Read here.
        expected: u16,
        /// Found.
        found: u16,
    },
    /// Parameters of the derivation outside what is computed for a file (VLT-2).
    #[error("{field} is {value}, allowed is {least} to {limit}")]
    Parameter {
        /// Which.
        field: &'static str,
        /// Least.
        least: u32,
        /// Most.
        limit: u32,
        /// Found.
        value: u32,
    },
    /// Too short a passphrase for a new vault (VLT-3).
    #[error("the passphrase has {value} characters, at least {limit} are needed")]
    Passphrase {
        /// Fewest.
        limit: usize,
        /// Found.
        value: usize,
    },
    /// Wrong passphrase, or not one byte as it was sealed (VLT-4): told apart by
    /// nobody.
    #[error("the passphrase is wrong, or the file is damaged")]
    Refused,
    /// Authentic, and not what this program writes (VLT-5).
    #[error("the vault's contents: {reason}")]
    Contents {
        /// Why.
        reason: String,
    },
    /// Memory for the derivation (VLT-2).
    #[error("{memory_kib} KiB for the key's derivation are not to be had")]
    Memory {
        /// Asked for.
        memory_kib: u32,
    },
}
