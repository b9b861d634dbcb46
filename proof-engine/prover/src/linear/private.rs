//! Private weights (LES-4..10): evaluate, re-randomise, open, argue.
//!
//! The argument of knowledge is a [`PrivateCircuit`]: Poseidon, the constraint
//! system and Marlin. It continues the transcript after the FRI opening.

use super::{PodSecret, Rerandomisation};
use crate::{
    ProverError,
    commitment::{Committed, open},
};
use rand_core::CryptoRng;
use veilbourse_core::{
    ciphertext::{OutputCiphertext, PublicKey},
    digest::Digest,
    manifest::Manifest,
    program::MatrixRef,
};
use veilbourse_eval::{kernel, witness::evaluate_words};
use veilbourse_verifier::{
    Envelope, Kind, Refusal,
    field::Fr,
    linear::{
        LinearStatement, Matrix, MatrixKind, PrivateBody, PrivateEquation, Visibility,
        check_public_key,
    },
    transcript::Transcript,
};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What only the pod (and the buyer) knows of one output.
#[derive(Debug, Clone, Zeroize, ZeroizeOnDrop)]
pub struct PrivateWitness {
    /// w: encrypted columns, then public columns.
    pub weights: Vec<i64>,
    /// blinder_M, from the buyer.
    pub weight_blinder: Fr,
    /// c, e and blinder_h.
    pub rerandomisation: Rerandomisation,
}

/// The circuit of one matrix kind and column class with its keys (LES-8).
pub trait PrivateCircuit {
    /// Digest of the verifying key.
    fn verifying_key(&self) -> Digest;
    /// Digest of the structured reference string.
    fn srs(&self) -> Digest;
    /// h = Poseidon(tag_h, M, c, e, blinder_h) for weights on `columns` encrypted
    /// columns (LES-5).
    fn binding(&self, witness: &PrivateWitness, columns: usize) -> Result<Fr, ProverError>;
    /// Proves the equation, bounds, M and h (LES-6, LES-7), continuing the
    /// transcript; returns the canonical bytes of the proof.
    fn prove<R: CryptoRng>(
        &self,
        equation: &PrivateEquation,
        witness: &PrivateWitness,
        transcript: &mut Transcript,
        rng: &mut R,
    ) -> Result<Vec<u8>, ProverError>;
}

/// One output to evaluate and prove.
#[derive(Debug, Clone, Copy)]
pub struct PrivateRequest<'a> {
    /// The dataset's manifest.
    pub manifest: &'a Manifest,
    /// What to evaluate over.
    pub over: MatrixRef,
    /// Digest of the order.
    pub order: Digest,
    /// Index of the output in the program.
    pub output: u32,
    /// Weights: encrypted columns, then public columns.
    pub weights: &'a [i64],
    /// blinder_M.
    pub weight_blinder: Fr,
    /// M, as in the order.
    pub commitment: Digest,
    /// B.
    pub l1_bound: u64,
    /// Q.
    pub l2_bound: u64,
    /// The words of the matrix in committed order.
    pub columns: &'a [&'a [u64]],
    /// The dataset's public key.
    pub public_key: &'a PublicKey,
    /// The pod's PRF secret.
    pub secret: &'a PodSecret,
}

/// One output, evaluated and re-randomised, ready to be proven.
pub struct PrivateEvaluation<'a> {
    request: PrivateRequest<'a>,
    matrix: Matrix,
    committed: Committed<'a>,
    statement: LinearStatement,
    witness: PrivateWitness,
}

impl std::fmt::Debug for PrivateEvaluation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateEvaluation")
            .field("statement", &self.statement)
            .finish_non_exhaustive()
    }
}

