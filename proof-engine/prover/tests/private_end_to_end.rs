//! Private weights from encryption to opening, with the real circuit, Marlin
//! and SRS: what an order with private weights rests on (LES-1..11).

#[path = "support/real.rs"]
mod real;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use real::{COLUMNS, Dataset, dataset, model, request, scores, subjects, verify};
use std::sync::Arc;
use veilbourse_core::{
    budget::check_program,
    digest::Digest,
    program::{PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
};
use veilbourse_prover::{
    circuit::CircuitKeys,
    linear::{PodSecret, evaluate_private},
    srs::Srs,
};
use veilbourse_verifier::{
    Refusal,
    commitment::slices,
    linear::{
        CircuitKey, LinearStatement, MatrixKind, PrivateArgument, inputs::class_of, verify_linear,
    },
};

#[test]
fn private_weights_are_proven_and_open_to_the_integers() {
    let mut rng = ChaCha20Rng::seed_from_u64(20);
    let d = dataset(&mut rng);
    let srs = Arc::new(Srs::dev(16, &mut rng).unwrap());
    let m = model(&d, &mut rng);
    let scores = scores(&d, &m);
    for subject in subjects(&d) {
        let expected = match subject.kind {
            MatrixKind::Traced => vec![scores.iter().sum::<i64>()],
            MatrixKind::Chunk => scores.clone(),
        };
        let program = Program {
            version: PROGRAM_VERSION,
            dataset: d.manifest.root(),
            vectors: vec![WeightVector {
                label: "score".into(),
                scale_log2: 0,
                weights: Weights::Private {
                    commitment: m.commitment,
                    l1_bound: m.l1_bound,
                    l2_bound: m.l2_bound,
                },
            }],
            outputs: vec![ProgramOutput {
                over: subject.over,
                vector: 0,
            }],
        };
        check_program(&d.manifest, &program).unwrap();
        let class = class_of(COLUMNS).unwrap();
        let circuit = CircuitKeys::generate(Arc::clone(&srs), subject.kind, class).unwrap();
        let key = circuit.verifying();
        assert_eq!(&CircuitKey::decode(&key.encode()).unwrap(), key);
        let slices = slices(&subject.words);
        let secret = PodSecret::new([5; 32]);
        let request = request(&d, &m, subject.over, &slices, &secret);
        let evaluated = evaluate_private(&request, &circuit).unwrap();
        let (statement, envelope) = evaluated.prove(&circuit, &mut rng).unwrap();
        verify(&d, key, &statement, &envelope).unwrap();
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
