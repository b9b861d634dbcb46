//! JSON forms for signed documents (PRV-12): a meaning has one spelling.
//!
//! Written by hand, because what serde derives also reads a struct from a list
//! and forgives fields beside a variant without any.

use crate::{Mechanism, PrivacyError, Rational, Rho, Scale, Sensitivity, Variance};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
    ser::SerializeMap,
};
use std::fmt;
use veilbourse_core::decimal;

/// An integer as its canonical decimal string.
struct Decimal<T>(T);

impl<'de, T: std::str::FromStr + fmt::Display> Deserialize<'de> for Decimal<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        decimal::deserialize(d).map(Self)
    }
}

/// Stores a field's value, once.
fn once<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    name: &'static str,
    slot: &mut Option<T>,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *slot = Some(map.next_value()?);
    Ok(())
}

/// A fraction as it is spelled, whose limits are not checked yet.
struct Spelled {
    numerator: u128,
    denominator: u64,
}

impl Spelled {
    /// Through `limits`, which reduce it; refused if that changed anything.
    fn within<T: Copy, E: Error>(
        &self,
        limits: impl Fn(u128, u64) -> Result<T, PrivacyError>,
        value: impl Fn(T) -> Rational,
    ) -> Result<T, E> {
        let found = limits(self.numerator, self.denominator).map_err(E::custom)?;
        if value(found).denominator() == self.denominator {
            return Ok(found);
        }
        Err(E::custom(format!(
            "{}/{} is not in lowest terms",
            self.numerator, self.denominator
        )))
    }
}

const FRACTION: &[&str] = &["numerator", "denominator"];

impl<'de> Deserialize<'de> for Spelled {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Spelled;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with numerator and denominator")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spelled, A::Error> {
                let (mut numerator, mut denominator) = (None::<Decimal<u128>>, None);
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "numerator" => once(&mut map, "numerator", &mut numerator)?,
                        "denominator" => once(&mut map, "denominator", &mut denominator)?,
                        other => return Err(A::Error::unknown_field(other, FRACTION)),
                    }
                }
                let missing = A::Error::missing_field;
                let Decimal(numerator) = numerator.ok_or_else(|| missing("numerator"))?;
                let Decimal(denominator) = denominator.ok_or_else(|| missing("denominator"))?;
                Ok(Spelled {
                    numerator,
                    denominator,
                })
            }
        }
        d.deserialize_map(Fields)
    }
}

impl Serialize for Rational {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(2))?;
        map.serialize_entry("numerator", &self.numerator().to_string())?;
        map.serialize_entry("denominator", &self.denominator().to_string())?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Rational {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Spelled::deserialize(d)?.within(|n, d| Self::new("fraction", n, d), |v| v)
    }
}

macro_rules! parameter {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                self.value().serialize(s)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Spelled::deserialize(d)?.within(Self::new, |v| v.value())
            }
        }
    };
}
parameter!(Scale);
parameter!(Variance);

impl Serialize for Sensitivity {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        decimal::serialize(&self.value(), s)
    }
}

impl<'de> Deserialize<'de> for Sensitivity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(decimal::deserialize::<_, u128>(d)?).map_err(D::Error::custom)
    }
}

/// In units of 2^-40 (PRV-8).
impl Serialize for Rho {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        decimal::serialize(&self.units(), s)
    }
}

/// In units of 2^-40 (PRV-8).
impl<'de> Deserialize<'de> for Rho {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        decimal::deserialize(d).map(Self::from_units)
    }
}

const NONE: &str = "none";
const LAPLACE: &str = "discrete_laplace";
const GAUSSIAN: &str = "discrete_gaussian";
const KINDS: &[&str] = &[NONE, LAPLACE, GAUSSIAN];

impl Serialize for Mechanism {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        match self {
            Self::None => map.serialize_entry("kind", NONE)?,
            Self::DiscreteLaplace { scale } => {
                map.serialize_entry("kind", LAPLACE)?;
                map.serialize_entry("scale", scale)?;
            }
            Self::DiscreteGaussian { variance } => {
                map.serialize_entry("kind", GAUSSIAN)?;
                map.serialize_entry("variance", variance)?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Mechanism {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(MechanismFields)
    }
}

struct MechanismFields;

impl<'de> Visitor<'de> for MechanismFields {
    type Value = Mechanism;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the kind of a mechanism and its parameter")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mechanism, A::Error> {
        let (mut kind, mut scale, mut variance) = (None::<String>, None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "kind" => once(&mut map, "kind", &mut kind)?,
                "scale" => once(&mut map, "scale", &mut scale)?,
                "variance" => once(&mut map, "variance", &mut variance)?,
                other => {
                    let known = &["kind", "scale", "variance"];
                    return Err(A::Error::unknown_field(other, known));
                }
            }
        }
        let kind = kind.ok_or_else(|| A::Error::missing_field("kind"))?;
        match (kind.as_str(), scale, variance) {
            (NONE, None, None) => Ok(Mechanism::None),
            (LAPLACE, Some(scale), None) => Ok(Mechanism::DiscreteLaplace { scale }),
            (GAUSSIAN, None, Some(variance)) => Ok(Mechanism::DiscreteGaussian { variance }),
            (LAPLACE, None, _) => Err(A::Error::missing_field("scale")),
            (GAUSSIAN, _, None) => Err(A::Error::missing_field("variance")),
            (NONE | GAUSSIAN, Some(_), _) => Err(A::Error::unknown_field("scale", &["kind"])),
            (NONE | LAPLACE, _, Some(_)) => Err(A::Error::unknown_field("variance", &["kind"])),
            (other, _, _) => Err(A::Error::unknown_variant(other, KINDS)),
        }
    }
}
