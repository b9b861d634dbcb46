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
//! What the proof adds (chains, bits of the noise, alpha and beta and their
//! product, the mask of the random sum) is dealt like the tickets and named by
//! the first of its digests, before chi is drawn: drawn after, alpha beta could
//! take up any false relation, and the mask any wrong MAC.
//!
//! Soundness (a dealer against nodes that follow the protocol): 2^-127.9 for chi
//! and 6 / q^2 a fold; 12 folds serve 4^12 relations: at most 73 / q^2 < 2^-121
//! an attempt in the random oracle model; 2^-127 for the MACs. A node that lies here can only spoil
//! a good dealing. The relations are what sacrificed triples would show, without
//! triples to sacrifice.

use crate::{
    check::{commit, sums_to_zero},
    dealer::Dealer,
    error::ProtocolError,
    fq2::Fq2,
    live::Live,
    relations::{beside, of_ticket, of_values, per_ticket},
    session::{Durable, Outgoing},
    share::Share,
    stream::{Purpose, Stream},
    ticket::{Shape, TicketShare, read_fq, read_fq2, write_fq2},
};
use veilbourse_core::{
    digest::{Digest, Domain},
    field::Fq,
    wire::{Reader, Writer},
};
use zeroize::{Zeroize, Zeroizing};

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

/// What a proof is about (TKT-4): its name keys its streams, so that no two
/// proofs share a mask, and begins its challenges.
struct Batch<'a> {
    shape: &'a Shape,
    context: &'a Digest,
    first: u64,
    tickets: usize,
    key: usize,
}

impl Batch<'_> {
    fn name(&self) -> Digest {
        let mut out = Writer::new();
        out.raw(&self.context.0).raw(&self.shape.dealing.0);
        out.u64(self.first)
            .u64(self.tickets as u64)
            .u64(self.key as u64);
        Digest::of(Domain::Other("veilbourse v1 dealing proof"), &out.finish())
    }
    fn folds(&self) -> usize {
        folds(1 + self.key + self.tickets * per_ticket(self.shape))
    }
    fn beside(&self) -> usize {
        self.tickets * beside(self.shape)
    }
    /// Bytes of what is dealt before any challenge.
    fn base_bytes(&self) -> usize {
        8 * self.beside() + 16 * 3 + 16 * 2
    }
}

/// Challenges: a chain of digests from what was dealt.
struct Transcript(Digest);

impl Transcript {
    fn absorb(&mut self, digest: &Digest) {
        let bytes = [self.0.0, digest.0].concat();
        self.0 = Digest::of(Domain::Other("veilbourse v1 dealing transcript"), &bytes);
    }
    fn challenge(&self, index: u64) -> Stream {
        Stream::new(&self.0.0, &Digest::default(), Purpose::Challenge, index)
    }
}

fn base_digest(bytes: &[u8]) -> Digest {
    Digest::of(Domain::Other("veilbourse v1 dealing proof base"), bytes)
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
    /// Public: the digest of what the last party gets before any challenge, then
    /// one of its shares of each fold.
    pub levels: Vec<Digest>,
    /// The last party's shares: beside the tickets, masks, folds.
    pub explicit: Vec<u8>,
}

/// A party's share of the mask of the random sum: value and MAC, in F_q2.
type SumMask = [Fq2; 2];

/// This party's shares of what a proof adds, in the order in which they are
/// drawn or stored.
struct Extra {
    beside: Vec<Fq>,
    mask: [Fq2; 3],
    sum_mask: SumMask,
    levels: Vec<[Fq2; DEALT]>,
}

impl Drop for Extra {
    fn drop(&mut self) {
        self.beside.zeroize();
        self.mask.zeroize();
        self.sum_mask.zeroize();
        self.levels.zeroize();
    }
}

impl Extra {
    fn draw(seed: &[u8; 32], batch: &Batch<'_>) -> Self {
        let mut stream = Stream::new(seed, &batch.name(), Purpose::Proof, 0);
        Self {
            beside: (0..batch.beside()).map(|_| stream.fq()).collect(),
            mask: std::array::from_fn(|_| stream.fq2()),
            sum_mask: std::array::from_fn(|_| stream.fq2()),
            levels: (0..batch.folds())
                .map(|_| std::array::from_fn(|_| stream.fq2()))
                .collect(),
        }
    }

    fn write_base(&self, out: &mut Writer) {
        for b in &self.beside {
            out.u64(b.word());
        }
        for m in self.mask.iter().chain(&self.sum_mask) {
            write_fq2(out, m);
        }
    }

