//! A committee's stores, and dealings for them: real ones, or of random bytes.

#![allow(dead_code)]

pub mod disk;

pub use disk::SimDisk;
use ed25519_dalek::SigningKey;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use veilbourse_core::{digest::Digest, field::Fq, params::DATA_RING_DIMENSION as N, wire::Writer};
use veilbourse_privacy::{Mechanism, Sensitivity};
use veilbourse_protocol::{
    Committee, Dealer, Shape, TicketClass, Tree,
    binding::{Binding, OutputBinding},
    leaf, quorum_name, write_share,
};
use veilbourse_ticket_store::*;
use zeroize::Zeroizing;

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn digest(n: u64) -> Digest {
    let mut d = Digest::default();
    d.0[..8].copy_from_slice(&n.to_le_bytes());
    d.0[31] = 1;
    d
}

/// The digest of the epochs' public key.
pub const PUBLIC_KEY: Digest = Digest([7; 32]);

pub fn class(k: u8) -> TicketClass {
    TicketClass::new(k, Sensitivity::new(1000).unwrap(), Mechanism::None).unwrap()
}

/// A committee of one dataset.
#[derive(Clone)]
pub struct World {
    pub keys: Vec<SigningKey>,
    pub committee: Committee,
    pub dataset: Digest,
    pub custodian: [u8; 32],
    pub sync_every: u64,
}

impl World {
    pub fn new(nodes: u8, threshold: u8) -> Self {
        let keys = (0..nodes).map(|i| SigningKey::from_bytes(&[i + 1; 32]));
        Self {
            keys: keys.collect(),
            committee: Committee::new(nodes, threshold).unwrap(),
            dataset: digest(1),
            custodian: [7; 32],
            sync_every: 40_000,
        }
    }
    pub fn public(&self, node: u8) -> [u8; 32] {
        self.keys[usize::from(node)].verifying_key().to_bytes()
    }
    pub fn config(&self, node: u8) -> Config {
        Config {
            dataset: self.dataset,
            custodian: self.custodian,
            committee: self.committee,
            node,
            keys: (0..self.committee.nodes())
                .map(|i| self.public(i))
                .collect(),
            sync_every: self.sync_every,
        }
    }
    pub fn key(&self, node: u8) -> &SigningKey {
        &self.keys[usize::from(node)]
    }
    pub fn create(&self, node: u8) -> Store<SimDisk> {
        Store::create(SimDisk::default(), self.config(node)).unwrap()
    }
    /// The plan of a dealing for a quorum, by its members.
    pub fn plan(&self, members: &[u8]) -> Plan {
        Plan {
            quorum: QuorumSet::of_members(members).unwrap(),
            epoch: 0,
            class: class(26),
            first: 0,
            count: 4,
            with_key: true,
            seeds: 1,
        }
    }
    /// Exchanges counters between all of a quorum.
    pub fn meet(&self, stores: &mut [(u8, &mut Store<SimDisk>)]) -> Result<(), StoreError> {
        let held: Vec<_> = stores
            .iter()
            .map(|(_, s)| s.held())
            .collect::<Result<_, _>>()?;
        for i in 0..stores.len() {
            for (j, held) in held.iter().enumerate().filter(|(j, _)| *j != i) {
                let from = stores[j].0;
                stores[i].1.recall(from, held)?;
            }
        }
        for i in 0..stores.len() {
            for j in (0..stores.len()).filter(|j| *j != i) {
                let (from, to) = (stores[j].0, stores[i].0);
                let own = stores[j].1.statement(to, self.key(from))?;
                stores[i].1.meet(from, &own)?;
            }
        }
        Ok(())
    }
}

/// What is to be dealt.
#[derive(Clone, Copy)]
pub struct Plan {
    pub quorum: QuorumSet,
    pub epoch: u32,
    pub class: TicketClass,
    pub first: u64,
    pub count: u64,
    pub with_key: bool,
    /// Names the seeds of the epoch.
    pub seeds: u64,
}

impl Plan {
    fn shape(&self, world: &World) -> Shape {
        let members = self.quorum.members();
        let keys = quorum_name(&world.dataset, &members, self.epoch);
        Shape::new(self.class, keys, self.first as u32)
    }
}

