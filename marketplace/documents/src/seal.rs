//! HPKE seals (DOC-6, DOC-10): base mode, X-Wing (ML-KEM-768 with X25519),
//! HKDF-SHA256, ChaCha20-Poly1305 (RFC 9180, draft-connolly-cfrg-xwing-kem).
//!
//! Wire form: the encapsulated key, then the AEAD ciphertext.

use crate::{DocumentError, Id, Key, Nonce};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::XWing, single_shot_open, single_shot_seal_with_rng,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::Writer,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of an X-Wing public key.
pub const SEALING_KEY_BYTES: usize = 1216;
/// Bytes of an X-Wing secret key (its seed).
pub const SEALING_SECRET_BYTES: usize = 32;
const ENCAPSULATED_BYTES: usize = 1120;
const MODEL_INFO: &[u8] = b"veilbourse v1 model";
const RESULT_INFO: &[u8] = b"veilbourse v1 result";
/// Most bytes of a sealed part.
const MAX_SEALED: usize = 64 << 20;

/// A secret key that seals are opened with. Erased when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SealingSecret([u8; SEALING_SECRET_BYTES]);

impl std::fmt::Debug for SealingSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingSecret(..)")
    }
}

impl SealingSecret {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = [0u8; SEALING_SECRET_BYTES];
        rng.fill_bytes(&mut seed);
        Self(seed)
    }
    /// From the bytes of a key file.
    pub fn from_bytes(bytes: [u8; SEALING_SECRET_BYTES]) -> Self {
        Self(bytes)
    }
    /// The bytes for a key file.
    pub fn as_bytes(&self) -> &[u8; SEALING_SECRET_BYTES] {
        &self.0
    }
    fn private(&self) -> Result<<XWing as Kem>::PrivateKey, DocumentError> {
        <XWing as Kem>::PrivateKey::from_bytes(&self.0)
            .map_err(|_| DocumentError::Seal { what: "secret key" })
    }
    /// The public key.
    pub fn public(&self) -> Result<Vec<u8>, DocumentError> {
        Ok(XWing::sk_to_pk(&self.private()?).to_bytes().to_vec())
    }
}

/// Whether anything can be sealed to this key: X-Wing's length, and the checks
/// of its parts (FIPS 203, 7.2: every coefficient below the modulus). A key
/// that nothing can be sealed to would let its owner have results evaluated
/// and counted, and then not delivered.
pub fn check_sealing_key(key: &[u8]) -> Result<(), String> {
    if key.len() != SEALING_KEY_BYTES {
        return Err(format!("{} bytes, expected {SEALING_KEY_BYTES}", key.len()));
    }
    <XWing as Kem>::PublicKey::from_bytes(key)
        .map(|_| ())
        .map_err(|_| "is not an X-Wing public key".into())
}

pub(crate) fn seal(
    what: &'static str,
    key: &[u8],
    info: &[u8],
    aad: &[u8],
    plain: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, DocumentError> {
    let refuse = |_| DocumentError::Seal { what };
    let key = <XWing as Kem>::PublicKey::from_bytes(key).map_err(refuse)?;
    let (encapsulated, sealed) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &key,
        info,
        plain,
        aad,
        rng,
    )
    .map_err(refuse)?;
    let mut out = encapsulated.to_bytes().to_vec();
    out.extend(sealed);
    Ok(out)
}

pub(crate) fn open(
    what: &'static str,
    secret: &SealingSecret,
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DocumentError> {
    if sealed.len() > MAX_SEALED {
        return Err(DocumentError::TooLarge {
            document: what,
            limit: MAX_SEALED as u64,
            value: sealed.len() as u64,
        });
    }
    let (encapsulated, body) = sealed
        .split_at_checked(ENCAPSULATED_BYTES)
        .ok_or(DocumentError::Seal { what })?;
    let refuse = |_| DocumentError::Seal { what };
    let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(encapsulated).map_err(refuse)?;
    single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeR::Base,
        &secret.private()?,
        &encapsulated,
        info,
        body,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(refuse)
}

/// The private weights of one vector. Erased when dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct ModelVector {
    /// Index of the vector in the program.
    pub vector: u32,
    /// Weights: encrypted columns, then public columns.
    #[serde(with = "veilbourse_core::decimal::seq")]
    pub weights: Vec<i64>,
    /// The commitment's blinder: canonical little-endian bytes of Fr.
    pub blinder: [u8; 32],
}

