//! The MAC check (OPN-4; SPDZ, ePrint 2011/535 and 2012/642): were the opened
//! values the shared ones?
//!
//! With a joint coin drawn after all openings, party i computes sigma_i = sum_j
//! chi_j (m_ij - a_j D_i), commits to it, and only then all reveal: the sum must
//! be 0. A lie delta_j in a_j adds -D sum chi_j delta_j, which the liars must
//! guess: chance at most 2/q^2 < 2^-126. A failed check may show D to them, so
//! it is the last thing that a quorum's shares are used for.

use crate::{
    error::ProtocolError,
    fq2::Fq2,
    stream::{Purpose, Stream},
};
use veilbourse_core::{
    digest::{Digest, Domain},
    field::Fq,
};

/// Values that were opened, each with this party's share of its MAC.
#[derive(Default)]
pub struct Openings {
    values: Vec<Fq>,
    macs: Vec<Fq2>,
}

impl Drop for Openings {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.macs);
    }
}

impl Openings {
    /// Notes an opened value.
    pub fn push(&mut self, value: Fq, mac: Fq2) {
        self.values.push(value);
        self.macs.push(mac);
    }
    /// A digest of all that was opened: equal at all parties, or somebody
    /// equivocated.
    pub fn view(&self, session: &Digest) -> Digest {
        let mut bytes = Vec::with_capacity(32 + 8 * self.values.len());
        bytes.extend(session.0);
        for v in &self.values {
            bytes.extend(v.word().to_le_bytes());
        }
        Digest::of(Domain::Other("veilbourse v1 opening view"), &bytes)
    }
    /// sigma_i.
    pub fn sigma(&self, coin: &[u8; 32], mac_key: Fq2) -> Fq2 {
        let mut chi = Stream::new(coin, &Digest::default(), Purpose::Challenge, 0);
        let (mut macs, mut values) = (Fq2::ZERO, Fq2::ZERO);
        for (a, m) in self.values.iter().zip(&self.macs) {
            let chi = chi.fq2();
            macs += chi * *m;
            values += chi.scale(*a);
        }
        macs - values * mac_key
    }
}

/// The joint coin of all parties' coins.
pub fn joint_coin(session: &Digest, coins: &[[u8; 32]]) -> [u8; 32] {
    let mut bytes = session.0.to_vec();
    bytes.extend(coins.iter().flatten());
    Digest::of(Domain::Other("veilbourse v1 joint coin"), &bytes).0
}

/// A commitment of a party: salted, bound to session, party and purpose.
pub fn commit(
    session: &Digest,
    party: u8,
    what: &'static str,
    salt: &[u8; 32],
    data: &[u8],
) -> Digest {
    let mut bytes = session.0.to_vec();
    bytes.push(party);
    bytes.push(what.len() as u8);
    bytes.extend(what.as_bytes());
    bytes.extend(salt);
    bytes.extend(data);
    Digest::of(Domain::Other("veilbourse v1 committee commitment"), &bytes)
}

/// Whether all sigmas add up to zero.
pub fn sums_to_zero(sigmas: &[Fq2]) -> Result<(), ProtocolError> {
    if sigmas.iter().copied().sum::<Fq2>() == Fq2::ZERO {
        Ok(())
    } else {
        Err(ProtocolError::MacCheck)
    }
}