/// A dealing and what each party is sent.
#[derive(Clone)]
pub struct Dealt {
    pub dealing: Dealing,
    pub seeds: Vec<[u8; 32]>,
    pub packages: Vec<Package>,
    /// By party, then by stream.
    pub streams: Vec<[Vec<u8>; 4]>,
}

impl Dealt {
    pub fn offer(&self, party: usize) -> Offer {
        Offer {
            seed: Zeroizing::new(self.seeds[party]),
            package: self.packages[party].clone(),
        }
    }
    pub fn offer_to(&self, node: u8) -> Offer {
        self.offer(self.party(node))
    }
    pub fn party(&self, node: u8) -> usize {
        self.dealing.quorum.party_of(node).unwrap().into()
    }
    pub fn digest(&self) -> Digest {
        self.dealing.digest()
    }

    /// A dealing of these streams.
    fn new(world: &World, plan: &Plan, seeds: Vec<[u8; 32]>, streams: Vec<[Vec<u8>; 4]>) -> Self {
        let packages: Vec<_> = seeds
            .iter()
            .zip(&streams)
            .map(|(seed, s)| Package {
                seed: Package::seed_id(seed),
                proof_bytes: s[3].len() as u64,
                streams: [0, 1, 2, 3].map(|i: usize| StreamDigest::of(&s[i])),
            })
            .collect();
        let parties = seeds.len();
        let tickets = streams[0][0].as_chunks::<32>().0.chunks(parties);
        let mut leaves = vec![Digest::default(); plan.first as usize];
        leaves.extend(
            tickets
                .zip(plan.first..)
                .map(|(c, i)| leaf(&plan.shape(world).dealing, i, c)),
        );
        Self {
            dealing: Dealing {
                dataset: world.dataset,
                quorum: plan.quorum,
                epoch: plan.epoch,
                class: plan.class,
                first: plan.first,
                count: plan.count,
                with_key: plan.with_key,
                root: Tree::new(leaves).root(),
                parties: plan
                    .quorum
                    .members()
                    .iter()
                    .map(|m| world.public(*m))
                    .collect(),
                bases: packages.iter().map(Package::base).collect(),
                packages: packages.iter().map(Package::digest).collect(),
            },
            seeds,
            packages,
            streams,
        }
    }

    fn seeds(plan: &Plan) -> Vec<[u8; 32]> {
        let mut r = rng(plan.seeds << 8 | u64::from(plan.quorum.bits()));
        let mut seeds = vec![[0; 32]; plan.quorum.parties().into()];
        seeds.iter_mut().for_each(|s| r.fill_bytes(s));
        seeds
    }

    /// Of random bytes: whatever the check would say.
    pub fn random(world: &World, plan: &Plan, r: &mut ChaCha20Rng) -> Self {
        let seeds = Self::seeds(plan);
        let shape = plan.shape(world);
        let parties = seeds.len();
        let mut fill = |bytes: usize| {
            let mut out = vec![0; bytes];
            r.fill_bytes(&mut out);
            // Every word canonical.
            out.iter_mut().skip(7).step_by(8).for_each(|b| *b &= 0x7f);
            out
        };
        let commitments = fill(plan.count as usize * parties * 32);
        let streams = (0..parties).map(|p| {
            let last = p + 1 == parties;
            let explicit = if last {
                shape.layout.explicit_bytes()
            } else {
                0
            };
            let key = if last && plan.with_key { N * 24 } else { 0 };
            [
                commitments.clone(),
                fill(plan.count as usize * explicit),
                fill(key),
                fill(100 + p),
            ]
        });
        let streams = streams.collect();
        Self::new(world, plan, seeds, streams)
    }

    /// A real one; proofs are not made.
    pub fn real(world: &World, plan: &Plan, key: &[Fq], r: &mut ChaCha20Rng) -> Self {
        let seeds = Self::seeds(plan);
        let mut secret = Zeroizing::new([0; 32]);
        r.fill_bytes(&mut *secret);
        let dealer = Dealer::resume(plan.shape(world), Zeroizing::new(seeds.clone()), secret);
        let (mut commitments, mut explicit) = (Vec::new(), Vec::new());
        for number in plan.first..plan.first + plan.count {
            let ticket = dealer.ticket(number);
            commitments.extend(ticket.commitments.iter().flatten());
            explicit.extend(ticket.explicit);
        }
        let mut shares = Writer::new();
        if plan.with_key {
            for s in dealer.data_key(key) {
                write_share(&mut shares, &s);
            }
        }
        let mut streams = vec![[commitments, vec![], vec![], b"proof".to_vec()]; seeds.len()];
        let last = streams.last_mut().unwrap();
        last[1] = explicit;
        last[2] = shares.finish();
        Self::new(world, plan, seeds, streams)
    }

