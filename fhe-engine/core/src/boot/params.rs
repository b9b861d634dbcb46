//! Named parameter sets of the bootstrap (BST-1, BST-2).

use super::decomposition::Gadget;
use crate::{params::DATA_RING_DIMENSION, wire::WireError};

/// n: number of secret bits of an LWE key, or of words of an LWE mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LweDimension(pub usize);

/// N: number of coefficients of a ring element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolynomialSize(pub usize);

/// b of TUniform(b).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TUniformBound(pub u32);

/// beta: the gadget's base is 2^beta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DecompositionBaseLog(pub u32);

/// l: number of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DecompositionLevels(pub usize);

/// N of the bootstrap key S_B.
pub const RING: PolynomialSize = PolynomialSize(2048);
/// n, the dimension in which blind rotation reads its input.
pub const LWE: LweDimension = LweDimension(920);
/// Noise of encryptions under S_B.
pub const RING_NOISE: TUniformBound = TUniformBound(17);
/// Noise of encryptions under the LWE key.
pub const LWE_NOISE: TUniformBound = TUniformBound(45);
/// Secret bits that one step of the blind rotation takes.
pub const GROUPING: usize = 4;
/// Indicator patterns of a group's bits.
pub const PATTERNS: usize = 1 << GROUPING;
/// Steps of a blind rotation.
pub const GROUPS: usize = LWE.0 / GROUPING;
/// 2N: what the modulus switch maps q to; X has this order.
pub const SWITCHED_MODULUS: u64 = 2 * RING.0 as u64;
/// Components of a GLWE ciphertext: mask and body (k = 1).
pub const COMPONENTS: usize = 2;

/// A gadget of the blind rotation; the ring, noise and grouping are those of
/// S_B in every set (BST-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BootstrapParamsId {
    /// Base 2^23, one digit: the fastest, output noise 2^49.5.
    Boot2048B23L1V1,
    /// Base 2^15, two digits: output noise 2^42.1.
    Boot2048B15L2V1,
    /// Base 2^11, three digits: output noise 2^38.6.
    Boot2048B11L3V1,
}

impl BootstrapParamsId {
    /// Every set.
    pub const ALL: [Self; 3] = [
        Self::Boot2048B23L1V1,
        Self::Boot2048B15L2V1,
        Self::Boot2048B11L3V1,
    ];

    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boot2048B23L1V1 => "boot-2048-b23-l1-v1",
            Self::Boot2048B15L2V1 => "boot-2048-b15-l2-v1",
            Self::Boot2048B11L3V1 => "boot-2048-b11-l3-v1",
        }
    }
    /// The gadget.
    pub const fn gadget(self) -> Gadget {
        let (base_log, levels) = match self {
            Self::Boot2048B23L1V1 => (23, 1),
            Self::Boot2048B15L2V1 => (15, 2),
            Self::Boot2048B11L3V1 => (11, 3),
        };
        Gadget::new(DecompositionBaseLog(base_log), DecompositionLevels(levels))
    }
    /// Rows of a GGSW ciphertext: a component and a digit each.
    pub const fn rows(self) -> usize {
        COMPONENTS * self.gadget().levels().0
    }
    /// GLWE ciphertexts in a key.
    pub const fn key_rows(self) -> usize {
        GROUPS * PATTERNS * self.rows()
    }
    /// The byte in encodings.
    pub const fn code(self) -> u8 {
        match self {
            Self::Boot2048B23L1V1 => 1,
            Self::Boot2048B15L2V1 => 2,
            Self::Boot2048B11L3V1 => 3,
        }
    }
    /// Reads the byte.
    pub fn from_code(field: &'static str, code: u8) -> Result<Self, WireError> {
        by_code(field, code, Self::ALL, Self::code)
    }
}

/// A keyswitch to the LWE key of dimension 920 (BST-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyswitchParamsId {
    /// From the data key S_D, 4096 bits; base 2^3, six digits.
    Data4096B3L6V1,
    /// From S_B, 2048 bits, the key of a bootstrap's output; base 2^3, six digits.
    Boot2048B3L6V1,
}

impl KeyswitchParamsId {
    /// Every set.
    pub const ALL: [Self; 2] = [Self::Data4096B3L6V1, Self::Boot2048B3L6V1];

    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data4096B3L6V1 => "switch-4096-b3-l6-v1",
            Self::Boot2048B3L6V1 => "switch-2048-b3-l6-v1",
        }
    }
    /// Dimension of the key that is switched from.
    pub const fn input(self) -> LweDimension {
        LweDimension(match self {
            Self::Data4096B3L6V1 => DATA_RING_DIMENSION,
            Self::Boot2048B3L6V1 => RING.0,
        })
    }
    /// The gadget.
    pub const fn gadget(self) -> Gadget {
        Gadget::new(DecompositionBaseLog(3), DecompositionLevels(6))
    }
    /// LWE ciphertexts in a key.
    pub const fn key_rows(self) -> usize {
        self.input().0 * self.gadget().levels().0
    }
    /// The byte in encodings.
    pub const fn code(self) -> u8 {
        match self {
            Self::Data4096B3L6V1 => 1,
            Self::Boot2048B3L6V1 => 2,
        }
    }
    /// Reads the byte.
    pub fn from_code(field: &'static str, code: u8) -> Result<Self, WireError> {
        by_code(field, code, Self::ALL, Self::code)
    }
}

/// The set of that code, or a refusal that names the greatest (WIRE-3).
fn by_code<T: Copy, const L: usize>(
    field: &'static str,
    code: u8,
    all: [T; L],
    of: impl Fn(T) -> u8,
) -> Result<T, WireError> {
    all.into_iter()
        .find(|id| of(*id) == code)
        .ok_or_else(|| WireError::Invalid {
            field,
            reason: format!("parameter set {code} is not one of 1..={L}"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_named_once_and_read_back() {
        // BST-1, BST-2
        for id in BootstrapParamsId::ALL {
            assert_eq!(BootstrapParamsId::from_code("x", id.code()), Ok(id));
            let gadget = id.gadget();
            assert_eq!(
                id.name(),
                format!(
                    "boot-2048-b{}-l{}-v1",
                    gadget.base_log().0,
                    gadget.levels().0
                )
            );
        }
        for id in KeyswitchParamsId::ALL {
            assert_eq!(KeyswitchParamsId::from_code("x", id.code()), Ok(id));
            assert_eq!(id.name(), format!("switch-{}-b3-l6-v1", id.input().0));
        }
        for code in [0, 4, 255] {
            let refused = BootstrapParamsId::from_code("x", code);
            assert!(matches!(refused, Err(WireError::Invalid { .. })));
            let refused = KeyswitchParamsId::from_code("x", code);
            assert!(matches!(refused, Err(WireError::Invalid { .. })));
        }
        assert_eq!(GROUPS * GROUPING, LWE.0);
    }
}
