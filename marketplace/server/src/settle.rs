//! Settlement (SET-2, SET-3): verifies what pods submit, grants, and sweeps.
//! Driven by the states in the store, so that a crash anywhere is resumed by
//! looking again. The sweep runs beside the verification; of each pod one
//! order is verified at a time, so that no pod waits for another's.

use crate::{
    App,
    convert::{refused, stored},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::{Id as TaskId, JoinError, JoinSet};
use veilbourse_core::ciphertext::{OutputCiphertext, PublicKey};
use veilbourse_documents::{
    DOCUMENT_VERSION, Grant, Opener, Openers, Order as OrderDocument, Signed, Submission,
};
use veilbourse_domain::{
    DomainError, Millis, Result,
    id::{MachineId, OrderId},
    order::{Granted, Order, OrderState},
    records::{BlobKind, DocumentKind, SignedText},
};
use veilbourse_verifier::{Envelope, linear::OrderContext};

/// How often the states are looked at, besides when something is submitted.
const ROUND: Duration = Duration::from_millis(500);
/// Orders of a sweep.
const BATCH: u32 = 32;
/// Orders verified at once, of as many pods.
const LANES: usize = 4;
/// Orders looked at of a pod: one that fails here does not block the next.
const OF_A_POD: u32 = 4;
/// How long an order that failed here waits for the next try.
const RETRY: Duration = Duration::from_secs(5);

/// What is being verified.
#[derive(Default)]
struct Lanes {
    tasks: JoinSet<Result<()>>,
    busy: HashMap<TaskId, (MachineId, OrderId)>,
    later: HashMap<OrderId, Instant>,
}

impl Lanes {
    /// Starts the oldest order of each pod that has none under way.
    async fn fill(&mut self, app: &Arc<App>) -> Result<()> {
        let now = Instant::now();
        self.later.retain(|_, until| *until > now);
        if self.tasks.len() >= LANES {
            return Ok(());
        }
        for order in app.store.settling(OF_A_POD).await? {
            let (id, pod) = (order.id, order.terms.pod);
            let waits = self.busy.values().any(|(p, _)| *p == pod) || self.later.contains_key(&id);
            if waits || self.tasks.len() >= LANES {
                continue;
            }
            let app = app.clone();
            let task = self.tasks.spawn(async move { app.advance(order).await });
            self.busy.insert(task.id(), (pod, id));
        }
        Ok(())
    }

    /// Waits until one is done, something is submitted, or a round is over.
    async fn wait(&mut self, app: &App) {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = app.settle.notified() => {}
            Some(done) = self.tasks.join_next_with_id() => self.ended(done),
        }
        while let Some(done) = self.tasks.try_join_next_with_id() {
            self.ended(done);
        }
    }

    fn ended(&mut self, done: std::result::Result<(TaskId, Result<()>), JoinError>) {
        let (task, result) = match done {
            Ok((task, result)) => (task, result),
            Err(e) => (e.id(), Err(DomainError::storage(e))),
        };
        let Some((_, order)) = self.busy.remove(&task) else {
            return;
        };
        match result {
            // Ended by somebody else meanwhile, for example expired.
            Ok(()) | Err(DomainError::OrderState { .. }) => return,
            Err(DomainError::Conflict { .. }) => {}
            Err(e) => tracing::error!(order = %order, error = ?e, "settlement"),
        }
        self.later.insert(order, Instant::now() + RETRY);
    }
}

impl App {
    /// Settles until the application is dropped.
    pub(crate) async fn settle_forever(self: Arc<Self>) {
        tokio::join!(self.verify_forever(), self.sweep_forever());
    }

    async fn verify_forever(self: &Arc<Self>) {
        let mut lanes = Lanes::default();
        loop {
            // A submission wakes it; the timer resumes after crashes.
            lanes.wait(self).await;
            if let Err(e) = lanes.fill(self).await {
                tracing::error!(error = ?e, "settlement");
            }
        }
    }

    async fn sweep_forever(&self) {
        let mut rounds = 0u32;
        let (mut after, mut granted) = (None, None);
        loop {
            tokio::time::sleep(ROUND).await;
            match self.store.sweep(self.now(), BATCH).await {
                Ok(swept) => {
                    for order in swept {
                        tracing::info!(order = %order.id, state = order.state.name(), "swept");
                        self.changed(order.id);
                    }
                }
                Err(e) => tracing::error!(error = ?e, "sweep"),
            }
            // SET-7: grants to silent nodes, then orders that wait for a quorum, some
            // each round.
            match self.give_up_silent(granted, BATCH).await {
                Ok(last) => granted = last,
                Err(e) => tracing::error!(error = ?e, "grants to silent nodes"),
            }
            match self.grant_waiting(after, BATCH).await {
                Ok(last) => after = last,
                Err(e) => tracing::error!(error = ?e, "grants"),
            }
            rounds = rounds.wrapping_add(1);
            if rounds.is_multiple_of(120) {
                self.limits.tidy();
                if let Err(e) = self.store.sweep_links(self.now()).await {
                    tracing::error!(error = ?e, "links of letters");
                }
            }
        }
    }