    fn read(bytes: &[u8], batch: &Batch<'_>) -> Result<Self, ProtocolError> {
        const WHAT: &str = "dealing proof share";
        let mut input = Reader::new(bytes);
        let folds = batch.folds();
        let expected = batch.base_bytes() + 16 * DEALT * folds;
        if bytes.len() != expected {
            return Err(ProtocolError::Length {
                what: WHAT,
                found: bytes.len() as u64,
                expected: expected as u64,
            });
        }
        let mut extra = Self {
            beside: Vec::with_capacity(batch.beside()),
            mask: [Fq2::ZERO; 3],
            sum_mask: [Fq2::ZERO; 2],
            levels: vec![[Fq2::ZERO; DEALT]; folds],
        };
        for _ in 0..batch.beside() {
            extra.beside.push(read_fq(&mut input, WHAT)?);
        }
        let masks = extra.mask.iter_mut().chain(&mut extra.sum_mask);
        for x in masks.chain(extra.levels.iter_mut().flatten()) {
            *x = read_fq2(&mut input, WHAT)?;
        }
        Ok(extra)
    }

    /// Takes away the other parties' shares.
    fn complete(mut self, others: &[Self]) -> Self {
        for o in others {
            let beside = self.beside.iter_mut().zip(&o.beside);
            beside.for_each(|(a, b)| *a -= *b);
            let masks = self.mask.iter_mut().chain(&mut self.sum_mask);
            let theirs = o.mask.iter().chain(&o.sum_mask);
            let levels = self.levels.iter_mut().flatten();
            let all = masks
                .chain(levels)
                .zip(theirs.chain(o.levels.iter().flatten()));
            all.for_each(|(a, b)| *a -= *b);
        }
        self
    }
}

