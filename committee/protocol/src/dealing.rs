//! Checking a dealing (TKT-4): the dealer proves to a quorum, about shared
//! values, that every ticket is well made; the quorum opens nothing of them.
//!
//! All relations x_i y_i = z_i of a batch become one inner product, sum (chi_i
//! x_i) y_i = sum chi_i z_i, chi from a hash of all that was dealt. It is folded
//! by four at a time, after Boneh, Boyle, Corrigan-Gibbs, Gilboa and Ishai
//! (ePrint 2019/188, section 4): the vectors are cut into four, interpolated at
//! 0..3, and the dealer deals shares of h(t) = <f(t), g(t)> for t = 1..6 (h(0)
//! follows from the claim); rho is a hash that covers them; f(rho), g(rho) and
//! h(rho) are the next vectors and claim, and each party computes its shares
//! alone. One more relation of random alpha, beta makes the last two numbers
//! uniform, and those are opened. A fourth opened number is a random sum of all
//! shares under a mask, for the MACs.
//!
//! Soundness (a dealer against nodes that follow the protocol): 2^-127.9 for chi
//! and 6 / q^2 a fold; 12 folds serve 4^12 relations: at most 73 / q^2 < 2^-121
//! an attempt in the random oracle model. A node that lies here can only spoil
//! a good dealing. The relations are what sacrificed triples would show, without
//! triples to sacrifice.

use crate::{
    check::{Openings, commit, sums_to_zero},
    dealer::Dealer,
    error::ProtocolError,
    fq2::Fq2,
    relations::{CHAIN, chain, of_ticket, per_ticket},
    share::{PartyKey, Share},
    stream::{Purpose, Stream},
    ticket::{Shape, TicketShare, read_fq, read_fq2, write_fq2, write_share},
};
use veilbourse_core::{
    digest::{Digest, Domain},
    field::Fq,
    wire::{Reader, Writer},
};
use zeroize::Zeroizing;

/// Most tickets of a batch.
pub const MAX_CHECKED: usize = 4096;
const FOLD: usize = 4;
/// Values of h that are dealt a fold: 1..=6.
const DEALT: usize = 2 * (FOLD - 1);
const SIGMA: &str = "dealing check";

/// Folds that a batch needs.
fn folds(relations: usize) -> usize {
    let (mut n, mut folds) = (relations, 0);
    while n > 1 {
        n = n.div_ceil(FOLD);
        folds += 1;
    }
    folds
}

/// The values at `x` of the Lagrange basis on 0..n.
fn basis(n: usize, x: Fq2) -> Vec<Fq2> {
    let point = |i: usize| Fq2::base(Fq::reduce(i as u64));
    (0..n)
        .map(|i| {
            let others = (0..n).filter(|j| *j != i);
            others.fold(Fq2::ONE, |product, j| {
                let below = (point(i) - point(j)).inverse().unwrap_or_default();
                product * (x - point(j)) * below
            })
        })
        .collect()
}

/// f(x) of a vector cut into four.
fn fold(v: &[Fq2], at: &[Fq2]) -> Vec<Fq2> {
    let part = v.len().div_ceil(FOLD);
    let mut out = vec![Fq2::ZERO; part];
    for (chunk, l) in v.chunks(part.max(1)).zip(at) {
        for (o, x) in out.iter_mut().zip(chunk) {
            *o += *x * *l;
        }
    }
    out
}

fn inner(f: &[Fq2], g: &[Fq2]) -> Fq2 {
    f.iter().zip(g).map(|(a, b)| *a * *b).sum()
}

/// Challenges: a chain of digests from what was dealt.
struct Transcript(Digest);

impl Transcript {
    fn absorb(&mut self, digest: &Digest) {
        let bytes = [self.0.0, digest.0].concat();
        self.0 = Digest::of(Domain::Other("veilbourse v1 dealing transcript"), &bytes);
    }
    fn challenge(&self, index: u64) -> Stream {
        Stream::new(&self.0.0, Purpose::Challenge, index)
    }
}

fn level_digest(h: &[Fq2]) -> Digest {
    let mut out = Writer::new();
    h.iter().for_each(|x| write_fq2(&mut out, x));
    Digest::of(
        Domain::Other("veilbourse v1 dealing proof level"),
        &out.finish(),
    )
}

/// The two vectors and the claim, in the clear or as one party's shares.
struct Product {
    f: Vec<Fq2>,
    g: Vec<Fq2>,
    claim: Fq2,
}

