//! What is announced of a dealing (CST-2), and its streams (CST-3).

use crate::error::StoreError;
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, WireError, Writer},
};
use veilbourse_protocol::{
    MAX_NODES, MAX_TICKETS, Quorum, Shape, Signed, TicketClass, quorum_name,
};
use zeroize::Zeroizing;

/// The version of an announced dealing.
const VERSION: u16 = 1;
/// Ticket numbers of an epoch are below this.
pub const MAX_NUMBER: u64 = MAX_TICKETS;
/// Greatest epoch: the one after it must be a number too.
pub const MAX_EPOCH: u32 = u32::MAX - 1;
/// Most bytes of a dealing's proof: a fixed part, and a part for each ticket.
pub const MAX_PROOF: (u64, u64) = (1 << 20, 1 << 10);
/// Coefficients of S_D.
const KEY_SHARES: u64 = veilbourse_core::params::DATA_RING_DIMENSION as u64;
/// Bytes of a share.
const SHARE: u64 = 24;
/// Bytes of a mask commitment.
pub(crate) const COMMITMENT: u64 = 32;

/// The members of a quorum, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuorumSet(u8);

impl QuorumSet {
    /// Of a committee's quorum.
    pub fn of(quorum: &Quorum) -> Self {
        Self(quorum.members().iter().fold(0, |set, m| set | 1 << m))
    }
    /// Of node numbers, ascending, each once.
    pub fn of_members(members: &[u8]) -> Option<Self> {
        let mut set = 0u8;
        for m in members {
            let bit = 1u8.checked_shl((*m).into())?;
            (*m < MAX_NODES && bit > set).then_some(())?;
            set |= bit;
        }
        Some(Self(set))
    }
    /// Bit i: node i is a member.
    pub fn bits(self) -> u8 {
        self.0
    }
    /// The members, ascending.
    pub fn members(self) -> Vec<u8> {
        (0..8).filter(|i| self.0 >> i & 1 == 1).collect()
    }
    /// t.
    pub fn parties(self) -> u8 {
        self.0.count_ones() as u8
    }
    /// A node's party number here.
    pub fn party_of(self, node: u8) -> Option<u8> {
        let bit = 1u8.checked_shl(node.into())?;
        (self.0 & bit != 0).then(|| (self.0 & (bit - 1)).count_ones() as u8)
    }
    pub(crate) fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self(input.u8("quorum")?))
    }
}

/// What a dealing is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Mask commitments: 32 bytes a party a ticket, by ticket, then by party.
    Commitments,
    /// The last party's shares of the tickets, by ticket.
    Explicit,
    /// The last party's shares of S_D, where the dealing carries them.
    Key,
    /// What the dealing's check needs (TKT-4), in a form of its own.
    Proof,
}

impl Stream {
    /// All.
    pub const ALL: [Self; 4] = [Self::Commitments, Self::Explicit, Self::Key, Self::Proof];

    pub(crate) fn index(self) -> usize {
        self as usize
    }
    pub(crate) fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let found = input.u8("stream")?;
        let all = Self::ALL.into_iter();
        all.zip(0u8..)
            .find_map(|(s, i)| (i == found).then_some(s))
            .ok_or(WireError::TooLarge {
                field: "stream",
                limit: 3,
                value: found.into(),
            })
    }
    /// The end of its file's name, and the name of its part on the way (DOC-14).
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Commitments => "commitments",
            Self::Explicit => "explicit",
            Self::Key => "key",
            Self::Proof => "proof",
        }
    }
}

/// The digest of a stream, piece by piece.
pub struct StreamDigest(blake3::Hasher);

impl Default for StreamDigest {
    fn default() -> Self {
        Self(blake3::Hasher::new_derive_key(
            "veilbourse v1 ticket store stream",
        ))
    }
}

impl StreamDigest {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }
    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
    /// Of a stream in one piece.
    pub fn of(bytes: &[u8]) -> Digest {
        let mut digest = Self::default();
        digest.update(bytes);
        digest.finish()
    }
}

/// What one party is given in a dealing, by digests; its digest is announced to
/// all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Names the seed without telling it.
    pub seed: Digest,
    /// Bytes of the proof.
    pub proof_bytes: u64,
    /// Digests of the streams, in the order of [`Stream::ALL`].
    pub streams: [Digest; 4],
}