/// Evaluates and re-randomises one output. A is a function of the request
/// (LES-10).
///
/// The words are checked against the manifest's root before anything is
/// computed from them: the same r over other words would give the weights away
/// by subtraction.
pub fn evaluate_private<'a, C: PrivateCircuit>(
    request: &PrivateRequest<'a>,
    circuit: &C,
) -> Result<PrivateEvaluation<'a>, ProverError> {
    let PrivateRequest {
        manifest,
        over,
        order,
        output,
        weights,
        weight_blinder,
        commitment,
        l1_bound,
        l2_bound,
        columns,
        public_key,
        secret,
    } = *request;
    check_public_key(manifest, public_key)?;
    let matrix = Matrix::of(manifest, over)
        .ok_or_else(|| ProverError::FalseClaim(format!("the dataset has no {over:?}")))?;
    let expected = matrix.ranges.len() + matrix.public_values.len();
    if weights.len() != expected {
        return Err(ProverError::FalseClaim(format!(
            "{} weights for {expected} columns",
            weights.len()
        )));
    }
    let mut statement = LinearStatement {
        dataset: manifest.root(),
        over,
        order,
        output,
        visibility: Visibility::Private {
            commitment,
            l1_bound,
            l2_bound,
            srs: circuit.srs(),
            verifying_key: circuit.verifying_key(),
        },
        public_key: manifest.public_key_body,
        ciphertext: placeholder(&matrix),
    };
    statement.conform(manifest)?;
    let committed = Committed::expecting(
        matrix.set,
        columns.to_vec(),
        &matrix.claim.root,
        &format!("{over:?}"),
    )?;
    let context = statement.prf_context(manifest, &matrix);
    let witness = PrivateWitness {
        weights: weights.to_vec(),
        weight_blinder,
        rerandomisation: Rerandomisation::derive(secret, context, matrix.kind, weights),
    };
    let Rerandomisation { c, e, .. } = &witness.rerandomisation;
    let random = veilbourse_eval::Rerandomisation { c, e };
    statement.ciphertext = evaluate_words(
        kernel::best(),
        manifest,
        over,
        weights,
        columns,
        Some((public_key, random)),
    )
    .map_err(|e| ProverError::FalseClaim(e.to_string()))?;
    Ok(PrivateEvaluation {
        request: *request,
        matrix,
        committed,
        statement,
        witness,
    })
}

impl PrivateEvaluation<'_> {
    /// The statement, with its ciphertext.
    pub fn statement(&self) -> &LinearStatement {
        &self.statement
    }

    /// Proves it: the statement and the envelope's bytes. Only Marlin's
    /// blinding takes fresh randomness.
    pub fn prove<C: PrivateCircuit, R: CryptoRng>(
        self,
        circuit: &C,
        rng: &mut R,
    ) -> Result<(LinearStatement, Vec<u8>), ProverError> {
        let Self {
            request,
            matrix,
            committed,
            statement,
            witness,
        } = self;
        let binding = circuit.binding(&witness, matrix.ranges.len())?;
        let (mut t, zeta) = statement.transcript(request.manifest, &matrix, Some(&binding));
        let opening = open(&mut t, matrix.set, zeta.0, &[committed])?;
        let opened = opening.values.first().map_or(&[][..], Vec::as_slice);
        let equation = PrivateEquation::new(
            &statement,
            &matrix,
            request.public_key,
            opened,
            zeta,
            binding,
        )?;
        let Rerandomisation { c, e, .. } = &witness.rerandomisation;
        if !equation.holds(&witness.weights, c, e) {
            return Err(ProverError::Refused(Refusal::Equation));
        }
        let marlin = circuit.prove(&equation, &witness, &mut t, rng)?;
        let body = PrivateBody {
            binding,
            opening,
            marlin,
        };
        let envelope = Envelope {
            kind: Kind::Linear,
            statement: statement.digest(),
            body: body.encode(&matrix),
        };
        Ok((statement, envelope.encode()))
    }
}

/// Evaluates, re-randomises and proves one output.
pub fn prove_private<C: PrivateCircuit, R: CryptoRng>(
    request: &PrivateRequest<'_>,
    circuit: &C,
    rng: &mut R,
) -> Result<(LinearStatement, Vec<u8>), ProverError> {
    evaluate_private(request, circuit)?.prove(circuit, rng)
}

/// A ciphertext of the right form, until the real one is known: the PRF's
/// context does not cover A.
fn placeholder(matrix: &Matrix) -> OutputCiphertext {
    match matrix.kind {
        MatrixKind::Traced => OutputCiphertext::Traced(veilbourse_core::ciphertext::TracedLwe {
            t: Default::default(),
            b: Default::default(),
        }),
        MatrixKind::Chunk => OutputCiphertext::Rows {
            glwe: Default::default(),
            rows: u32::try_from(matrix.rows).unwrap_or(u32::MAX),
        },
    }
}
