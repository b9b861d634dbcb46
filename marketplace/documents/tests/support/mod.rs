//! A consistent chain policy -> quote -> order -> submission -> grant ->
//! (opening ->) delivery in either custody, as JSON bodies that a test changes
//! before they are signed. Nothing is proven: these tests are about documents.
//!
//! Over 500 lines: one chain, a literal a document.
#![allow(dead_code)] // each test file uses its part

pub mod changes;
pub mod committee;

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
use veilbourse_protocol::binding::{Binding, OutputBinding};

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
/// Custody by a committee alone has openings.
const CHAIN: [&str; 8] = [
    "policy",
    "quote",
    "order",
    "submission",
    "grant",
    "opening",
    "delivery",
    "non-delivery",
];

/// Values of each output of [`program`].
pub const VALUES: [u32; 2] = [1, 6];

/// The documents of a chain.
pub fn chain(custody: Custody) -> impl Iterator<Item = &'static str> {
    let opened = custody == Custody::Committee;
    CHAIN.into_iter().filter(move |d| opened || *d != "opening")
}

/// The bodies, as JSON.
#[derive(Clone)]
pub struct Bodies(pub BTreeMap<&'static str, Value>);

/// The same, signed; of openings and deliveries one a node.
#[derive(Clone)]
pub struct Papers {
    pub policy: Signed<Policy>,
    pub quote: Signed<Quote>,
    pub order: Signed<Order>,
    pub submission: Signed<Submission>,
    pub grant: Signed<Grant>,
    pub openings: Vec<Signed<Opening>>,
    pub deliveries: Vec<Signed<Delivery>>,
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
    /// A chain in which everything agrees, custodian-held.
    pub fn good() -> Self {
        Self::good_in(Custody::CustodianHeld)
    }

    /// The same in either custody.
    pub fn good_in(custody: Custody) -> Self {
        let (version, marketplace) = (DOCUMENT_VERSION, marketplace());
        let held = custody == Custody::CustodianHeld;
        let node_key = key(&signer(NODE));
        let (openers, opener) = match custody {
            Custody::CustodianHeld => (
                Openers::CustodianHeld { node_key },
                Opener::CustodianHeld { node_key },
            ),
            Custody::Committee => (committee::openers(), committee::opener()),
        };
        let tickets = (!held).then(committee::tickets);
        let ticket_class = (!held).then(|| committee::digest_of(&committee::noisy()));
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
            openers: openers.clone(),
            tickets,
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
            openers: openers.clone(),
            ticket_class,
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
            openers,
            ticket_class,
            // The second is this order's own.
            joint: match custody {
                Custody::CustodianHeld => vec![],
                Custody::Committee => vec![digest(0), digest(0x80), digest(0xff)],
            },
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
            number: 0,
            opener,
            expires: 8_000,
        };
        let opening = Opening {
            version,
            marketplace,
            order: Digest::default(),
            grant: Digest::default(),
            session: Digest::default(),
            attempt: 2,
            first_ticket: committee::FIRST + 50,
            values: 7,
            opened: digest(0x90),
        };
        let delivery = Delivery {
            version,
            marketplace,
            order: Digest::default(),
            grant: Digest::default(),
            session: (!held).then(Digest::default),
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
        if !held {
            all.0.insert("opening", json!(opening));
        }
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
            self.set("order", "/quote", quote.clone());
            if self.0["order"].pointer("/joint/1").is_some() {
                self.set("order", "/joint/1", quote);
            }
        }
        let order = digest_of!("order", Order, BUYER);
        for name in ["submission", "grant", "opening", "delivery", "non-delivery"] {
            if after(name) && self.0.contains_key(name) {
                self.set(name, "/order", order.clone());
            }
        }
        let submission = digest_of!("submission", Submission, POD);
        if after("grant") {
            self.set("grant", "/policy", policy);
            self.set("grant", "/submission", submission);
        }
        let grant = digest_of!("grant", Grant, MARKETPLACE);
        for name in ["opening", "delivery", "non-delivery"] {
            if after(name) && self.0.contains_key(name) {
                self.set(name, "/grant", grant.clone());
            }
        }
        if self.0.contains_key("opening") {
            if after("opening") {
                let session = self.session()?;
                self.set("opening", "/session", session);
            }
            if after("delivery") {
                let session = self.0["opening"]["session"].clone();
                self.set("delivery", "/session", session);
            }
        }
        Ok(())
    }

    /// OPN-4 by hand, from the documents as they are: a chain that does not hold
    /// has a session too.
    fn session(&self) -> Result<Value, serde_json::Error> {
        let papers = self.sign()?;
        let grant = &papers.grant.body;
        let Opener::Committee { quorum, dealing } = &grant.opener else {
            return Ok(json!(Digest::default()));
        };
        let opening: Opening = self.typed("opening")?;
        let mut first_ticket = opening.first_ticket;
        let outputs = grant.outputs.iter().zip(VALUES).zip(0..);
        let outputs = outputs.map(|((o, values), output)| {
            let bound = OutputBinding {
                output,
                ciphertext: o.ciphertext,
                first_ticket,
                values,
            };
            first_ticket += u64::from(values);
            bound
        });
        let binding = Binding {
            outputs: outputs.collect(),
            dataset: papers.order.body.dataset,
            order: papers.order.digest().unwrap(),
            grant: papers.grant.digest().unwrap(),
            policy: papers.policy.digest().unwrap(),
            quorum: quorum.clone(),
            dealing: *dealing,
            class: papers.order.body.ticket_class.unwrap_or_default(),
            attempt: opening.attempt,
        };
        Ok(json!(binding.digest()))
    }

    /// Signs every body by the key that must sign it.
    pub fn sign(&self) -> Result<Papers, serde_json::Error> {
        let opening = match self.0.contains_key("opening") {
            true => Some(self.typed::<Opening>("opening")?),
            false => None,
        };
        // A quorum's nodes, or the one.
        let nodes: &[u8] = match opening {
            Some(_) => &committee::SIGNERS,
            None => &[NODE],
        };
        let delivery: Delivery = self.typed("delivery")?;
        let openings = nodes.iter().filter_map(|n| {
            let body = opening.clone()?;
            Some(force_sign(body, &signer(*n)))
        });
        let deliveries = nodes.iter();
        let deliveries = deliveries.map(|n| force_sign(delivery.clone(), &signer(*n)));
        Ok(Papers {
            policy: force_sign(self.typed("policy")?, &signer(CUSTODIAN)),
            quote: force_sign(self.typed("quote")?, &signer(MARKETPLACE)),
            order: force_sign(self.typed("order")?, &signer(BUYER)),
            submission: force_sign(self.typed("submission")?, &signer(POD)),
            grant: force_sign(self.typed("grant")?, &signer(MARKETPLACE)),
            openings: openings.collect(),
            deliveries: deliveries.collect(),
            refusal: force_sign(self.typed("non-delivery")?, &signer(NODE)),
        })
    }
}

