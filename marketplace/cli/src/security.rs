//! `veilbourse security`: every proof's security, term by term.

use crate::show::table;
use anyhow::Result;
use serde_json::json;
use veilbourse_verifier::security::{REQUIRED_BITS, accounts, lattice_figures};

/// Prints the accounts; false when one is below what is required.
pub fn run(json: bool) -> Result<bool> {
    let (accounts, lattice) = (accounts(), lattice_figures());
    let enough = accounts.iter().all(|a| a.sum() >= REQUIRED_BITS)
        && lattice.iter().all(|f| f.classical_bits >= 128.0);
    if json {
        out!(
            "{}",
            json!({ "required": REQUIRED_BITS, "enough": enough, "proofs": accounts, "lattice": lattice })
        );
        return Ok(enough);
    }
    out!("Proofs (required: {REQUIRED_BITS} bits, all terms summed)\n");
    for a in &accounts {
        out!("{a}");
    }
    out!("Keys and re-randomisation (docs/security; classical and quantum core-SVP)\n");
    let rows: Vec<_> = lattice
        .iter()
        .map(|f| {
            vec![
                f.name.clone(),
                f.dimension.to_string(),
                f.block_size.to_string(),
                format!("{:.1}", f.classical_bits),
                format!("{:.1}", f.quantum_bits),
            ]
        })
        .collect();
    out!(
        "{}",
        table(
            &["problem", "dimension", "block", "classical", "quantum"],
            &rows
        )
    );
    Ok(enough)
}