impl Dealer {
    /// Proves a batch of tickets, numbered from `first`, and the data key if it
    /// is given with them. `context` is a digest of everything dealt in it: every
    /// party's package, digests of the seeds among them, and the tree's root.
    pub fn prove(
        &self,
        context: &Digest,
        first: u64,
        tickets: &[Zeroizing<Vec<Fq>>],
        key: &[Fq],
    ) -> BatchProof {
        let shape = self.shape();
        let batch = Batch {
            shape,
            context,
            first,
            tickets: tickets.len(),
            key: key.len(),
        };
        let others = self.seeds().split_last().map_or(&[][..], |(_, o)| o);
        let others: Vec<Extra> = others.iter().map(|s| Extra::draw(s, &batch)).collect();
        let mut fresh = Stream::new(self.secret(), &batch.name(), Purpose::Proof, 0);
        let (alpha, beta, sum_mask) = (fresh.fq2(), fresh.fq2(), fresh.fq2());
        let mask = [alpha, beta, alpha * beta];
        let beside: Vec<Zeroizing<Vec<Fq>>> = tickets.iter().map(|t| of_values(shape, t)).collect();
        let clear = Extra {
            beside: beside.iter().flat_map(|b| b.iter().copied()).collect(),
            mask,
            sum_mask: [sum_mask, sum_mask * self.mac_key()],
            levels: Vec::new(),
        };
        let mut out = Writer::new();
        clear.complete(&others).write_base(&mut out);
        let base = out.finish();

        let mut transcript = Transcript(batch.name());
        let mut levels = vec![base_digest(&base)];
        levels.iter().for_each(|d| transcript.absorb(d));
        let dealt = tickets.iter().map(|t| t.to_vec());
        let dealt = dealt.zip(beside.iter().map(|b| b.as_slice()));
        let mut product = Product::new(shape, dealt, key, Fq::ONE, mask, &transcript);
        let mut out = Writer::new();
        out.raw(&base);
        for level in 0..batch.folds() {
            let h = product.dealt();
            let mut explicit = h;
            for o in others.iter().filter_map(|o| o.levels.get(level)) {
                explicit.iter_mut().zip(o).for_each(|(a, b)| *a -= *b);
            }
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

/// One party's check of a batch: three messages to every other party. The
/// quorum's keys are in it until it ends ([`Live`]).
pub struct BatchCheck {
    name: Digest,
    live: Live,
    last: [Fq2; 3],
    sum: SumMask,
    salt: [u8; 32],
    sigma: Fq2,
    commitments: Vec<Digest>,
    revealed: bool,
}

/// What a party was dealt in a batch.
pub struct Package<'a> {
    /// Its seed.
    pub seed: &'a [u8; 32],
    /// The first ticket's number.
    pub first: u64,
    /// Its tickets, from there on.
    pub tickets: &'a [TicketShare],
    /// Its shares of the data key, where the batch proves it.
    pub data_key: &'a [Share],
    /// The proof: digests for all, explicit shares for the last party.
    pub levels: &'a [Digest],
    /// The last party's, nothing for others.
    pub explicit: Option<&'a [u8]>,
}

const WHAT: &str = "dealing check";
const OPENING_BYTES: usize = 16 * 4;

impl BatchCheck {
    /// Bytes of the three messages.
    pub const MESSAGE_BYTES: [usize; 3] = [OPENING_BYTES, 32, 16 + 32];

    /// Reads what was dealt; the first message follows from it. `salt` is this
    /// node's fresh randomness. A refused package gives the keys back.
    pub fn new(
        shape: &Shape,
        context: &Digest,
        live: Live,
        dealt: &Package<'_>,
        salt: [u8; 32],
    ) -> Result<Self, (ProtocolError, Live)> {
        match Self::read(shape, context, &live, dealt) {
            Ok((name, last, sum)) => Ok(Self {
                name,
                live,
                last,
                sum,
                salt,
                sigma: Fq2::ZERO,
                commitments: Vec::new(),
                revealed: false,
            }),
            Err(e) => Err((e, live)),
        }
    }

    fn read(
        shape: &Shape,
        context: &Digest,
        live: &Live,
        dealt: &Package<'_>,
    ) -> Result<(Digest, [Fq2; 3], SumMask), ProtocolError> {
        let batch = Batch {
            shape,
            context,
            first: dealt.first,
            tickets: dealt.tickets.len(),
            key: dealt.data_key.len(),
        };
        let length = |what, found: usize, expected: usize| ProtocolError::Length {
            what,
            found: found as u64,
            expected: expected as u64,
        };
        if batch.tickets > MAX_CHECKED {
            return Err(length("tickets of a batch", batch.tickets, MAX_CHECKED));
        }
        let digests = batch.folds() + 1;
        if dealt.levels.len() != digests {
            let found = dealt.levels.len();
            return Err(length("digests of a dealing proof", found, digests));
        }
        for (t, number) in dealt.tickets.iter().zip(dealt.first..) {
            if t.number != number || t.values.len() != shape.layout.values {
                return Err(ProtocolError::Dealing(
                    "a ticket is not the one of its place",
                ));
            }
        }
        let extra = match dealt.explicit {
            Some(bytes) => {
                let extra = Extra::read(bytes, &batch)?;
                let base = bytes.get(..batch.base_bytes()).map(base_digest);
                let folds = extra.levels.iter().map(|h| level_digest(h));
                if !base
                    .into_iter()
                    .chain(folds)
                    .eq(dealt.levels.iter().copied())
                {
                    return Err(ProtocolError::Dealing(
                        "a share is not the one that was named",
                    ));
                }
                extra
            }
            None => Extra::draw(dealt.seed, &batch),
        };
        let mut transcript = Transcript(batch.name());
        let (base, folds) = dealt.levels.split_first().ok_or(ProtocolError::Ended)?;
        transcript.absorb(base);
        let one = if live.key.first { Fq::ONE } else { Fq::ZERO };
        let values = |t: &TicketShare| t.values.iter().map(|s| s.value).collect::<Vec<_>>();
        let shares = dealt.tickets.iter().map(values);
        let shares = shares.zip(extra.beside.chunks(beside(shape).max(1)));
        let key: Vec<Fq> = dealt.data_key.iter().map(|s| s.value).collect();
        let mut product = Product::new(shape, shares, &key, one, extra.mask, &transcript);
        for (h, digest) in extra.levels.iter().zip(folds) {
            transcript.absorb(digest);
            product.next(h, transcript.challenge(1).fq2());
        }
        let mut psi = transcript.challenge(2);
        let [mut value, mut mac] = extra.sum_mask;
        let of_tickets = dealt.tickets.iter();
        let of_tickets = of_tickets.flat_map(|t| t.values.iter().chain([&t.omega]));
        for share in of_tickets.chain(dealt.data_key) {
            let psi = psi.fq2();
            value += psi.scale(share.value);
            mac += psi * share.mac;
        }
        let first_of = |v: &[Fq2]| v.first().copied().unwrap_or_default();
        let last = [first_of(&product.f), first_of(&product.g), product.claim];
        Ok((transcript.0, last, [value, mac]))
    }

    /// Message 1: shares of the last two factors, of the claim, of the sum.
    pub fn opening(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let [value, _] = &self.sum;
        let all = self.last.iter().chain([value]);
        all.for_each(|x| write_fq2(&mut out, x));
        out.finish()
    }

    /// One message a party, this one's own as it was said.
    fn all<'a>(
        &self,
        messages: &'a [Vec<u8>],
        own: &[u8],
        bytes: usize,
    ) -> Result<impl Iterator<Item = Reader<'a>> + use<'a>, ProtocolError> {
        let parties = usize::from(self.live.parties);
        let length = |what, found: usize, expected: usize| ProtocolError::Length {
            what,
            found: found as u64,
            expected: expected as u64,
        };
        if messages.len() != parties {
            return Err(length(
                "messages of a dealing check",
                messages.len(),
                parties,
            ));
        }
        for m in messages {
            if m.len() != bytes {
                return Err(length("message of a dealing check", m.len(), bytes));
            }
        }
        let said = messages.get(usize::from(self.live.party));
        if said.is_none_or(|m| m != own) {
            return Err(ProtocolError::Misdirected {
                what: "own message",
                found: "another".into(),
                expected: "what this party said".into(),
            });
        }
        Ok(messages.iter().map(|m| Reader::new(m)))
    }

    /// From everybody's message 1 (own included, in party order): the claim
    /// holds; message 2, a commitment to the MACs' check.
    pub fn commitment(&mut self, openings: &[Vec<u8>]) -> Result<Vec<u8>, ProtocolError> {
        let (mut last, mut sum) = ([Fq2::ZERO; 3], Fq2::ZERO);
        for mut input in self.all(openings, &self.opening(), OPENING_BYTES)? {
            for l in last.iter_mut().chain([&mut sum]) {
                *l += read_fq2(&mut input, WHAT)?;
            }
        }
        let [f, g, claim] = last;
        if f * g != claim {
            return Err(ProtocolError::Dealing(
                "its tickets or its key do not hold what they must",
            ));
        }
        let [_, mac] = self.sum;
        self.sigma = mac - sum * self.live.key.mac_key;
        Ok(self.own_commitment().0.to_vec())
    }

    fn own_commitment(&self) -> Digest {
        let sigma = self.sigma_bytes();
        commit(&self.name, self.live.party, SIGMA, &self.salt, &sigma)
    }

    fn sigma_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        write_fq2(&mut out, &self.sigma);
        out.finish()
    }

