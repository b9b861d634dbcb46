//! Keys of hostile circuits, and private proofs taken apart and put together
//! otherwise (LES-4, LES-8, MAR-2, MAR-3).

use crate::support::{Dataset, ORDER, TRACED, bump, recorded};
use ark_ff::{One, Zero};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::sync::OnceLock;
use veilbourse_core::{
    digest::Digest,
    program::{MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
};
use veilbourse_prover::{
    commitment::{Committed, open},
    marlin::{ProvingKey, index, prove},
    r1cs::R1cs,
    srs::Srs,
};
use veilbourse_verifier::{
    Envelope, Kind, Refusal,
    commitment::{FRI_BLAKE3_V1, OpeningProof},
    field::Fr,
    linear::{
        CircuitKey, LinearStatement, MatrixKind, OrderContext, PrivateArgument, PrivateBody,
        PrivateEquation, PrivateEvidence, Visibility,
        inputs::{CLASSES, count, public_inputs},
        verify_linear,
    },
    transcript::Transcript,
};

const CLASS: usize = 8;
const WEIGHTS: [i64; 5] = [3, -700, 1 << 23, -(1 << 39), 7];

/// A circuit with the public inputs of the traced one that says nothing about
/// them: `bits` witnesses are bits.
struct Mute {
    proving: ProvingKey,
    key: CircuitKey,
    bits: usize,
}

impl Mute {
    fn new(srs: &Srs, bits: usize) -> Self {
        let inputs = count(MatrixKind::Traced, CLASS);
        let one = |i: usize| vec![(Fr::one(), (1 + inputs + i) as u32)];
        let circuit = R1cs {
            public_inputs: inputs,
            witnesses: bits,
            rows: (0..bits).map(|i| [one(i), one(i), one(i)]).collect(),
        };
        let proving = index(srs, &circuit).unwrap();
        let marlin = proving.verifying().clone();
        let key = CircuitKey::new(MatrixKind::Traced, CLASS, marlin).unwrap();
        Self { proving, key, bits }
    }
}

fn srs() -> &'static Srs {
    static SRS: OnceLock<Srs> = OnceLock::new();
    SRS.get_or_init(|| Srs::dev(14, &mut ChaCha20Rng::seed_from_u64(91)).unwrap())
}

/// The hostile key, and another that says as little: the pinned one here.
fn keys() -> &'static [Mute; 2] {
    static KEYS: OnceLock<[Mute; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [Mute::new(srs(), 1), Mute::new(srs(), 2)])
}

fn dataset() -> &'static Dataset {
    static DATASET: OnceLock<Dataset> = OnceLock::new();
    DATASET.get_or_init(|| Dataset::new(3, &[300], 77))
}

/// An honest evaluation under a key, for an order.
fn statement(key: &CircuitKey, order: Digest) -> LinearStatement {
    let (mut s, ..) = recorded(dataset(), TRACED, &WEIGHTS, 1 << 61, (1 << 56) - 1, 5);
    s.order = order;
    if let Visibility::Private {
        srs, verifying_key, ..
    } = &mut s.visibility
    {
        (*srs, *verifying_key) = (key.srs(), key.digest());
    }
    s
}

/// The three parts of a body, and the equation, up to the argument.
fn parts(s: &LinearStatement, h: Fr) -> (OpeningProof, PrivateEquation, Transcript) {
    let d = dataset();
    let matrix = s.conform(&d.manifest).unwrap();
    let (mut t, zeta) = s.transcript(&d.manifest, &matrix, Some(&h));
    let columns = [Committed::new(&FRI_BLAKE3_V1, d.columns(TRACED)).unwrap()];
    let opening = open(&mut t, matrix.set, zeta.0, &columns).unwrap();
    let values = &opening.values[0];
    let equation = PrivateEquation::new(s, &matrix, &d.public_key, values, zeta, h).unwrap();
    (opening, equation, t)
}

