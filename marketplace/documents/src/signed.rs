//! `Signed<T>`: what is signed over, by whom, and the digest others link to
//! (DOC-1, DOC-2).

use crate::{DocumentError, Key, SignatureText};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use veilbourse_core::digest::{Digest, Domain};

/// The version of every document.
pub const DOCUMENT_VERSION: u16 = 1;
/// Most bytes of a document other than a receipt.
pub const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// The body of a signed document.
pub trait Document: Serialize + DeserializeOwned {
    /// The type's name: under the signature, so no document passes for another.
    const TYPE: &'static str;
    /// The digest's domain, of the same name.
    const CONTEXT: &'static str;
    /// Most bytes.
    const LIMIT: usize = MAX_DOCUMENT_BYTES;

    /// The version field.
    fn version(&self) -> u16;
    /// The marketplace it is for.
    fn marketplace(&self) -> Digest;
    /// What the fields must satisfy by themselves.
    fn check(&self) -> Result<(), DocumentError> {
        Ok(())
    }
}

/// A document with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed<T> {
    /// What is said.
    pub body: T,
    /// Who says it.
    pub key: Key,
    /// Ed25519 over the type's name and the canonical body.
    pub signature: SignatureText,
}

/// The marketplace's id: the digest of its Ed25519 key (DOC-2).
pub fn marketplace_id(key: &Key) -> Digest {
    Digest::of(Domain::Other("veilbourse v1 marketplace"), &key.0)
}

fn canonical<T: Document>(body: &T) -> Result<Vec<u8>, DocumentError> {
    serde_json_canonicalizer::to_vec(body).map_err(|e| DocumentError::Json {
        document: T::TYPE,
        reason: e.to_string(),
    })
}

fn message<T: Document>(body: &T) -> Result<Vec<u8>, DocumentError> {
    let mut m = format!("veilbourse v1 {}\n", T::TYPE).into_bytes();
    m.extend(canonical(body)?);
    Ok(m)
}

impl<T: Document> Signed<T> {
    /// Signs a body.
    pub fn sign(body: T, key: &SigningKey) -> Result<Self, DocumentError> {
        body.check()?;
        let signature = key.sign(&message(&body)?);
        Ok(Self {
            key: Key(key.verifying_key().to_bytes()),
            signature: SignatureText(signature.to_bytes()),
            body,
        })
    }

    /// Checks version, fields and signature (DOC-1): strict verification, so
    /// neither a weak key nor a second signature of the same key passes.
    pub fn verify(&self) -> Result<(), DocumentError> {
        let found = self.body.version();
        if found != DOCUMENT_VERSION {
            return Err(DocumentError::Version {
                document: T::TYPE,
                expected: DOCUMENT_VERSION,
                found,
            });
        }
        self.body.check()?;
        let key = VerifyingKey::from_bytes(&self.key.0)
            .ok()
            .filter(|k| !k.is_weak())
            .ok_or(DocumentError::Key { document: T::TYPE })?;
        key.verify_strict(
            &message(&self.body)?,
            &Signature::from_bytes(&self.signature.0),
        )
        .map_err(|_| DocumentError::Signature { document: T::TYPE })
    }

    /// [`Self::verify`], and that it is of this marketplace (DOC-2).
    pub fn verify_for(&self, marketplace: &Digest) -> Result<(), DocumentError> {
        self.verify()?;
        let found = self.body.marketplace();
        if found != *marketplace {
            return Err(DocumentError::Marketplace {
                document: T::TYPE,
                expected: *marketplace,
                found,
            });
        }
        Ok(())
    }

    /// [`Self::verify_for`], and that this key signed.
    pub fn verify_by(&self, marketplace: &Digest, key: &Key) -> Result<(), DocumentError> {
        self.verify_for(marketplace)?;
        if self.key != *key {
            return Err(DocumentError::Signer {
                document: T::TYPE,
                expected: key.to_string(),
                found: self.key.to_string(),
            });
        }
        Ok(())
    }

    /// The digest that other documents link to: over the signer's key and the
    /// canonical body, so it names who said what.
    pub fn digest(&self) -> Result<Digest, DocumentError> {
        let mut bytes = self.key.0.to_vec();
        bytes.extend(canonical(&self.body)?);
        Ok(Digest::of(Domain::Other(T::CONTEXT), &bytes))
    }

    /// Reads a document: size, then shape, then version, fields, signature.
    /// The digest is over the value's canonical form, whatever the spacing.
    pub fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        if text.len() > T::LIMIT {
            return Err(DocumentError::TooLarge {
                document: T::TYPE,
                limit: T::LIMIT as u64,
                value: text.len() as u64,
            });
        }
        let signed: Self = serde_json::from_slice(text).map_err(|e| DocumentError::Json {
            document: T::TYPE,
            reason: e.to_string(),
        })?;
        signed.verify()?;
        Ok(signed)
    }

    /// The canonical JSON of the whole.
    pub fn text(&self) -> Result<String, DocumentError> {
        serde_json_canonicalizer::to_string(self).map_err(|e| DocumentError::Json {
            document: T::TYPE,
            reason: e.to_string(),
        })
    }
}
