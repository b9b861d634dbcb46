//! The constraint system as an opponent sees it (LES-5..8).
//!
//! The prover of `linear::private` fills the circuit honestly; nobody has to
//! use it. Here the rows alone are taken, every variable is sorted by what
//! fixes it, and false witnesses are completed so that each breaks one row
//! only: the row whose absence would let the lie pass.

use crate::support::{Dataset, TRACED, recorded};
use ark_ff::{Field, One, PrimeField, Zero};
use std::collections::BTreeSet;
use veilbourse_core::field::MODULUS;
use veilbourse_prover::{
    circuit::{assign, shape},
    r1cs::R1cs,
};
use veilbourse_verifier::{
    commitment::ROWS,
    field::Fr,
    linear::{
        MatrixKind,
        inputs::{PUBLIC_COLUMNS, error_terms},
    },
};

const CLASS: usize = 8;
/// Positions of M, h, t', B and Q in z.
const COMMITMENT: usize = 1;
const BINDING: usize = 2;
const TARGET: usize = 3;
const L1: usize = 4;
const L2: usize = 5;
/// The rows that compare, in order of appearance.
const CHECK_L1: usize = 0;
const CHECK_L2: usize = 1;
const CHECK_COMMITMENT: usize = 2;
const CHECK_BINDING: usize = 3;
const CHECK_EQUATION: usize = 4;
/// Bits of a quotient, its offset included.
const QUOTIENT_BITS: usize = 46;

/// What one row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// v v = v.
    Bit(usize),
    /// (p - e) (p - e) = p - e for a bit p.
    Trit(usize),
    /// Gives a variable its only possible value.
    Defines(usize),
    /// Compares what is known: the n-th such row.
    Check(usize),
}

/// Every row and variable, sorted by what they do.
struct Anatomy {
    r1cs: R1cs,
    rows: Vec<Row>,
    /// Variables that a [`Row::Bit`] confines, in order.
    bits: Vec<usize>,
    /// Variables that a [`Row::Trit`] confines.
    trits: Vec<usize>,
    /// Variables that may be anything.
    free: Vec<usize>,
}

fn dot(row: &[(Fr, u32)], z: &[Fr]) -> Fr {
    row.iter().map(|(c, i)| *c * z[*i as usize]).sum()
}

impl Anatomy {
    fn of(r1cs: R1cs) -> Self {
        let mut known = vec![false; r1cs.variables()];
        known[..=r1cs.public_inputs].fill(true);
        let (mut rows, mut checks) = (Vec::new(), 0);
        let (mut bits, mut trits, mut free) = (Vec::new(), Vec::new(), Vec::new());
        for [a, b, c] in &r1cs.rows {
            let names = |rows: &[&Vec<(Fr, u32)>]| -> BTreeSet<usize> {
                let all = rows.iter().flat_map(|r| r.iter().map(|(_, v)| *v as usize));
                all.filter(|v| !known[*v]).collect()
            };
            let mut unknown = names(&[a, b, c]);
            let factors = names(&[a, b]);
            let square = a == b && b == c && unknown.len() == 1;
            rows.push(if let Some(v) = unknown.pop_last() {
                if square {
                    let list = if a.len() == 1 { &mut bits } else { &mut trits };
                    list.push(v);
                    if a.len() == 1 {
                        Row::Bit(v)
                    } else {
                        Row::Trit(v)
                    }
                } else {
                    // The youngest follows linearly; what else was unknown is
                    // the prover's choice.
                    assert!(!factors.contains(&v), "variable {v} is not a function");
                    free.extend(unknown.iter().copied());
                    for older in &unknown {
                        known[*older] = true;
                    }
                    Row::Defines(v)
                }
            } else {
                checks += 1;
                Row::Check(checks - 1)
            });
            if let Some(Row::Bit(v) | Row::Trit(v) | Row::Defines(v)) = rows.last() {
                known[*v] = true;
            }
        }
        assert!(known.iter().all(|k| *k), "a variable is in no row");
        Self {
            r1cs,
            rows,
            bits,
            trits,
            free,
        }
    }

    fn check_row(&self, n: usize) -> &[Vec<(Fr, u32)>; 3] {
        let at = self.rows.iter().position(|r| *r == Row::Check(n)).unwrap();
        &self.r1cs.rows[at]
    }