/// Proves the statement, true or not, under a mute key; `shift` moves the
/// column values by one place among the public inputs.
fn body(s: &LinearStatement, mute: &Mute, h: Fr, shift: bool) -> PrivateBody {
    let (opening, equation, mut t) = parts(s, h);
    let mut public = public_inputs(&equation, CLASS).unwrap();
    if shift {
        public[5..5 + CLASS].rotate_right(1);
    }
    mute.key.absorb(&mut t);
    let hidden = vec![Fr::zero(); mute.bits];
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let marlin = prove(srs(), &mute.proving, &mut t, &public, &hidden, &mut rng).unwrap();
    PrivateBody {
        binding: h,
        opening,
        marlin: marlin.encode(),
    }
}

fn envelope(s: &LinearStatement, body: &PrivateBody) -> Vec<u8> {
    let matrix = s.conform(&dataset().manifest).unwrap();
    Envelope {
        kind: Kind::Linear,
        statement: s.digest(),
        body: body.encode(&matrix),
    }
    .encode()
}

fn check(s: &LinearStatement, key: &CircuitKey, body: &PrivateBody) -> Result<(), Refusal> {
    let d = dataset();
    let evidence = PrivateEvidence {
        public_key: &d.public_key,
        argument: key,
    };
    verify_linear(s.clone(), &d.manifest, Some(&evidence), &envelope(s, body)).map(|_| ())
}

#[test]
fn a_key_of_a_hostile_circuit_proves_anything_unless_keys_are_pinned() {
    // LES-8, KEY-2: a verifying key is a claim about a circuit that no verifier
    // of a single proof can check. Under a mute one a false A passes:
    let d = dataset();
    let [hostile, pinned] = keys();
    let mut s = statement(&hostile.key, ORDER);
    bump(&mut s.ciphertext, 0);
    let forged = body(&s, hostile, Fr::from(1u64), false);
    assert_eq!(check(&s, &hostile.key, &forged), Ok(()));
    // The statement names the key, and whoever pins keys builds the statement.
    let refused = check(&s, &pinned.key, &forged).unwrap_err();
    assert_eq!(
        refused,
        Refusal::VerifyingKey {
            expected: hostile.key.digest(),
            found: pinned.key.digest()
        }
    );
    let Visibility::Private {
        commitment,
        l1_bound,
        l2_bound,
        ..
    } = s.visibility
    else {
        panic!("private")
    };
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
        outputs: vec![ProgramOutput {
            over: TRACED,
            vector: 0,
        }],
    };
    let circuits = [pinned.key.clone()];
    let context = OrderContext {
        manifest: &d.manifest,
        program: &program,
        order: ORDER,
        public_key: &d.public_key,
        circuits: &circuits,
        srs: srs().digest(),
    };
    let verify = |bytes: &[u8]| {
        context
            .verify_output(0, &s.ciphertext.encode(), bytes)
            .map(|_| ())
            .unwrap_err()
    };
    let mut bytes = envelope(&s, &forged);
    let named = context.statement(0, s.ciphertext.clone()).unwrap().digest();
    assert_eq!(
        verify(&bytes),
        Refusal::Statement {
            expected: named,
            found: s.digest()
        }
    );
    // Renamed, its transcript is another from the first challenge on.
    bytes[3..35].copy_from_slice(&named.0);
    assert!(matches!(verify(&bytes), Refusal::Opening(_)));
}