impl Package {
    /// Names a seed.
    pub fn seed_id(seed: &[u8; 32]) -> Digest {
        Digest::of(Domain::Other("veilbourse v1 ticket store seed"), seed)
    }
    /// The digest.
    pub fn digest(&self) -> Digest {
        let mut out = Writer::new();
        self.encode(&mut out);
        Digest::of(Domain::Other("veilbourse v1 ticket package"), &out.finish())
    }
    /// The digest of what a proof is about: all but the proof (TKT-4).
    pub fn base(&self) -> Digest {
        let mut out = Writer::new();
        out.raw(&self.seed.0);
        for stream in Stream::ALL.iter().filter(|s| **s != Stream::Proof) {
            out.raw(
                &self
                    .streams
                    .get(stream.index())
                    .copied()
                    .unwrap_or_default()
                    .0,
            );
        }
        Digest::of(
            Domain::Other("veilbourse v1 ticket package base"),
            &out.finish(),
        )
    }
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.raw(&self.seed.0).u64(self.proof_bytes);
        for d in &self.streams {
            out.raw(&d.0);
        }
    }
    pub(crate) fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let seed = Digest(input.array("package seed")?);
        let proof_bytes = input.u64("proof bytes")?;
        let mut streams = [Digest::default(); 4];
        for d in &mut streams {
            *d = Digest(input.array("stream digest")?);
        }
        Ok(Self {
            seed,
            proof_bytes,
            streams,
        })
    }
}

/// What the dealer gives one party to begin with, over a channel of its own.
pub struct Offer {
    /// The party's seed, the same in every dealing of an epoch.
    pub seed: Zeroizing<[u8; 32]>,
    /// The rest, by digests.
    pub package: Package,
}

impl Offer {
    /// The canonical encoding (WIRE-1): the part `offer` of a dealing on its way
    /// (DOC-14).
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new();
        out.raw(&*self.seed);
        self.package.encode(&mut out);
        Zeroizing::new(out.finish())
    }
    /// Reads one (WIRE-2).
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut input = Reader::new(bytes);
        let seed = Zeroizing::new(input.array("offered seed")?);
        let package = Package::decode(&mut input)?;
        input.finish("offer")?;
        Ok(Self { seed, package })
    }
}

/// What a dealer announces to a quorum: the same for every party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dealing {
    /// D.
    pub dataset: Digest,
    /// Whom it is for.
    pub quorum: QuorumSet,
    /// Counts the quorum's dealings with fresh seeds.
    pub epoch: u32,
    /// The class.
    pub class: TicketClass,
    /// Number of the first ticket: numbers are unique in an epoch, whatever the
    /// class, since shares and masks follow from seed and number.
    pub first: u64,
    /// Tickets.
    pub count: u64,
    /// Whether the shares of S_D come with it: once an epoch.
    pub with_key: bool,
    /// Root over the commitments (TKT-5).
    pub root: Digest,
    /// The parties' Ed25519 keys: a node that replaces another is not dealt to.
    pub parties: Vec<[u8; 32]>,
    /// What each party is given, but for its proof ([`Package::base`]): what the
    /// proof is about.
    pub bases: Vec<Digest>,
    /// What each party is given.
    pub packages: Vec<Digest>,
}

impl Dealing {
    /// The name of the quorum's keys (SHR-1).
    pub fn keys(&self) -> Digest {
        quorum_name(&self.dataset, &self.quorum.members(), self.epoch)
    }
    /// What the custodian signs of it (TKT-5): a ticket's place is its number,
    /// so the tree has as many as the greatest.
    pub fn signed(&self) -> Signed {
        Signed {
            dealing: self.shape().dealing,
            tickets: self.end(),
            root: self.root,
        }
    }
    /// What follows from the class and the dealing's name (TKT-1): its serial
    /// number is that of its first ticket, which no other dealing of the epoch
    /// has.
    pub fn shape(&self) -> Shape {
        // Checked dealings begin below 2^24.
        let serial = u32::try_from(self.first).unwrap_or(u32::MAX);
        Shape::new(self.class, self.keys(), serial)
    }
    /// After the last ticket.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }

