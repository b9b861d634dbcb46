//! A consistent chain policy -> quote -> order -> submission -> grant ->
//! delivery, as JSON bodies that a test changes before they are signed. Nothing
//! is proven: these tests are about documents.
#![allow(dead_code)] // each test file uses its part

pub mod changes;

use ed25519_dalek::{Signer, SigningKey};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use veilbourse_core::{
    digest::Digest,
    program::{MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
};
use veilbourse_documents::*;

pub fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

pub fn signer(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn key(k: &SigningKey) -> Key {
    Key(k.verifying_key().to_bytes())
}

pub fn id(n: u8) -> Id {
    Id::parse(&format!("0190a6c8-0000-7000-8000-0000000000{n:02x}")).unwrap()
}

pub fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

/// Who signs what.
pub const MARKETPLACE: u8 = 1;
pub const CUSTODIAN: u8 = 2;
pub const BUYER: u8 = 3;
pub const POD: u8 = 4;
pub const NODE: u8 = 5;
pub const STRANGER: u8 = 9;

pub fn marketplace() -> Digest {
    marketplace_id(&key(&signer(MARKETPLACE)))
}

/// Signs whatever it is given: [`Signed::sign`] refuses bodies that break their
/// own rules, a hostile signer does not. Written from docs/spec/documents.md,
/// not from the code.
pub fn force_sign<T: Document>(body: T, by: &SigningKey) -> Signed<T> {
    let mut message = b"veilbourse v1 ".to_vec();
    message.extend(T::TYPE.as_bytes());
    message.push(b'\n');
    message.extend(serde_json_canonicalizer::to_vec(&body).unwrap());
    Signed {
        key: key(by),
        signature: SignatureText(by.sign(&message).to_bytes()),
        body,
    }
}

pub fn program() -> Program {
    Program {
        version: PROGRAM_VERSION,
        dataset: digest(0xd0),
        vectors: vec![
            WeightVector {
                label: "sum".into(),
                scale_log2: 4,
                weights: Weights::Public {
                    values: vec![3, -1],
                },
            },
            WeightVector {
                label: "score".into(),
                scale_log2: -2,
                weights: Weights::Private {
                    commitment: digest(0xc0),
                    l1_bound: 1000,
                    l2_bound: 2000,
                },
            },
        ],
        outputs: vec![
            ProgramOutput {
                over: MatrixRef::Traced { segment: 0 },
                vector: 0,
            },
            ProgramOutput {
                over: MatrixRef::Chunk {
                    segment: 1,
                    chunk: 2,
                },
                vector: 1,
            },
        ],
    }
}

/// The order of the chain: a change is linked again from the next one on.
pub const CHAIN: [&str; 7] = [
    "policy",
    "quote",
    "order",
    "submission",
    "grant",
    "delivery",
    "non-delivery",
];

/// The bodies, as JSON.
#[derive(Clone)]
pub struct Bodies(pub BTreeMap<&'static str, Value>);

/// The same, signed.
pub struct Papers {
    pub policy: Signed<Policy>,
    pub quote: Signed<Quote>,
    pub order: Signed<Order>,
    pub submission: Signed<Submission>,
    pub grant: Signed<Grant>,
    pub delivery: Signed<Delivery>,
    pub refusal: Signed<NonDelivery>,
}

pub fn sealing_key(seed: u64) -> Bytes {
    Bytes(SealingSecret::generate(&mut rng(seed)).public().unwrap())
}

/// Of the right length, but with coefficients above ML-KEM's modulus.
pub fn unusable_key() -> Bytes {
    Bytes(vec![0xff; SEALING_KEY_BYTES])
}

/// The pod's signature of its sealing key.
pub fn sealing_signature(marketplace: &Digest, key: &Bytes) -> SignatureText {
    let body = MachineRegistration {
        version: DOCUMENT_VERSION,
        marketplace: *marketplace,
        sealing_key: Some(key.clone()),
    };
    Signed::sign(body, &signer(POD)).unwrap().signature
}

fn outputs() -> Vec<SubmittedDigest> {
    (0..2)
        .map(|i| SubmittedDigest {
            ciphertext: digest(0x10 + i),
            envelope: digest(0x20 + i),
        })
        .collect()
}

impl Bodies {
    /// A chain in which everything agrees.
    pub fn good() -> Self {
        let (version, marketplace) = (DOCUMENT_VERSION, marketplace());
        let node_key = key(&signer(NODE));
        let srs = SrsRef {
            digest: digest(0x50),
            provenance: SrsProvenance::Dev,
        };
        let policy = Policy {
            version,
            marketplace,
            listing: id(1),
            dataset: digest(0xd0),
            policy_version: 3,
            custody: Custody::CustodianHeld,
            node_key,
            kinds: vec![QueryKind::AggregatePublic, QueryKind::RowsPrivate],
            min_cohort: 10,
            quota_values: 1000,
            quota_bits: 50_000,
            price_order: 2_500,
            price_output: 250,
            custodian_basis_points: 7_500,
            min_class: EvaluationClass::Proven,
            valid_from: 100,
        };
        let quote = Quote {
            version,
            marketplace,
            id: id(2),
            listing: id(1),
            dataset: digest(0xd0),
            policy: Digest::default(),
            policy_version: 3,
            program: program().shape(),
            pod: PodRef {
                id: id(3),
                signing_key: key(&signer(POD)),
                sealing_key: sealing_key(7),
                sealing_signature: sealing_signature(&marketplace, &sealing_key(7)),
            },
            price: Price {
                total: 3_000,
                fee: 150,
                pod: 500,
                custodian: 2_350,
            },
            verifying_keys: vec![digest(0x40), digest(0x41)],
            srs: srs.clone(),
            custody: Custody::CustodianHeld,
            node_key,
            class: EvaluationClass::Proven,
            expected_seconds: 12,
            expiry: 9_000,
        };
        let order = Order {
            version,
            marketplace,
            quote: Digest::default(),
            listing: id(1),
            dataset: digest(0xd0),
            policy_version: 3,
            program: program(),
            pod: id(3),
            pod_key: key(&signer(POD)),
            custody: Custody::CustodianHeld,
            node_key,
            min_class: EvaluationClass::Proven,
            verifying_keys: vec![digest(0x40), digest(0x41)],
            srs,
            price: 3_000,
            result_key: sealing_key(8),
            nonce: Nonce([0x77; 32]),
            deadline: 10_000,
            sealed_model: Some(digest(0x60)),
        };
        let submission = Submission {
            version,
            marketplace,
            order: Digest::default(),
            outputs: outputs(),
            work: Work {
                weighted_values: 8_192,
                constraints: 65_536,
                bootstraps: 0,
                bytes: 123_456,
            },
        };
        let grant = Grant {
            version,
            marketplace,
            order: Digest::default(),
            policy: Digest::default(),
            submission: Digest::default(),
            outputs: outputs(),
            node_key,
            expires: 8_000,
        };
        let delivery = Delivery {
            version,
            marketplace,
            order: Digest::default(),
            grant: Digest::default(),
            sealed_result: digest(0x70),
            values: 7,
            counter_before: 40,
            counter_after: 47,
        };
        let refusal = NonDelivery {
            version,
            marketplace,
            order: Digest::default(),
            grant: Digest::default(),
            code: "QUOTA".into(),
            reason: "values left 0, needed 7".into(),
            revealed: false,
        };
        let mut all = Self(BTreeMap::from([
            ("policy", json!(policy)),
            ("quote", json!(quote)),
            ("order", json!(order)),
            ("submission", json!(submission)),
            ("grant", json!(grant)),
            ("delivery", json!(delivery)),
            ("non-delivery", json!(refusal)),
        ]));
        all.link_after("").unwrap();
        all
    }

    /// Sets a field.
    pub fn set(&mut self, document: &str, pointer: &str, to: Value) {
        let body = self.0.get_mut(document).unwrap();
        *body
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{document}{pointer}")) = to;
    }

    fn typed<T: Document>(&self, name: &str) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.0[name].clone())
    }

    /// Writes the digests of earlier documents into those after `changed`, as
    /// signers do who were told of the changed document.
    pub fn link_after(&mut self, changed: &str) -> Result<(), serde_json::Error> {
        // -1 for "": every document is after it.
        let at = CHAIN.iter().position(|c| *c == changed);
        let after = |name: &str| CHAIN.iter().position(|c| *c == name) > at;
        macro_rules! digest_of {
            ($name:literal, $t:ty, $by:expr) => {
                json!(
                    force_sign(self.typed::<$t>($name)?, &signer($by))
                        .digest()
                        .unwrap()
                )
            };
        }
        let policy = digest_of!("policy", Policy, CUSTODIAN);
        if after("quote") {
            self.set("quote", "/policy", policy.clone());
        }
        let quote = digest_of!("quote", Quote, MARKETPLACE);
        if after("order") {
            self.set("order", "/quote", quote);
        }
        let order = digest_of!("order", Order, BUYER);
        for name in ["submission", "grant", "delivery", "non-delivery"] {
            if after(name) {
                self.set(name, "/order", order.clone());
            }
        }
        let submission = digest_of!("submission", Submission, POD);
        if after("grant") {
            self.set("grant", "/policy", policy);
            self.set("grant", "/submission", submission);
        }
        let grant = digest_of!("grant", Grant, MARKETPLACE);
        for name in ["delivery", "non-delivery"] {
            if after(name) {
                self.set(name, "/grant", grant.clone());
            }
        }
        Ok(())
    }

    /// Signs every body by the key that must sign it.
    pub fn sign(&self) -> Result<Papers, serde_json::Error> {
        Ok(Papers {
            policy: force_sign(self.typed("policy")?, &signer(CUSTODIAN)),
            quote: force_sign(self.typed("quote")?, &signer(MARKETPLACE)),
            order: force_sign(self.typed("order")?, &signer(BUYER)),
            submission: force_sign(self.typed("submission")?, &signer(POD)),
            grant: force_sign(self.typed("grant")?, &signer(MARKETPLACE)),
            delivery: force_sign(self.typed("delivery")?, &signer(NODE)),
            refusal: force_sign(self.typed("non-delivery")?, &signer(NODE)),
        })
    }
}

impl Papers {
    /// Everything that [`Chain`] checks, under a pinned marketplace key.
    pub fn check_under(&self, marketplace: &Key) -> Result<(), DocumentError> {
        let chain = Chain {
            marketplace,
            policy: &self.policy,
            quote: &self.quote,
            order: &self.order,
        };
        let order = chain.check()?;
        assert_eq!(order, self.order.digest()?);
        let submission = chain.check_submission(&self.submission)?;
        assert_eq!(submission, self.submission.digest()?);
        let grant = chain.check_grant(&self.submission, &self.grant)?;
        assert_eq!(grant, self.grant.digest()?);
        chain.check_delivery(&self.grant, &self.delivery)?;
        chain.check_non_delivery(&self.grant, &self.refusal)?;
        Ok(())
    }

    pub fn check(&self) -> Result<(), DocumentError> {
        self.check_under(&key(&signer(MARKETPLACE)))
    }
}

/// Pointers to every scalar of a JSON value.
pub fn leaves(v: &Value) -> Vec<String> {
    fn walk(v: &Value, at: &str, out: &mut Vec<String>) {
        match v {
            Value::Object(m) => m
                .iter()
                .for_each(|(k, v)| walk(v, &format!("{at}/{k}"), out)),
            Value::Array(a) => a
                .iter()
                .enumerate()
                .for_each(|(i, v)| walk(v, &format!("{at}/{i}"), out)),
            _ => out.push(at.to_owned()),
        }
    }
    let mut out = Vec::new();
    walk(v, "", &mut out);
    out
}
