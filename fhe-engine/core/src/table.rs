//! A quantised table: the integers that are encrypted, and the reference for
//! every result.

/// Quantised values in manifest order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantisedTable {
    /// `segments[s][f][i]`: segment s, encrypted column f, row i of the segment.
    pub segments: Vec<Vec<Vec<i64>>>,
    /// `origin[s][i]`: the source row (0-based, header not counted) of row i of
    /// segment s, so that per-row results find their way home.
    pub origin: Vec<Vec<u64>>,
}
