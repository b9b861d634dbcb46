//! The documents of an order: everything agrees, whatever terms a test sets.

use super::{NOW, World, id, key, rng, signer, srs};
use veilbourse_core::{digest::Digest, manifest::Manifest, program::Program};
use veilbourse_documents::{
    Bytes, DOCUMENT_VERSION, EvaluationClass, Grant, Key, MachineRegistration, Nonce, Opener,
    Openers, Order, PodRef, Policy, Price, QueryKind, Quote, SealingSecret, Signed, SigningKey,
    SrsRef, Submission, SubmittedDigest, Tickets, Work, api::NodeJob, marketplace_id,
};
use veilbourse_node::Parts;
use veilbourse_verifier::Envelope;

pub const MARKETPLACE: u8 = 1;
pub const CUSTODIAN: u8 = 2;
pub const BUYER: u8 = 3;
pub const POD: u8 = 4;
pub const NODE: u8 = 5;
pub const STRANGER: u8 = 9;

/// What a test may choose.
#[derive(Clone)]
pub struct Terms {
    pub manifest: Manifest,
    pub program: Program,
    pub dataset: Digest,
    pub marketplace: SigningKey,
    pub custodian: SigningKey,
    pub openers: Openers,
    pub opener: Opener,
    pub number: u32,
    pub tickets: Option<Tickets>,
    pub ticket_class: Option<Digest>,
    pub joint: Vec<Digest>,
    pub buyer: SigningKey,
    pub listing: u8,
    pub policy_version: u32,
    pub kinds: Vec<QueryKind>,
    pub min_cohort: u64,
    pub quota_values: u64,
    pub quota_bits: u64,
    pub valid_from: u64,
    pub price_order: i64,
    pub verifying_keys: Vec<Digest>,
    pub srs: SrsRef,
    pub nonce: u8,
    pub expires: u64,
    /// Seed of the result key.
    pub result: u64,
}

/// Policy, quote and order.
#[derive(Clone)]
pub struct Papers {
    pub policy: Signed<Policy>,
    pub quote: Signed<Quote>,
    pub order: Signed<Order>,
}

/// A job with its parts, and what they are.
#[derive(Clone)]
pub struct Case {
    pub terms: Terms,
    pub job: NodeJob,
    pub parts: Parts,
}

impl Terms {
    /// Terms under which the node delivers.
    pub fn of(world: &World, program: Program) -> Self {
        Self {
            manifest: world.dataset.manifest.clone(),
            program,
            dataset: world.root,
            marketplace: signer(MARKETPLACE),
            custodian: signer(CUSTODIAN),
            openers: Openers::CustodianHeld {
                node_key: key(&signer(NODE)),
            },
            opener: Opener::CustodianHeld {
                node_key: key(&signer(NODE)),
            },
            number: 0,
            tickets: None,
            ticket_class: None,
            joint: Vec::new(),
            buyer: signer(BUYER),
            listing: 1,
            policy_version: 3,
            kinds: vec![QueryKind::AggregatePublic, QueryKind::RowsPublic],
            min_cohort: 10,
            quota_values: 10_000,
            quota_bits: 1_000_000,
            valid_from: NOW - 1000,
            price_order: 3_000,
            verifying_keys: Vec::new(),
            srs: srs(),
            nonce: 1,
            expires: NOW + 1000,
            result: 100,
        }
    }

    /// In custodian-held custody, by another node.
    pub fn held_by(&mut self, node_key: Key) {
        self.openers = Openers::CustodianHeld { node_key };
        self.opener = Opener::CustodianHeld { node_key };
    }

    pub fn result_secret(&self) -> SealingSecret {
        SealingSecret::generate(&mut rng(self.result))
    }