    /// Appends the canonical encoding (WIRE-1).
    pub fn encode(&self, out: &mut Writer) {
        let Self {
            dataset,
            quorum,
            epoch,
            class,
            first,
            count,
            with_key,
            root,
            parties,
            bases,
            packages,
        } = self;
        out.u16(VERSION).raw(&dataset.0).u8(quorum.0).u32(*epoch);
        class.encode(out);
        out.u64(*first).u64(*count).u8((*with_key).into());
        out.raw(&root.0).len(parties.len());
        for p in parties {
            out.raw(p);
        }
        for list in [bases, packages] {
            out.len(list.len());
            for p in list {
                out.raw(&p.0);
            }
        }
    }

    /// TKT-4: names everything dealt but the proofs, which are about it: they
    /// begin with this digest.
    pub fn context(&self) -> Digest {
        let mut out = Writer::new();
        let unproven = Self {
            packages: Vec::new(),
            ..self.clone()
        };
        unproven.encode(&mut out);
        Digest::of(
            Domain::Other("veilbourse v1 dealing context"),
            &out.finish(),
        )
    }

    /// Reads one, and checks what it says by itself (CST-2).
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, StoreError> {
        let found = input.u16("dealing version")?;
        if found != VERSION {
            return Err(WireError::Version {
                field: "dealing",
                expected: VERSION.into(),
                found: found.into(),
            }
            .into());
        }
        let dealing = Self {
            dataset: Digest(input.array("dataset")?),
            quorum: QuorumSet::decode(input)?,
            epoch: input.u32("epoch")?,
            class: TicketClass::decode(input)?,
            first: input.u64("first ticket")?,
            count: input.u64("tickets")?,
            with_key: bool_of(input, "data key")?,
            root: Digest(input.array("root")?),
            parties: {
                let n = input.len("parties", MAX_NODES.into())?;
                let keys = (0..n).map(|_| input.array("party key"));
                keys.collect::<Result<_, _>>()?
            },
            bases: {
                let n = input.len("packages", MAX_NODES.into())?;
                let digests = (0..n).map(|_| input.array("package").map(Digest));
                digests.collect::<Result<_, _>>()?
            },
            packages: {
                let n = input.len("packages", MAX_NODES.into())?;
                let digests = (0..n).map(|_| input.array("package").map(Digest));
                digests.collect::<Result<_, _>>()?
            },
        };
        dealing.check()?;
        Ok(dealing)
    }

    /// What holds whoever it is for (CST-2).
    pub fn check(&self) -> Result<(), StoreError> {
        let within = |field, value: u64, min: u64, max: u64| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(StoreError::Limit {
                field,
                value,
                min,
                max,
            })
        };
        let t = u64::from(self.quorum.parties());
        within("parties", t, 2, MAX_NODES.into())?;
        within("party keys", self.parties.len() as u64, t, t)?;
        within("packages", self.bases.len() as u64, t, t)?;
        within("packages", self.packages.len() as u64, t, t)?;
        within("epoch", self.epoch.into(), 0, MAX_EPOCH.into())?;
        within("first ticket", self.first, 0, MAX_NUMBER - 1)?;
        within("tickets", self.count, 1, MAX_NUMBER - self.first)
    }

    /// Names the dealing: what OPN-4's sessions carry.
    pub fn digest(&self) -> Digest {
        let mut out = Writer::new();
        self.encode(&mut out);
        Digest::of(Domain::Other("veilbourse v1 dealing"), &out.finish())
    }

    /// Bytes of a stream for a party, by the shape of the class.
    pub fn stream_bytes(&self, stream: Stream, shape: &Shape, party: u8, proof: u64) -> u64 {
        let last = party + 1 == self.quorum.parties();
        match stream {
            Stream::Commitments => self.count * u64::from(self.quorum.parties()) * COMMITMENT,
            Stream::Explicit if last => self.count * shape.layout.explicit_bytes() as u64,
            Stream::Key if last && self.with_key => KEY_SHARES * SHARE,
            Stream::Explicit | Stream::Key => 0,
            Stream::Proof => proof,
        }
    }
}

pub(crate) fn bool_of(input: &mut Reader<'_>, field: &'static str) -> Result<bool, WireError> {
    match input.u8(field)? {
        0 => Ok(false),
        1 => Ok(true),
        value => Err(WireError::TooLarge {
            field,
            limit: 1,
            value: value.into(),
        }),
    }
}
