//! The re-randomisation against the equation that the circuit proves, and the
//! laws of its PRF (LES-5, LES-7, LES-10).

mod support;

use support::Dataset;
use veilbourse_core::{digest::Digest, program::MatrixRef};
use veilbourse_prover::linear::{PodSecret, Rerandomisation, weighted_output};
use veilbourse_verifier::{
    Refusal,
    commitment::{ROWS, evaluate_columns},
    field::{Fr, fr_bytes},
    linear::{LinearStatement, Matrix, PrfContext, PrivateEquation, Visibility},
};

const TRACED: MatrixRef = MatrixRef::Traced { segment: 0 };
const CHUNK: MatrixRef = MatrixRef::Chunk {
    segment: 0,
    chunk: 1,
};
const WEIGHTS: [i64; 5] = [3, -(1 << 23), 0, -(1 << 39), 7];

fn statement(d: &Dataset, over: MatrixRef) -> LinearStatement {
    let mut s = d.public_statement(over, &WEIGHTS, 1, 2);
    s.visibility = Visibility::Private {
        commitment: Digest(fr_bytes(&Fr::from(77u64))),
        l1_bound: 1 << 40,
        l2_bound: 1 << 50,
        srs: Digest([1; 32]),
        verifying_key: Digest([2; 32]),
    };
    s
}

#[test]
fn the_equation_holds_for_what_was_drawn_and_nothing_near_it() {
    let d = Dataset::new(3, &[5000], 21);
    let secret = PodSecret::new([8; 32]);
    for over in [TRACED, CHUNK] {
        let mut s = statement(&d, over);
        let matrix = Matrix::of(&d.manifest, over).unwrap();
        let context = s.prf_context(&d.manifest, &matrix);
        let drawn = Rerandomisation::derive(&secret, context, matrix.kind, &WEIGHTS);
        let plain = weighted_output(&matrix, &d.columns(over), &WEIGHTS).unwrap();
        s.ciphertext = drawn.apply(&d.public_key, &plain).unwrap();
        assert_ne!(s.ciphertext, plain);
        s.conform(&d.manifest).unwrap();
        let h = Fr::from(5u64);
        let (_, zeta) = s.transcript(&d.manifest, &matrix, Some(&h));
        let opened = evaluate_columns(&d.columns(over), zeta.0);
        let equation = PrivateEquation::new(&s, &matrix, &d.public_key, &opened, zeta, h).unwrap();
        assert!(equation.holds(&WEIGHTS, &drawn.c, &drawn.e));
        let mut w = WEIGHTS;
        w[2] += 1;
        assert!(!equation.holds(&w, &drawn.c, &drawn.e));
        for at in [0, ROWS - 1] {
            let mut c = drawn.c.clone();
            c[at] = !c[at];
            assert!(!equation.holds(&WEIGHTS, &c, &drawn.e));
        }
        for at in [0, ROWS - 1, ROWS, drawn.e.len() - 1] {
            let mut e = drawn.e.clone();
            e[at] += 1;
            assert!(!equation.holds(&WEIGHTS, &drawn.c, &e));
        }
        assert_eq!(equation.column_ranges, [100, 100, 100]);
        assert_eq!(equation.public_magnitudes, [1, 3]);
    }
}

#[test]
fn a_commitment_that_is_not_canonical_is_refused() {
    let d = Dataset::new(1, &[50], 22);
    let over = TRACED;
    let mut s = statement(&d, over);
    if let Visibility::Private { commitment, .. } = &mut s.visibility {
        *commitment = Digest([0xff; 32]);
    }
    let matrix = Matrix::of(&d.manifest, over).unwrap();
    let h = Fr::from(5u64);
    let (_, zeta) = s.transcript(&d.manifest, &matrix, Some(&h));
    assert_eq!(
        PrivateEquation::new(&s, &matrix, &d.public_key, &[zeta.0], zeta, h).unwrap_err(),
        Refusal::Scalar { field: "M" }
    );
}

#[test]
fn the_prf_depends_on_everything_and_only_on_it() {
    let secret = PodSecret::new([8; 32]);
    let kind = veilbourse_verifier::linear::MatrixKind::Traced;
    let draw = |secret: &PodSecret, context: u8, w: &[i64]| {
        Rerandomisation::derive(secret, PrfContext([context; 32]), kind, w)
    };
    let base = draw(&secret, 1, &[1, 2]);
    assert_eq!(base, draw(&secret, 1, &[1, 2]));
    for other in [
        draw(&secret, 2, &[1, 2]),
        draw(&secret, 1, &[1, 3]),
        draw(&secret, 1, &[1, 2, 0]),
        draw(&PodSecret::new([9; 32]), 1, &[1, 2]),
    ] {
        assert_ne!(base.c, other.c);
        assert_ne!(base.e, other.e);
        assert_ne!(base.blinder, other.blinder);
    }
    // LES-10: each field of the statement before h is under the PRF.
    let d = Dataset::new(1, &[5000], 23);
    let base = statement(&d, CHUNK);
    let context =
        |s: &LinearStatement| s.prf_context(&d.manifest, &Matrix::of(&d.manifest, s.over).unwrap());
    let edits: [&dyn Fn(&mut LinearStatement); 5] = [
        &|s| s.dataset = Digest([9; 32]),
        &|s| s.over = TRACED,
        &|s| s.order = Digest([9; 32]),
        &|s| s.output += 1,
        &|s| {
            if let Visibility::Private { commitment, .. } = &mut s.visibility {
                *commitment = Digest([3; 32]);
            }
        },
    ];
    for edit in edits {
        let mut s = base.clone();
        edit(&mut s);
        assert_ne!(context(&s), context(&base));
    }
    // A does not exist yet when the PRF is drawn.
    let mut s = base.clone();
    support::bump(&mut s.ciphertext, 0);
    assert_eq!(context(&s), context(&base));
}

#[test]
fn the_drawn_values_have_their_law() {
    // LES-5, LES-10: bits balanced, errors centred binomial: 1/4, 1/2, 1/4.
    let kind = veilbourse_verifier::linear::MatrixKind::Chunk;
    let (mut ones, mut counts) = (0usize, [0usize; 3]);
    let runs = 50;
    for i in 0..runs {
        let r = Rerandomisation::derive(&PodSecret::new([i; 32]), PrfContext([0; 32]), kind, &[1]);
        assert_eq!((r.c.len(), r.e.len()), (ROWS, 2 * ROWS));
        ones += r.c.iter().filter(|c| **c).count();
        for e in &r.e {
            counts[(*e + 1) as usize] += 1;
        }
    }
    let near = |found: usize, expected: f64, n: f64| {
        let sigma = (n * expected * (1.0 - expected)).sqrt();
        assert!((found as f64 - n * expected).abs() < 6.0 * sigma, "{found}");
    };
    let n = f64::from(runs) * ROWS as f64;
    near(ones, 0.5, n);
    near(counts[0], 0.25, 2.0 * n);
    near(counts[1], 0.5, 2.0 * n);
    near(counts[2], 0.25, 2.0 * n);
}