impl Product {
    fn new<'a>(
        shape: &Shape,
        tickets: impl Iterator<Item = (Vec<Fq>, &'a [Fq])>,
        key: &[Fq],
        one: Fq,
        mask: [Fq2; 3],
        transcript: &Transcript,
    ) -> Self {
        let mut chi = transcript.challenge(0);
        let [alpha, beta, gamma] = mask;
        let mut p = Self {
            f: vec![alpha],
            g: vec![beta],
            claim: gamma,
        };
        let mut push = |x: Fq, y: Fq, z: Fq| {
            let chi = chi.fq2();
            p.f.push(chi.scale(x));
            p.g.push(Fq2::base(y));
            p.claim += chi.scale(z);
        };
        for s in key {
            push(*s, *s - one, Fq::ZERO);
        }
        for (values, chain) in tickets {
            of_ticket(shape, &values, chain, one, &mut push);
        }
        p
    }

    /// The next vectors and claim. `h` are the values at 1..=6.
    fn next(&mut self, h: &[Fq2], rho: Fq2) {
        let first: Fq2 = h.iter().take(FOLD - 1).copied().sum();
        let all = std::iter::once(self.claim - first).chain(h.iter().copied());
        let at = basis(DEALT + 1, rho);
        self.claim = all.zip(&at).map(|(h, l)| h * *l).sum();
        let at = basis(FOLD, rho);
        (self.f, self.g) = (fold(&self.f, &at), fold(&self.g, &at));
    }

    fn dealt(&self) -> [Fq2; DEALT] {
        std::array::from_fn(|t| {
            let at = basis(FOLD, Fq2::base(Fq::reduce(t as u64 + 1)));
            inner(&fold(&self.f, &at), &fold(&self.g, &at))
        })
    }
}

/// What a dealer publishes and gives the last party of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchProof {
    /// A digest of the last party's shares of each fold; public.
    pub levels: Vec<Digest>,
    /// The last party's shares: chains, masks, folds.
    pub explicit: Vec<u8>,
}

/// This party's shares of what a proof adds, in the order in which they are
/// drawn or stored.
struct Extra {
    chains: Vec<Fq>,
    mask: [Fq2; 3],
    mac_mask: Share,
    levels: Vec<[Fq2; DEALT]>,
}

impl Extra {
    fn draw(stream: &mut Stream, tickets: usize, folds: usize) -> Self {
        Self {
            chains: (0..tickets * CHAIN).map(|_| stream.fq()).collect(),
            mask: std::array::from_fn(|_| stream.fq2()),
            mac_mask: stream.share(),
            levels: (0..folds)
                .map(|_| std::array::from_fn(|_| stream.fq2()))
                .collect(),
        }
    }

    fn read(bytes: &[u8], tickets: usize, folds: usize) -> Result<Self, ProtocolError> {
        const WHAT: &str = "dealing proof share";
        let mut input = Reader::new(bytes);
        let expected = 8 * (tickets * CHAIN + 2 * 3 + 3 + 2 * DEALT * folds);
        if bytes.len() != expected {
            return Err(ProtocolError::Length {
                what: WHAT,
                found: bytes.len() as u64,
                expected: expected as u64,
            });
        }
        let chains = (0..tickets * CHAIN).map(|_| read_fq(&mut input, WHAT));
        let chains = chains.collect::<Result<_, _>>()?;
        let mut mask = [Fq2::ZERO; 3];
        for m in &mut mask {
            *m = read_fq2(&mut input, WHAT)?;
        }
        let mac_mask = Share {
            value: read_fq(&mut input, WHAT)?,
            mac: read_fq2(&mut input, WHAT)?,
        };
        let mut levels = vec![[Fq2::ZERO; DEALT]; folds];
        for h in levels.iter_mut().flatten() {
            *h = read_fq2(&mut input, WHAT)?;
        }
        Ok(Self {
            chains,
            mask,
            mac_mask,
            levels,
        })
    }
}

