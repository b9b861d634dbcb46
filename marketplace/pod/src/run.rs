//! Asks the server for work and does it (POD-1..3): what it is given is
//! checked as if the server were hostile.

use crate::{Circuits, Finished, Job, PodError, Stage, matrices::Matrices, run};
use rand_core::CryptoRng;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{runtime::Handle, sync::watch};
use veilbourse_core::{
    ciphertext::PublicKey,
    params::DATA_RING_DIMENSION as N,
    program::{MAX_OUTPUTS, MatrixRef, Weights},
    wire::{WireError, Writer},
};
use veilbourse_documents::{
    Chain, DOCUMENT_VERSION, DemandError, DocumentError, Id, Model, ModelContext, Order,
    SealingSecret, Signed, Submission, SubmittedDigest, Work,
    api::{Decline, Heartbeat, PodJob, Submit},
    demand, open_model,
};
use veilbourse_machine::{Machine, MachineError};
use veilbourse_prover::linear::PodSecret;
use veilbourse_verifier::{
    Envelope,
    field::{Fr, fr_from_bytes},
    linear::{MatrixKind, PrivateArgument, required_circuits},
};

/// Between two heartbeats; a lease lasts a minute.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Most bytes of a sealed model.
const MAX_MODEL: u64 = 4 << 20;

/// A pod's own secrets and proving keys.
#[derive(Debug)]
pub struct Pod {
    /// Proving keys under the pod's SRS.
    pub circuits: Circuits,
    /// What models are sealed to.
    pub sealing: SealingSecret,
    /// What re-randomisation is derived from (POD-4).
    pub secret: PodSecret,
}

