//! A dealing to one quorum in memory, with its proof (TKT-2..5, CST-2, QRM-6):
//! what the custodian deals where it fits into memory, and what every test and
//! demo deals. Everything follows from seeds and a secret.

use crate::{error::QuorumError, keeper::Keeper, proof::encode_proof};
use veilbourse_core::{digest::Digest, field::Fq, wire::Writer};
use veilbourse_protocol::TicketClass;
use veilbourse_protocol::{Dealer, MAX_CHECKED, Tree, write_share};
use veilbourse_ticket_store::{
    Dealing, Disk, MAX_NUMBER, Offer, Package, QuorumSet, StoreError, Stream, StreamDigest,
};
use zeroize::Zeroizing;

/// What is to be dealt.
#[derive(Debug, Clone)]
pub struct Plan {
    /// D.
    pub dataset: Digest,
    /// Whom it is for.
    pub quorum: QuorumSet,
    /// The members' Ed25519 keys, by party number.
    pub parties: Vec<[u8; 32]>,
    /// The epoch of the quorum's seeds.
    pub epoch: u32,
    /// The class.
    pub class: TicketClass,
    /// The first ticket's number.
    pub first: u64,
    /// Tickets.
    pub count: u64,
    /// Whether the shares of S_D come with it.
    pub with_key: bool,
}

/// A dealing, and what each party is sent.
#[derive(Clone)]
pub struct Dealt {
    /// The announcement.
    pub dealing: Dealing,
    seeds: Zeroizing<Vec<[u8; 32]>>,
    packages: Vec<Package>,
    /// By party, then by stream.
    streams: Vec<[Vec<u8>; 4]>,
}

impl Dealt {
    /// Deals. `seeds` are the epoch's, one a party; `secret` is the dealer's;
    /// `key` is S_D.
    pub fn new(
        plan: &Plan,
        seeds: Zeroizing<Vec<[u8; 32]>>,
        secret: Zeroizing<[u8; 32]>,
        key: &[Fq],
    ) -> Result<Self, StoreError> {
        let parties = seeds.len();
        let end = plan.first.saturating_add(plan.count).min(MAX_NUMBER);
        let mut dealing = Dealing {
            dataset: plan.dataset,
            quorum: plan.quorum,
            epoch: plan.epoch,
            class: plan.class,
            first: plan.first,
            count: plan.count,
            with_key: plan.with_key,
            root: Digest::default(),
            parties: plan.parties.clone(),
            bases: vec![Digest::default(); parties],
            packages: vec![Digest::default(); parties],
        };
        dealing.check()?;
        let dealer = Dealer::resume(dealing.shape(), seeds.clone(), secret);
        let (mut commitments, mut explicit) = (Vec::new(), Vec::new());
        let mut leaves = vec![Digest::default(); plan.first as usize];
        let mut values = Vec::new();
        for number in plan.first..end {
            let ticket = dealer.ticket(number);
            commitments.extend(ticket.commitments.iter().flatten());
            explicit.extend(&ticket.explicit);
            leaves.push(ticket.leaf);
            values.push(ticket.values);
        }
        let key = if plan.with_key { key } else { &[] };
        let mut shares = Writer::new();
        for s in dealer.data_key(key) {
            write_share(&mut shares, &s);
        }
        dealing.root = Tree::new(leaves).root();
        let mut streams = vec![[commitments, vec![], vec![], vec![]]; parties];
        if let Some([_, tickets, key, _]) = streams.last_mut() {
            (*tickets, *key) = (explicit, shares.finish());
        }
        let package = |seed: &[u8; 32], streams: &[Vec<u8>; 4]| Package {
            seed: Package::seed_id(seed),
            proof_bytes: streams[3].len() as u64,
            streams: streams.each_ref().map(|s| StreamDigest::of(s)),
        };
        let packages = |streams: &[[Vec<u8>; 4]]| -> Vec<Package> {
            let all = seeds.iter().zip(streams);
            all.map(|(seed, s)| package(seed, s)).collect()
        };
        // The proof is about everything but itself.
        dealing.bases = packages(&streams).iter().map(Package::base).collect();
        let context = dealing.context();
        for (first, batch) in (plan.first..)
            .step_by(MAX_CHECKED)
            .zip(values.chunks(MAX_CHECKED))
        {
            let key = if first == plan.first { key } else { &[] };
            let proof = dealer.prove(&context, first, batch, key);
            for (party, s) in (1..).zip(&mut streams) {
                s[3].extend(encode_proof(&proof, party == parties));
            }
        }
        let packages = packages(&streams);
        dealing.packages = packages.iter().map(Package::digest).collect();
        Ok(Self {
            dealing,
            seeds,
            packages,
            streams,
        })
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.dealing.digest()
    }

    /// What a party is offered; nothing for a number that is none.
    pub fn offer(&self, party: u8) -> Option<Offer> {
        let at = usize::from(party);
        let (seed, package) = self.seeds.get(at).zip(self.packages.get(at))?;
        Some(Offer {
            seed: Zeroizing::new(*seed),
            package: package.clone(),
        })
    }

    /// A party's streams, in the order of [`Stream::ALL`].
    pub fn streams(&self, party: u8) -> Option<&[Vec<u8>; 4]> {
        self.streams.get(usize::from(party))
    }

    /// Hands a node what it does not have yet, in this process.
    pub fn hand<D: Disk>(&self, keeper: &Keeper<D>, node: u8) -> Result<Digest, QuorumError> {
        let digest = self.digest();
        let party = self.dealing.quorum.party_of(node);
        let given = party.and_then(|p| self.offer(p).zip(self.streams(p)));
        let Some((offer, streams)) = given else {
            return Err(StoreError::UnknownDealing { dealing: digest }.into());
        };
        keeper.begin(&self.dealing, &offer)?;
        for (stream, bytes) in Stream::ALL.into_iter().zip(streams) {
            let (from, _) = keeper.received(&digest, stream)?;
            let rest = bytes.get(from as usize..).unwrap_or_default();
            let mut at = from;
            for piece in rest.chunks(1 << 20) {
                keeper.put(&digest, stream, at, piece)?;
                at += piece.len() as u64;
            }
        }
        keeper.finish(&digest)?;
        Ok(digest)
    }
}