impl Dealer {
    /// Proves a batch of tickets, numbered from `first`, and the data key if it
    /// is given with them. `context` is a digest of everything dealt in it: the
    /// class, every party's package, the tree's root.
    pub fn prove(
        &self,
        context: &Digest,
        first: u64,
        tickets: &[Zeroizing<Vec<Fq>>],
        key: &[Fq],
    ) -> BatchProof {
        let shape = self.shape();
        let folds = folds(1 + key.len() + tickets.len() * per_ticket(shape));
        let drawn = |seed: &[u8; 32]| {
            let mut stream = Stream::new(seed, Purpose::Proof, first);
            Extra::draw(&mut stream, tickets.len(), folds)
        };
        let others = self.seeds().split_last().map_or(&[][..], |(_, o)| o);
        let others: Vec<Extra> = others.iter().map(drawn).collect();
        // The last party's seed gives the secrets themselves: it is as fresh as
        // any, and that party's shares are sums with the others'.
        let mut fresh = Stream::new(
            &blake3::derive_key(
                "veilbourse v1 dealing proof secrets",
                &self.seeds().concat(),
            ),
            Purpose::Proof,
            first,
        );
        let (alpha, beta) = (fresh.fq2(), fresh.fq2());
        let mask = [alpha, beta, alpha * beta];
        let mac_mask = self.complete(fresh.fq(), others.iter().map(|o| o.mac_mask).sum());
        let chains: Vec<Fq> = tickets.iter().flat_map(|t| chain(t)).collect();

        let mut out = Writer::new();
        for (i, c) in chains.iter().enumerate() {
            let theirs = others.iter().filter_map(|o| o.chains.get(i));
            let share = theirs.fold(*c, |a, o| a - *o);
            out.u64(share.word());
        }
        for (i, m) in mask.iter().enumerate() {
            let theirs = others.iter().filter_map(|o| o.mask.get(i).copied());
            write_fq2(&mut out, &(*m - theirs.sum()));
        }
        write_share(&mut out, &mac_mask);

        let mut transcript = Transcript(*context);
        transcript.absorb(&level_digest(&[]));
        let dealt = tickets.iter().map(|t| t.to_vec()).zip(chains.chunks(CHAIN));
        let mut product = Product::new(shape, dealt, key, Fq::ONE, mask, &transcript);
        let mut levels = Vec::new();
        for level in 0..folds {
            let h = product.dealt();
            let explicit: [Fq2; DEALT] = std::array::from_fn(|t| {
                let theirs = others.iter().filter_map(|o| o.levels.get(level));
                let theirs = theirs.filter_map(|l| l.get(t).copied());
                h.get(t).copied().unwrap_or_default() - theirs.sum()
            });
            explicit.iter().for_each(|x| write_fq2(&mut out, x));
            let digest = level_digest(&explicit);
            transcript.absorb(&digest);
            levels.push(digest);
            product.next(&h, transcript.challenge(1).fq2());
        }
        BatchProof {
            levels,
            explicit: out.finish(),
        }
    }
}

/// One party's check of a batch: three messages to every other party.
pub struct BatchCheck {
    context: Digest,
    party: u8,
    key: PartyKey,
    last: [Fq2; 3],
    random_sum: Share,
    opened: Openings,
    salt: [u8; 32],
    commitments: Vec<Digest>,
}

/// What a party was dealt in a batch.
pub struct Package<'a> {
    /// This party's number.
    pub party: u8,
    /// Its keys.
    pub key: PartyKey,
    /// Its seed.
    pub seed: &'a [u8; 32],
    /// Its tickets.
    pub tickets: &'a [TicketShare],
    /// Its shares of the data key, where the batch proves it.
    pub data_key: &'a [Share],
    /// The proof: digests for all, explicit shares for the last party.
    pub levels: &'a [Digest],
    /// The last party's, nothing for others.
    pub explicit: Option<&'a [u8]>,
}

impl BatchCheck {
    /// Bytes of the three messages.
    pub const MESSAGE_BYTES: [usize; 3] = [3 * 16 + 8, 32, 16 + 32];

