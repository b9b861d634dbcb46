//! What is signed over, by which keys, and the digest that others link to
//! (DOC-1, DOC-2).

mod support;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::*;
use veilbourse_core::digest::{Digest, Domain};
use veilbourse_documents::*;

fn registration() -> KeyRegistration {
    KeyRegistration {
        version: DOCUMENT_VERSION,
        marketplace: marketplace(),
        account: id(1),
    }
}

fn signed() -> Signed<KeyRegistration> {
    Signed::sign(registration(), &signer(BUYER)).unwrap()
}

fn bad_signature<T: Document>(s: &Signed<T>) -> bool {
    matches!(s.verify(), Err(DocumentError::Signature { document }) if document == T::TYPE)
}

#[test]
fn known_answer() {
    // DOC-1. Canonical text, digest and signature of the key [3; 32].
    let s = signed();
    assert_eq!(s.text().unwrap(), KNOWN_TEXT);
    assert_eq!(s.digest().unwrap().to_string(), KNOWN_DIGEST);
    assert_eq!(
        Signed::<KeyRegistration>::parse(KNOWN_TEXT.as_bytes()).unwrap(),
        s
    );
    // The digest by hand: signer's key, then the canonical body.
    let mut bytes = s.key.0.to_vec();
    bytes.extend(KNOWN_BODY.as_bytes());
    assert_eq!(
        Digest::of(
            Domain::Other("veilbourse v1 document key-registration"),
            &bytes
        ),
        s.digest().unwrap()
    );
    assert!(KNOWN_TEXT.contains(KNOWN_BODY));
}

#[test]
fn another_key_or_signature_is_refused() {
    let good = signed();
    good.verify_by(&marketplace(), &key(&signer(BUYER)))
        .unwrap();
    let mut other = good.clone();
    other.key = key(&signer(STRANGER));
    assert!(bad_signature(&other));
    for at in 0..64 {
        for bit in [0, 7] {
            let mut flipped = good.clone();
            flipped.signature.0[at] ^= 1 << bit;
            assert!(bad_signature(&flipped), "byte {at} bit {bit}");
        }
    }
    let mut zero = good.clone();
    zero.signature = SignatureText([0; 64]);
    assert!(bad_signature(&zero));
}

#[test]
fn the_second_signature_of_the_same_key_is_refused() {
    // S + L verifies where S is not checked to be reduced: no malleability.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut s = signed();
    let mut carry = 0u16;
    for (byte, l) in s.signature.0[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(bad_signature(&s));
}

#[test]
fn weak_keys_sign_nothing() {
    // Points of small order: one signature holds for many messages under them.
    let small = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];
    for weak in small {
        let mut s = signed();
        s.key = Key::from_hex(weak).unwrap();
        // R the identity and S = 0: holds under the identity as key without the
        // strict rules.
        s.signature = SignatureText([0; 64]);
        s.signature.0[0] = 1;
        assert_eq!(
            s.verify(),
            Err(DocumentError::Key {
                document: "key-registration"
            }),
            "{weak}"
        );
    }
    // Not on the curve at all.
    let off = (2u8..).map(|y| {
        let mut k = [0; 32];
        k[0] = y;
        k
    });
    let off = off
        .take(50)
        .find(|k| ed25519_dalek::VerifyingKey::from_bytes(k).is_err())
        .unwrap();
    let mut s = signed();
    s.key = Key(off);
    assert!(matches!(s.verify(), Err(DocumentError::Key { .. })));
}

/// The same fields as a key registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Twin {
    version: u16,
    marketplace: Digest,
    account: Id,
}

impl Document for Twin {
    const TYPE: &'static str = "twin";
    const CONTEXT: &'static str = "veilbourse v1 document twin";
    fn version(&self) -> u16 {
        self.version
    }
    fn marketplace(&self) -> Digest {
        self.marketplace
    }
}

