//! The vault's file (VLT-1..4): header, wrapped key, sealed contents.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `veilbourse vault` |
//! | 2 | version 1 |
//! | 12 | Argon2id: memory in KiB, passes, lanes |
//! | 16 | salt |
//! | 24 | nonce of the wrapped key |
//! | 48 | the key of the contents, XChaCha20-Poly1305 under the passphrase's, AAD all before its nonce |
//! | 24 | nonce of the contents |
//! | rest | the contents as JSON, XChaCha20-Poly1305 under the key, AAD all before |
//!
//! Integers little-endian. The passphrase's key costs a second; the contents' key
//! lets every change be written without it.

use super::{Contents, VaultError};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Of the file.
pub const VAULT_VERSION: u16 = 1;
/// Most bytes of a vault: orders carry their dataset's manifest.
pub const MAX_VAULT_BYTES: u64 = 256 << 20;
/// Fewest characters of a new vault's passphrase.
pub const LEAST_PASSPHRASE: usize = 12;

const MAGIC: &[u8; 16] = b"veilbourse vault";
const SALT: usize = 16;
const NONCE: usize = 24;
const TAG: usize = 16;
const KEY: usize = 32;
const WRAPPED: usize = KEY + TAG;
/// Up to and with the salt: what the wrapped key is bound to.
const HEADER: usize = 16 + 2 + 12 + SALT;
/// What the contents are bound to.
const BOUND: usize = HEADER + NONCE + WRAPPED + NONCE;

/// Parameters of Argon2id (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kdf {
    /// Memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Kdf {
    /// What new vaults take (VLT-2): the second recommendation of RFC 9106, section
    /// 4, with one lane in place of four, because a page has one thread.
    pub const NEW: Self = Self {
        memory_kib: 64 << 10,
        passes: 3,
        lanes: 1,
    };

    /// VLT-2: a file names what it costs to open it, within these.
    fn check(self) -> Result<Self, VaultError> {
        for (field, value, least, limit) in [
            ("memory in KiB", self.memory_kib, 8 << 10, 256 << 10),
            ("passes", self.passes, 1, 16),
            ("lanes", self.lanes, 1, 4),
        ] {
            if !(least..=limit).contains(&value) {
                return Err(VaultError::Parameter {
                    field,
                    least,
                    limit,
                    value,
                });
            }
        }
        Ok(self)
    }

    fn derive(self, passphrase: &str, salt: &[u8]) -> Result<Zeroizing<[u8; KEY]>, VaultError> {
        let memory = VaultError::Memory {
            memory_kib: self.memory_kib,
        };
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY))
            .map_err(|_| memory.clone())?;
        let mut key = Zeroizing::new([0u8; KEY]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
            .map_err(|_| memory)?;
        Ok(key)
    }
}

/// An open vault.
pub struct Vault {
    /// What it holds.
    pub contents: Contents,
    header: [u8; HEADER],
    key_nonce: [u8; NONCE],
    wrapped: [u8; WRAPPED],
    key: Zeroizing<[u8; KEY]>,
    kdf: Kdf,
}

fn random<const L: usize>(rng: &mut impl CryptoRng) -> [u8; L] {
    let mut bytes = [0u8; L];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn parameters(header: &[u8; HEADER]) -> Kdf {
    let word = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|b| b.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    Kdf {
        memory_kib: word(18),
        passes: word(22),
        lanes: word(26),
    }
}

/// What a file says before its passphrase is known (VLT-1, VLT-2).
struct Parts<'a> {
    header: [u8; HEADER],
    kdf: Kdf,
    key_nonce: [u8; NONCE],
    wrapped: [u8; WRAPPED],
    nonce: [u8; NONCE],
    bound: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(file: &'a [u8]) -> Result<Self, VaultError> {
        if file.len() as u64 > MAX_VAULT_BYTES {
            return Err(VaultError::TooLarge {
                limit: MAX_VAULT_BYTES,
                value: file.len() as u64,
            });
        }
        let (bound, sealed) = file.split_at_checked(BOUND).ok_or(VaultError::NoVault)?;
        let mut rest = bound;
        let mut take = |n: usize| {
            let (first, last) = rest.split_at_checked(n).ok_or(VaultError::NoVault)?;
            rest = last;
            Ok::<_, VaultError>(first)
        };
        let fixed = |_| VaultError::NoVault;
        let header: [u8; HEADER] = take(HEADER)?.try_into().map_err(fixed)?;
        if !header.starts_with(MAGIC) || sealed.len() < TAG {
            return Err(VaultError::NoVault);
        }
        let version = header.get(16..18).and_then(|b| b.try_into().ok());
        let found = u16::from_le_bytes(version.unwrap_or_default());
        if found != VAULT_VERSION {
            return Err(VaultError::Version {
                field: "the vault",
                expected: VAULT_VERSION,
                found,
            });
        }
        Ok(Self {
            kdf: parameters(&header).check()?,
            header,
            key_nonce: take(NONCE)?.try_into().map_err(fixed)?,
            wrapped: take(WRAPPED)?.try_into().map_err(fixed)?,
            nonce: take(NONCE)?.try_into().map_err(fixed)?,
            bound,
            sealed,
        })
    }
}

