//! Checking a dealing (QRM-6, TKT-4): its tickets in batches, by the same keys
//! handed on from batch to batch.
//!
//! What this node can tell by itself, that its masks open the commitments and
//! that its shares are the ones named, is looked at before anything is said. A
//! dealing that does not hold is refused; a check that stops once this node's
//! sum may have left, in any batch, freezes the quorum: the same batch checked
//! twice, under another lie, would tell the MAC key.

use crate::{
    error::QuorumError,
    keeper::Keeper,
    meeting::{Agenda, Purpose, name},
    proof::ProofReader,
    turn::Turn,
};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::Writer,
};
use veilbourse_peers::{Exchange, Network, OpenError, busy, check_dealing};
use veilbourse_protocol::{
    BatchCheck, Live, MAX_CHECKED, Package, ProtocolError, check_batch, decode_commitment,
};
use veilbourse_ticket_store::{Disk, Stage, Store, StoreError};
use zeroize::Zeroizing;

/// Fresh randomness of a batch; each use is of another.
fn salt(what: &str, entropy: &[u8; 32], batch: u64) -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new(what.as_bytes().to_vec());
    bytes.extend(entropy);
    bytes.extend(batch.to_le_bytes());
    Zeroizing::new(blake3::derive_key(
        "veilbourse v1 quorum check randomness",
        &bytes,
    ))
}

/// The session of a batch.
fn batch_name(meeting: &Digest, batch: u64) -> Digest {
    let mut out = Writer::new();
    out.raw(&meeting.0).u64(batch);
    Digest::of(Domain::Other("veilbourse v1 quorum batch"), &out.finish())
}

impl<D: Disk> Keeper<D> {
    /// Checks a received dealing with the other members of its quorum, all of
    /// whom call this with the same trial. Afterwards it is verified; refused,
    /// where it does not hold; or as it was, where a member did not take part.
    pub async fn check<N: Network>(
        &self,
        network: &N,
        dealing: &Digest,
        trial: u64,
        entropy: [u8; 32],
    ) -> Result<(), QuorumError> {
        let entropy = Zeroizing::new(entropy);
        let mut turn = self.turn(dealing, &[Stage::Received], "received").await?;
        let checked = self
            .checked(&mut turn, network, dealing, trial, &entropy)
            .await;
        if let Err(e) = &checked
            && spoilt(e)
        {
            // While its check is pending this freezes.
            let why = e.to_string();
            let refused = busy(|| self.lock().refuse(dealing, &why));
            if let Err(e) = refused {
                return turn.end(Err(e.into()));
            }
        }
        turn.end(checked)
    }

    async fn checked<N: Network>(
        &self,
        turn: &mut Turn<'_, D>,
        network: &N,
        dealing: &Digest,
        trial: u64,
        entropy: &[u8; 32],
    ) -> Result<(), QuorumError> {
        let announced = turn.announced().clone();
        let members = turn.members();
        let meeting = name(Purpose::Check, &announced.dataset, &members, dealing, trial);
        let agenda = Agenda {
            purpose: Purpose::Check,
            about: *dealing,
            attempt: 0,
            next: announced.first,
            session: Digest::default(),
        };
        let met = self.meet(network, meeting, &announced, agenda, |_, _| Ok(*dealing));
        let met = met.await?;
        met.channel.finish();
        let mut proof = ProofReader::new(*dealing);
        let batches = announced.count.div_ceil(MAX_CHECKED as u64);
        for batch in 0..batches {
            let mut channel = network.session(batch_name(&meeting, batch), &members)?;
            let live = turn.take()?;
            let check = busy(|| {
                let mut store = self.lock();
                self.package(turn, &mut store, &mut proof, batch, live, entropy)
            })?;
            let checked = check_dealing(check, &mut channel, |_| match batch {
                0 => self.lock().checking(dealing),
                _ => Ok(()),
            });
            let live = checked.await.map_err(|failed| {
                failed.live.into_iter().for_each(|l| turn.put(l));
                QuorumError::from(failed.error)
            })?;
            turn.put(live);
            channel.finish();
        }
        busy(|| self.lock().verified(dealing))?;
        Ok(())
    }

    /// What this node holds of a batch; nothing was said of it yet.
    fn package(
        &self,
        turn: &Turn<'_, D>,
        store: &mut Store<D>,
        proof: &mut ProofReader,
        batch: u64,
        live: Live,
        entropy: &[u8; 32],
    ) -> Result<BatchCheck, QuorumError> {
        let announced = turn.announced();
        let dealing = announced.digest();
        let first = announced.first + batch * MAX_CHECKED as u64;
        let count = (announced.end() - first).min(MAX_CHECKED as u64);
        let mut read = || -> Result<_, QuorumError> {
            let seed = store.checked_seed(&dealing)?;
            let tickets = store.checked_tickets(&dealing, first, count)?;
            let own = store.checked_commitments(&dealing, first, count)?;
            let key = match batch {
                0 if announced.with_key => Some(store.data_key(&dealing)?),
                _ => None,
            };
            let (levels, explicit) = proof.next(store)?;
            let points: Option<Vec<_>> = own.iter().map(decode_commitment).collect();
            let masks: Vec<_> = tickets.iter().map(|t| t.mask.clone()).collect();
            let fresh = salt("masks", entropy, batch);
            if !points.is_some_and(|points| check_batch(&masks, &points, &fresh)) {
                return Err(QuorumError::Dealing {
                    dealing,
                    reason: "a mask share does not open its commitment",
                });
            }
            Ok((seed, tickets, key, levels, explicit))
        };
        let (seed, tickets, key, levels, explicit) = read()?;
        let package = Package {
            seed: &seed,
            first,
            tickets: &tickets,
            data_key: key.as_ref().map_or(&[], |k| &k.shares),
            levels: &levels,
            explicit: turn.dealing.last_party().then_some(&explicit[..]),
        };
        let salt = *salt("check", entropy, batch);
        let context = announced.context();
        let check = BatchCheck::new(&turn.dealing.shape, &context, live, &package, salt);
        // The keys are free again when the turn ends.
        check.map_err(|(e, _)| e.into())
    }
}

/// Whether it is the dealing that does not hold, and not a peer, a channel or a
/// disk.
fn spoilt(e: &QuorumError) -> bool {
    match e {
        QuorumError::Dealing { .. } => true,
        QuorumError::Protocol(_)
        | QuorumError::Store(StoreError::Wire(_) | StoreError::Protocol(_)) => true,
        // A proof that is shorter than it says.
        QuorumError::Store(StoreError::TooLong { .. }) => true,
        QuorumError::Open(OpenError::Protocol(e)) => {
            matches!(e, ProtocolError::Dealing(_) | ProtocolError::MacCheck)
        }
        _ => false,
    }
}
