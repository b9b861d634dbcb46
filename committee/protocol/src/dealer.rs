//! What the custodian deals to one quorum (TKT-2..4): shares of S_D and tickets.
//!
//! All parties but the last expand their shares from their seeds; the last one
//! gets what is missing to the values that the dealer chose. The dealer knows
//! all of it, as it knows the data.

use crate::{
    error::ProtocolError,
    fq2::Fq2,
    live::party_key,
    mask::MaskShare,
    plan::{DIGITS, INDICATORS, digit},
    share::Share,
    stream::{Purpose, Stream},
    ticket::{Shape, TicketShare},
    tree::leaf,
};
use rand_core::CryptoRng;
use veilbourse_core::{digest::Digest, field::Fq};
use zeroize::{Zeroize, Zeroizing};

/// Deals for one quorum and one class.
pub struct Dealer {
    shape: Shape,
    seeds: Zeroizing<Vec<[u8; 32]>>,
    secret: Zeroizing<[u8; 32]>,
    mac_key: Fq2,
}

impl Drop for Dealer {
    fn drop(&mut self) {
        self.mac_key.zeroize();
    }
}

/// A ticket as it is dealt.
pub struct DealtTicket {
    /// What the last party stores.
    pub explicit: Vec<u8>,
    /// Every party's commitment to its share of the output mask.
    pub commitments: Vec<[u8; 32]>,
    /// The leaf over them.
    pub leaf: Digest,
    /// The values themselves, in the order of the layout, for the dealing's
    /// proof and for tests.
    pub values: Zeroizing<Vec<Fq>>,
}

impl Dealer {
    /// A dealer to a quorum that has no keys yet: a fresh seed for each party.
    pub fn new(shape: Shape, parties: u8, rng: &mut impl CryptoRng) -> Self {
        let mut seeds = Zeroizing::new(vec![[0u8; 32]; parties.into()]);
        for s in seeds.iter_mut() {
            rng.fill_bytes(s);
        }
        let mut secret = Zeroizing::new([0u8; 32]);
        rng.fill_bytes(&mut *secret);
        Self::resume(shape, seeds, secret)
    }

    /// Another dealing to the same quorum, or the same one, gone on with: what
    /// it deals follows from the seeds, its own secret and the dealing's name, so
    /// a ticket dealt again is the same ticket.
    pub fn resume(
        shape: Shape,
        seeds: Zeroizing<Vec<[u8; 32]>>,
        secret: Zeroizing<[u8; 32]>,
    ) -> Self {
        let keys = seeds.iter().map(|s| party_key(s, &shape.quorum, 0).mac_key);
        Self {
            mac_key: keys.sum(),
            shape,
            seeds,
            secret,
        }
    }

    /// The class and what follows from it.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
    /// What the dealer keeps to go on later.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
    /// The parties' seeds, each for its party alone.
    pub fn seeds(&self) -> &[[u8; 32]] {
        &self.seeds
    }
    /// D.
    pub(crate) fn mac_key(&self) -> Fq2 {
        self.mac_key
    }
    /// What is missing to `value` after the shares of all but the last party.
    fn complete(&self, value: Fq, others: Share) -> Share {
        Share {
            value,
            mac: self.mac_key.scale(value),
        } - others
    }
    fn others(&self) -> &[[u8; 32]] {
        self.seeds.split_last().map_or(&[], |(_, others)| others)
    }

    /// The last party's shares of S_D, coefficient by coefficient.
    pub fn data_key(&self, key: &[Fq]) -> Vec<Share> {
        let mut streams: Vec<_> = self
            .others()
            .iter()
            .map(|s| Stream::new(s, &self.shape.quorum, Purpose::DataKey, 0))
            .collect();
        key.iter()
            .map(|s| self.complete(*s, streams.iter_mut().map(Stream::share).sum()))
            .collect()
    }

    /// Deals ticket `number`.
    pub fn ticket(&self, number: u64) -> DealtTicket {
        self.deal_values(number, &self.values(number))
    }

    /// Deals ticket `number` with these values, in the order of the layout: it
    /// is the dealing's proof (TKT-4) that says whether they make a ticket.
    pub fn deal_values(&self, number: u64, values: &[Fq]) -> DealtTicket {
        let mut sums = vec![Share::default(); self.shape.layout.values];
        let mut omega = Share::default();
        for seed in self.others() {
            let share = TicketShare::from_seed(&self.shape, seed, number);
            for (sum, v) in sums.iter_mut().zip(&share.values) {
                *sum += *v;
            }
            omega += share.omega;
        }
        let masks: Vec<_> = self
            .seeds
            .iter()
            .map(|s| MaskShare::of_ticket(s, &self.shape.dealing, number))
            .collect();
        let commitments: Vec<_> = masks.iter().map(|m| m.commit().compress().0).collect();
        let total = masks.iter().fold(Fq::ZERO, |a, m| a + m.residue());
        let explicit = TicketShare {
            number,
            values: values
                .iter()
                .zip(&sums)
                .map(|(v, s)| self.complete(*v, *s))
                .collect(),
            omega: self.complete(total, omega),
            mask: MaskShare::sum([]),
        };
        sums.zeroize();
        DealtTicket {
            explicit: explicit.explicit(),
            leaf: leaf(&self.shape.dealing, number, &commitments),
            commitments,
            values: Zeroizing::new(values.to_vec()),
        }
    }

    /// Values of a ticket: r uniform below q, masks uniform, noise by the class's
    /// law.
    fn values(&self, number: u64) -> Zeroizing<Vec<Fq>> {
        let Shape {
            dealing,
            plan,
            layout,
            ..
        } = &self.shape;
        let mut uniform = Stream::new(&self.secret, dealing, Purpose::Choice, number);
        let r = uniform.fq().word();
        let mut values = Vec::with_capacity(layout.values);
        for i in 0..DIGITS {
            let d = digit(r, i) as usize;
            values.extend((1..=INDICATORS).map(|j| if j == d { Fq::ONE } else { Fq::ZERO }));
        }
        let masks: Vec<Fq> = plan.wires.iter().map(|_| uniform.fq()).collect();
        let mask = |w: usize| masks.get(w).copied().unwrap_or_default();
        values.extend(&masks);
        values.extend(plan.products.iter().map(|[x, y]| mask(*x) * mask(*y)));
        if self.shape.class.noisy() {
            values.push(Fq::from_i64(
                self.shape.class.mechanism().sample(&mut uniform),
            ));
        }
        Zeroizing::new(values)
    }
}

/// One party's shares of S_D (SHR-4): the value and the two coordinates of the
/// MAC, as polynomials.
pub struct DataKeyShare {
    /// One share a coefficient.
    pub shares: Vec<Share>,
}

impl Drop for DataKeyShare {
    fn drop(&mut self) {
        self.shares.zeroize();
    }
}

impl DataKeyShare {
    /// From the seed of any party but the last.
    pub fn from_seed(seed: &[u8; 32], quorum: &Digest, dimension: usize) -> Self {
        let mut stream = Stream::new(seed, quorum, Purpose::DataKey, 0);
        Self {
            shares: (0..dimension).map(|_| stream.share()).collect(),
        }
    }
    /// The last party's.
    pub fn explicit(shares: Vec<Share>, dimension: usize) -> Result<Self, ProtocolError> {
        if shares.len() == dimension {
            return Ok(Self { shares });
        }
        Err(ProtocolError::Length {
            what: "shares of the data key",
            found: shares.len() as u64,
            expected: dimension as u64,
        })
    }
}
