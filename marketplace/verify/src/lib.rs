//! The offline receipt verifier (REC): from the receipt alone, no server, no
//! network, no dataset.

mod decryption;
mod refusal;
mod report;
mod result;
pub mod terminal;

pub use refusal::ReceiptRefusal;
pub use report::{Line, Report};
pub use result::{MASKED_FILE, ResultFiles, SEALED_FILE, masks_file};

use std::{fs::File, io::Read, path::Path};
use veilbourse_core::{
    ciphertext::{OutputCiphertext, PublicKey},
    digest::Digest,
    manifest::Manifest,
};
use veilbourse_documents::{
    Chain, DecryptionClass, Document, DocumentError, EvaluationClass, MAX_RECEIPT_BYTES, Order,
    Receipt, Signed, demand, marketplace_id,
};
use veilbourse_verifier::{
    Envelope,
    ceremony::backed,
    linear::{CircuitKey, OrderContext, PrivateArgument, check_public_key, required_circuits},
};

/// What the reader of a receipt knows besides it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust<'a> {
    /// The marketplace expected; without it, whoever signed is reported.
    pub marketplace: Option<Digest>,
    /// Verifying keys recomputed from an SRS; without them, the keys' origin
    /// is assumed (REC-3).
    pub circuits: Option<&'a [CircuitKey]>,
}

/// Checks a receipt (REC-1, REC-4): the first rule that fails is the error.
pub fn verify_receipt(bytes: &[u8], trust: &Trust<'_>) -> Result<Report, ReceiptRefusal> {
    let receipt = Signed::<Receipt>::parse(bytes)?;
    let body = &receipt.body;
    let id = marketplace_id(&receipt.key);
    receipt.verify_by(&id, &receipt.key)?;
    if let Some(expected) = trust.marketplace
        && expected != id
    {
        return Err(ReceiptRefusal::Marketplace {
            expected,
            found: id,
        });
    }
    let chain = Chain {
        marketplace: &receipt.key,
        policy: &body.policy,
        quote: &body.quote,
        order: &body.order,
    };
    let order_digest = chain.check()?;
    chain.check_grant(&body.submission, &body.grant)?;
    decryption::links(&chain, body)?;

    let order = &body.order.body;
    body.manifest.validate().map_err(ReceiptRefusal::Manifest)?;
    let root = body.manifest.root();
    if root != order.dataset {
        return Err(ReceiptRefusal::Dataset {
            expected: order.dataset,
            found: root,
        });
    }
    let policy = &body.policy.body;
    let wanted = demand(
        &body.manifest,
        &order.program,
        &policy.kinds,
        policy.min_cohort,
    )?;
    decryption::check(&chain, body, &wanted)?;
    if body.quote.body.price.total != policy.price_of(wanted.values) {
        return Err(ReceiptRefusal::Claim {
            field: "quote.price",
        });
    }
    let public_key = PublicKey::decode(&body.public_key.0).map_err(ReceiptRefusal::PublicKey)?;
    check_public_key(&body.manifest, &public_key)?;
    let circuits = circuits(body, order, &body.manifest, trust)?;
    let ceremony = backed(
        &order.srs.digest,
        order.srs.provenance.ceremony().map(Into::into),
        body.ceremony.as_ref().map(|t| t.0.as_slice()),
        &circuits,
    )?;
    let context = OrderContext {
        manifest: &body.manifest,
        program: &order.program,
        order: order_digest,
        public_key: &public_key,
        circuits: &circuits,
        srs: order.srs.digest,
    };
    outputs(body, &context)?;
    claims(body)?;
    Ok(report::of(&receipt, &id, &wanted, ceremony.as_ref(), trust))
}

/// The verifying keys are exactly those that the order names and the program
/// needs, under its SRS.
fn circuits(
    body: &Receipt,
    order: &Order,
    manifest: &Manifest,
    trust: &Trust<'_>,
) -> Result<Vec<CircuitKey>, ReceiptRefusal> {
    let keys: Vec<CircuitKey> = body
        .verifying_keys
        .iter()
        .map(|k| CircuitKey::decode(&k.0))
        .collect::<Result<_, _>>()?;
    let found: Vec<Digest> = keys.iter().map(PrivateArgument::digest).collect();
    if found != order.verifying_keys {
        return Err(ReceiptRefusal::VerifyingKeys {
            reason: "are not those that the order names".into(),
        });
    }
    let kinds: Vec<_> = keys.iter().map(|k| (k.kind(), k.class())).collect();
    if kinds != required_circuits(manifest, &order.program) {
        return Err(ReceiptRefusal::VerifyingKeys {
            reason: format!("are for {kinds:?}, not what the program needs"),
        });
    }
    if let Some(trusted) = trust.circuits {
        for k in &keys {
            if !trusted.contains(k) {
                return Err(ReceiptRefusal::VerifyingKeys {
                    reason: format!(
                        "{} is not the circuit's key under the SRS given",
                        k.digest()
                    ),
                });
            }
        }
    }
    Ok(keys)
}