    /// Recomputes every defined variable.
    fn solve(&self, z: &mut [Fr]) {
        for (row, [a, b, c]) in self.rows.iter().zip(&self.r1cs.rows) {
            if let Row::Defines(v) = row {
                let coefficient = c.iter().find(|(_, i)| *i as usize == *v).unwrap().0;
                z[*v] = Fr::zero();
                let rest = dot(a, z) * dot(b, z) - dot(c, z);
                z[*v] = rest * coefficient.inverse().unwrap();
            }
        }
    }

    fn broken(&self, z: &[Fr]) -> Vec<Row> {
        self.rows
            .iter()
            .zip(&self.r1cs.rows)
            .filter(|(_, [a, b, c])| dot(a, z) * dot(b, z) != dot(c, z))
            .map(|(row, _)| *row)
            .collect()
    }
}

/// A witness that its owner changes at will.
#[derive(Clone)]
struct Forger<'a> {
    anatomy: &'a Anatomy,
    z: Vec<Fr>,
}

/// Which public input gives way when the equation is completed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Equation {
    /// A is chosen to match: t' and honest quotients are recomputed.
    OtherCiphertext,
    /// A stays: the quotient is solved for.
    SameCiphertext,
}

impl<'a> Forger<'a> {
    /// An honest instance over a synthetic dataset.
    fn honest(anatomy: &'a Anatomy) -> Self {
        let d = Dataset::new(3, &[300], 71);
        let weights = [3, -700, 1 << 23, -(1 << 39), 7];
        let (_, equation, witness) = recorded(&d, TRACED, &weights, 1 << 61, (1 << 56) - 1, 5);
        let (public, hidden) = assign(CLASS, &equation, &witness).unwrap();
        let z: Vec<Fr> = [vec![Fr::one()], public, hidden].concat();
        let out = Self { anatomy, z };
        assert_eq!(out.anatomy.broken(&out.z), []);
        out
    }

    fn sign(&self, weight: usize) -> usize {
        self.anatomy.bits[25 * weight]
    }
    fn magnitude(&self, weight: usize) -> &'a [usize] {
        &self.anatomy.bits[25 * weight + 1..25 * (weight + 1)]
    }
    /// Slack of B (62 bits), then of Q (56).
    fn slack(&self, l1: bool) -> &'a [usize] {
        let at = 25 * CLASS + 41 * PUBLIC_COLUMNS;
        let range = if l1 { at..at + 62 } else { at + 62..at + 118 };
        &self.anatomy.bits[range]
    }
    fn c(&self, i: usize) -> usize {
        self.anatomy.bits[25 * CLASS + 41 * PUBLIC_COLUMNS + 118 + i]
    }
    fn plus(&self, j: usize) -> usize {
        self.c(ROWS + j)
    }
    fn quotient(&self, component: usize) -> &'a [usize] {
        let end = self.anatomy.bits.len() - (1 - component) * QUOTIENT_BITS;
        &self.anatomy.bits[end - QUOTIENT_BITS..end]
    }

    /// A value in bits when it fits, else all of it in the lowest.
    fn put(&mut self, bits: &[usize], value: Fr) {
        let limbs = value.into_bigint().0;
        let fits = limbs[1..] == [0, 0, 0] && limbs[0] >> bits.len() == 0;
        for (i, v) in bits.iter().enumerate() {
            self.z[*v] = match (fits, i) {
                (true, _) => Fr::from(limbs[0] >> i & 1),
                (false, 0) => value,
                (false, _) => Fr::zero(),
            };
        }
    }

    /// Makes every comparing row hold: M, h and slacks follow the witness, the
    /// equation as told.
    fn complete(&mut self, equation: Equation) -> Vec<Row> {
        let anatomy = self.anatomy;
        let side = |z: &[Fr], n: usize, side: usize| dot(&anatomy.check_row(n)[side], z);
        anatomy.solve(&mut self.z);
        self.z[COMMITMENT] = side(&self.z, CHECK_COMMITMENT, 0);
        anatomy.solve(&mut self.z);
        self.z[BINDING] = side(&self.z, CHECK_BINDING, 0);
        for (l1, check) in [(true, CHECK_L1), (false, CHECK_L2)] {
            self.put(self.slack(l1), side(&self.z, check, 2));
        }
        match equation {
            Equation::OtherCiphertext => {
                let (t, [k0, k1]) = reduce(side(&self.z, CHECK_EQUATION, 0));
                self.z[TARGET] = t;
                self.put(self.quotient(0), k0);
                self.put(self.quotient(1), k1);
            }
            Equation::SameCiphertext => {
                let lowest = self.quotient(0)[0];
                let missing = side(&self.z, CHECK_EQUATION, 0) - side(&self.z, CHECK_EQUATION, 2);
                self.z[lowest] += missing * Fr::from(MODULUS).inverse().unwrap();
            }
        }
        anatomy.broken(&self.z)
    }
}

