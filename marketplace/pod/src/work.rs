//! One job: all outputs of a program, evaluated and proven.

use crate::{Circuits, run::kind_of};
use rand_core::CryptoRng;
use std::time::{Duration, Instant};
use thiserror::Error;
use veilbourse_core::{
    budget::{BudgetError, check_program},
    ciphertext::{Glwe, PublicKey, SumData},
    digest::Digest,
    manifest::Manifest,
    program::{MatrixRef, Program, ProgramOutput, Weights},
};
use veilbourse_eval::{EvalError, kernel, witness::evaluate_words};
use veilbourse_prover::{
    ProverError,
    linear::{PodSecret, PrivateRequest, evaluate_private, prove_public},
};
use veilbourse_verifier::{
    Refusal,
    commitment::{glwe_columns, slices, traced_columns},
    field::{Fr, fr_bytes},
    linear::{
        LinearStatement, PrivateEvidence, Visibility, inputs::commit_weights,
        verify_linear,
    },
};

/// Why a job was not finished.
#[derive(Debug, Error)]
pub enum PodError {
    /// The program does not conform or does not fit (BUD-1).
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The model does not open the program's commitment (POD-2).
    #[error("vector {vector}: the model does not open the commitment of the order")]
    Model {
        /// Which weight vector.
        vector: u32,
    },
    /// A matrix that the program needs was not supplied.
    #[error("{over:?} is missing")]
    Matrix {
        /// Which matrix.
        over: MatrixRef,
    },
    /// The engine refused.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The prover refused.
    #[error(transparent)]
    Prover(#[from] ProverError),
    /// The pod's own proof does not verify: nothing is submitted (POD-3).
    #[error("own proof refused: {0}")]
    Own(#[from] Refusal),
}

/// What a pod is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The dataset.
    pub manifest: &'a Manifest,
    /// Its public key.
    pub public_key: &'a PublicKey,
    /// The program.
    pub program: &'a Program,
    /// Digest of the order.
    pub order: Digest,
    /// The weights of each vector, as the buyer sealed them.
    pub weights: &'a [Vec<i64>],
    /// The blinder of each private vector.
    pub blinders: &'a [Option<Fr>],
}

/// One output, proven.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The statement, with its ciphertext.
    pub statement: LinearStatement,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
    /// Evaluation time.
    pub evaluate: Duration,
    /// Proving time.
    pub prove: Duration,
    /// Rows of the circuit proven, none with public weights.
    pub rows: u64,
}

/// Where a job is, for progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Output i of n is being evaluated.
    Evaluate(usize, usize),
    /// Output i of n is being proven.
    Prove(usize, usize),
}

/// The words of a matrix, in committed order.
pub fn matrix_words(
    over: MatrixRef,
    sums: impl Fn(u32) -> Option<SumData>,
    chunk: impl Fn(u32, u32) -> Option<Vec<Glwe>>,
) -> Option<Vec<Vec<u64>>> {
    Some(match over {
        MatrixRef::Traced { segment } => traced_columns(&sums(segment)?.trace()),
        MatrixRef::Chunk { segment, chunk: c } => glwe_columns(&chunk(segment, c)?),
    })
}

/// Does a job: checks what it was given, then output by output.
pub fn run(
    job: Job<'_>,
    circuits: &Circuits,
    secret: &PodSecret,
    words: impl Fn(MatrixRef) -> Option<Vec<Vec<u64>>>,
    rng: &mut impl CryptoRng,
    progress: &dyn Fn(Stage),
) -> Result<Vec<Finished>, PodError> {
    check_program(job.manifest, job.program)?;
    check_model(job)?;
    let n = job.program.outputs.len();
    let mut out = Vec::with_capacity(n);
    for (i, output) in job.program.outputs.iter().enumerate() {
        progress(Stage::Evaluate(i, n));
        let matrix = words(output.over).ok_or(PodError::Matrix { over: output.over })?;
        out.push(one(job, circuits, secret, i, *output, &slices(&matrix), rng, &|| {
            progress(Stage::Prove(i, n));
        })?);
    }
    Ok(out)
}

/// POD-2: the sealed model is the one that the buyer committed to.
fn check_model(job: Job<'_>) -> Result<(), PodError> {
    for (i, v) in job.program.vectors.iter().enumerate() {
        let refused = PodError::Model { vector: i as u32 };
        let weights = job.weights.get(i);
        let opens = match (&v.weights, weights, job.blinders.get(i)) {
            (Weights::Public { values }, Some(w), _) => values == w,
            (Weights::Private { commitment, .. }, Some(w), Some(Some(b))) => {
                commit_weights(w, job.manifest.columns.len(), *b)
                    .is_some_and(|m| Digest(fr_bytes(&m)) == *commitment)
            }
            _ => false,
        };
        if !opens {
            return Err(refused);
        }
    }
    Ok(())
}

#[allow(clippy::too_many_arguments)] // one call site; each is a different thing
fn one(
    job: Job<'_>,
    circuits: &Circuits,
    secret: &PodSecret,
    index: usize,
    output: ProgramOutput,
    columns: &[&[u64]],
    rng: &mut impl CryptoRng,
    proving: &dyn Fn(),
) -> Result<Finished, PodError> {
    let missing = PodError::Model { vector: output.vector };
    let vector = output.vector as usize;
    let (Some(shape), Some(weights)) = (job.program.vectors.get(vector), job.weights.get(vector))
    else {
        return Err(missing);
    };
    let started = Instant::now();
    match &shape.weights {
        Weights::Public { values } => {
            let ciphertext = evaluate_words(
                kernel::best(),
                job.manifest,
                output.over,
                weights,
                columns,
                None,
            )?;
            let statement = LinearStatement {
                dataset: job.manifest.root(),
                over: output.over,
                order: job.order,
                output: index as u32,
                visibility: Visibility::Public { weights: values.clone() },
                public_key: job.manifest.public_key_body,
                ciphertext,
            };
            let evaluate = started.elapsed();
            proving();
            let started = Instant::now();
            let envelope = prove_public(&statement, job.manifest, columns)?;
            let prove = started.elapsed();
            verify_linear(statement.clone(), job.manifest, None, &envelope)?;
            Ok(Finished { statement, envelope, evaluate, prove, rows: 0 })
        }
        Weights::Private { commitment, l1_bound, l2_bound } => {
            let Some(Some(blinder)) = job.blinders.get(vector) else { return Err(missing) };
            let kind = kind_of(output.over);
            let circuit = circuits.get(kind, job.manifest.columns.len())?;
            let request = PrivateRequest {
                manifest: job.manifest,
                over: output.over,
                order: job.order,
                output: index as u32,
                weights,
                weight_blinder: *blinder,
                commitment: *commitment,
                l1_bound: *l1_bound,
                l2_bound: *l2_bound,
                columns,
                public_key: job.public_key,
                secret,
            };
            let started = Instant::now();
            let evaluated = evaluate_private(&request, &*circuit)?;
            let evaluate = started.elapsed();
            proving();
            let started = Instant::now();
            let (statement, envelope) = evaluated.prove(&*circuit, rng)?;
            let prove = started.elapsed();
            let evidence = PrivateEvidence {
                public_key: job.public_key,
                argument: circuit.verifying(),
            };
            verify_linear(statement.clone(), job.manifest, Some(&evidence), &envelope)?;
            let rows = circuit.verifying().rows();
            Ok(Finished { statement, envelope, evaluate, prove, rows })
        }
    }
}
