//! Seeded bootstrap and keyswitch keys as they are uploaded (BST-4, BST-5).

use super::{
    lwe::{BOOTSTRAP_VERSION, exact_size, version, words},
    params::{BootstrapParamsId, KeyswitchParamsId, RING},
};
use crate::{
    digest::{Digest, Domain},
    field::Fq,
    wire::{Reader, WireError, Writer},
};

/// Bytes before the bodies: version, set, seed.
const HEADER: usize = 2 + 1 + 32;

/// A multi-bit bootstrap key (BST-5): for each group of four secret bits and
/// each of their sixteen patterns a GGSW encryption of the pattern's
/// indicator under S_B. Bodies in coefficients; row r has mask number r.
#[derive(Clone, PartialEq, Eq)]
pub struct SeededBootstrapKey {
    params: BootstrapParamsId,
    seed: [u8; 32],
    bodies: Vec<Fq>,
}

impl std::fmt::Debug for SeededBootstrapKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SeededBootstrapKey({})", self.params.name())
    }
}

impl SeededBootstrapKey {
    /// From its parts; the bodies are N words for each row.
    pub fn new(
        params: BootstrapParamsId,
        seed: [u8; 32],
        bodies: Vec<Fq>,
    ) -> Result<Self, WireError> {
        count("bootstrap_key.bodies", params.key_rows() * RING.0, &bodies)?;
        Ok(Self {
            params,
            seed,
            bodies,
        })
    }
    /// Its set.
    pub fn params(&self) -> BootstrapParamsId {
        self.params
    }
    /// The seed of all its masks.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
    /// Bodies of the rows: group, pattern, digit, component.
    pub fn bodies(&self) -> std::slice::ChunksExact<'_, Fq> {
        self.bodies.chunks_exact(RING.0)
    }
    /// Exact length of the encoding: 120,586,275 bytes for one digit, as much
    /// again for each further one.
    pub const fn encoded_len(params: BootstrapParamsId) -> u64 {
        (HEADER + 8 * params.key_rows() * RING.0) as u64
    }
    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        encode(self.params.code(), &self.seed, &self.bodies)
    }
    /// Reads a key of that set (BST-4).
    pub fn decode(bytes: &[u8], params: BootstrapParamsId) -> Result<Self, WireError> {
        exact_size("bootstrap_key", bytes, Self::encoded_len(params))?;
        let mut r = Reader::new(bytes);
        version(&mut r, "bootstrap_key.version")?;
        let code = r.u8("bootstrap_key.params")?;
        let found = BootstrapParamsId::from_code("bootstrap_key.params", code)?;
        if found != params {
            return Err(other_set(
                "bootstrap_key.params",
                found.name(),
                params.name(),
            ));
        }
        let seed = r.array("bootstrap_key.seed")?;
        let bodies = words("bootstrap_key.bodies", &mut r, params.key_rows() * RING.0)?;
        r.finish("bootstrap_key")?;
        Ok(Self {
            params,
            seed,
            bodies,
        })
    }
    /// What a dataset's root holds of it (DS-5).
    pub fn digest(&self) -> Digest {
        Digest::of(Domain::Other("veilbourse v1 bootstrap key"), &self.encode())
    }
}

/// A keyswitch key (BST-5): for each bit S_j of the input key and each digit i
/// an LWE encryption of S_j 2^pos_i; row j l + i has mask number j l + i.
#[derive(Clone, PartialEq, Eq)]
pub struct SeededKeyswitchKey {
    params: KeyswitchParamsId,
    seed: [u8; 32],
    bodies: Vec<Fq>,
}

impl std::fmt::Debug for SeededKeyswitchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SeededKeyswitchKey({})", self.params.name())
    }
}

impl SeededKeyswitchKey {
    /// From its parts; a body for each row.
    pub fn new(
        params: KeyswitchParamsId,
        seed: [u8; 32],
        bodies: Vec<Fq>,
    ) -> Result<Self, WireError> {
        count("keyswitch_key.bodies", params.key_rows(), &bodies)?;
        Ok(Self {
            params,
            seed,
            bodies,
        })
    }
    /// Its set.
    pub fn params(&self) -> KeyswitchParamsId {
        self.params
    }
    /// The seed of all its masks.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
    /// Bodies of the rows.
    pub fn bodies(&self) -> &[Fq] {
        &self.bodies
    }
    /// Exact length of the encoding: 196,643 bytes from the data key, 98,339
    /// from S_B.
    pub const fn encoded_len(params: KeyswitchParamsId) -> u64 {
        (HEADER + 8 * params.key_rows()) as u64
    }
    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        encode(self.params.code(), &self.seed, &self.bodies)
    }
    /// Reads a key of that set (BST-4).
    pub fn decode(bytes: &[u8], params: KeyswitchParamsId) -> Result<Self, WireError> {
        exact_size("keyswitch_key", bytes, Self::encoded_len(params))?;
        let mut r = Reader::new(bytes);
        version(&mut r, "keyswitch_key.version")?;
        let code = r.u8("keyswitch_key.params")?;
        let found = KeyswitchParamsId::from_code("keyswitch_key.params", code)?;
        if found != params {
            return Err(other_set(
                "keyswitch_key.params",
                found.name(),
                params.name(),
            ));
        }
        let seed = r.array("keyswitch_key.seed")?;
        let bodies = words("keyswitch_key.bodies", &mut r, params.key_rows())?;
        r.finish("keyswitch_key")?;
        Ok(Self {
            params,
            seed,
            bodies,
        })
    }
    /// What a dataset's root holds of it (DS-5).
    pub fn digest(&self) -> Digest {
        Digest::of(Domain::Other("veilbourse v1 keyswitch key"), &self.encode())
    }
}

