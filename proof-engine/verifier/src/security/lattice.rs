//! The lattice figures, read from the recorded output of the estimate
//! (docs/security).

use serde::Serialize;

/// The recorded output, as it is in docs/security/lattice-estimator.txt.
pub const LATTICE_RECORD: &str = include_str!("../../../../docs/security/lattice-estimator.txt");

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatticeFigure {
    /// What is attacked.
    pub name: String,
    /// Ring dimension.
    pub dimension: u32,
    /// Block size of the best attack found.
    pub block_size: u32,
    /// Classical core-SVP bits.
    pub classical_bits: f64,
    /// Quantum core-SVP bits.
    pub quantum_bits: f64,
}

/// The figures of [`LATTICE_RECORD`]; lines that are not figures are skipped.
pub fn lattice_figures() -> Vec<LatticeFigure> {
    LATTICE_RECORD.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<LatticeFigure> {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let [
        name,
        dimension,
        _log_q,
        _sigma_s,
        _sigma_e,
        _samples,
        block_size,
        _guessed,
        classical,
        quantum,
    ] = fields.as_slice()
    else {
        return None;
    };
    Some(LatticeFigure {
        name: (*name).to_owned(),
        dimension: dimension.parse().ok()?,
        block_size: block_size.parse().ok()?,
        classical_bits: classical.parse().ok()?,
        quantum_bits: quantum.parse().ok()?,
    })
}
