//! Receipts, checked with no server (REC-1..5).

use crate::{
    failure::{Failure, raised},
    keys::digest,
};
use pyo3::prelude::*;
use serde_json::json;
use std::{path::PathBuf, sync::Arc};
use veilbourse_documents::{Receipt, Signed};
use veilbourse_prover::{circuit::CircuitKeys, srs::Srs};
use veilbourse_verifier::linear::{CircuitKey, required_circuits};
use veilbourse_verify::{ResultFiles, Trust, verify_receipt as verify};

/// Checks a receipt: the report as JSON and as text for people.
///
/// `marketplace` is the id of the marketplace expected; `result` the folder of a
/// result's files, which are held to the receipt (REC-5); `srs` the bytes of an
/// SRS, from which the verifying keys are recomputed instead of assumed (REC-3).
#[pyfunction]
#[pyo3(signature = (receipt, marketplace=None, result=None, srs=None))]
pub fn verify_receipt(
    py: Python<'_>,
    receipt: &[u8],
    marketplace: Option<&str>,
    result: Option<PathBuf>,
    srs: Option<&[u8]>,
) -> PyResult<(String, String)> {
    let checked = py.detach(|| check(receipt, marketplace, result, srs));
    checked.map_err(|e| raised(py, e))
}

fn check(
    bytes: &[u8],
    marketplace: Option<&str>,
    result: Option<PathBuf>,
    srs: Option<&[u8]>,
) -> Result<(String, String), Failure> {
    let marketplace = marketplace.map(|m| digest("marketplace", m)).transpose()?;
    let circuits = srs.map(|srs| recompute(bytes, srs)).transpose()?;
    let trust = Trust {
        marketplace,
        circuits: circuits.as_deref(),
    };
    let mut report = verify(bytes, &trust)?;
    if let Some(folder) = result {
        let receipt = parse(bytes)?;
        ResultFiles::read(&folder, &receipt.body)?.check(&receipt.body)?;
        report.result_checked = true;
    }
    Ok((report.json().to_string(), report.text()))
}

fn parse(bytes: &[u8]) -> Result<Signed<Receipt>, Failure> {
    let read = Signed::<Receipt>::parse(bytes);
    read.map_err(|e| veilbourse_verify::ReceiptRefusal::from(e).into())
}

fn recompute(bytes: &[u8], srs: &[u8]) -> Result<Vec<CircuitKey>, Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::refused("srs", format!("SRS: {e}"));
    let srs = Arc::new(Srs::decode(srs, &mut crate::rng()).map_err(|e| failed(&e))?);
    let receipt = parse(bytes)?;
    let order = &receipt.body.order.body;
    if srs.digest() != order.srs.digest {
        let mut e = failed(&format!(
            "the order was proven under {}, the file holds {}",
            order.srs.digest,
            srs.digest()
        ));
        e.details["limit"] = json!(order.srs.digest);
        e.details["value"] = json!(srs.digest());
        return Err(e);
    }
    required_circuits(&receipt.body.manifest, &order.program)
        .into_iter()
        .map(|(kind, class)| {
            let made = CircuitKeys::generate(srs.clone(), kind, class);
            Ok(made.map_err(|e| failed(&e))?.verifying().clone())
        })
        .collect()
}

/// What a receipt says of itself, unchecked, as JSON: to know which one it is.
#[pyfunction]
pub fn receipt_facts(py: Python<'_>, receipt: &[u8]) -> PyResult<String> {
    let receipt = parse(receipt).map_err(|e| raised(py, e))?;
    let body = &receipt.body;
    Ok(json!({
        "order": body.settlement.order_id,
        "marketplace_key": receipt.key,
        "dataset": body.order.body.dataset,
        "listing": body.order.body.listing,
        "price": body.settlement.price.total,
        "outputs": body.outputs.len(),
    })
    .to_string())
}