/// What went wrong in one round.
#[derive(Debug, Error)]
pub enum PollError {
    /// Between pod and server.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// A document that was given, or one's own.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The program is not allowed by the policy.
    #[error(transparent)]
    Demand(#[from] DemandError),
    /// An object that was given.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The work.
    #[error(transparent)]
    Pod(#[from] PodError),
    /// More than a pod holds (POD-6).
    #[error("the program touches {value} bytes of traced forms, a pod holds {limit}")]
    TooLarge {
        /// The limit.
        limit: u64,
        /// What the program touches.
        value: u64,
    },
    /// Something given is not what the order names.
    #[error("{0}")]
    Mismatch(String),
}

impl PollError {
    /// Whether the job should be given back: not when the connection broke,
    /// then its lease will end by itself.
    fn declines(&self) -> bool {
        !matches!(self, Self::Machine(_))
    }
}

/// A job that was handed in.
#[derive(Debug, Clone)]
pub struct Report {
    /// The order's id.
    pub order_id: Id,
    /// Evaluating all outputs.
    pub evaluate: Duration,
    /// Proving them, wall time.
    pub prove: Duration,
    /// Proving them, CPU time of the process.
    pub prove_cpu: Duration,
    /// Bytes of all envelopes.
    pub proof_bytes: u64,
}

/// One round: leases a job, if there is one, does it and hands it in.
pub async fn poll<R: CryptoRng + Send + 'static>(
    pod: &Arc<Pod>,
    machine: &Arc<Machine>,
    rng: R,
) -> Result<Option<Report>, PollError> {
    let Some(job) = machine
        .post::<_, PodJob>("/v1/pod/lease", &json!({}))
        .await?
    else {
        return Ok(None);
    };
    let done = work(pod, machine, &job, rng).await;
    if let Err(e) = &done {
        tracing::warn!(order = %job.order_id, error = %e, "job failed");
        if e.declines() {
            let mut reason = e.to_string();
            reason.truncate(reason.floor_char_boundary(1000));
            let path = format!("/v1/pod/jobs/{}/decline", job.order_id);
            let body = Decline {
                lease: job.lease,
                reason,
            };
            machine.post::<_, Value>(&path, &body).await?;
        }
    }
    done.map(Some)
}

/// POD-2 of the documents; returns the order's digest.
fn check_documents(pod: &Pod, machine: &Machine, job: &PodJob) -> Result<(), PollError> {
    let own = machine.identity();
    let chain = Chain {
        marketplace: &own.marketplace,
        policy: &job.policy,
        quote: &job.quote,
        order: &job.order,
    };
    chain.check()?;
    let order = &job.order.body;
    let mismatch = |what: &str| Err(PollError::Mismatch(what.into()));
    if order.pod != own.id || order.pod_key.0 != own.key.verifying_key().to_bytes() {
        return mismatch("the order is for another pod");
    }
    job.manifest.validate()?;
    if job.manifest.root() != order.dataset {
        return mismatch("the manifest is not of the ordered dataset");
    }
    // Before anything is compared pairwise.
    if order.program.outputs.len() > MAX_OUTPUTS as usize {
        return mismatch("the program has more outputs than a program can have");
    }
    let policy = &job.policy.body;
    demand(
        &job.manifest,
        &order.program,
        &policy.kinds,
        policy.min_cohort,
    )?;
    let mut keys = Vec::new();
    for (kind, _) in required_circuits(&job.manifest, &order.program) {
        let circuit = pod
            .circuits
            .get(kind, job.manifest.columns.len())
            .map_err(PodError::from)?;
        keys.push(circuit.verifying().digest());
    }
    if keys != order.verifying_keys {
        return mismatch("the order accepts other verifying keys than this pod has");
    }
    if !keys.is_empty() && pod.circuits.srs().digest() != order.srs.digest {
        return mismatch("the order accepts another SRS than this pod has");
    }
    Ok(())
}

async fn work<R: CryptoRng + Send + 'static>(
    pod: &Arc<Pod>,
    machine: &Arc<Machine>,
    job: &PodJob,
    mut rng: R,
) -> Result<Report, PollError> {
    tokio::task::block_in_place(|| check_documents(pod, machine, job))?;
    let object = |name: &str| format!("/v1/pod/jobs/{}/objects/{name}", job.order_id);
    let public_key = machine
        .get(&object("public-key"), PublicKey::ENCODED_LEN)
        .await?;
    let public_key = PublicKey::decode(&public_key)?;
    let sealed = match job.order.body.sealed_model {
        Some(_) => Some(machine.get(&object("sealed-model"), MAX_MODEL).await?),
        None => None,
    };
    let (weights, blinders) = model(pod, machine, job, sealed.as_deref())?;

    let order = job.order.digest()?;
    let (report, mut stages) = watch::channel(("fetching".to_owned(), 0u32));
    let task = {
        let (pod, job, machine) = (pod.clone(), job.clone(), machine.clone());
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            let (program, columns) = (&job.order.body.program, job.manifest.columns.len());
            let matrices = Matrices::new(machine, job.order_id.clone(), columns, program);
            let matrices = runtime.block_on(matrices)?;
            run(
                Job {
                    manifest: &job.manifest,
                    public_key: &public_key,
                    program,
                    order,
                    weights: &weights,
                    blinders: &blinders,
                },
                &pod.circuits,
                &pod.secret,
                |over| matrices.words(&runtime, over),
                &mut rng,
                &|stage| {
                    let (name, i, n) = match stage {
                        Stage::Evaluate(i, n) => ("evaluating", i, n),
                        Stage::Prove(i, n) => ("proving", i, n),
                    };
                    let name = format!("{name} output {} of {n}", i + 1);
                    let _ = report.send((name, (1000 * i / n.max(1)) as u32));
                },
            )
            .map_err(|e| matrices.failure().unwrap_or(e.into()))
        })
    };
    let finished = with_heartbeats(machine, job, &mut stages, task).await?;
    let report = Report {
        order_id: job.order_id.clone(),
        evaluate: finished.iter().map(|f| f.evaluate).sum(),
        prove: finished.iter().map(|f| f.prove).sum(),
        prove_cpu: finished.iter().map(|f| f.prove_cpu).sum(),
        proof_bytes: finished.iter().map(|f| f.envelope.len() as u64).sum(),
    };
    hand_in(machine, job, finished).await?;
    Ok(report)
}

