//! Opening a request (QRM-3, QRM-4): meeting, tickets spent, the rounds of
//! OPN-2..4 with the store's marks in between, signatures of all.

use crate::{
    error::QuorumError,
    keeper::Keeper,
    meeting::{Agenda, Purpose, name},
    request::Request,
    sign::{Outcome, SignedOutcome, Signer, countersign, expect_signatures},
    turn::Turn,
};
use veilbourse_core::digest::Digest;
use veilbourse_peers::{Exchange, Network, busy, open};
use veilbourse_protocol::{Durable, Job, Live, Opened, binding::Binding, phases};
use veilbourse_ticket_store::{Disk, SessionStage, Stage, StoreError};

impl<D: Disk> Keeper<D> {
    /// Opens a request with the members of its dealing's quorum, all of whom
    /// call this with the same request. `entropy` is fresh randomness. When it
    /// returns, y is signed by all, and nothing has been released yet
    /// ([`Keeper::release`]). After an error before this node signed the request
    /// may be opened again, by this quorum or another; afterwards
    /// [`Keeper::resume`] finishes it.
    pub async fn open<N: Network>(
        &self,
        network: &N,
        signer: &impl Signer,
        request: &Request,
        entropy: [u8; 32],
    ) -> Result<SignedOutcome, QuorumError> {
        request.check()?;
        let stages = [Stage::Usable];
        let mut turn = self.turn(&request.dealing, &stages, "usable").await?;
        let opened = self
            .opened(&mut turn, network, signer, request, entropy)
            .await;
        // The keys are free: the next session need not wait for signatures.
        let (channel, outcome) = turn.end(opened)?;
        countersign(channel, signer, outcome).await
    }

    /// OPN-6, before anything is said: an output has no other session that may
    /// open it.
    fn unopened(&self, request: &Request) -> Result<(), StoreError> {
        let store = self.lock();
        for o in &request.outputs {
            if let Some(s) = store.latest(&request.order, o.index)
                && !s.stage.given_up()
            {
                return Err(StoreError::SecondOpening {
                    order: request.order,
                    output: o.index,
                    session: s.spent.session,
                    found: s.stage.name(),
                });
            }
        }
        Ok(())
    }

    async fn opened<N: Network>(
        &self,
        turn: &mut Turn<'_, D>,
        network: &N,
        signer: &impl Signer,
        request: &Request,
        entropy: [u8; 32],
    ) -> Result<(N::Session, Outcome), QuorumError> {
        self.unopened(request)?;
        let announced = turn.announced().clone();
        let members = turn.members();
        let dataset = announced.dataset;
        let name = name(
            Purpose::Open,
            &dataset,
            &members,
            &request.grant,
            request.trial,
        );
        let agenda = Agenda {
            purpose: Purpose::Open,
            about: request.digest(),
            attempt: self.read(|s| s.least_attempt(&request.order, announced.quorum)),
            next: self.read(|s| s.next_ticket(&request.dealing))?,
            session: Digest::default(),
        };
        // By counters that are signed, not by what was said.
        let first = || self.read(|s| s.next_ticket(&request.dealing));
        let binding = |attempt| -> Result<Binding, StoreError> {
            Ok(request.binding(&announced, attempt, first()?))
        };
        // What could not be spent is refused before anybody agrees.
        let session = |attempt, _| {
            let binding = binding(attempt)?;
            self.lock().may_spend(&binding)
        };
        let met = self
            .meet(network, name, &announced, agenda, session)
            .await?;
        met.channel.finish();
        let binding = binding(met.attempt)?;
        let session = binding.digest();
        let live = turn.take()?;
        // A session's name is used once (PEER-5): it begins when what makes the
        // next one's another, the tickets spent, is on disk.
        let job = busy(|| {
            let mut store = self.lock();
            store.spend(&binding)?;
            let tickets = store.tickets(&session)?;
            let key = store.data_key(&request.dealing)?;
            drop(store);
            let mut shares = Vec::new();
            for o in &request.outputs {
                shares.extend(phases(&key, live.key(), &o.ciphertext)?);
            }
            Ok::<_, QuorumError>(Job {
                session,
                live,
                shape: turn.dealing.shape.clone(),
                tickets,
                phases: shares,
                entropy,
            })
        })?;
        let mut channel = network.session(session, &members)?;
        expect_signatures(&mut channel, signer)?;
        let opened = self.rounds(turn, job, &mut channel).await?;
        busy(|| self.lock().signed(&session, &opened))?;
        let outcome = Outcome {
            session,
            binding,
            y: opened,
        };
        Ok((channel, outcome))
    }

    /// The rounds, to a check that passed, on disk; the keys are in the turn
    /// again where they may be.
    pub(crate) async fn rounds(
        &self,
        turn: &mut Turn<'_, D>,
        job: Job,
        channel: &mut impl Exchange,
    ) -> Result<Vec<veilbourse_core::field::Fq>, QuorumError> {
        let session = job.session;
        let opened = open(job, channel, |mark| self.durable(&session, mark)).await;
        let Opened { y, live, .. } = opened.map_err(|failed| {
            failed.live.into_iter().for_each(|l: Live| turn.put(l));
            failed.error
        })?;
        busy(|| self.lock().check_passed(&session))?;
        turn.put(live);
        Ok(y)
    }

    /// OPN-4: what is on disk before a message leaves. Tickets are spent before
    /// the first round; here that is asked once more.
    fn durable(&self, session: &Digest, mark: Durable) -> Result<(), StoreError> {
        let mut store = self.lock();
        match mark {
            Durable::Nothing => Ok(()),
            Durable::Spent => {
                let s = store.state().session_of(session);
                match s.map(|s| &s.stage) {
                    Some(SessionStage::Spent) => Ok(()),
                    found => Err(StoreError::Session {
                        session: *session,
                        found: found.map_or("unknown", |s| s.name()),
                        expected: "spent",
                    }),
                }
            }
            Durable::CheckPending => store.check_pending(session),
        }
    }
}