/// Every output: digests as submitted, proof verified.
fn outputs(body: &Receipt, context: &OrderContext<'_>) -> Result<(), ReceiptRefusal> {
    let expected = context.program.outputs.len();
    if body.outputs.len() != expected || body.submission.body.outputs.len() != expected {
        return Err(ReceiptRefusal::Outputs {
            expected,
            found: body.outputs.len(),
        });
    }
    for ((output, submitted), index) in body
        .outputs
        .iter()
        .zip(&body.submission.body.outputs)
        .zip(0u32..)
    {
        let ciphertext =
            OutputCiphertext::decode(&output.ciphertext.0).map_err(ReceiptRefusal::Ciphertext)?;
        for (what, found, expected) in [
            ("ciphertext", ciphertext.digest(), submitted.ciphertext),
            (
                "envelope",
                Envelope::digest(&output.envelope.0),
                submitted.envelope,
            ),
        ] {
            if found != expected {
                return Err(ReceiptRefusal::OutputDigest {
                    index,
                    what,
                    expected,
                    found,
                });
            }
        }
        context
            .verify_output(index, &output.ciphertext.0, &output.envelope.0)
            .map_err(|refusal| ReceiptRefusal::Proof { index, refusal })?;
    }
    Ok(())
}

/// What the receipt claims is what was recomputed (REC-1, REC-2).
fn claims(body: &Receipt) -> Result<(), ReceiptRefusal> {
    let claim = |field: &'static str| Err(ReceiptRefusal::Claim { field });
    if body.assurance.evaluation != EvaluationClass::Proven {
        return claim("assurance.evaluation");
    }
    let custody = body.order.body.openers.custody();
    if body.assurance.decryption != DecryptionClass::of(custody) {
        return claim("assurance.decryption");
    }
    if body.assurance.srs != body.order.body.srs.provenance {
        return claim("assurance.srs");
    }
    if body.settlement.price != body.quote.body.price {
        return claim("settlement.price");
    }
    if body.work != body.submission.body.work {
        return claim("work");
    }
    if body.arrows != Receipt::arrow_lines(&body.order.body.program, custody) {
        return claim("arrows");
    }
    Ok(())
}

/// Reads a receipt's file; one that is longer than a receipt may be is refused
/// before it is read (first gate).
pub fn read_file(path: &Path) -> Result<Vec<u8>, ReceiptRefusal> {
    let file = |e: std::io::Error| ReceiptRefusal::File {
        path: path.display().to_string(),
        reason: e.to_string(),
    };
    let limit = MAX_RECEIPT_BYTES as u64;
    let fits = |value| match value > limit {
        false => Ok(()),
        true => Err(DocumentError::TooLarge {
            document: Receipt::TYPE,
            limit,
            value,
        }),
    };
    let source = File::open(path).map_err(file)?;
    fits(source.metadata().map_err(file)?.len())?;
    let mut bytes = Vec::new();
    // What grows meanwhile, and what has no length.
    source
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(file)?;
    fits(bytes.len() as u64)?;
    Ok(bytes)
}

/// Reads and checks a receipt file, and with it a result's files (REC-5): whether
/// it is valid, and what to print.
pub fn check_file(
    path: &Path,
    result: Option<&Path>,
    trust: &Trust<'_>,
    json: bool,
) -> (bool, String) {
    let check = |bytes: Vec<u8>| {
        let mut report = verify_receipt(&bytes, trust)?;
        if let Some(folder) = result {
            let receipt = Signed::<Receipt>::parse(&bytes)?;
            ResultFiles::read(folder, &receipt.body)?.check(&receipt.body)?;
            report.result_checked = true;
        }
        Ok(report)
    };
    match read_file(path).and_then(check) {
        Ok(report) if json => (true, terminal::printable(&report.json().to_string())),
        Ok(report) => (true, report.text()),
        Err(e) => (false, failure(e.rule(), &e.to_string(), json)),
    }
}

/// One line: the reason may quote the receipt.
fn failure(rule: &str, reason: &str, json: bool) -> String {
    let text = if json {
        serde_json::json!({ "valid": false, "rule": rule, "reason": reason }).to_string()
    } else {
        format!("REFUSED by {rule}: {reason}")
    };
    terminal::printable(&text)
}