    fn own_reveal(&self) -> Vec<u8> {
        let mut out = self.sigma_bytes();
        out.extend(self.salt);
        out
    }

    /// From everybody's message 2: message 3, and what must be on disk first.
    pub fn reveal(&mut self, commitments: &[Vec<u8>]) -> Result<Outgoing, ProtocolError> {
        let own = self.own_commitment();
        let mut digests = Vec::new();
        for mut input in self.all(commitments, &own.0, 32)? {
            digests.push(Digest(input.array(WHAT)?));
        }
        self.commitments = digests;
        self.revealed = true;
        Ok(Outgoing {
            durable: Durable::CheckPending,
            bytes: self.own_reveal(),
        })
    }

    /// From everybody's message 3: the MACs are right, and the keys are free; or
    /// the dealing is refused and its keys are never used again.
    pub fn finish(self, reveals: &[Vec<u8>]) -> Result<Live, ProtocolError> {
        if !self.revealed {
            return Err(ProtocolError::Ended);
        }
        let mut sigmas = Vec::new();
        let all = self.all(reveals, &self.own_reveal(), 16 + 32)?;
        for ((party, mut input), commitment) in (0u8..).zip(all).zip(&self.commitments) {
            let sigma = input.take(WHAT, 16)?;
            let salt = input.array(WHAT)?;
            if *commitment != commit(&self.name, party, SIGMA, &salt, sigma) {
                return Err(ProtocolError::Commitment { party, what: SIGMA });
            }
            sigmas.push(read_fq2(&mut Reader::new(sigma), WHAT)?);
        }
        sums_to_zero(&sigmas)?;
        Ok(self.live)
    }

    /// Ends it; the keys come back unless this party's sigma may have left.
    pub fn abandon(self) -> Option<Live> {
        (!self.revealed).then_some(self.live)
    }
}