fn two_to(log2: u64) -> Fr {
    Fr::from(2u64).pow([log2])
}

/// t' and the shifted quotients of a sum whose components are small.
fn reduce(sum: Fr) -> (Fr, [Fr; 2]) {
    let limbs = (sum + two_to(240) + two_to(112)).into_bigint().0;
    let component = |at: usize| -> (u64, i128) {
        let x = u128::from(limbs[at + 1]) << 64 | u128::from(limbs[at]);
        let x = x as i128 - (1 << 112);
        let q = i128::from(MODULUS);
        (x.rem_euclid(q) as u64, x.div_euclid(q) + (1 << 45))
    };
    let ((t0, k0), (t1, k1)) = (component(0), component(2));
    (
        Fr::from(t0) + two_to(128) * Fr::from(t1),
        [Fr::from(k0), Fr::from(k1)],
    )
}

fn traced() -> Anatomy {
    Anatomy::of(shape(MatrixKind::Traced, CLASS).unwrap())
}

#[test]
fn nothing_is_the_provers_choice_but_weights_signs_c_e_and_blinders() {
    // LES-6: sorted by rows alone, every other variable is a function of these,
    // and each of these but the two blinders has a row that confines it.
    for kind in [MatrixKind::Traced, MatrixKind::Chunk] {
        let a = Anatomy::of(shape(kind, CLASS).unwrap());
        let errors = error_terms(kind);
        let weights = 25 * CLASS + 41 * PUBLIC_COLUMNS;
        assert_eq!(
            a.bits.len(),
            weights + 62 + 56 + ROWS + errors + 2 * QUOTIENT_BITS
        );
        assert_eq!(a.trits.len(), errors);
        assert_eq!(a.free.len(), 2, "blinder_M and blinder_h (LES-5)");
        let checks = a.rows.iter().filter(|r| matches!(r, Row::Check(_))).count();
        assert_eq!(checks, 5, "B, Q, M, h, the equation");
    }
}

#[test]
fn weights_beyond_their_range_or_their_sign_break_one_row() {
    // LES-6: |w_f| < 2^24, and the magnitude that is bounded is the weight's.
    let anatomy = traced();
    let honest = Forger::honest(&anatomy);
    let mut f = honest.clone();
    let low = f.magnitude(1)[0];
    f.put(f.magnitude(1), two_to(24));
    assert_eq!(f.complete(Equation::OtherCiphertext), [Row::Bit(low)]);
    // w = (1 - 2 s) m: with s = -2 the weight is five times what B and Q see.
    let mut f = honest.clone();
    let sign = f.sign(0);
    f.z[sign] = -Fr::from(2u64);
    assert_eq!(f.complete(Equation::OtherCiphertext), [Row::Bit(sign)]);
    for bound in f.slack(true).iter().chain(f.slack(false)) {
        assert_eq!(f.z[*bound], honest.z[*bound]);
    }
    // Two weight vectors behind one M: 3 + 2^25 and -701 for 3 and -700.
    let mut f = honest.clone();
    let first = f.magnitude(0)[0];
    f.z[first] += two_to(25);
    f.put(f.magnitude(1), Fr::from(701u64));
    let broken = f.complete(Equation::OtherCiphertext);
    assert_eq!(
        f.z[COMMITMENT], honest.z[COMMITMENT],
        "the packing alone is not injective"
    );
    assert_eq!(broken, [Row::Bit(first)]);
}

