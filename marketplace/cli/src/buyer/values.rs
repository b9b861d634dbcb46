//! Opened values as a table for people.

use veilbourse_client::{buyer::values::Variance, query::Decoded};
use veilbourse_core::program::MatrixRef;

/// Decoded outputs as table rows: at most the first eight of a chunk.
pub fn result_rows(decoded: &[Decoded]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for d in decoded {
        let what = match d.over {
            MatrixRef::Traced { .. } if d.title() != d.label => d.title(),
            MatrixRef::Traced { .. } => format!("{} (mean)", d.label),
            MatrixRef::Chunk { chunk, .. } => format!("{} (chunk {chunk})", d.label),
        };
        let shown: Vec<String> = d.values.iter().take(8).map(|v| format!("{v:.6}")).collect();
        let dots = if d.values.len() > 8 { ", …" } else { "" };
        rows.push(vec![
            what,
            d.segment.clone(),
            d.rows.to_string(),
            format!("{}{dots}", shown.join(", ")),
        ]);
    }
    rows
}

pub(super) fn variance_rows(variances: &[Variance<'_>]) -> Vec<Vec<String>> {
    let row = |v: &Variance<'_>| {
        let name = format!("variance of {}", v.column);
        let value = format!("{:.6}", v.value);
        vec![name, v.segment.to_owned(), v.rows.to_string(), value]
    };
    variances.iter().map(row).collect()
}
