//! Serde helpers: 64-bit integers as decimal strings in JSON, because JSON
//! numbers are doubles (RFC 8785 section 3.2.2.3). Used by `#[serde(with)]`.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use std::{fmt::Display, str::FromStr};

fn parse<T: FromStr + Display, E: Error>(s: &str) -> Result<T, E> {
    let v: T = s
        .parse()
        .map_err(|_| E::custom(format!("expected a decimal integer, got {s:?}")))?;
    // One spelling only: no sign, zero or space that a re-encoding would drop.
    if v.to_string() == s {
        Ok(v)
    } else {
        Err(E::custom(format!("{s:?} is not canonical")))
    }
}

/// Writes one integer as a decimal string.
pub fn serialize<S: Serializer, T: Display>(v: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(v)
}
/// Reads one integer from its canonical decimal string.
pub fn deserialize<'de, D: Deserializer<'de>, T: FromStr + Display>(d: D) -> Result<T, D::Error> {
    parse(&String::deserialize(d)?)
}

/// The same for a sequence.
pub mod seq {
    use super::{Deserialize, Deserializer, Display, FromStr, Serializer, parse};

    /// Writes a sequence of integers as decimal strings.
    pub fn serialize<S: Serializer, T: Display>(v: &[T], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(v.iter().map(ToString::to_string))
    }
    /// Reads a sequence of integers from canonical decimal strings.
    pub fn deserialize<'de, D: Deserializer<'de>, T: FromStr + Display>(
        d: D,
    ) -> Result<Vec<T>, D::Error> {
        Vec::<String>::deserialize(d)?
            .iter()
            .map(|s| parse(s))
            .collect()
    }
}
