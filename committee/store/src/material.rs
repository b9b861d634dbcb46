//! What the protocol needs of a dealing (CST-5): keys, tickets, masks, each read
//! at its place and only where the log allows it.

use crate::{
    dealing::{Package, Stream, StreamDigest},
    disk::Disk,
    error::StoreError,
    state::{DealingState, SessionStage, Stage},
    store::{SEED, Store, file},
};
use veilbourse_core::{digest::Digest, params::DATA_RING_DIMENSION, wire::Reader};
use veilbourse_protocol::{
    DataKeyShare, Live, MAX_CHECKED, MaskShare, Share, TicketShare, read_share,
};
use zeroize::Zeroizing;

/// Stages in which a dealing is checked or used.
const HELD: [Stage; 4] = [
    Stage::Received,
    Stage::Checking,
    Stage::Verified,
    Stage::Usable,
];

impl<D: Disk> Store<D> {
    fn seed(&mut self, dealing: &Digest) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        let mut seed = Zeroizing::new([0; 32]);
        let name = file(dealing, SEED);
        self.guard(|disk| disk.read(&name, 0, &mut *seed))?;
        let expected = self.state.dealings.get(dealing).map(|d| d.package.seed);
        self.unaltered(name, Package::seed_id(&seed), expected)?;
        Ok(seed)
    }

    /// CST-5: what a disk altered is not used. A check would fail over it, and
    /// the quorum be frozen.
    fn unaltered(
        &self,
        name: String,
        found: Digest,
        expected: Option<Digest>,
    ) -> Result<(), StoreError> {
        let expected = expected.unwrap_or_default();
        if found == expected {
            return Ok(());
        }
        Err(StoreError::Altered {
            name,
            found,
            expected,
        })
    }

    /// The quorum's keys, for one use (OPN-4): nobody gets them again before
    /// they were given back, or the use was cut off.
    pub fn live(&mut self, dealing: &Digest) -> Result<Live, StoreError> {
        self.serving()?;
        let d = self.dealing(dealing, &HELD, "received")?;
        let (party, keys, quorum) = (d.party, d.dealing.keys(), d.dealing.quorum);
        let of = |d: &DealingState| d.dealing.quorum == quorum;
        let mut all = self.state.dealings.values().filter(|d| of(d));
        let checking = all.any(|d| d.stage == Stage::Checking);
        let pending = self.state.sessions.values().any(|s| {
            let dealing = self.state.dealings.get(&s.spent.dealing);
            s.stage == SessionStage::CheckPending && dealing.is_some_and(of)
        });
        if checking || pending || self.out.contains_key(&quorum) {
            let quorum = quorum.bits();
            return Err(StoreError::InUse { quorum });
        }
        let live = Live::new(&*self.seed(dealing)?, &keys, party, quorum.parties());
        self.out.insert(quorum, keys);
        Ok(live)
    }

    /// The keys come back: the use of them succeeded, or ended before this
    /// party's sigma left.
    pub fn give_back(&mut self, live: Live) {
        self.out.retain(|_, name| *name != *live.quorum());
    }

    /// This party's shares of S_D in the epoch of a dealing.
    pub fn data_key(&mut self, dealing: &Digest) -> Result<DataKeyShare, StoreError> {
        self.serving()?;
        let d = self.dealing(dealing, &HELD, "received")?;
        let (quorum, epoch) = (d.dealing.quorum, d.dealing.epoch);
        let keys = d.dealing.keys();
        let key = self.state.key_of(quorum, epoch);
        let missing = StoreError::Seed {
            quorum: quorum.bits(),
            epoch,
            reason: "the epoch has no key yet",
        };
        let (carrier, last) = key
            .filter(|(_, d)| d.stage >= Stage::Received)
            .map(|(k, d)| (*k, d.last_party()))
            .ok_or(missing)?;
        if !last {
            let seed = self.seed(&carrier)?;
            return Ok(DataKeyShare::from_seed(&seed, &keys, DATA_RING_DIMENSION));
        }
        let total = self.received(&carrier, Stream::Key)?.1;
        let mut bytes = Zeroizing::new(vec![0; total as usize]);
        let name = file(&carrier, Stream::Key.suffix());
        self.guard(|disk| disk.read(&name, 0, &mut bytes))?;
        let announced = self.state.dealings.get(&carrier);
        let announced = announced.and_then(|d| d.package.streams.get(Stream::Key.index()));
        let expected = announced.copied();
        self.unaltered(name, StreamDigest::of(&bytes), expected)?;
        let mut input = Reader::new(&bytes);
        let shares = (0..DATA_RING_DIMENSION).map(|_| read_share(&mut input));
        let shares = shares.collect::<Result<Vec<Share>, _>>()?;
        input.finish("shares of the data key")?;
        Ok(DataKeyShare::explicit(shares, DATA_RING_DIMENSION)?)
    }

    /// This party's shares of tickets, in order.
    fn shares(
        &mut self,
        dealing: &Digest,
        d: &DealingState,
        first: u64,
        count: u64,
    ) -> Result<Vec<TicketShare>, StoreError> {
        let (begin, end) = (d.dealing.first, d.dealing.end());
        let after = first.saturating_add(count);
        if first < begin || after > end {
            let ticket = if first < begin { first } else { end };
            return Err(StoreError::Ticket {
                ticket,
                first: begin,
                end,
            });
        }
        let seed = self.seed(dealing)?;
        if !d.last_party() {
            let share = |n| TicketShare::from_seed(&d.shape, &seed, n);
            return Ok((first..after).map(share).collect());
        }
        let each = d.shape.layout.explicit_bytes();
        let mut bytes = Zeroizing::new(vec![0; each]);
        let name = file(dealing, Stream::Explicit.suffix());
        let mut out = Vec::new();
        for number in first..after {
            let offset = (number - begin) * each as u64;
            self.guard(|disk| disk.read(&name, offset, &mut bytes))?;
            out.push(TicketShare::from_explicit(&d.shape, &seed, number, &bytes)?);
        }
        Ok(out)
    }

    /// Tickets of a dealing that is to be checked (TKT-4), never of another.
    pub fn checked_tickets(
        &mut self,
        dealing: &Digest,
        first: u64,
        count: u64,
    ) -> Result<Vec<TicketShare>, StoreError> {
        self.serving()?;
        if count > MAX_CHECKED as u64 {
            return Err(StoreError::Limit {
                field: "tickets to check",
                value: count,
                min: 0,
                max: MAX_CHECKED as u64,
            });
        }
        let stages = [Stage::Received, Stage::Checking];
        let d = self.dealing(dealing, &stages, "received")?.clone();
        self.shares(dealing, &d, first, count)
    }

    /// This party's seed of a dealing that is to be checked: its shares of what
    /// the proof adds follow from it.
    pub fn checked_seed(&mut self, dealing: &Digest) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        self.serving()?;
        self.dealing(dealing, &[Stage::Received, Stage::Checking], "received")?;
        self.seed(dealing)
    }

    /// This party's own mask commitments of a dealing that is to be checked.
    pub fn checked_commitments(
        &mut self,
        dealing: &Digest,
        first: u64,
        count: u64,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        self.serving()?;
        let stages = [Stage::Received, Stage::Checking];
        let d = self.dealing(dealing, &stages, "received")?;
        let (begin, end) = (d.dealing.first, d.dealing.end());
        let (party, parties) = (d.party, usize::from(d.dealing.quorum.parties()));
        if count > MAX_CHECKED as u64 || first < begin || first.saturating_add(count) > end {
            let ticket = first;
            return Err(StoreError::Ticket {
                ticket,
                first: begin,
                end,
            });
        }
        let all = self.commitments(dealing, first - begin, count, parties)?;
        let own = all.into_iter().skip(party.into());
        Ok(own.step_by(parties.max(1)).collect())
    }

    /// A part of the proof of a dealing that is to be checked.
    pub fn proof(
        &mut self,
        dealing: &Digest,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), StoreError> {
        self.serving()?;
        self.dealing(dealing, &[Stage::Received, Stage::Checking], "received")?;
        let (_, total) = self.received(dealing, Stream::Proof)?;
        let end = offset.saturating_add(into.len() as u64);
        if end > total {
            return Err(StoreError::TooLong {
                stream: Stream::Proof,
                limit: total,
                value: end,
            });
        }
        let name = file(dealing, Stream::Proof.suffix());
        self.guard(|disk| disk.read(&name, offset, into))
    }

    /// The tickets of a session that has spent them since the store was opened,
    /// output by output, once (CST-6): what is opened twice under one mask shows
    /// in the difference.
    pub fn tickets(&mut self, session: &Digest) -> Result<Vec<TicketShare>, StoreError> {
        self.serving()?;
        let s = self.session(session)?;
        let fresh = s.stage == SessionStage::Spent && self.live.contains(session);
        if !fresh {
            return Err(StoreError::Session {
                session: *session,
                found: s.stage.name(),
                expected: "spent since the node started, its tickets not yet read",
            });
        }
        let (first, end) = s.spent.tickets();
        let dealing = s.spent.dealing;
        let d = self.dealing(&dealing, s.stages(), Stage::Usable.name())?;
        let d = d.clone();
        self.live.remove(session);
        self.shares(&dealing, &d, first, end - first)
    }

    /// This party's mask shares of a session that is signed, for the buyer alone
    /// and only with the signatures of all (OPN-3).
    pub fn masks(&mut self, session: &Digest) -> Result<Vec<MaskShare>, StoreError> {
        self.serving()?;
        let s = self.session(session)?;
        // Released first: the record is on disk before they leave.
        if !matches!(s.stage, SessionStage::Released(_)) {
            return Err(StoreError::Session {
                session: *session,
                found: s.stage.name(),
                expected: "released",
            });
        }
        let (first, end) = s.spent.tickets();
        let dealing = s.spent.dealing;
        let d = self.dealing(&dealing, s.stages(), Stage::Usable.name())?;
        let name = d.shape.dealing;
        let seed = self.seed(&dealing)?;
        let mask = |n| MaskShare::of_ticket(&seed, &name, n);
        Ok((first..end).map(mask).collect())
    }
}