#[test]
fn c_that_is_not_binary_and_e_that_is_not_ternary_break_one_row() {
    // LES-6, BUD-4: the noise a prover can add is bounded by these rows.
    let anatomy = traced();
    let honest = Forger::honest(&anatomy);
    for value in [Fr::from(2u64), -Fr::one(), two_to(40)] {
        let mut f = honest.clone();
        let c = f.c(17);
        f.z[c] = value;
        assert_eq!(f.complete(Equation::OtherCiphertext), [Row::Bit(c)]);
    }
    // e_0, the last coefficient of e_0 and the word e_1; both helpers.
    for j in [0, ROWS - 1, ROWS] {
        for (value, helper) in [(2i64, 1u64), (-2, 0), (1 << 30, 0)] {
            let mut f = honest.clone();
            let e = anatomy.trits[j];
            let plus = f.plus(j);
            f.z[plus] = Fr::from(helper);
            f.z[e] = Fr::from(value);
            assert_eq!(f.complete(Equation::OtherCiphertext), [Row::Trit(e)]);
        }
    }
    // One h for two re-randomisations: digit 3 is a carry, and so is bit 2.
    let mut f = honest.clone();
    let (c, e) = ([f.c(30), f.c(31)], [anatomy.trits[30], anatomy.trits[31]]);
    f.z[c[0]] += Fr::from(2u64);
    f.z[c[1]] -= Fr::one();
    f.z[e[0]] += Fr::from(3u64);
    f.z[e[1]] -= Fr::one();
    let broken = f.complete(Equation::OtherCiphertext);
    assert_eq!(
        f.z[BINDING], honest.z[BINDING],
        "the packing alone is not injective"
    );
    assert!(broken.contains(&Row::Bit(c[0])) && broken.contains(&Row::Trit(e[0])));
    assert!(
        broken
            .iter()
            .all(|r| matches!(r, Row::Bit(_) | Row::Trit(_)))
    );
}

#[test]
fn bounds_one_too_small_need_a_slack_that_is_no_number() {
    // LES-6, BUD-2, BUD-3: B - sum wraps modulo r; 62 (56) bits cannot hold it.
    let anatomy = traced();
    let honest = Forger::honest(&anatomy);
    for (at, l1) in [(L1, true), (L2, false)] {
        let mut f = honest.clone();
        let slack: Fr = (0u64..)
            .zip(f.slack(l1))
            .map(|(i, v)| f.z[*v] * two_to(i))
            .sum();
        f.z[at] -= slack;
        assert_eq!(
            f.complete(Equation::SameCiphertext),
            [],
            "the bound itself is met"
        );
        f.z[at] -= Fr::one();
        let lowest = f.slack(l1)[0];
        assert_eq!(f.complete(Equation::SameCiphertext), [Row::Bit(lowest)]);
        assert_eq!(f.z[lowest], -Fr::one());
    }
}

#[test]
fn a_free_quotient_would_prove_any_ciphertext() {
    // LES-7: with k_0 anywhere in Fr the equation holds for every t'.
    let anatomy = traced();
    let honest = Forger::honest(&anatomy);
    let lowest = honest.quotient(0)[0];
    for wrong in [Fr::one(), two_to(128), two_to(128) - Fr::from(MODULUS)] {
        let mut f = honest.clone();
        f.z[TARGET] += wrong;
        assert_eq!(f.complete(Equation::SameCiphertext), [Row::Bit(lowest)]);
    }
    // Wrap from one component into the other: k_0 + 2^128, k_1 - 1.
    let mut f = honest.clone();
    let second = f.quotient(1)[0];
    f.z[lowest] += two_to(128);
    f.z[second] -= Fr::one();
    let (low, high) = (f.z[lowest], f.z[second]);
    let broken = f.complete(Equation::SameCiphertext);
    assert_eq!(
        (f.z[lowest], f.z[second]),
        (low, high),
        "the equation holds in Fr"
    );
    assert_eq!(broken.first(), Some(&Row::Bit(lowest)));
    assert!(
        broken
            .iter()
            .all(|r| [Row::Bit(lowest), Row::Bit(second)].contains(r))
    );
}