impl Papers {
    /// The three that everything else is checked against.
    pub fn chain<'a>(&'a self, marketplace: &'a Key) -> Chain<'a> {
        Chain {
            marketplace,
            policy: &self.policy,
            quote: &self.quote,
            order: &self.order,
        }
    }

    /// Everything that [`Chain`] checks, under a pinned marketplace key.
    pub fn check_under(&self, marketplace: &Key) -> Result<(), DocumentError> {
        let chain = self.chain(marketplace);
        let order = chain.check()?;
        assert_eq!(order, self.order.digest()?);
        let submission = chain.check_submission(&self.submission)?;
        assert_eq!(submission, self.submission.digest()?);
        let grant = chain.check_grant(&self.submission, &self.grant)?;
        assert_eq!(grant, self.grant.digest()?);
        for o in &self.openings {
            let opening = chain.check_opening(&self.grant, &VALUES, o)?;
            assert_eq!(opening, o.digest()?);
        }
        for (i, d) in self.deliveries.iter().enumerate() {
            let delivery = chain.check_delivery(&self.grant, self.openings.get(i), d)?;
            assert_eq!(delivery, d.digest()?);
        }
        chain.check_results(&self.grant, &VALUES, &self.openings, &self.deliveries)?;
        chain.check_non_delivery(&self.grant, &self.refusal)?;
        Ok(())
    }

    pub fn check(&self) -> Result<(), DocumentError> {
        self.check_under(&key(&signer(MARKETPLACE)))
    }
}

/// Pointers to every scalar of a JSON value, and to what is empty.
pub fn leaves(v: &Value) -> Vec<String> {
    fn walk(v: &Value, at: &str, out: &mut Vec<String>) {
        match v {
            Value::Object(m) => m
                .iter()
                .for_each(|(k, v)| walk(v, &format!("{at}/{k}"), out)),
            Value::Array(a) if !a.is_empty() => a
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
