//! Public weights (LES-3): open the columns at zeta; nothing is hidden.

use crate::{
    ProverError,
    commitment::{Committed, open},
};
use veilbourse_core::manifest::Manifest;
use veilbourse_verifier::{
    Envelope, Kind,
    linear::{LinearStatement, Visibility, equation},
};

/// Proves that the statement's ciphertext is the weighted sum of `columns`,
/// the words of the statement's matrix in its committed order. Returns the
/// envelope's bytes.
///
/// Errors: the statement does not conform to the manifest, the words are not
/// the committed ones, or the claim is false.
pub fn prove_public(
    statement: &LinearStatement,
    manifest: &Manifest,
    columns: &[&[u64]],
) -> Result<Vec<u8>, ProverError> {
    let Visibility::Public { weights } = &statement.visibility else {
        return Err(ProverError::FalseClaim(
            "a public-weights proof of private weights".into(),
        ));
    };
    let matrix = statement.conform(manifest)?;
    let committed = Committed::expecting(
        matrix.set,
        columns.to_vec(),
        &matrix.claim.root,
        &format!("{:?}", statement.over),
    )?;
    let (mut t, zeta) = statement.transcript(manifest, &matrix, None);
    let proof = open(&mut t, matrix.set, zeta.0, &[committed])?;
    let opened = proof.values.first().map_or(&[][..], Vec::as_slice);
    let sum = equation::weighted_sum(
        weights,
        &equation::column_values(&matrix, opened, zeta.0),
        &equation::public_values(&matrix, zeta.0),
    );
    if sum != statement.target(zeta) {
        return Err(ProverError::FalseClaim(
            "the output ciphertext is not the weighted sum of the columns".into(),
        ));
    }
    Ok(Envelope {
        kind: Kind::Linear,
        statement: statement.digest(),
        body: proof.encode(matrix.set),
    }
    .encode())
}