#[test]
fn parts_of_two_proofs_do_not_fit_together() {
    // LES-4, TR-4: h, opening and argument are one chain.
    let [mute, _] = keys();
    let s = statement(&mute.key, ORDER);
    let other = statement(&mute.key, Digest([42; 32]));
    let a = body(&s, mute, Fr::from(1u64), false);
    let b = body(&other, mute, Fr::from(1u64), false);
    assert_eq!(check(&s, &mute.key, &a), Ok(()));
    assert_eq!(check(&other, &mute.key, &b), Ok(()));
    // Another order's opening, h replaced after the fact, another order's argument.
    let mixed = PrivateBody {
        opening: b.opening.clone(),
        ..a.clone()
    };
    assert!(matches!(
        check(&s, &mute.key, &mixed),
        Err(Refusal::Opening(_))
    ));
    let mixed = PrivateBody {
        binding: Fr::from(2u64),
        ..a.clone()
    };
    assert!(matches!(
        check(&s, &mute.key, &mixed),
        Err(Refusal::Opening(_))
    ));
    let mixed = PrivateBody {
        marlin: b.marlin.clone(),
        ..a.clone()
    };
    assert!(matches!(
        check(&s, &mute.key, &mixed),
        Err(Refusal::Marlin(_))
    ));
    // The opening made anew for another h, under the old argument.
    let h = Fr::from(2u64);
    let mixed = PrivateBody {
        binding: h,
        opening: parts(&s, h).0,
        marlin: a.marlin.clone(),
    };
    assert!(matches!(
        check(&s, &mute.key, &mixed),
        Err(Refusal::Marlin(_))
    ));
    // Another FRI proof of the same values: only its bytes differ.
    let mut values_only = a.clone();
    values_only.opening.fri = b.opening.fri;
    assert!(matches!(
        check(&s, &mute.key, &values_only),
        Err(Refusal::Opening(_))
    ));
}

#[test]
fn public_inputs_are_the_verifiers_in_number_and_order() {
    // MAR-2, MAR-3, LES-8: even a mute circuit proves nothing about others.
    let [mute, _] = keys();
    let s = statement(&mute.key, ORDER);
    let shifted = body(&s, mute, Fr::from(1u64), true);
    assert!(matches!(
        check(&s, &mute.key, &shifted),
        Err(Refusal::Marlin(_))
    ));
    // No two kinds and classes have the same number of inputs, so that no key
    // passes for another's.
    let marlin = mute.proving.verifying();
    for kind in [MatrixKind::Traced, MatrixKind::Chunk] {
        for class in CLASSES {
            let fits = CircuitKey::new(kind, class, marlin.clone()).is_ok();
            assert_eq!(fits, (kind, class) == (MatrixKind::Traced, CLASS));
        }
    }
    assert!(CircuitKey::new(MatrixKind::Traced, 9, marlin.clone()).is_err());
}

#[test]
fn a_key_of_another_kind_or_class_is_refused_by_name() {
    let [mute, _] = keys();
    let rows = MatrixRef::Chunk {
        segment: 0,
        chunk: 0,
    };
    for (columns, over) in [(9, TRACED), (3, rows)] {
        let d = Dataset::new(columns, &[300], 78);
        let weights = vec![1i64; columns + 2];
        let (mut s, ..) = recorded(&d, over, &weights, 1 << 61, (1 << 56) - 1, 5);
        if let Visibility::Private {
            srs, verifying_key, ..
        } = &mut s.visibility
        {
            (*srs, *verifying_key) = (mute.key.srs(), mute.key.digest());
        }
        let matrix = s.conform(&d.manifest).unwrap();
        let h = Fr::from(1u64);
        let (mut t, zeta) = s.transcript(&d.manifest, &matrix, Some(&h));
        let committed = [Committed::new(&FRI_BLAKE3_V1, d.columns(over)).unwrap()];
        let opening = open(&mut t, matrix.set, zeta.0, &committed).unwrap();
        let body = PrivateBody {
            binding: h,
            opening,
            marlin: Vec::new(),
        };
        let bytes = Envelope {
            kind: Kind::Linear,
            statement: s.digest(),
            body: body.encode(&matrix),
        }
        .encode();
        let evidence = PrivateEvidence {
            public_key: &d.public_key,
            argument: &mute.key,
        };
        let refused = verify_linear(s, &d.manifest, Some(&evidence), &bytes).unwrap_err();
        assert!(matches!(refused, Refusal::Circuit(_)), "{refused}");
    }
}
