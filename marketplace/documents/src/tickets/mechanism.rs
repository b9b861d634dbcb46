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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Law(#[serde(with = "super")] Mechanism);

    fn read(text: &str) -> Result<Mechanism, String> {
        let law: Result<Law, _> = serde_json::from_str(text);
        law.map(|l| l.0).map_err(|e| e.to_string())
    }

    fn laplace(numerator: impl ToString, denominator: impl ToString) -> String {
        let (n, d) = (numerator.to_string(), denominator.to_string());
        format!(r#"{{"law":"discrete_laplace","scale":{{"denominator":"{d}","numerator":"{n}"}}}}"#)
    }

    fn gaussian(numerator: impl ToString, denominator: impl ToString) -> String {
        let text = laplace(numerator, denominator).replace("scale", "variance");
        text.replace("laplace", "gaussian")
    }

    #[test]
    fn known_spellings() {
        // DOC-12.
        assert_eq!(read(r#"{"law":"none"}"#), Ok(Mechanism::None));
        let half = Mechanism::laplace(7, 2).unwrap();
        assert_eq!(read(&laplace(7, 2)), Ok(half));
        let whole = Mechanism::gaussian(1 << 96, 1).unwrap();
        assert_eq!(read(&gaussian(1u128 << 96, 1)), Ok(whole));
        let text = serde_json_canonicalizer::to_string(&Law(half)).unwrap();
        assert_eq!(text, laplace(7, 2));
        let text = serde_json_canonicalizer::to_string(&Law(Mechanism::None)).unwrap();
        assert_eq!(text, r#"{"law":"none"}"#);
    }

    #[test]
    fn other_spellings_are_refused() {
        // DOC-1, DOC-12, PRV-2.
        let fraction = r#"{"denominator":"2","numerator":"7"}"#;
        let bad = [
            // No objects, though serde reads arrays of fields too.
            r#""none""#.into(),
            r#"["none"]"#.into(),
            "null".into(),
            format!(r#"["discrete_laplace",{fraction}]"#),
            r#"{"law":"discrete_laplace","scale":["7","2"]}"#.into(),
            r#"{"discrete_laplace":{}}"#.into(),
            // Fields missing, unknown, doubled, of another law.
            "{}".into(),
            r#"{"law":"None"}"#.into(),
            r#"{"law":0}"#.into(),
            r#"{"law":"none","scale":null}"#.into(),
            r#"{"law":"none","law":"none"}"#.into(),
            r#"{"law":"discrete_laplace"}"#.into(),
            format!(r#"{{"law":"none","scale":{fraction}}}"#),
            format!(r#"{{"law":"discrete_laplace","variance":{fraction}}}"#),
            format!(r#"{{"law":"discrete_laplace","scale":{fraction},"scale":{fraction}}}"#),
            format!(r#"{{"law":"discrete_laplace","law":"none","scale":{fraction}}}"#),
            format!(r#"{{"law":"discrete_gaussian","scale":{fraction}}}"#),
            laplace(7, 2).replace(r#""7""#, r#""7","x":"1""#),
            laplace(7, 2).replace(r#""7""#, r#""7","numerator":"7""#),
            // Numbers as they are not written.
            laplace(7, 2).replace(r#""7""#, "7"),
            laplace("07", 2),
            laplace("+7", 2),
            laplace("-7", 2),
            laplace("7.0", 2),
            laplace(" 7", 2),
            laplace("", 2),
            laplace(7, "02"),
            // Not in lowest terms.
            laplace(14, 4),
            gaussian(14, 4),
            laplace(2, 2),
            // Beyond the limits of the law.
            laplace(0, 1),
            laplace(7, 0),
            laplace(1, 1025),
            laplace((1u64 << 48) + 1, 1),
            gaussian(1, (1 << 20) + 1),
            gaussian((1u128 << 96) + 1, 1),
            laplace("340282366920938463463374607431768211456", 1),
            laplace(7, "18446744073709551616"),
        ];
        for text in bad {
            let got = read(&text);
            assert!(got.is_err(), "{text} read as {got:?}");
        }
    }

    fn common(mut a: u128, mut b: u128) -> u128 {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    }

    proptest! {
        #[test]
        fn a_law_has_one_spelling(n in 1u64..1 << 44, d in 1u64..=1 << 32, f in 2u64..1000) {
            // DOC-1, DOC-12: a text is read exactly if it is what is written.
            let (n, wide) = (u128::from(n), u128::from(d));
            let lowest = common(n, wide) == 1;
            let both = [
                (Mechanism::laplace(n, d), laplace(n, d), laplace(n * u128::from(f), wide * u128::from(f))),
                (Mechanism::gaussian(n, d), gaussian(n, d), gaussian(n * u128::from(f), wide * u128::from(f))),
            ];
            for (mechanism, text, expanded) in both {
                prop_assert!(read(&expanded).is_err(), "{}", expanded);
                match mechanism {
                    Ok(m) => {
                        let written = serde_json_canonicalizer::to_string(&Law(m)).unwrap();
                        prop_assert_eq!(read(&written), Ok(m));
                        prop_assert_eq!(read(&text).is_ok(), lowest, "{}", &text);
                        prop_assert_eq!(written == text, lowest);
                    }
                    Err(_) => prop_assert!(read(&text).is_err(), "{}", text),
                }
            }
        }
    }
}
