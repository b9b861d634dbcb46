//! What must be refused: a tampered result, a forged proof, a replayed order.
//! Each is tried through the public interfaces by somebody who holds valid
//! accounts and keys; each must leave the money where it was.

use super::{
    journey::available,
    world::{Person, World},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use veilbourse_client::{
    ClientError,
    buyer::{self, Listed, Ticket},
    query::Query,
};
use veilbourse_core::{
    ciphertext::{OutputCiphertext, PublicKey, SumData},
    field::Fq,
    program::{MatrixRef, Weights},
    wire::Writer,
};
use veilbourse_documents::{
    Bytes, DOCUMENT_VERSION, Id, Nonce, Order, Receipt, Signed, Submission, SubmittedDigest, Work,
    api::{PodJob, Submit},
};
use veilbourse_machine::{Identity, Machine};
use veilbourse_pod::{Circuits, Job, matrix_words};
use veilbourse_prover::linear::PodSecret;
use veilbourse_verifier::{
    Envelope,
    linear::{CircuitKey, OrderContext},
};

/// How an attack ended.
pub struct Refused {
    /// What was tried.
    pub attack: &'static str,
    /// What the market answered.
    pub answer: String,
    /// Whether it was refused for the right reason and no money moved.
    pub held: bool,
}

/// A dishonest pod, approved like any other.
pub struct Mallory<'a> {
    world: &'a World,
    id: Id,
    identity: Identity,
    machine: Machine,
}

impl<'a> Mallory<'a> {
    /// Registers and gets approved.
    pub async fn new(world: &'a World) -> Result<Self> {
        let (identity, _) = world.new_pod("mallory").await?;
        let machine = world.machine(identity.clone());
        Ok(Self {
            world,
            id: identity.id.clone(),
            identity,
            machine,
        })
    }

    async fn ordered(
        &self,
        buyer: &Person,
        listed: &Listed,
        query: &Query,
    ) -> Result<(Id, PodJob)> {
        let key = &self.world.marketplace;
        let offer = buyer::quote(&buyer.session, key, listed, query, Some(&self.id)).await?;
        let deadline = (self.world.clock)() + 600_000;
        let mut rng = crate::rng(None);
        let ticket = buyer::prepare(key, &offer, listed, query, &buyer.key, deadline, &mut rng)?;
        let order = buyer::place(&buyer.session, &ticket).await?;
        let job: PodJob = self
            .machine
            .post("/v1/pod/lease", &json!({}))
            .await?
            .context("mallory's order waits for mallory")?;
        Ok((order, job))
    }

    /// Hands in what it likes, properly signed.
    async fn submit(&self, job: &PodJob, outputs: &[(OutputCiphertext, Vec<u8>)]) -> Result<()> {
        let path = format!("/v1/pod/jobs/{}", job.order_id);
        let mut digests = Vec::new();
        for ((ciphertext, envelope), index) in outputs.iter().zip(0u32..) {
            digests.push(SubmittedDigest {
                ciphertext: ciphertext.digest(),
                envelope: Envelope::digest(envelope),
            });
            let mut w = Writer::new();
            w.bytes(&ciphertext.encode()).bytes(envelope);
            self.machine
                .put(&format!("{path}/outputs/{index}"), &job.lease, w.finish())
                .await?;
        }
        let submission = Signed::sign(
            Submission {
                version: DOCUMENT_VERSION,
                marketplace: self.machine.marketplace(),
                order: job.order.digest()?,
                outputs: digests,
                work: Work::default(),
            },
            &self.identity.key,
        )?;
        let body = Submit {
            lease: job.lease,
            submission,
        };
        self.machine
            .post::<_, Value>(&format!("{path}/submission"), &body)
            .await?;
        Ok(())
    }

    async fn expect_refund(
        &self,
        attack: &'static str,
        buyer: &Person,
        order: &Id,
        before: i64,
    ) -> Result<Refused> {
        let ended = buyer::wait(&buyer.session, order, |_| {}).await?;
        let after = available(&buyer.session).await?;
        let (reason, detail) = ended.refund.clone().unwrap_or_default();
        Ok(Refused {
            attack,
            held: ended.state == "refunded" && reason == "rejected" && after == before,
            answer: format!("{} ({reason}): {detail}", ended.state),
        })
    }