#[test]
fn no_document_passes_for_another_type() {
    // DOC-1: the same bytes as body, but the type's name is under the signature
    // and in the digest.
    let twin = Signed::sign(
        Twin {
            version: DOCUMENT_VERSION,
            marketplace: marketplace(),
            account: id(1),
        },
        &signer(BUYER),
    )
    .unwrap();
    twin.verify().unwrap();
    let posing = Signed {
        body: registration(),
        key: twin.key,
        signature: twin.signature,
    };
    assert!(bad_signature(&posing));
    assert_ne!(twin.digest().unwrap(), signed().digest().unwrap());
    let text = twin.text().unwrap();
    assert_eq!(
        Signed::<KeyRegistration>::parse(text.as_bytes()),
        Err(DocumentError::Signature {
            document: "key-registration"
        })
    );
}

#[test]
fn other_versions_are_refused_before_anything_else() {
    // DOC-2.
    for found in [0, 2, u16::MAX] {
        let mut body = registration();
        body.version = found;
        let s = force_sign(body, &signer(BUYER));
        assert_eq!(
            s.verify(),
            Err(DocumentError::Version {
                document: "key-registration",
                expected: 1,
                found
            })
        );
    }
}

#[test]
fn of_another_marketplace_is_refused() {
    // DOC-2.
    let s = signed();
    let expected = digest(0xaa);
    assert_eq!(
        s.verify_for(&expected),
        Err(DocumentError::Marketplace {
            document: "key-registration",
            expected,
            found: marketplace()
        })
    );
    // The id is the digest of the marketplace's key.
    assert_ne!(marketplace(), marketplace_id(&key(&signer(BUYER))));
    let by = s.verify_by(&marketplace(), &key(&signer(STRANGER)));
    assert!(matches!(by, Err(DocumentError::Signer { .. })), "{by:?}");
}

#[test]
fn the_digest_is_of_who_said_what() {
    // DOC-1: whatever the spacing and the order of fields; not of the signature.
    let s = signed();
    let value: Value = serde_json::from_str(&s.text().unwrap()).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    let turned = format!(
        r#" {{ "signature": {}, "key" : {}, "body": {{ "account": {}, "version": 1, "marketplace": {} }} }} "#,
        value["signature"], value["key"], value["body"]["account"], value["body"]["marketplace"]
    );
    for text in [pretty, turned] {
        let read = Signed::<KeyRegistration>::parse(text.as_bytes()).unwrap();
        assert_eq!(read.digest().unwrap(), s.digest().unwrap());
        assert_eq!(read.text().unwrap(), s.text().unwrap());
    }
    let other = Signed::sign(registration(), &signer(STRANGER)).unwrap();
    assert_ne!(other.digest().unwrap(), s.digest().unwrap());
    let mut unsigned = s.clone();
    unsigned.signature = SignatureText([0; 64]);
    assert_eq!(unsigned.digest().unwrap(), s.digest().unwrap());
    let mut body = registration();
    body.account = id(2);
    let said = Signed::sign(body, &signer(BUYER)).unwrap();
    assert_ne!(said.digest().unwrap(), s.digest().unwrap());
}

#[test]
fn a_body_that_breaks_its_rules_is_not_signed() {
    let mut b = Bodies::good();
    b.set("policy", "/min_cohort", json!("1"));
    let body: Policy = serde_json::from_value(b.0["policy"].clone()).unwrap();
    assert!(matches!(
        Signed::sign(body, &signer(CUSTODIAN)),
        Err(DocumentError::Invalid {
            document: "policy",
            field: "min_cohort",
            ..
        })
    ));
}

const KNOWN_BODY: &str = r#"{"account":"0190a6c8-0000-7000-8000-000000000001","marketplace":"d0dc5a3d96d41197aade7ea5708ce843874dade7a339d7e03851fb16162f2833","version":1}"#;
const KNOWN_TEXT: &str = r#"{"body":{"account":"0190a6c8-0000-7000-8000-000000000001","marketplace":"d0dc5a3d96d41197aade7ea5708ce843874dade7a339d7e03851fb16162f2833","version":1},"key":"ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1","signature":"a24c7e0d305b04c9b7e4d09fd7004154dbdf2a1f7f3e5e83a672082bf07527c0b54e0a1523b5488283b226d2bc0b1947c468e2b8dfebe42d3f49e1092ae0a90d"}"#;
const KNOWN_DIGEST: &str = "7f1f0d2d5ab02ca9aaef29e962e363a61695ce47e287b63491e0db95a0c2f149";
