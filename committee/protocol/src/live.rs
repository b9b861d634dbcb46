//! A party's hold on its quorum's keys (OPN-4): one use at a time.
//!
//! In a check the honest sigma tells liars the MAC key D (they know their
//! delta); with D they would pass a lie in any other session of the quorum that
//! has not been checked yet. So a quorum's keys are in one session, or one check
//! of a dealing, at a time: [`Live`] cannot be copied, goes into it, and comes
//! back when it succeeded or when it ended before this party's sigma left. What
//! ends later, or is cut off, does not give it back, and a process that starts
//! again makes none for a quorum with a check pending on disk.

use crate::{
    share::PartyKey,
    stream::{Purpose, Stream},
};
use veilbourse_core::digest::Digest;

/// The keys of a quorum at one party, not in use.
#[derive(Debug)]
pub struct Live {
    quorum: Box<Digest>,
    pub(crate) party: u8,
    pub(crate) parties: u8,
    pub(crate) key: PartyKey,
}

impl Live {
    /// The keys of party `party` of a quorum by its name and this party's seed.
    /// Whoever calls this makes sure that there is one for a quorum: it is for
    /// the store, which knows whether a check is pending.
    pub fn new(seed: &[u8; 32], quorum: &Digest, party: u8, parties: u8) -> Self {
        Self {
            quorum: Box::new(*quorum),
            party,
            parties,
            key: party_key(seed, quorum, party),
        }
    }
    /// The name of the quorum's keys (SHR-1).
    pub fn quorum(&self) -> &Digest {
        &self.quorum
    }
    /// This party's number.
    pub fn party(&self) -> u8 {
        self.party
    }
    /// Parties.
    pub fn parties(&self) -> u8 {
        self.parties
    }
    /// For shares of public constants.
    pub fn key(&self) -> &PartyKey {
        &self.key
    }
}

/// A party's share of the MAC key.
pub fn party_key(seed: &[u8; 32], quorum: &Digest, party: u8) -> PartyKey {
    PartyKey {
        first: party == 0,
        mac_key: Stream::new(seed, quorum, Purpose::MacKey, 0).fq2(),
    }
}
