//! A committee with its dealings: real tickets, real proofs, a data key, a
//! public key, and ciphertexts of known values.

#![allow(dead_code)]

#[path = "../../../store/tests/support/disk.rs"]
pub mod disk;
pub mod sim;

pub use disk::SimDisk;
use ed25519_dalek::SigningKey;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::collections::BTreeMap;
use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext, TracedLwe},
    digest::{Digest, Domain},
    field::Fq,
    params::DATA_RING_DIMENSION as N,
    ring::Poly,
};
use veilbourse_privacy::{Mechanism, Sensitivity};
use veilbourse_protocol::{
    Committee, MaskShare, Masked, ProtocolError, TicketClass, commitments, unmask,
};
use veilbourse_quorum::{
    Keeper, Outcome, Output, Released, Request, Signer,
    deal::{Dealt, Plan},
};
use veilbourse_ticket_store::*;
use zeroize::Zeroizing;

pub const K: u8 = 26;

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn entropy(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut out = [0; 32];
    rng.fill_bytes(&mut out);
    out
}

pub fn class(mechanism: Mechanism) -> TicketClass {
    TicketClass::new(K, Sensitivity::new(1000).unwrap(), mechanism).unwrap()
}

pub fn poly(rng: &mut ChaCha20Rng) -> Poly {
    let words = (0..N).map(|_| Fq::reduce(rng.next_u64())).collect();
    Poly::from_coefficients(words).unwrap()
}

fn phase(m: i64) -> Fq {
    Fq::from_i128((i128::from(m) << K) + 12_345)
}

/// One dataset's committee and data key.
pub struct World {
    pub keys: Vec<SigningKey>,
    pub committee: Committee,
    pub dataset: Digest,
    pub secret: Poly,
    pub public: Glwe,
    /// Ciphertexts and their values.
    pub pool: Vec<(OutputCiphertext, Vec<i64>)>,
}

impl World {
    pub fn new(nodes: u8, threshold: u8, seed: u64) -> Self {
        let mut rng = rng(seed);
        let keys = (0..nodes).map(|i| SigningKey::from_bytes(&[i + 1; 32]));
        let bits = (0..N).map(|_| Fq::reduce(rng.next_u64() & 1)).collect();
        let secret = Poly::from_coefficients(bits).unwrap();
        let a = poly(&mut rng);
        let mut b = a.mul(&secret);
        for b in b.iter_mut() {
            *b += Fq::from_i64(rng.random_range(-20..20));
        }
        let mut world = Self {
            keys: keys.collect(),
            committee: Committee::new(nodes, threshold).unwrap(),
            dataset: Digest([1; 32]),
            secret,
            public: Glwe { a, b },
            pool: Vec::new(),
        };
        for _ in 0..12 {
            let m = rng.random_range(-1i64 << (62 - K)..1 << (62 - K));
            let traced = world.traced(m, &mut rng);
            world.pool.push((traced, vec![m]));
        }
        world
    }

    /// One value.
    pub fn traced(&self, m: i64, rng: &mut ChaCha20Rng) -> OutputCiphertext {
        let t = poly(rng);
        // Coefficient 0 of t S.
        let product = t.mul(&self.secret);
        OutputCiphertext::Traced(TracedLwe {
            b: product[0] + phase(m),
            t,
        })
    }

    /// A value a row.
    pub fn rows(&self, values: &[i64], rng: &mut ChaCha20Rng) -> OutputCiphertext {
        let a = poly(rng);
        let mut b = a.mul(&self.secret);
        for (b, m) in b.iter_mut().zip(values) {
            *b += phase(*m);
        }
        OutputCiphertext::Rows {
            glwe: Glwe { a, b },
            rows: values.len() as u32,
        }
    }

    pub fn config(&self, node: u8) -> Config {
        Config {
            dataset: self.dataset,
            custodian: [7; 32],
            committee: self.committee,
            node,
            keys: self
                .keys
                .iter()
                .map(|k| k.verifying_key().to_bytes())
                .collect(),
            sync_every: 1 << 20,
        }
    }

    pub fn plan(&self, members: &[u8], epoch: u32, first: u64, count: u64) -> Plan {
        let config = self.config(0);
        Plan {
            dataset: self.dataset,
            quorum: QuorumSet::of_members(members).unwrap(),
            parties: members
                .iter()
                .map(|m| config.keys[usize::from(*m)])
                .collect(),
            epoch,
            class: class(Mechanism::None),
            first,
            count,
            with_key: first == 0,
        }
    }

    /// Deals; the seeds follow from quorum and epoch.
    pub fn deal(&self, plan: &Plan) -> Dealt {
        let mut rng = rng(u64::from(plan.epoch) << 8 | u64::from(plan.quorum.bits()));
        let mut seeds = Zeroizing::new(vec![[0; 32]; plan.parties.len()]);
        seeds.iter_mut().for_each(|s| rng.fill_bytes(s));
        let secret = Zeroizing::new(entropy(&mut rng));
        Dealt::new(plan, seeds, secret, &self.secret).unwrap()
    }

