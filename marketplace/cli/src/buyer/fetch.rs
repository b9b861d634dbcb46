//! Opening an order that was released: fetched, checked, written down.

use super::{Kept, result_rows, say_refunded, values::variance_rows};
use crate::show::{bytes, table};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use veilbourse_client::{
    buyer::{
        self, Opened, Sealed, Ticket,
        values::{noise_rows, variances},
    },
    market::{self, Session},
    query,
};
use veilbourse_documents::Id;
use veilbourse_verify::{
    MASKED_FILE, Report, SEALED_FILE, Trust, masks_file, terminal::printable, verify_receipt,
};

/// A released order, opened and checked.
pub(crate) struct Fetched {
    /// Its tickets.
    pub kept: Kept,
    /// The integers, by output; of a joint order, the sums.
    pub values: Vec<Vec<i64>>,
    /// The receipts' files.
    receipts: Vec<PathBuf>,
    receipt_bytes: u64,
    /// What the receipts say.
    verified: Vec<Report>,
    /// `result.json`.
    result: Value,
    file: PathBuf,
}

/// Opens an order, checks its receipt and writes `result.json`; none, and why on
/// the output, when it was refunded.
pub(crate) async fn fetch(session: &Session, folder: &Path, json: bool) -> Result<Option<Fetched>> {
    let mut kept = Kept::read(folder)?;
    let ids = kept.placed(session).await?;
    for id in &ids {
        let standing = buyer::standing(session, id).await?;
        match (standing.state.as_str(), &standing.refund) {
            ("released", _) => {}
            (_, Some((reason, detail))) => {
                say_refunded(id, reason, detail, json);
                return Ok(None);
            }
            (state, None) => bail!(
                "order {id} is {} ({} {}%); open it when it is released",
                printable(state),
                printable(&standing.stage),
                standing.per_mille / 10
            ),
        }
    }
    let opened = match (ids.as_slice(), kept.tickets.as_slice()) {
        ([id], [ticket]) => vec![buyer::open(session, id, ticket).await?],
        (ids, tickets) => {
            let orders: Vec<(&Id, &Ticket)> = ids.iter().zip(tickets).collect();
            buyer::open_together(session, &orders).await?
        }
    };
    let values = opened.first().map(|o| o.values.clone());
    let values = values.context("nothing was opened")?;
    let (mut receipts, mut receipt_bytes, mut verified) = (Vec::new(), 0, Vec::new());
    for ((i, opened), ticket) in opened.iter().enumerate().zip(&kept.tickets) {
        let place = kept.place_of(i);
        fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
        let receipt = place.join("receipt.json");
        fs::write(&receipt, &opened.receipt).with_context(|| receipt.display().to_string())?;
        keep_sealed(&place, ticket, opened)?;
        let trust = Trust {
            marketplace: Some(market::marketplace_of(&ticket.marketplace)),
            circuits: None,
        };
        match verify_receipt(&opened.receipt, &trust) {
            Ok(report) => verified.push(report),
            Err(e) => bail!(
                "the receipt is refused by {}: {}",
                e.rule(),
                printable(&e.to_string())
            ),
        }
        receipt_bytes += opened.receipt.len() as u64;
        receipts.push(receipt);
    }
    let result = kept.orders().result(&ids, &values)?;
    let file = folder.join("result.json");
    fs::write(&file, serde_json::to_vec_pretty(&result)?)?;
    Ok(Some(Fetched {
        kept,
        values,
        receipts,
        receipt_bytes,
        verified,
        result,
        file,
    }))
}

/// What the key nodes handed on, for `verify --result` (REC-5).
fn keep_sealed(place: &Path, ticket: &Ticket, opened: &Opened) -> Result<()> {
    let write = |name: &str, bytes: &[u8]| {
        let path = place.join(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())
    };
    match &opened.sealed {
        Sealed::Held(sealed) => write(SEALED_FILE, sealed),
        Sealed::Committee { masked, masks } => {
            write(MASKED_FILE, masked)?;
            for (node, sealed) in buyer::quorum_of(ticket, &opened.receipt)?.iter().zip(masks) {
                write(&masks_file(*node), sealed)?;
            }
            Ok(())
        }
    }
}

/// `buyer open`.
pub(super) async fn open(session: &Session, folder: &Path, json: bool) -> Result<bool> {
    let Some(f) = fetch(session, folder, json).await? else {
        return Ok(false);
    };
    if json {
        let verified: Vec<Value> = f.verified.iter().map(Report::json).collect();
        let mut said = json!({ "result": f.result, "receipt": f.receipts.first(),
            "verified": verified.first() });
        if f.kept.joint {
            said["receipts"] = json!(f.receipts);
            said["all_verified"] = json!(verified);
        }
        out!("{said}");
        return Ok(true);
    }
    let (manifest, program) = f.kept.decoding()?;
    let decoded = query::decode(&manifest, &program, &f.values);
    let variances = variances(&decoded);
    let mut rows = [result_rows(&decoded), variance_rows(&variances)].concat();
    let mut head = vec!["output", "segment", "rows", "value"];
    let noise = f.kept.noise_deviation();
    if noise > 0.0 {
        head.push("noise (deviation)");
        let all = noise_rows(&program, &decoded, &variances, noise);
        for (row, deviation) in rows.iter_mut().zip(all) {
            row.push(format!("{deviation:.6}"));
        }
    }
    out!("{}", table(&head, &rows));
    let how = f.verified.first().map_or("", |r| r.decryption);
    for receipt in &f.receipts {
        out!("  receipt {}", receipt.display());
    }
    out!(
        "  {}, verified: evaluation proven, decryption {how}",
        bytes(f.receipt_bytes)
    );
    out!("  result  {}", f.file.display());
    Ok(true)
}