    /// An honest evaluation and proof, then one added to the result, and the
    /// envelope relabelled for the changed statement.
    pub async fn tampered_result(
        &self,
        buyer: &Person,
        listed: &Listed,
        statistics: &Query,
        circuits: &Circuits,
    ) -> Result<Refused> {
        let before = available(&buyer.session).await?;
        let (order, job) = self.ordered(buyer, listed, statistics).await?;
        let object = |name: &str| format!("/v1/pod/jobs/{}/objects/{name}", job.order_id);
        let columns = job.manifest.columns.len();
        let one = SumData::encoded_len(columns);
        let sums = self.machine.get(&object("sums"), one * 1024).await?;
        let sums: Vec<SumData> = sums
            .chunks(one as usize)
            .map(|p| SumData::decode(p, columns))
            .collect::<Result<_, _>>()?;
        let key = PublicKey::decode(
            &self
                .machine
                .get(&object("public-key"), PublicKey::ENCODED_LEN)
                .await?,
        )?;
        let program = &job.order.body.program;
        let weights: Vec<Vec<i64>> = program
            .vectors
            .iter()
            .filter_map(|v| match &v.weights {
                Weights::Public { values } => Some(values.clone()),
                Weights::Private { .. } => None,
            })
            .collect();
        let digest = job.order.digest()?;
        let finished = tokio::task::block_in_place(|| {
            veilbourse_pod::run(
                Job {
                    manifest: &job.manifest,
                    public_key: &key,
                    program,
                    order: digest,
                    weights: &weights,
                    blinders: &vec![None; weights.len()],
                },
                circuits,
                &PodSecret::new([7; 32]),
                |over: MatrixRef| {
                    matrix_words(over, |s| sums.get(s as usize).cloned(), |_, _| None)
                },
                &mut crate::rng(None),
                &|_| {},
            )
        })?;
        let mut outputs: Vec<_> = finished
            .into_iter()
            .map(|f| (f.statement, f.envelope))
            .collect();
        if let Some((statement, envelope)) = outputs.first_mut() {
            if let OutputCiphertext::Traced(lwe) = &mut statement.ciphertext {
                lwe.b += Fq::reduce(1 << job.manifest.message_log2);
            }
            *envelope = relabel(envelope, &statement.digest())?;
        }
        let outputs: Vec<_> = outputs
            .into_iter()
            .map(|(s, e)| (s.ciphertext, e))
            .collect();
        self.submit(&job, &outputs).await?;
        self.expect_refund("tampered result", buyer, &order, before)
            .await
    }

    /// Proofs of an earlier order, relabelled for this one: a forgery that
    /// skips the work.
    pub async fn forged_proof(
        &self,
        buyer: &Person,
        listed: &Listed,
        query: &Query,
        earlier: &Signed<Receipt>,
    ) -> Result<Refused> {
        let before = available(&buyer.session).await?;
        let (order, job) = self.ordered(buyer, listed, query).await?;
        let body = &earlier.body;
        let public_key = PublicKey::decode(&body.public_key.0)?;
        let circuits: Vec<CircuitKey> = body
            .verifying_keys
            .iter()
            .map(|k| CircuitKey::decode(&k.0))
            .collect::<Result<_, _>>()?;
        let context = OrderContext {
            manifest: &job.manifest,
            program: &job.order.body.program,
            order: job.order.digest()?,
            public_key: &public_key,
            circuits: &circuits,
            srs: job.order.body.srs.digest,
        };
        let mut outputs = Vec::new();
        for (output, index) in body.outputs.iter().zip(0u32..) {
            let ciphertext = OutputCiphertext::decode(&output.ciphertext.0)?;
            let statement = context.statement(index, ciphertext.clone())?;
            outputs.push((
                ciphertext,
                relabel(&output.envelope.0, &statement.digest())?,
            ));
        }
        self.submit(&job, &outputs).await?;
        self.expect_refund("forged proof", buyer, &order, before)
            .await
    }
}

/// The same proof under another statement's digest: version (2 bytes), kind
/// (1), then the digest.
fn relabel(envelope: &[u8], statement: &veilbourse_core::digest::Digest) -> Result<Vec<u8>> {
    let mut out = envelope.to_vec();
    out.get_mut(3..35)
        .context("an envelope holds a digest")?
        .copy_from_slice(&statement.0);
    Ok(out)
}

/// The very same order again, from its buyer: answered with the order that is
/// there, nothing moves. Its nonce in a new order: refused.
pub async fn replayed_order(
    world: &World,
    buyer: &Person,
    listed: &Listed,
    query: &Query,
    ticket: &Ticket,
    first: &Id,
) -> Result<Vec<Refused>> {
    let before = available(&buyer.session).await?;
    let again = buyer::place(&buyer.session, ticket).await?;
    let unmoved = available(&buyer.session).await? == before;
    let same = Refused {
        attack: "the same order again",
        answer: format!("answered with order {again}; nothing moved"),
        held: again == *first && unmoved,
    };
    let mut rng = crate::rng(None);
    let offer = buyer::quote(&buyer.session, &world.marketplace, listed, query, None).await?;
    let deadline = (world.clock)() + 600_000;
    let fresh = buyer::prepare(
        &world.marketplace,
        &offer,
        listed,
        query,
        &buyer.key,
        deadline,
        &mut rng,
    )?;
    let body = Order {
        nonce: Nonce(ticket.order.body.nonce.0),
        ..fresh.order.body.clone()
    };
    let replay = Ticket {
        order: Signed::sign(body, &buyer.key)?,
        result_secret: Bytes(Vec::new()),
        ..fresh
    };
    let refused = buyer::place(&buyer.session, &replay).await;
    let unmoved = available(&buyer.session).await? == before;
    let nonce = match refused {
        Err(ClientError::Server { code, message, .. }) => Refused {
            attack: "its nonce in another order",
            held: code == "NONCE_REPLAYED" && unmoved,
            answer: format!("{message} [{code}]"),
        },
        other => Refused {
            attack: "its nonce in another order",
            held: false,
            answer: format!("{other:?}"),
        },
    };
    Ok(vec![same, nonce])
}
