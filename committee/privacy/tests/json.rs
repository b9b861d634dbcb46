//! JSON forms (PRV-12): what is written is read back, and nothing else is.

use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;
use veilbourse_privacy::{MAX_SENSITIVITY, Mechanism, Rational, Rho, Scale, Sensitivity, Variance};

fn again<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Value {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn refused<T: DeserializeOwned + Debug>(text: &str, expected: &str) {
    let e = serde_json::from_str::<T>(text).unwrap_err().to_string();
    assert!(e.contains(expected), "{text}: {e}");
}

/// Other spellings of one decimal text.
fn respelled(text: &str) -> Vec<Value> {
    vec![
        json!(format!("0{text}")),
        json!(format!("+{text}")),
        json!(format!(" {text}")),
        json!(format!("{text} ")),
        json!(format!("{text}.0")),
        json!(format!("-{text}")),
        json!([text]),
        json!({ "0": text }),
        serde_json::from_str(text).unwrap(),
        Value::Null,
    ]
}

fn fraction() -> impl Strategy<Value = (u128, u64)> {
    (0..96u32, any::<u128>(), 0..33u32, any::<u64>()).prop_map(|(b, n, c, d)| {
        let numerator = (n & ((1 << b) - 1)) | (1 << b);
        (numerator, (d & ((1u64 << c) - 1)).max(1))
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_no_second_spelling(
        (n, d) in fraction(),
        units in any::<u64>(),
        s in 0..=MAX_SENSITIVITY,
        factor in 2..1000u64,
    ) {
        // PRV-12.
        let written = again(&Rho::from_units(units));
        prop_assert_eq!(&written, &json!(units.to_string()));
        for other in respelled(written.as_str().unwrap()) {
            prop_assert!(serde_json::from_value::<Rho>(other).is_err());
        }
        let written = again(&Sensitivity::new(u128::from(s)).unwrap());
        prop_assert_eq!(&written, &json!(s.to_string()));
        for other in respelled(written.as_str().unwrap()) {
            prop_assert!(serde_json::from_value::<Sensitivity>(other).is_err());
        }
        again(&Rational::new("x", n, d).unwrap());
        for m in [Mechanism::laplace(n, d), Mechanism::gaussian(n, d)].into_iter().flatten() {
            let written = again(&m);
            let (field, value) = match m {
                Mechanism::DiscreteLaplace { scale } => ("scale", scale.value()),
                Mechanism::DiscreteGaussian { variance } => ("variance", variance.value()),
                Mechanism::None => unreachable!(),
            };
            let (n, d) = (value.numerator().to_string(), value.denominator().to_string());
            prop_assert_eq!(&written[field], &json!({ "numerator": &n, "denominator": &d }));
            let mut others = Vec::new();
            for (name, text) in [("numerator", &n), ("denominator", &d)] {
                for other in respelled(text) {
                    let mut o = written.clone();
                    o[field][name] = other;
                    others.push(o);
                }
                let mut o = written.clone();
                o[field].as_object_mut().unwrap().remove(name);
                others.push(o);
            }
            // The same fraction, not in lowest terms.
            let mut o = written.clone();
            o[field] = json!({
                "numerator": (value.numerator() * u128::from(factor)).to_string(),
                "denominator": (value.denominator() * factor).to_string(),
            });
            others.push(o);
            // A list for an object, a field more, a field less, the other's field.
            let mut o = written.clone();
            o[field] = json!([&n, &d]);
            others.push(o);
            for more in ["unit", "scale", "variance"].into_iter().filter(|m| *m != field) {
                let mut o = written.clone();
                o[more] = o[field].clone();
                others.push(o);
            }
            let mut o = written.clone();
            o[field]["unit"] = json!("1");
            others.push(o);
            for less in ["kind", field] {
                let mut o = written.clone();
                o.as_object_mut().unwrap().remove(less);
                others.push(o);
            }
            others.push(json!([written["kind"], written[field]]));
            for o in others {
                let text = o.to_string();
                prop_assert!(serde_json::from_value::<Mechanism>(o).is_err(), "{}", text);
            }
        }
    }
}

#[test]
fn mechanisms_are_spelled_as_documents_spell() {
    // PRV-12.
    assert_eq!(again(&Mechanism::None), json!({ "kind": "none" }));
    assert_eq!(
        again(&Mechanism::laplace(6, 4).unwrap()),
        json!({ "kind": "discrete_laplace", "scale": { "numerator": "3", "denominator": "2" } })
    );
    assert_eq!(
        again(&Mechanism::gaussian(1 << 96, 1).unwrap()),
        json!({ "kind": "discrete_gaussian",
            "variance": { "numerator": "79228162514264337593543950336", "denominator": "1" } })
    );
    again(&Scale::new(1, 1 << 10).unwrap());
    again(&Variance::new(1, 1 << 20).unwrap());
}

#[test]
fn what_no_writer_writes_is_refused_by_name() {
    // PRV-12, PRV-2.
    let m = refused::<Mechanism>;
    m(
        r#"{"kind":"none","scale":{"numerator":"1","denominator":"1"}}"#,
        "unknown field `scale`",
    );
    m(
        r#"{"kind":"none","variance":{"numerator":"1","denominator":"1"}}"#,
        "unknown field `variance`",
    );
    m(r#"{"kind":"none","kind":"none"}"#, "duplicate field `kind`");
    m(r#"{"kind":"uniform"}"#, "unknown variant `uniform`");
    m(r#"{"kind":"None"}"#, "unknown variant `None`");
    m(r#"{}"#, "missing field `kind`");
    m(r#"["none"]"#, "invalid type");
    m(r#""none""#, "invalid type");
    m(r#"{"kind":"discrete_laplace"}"#, "missing field `scale`");
    m(
        r#"{"kind":"discrete_gaussian"}"#,
        "missing field `variance`",
    );
    m(r#"{"kind":"discrete_laplace","scale":"3"}"#, "invalid type");
    m(
        r#"{"kind":"discrete_laplace","scale":{"numerator":"2","denominator":"4"}}"#,
        "2/4 is not in lowest terms",
    );
    m(
        r#"{"kind":"discrete_laplace","scale":{"numerator":"2","numerator":"3","denominator":"1"}}"#,
        "duplicate field `numerator`",
    );
    m(
        r#"{"kind":"discrete_laplace","scale":{"numerator":"1","denominator":"0"}}"#,
        "the denominator 0 is not within",
    );
    m(
        r#"{"kind":"discrete_laplace","scale":{"numerator":"1","denominator":"1025"}}"#,
        "is below the limit 2^-10",
    );
    m(
        r#"{"kind":"discrete_gaussian","variance":{"numerator":"79228162514264337593543950337","denominator":"1"}}"#,
        "exceeds the limit 2^96",
    );
    refused::<Rational>(
        r#"{"numerator":"0","denominator":"2"}"#,
        "0/2 is not in lowest terms",
    );
    refused::<Rational>(r#"["1","2"]"#, "invalid type");
    refused::<Sensitivity>(r#""4611686018427387905""#, "exceeds the limit");
    refused::<Rho>(r#""18446744073709551616""#, "expected a decimal integer");
    refused::<Rho>("7", "invalid type");
}