    pub fn open_store<D: Disk>(&self, node: u8, disk: D) -> Result<Keeper<D>, StoreError> {
        let store = Store::open(disk, self.config(node))?;
        Ok(Keeper::new(store, self.keys[usize::from(node)].clone()))
    }

    pub fn create<D: Disk>(&self, node: u8, disk: D) -> Keeper<D> {
        let store = Store::create(disk, self.config(node)).unwrap();
        Keeper::new(store, self.keys[usize::from(node)].clone())
    }

    /// A request for outputs from the pool.
    pub fn request(&self, dealing: Digest, order: u64, outputs: &[usize], trial: u64) -> Request {
        let digest = |n: u64, what: u8| {
            let mut d = Digest([what; 32]);
            d.0[..8].copy_from_slice(&n.to_le_bytes());
            d
        };
        let output = |(index, at): (usize, &usize)| {
            let ciphertext = self.pool[*at].0.clone();
            Output {
                index: index as u32,
                digest: Digest::of(Domain::Output, &ciphertext.encode()),
                ciphertext,
            }
        };
        Request {
            dealing,
            order: digest(order, 0xa0),
            grant: digest(order, 0xa1),
            policy: digest(0, 0xa2),
            outputs: outputs.iter().enumerate().map(output).collect(),
            trial,
        }
    }

    /// The values of such a request.
    pub fn values(&self, outputs: &[usize]) -> Vec<i64> {
        let values = outputs.iter().map(|at| self.pool[*at].1.clone());
        values.flatten().collect()
    }
}

/// What a buyer makes of what the parties released.
pub fn buyer(
    dealing: &Dealing,
    outcome: &Outcome,
    released: &[Vec<Released>],
) -> Vec<Result<i64, ProtocolError>> {
    let (signed, bound) = (dealing.signed(), dealing.class.value_bound());
    let parties = dealing.quorum.parties();
    (0..outcome.y.len())
        .map(|i| {
            let points = commitments(&signed, parties, &released[0][i].path)?;
            let openings: Vec<MaskShare> = released.iter().map(|r| r[i].mask.clone()).collect();
            unmask(
                i as u64,
                &Masked {
                    y: &[outcome.y[i]],
                    commitments: &[points],
                    openings: &openings,
                    bound,
                },
            )
        })
        .collect()
}

/// Signs with a keyed hash; what is signed is everything about an outcome.
pub struct TestSigner {
    pub node: u8,
}

pub fn signature(node: u8, outcome: &Outcome) -> Vec<u8> {
    let mut bytes = vec![node];
    bytes.extend(outcome.session.0);
    bytes.extend(outcome.y.iter().flat_map(|y| y.word().to_le_bytes()));
    blake3_of(&bytes)
}

fn blake3_of(bytes: &[u8]) -> Vec<u8> {
    Digest::of(Domain::Other("test signature"), bytes)
        .0
        .to_vec()
}

impl Signer for TestSigner {
    fn limit(&self) -> u32 {
        32
    }
    fn sign(&self, outcome: &Outcome) -> Result<Vec<u8>, String> {
        Ok(signature(self.node, outcome))
    }
    fn check(&self, node: u8, outcome: &Outcome, bytes: &[u8]) -> Result<(), String> {
        if bytes == signature(node, outcome) {
            return Ok(());
        }
        Err("of another outcome".into())
    }
}

/// By quorum, the dealings of its epochs.
pub type Dealings = BTreeMap<Vec<u8>, Vec<Dealt>>;

/// Nodes whose dealings of epoch 0 are usable, as copies of their disks.
pub fn usable(world: &World, dealings: &Dealings) -> Vec<disk::Copy> {
    let nodes = world.committee.nodes();
    let mut sim = sim::Scheduler::new(1);
    let keepers: Vec<_> = (0..nodes)
        .map(|n| std::sync::Arc::new(world.create(n, SimDisk::default())))
        .collect();
    for (members, epochs) in dealings {
        let dealt = &epochs[0];
        for n in members {
            dealt.hand(&keepers[usize::from(*n)], *n).unwrap();
        }
        bring(world, &mut sim, &keepers, dealt, 0);
    }
    keepers
        .iter()
        .map(|k| k.read(|s| s.disk().copy()))
        .collect()
}

/// Checks a dealing and its key with all members, and activates it.
pub fn bring(
    world: &World,
    sim: &mut sim::Scheduler,
    keepers: &[std::sync::Arc<Keeper<SimDisk>>],
    dealt: &Dealt,
    trial: u64,
) {
    let digest = dealt.digest();
    for n in dealt.dealing.quorum.members() {
        let keeper = std::sync::Arc::clone(&keepers[usize::from(n)]);
        let net = sim.net.of(n);
        let public = world.public.clone();
        sim.spawn(n, async move {
            keeper.check(&net, &digest, trial, [n; 32]).await.unwrap();
            let checked = keeper.key_check(&net, &digest, &public, trial, [n + 8; 32]);
            checked.await.unwrap();
            keeper.activate(&[digest], &[]).await.unwrap();
        });
    }
    sim.settle();
    assert!(sim.idle());
}