impl Vault {
    /// A new one.
    pub fn create(
        passphrase: &str,
        contents: Contents,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, VaultError> {
        let key = Zeroizing::new(random(rng));
        Self::wrap(passphrase, Kdf::NEW, key, contents, rng)
    }

    fn wrap(
        passphrase: &str,
        kdf: Kdf,
        key: Zeroizing<[u8; KEY]>,
        contents: Contents,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, VaultError> {
        let value = passphrase.chars().count();
        if value < LEAST_PASSPHRASE {
            return Err(VaultError::Passphrase {
                limit: LEAST_PASSPHRASE,
                value,
            });
        }
        let salt: [u8; SALT] = random(rng);
        let mut text = MAGIC.to_vec();
        text.extend(VAULT_VERSION.to_le_bytes());
        for word in [kdf.memory_kib, kdf.passes, kdf.lanes] {
            text.extend(word.to_le_bytes());
        }
        text.extend(salt);
        let header: [u8; HEADER] = text.try_into().map_err(|_| VaultError::NoVault)?;
        let key_nonce: [u8; NONCE] = random(rng);
        let own = kdf.derive(passphrase, &salt)?;
        let wrapped = seal(&own, &key_nonce, &header, &*key)?;
        Ok(Self {
            contents,
            header,
            key_nonce,
            wrapped: wrapped.try_into().map_err(|_| VaultError::Refused)?,
            key,
            kdf,
        })
    }

    /// Opens a file (VLT-1..5). Whatever fails after the header's plain words is one
    /// refusal.
    pub fn open(file: &[u8], passphrase: &str) -> Result<Self, VaultError> {
        let p = Parts::read(file)?;
        let salt = p.header.get(HEADER - SALT..).unwrap_or_default();
        let own = p.kdf.derive(passphrase, salt)?;
        let key = unseal(&own, &p.key_nonce, &p.header, &p.wrapped)?;
        let key: Zeroizing<[u8; KEY]> =
            Zeroizing::new(key.as_slice().try_into().map_err(|_| VaultError::Refused)?);
        let text = unseal(&key, &p.nonce, p.bound, p.sealed)?;
        let contents: Contents =
            serde_json::from_slice(&text).map_err(|e| VaultError::Contents {
                reason: e.to_string(),
            })?;
        contents.check()?;
        Ok(Self {
            contents,
            header: p.header,
            key_nonce: p.key_nonce,
            wrapped: p.wrapped,
            key,
            kdf: p.kdf,
        })
    }

    /// The file, under a fresh nonce.
    pub fn seal(&self, rng: &mut impl CryptoRng) -> Result<Vec<u8>, VaultError> {
        let text = serde_json::to_vec(&self.contents).map_err(|e| VaultError::Contents {
            reason: e.to_string(),
        })?;
        let text = Zeroizing::new(text);
        let nonce: [u8; NONCE] = random(rng);
        let mut file = self.header.to_vec();
        file.extend(self.key_nonce);
        file.extend(self.wrapped);
        file.extend(nonce);
        let sealed = seal(&self.key, &nonce, &file, &text)?;
        file.extend(sealed);
        let value = file.len() as u64;
        if value > MAX_VAULT_BYTES {
            return Err(VaultError::TooLarge {
                limit: MAX_VAULT_BYTES,
                value,
            });
        }
        Ok(file)
    }

    /// Another passphrase, and with it another key of the contents: who holds an
    /// old file and its passphrase opens nothing written from now on (VLT-3).
    pub fn change_passphrase(
        &mut self,
        passphrase: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<(), VaultError> {
        let key = Zeroizing::new(random(rng));
        *self = Self::wrap(passphrase, Kdf::NEW, key, self.contents.clone(), rng)?;
        Ok(())
    }

    /// The parameters of its derivation.
    pub fn kdf(&self) -> Kdf {
        self.kdf
    }

    /// What a file's derivation takes, before its passphrase is known.
    pub fn kdf_of(file: &[u8]) -> Result<Kdf, VaultError> {
        Ok(Parts::read(file)?.kdf)
    }
}

fn seal(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    aad: &[u8],
    msg: &[u8],
) -> Result<Vec<u8>, VaultError> {
    XChaCha20Poly1305::new(key.into())
        .encrypt(nonce.into(), Payload { msg, aad })
        .map_err(|_| VaultError::Refused)
}

fn unseal(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    aad: &[u8],
    msg: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    XChaCha20Poly1305::new(key.into())
        .decrypt(nonce.into(), Payload { msg, aad })
        .map(Zeroizing::new)
        .map_err(|_| VaultError::Refused)
}

#[cfg(test)]
mod tests;