/// Waits for the work, prolonging the lease at each stage and every 10 s.
async fn with_heartbeats(
    machine: &Machine,
    job: &PodJob,
    stages: &mut watch::Receiver<(String, u32)>,
    mut task: tokio::task::JoinHandle<Result<Vec<Finished>, PollError>>,
) -> Result<Vec<Finished>, PollError> {
    let path = format!("/v1/pod/jobs/{}/heartbeat", job.order_id);
    loop {
        type Work = Result<Vec<Finished>, PollError>;
        let over = |r: Result<Work, tokio::task::JoinError>| match r {
            Ok(finished) => finished,
            Err(e) => Err(PollError::Mismatch(format!("the work stopped: {e}"))),
        };
        tokio::select! {
            r = &mut task => return over(r),
            _ = tokio::time::sleep(HEARTBEAT) => {}
            changed = stages.changed() => {
                if changed.is_err() {
                    return over((&mut task).await);
                }
            }
        }
        let (stage, progress) = stages.borrow_and_update().clone();
        let beat = Heartbeat {
            lease: job.lease,
            stage,
            progress,
        };
        match machine.post::<_, Value>(&path, &beat).await {
            Ok(_) => {}
            // A missed beat is no loss while the lease lasts.
            Err(e) if e.transient() => tracing::warn!(error = %e, "heartbeat"),
            Err(e) => {
                task.abort();
                return Err(e.into());
            }
        }
    }
}

type Secrets = (Vec<Vec<i64>>, Vec<Option<Fr>>);

/// POD-2: the model is the one whose digest the order names; each private
/// vector appears once. That it opens M is checked before evaluation.
fn model(
    pod: &Pod,
    machine: &Machine,
    job: &PodJob,
    sealed: Option<&[u8]>,
) -> Result<Secrets, PollError> {
    let order = &job.order.body;
    let opened = match sealed {
        None => Model {
            vectors: Vec::new(),
        },
        Some(sealed) => {
            if Some(Order::digest_of_sealed_model(sealed)) != order.sealed_model {
                return Err(PollError::Mismatch(
                    "the sealed model is not the ordered one".into(),
                ));
            }
            let context = ModelContext {
                dataset: &order.dataset,
                program: &order.program.shape(),
                pod: &machine.identity().id,
                buyer: &job.order.key,
                result_key: &order.result_key.0,
                nonce: &order.nonce,
            };
            open_model(sealed, &pod.sealing, &context)?
        }
    };
    let mut weights = Vec::new();
    let mut blinders = Vec::new();
    for (v, index) in order.program.vectors.iter().zip(0u32..) {
        match &v.weights {
            Weights::Public { values } => {
                weights.push(values.clone());
                blinders.push(None);
            }
            Weights::Private { .. } => {
                let secret = opened
                    .vectors
                    .iter()
                    .find(|m| m.vector == index)
                    .ok_or_else(|| {
                        PollError::Mismatch(format!("the model holds no vector {index}"))
                    })?;
                let blinder = fr_from_bytes(&secret.blinder).ok_or_else(|| {
                    PollError::Mismatch(format!("vector {index}: blinder is not canonical"))
                })?;
                weights.push(secret.weights.clone());
                blinders.push(Some(blinder));
            }
        }
    }
    Ok((weights, blinders))
}

/// POD-3: outputs one by one, then the signed submission over all of them.
async fn hand_in(
    machine: &Machine,
    job: &PodJob,
    finished: Vec<Finished>,
) -> Result<(), PollError> {
    let path = format!("/v1/pod/jobs/{}", job.order_id);
    let mut outputs = Vec::new();
    let mut metered = Work::default();
    let columns = job.manifest.columns.len() as u64;
    for (f, index) in finished.iter().zip(0u32..) {
        let ciphertext = f.statement.ciphertext.encode();
        outputs.push(SubmittedDigest {
            ciphertext: f.statement.ciphertext.digest(),
            envelope: Envelope::digest(&f.envelope),
        });
        metered.weighted_values += columns * N as u64;
        metered.constraints += f.rows;
        metered.bytes += (ciphertext.len() + f.envelope.len()) as u64;
        let mut w = Writer::new();
        w.bytes(&ciphertext).bytes(&f.envelope);
        machine
            .put(&format!("{path}/outputs/{index}"), &job.lease, w.finish())
            .await?;
    }
    let submission = Signed::sign(
        Submission {
            version: DOCUMENT_VERSION,
            marketplace: machine.marketplace(),
            order: job.order.digest()?,
            outputs,
            work: metered,
        },
        &machine.identity().key,
    )?;
    let body = Submit {
        lease: job.lease,
        submission,
    };
    machine
        .post::<_, Value>(&format!("{path}/submission"), &body)
        .await?;
    Ok(())
}

/// Which circuit an output is proven with.
pub(crate) fn kind_of(over: MatrixRef) -> MatrixKind {
    match over {
        MatrixRef::Traced { .. } => MatrixKind::Traced,
        MatrixRef::Chunk { .. } => MatrixKind::Chunk,
    }
}
