//! `veilbourse verify RECEIPT [--srs FILE] [--result FOLDER]`.

use crate::{args::VerifyArgs, files};
use anyhow::{Result, ensure};
use std::{path::Path, sync::Arc};
use veilbourse_client::buyer::Ticket;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Receipt, Signed, marketplace_id};
use veilbourse_prover::{circuit::CircuitKeys, srs::Srs};
use veilbourse_verifier::linear::{CircuitKey, required_circuits};
use veilbourse_verify::{Trust, check_file, read_file};

/// With an SRS, the verifying keys are recomputed instead of assumed (REC-3).
pub fn run(a: &VerifyArgs, json: bool) -> Result<bool> {
    let circuits = match &a.srs {
        Some(file) => Some(recompute(a, file)?),
        None => None,
    };
    let trust = Trust {
        marketplace: match a.marketplace {
            None => pinned(&a.receipt)?,
            told => told,
        },
        circuits: circuits.as_deref(),
    };
    let (valid, text) = check_file(&a.receipt, a.result.as_deref(), &trust, json);
    out!("{}", text.trim_end());
    Ok(valid)
}

/// The marketplace that the buyer ordered from, where the receipt lies beside
/// its order's ticket.
fn pinned(receipt: &Path) -> Result<Option<Digest>> {
    let ticket = receipt.with_file_name("ticket.json");
    if !ticket.exists() {
        return Ok(None);
    }
    let ticket: Ticket = files::read_json(&ticket)?;
    Ok(Some(marketplace_id(&ticket.marketplace)))
}

fn recompute(a: &VerifyArgs, file: &Path) -> Result<Vec<CircuitKey>> {
    let srs = Arc::new(Srs::decode(&files::read(file)?, &mut crate::rng(None))?);
    let receipt = Signed::<Receipt>::parse(&read_file(&a.receipt)?)?;
    let order = &receipt.body.order.body;
    ensure!(
        srs.digest() == order.srs.digest,
        "the order was proven under SRS {}, the file holds {}",
        order.srs.digest,
        srs.digest()
    );
    required_circuits(&receipt.body.manifest, &order.program)
        .into_iter()
        .map(|(kind, class)| {
            Ok(CircuitKeys::generate(srs.clone(), kind, class)?
                .verifying()
                .clone())
        })
        .collect()
}
