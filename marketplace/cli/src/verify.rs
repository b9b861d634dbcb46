//! `veilbourse verify RECEIPT [--srs FILE]`.

use crate::{args::VerifyArgs, files};
use anyhow::{Result, ensure};
use std::sync::Arc;
use veilbourse_documents::{Receipt, Signed};
use veilbourse_prover::{circuit::CircuitKeys, srs::Srs};
use veilbourse_verifier::linear::{CircuitKey, required_circuits};
use veilbourse_verify::{Trust, check_file};

/// With an SRS, the verifying keys are recomputed instead of assumed (REC-3).
pub fn run(a: &VerifyArgs, json: bool) -> Result<bool> {
    let circuits = match &a.srs {
        Some(file) => Some(recompute(a, file)?),
        None => None,
    };
    let trust = Trust {
        marketplace: a.marketplace,
        circuits: circuits.as_deref(),
    };
    let (valid, text) = check_file(&a.receipt, &trust, json);
    out!("{}", text.trim_end());
    Ok(valid)
}

fn recompute(a: &VerifyArgs, file: &std::path::Path) -> Result<Vec<CircuitKey>> {
    let srs = Arc::new(Srs::decode(&files::read(file)?, &mut crate::rng(None))?);
    let receipt = Signed::<Receipt>::parse(&files::read(&a.receipt)?)?;
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