    pub fn papers(&self) -> Papers {
        let (version, marketplace) = (DOCUMENT_VERSION, marketplace_id(&key(&self.marketplace)));
        let policy = Signed::sign(
            Policy {
                version,
                marketplace,
                listing: id(self.listing),
                dataset: self.dataset,
                policy_version: self.policy_version,
                openers: self.openers.clone(),
                tickets: self.tickets.clone(),
                kinds: self.kinds.clone(),
                min_cohort: self.min_cohort,
                quota_values: self.quota_values,
                quota_bits: self.quota_bits,
                price_order: self.price_order,
                price_output: 0,
                custodian_basis_points: 7_500,
                min_class: EvaluationClass::Proven,
                valid_from: self.valid_from,
            },
            &self.custodian,
        )
        .unwrap();
        let sealing = SealingSecret::generate(&mut rng(200)).public().unwrap();
        let registration = MachineRegistration {
            version,
            marketplace,
            sealing_key: Some(Bytes(sealing.clone())),
        };
        let registration = Signed::sign(registration, &signer(POD)).unwrap();
        let quote = Signed::sign(
            Quote {
                version,
                marketplace,
                id: id(2),
                listing: id(self.listing),
                dataset: self.dataset,
                policy: policy.digest().unwrap(),
                policy_version: self.policy_version,
                program: self.program.shape(),
                pod: PodRef {
                    id: id(3),
                    signing_key: key(&signer(POD)),
                    sealing_signature: registration.signature,
                    sealing_key: Bytes(sealing),
                },
                price: Price {
                    total: 3_000,
                    fee: 150,
                    pod: 500,
                    custodian: 2_350,
                },
                verifying_keys: self.verifying_keys.clone(),
                srs: self.srs.clone(),
                openers: self.openers.clone(),
                ticket_class: self.ticket_class,
                class: EvaluationClass::Proven,
                expected_seconds: 5,
                expiry: NOW + 5_000,
            },
            &self.marketplace,
        )
        .unwrap();
        let order = Signed::sign(
            Order {
                version,
                marketplace,
                quote: quote.digest().unwrap(),
                listing: id(self.listing),
                dataset: self.dataset,
                policy_version: self.policy_version,
                program: self.program.clone(),
                pod: id(3),
                pod_key: key(&signer(POD)),
                openers: self.openers.clone(),
                ticket_class: self.ticket_class,
                joint: self.joint.clone(),
                min_class: EvaluationClass::Proven,
                verifying_keys: self.verifying_keys.clone(),
                srs: self.srs.clone(),
                price: 3_000,
                result_key: Bytes(self.result_secret().public().unwrap()),
                // No seed of a key is these bytes.
                nonce: Nonce([self.nonce.wrapping_add(100); 32]),
                deadline: NOW + 10_000,
                sealed_model: None,
            },
            &self.buyer,
        )
        .unwrap();
        Papers {
            policy,
            quote,
            order,
        }
    }

    /// The job over outputs of whatever digests.
    pub fn job(&self, outputs: Vec<SubmittedDigest>) -> NodeJob {
        let Papers {
            policy,
            quote,
            order,
        } = self.papers();
        let (version, marketplace) = (DOCUMENT_VERSION, order.body.marketplace);
        let submission = Signed::sign(
            Submission {
                version,
                marketplace,
                order: order.digest().unwrap(),
                outputs: outputs.clone(),
                work: Work {
                    weighted_values: 24_576,
                    ..Work::default()
                },
            },
            &signer(POD),
        )
        .unwrap();
        let grant = Signed::sign(
            Grant {
                version,
                marketplace,
                order: order.digest().unwrap(),
                policy: policy.digest().unwrap(),
                submission: submission.digest().unwrap(),
                outputs,
                number: self.number,
                opener: self.opener.clone(),
                expires: self.expires,
            },
            &self.marketplace,
        )
        .unwrap();
        NodeJob {
            order_id: id(4),
            manifest: self.manifest.clone(),
            policy,
            quote,
            order,
            submission,
            grant,
        }
    }

    /// A job that never comes as far as its outputs.
    pub fn unproven(&self) -> Case {
        let none = SubmittedDigest {
            ciphertext: Digest::default(),
            envelope: Digest::default(),
        };
        Case {
            job: self.job(vec![none; self.program.outputs.len()]),
            parts: Parts::default(),
            terms: self.clone(),
        }
    }

    /// A job with outputs given as bytes.
    pub fn with_parts(&self, parts: Parts) -> Case {
        let outputs = parts
            .ciphertexts
            .iter()
            .zip(&parts.envelopes)
            .map(|(ciphertext, envelope)| SubmittedDigest {
                // Over the canonical bytes (LES-3).
                ciphertext: Digest::of(veilbourse_core::digest::Domain::Output, ciphertext),
                envelope: Envelope::digest(envelope),
            })
            .collect();
        Case {
            job: self.job(outputs),
            parts,
            terms: self.clone(),
        }
    }

    /// An honest pod's job.
    pub fn proven(&self, world: &World) -> Case {
        let order = self.papers().order.digest().unwrap();
        self.with_parts(world.prove(&self.program, order))
    }
}

impl Case {
    pub fn order(&self) -> Digest {
        self.job.order.digest().unwrap()
    }
    pub fn grant(&self) -> Digest {
        self.job.grant.digest().unwrap()
    }
    /// The same order with another grant of the marketplace's, that ends later.
    pub fn granted_again(&self) -> Self {
        let mut terms = self.terms.clone();
        terms.expires += 1;
        Self {
            job: terms.job(self.job.grant.body.outputs.clone()),
            terms,
            parts: self.parts.clone(),
        }
    }
}
