//! A receipt of a true order, made once for each test program.
#![allow(dead_code)] // each test file uses its part

use crate::support::{terms::*, *};
use std::sync::OnceLock;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Assurance, Bytes, Custody, DOCUMENT_VERSION, DecryptionClass, Delivery, EvaluationClass,
    OpenedResult, Receipt, ReceiptOutput, Settlement, Signed, marketplace_id,
};
use veilbourse_node::Outcome;
use veilbourse_verify::{ReceiptRefusal, Report, Trust, verify_receipt};

/// A delivered order and its receipt.
pub struct Done {
    pub world: World,
    pub case: Case,
    pub opened: OpenedResult,
    pub sealed_result: Vec<u8>,
    pub receipt: Receipt,
    pub text: String,
}

pub fn done() -> &'static Done {
    static DONE: OnceLock<Done> = OnceLock::new();
    DONE.get_or_init(|| {
        let world = World::new();
        let case = Terms::of(&world, world.program()).proven(&world);
        let mut node = Node::new(world.config());
        let outcome = node
            .node
            .process(&case.job, &case.parts, NOW, &mut rng(1))
            .unwrap();
        let secret = case.terms.result_secret();
        let opened = open(&outcome, &secret, case.order(), case.grant());
        assert_eq!(values(&opened), world.expected(&case.terms.program));
        let Outcome::Delivered {
            delivery,
            sealed_result,
        } = outcome
        else {
            unreachable!()
        };
        let receipt = receipt_of(&case, *delivery);
        let text = sign(&receipt).text().unwrap();
        Done {
            world,
            case,
            opened,
            sealed_result,
            receipt,
            text,
        }
    })
}

/// The marketplace's receipt of a job.
pub fn receipt_of(case: &Case, delivery: Signed<Delivery>) -> Receipt {
    let job = &case.job;
    Receipt {
        version: DOCUMENT_VERSION,
        marketplace: marketplace(),
        policy: job.policy.clone(),
        quote: job.quote.clone(),
        order: job.order.clone(),
        submission: job.submission.clone(),
        grant: job.grant.clone(),
        openings: Vec::new(),
        deliveries: vec![delivery],
        manifest: job.manifest.clone(),
        public_key: Bytes(case.parts.public_key.clone()),
        verifying_keys: Vec::new(),
        ceremony: None,
        outputs: case
            .parts
            .ciphertexts
            .iter()
            .zip(&case.parts.envelopes)
            .map(|(c, e)| ReceiptOutput {
                ciphertext: Bytes(c.clone()),
                envelope: Bytes(e.clone()),
            })
            .collect(),
        assurance: Assurance {
            evaluation: EvaluationClass::Proven,
            decryption: DecryptionClass::CustodianAttested,
            srs: job.order.body.srs.provenance,
        },
        arrows: Receipt::arrow_lines(&job.order.body.program, Custody::CustodianHeld),
        work: job.submission.body.work,
        settlement: Settlement {
            order_id: id(4),
            transfer: id(5),
            price: job.quote.body.price.clone(),
            at: NOW + 500,
        },
    }
}

pub fn marketplace() -> Digest {
    marketplace_id(&key(&signer(MARKETPLACE)))
}

pub fn sign(receipt: &Receipt) -> Signed<Receipt> {
    Signed::sign(receipt.clone(), &signer(MARKETPLACE)).unwrap()
}

pub fn verify(receipt: &Receipt) -> Result<Report, ReceiptRefusal> {
    verify_receipt(sign(receipt).text().unwrap().as_bytes(), &Trust::default())
}