    /// Sends what a store does not have yet, in pieces.
    pub fn send(
        &self,
        store: &mut Store<SimDisk>,
        node: u8,
        piece: usize,
    ) -> Result<(), StoreError> {
        let digest = store.begin(&self.dealing, &self.offer_to(node))?;
        let streams = &self.streams[self.party(node)];
        for (stream, bytes) in Stream::ALL.into_iter().zip(streams) {
            let (from, total) = store.received(&digest, stream)?;
            assert_eq!(total, bytes.len() as u64, "{stream:?}");
            let mut at = from as usize;
            while at < bytes.len() {
                let end = (at + piece).min(bytes.len());
                store.put(&digest, stream, at as u64, &bytes[at..end])?;
                at = end;
            }
        }
        Ok(())
    }

    /// All the way to a verified dealing.
    pub fn verified(&self, store: &mut Store<SimDisk>, node: u8) -> Result<Digest, StoreError> {
        self.send(store, node, 50_000)?;
        let digest = self.digest();
        store.finish(&digest)?;
        store.checking(&digest)?;
        store.verified(&digest)?;
        Ok(digest)
    }

    /// ... and usable.
    pub fn usable(&self, store: &mut Store<SimDisk>, node: u8) -> Result<Digest, StoreError> {
        let digest = self.verified(store, node)?;
        store.key_checked(&digest, &PUBLIC_KEY)?;
        store.activate(&[digest])?;
        Ok(digest)
    }

    /// A session for outputs of one order: (output, values) each.
    pub fn binding(&self, order: u64, attempt: u32, first: u64, outputs: &[(u32, u32)]) -> Binding {
        let mut at = first;
        Binding {
            dataset: self.dealing.dataset,
            order: digest(1000 + order),
            grant: digest(3),
            policy: digest(4),
            quorum: self.dealing.quorum.members(),
            dealing: self.digest(),
            class: self.dealing.class.digest(),
            attempt,
            outputs: outputs
                .iter()
                .map(|(output, values)| {
                    let first_ticket = at;
                    at += u64::from(*values);
                    OutputBinding {
                        output: *output,
                        ciphertext: digest(5),
                        first_ticket,
                        values: *values,
                    }
                })
                .collect(),
        }
    }
}

/// Two nodes of one quorum with a usable dealing each.
pub struct Pair {
    pub world: World,
    pub dealt: Dealt,
    pub a: Store<SimDisk>,
    pub b: Store<SimDisk>,
}

impl Pair {
    /// Nodes 0 and 1 of three.
    pub fn new(count: u64) -> Self {
        let world = World::new(3, 2);
        let plan = Plan {
            count,
            ..world.plan(&[0, 1])
        };
        let dealt = Dealt::random(&world, &plan, &mut rng(1));
        let (mut a, mut b) = (world.create(0), world.create(1));
        dealt.usable(&mut a, 0).unwrap();
        dealt.usable(&mut b, 1).unwrap();
        Self { world, dealt, a, b }
    }
    pub fn meet(&mut self) -> Result<(), StoreError> {
        let Self { world, a, b, .. } = self;
        world.meet(&mut [(0, a), (1, b)])
    }
    /// Both meet and spend.
    pub fn spend(&mut self, order: u64, attempt: u32, outputs: &[(u32, u32)]) -> Digest {
        self.meet().unwrap();
        let first = self.a.next_ticket(&self.dealt.digest()).unwrap();
        let binding = self.dealt.binding(order, attempt, first, outputs);
        self.a.spend(&binding).unwrap();
        self.b.spend(&binding).unwrap()
    }
    /// Power fails at node 0, and comes back.
    pub fn restart_a(&mut self, seed: u64) {
        let disk = self.a.disk().restart(seed);
        self.a = Store::open(disk, self.world.config(0)).unwrap();
    }
}