fn encode(code: u8, seed: &[u8; 32], bodies: &[Fq]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + 8 * bodies.len());
    out.extend_from_slice(&BOOTSTRAP_VERSION.to_le_bytes());
    out.push(code);
    out.extend_from_slice(seed);
    out.extend(bodies.iter().flat_map(|w| w.word().to_le_bytes()));
    out
}

fn count(field: &'static str, expected: usize, bodies: &[Fq]) -> Result<(), WireError> {
    if bodies.len() == expected {
        return Ok(());
    }
    Err(WireError::Invalid {
        field,
        reason: format!("{} words instead of {expected}", bodies.len()),
    })
}

fn other_set(field: &'static str, found: &str, expected: &str) -> WireError {
    WireError::Invalid {
        field,
        reason: format!("{found} instead of {expected}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::MODULUS;

    #[test]
    fn keyswitch_keys_round_trip_and_refuse() {
        // BST-4
        let params = KeyswitchParamsId::Boot2048B3L6V1;
        let bodies = (0..params.key_rows() as u64).map(Fq::reduce).collect();
        let key = SeededKeyswitchKey::new(params, [3; 32], bodies).unwrap();
        let bytes = key.encode();
        assert_eq!(bytes.len(), 98_339);
        assert_eq!(bytes.len() as u64, SeededKeyswitchKey::encoded_len(params));
        assert_eq!(
            SeededKeyswitchKey::decode(&bytes, params).as_ref(),
            Ok(&key)
        );
        let refuse = |b: &[u8]| SeededKeyswitchKey::decode(b, params).unwrap_err();
        for cut in [0, 2, 34, bytes.len() - 1] {
            let refused = refuse(&bytes[..cut]);
            assert!(matches!(refused, WireError::Truncated { .. }));
        }
        let mut long = bytes.clone();
        long.push(0);
        assert!(matches!(refuse(&long), WireError::TooLarge { .. }));
        let change = |at: usize, value: u8| {
            let mut other = bytes.clone();
            other[at] = value;
            refuse(&other)
        };
        assert!(matches!(change(0, 2), WireError::Version { found: 2, .. }));
        // Another set, and none.
        for code in [1, 0, 3] {
            let refused = change(2, code);
            assert!(matches!(
                refused,
                WireError::Invalid {
                    field: "keyswitch_key.params",
                    ..
                }
            ));
        }
        let mut other = bytes.clone();
        other[HEADER + 8..HEADER + 16].copy_from_slice(&MODULUS.to_le_bytes());
        assert!(matches!(
            refuse(&other),
            WireError::TooLarge {
                field: "keyswitch_key.bodies",
                value: MODULUS,
                ..
            }
        ));
        let wrong = SeededKeyswitchKey::new(params, [0; 32], vec![Fq::ZERO; 7]);
        assert!(matches!(wrong, Err(WireError::Invalid { .. })));
        let data = KeyswitchParamsId::Data4096B3L6V1;
        assert_eq!(SeededKeyswitchKey::encoded_len(data), 196_643);
    }

    #[test]
    fn bootstrap_keys_round_trip_and_refuse() {
        // BST-4, BST-5
        let params = BootstrapParamsId::Boot2048B23L1V1;
        let words = params.key_rows() * RING.0;
        let bodies = (0..words as u64).map(Fq::reduce).collect();
        let key = SeededBootstrapKey::new(params, [3; 32], bodies).unwrap();
        assert_eq!(key.bodies().len(), params.key_rows());
        let mut bytes = key.encode();
        assert_eq!(bytes.len(), 120_586_275);
        assert_eq!(bytes.len() as u64, SeededBootstrapKey::encoded_len(params));
        assert!(SeededBootstrapKey::decode(&bytes, params).as_ref() == Ok(&key));
        let refuse = |b: &[u8]| SeededBootstrapKey::decode(b, params).unwrap_err();
        let short = refuse(&bytes[..bytes.len() - 8]);
        assert!(matches!(short, WireError::Truncated { .. }));
        let other = BootstrapParamsId::Boot2048B15L2V1;
        assert!(matches!(
            SeededBootstrapKey::decode(&bytes, other),
            Err(WireError::Truncated { .. })
        ));
        bytes[2] = other.code();
        assert!(matches!(
            refuse(&bytes),
            WireError::Invalid {
                field: "bootstrap_key.params",
                ..
            }
        ));
        bytes[2] = params.code();
        let at = bytes.len() - 8;
        bytes[at..].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(
            refuse(&bytes),
            WireError::TooLarge {
                field: "bootstrap_key.bodies",
                value: u64::MAX,
                ..
            }
        ));
        bytes.push(0);
        assert!(matches!(
            refuse(&bytes),
            WireError::TooLarge {
                field: "bootstrap_key",
                ..
            }
        ));
        let wrong = SeededBootstrapKey::new(params, [0; 32], vec![Fq::ZERO; 7]);
        assert!(matches!(wrong, Err(WireError::Invalid { .. })));
    }
}