    /// Reads what was dealt; the first message follows from it.
    pub fn new(
        shape: &Shape,
        context: &Digest,
        first: u64,
        dealt: &Package<'_>,
        salt: [u8; 32],
    ) -> Result<Self, ProtocolError> {
        let tickets = dealt.tickets.len();
        if tickets > MAX_CHECKED {
            return Err(ProtocolError::Length {
                what: "tickets of a batch",
                found: tickets as u64,
                expected: MAX_CHECKED as u64,
            });
        }
        let folds = folds(1 + dealt.data_key.len() + tickets * per_ticket(shape));
        if dealt.levels.len() != folds {
            return Err(ProtocolError::Length {
                what: "folds of a dealing proof",
                found: dealt.levels.len() as u64,
                expected: folds as u64,
            });
        }
        let extra = match dealt.explicit {
            Some(bytes) => {
                let extra = Extra::read(bytes, tickets, folds)?;
                let named = extra.levels.iter().zip(dealt.levels);
                if named.clone().any(|(h, d)| level_digest(h) != *d) {
                    return Err(ProtocolError::Dealing(
                        "a fold is not the one that was named",
                    ));
                }
                extra
            }
            None => {
                let mut stream = Stream::new(dealt.seed, Purpose::Proof, first);
                Extra::draw(&mut stream, tickets, folds)
            }
        };
        let mut transcript = Transcript(*context);
        transcript.absorb(&level_digest(&[]));
        let one = if dealt.key.first { Fq::ONE } else { Fq::ZERO };
        let values = |t: &TicketShare| t.values.iter().map(|s| s.value).collect::<Vec<_>>();
        let shares = dealt.tickets.iter().map(values);
        let shares = shares.zip(extra.chains.chunks(CHAIN));
        let key: Vec<Fq> = dealt.data_key.iter().map(|s| s.value).collect();
        let mut product = Product::new(shape, shares, &key, one, extra.mask, &transcript);
        for (h, digest) in extra.levels.iter().zip(dealt.levels) {
            transcript.absorb(digest);
            product.next(h, transcript.challenge(1).fq2());
        }
        let mut psi = transcript.challenge(2);
        let mut random_sum = extra.mac_mask;
        let of_tickets = dealt.tickets.iter();
        let of_tickets = of_tickets.flat_map(|t| t.values.iter().chain([&t.omega]));
        for share in of_tickets.chain(dealt.data_key) {
            random_sum += *share * psi.fq();
        }
        let first_of = |v: &[Fq2]| v.first().copied().unwrap_or_default();
        Ok(Self {
            context: transcript.0,
            party: dealt.party,
            key: dealt.key,
            last: [first_of(&product.f), first_of(&product.g), product.claim],
            random_sum,
            opened: Openings::default(),
            salt,
            commitments: Vec::new(),
        })
    }

    /// Message 1: shares of the last two factors, of the claim, of the sum.
    pub fn opening(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.last.iter().for_each(|x| write_fq2(&mut out, x));
        out.u64(self.random_sum.value.word());
        out.finish()
    }

    /// From everybody's message 1 (own included, in party order): the claim
    /// holds; message 2, a commitment to the MACs' check.
    pub fn commitment(&mut self, openings: &[Vec<u8>]) -> Result<Vec<u8>, ProtocolError> {
        let (mut last, mut sum) = ([Fq2::ZERO; 3], Fq::ZERO);
        for bytes in openings {
            let mut input = Reader::new(bytes);
            for l in &mut last {
                *l += read_fq2(&mut input, "dealing check")?;
            }
            sum += read_fq(&mut input, "dealing check")?;
            input.finish("dealing check")?;
        }
        let [f, g, claim] = last;
        if f * g != claim {
            return Err(ProtocolError::Dealing(
                "its tickets or its key do not hold what they must",
            ));
        }
        self.opened.push(sum, self.random_sum.mac);
        let digest = commit(&self.context, self.party, SIGMA, &self.salt, &self.sigma());
        Ok(digest.0.to_vec())
    }

    fn sigma(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let coin = self.context.0;
        write_fq2(&mut out, &self.opened.sigma(&coin, self.key.mac_key));
        out.finish()
    }

    /// From everybody's message 2: message 3.
    pub fn reveal(&mut self, commitments: &[Vec<u8>]) -> Result<Vec<u8>, ProtocolError> {
        for bytes in commitments {
            let mut input = Reader::new(bytes);
            let digest = Digest(input.array("dealing check")?);
            input.finish("dealing check")?;
            self.commitments.push(digest);
        }
        let mut out = self.sigma();
        out.extend(self.salt);
        Ok(out)
    }

    /// From everybody's message 3: the MACs are right, or the dealing is refused
    /// (and so are its keys for good: see `check`).
    pub fn finish(self, reveals: &[Vec<u8>]) -> Result<(), ProtocolError> {
        let mut sigmas = Vec::new();
        for (party, bytes) in (0u8..).zip(reveals) {
            let mut input = Reader::new(bytes);
            let sigma = input.take("dealing check", 16)?;
            let salt = input.array("dealing check")?;
            input.finish("dealing check")?;
            let expected = commit(&self.context, party, SIGMA, &salt, sigma);
            if self.commitments.get(usize::from(party)) != Some(&expected) {
                return Err(ProtocolError::Commitment { party, what: SIGMA });
            }
            sigmas.push(read_fq2(&mut Reader::new(sigma), "dealing check")?);
        }
        sums_to_zero(&sigmas)
    }
}