    async fn advance(&self, order: Order) -> Result<()> {
        let id = order.id;
        if let OrderState::Evaluated(evaluated) = &order.state {
            let started = std::time::Instant::now();
            match self.verify_submission(&order).await {
                Ok(()) => {
                    self.store.verified(id, self.now()).await?;
                    metrics::histogram!("veilbourse_verify_seconds")
                        .record(started.elapsed().as_secs_f64());
                }
                Err(e) if e.is_internal() => return Err(e),
                Err(e) => {
                    // SET-2: the refusal names the rule.
                    tracing::warn!(order = %id, error = %e, "submission refused");
                    self.store.reject(id, &e.to_string(), self.now()).await?;
                    let pod = evaluated.pod.to_string();
                    metrics::counter!("veilbourse_submissions_refused_total", "pod" => pod)
                        .increment(1);
                    self.changed(id);
                    return Ok(());
                }
            }
            self.changed(id);
        }
        self.grant_for(id).await?;
        self.changed(id);
        Ok(())
    }

    pub(crate) async fn signed_order(&self, id: OrderId) -> Result<Signed<OrderDocument>> {
        let text = self.store.document(id, DocumentKind::Order).await?.text;
        Signed::parse(text.as_bytes()).map_err(|e| refused(&e))
    }

    pub(crate) async fn signed_submission(&self, id: OrderId) -> Result<Signed<Submission>> {
        let text = self
            .store
            .document(id, DocumentKind::Submission)
            .await?
            .text;
        Signed::parse(text.as_bytes()).map_err(|e| refused(&e))
    }

    /// SET-2: every envelope, by the server itself.
    async fn verify_submission(&self, order: &Order) -> Result<()> {
        let signed = self.signed_order(order.id).await?;
        let submission = self.signed_submission(order.id).await?;
        let manifest = self.manifest(order.listing).await?;
        let circuits = self.circuits_for(&manifest, &signed.body.program)?;
        let key = self.objects.read(order.listing, "public-key").await?;
        let key = Arc::new(PublicKey::decode(&key).map_err(DomainError::storage)?);
        let order_digest = order.terms.digest;
        let shared = Arc::new((signed, circuits));
        for (index, expected) in (0u32..).zip(submission.body.outputs.clone()) {
            let ciphertext = self
                .store
                .blob(order.id, BlobKind::Ciphertext, index)
                .await?;
            let envelope = self.store.blob(order.id, BlobKind::Envelope, index).await?;
            let (manifest, key, shared) = (manifest.clone(), key.clone(), shared.clone());
            self.heavy(move || {
                let refuse = |e: &dyn std::fmt::Display| {
                    DomainError::invalid("submission", format!("output {index}: {e}"))
                };
                let decoded = OutputCiphertext::decode(&ciphertext).map_err(|e| refuse(&e))?;
                if decoded.digest() != expected.ciphertext
                    || Envelope::digest(&envelope) != expected.envelope
                {
                    return Err(DomainError::DocumentLink { what: "submission" });
                }
                let (signed, circuits) = &*shared;
                OrderContext {
                    manifest: &manifest,
                    program: &signed.body.program,
                    order: order_digest,
                    public_key: &key,
                    circuits,
                    srs: signed.body.srs.digest,
                }
                .verify_output(index, &ciphertext, &envelope)
                .map(drop)
                .map_err(|e| refuse(&e))
            })
            .await??;
        }
        Ok(())
    }

    /// SET-3: the one grant of custodian-held custody, or one to a quorum.
    async fn grant_for(&self, id: OrderId) -> Result<()> {
        let order = self.store.order(id).await?;
        let Openers::CustodianHeld { node_key } = order.terms.openers else {
            return self.grant_to_quorum(id).await;
        };
        let now = self.now();
        let expires = self.grant_end(&order, now);
        let opener = Opener::CustodianHeld { node_key };
        let (grant, granted) = self.sign_grant(&order, 0, opener, expires).await?;
        self.store.grant(id, grant, granted, now).await?;
        Ok(())
    }

    /// When a grant of now expires: before the order's deadline (SET-5).
    pub(crate) fn grant_end(&self, order: &Order, now: Millis) -> Millis {
        let seconds = match order.terms.by_committee() {
            true => self.config.quorum_seconds,
            false => self.config.grant_seconds,
        };
        now.saturating_add(1000 * u64::from(seconds))
            .min(order.terms.deadline.saturating_sub(1))
    }

    /// A grant of an order, and its facts (DOC-8).
    pub(crate) async fn sign_grant(
        &self,
        order: &Order,
        number: u32,
        opener: Opener,
        expires: Millis,
    ) -> Result<(SignedText, Granted)> {
        let submission = self.signed_submission(order.id).await?;
        let policy = self
            .store
            .policy(order.listing, order.terms.policy_version)
            .await?;
        let grant = Signed::sign(
            Grant {
                version: DOCUMENT_VERSION,
                marketplace: self.id,
                order: order.terms.digest,
                policy: policy.digest,
                submission: submission.digest().map_err(|e| refused(&e))?,
                outputs: submission.body.outputs,
                number,
                opener: opener.clone(),
                expires,
            },
            &self.signing,
        )
        .map_err(|e| refused(&e))?;
        let signed = stored(&grant)?;
        let granted = Granted {
            grant: signed.digest,
            number,
            opener,
            expires,
            over: None,
        };
        Ok((signed, granted))
    }
}