/// What the buyer seals to the pod (DOC-6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The private vectors, in order.
    pub vectors: Vec<ModelVector>,
}

/// What a sealed model is bound to: without buyer, result key and nonce,
/// whoever holds the sealed bytes could order them evaluated for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelContext<'a> {
    /// The dataset root D.
    pub dataset: &'a Digest,
    /// The program's public shape.
    pub program: &'a Digest,
    /// The pod's id.
    pub pod: &'a Id,
    /// The buyer's signing key.
    pub buyer: &'a Key,
    /// The key that the order's result is sealed to.
    pub result_key: &'a [u8],
    /// The order's nonce.
    pub nonce: &'a Nonce,
}

impl ModelContext<'_> {
    fn aad(&self) -> Vec<u8> {
        let Self {
            dataset,
            program,
            pod,
            buyer,
            result_key,
            nonce,
        } = self;
        let mut w = Writer::new();
        w.raw(&dataset.0).raw(&program.0).str(pod.as_str());
        w.raw(&buyer.0).bytes(result_key).raw(&nonce.0);
        w.finish()
    }
}

/// Seals a model to a pod, for one order.
pub fn seal_model(
    model: &Model,
    pod_key: &[u8],
    context: &ModelContext<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, DocumentError> {
    let json = |e: serde_json::Error| DocumentError::Json {
        document: "model",
        reason: e.to_string(),
    };
    let plain = Zeroizing::new(serde_json::to_vec(model).map_err(json)?);
    seal("model", pod_key, MODEL_INFO, &context.aad(), &plain, rng)
}

/// Opens a model (POD-2, POD-3).
pub fn open_model(
    sealed: &[u8],
    secret: &SealingSecret,
    context: &ModelContext<'_>,
) -> Result<Model, DocumentError> {
    let plain = open("model", secret, MODEL_INFO, &context.aad(), sealed)?;
    serde_json::from_slice(&plain).map_err(|e| DocumentError::Json {
        document: "model",
        reason: e.to_string(),
    })
}

/// The integers of one output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedOutput {
    /// One value when traced, one a row otherwise.
    #[serde(with = "veilbourse_core::decimal::seq")]
    pub values: Vec<i64>,
}

/// What the key node seals to the buyer (DOC-10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedResult {
    /// The outputs, in the program's order.
    pub outputs: Vec<OpenedOutput>,
}

/// What a sealed result is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultContext {
    /// The digest of the signed order.
    pub order: Digest,
    /// The digest of the signed grant.
    pub grant: Digest,
    /// The key node.
    pub node_key: Key,
}

impl ResultContext {
    /// The session hash: AAD of the seal.
    pub fn session(&self) -> Digest {
        let Self {
            order,
            grant,
            node_key,
        } = self;
        let mut w = Writer::new();
        w.raw(&order.0).raw(&grant.0).raw(&node_key.0);
        Digest::of(Domain::Other("veilbourse v1 session"), &w.finish())
    }
}

/// Seals a result to the order's result key.
pub fn seal_result(
    result: &OpenedResult,
    result_key: &[u8],
    context: &ResultContext,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, DocumentError> {
    let plain = Zeroizing::new(serde_json::to_vec(result).map_err(|e| DocumentError::Json {
        document: "result",
        reason: e.to_string(),
    })?);
    seal(
        "result",
        result_key,
        RESULT_INFO,
        &context.session().0,
        &plain,
        rng,
    )
}

/// Opens a result.
pub fn open_result(
    sealed: &[u8],
    secret: &SealingSecret,
    context: &ResultContext,
) -> Result<OpenedResult, DocumentError> {
    let plain = open("result", secret, RESULT_INFO, &context.session().0, sealed)?;
    serde_json::from_slice(&plain).map_err(|e| DocumentError::Json {
        document: "result",
        reason: e.to_string(),
    })
}

/// Digest of a sealed part, as documents name it.
impl crate::Order {
    /// The digest that [`crate::Order::sealed_model`] holds.
    pub fn digest_of_sealed_model(sealed: &[u8]) -> Digest {
        Digest::of(Domain::Other("veilbourse v1 sealed model"), sealed)
    }
}

impl crate::Delivery {
    /// The digest that [`crate::Delivery::sealed_result`] holds.
    pub fn digest_of_sealed_result(sealed: &[u8]) -> Digest {
        Digest::of(Domain::Other("veilbourse v1 sealed result"), sealed)
    }
}
