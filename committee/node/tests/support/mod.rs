//! A small encrypted table with true proofs, and the documents of an order over
//! it: what the tests of key node and receipts share.
//!
//! Weights are public, so an output is proven in a fraction of a second; the
//! table, its encryption, the proofs and every key come from fixed seeds.
#![allow(dead_code)] // each test file uses its part

pub mod committee;
pub mod server;
pub mod terms;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use std::{collections::HashMap, io::Cursor, path::Path, sync::Arc};
use tempfile::TempDir;
use veilbourse_client::{
    custodian::{self, Dataset},
    http::Silent,
};
use veilbourse_core::{
    digest::Digest,
    program::{MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
    simulation::simulate_program,
};
use veilbourse_documents::{
    Bytes, Id, Key, OpenedResult, ResultContext, SealingSecret, SigningKey, SrsProvenance, SrsRef,
    api::AcceptedKeys, open_result,
};
use veilbourse_eval::SecretKey;
use veilbourse_node::{Dataset as NodeDataset, KeyNode, Log, NodeConfig, Outcome, Parts};
use veilbourse_pod::{Circuits, Job, matrix_words};
use veilbourse_prover::{
    linear::PodSecret,
    srs::{Ceremony, Srs, silent},
};
use veilbourse_tabular::{Built, ColumnConfig, Kind, SchemaConfig, build};

/// Rows of the table: one chunk.
pub const ROWS: u64 = 600;
/// Now, milliseconds since the epoch.
pub const NOW: u64 = 1_800_000_000_000;
/// What is fresh elsewhere: each session's own randomness.
pub const SEEDED: [u8; 32] = [77; 32];
/// Values of [`World::program`]: one aggregate and a score a row.
pub const VALUES: u64 = 1 + ROWS;

pub fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

pub fn signer(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn key(k: &SigningKey) -> Key {
    Key(k.verifying_key().to_bytes())
}

pub fn id(n: u8) -> Id {
    Id::parse(&format!("0190a6c8-0000-7000-8000-0000000000{n:02x}")).unwrap()
}

/// The table, encrypted and committed, with the custodian's secret key.
pub struct World {
    pub built: Built,
    pub dataset: Dataset,
    pub secret: SecretKey,
    pub root: Digest,
}

impl World {
    pub fn new() -> Self {
        Self::numbered(0)
    }

    /// Another table, key and encryption for each number.
    pub fn numbered(n: u64) -> Self {
        let mut csv = String::from("age,visits,income\n");
        for i in 0..ROWS {
            csv += &format!(
                "{},{},{}\n",
                18 + (i * 37 + n * 11) % 70,
                i * 7 % 13,
                900 + i * i * 31 % 9000
            );
        }
        let mut config = SchemaConfig::new("clinic");
        for name in ["age", "visits", "income"] {
            config.columns.insert(
                name.into(),
                ColumnConfig {
                    kind: Some(Kind::Numeric),
                    ..ColumnConfig::default()
                },
            );
        }
        let built = build(Cursor::new(csv), &config).unwrap();
        assert_eq!(built.columns.len(), 3);
        let mut rng = rng(1 + n);
        let secret = SecretKey::generate(&mut rng);
        let encrypted = custodian::encrypt(&built, &secret, &mut rng, &Silent).unwrap();
        let dataset = custodian::commit(&built, encrypted, &mut rng, &Silent).unwrap();
        let root = dataset.manifest.root();
        Self {
            built,
            dataset,
            secret,
            root,
        }
    }

    /// The sum of the ages, and a score a row; weights in the clear.
    pub fn program(&self) -> Program {
        let vector = |label: &str, values: [i64; 4]| WeightVector {
            label: label.into(),
            scale_log2: 0,
            weights: Weights::Public {
                values: values.to_vec(),
            },
        };
        Program {
            version: PROGRAM_VERSION,
            dataset: self.root,
            vectors: vec![
                vector("sum of age", [1, 0, 0, 0]),
                vector("score", [2, -3, 1, 50]),
            ],
            outputs: vec![
                ProgramOutput {
                    over: MatrixRef::Traced { segment: 0 },
                    vector: 0,
                },
                ProgramOutput {
                    over: MatrixRef::Chunk {
                        segment: 0,
                        chunk: 0,
                    },
                    vector: 1,
                },
            ],
        }
    }

    /// The aggregate alone: one value.
    pub fn aggregate(&self) -> Program {
        let mut p = self.program();
        p.vectors.truncate(1);
        p.outputs.truncate(1);
        p
    }

    /// The same with hidden weights; nobody proves it here.
    pub fn private(&self) -> Program {
        let mut p = self.aggregate();
        p.vectors[0].weights = Weights::Private {
            commitment: Digest([0x3c; 32]),
            l1_bound: 1 << 12,
            l2_bound: 4,
        };
        p
    }

    /// The integers that a program must open to.
    pub fn expected(&self, program: &Program) -> Vec<Vec<i64>> {
        simulate_program(&self.dataset.manifest, &self.built.table, program, &[]).unwrap()
    }

    /// Ciphertexts and envelopes of a public program, as an honest pod makes them.
    pub fn prove(&self, program: &Program, order: Digest) -> Parts {
        let weights: Vec<Vec<i64>> = program
            .vectors
            .iter()
            .map(|v| match &v.weights {
                Weights::Public { values } => values.clone(),
                Weights::Private { .. } => panic!("no private weights here"),
            })
            .collect();
        let encrypted = &self.dataset.encrypted;
        let finished = veilbourse_pod::run(
            Job {
                manifest: &self.dataset.manifest,
                public_key: &encrypted.public_key,
                program,
                order,
                weights: &weights,
                blinders: &vec![None; weights.len()],
            },
            // Public weights need no circuit: the SRS is not used.
            &Circuits::new(Arc::new(Srs::dev(4, &mut rng(2)).unwrap())),
            &PodSecret::new([7; 32]),
            |over| {
                matrix_words(
                    over,
                    |s| encrypted.sums.get(s as usize).cloned(),
                    |s, c| self.dataset.chunk(s, c),
                )
            },
            &mut rng(3),
            &|_| {},
        )
        .unwrap();
        let (ciphertexts, envelopes) = finished
            .into_iter()
            .map(|f| (f.statement.ciphertext.encode(), f.envelope))
            .unzip();
        Parts {
            public_key: encrypted.public_key.encode(),
            ciphertexts,
            envelopes,
        }
    }

    /// A node that holds the dataset's key.
    pub fn config(&self) -> NodeConfig {
        let held = NodeDataset {
            secret: self.secret.clone(),
            custodian: key(&signer(terms::CUSTODIAN)),
        };
        NodeConfig::new(
            signer(terms::NODE),
            key(&signer(terms::MARKETPLACE)),
            HashMap::from([(self.root, held)]),
            AcceptedKeys {
                srs: srs(),
                ceremony: None,
                keys: Vec::new(),
            },
            true,
        )
        .unwrap()
    }
}

pub fn srs() -> SrsRef {
    SrsRef {
        digest: Digest([0x55; 32]),
        provenance: SrsProvenance::Dev,
    }
}

/// A small ceremony's string, as documents name it, and its transcript.
pub fn ceremony(seed: u64) -> (SrsRef, Bytes) {
    let rng = &mut rng(seed);
    let mut made = Ceremony::start(2, "tests", rng).unwrap();
    for s in 1..4u8 {
        let name = format!("number {s}");
        made = made.contribute(&name, &signer(s), rng, &silent).unwrap();
    }
    let claim = made.transcript().claim().unwrap();
    let srs = SrsRef {
        digest: made.transcript().srs().unwrap(),
        provenance: SrsProvenance::Ceremony {
            transcript: claim.transcript,
            contributors: claim.contributors,
        },
    };
    (srs, Bytes(made.transcript().encode()))
}

/// A folder that is quick to sync, where there is one.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(dir) = tempfile::tempdir_in(memory)
    {
        return dir;
    }
    tempfile::tempdir().unwrap()
}

/// A node with its log.
pub struct Node {
    pub folder: TempDir,
    pub node: KeyNode,
}

impl Node {
    pub fn new(config: NodeConfig) -> Self {
        let folder = folder();
        let log = folder.path().join("log");
        Log::create(&log).unwrap();
        let node = KeyNode::open(config, &log).unwrap();
        Self { folder, node }
    }

    pub fn revealed(&self, world: &World) -> (u64, u64) {
        let r = self.node.state().revealed(&world.root);
        (r.values, r.bits)
    }
}

/// The refusal's code, its signature and links checked.
pub fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused(r) => {
            r.verify().unwrap();
            &r.body.code
        }
        Outcome::Delivered { .. } => panic!("delivered"),
    }
}

/// What the buyer reads.
pub fn open(
    outcome: &Outcome,
    secret: &SealingSecret,
    order: Digest,
    grant: Digest,
) -> OpenedResult {
    match outcome {
        Outcome::Delivered {
            delivery,
            sealed_result,
        } => {
            delivery.verify().unwrap();
            let context = ResultContext {
                order,
                grant,
                node_key: delivery.key,
            };
            open_result(sealed_result, secret, &context).unwrap()
        }
        Outcome::Refused(r) => panic!("refused: {:?}", r.body),
    }
}

/// Its integers.
pub fn values(opened: &OpenedResult) -> Vec<Vec<i64>> {
    opened.outputs.iter().map(|o| o.values.clone()).collect()
}
