//! Scalars of documents with exactly one spelling each (DOC-1).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;

fn hex_array<const L: usize>(s: &str) -> Option<[u8; L]> {
    let mut out = [0u8; L];
    hex::decode_to_slice(s, &mut out).ok()?;
    (hex::encode(out) == s).then_some(out)
}

macro_rules! hex_scalars {
    ($($(#[doc = $doc:literal])+ $name:ident $len:literal;)*) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Reads lower-case hex of the exact length.
            pub fn from_hex(s: &str) -> Option<Self> {
                hex_array(s).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let s = String::deserialize(d)?;
                Self::from_hex(&s).ok_or_else(|| {
                    D::Error::custom(format!("expected {} lower-case hex digits", 2 * $len))
                })
            }
        }
    )*};
}

hex_scalars! {
    /// An Ed25519 public key.
    Key 32;
    /// A number used once.
    Nonce 32;
    /// An Ed25519 signature.
    SignatureText 64;
}

/// Binary data: base64, standard alphabet, with padding.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}
impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(&self.0))
    }
}
impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = String::deserialize(d)?;
        // The engine refuses non-zero trailing bits and missing padding.
        STANDARD
            .decode(&s)
            .map(Self)
            .map_err(|e| D::Error::custom(format!("base64: {e}")))
    }
}

/// An identifier given by the marketplace: the canonical text of a UUID.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// Reads 8-4-4-4-12 lower-case hex digits.
    pub fn parse(s: &str) -> Option<Self> {
        let shape = s.len() == 36
            && s.bytes().enumerate().all(|(i, b)| match i {
                8 | 13 | 18 | 23 => b == b'-',
                _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
            });
        shape.then(|| Self(s.to_owned()))
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}
impl Serialize for Id {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = String::deserialize(d)?;
        Self::parse(&s).ok_or_else(|| D::Error::custom("expected the canonical text of a UUID"))
    }
}

/// Most bytes of a name.
const MAX_NAME: usize = 64;

/// A name for people: one line, that reads as it is compared.
pub(crate) fn line(name: &str) -> Result<(), String> {
    let broken = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(broken) || name.trim() != name {
        return Err(format!(
            "{name:?} must be a line of 1 to {MAX_NAME} bytes without spaces around it"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_has_one_spelling() {
        // DOC-1
        for bad in [
            "AB".repeat(32),
            "ab".repeat(31),
            format!(" {}", "ab".repeat(32)),
        ] {
            assert!(Key::from_hex(&bad).is_none(), "{bad}");
        }
        for bad in ["\"aGk\"", "\"aGl=\"", "\"aGk =\"", "\"a_k=\""] {
            assert!(serde_json::from_str::<Bytes>(bad).is_err(), "{bad}");
        }
        assert_eq!(
            serde_json::from_str::<Bytes>("\"aGk=\"").unwrap(),
            Bytes(b"hi".to_vec())
        );
        assert!(Id::parse("0190a6c8-0000-7000-8000-00000000000g").is_none());
        assert!(Id::parse("0190A6C8-0000-7000-8000-000000000000").is_none());
        assert!(Id::parse("0190a6c8-0000-7000-8000-000000000000").is_some());
    }
}
