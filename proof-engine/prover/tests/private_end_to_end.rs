//! Private weights from encryption to opening, with the real circuit, Marlin
//! and SRS: what an order with private weights rests on (LES-1..11).

#![allow(clippy::print_stdout)] // times and sizes, with --nocapture
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::{sync::Arc, time::Instant};
use veilbourse_core::{
    budget::{check_program, choose_message_log2, class, exact_norms},
    ciphertext::{ChunkData, PublicKey},
    digest::Digest,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
    program::{MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
};
use veilbourse_eval::{SecretKey, SumAccumulator, encrypt_chunk, expand_chunk, public_key};
use veilbourse_prover::{
    circuit::CircuitKeys,
    linear::{PodSecret, PrivateRequest, evaluate_private},
    srs::Srs,
};
use veilbourse_verifier::{
    Refusal,
    commitment::{FriSet, commit_root, glwe_columns, slices, traced_columns},
    field::{Fr, fr_bytes},
    linear::{
        CircuitKey, LinearStatement, MatrixKind, PrivateArgument, PrivateEvidence,
        inputs::{class_of, commit_weights},
        verify_linear,
    },
};

const COLUMNS: usize = 30;
const ROWS: usize = 569;

struct Dataset {
    manifest: Manifest,
    chunk: ChunkData,
    key: PublicKey,
    secret: SecretKey,
    values: Vec<Vec<i64>>,
}

fn dataset(rng: &mut ChaCha20Rng) -> Dataset {
    let secret = SecretKey::generate(rng);
    let range = 1023i64;
    let values: Vec<Vec<i64>> = (0..COLUMNS)
        .map(|_| {
            (0..ROWS)
                .map(|_| (rng.next_u64() % 2047) as i64 - range)
                .collect()
        })
        .collect();
    let k = choose_message_log2(ROWS as u64, 1, COLUMNS, 1023, 1023).unwrap();
    let views: Vec<&[i64]> = values.iter().map(Vec::as_slice).collect();
    let chunk = encrypt_chunk(&secret, k, &views, rng).unwrap();
    let key = public_key(&secret, Digest([7; 32]), rng);
    let expanded = expand_chunk(&chunk);
    let mut sum = SumAccumulator::new(COLUMNS);
    sum.add(&expanded).unwrap();
    let sums = sum.finish();
    let traced = sums.trace();
    let set = FriSet::of(CommitmentParamsId::FriBlake3V1);
    let root = |words: Vec<Vec<u64>>| commit_root(set, &slices(&words)).unwrap();
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        name: "end to end".into(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: k,
        columns: (0..COLUMNS)
            .map(|i| Column {
                name: format!("c{i}"),
                kind: ColumnKind::Numeric,
                unit: String::new(),
                scale_log2: 0,
                min: -range,
                max: range,
            })
            .collect(),
        public_columns: vec![PublicColumn {
            name: "1".into(),
            scale_log2: 0,
            values: vec![1],
        }],
        segments: vec![Segment {
            label: "all".into(),
            rows: ROWS as u64,
            chunks: vec![root(glwe_columns(&expanded))],
            sum: root(glwe_columns(&sums.columns)),
            traced: root(traced_columns(&traced)),
            traced_bodies: traced.iter().map(|t| t.b.word()).collect(),
        }],
        public_key_label: key.label,
        public_key_body: key.body_digest(),
        nonce: Digest([9; 32]),
    };
    manifest.validate().unwrap();
    Dataset {
        manifest,
        chunk,
        key,
        secret,
        values,
    }
}

fn verify(
    d: &Dataset,
    key: &CircuitKey,
    statement: &LinearStatement,
    envelope: &[u8],
) -> Result<(), Refusal> {
    let evidence = PrivateEvidence {
        public_key: &d.key,
        argument: key,
    };
    verify_linear(statement.clone(), &d.manifest, Some(&evidence), envelope).map(|_| ())
}

#[test]
#[allow(clippy::print_stdout)] // sizes and times are for people
fn private_weights_are_proven_and_open_to_the_integers() {
    let mut rng = ChaCha20Rng::seed_from_u64(20);
    let d = dataset(&mut rng);
    let at = Instant::now();
    let srs = Arc::new(Srs::dev(16, &mut rng).unwrap());
    println!("SRS {:.2?}", at.elapsed());
    let mut weights: Vec<i64> = (0..COLUMNS)
        .map(|_| (rng.next_u64() % 1023) as i64 - 511)
        .collect();
    weights.push(-123_456);
    let blinder = Fr::from(rng.next_u64());
    let commitment = Digest(fr_bytes(
        &commit_weights(&weights, COLUMNS, blinder).unwrap(),
    ));
    let (l1, l2) = exact_norms(&d.manifest, &weights, 0);
    let (l1_bound, l2_bound) = (class(l1) as u64, class(l2) as u64);
    let expanded = expand_chunk(&d.chunk);
    let mut sum = SumAccumulator::new(COLUMNS);
    sum.add(&expanded).unwrap();
    let score = |i: usize| -> i64 {
        (0..COLUMNS)
            .map(|f| weights[f] * d.values[f][i])
            .sum::<i64>()
            + weights[COLUMNS]
    };
    let scores: Vec<i64> = (0..ROWS).map(score).collect();
    for (kind, over, words, expected) in [
        (
            MatrixKind::Traced,
            MatrixRef::Traced { segment: 0 },
            traced_columns(&sum.finish().trace()),
            vec![scores.iter().sum::<i64>()],
        ),
        (
            MatrixKind::Chunk,
            MatrixRef::Chunk {
                segment: 0,
                chunk: 0,
            },
            glwe_columns(&expanded),
            scores.clone(),
        ),
    ] {
        let program = Program {
            version: PROGRAM_VERSION,
            dataset: d.manifest.root(),
            vectors: vec![WeightVector {
                label: "score".into(),
                scale_log2: 0,
                weights: Weights::Private {
                    commitment,
                    l1_bound,
                    l2_bound,
                },
            }],
            outputs: vec![ProgramOutput { over, vector: 0 }],
        };
        check_program(&d.manifest, &program).unwrap();
        let at = Instant::now();
        let class = class_of(COLUMNS).unwrap();
        let circuit = CircuitKeys::generate(Arc::clone(&srs), kind, class).unwrap();
        let key = circuit.verifying();
        println!("{kind:?}: index {:.2?}", at.elapsed());
        assert_eq!(&CircuitKey::decode(&key.encode()).unwrap(), key);
        let slices = slices(&words);
        let request = PrivateRequest {
            manifest: &d.manifest,
            over,
            order: Digest([3; 32]),
            output: 0,
            weights: &weights,
            weight_blinder: blinder,
            commitment,
            l1_bound,
            l2_bound,
            columns: &slices,
            public_key: &d.key,
            secret: &PodSecret::new([5; 32]),
        };
        let at = Instant::now();
        let evaluated = evaluate_private(&request, &circuit).unwrap();
        let evaluation = at.elapsed();
        let at = Instant::now();
        let (statement, envelope) = evaluated.prove(&circuit, &mut rng).unwrap();
        let proving = at.elapsed();
        let at = Instant::now();
        verify(&d, key, &statement, &envelope).unwrap();
        println!(
            "{kind:?}: evaluate {evaluation:.2?}, prove {proving:.2?}, verify {:.2?}, envelope {} \
             bytes",
            at.elapsed(),
            envelope.len()
        );
        let opened = d
            .secret
            .open(&statement.ciphertext, d.manifest.message_log2)
            .unwrap();
        assert_eq!(opened, expected);
        refusals(&d, key, &statement, &envelope);
    }
}

/// Whatever is changed in statement or envelope, it is refused.
fn refusals(d: &Dataset, key: &CircuitKey, statement: &LinearStatement, envelope: &[u8]) {
    use veilbourse_verifier::linear::Visibility;
    // Another order, output, bound, commitment: the envelope is not for it.
    let mut others = Vec::new();
    let mut s = statement.clone();
    s.order = Digest([4; 32]);
    others.push(s);
    let mut s = statement.clone();
    s.output = 1;
    others.push(s);
    for change in 0..3 {
        let mut s = statement.clone();
        if let Visibility::Private {
            commitment,
            l1_bound,
            l2_bound,
            ..
        } = &mut s.visibility
        {
            match change {
                0 => commitment.0[0] ^= 1,
                1 => *l1_bound -= 1,
                _ => *l2_bound -= 1,
            }
        }
        others.push(s);
    }
    for s in &others {
        assert!(verify(d, key, s, envelope).is_err());
        // Even when the envelope is made to name the other statement.
        let mut renamed = envelope.to_vec();
        let (from, to) = (statement.digest(), s.digest());
        let position = envelope.windows(32).position(|w| w == from.0).unwrap();
        renamed[position..position + 32].copy_from_slice(&to.0);
        assert!(verify(d, key, s, &renamed).is_err());
    }
    // Every region of the envelope: a byte changed here and there, and each
    // byte of the Marlin proof at its end.
    let n = envelope.len();
    let marlin = (n - 784..n).step_by(37);
    for i in (0..n).step_by(n / 40).chain(marlin) {
        let mut bad = envelope.to_vec();
        bad[i] ^= 0x10;
        assert!(verify(d, key, statement, &bad).is_err(), "byte {i}");
    }
    for cut in [0, 1, n / 2, n - 1] {
        assert!(verify(d, key, statement, &envelope[..cut]).is_err());
    }
    // No evidence, no verdict.
    assert!(matches!(
        verify_linear(statement.clone(), &d.manifest, None, envelope),
        Err(Refusal::Missing(_))
    ));
    assert_eq!(
        key.digest(),
        CircuitKey::decode(&key.encode()).unwrap().digest()
    );
}
