//! The law of noise in a policy: in words and integers, with one spelling
//! (DOC-1, DOC-12).

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData};
use veilbourse_core::decimal;
use veilbourse_privacy::{Mechanism, Rational};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fraction {
    #[serde(with = "decimal")]
    numerator: u128,
    #[serde(with = "decimal")]
    denominator: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "law", rename_all = "snake_case", deny_unknown_fields)]
enum Text {
    None {},
    DiscreteLaplace {
        #[serde(deserialize_with = "object")]
        scale: Fraction,
    },
    DiscreteGaussian {
        #[serde(deserialize_with = "object")]
        variance: Fraction,
    },
}

/// Reads objects alone: serde takes an array of the fields for one too.
struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    d.deserialize_map(Object(PhantomData))
}

fn fraction(value: Rational) -> Fraction {
    Fraction {
        numerator: value.numerator(),
        denominator: value.denominator(),
    }
}

fn text(mechanism: &Mechanism) -> Text {
    match mechanism {
        Mechanism::None => Text::None {},
        Mechanism::DiscreteLaplace { scale } => Text::DiscreteLaplace {
            scale: fraction(scale.value()),
        },
        Mechanism::DiscreteGaussian { variance } => Text::DiscreteGaussian {
            variance: fraction(variance.value()),
        },
    }
}

pub fn serialize<S: Serializer>(m: &Mechanism, s: S) -> Result<S::Ok, S::Error> {
    text(m).serialize(s)
}

pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Mechanism, D::Error> {
    let found: Text = object(d)?;
    let mechanism = match &found {
        Text::None {} => Ok(Mechanism::None),
        Text::DiscreteLaplace { scale } => Mechanism::laplace(scale.numerator, scale.denominator),
        Text::DiscreteGaussian { variance } => {
            Mechanism::gaussian(variance.numerator, variance.denominator)
        }
    };
    let mechanism = mechanism.map_err(D::Error::custom)?;
    // One spelling: fractions in lowest terms.
    if text(&mechanism) != found {
        return Err(D::Error::custom("the fraction is not in lowest terms"));
    }
    Ok(mechanism)
}
