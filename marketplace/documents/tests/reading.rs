//! Reading documents: one spelling, three gates (DOC-1, WIRE-3, WIRE-6).

mod support;

use serde_json::{Value, json};
use support::*;
use veilbourse_documents::*;

fn text<T: Document>(s: &Signed<T>) -> Value {
    serde_json::to_value(s).unwrap()
}

fn json_error<T: Document>(text: &str) -> bool {
    matches!(
        Signed::<T>::parse(text.as_bytes()),
        Err(DocumentError::Json { document, .. }) if document == T::TYPE
    )
}

/// Every object below a value, the root included.
fn objects(v: &Value) -> Vec<String> {
    fn walk(v: &Value, at: &str, out: &mut Vec<String>) {
        match v {
            Value::Object(m) => {
                out.push(at.to_owned());
                m.iter()
                    .for_each(|(k, v)| walk(v, &format!("{at}/{k}"), out));
            }
            Value::Array(a) => a
                .iter()
                .enumerate()
                .for_each(|(i, v)| walk(v, &format!("{at}/{i}"), out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(v, "", &mut out);
    out
}

/// Unknown, missing and doubled fields, in every object of a document.
fn strict<T: Document>(good: &Signed<T>) {
    let whole = text(good);
    assert!(Signed::<T>::parse(whole.to_string().as_bytes()).is_ok());
    for object in objects(&whole) {
        let mut more = whole.clone();
        more.pointer_mut(&object).unwrap()["extra"] = json!(1);
        assert!(
            json_error::<T>(&more.to_string()),
            "{} {object}/extra",
            T::TYPE
        );
        let fields: Vec<String> = whole
            .pointer(&object)
            .and_then(Value::as_object)
            .unwrap()
            .keys()
            .cloned()
            .collect();
        for field in fields {
            let mut less = whole.clone();
            let map = less.pointer_mut(&object).unwrap().as_object_mut().unwrap();
            let value = map.remove(&field).unwrap();
            let less_text = less.to_string();
            if field == "sealed_model" {
                // An absent optional field reads as null: the same value, the
                // same canonical form. Here it was something else.
                assert!(
                    matches!(
                        Signed::<T>::parse(less_text.as_bytes()),
                        Err(DocumentError::Signature { .. })
                    ),
                    "{object}/{field}"
                );
            } else {
                assert!(json_error::<T>(&less_text), "{} {object}/{field}", T::TYPE);
            }
            // Twice, both times the same: a mark in the map, replaced in the text.
            let map = less.pointer_mut(&object).unwrap().as_object_mut().unwrap();
            map.insert("@".into(), json!("@"));
            let pair = format!("{}:{value}", json!(field));
            let doubled = less
                .to_string()
                .replace(r#""@":"@""#, &format!("{pair},{pair}"));
            assert!(
                json_error::<T>(&doubled),
                "{} {object}/{field} twice",
                T::TYPE
            );
        }
    }
}

#[test]
fn unknown_missing_and_doubled_fields_are_refused() {
    // DOC-1.
    for custody in Custody::ALL {
        let p = Bodies::good_in(*custody).sign().unwrap();
        strict(&p.policy);
        strict(&p.quote);
        strict(&p.order);
        strict(&p.submission);
        strict(&p.grant);
        p.openings.iter().for_each(strict);
        p.deliveries.iter().for_each(strict);
        strict(&p.refusal);
    }
    let (version, marketplace) = (DOCUMENT_VERSION, marketplace());
    let (dataset, dealing) = (digest(1), digest(2));
    let accepted = DealingAccepted {
        version,
        marketplace,
        dataset,
        dealing,
    };
    strict(&Signed::sign(accepted, &signer(NODE)).unwrap());
    let refused = DealingRefused {
        version,
        marketplace,
        dataset,
        dealing,
        code: "TICKETS".into(),
        reason: "products".into(),
    };
    strict(&Signed::sign(refused, &signer(NODE)).unwrap());
}

#[test]
fn numbers_have_one_spelling() {
    // DOC-1, WIRE-6. 64-bit integers are decimal strings, small ones numbers.
    let p = Bodies::good().sign().unwrap();
    let whole = text(&p.policy);
    let with = |pointer: &str, raw: &str| {
        let mut v = whole.clone();
        *v.pointer_mut(pointer).unwrap() = json!("@@");
        v.to_string().replace(r#""@@""#, raw)
    };
    for raw in [
        r#""01000""#,
        r#""+1000""#,
        r#""-0""#,
        r#""-1000""#,
        r#"" 1000""#,
        r#""1000 ""#,
        r#""1000.0""#,
        r#""1e3""#,
        r#""1_000""#,
        r#""""#,
        r#""0x3e8""#,
        r#""18446744073709551616""#,
        r#""١٠٠٠""#,
        "1000",
        "1000.0",
        "null",
        "true",
        "[\"1000\"]",
    ] {
        let t = with("/body/quota_values", raw);
        assert!(json_error::<Policy>(&t), "quota_values: {raw}");
    }
    for raw in [
        r#""02500""#,
        r#""+2500""#,
        r#""-0""#,
        "2500",
        r#""9223372036854775808""#,
    ] {
        let t = with("/body/price_order", raw);
        assert!(json_error::<Policy>(&t), "price_order: {raw}");
    }
    for raw in [
        "01",
        "+3",
        "3.0",
        "3e0",
        "0x3",
        "-3",
        "4294967296",
        r#""3""#,
        "null",
        "3.5",
    ] {
        let t = with("/body/policy_version", raw);
        assert!(json_error::<Policy>(&t), "policy_version: {raw}");
    }
    assert!(json_error::<Policy>(&with("/body/version", "65537")));
    // The spelling that there is.
    Signed::<Policy>::parse(with("/body/quota_values", r#""1000""#).as_bytes()).unwrap();
}

#[test]
fn digests_keys_bytes_and_ids_have_one_spelling() {
    // DOC-1.
    let p = Bodies::good().sign().unwrap();
    let order = text(&p.order);
    let change = |pointer: &str, f: &dyn Fn(&str) -> String| {
        let mut v = order.clone();
        let at = v.pointer_mut(pointer).unwrap();
        *at = json!(f(at.as_str().unwrap()));
        assert_ne!(v, order, "{pointer}");
        v.to_string()
    };
    for pointer in [
        "/body/dataset",
        "/body/openers/node_key",
        "/signature",
        "/body/pod",
        "/key",
    ] {
        for f in [
            (&|s: &str| s.to_uppercase()) as &dyn Fn(&str) -> String,
            &|s: &str| format!(" {s}"),
            &|s: &str| s[1..].to_owned(),
            &|s: &str| format!("{s}0"),
            &|s: &str| format!("0x{}", &s[2..]),
        ] {
            assert!(json_error::<Order>(&change(pointer, f)), "{pointer}");
        }
    }
    for f in [
        (&|s: &str| s.trim_end_matches('=').to_owned()) as &dyn Fn(&str) -> String,
        &|s: &str| format!("{s}\n"),
        &|s: &str| s.replace(['+', '/'], "-"),
        &|s: &str| format!("{s}===="),
    ] {
        assert!(json_error::<Order>(&change("/body/result_key", f)));
    }
}

#[test]
fn what_is_no_json_is_refused() {
    let whole = Bodies::good().sign().unwrap().grant.text().unwrap();
    for bad in [
        String::new(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        format!("{whole}{whole}"),
        format!("{whole},"),
        format!("\u{feff}{whole}"),
        whole[..whole.len() - 1].to_owned(),
        whole.replace('"', "'"),
    ] {
        assert!(json_error::<Grant>(&bad), "{bad:.40}");
    }
    assert!(matches!(
        Signed::<Grant>::parse(&[0xff, 0xfe, b'{']),
        Err(DocumentError::Json { .. })
    ));
    // Deep nesting ends in a refusal, not in the end of the stack.
    assert!(json_error::<Grant>(&"[".repeat(1 << 20)));
}

#[test]
fn the_first_gate_is_the_size() {
    // WIRE-3: before anything is parsed.
    let whole = Bodies::good().sign().unwrap().grant.text().unwrap();
    let mut padded = whole.into_bytes();
    padded.resize(MAX_DOCUMENT_BYTES, b' ');
    Signed::<Grant>::parse(&padded).unwrap();
    padded.push(b' ');
    assert_eq!(
        Signed::<Grant>::parse(&padded),
        Err(DocumentError::TooLarge {
            document: "grant",
            limit: MAX_DOCUMENT_BYTES as u64,
            value: MAX_DOCUMENT_BYTES as u64 + 1,
        })
    );
    // DOC-11: a receipt carries proofs and may be larger.
    assert_eq!(Receipt::LIMIT, MAX_RECEIPT_BYTES);
    assert!(matches!(
        Signed::<Receipt>::parse(&padded),
        Err(DocumentError::Json { .. })
    ));
}

#[test]
fn a_random_byte_changed_is_never_accepted() {
    // DOC-1: the text of a signed document has no bit that does not count.
    let whole = Bodies::good().sign().unwrap().deliveries[0].text().unwrap();
    for at in 0..whole.len() {
        for bit in [0, 5] {
            let mut t = whole.clone().into_bytes();
            t[at] ^= 1 << bit;
            assert!(
                Signed::<Delivery>::parse(&t).is_err(),
                "byte {at} bit {bit}: {}",
                String::from_utf8_lossy(&t)
            );
        }
    }
}
