//! A Marlin prover that cheats (MAR-4, MAR-5, MAR-7, MAR-10).
//!
//! Written apart from the prover of the crate, with schoolbook polynomials,
//! on what is public: the circuit, the verifying key, the powers in the SRS
//! file. It proves whatever it is told, leaving out every check, and hides the
//! one thing that does not add up where it is told. The same forgery made by
//! somebody who knows tau is accepted: what stops it is the degree bound alone.
//!
//! Longer than other files: one prover, which split would not read as one.
//!
//! Over 500 lines: a whole second prover.

use ark_bls12_381::{Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{Field, One, Zero};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use ark_serialize::CanonicalDeserialize;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use veilbourse_prover::{marlin::index, r1cs::R1cs, srs::Srs};
use veilbourse_verifier::{
    marlin::{MarlinProof, MarlinRefusal, VerifyingKey, challenges, scalar_from_wide, verify},
    transcript::Transcript,
};

const SEED: u64 = 81;

fn transcript() -> Transcript {
    Transcript::new("hostile marlin prover")
}

/// Where a false claim is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// g_1 gets degree |H| - 1: any sum over H is zero.
    First,
    /// t is another polynomial, and g_2 gets degree |K| - 1.
    Second,
}

/// What is sent for the shifted commitment of a polynomial one degree too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trick {
    /// The polynomial without its highest term, both commitments consistent.
    Shorten,
    /// The shifted commitment without the power that nobody has.
    Truncate,
    /// tau^0 in the place of tau^(D+1).
    Wrap,
    /// The commitment itself.
    Unshifted,
    /// The identity.
    Identity,
    /// The right one, by somebody who kept tau.
    Trapdoor,
    /// The identity for both polynomials, whatever their degrees.
    Nothing,
}

const TRICKS: [Trick; 5] = [
    Trick::Shorten,
    Trick::Truncate,
    Trick::Wrap,
    Trick::Unshifted,
    Trick::Identity,
];

fn domain(n: usize) -> Radix2EvaluationDomain<Fr> {
    Radix2EvaluationDomain::new(n).unwrap()
}

fn interpolate(mut v: Vec<Fr>) -> Vec<Fr> {
    domain(v.len()).ifft_in_place(&mut v);
    v
}

fn add(p: &mut Vec<Fr>, k: Fr, q: &[Fr]) {
    p.resize(p.len().max(q.len()), Fr::zero());
    for (a, b) in p.iter_mut().zip(q) {
        *a += k * b;
    }
}

fn mul(p: &[Fr], q: &[Fr]) -> Vec<Fr> {
    let mut out = vec![Fr::zero(); p.len() + q.len()];
    for (i, a) in p.iter().enumerate() {
        for (j, b) in q.iter().enumerate() {
            out[i + j] += *a * b;
        }
    }
    out
}

fn at(p: &[Fr], x: Fr) -> Fr {
    p.iter().rev().fold(Fr::zero(), |v, c| v * x + c)
}

/// Quotient and remainder by X^n - c.
fn divide(p: &[Fr], n: usize, c: Fr) -> (Vec<Fr>, Vec<Fr>) {
    let mut rest = p.to_vec();
    rest.resize(p.len().max(n), Fr::zero());
    let mut quotient = vec![Fr::zero(); rest.len() - n];
    for i in (0..quotient.len()).rev() {
        quotient[i] = rest[i + n];
        rest[i] += quotient[i] * c;
    }
    rest.truncate(n);
    (quotient, rest)
}

/// (p - p(x)) / (X - x).
fn open(p: &[Fr], x: Fr) -> Vec<Fr> {
    let mut out = vec![Fr::zero(); p.len() - 1];
    let mut carry = Fr::zero();
    for i in (0..out.len()).rev() {
        carry = p[i + 1] + carry * x;
        out[i] = carry;
    }
    out
}

/// Everything public about one circuit, and the trapdoor.
struct Opponent {
    key: VerifyingKey,
    powers: Vec<G1Affine>,
    tau: Fr,
    circuit: R1cs,
    /// Exponent of each variable in H.
    places: Vec<usize>,
    /// Over K: row, col, row col, val_A, val_B, val_C.
    index: Vec<Vec<Fr>>,
    /// (row, column, values) of each non-zero.
    entries: Vec<(usize, usize, [Fr; 3])>,
}

impl Opponent {
    /// x x = u, u x = v, v + x = y with y public: y = 30 has x = 3.
    fn new() -> Self {
        let one = |v: u32| vec![(Fr::one(), v)];
        let circuit = R1cs {
            public_inputs: 1,
            witnesses: 3,
            rows: vec![
                [one(2), one(2), one(3)],
                [one(3), one(2), one(4)],
                [vec![(Fr::one(), 4), (Fr::one(), 2)], one(0), one(1)],
            ],
        };
        let srs = Srs::dev(4, &mut ChaCha20Rng::seed_from_u64(SEED)).unwrap();
        let mut wide = [0u8; 64];
        ChaCha20Rng::seed_from_u64(SEED).fill_bytes(&mut wide);
        let tau = scalar_from_wide(&wide);
        let key = index(&srs, &circuit).unwrap().verifying().clone();
        let file = srs.encode();
        let powers: Vec<G1Affine> = file[8 + 32 + 1 + 8..]
            .chunks(96)
            .take(srs.max_degree() as usize + 1)
            .map(|b| G1Affine::deserialize_uncompressed(b).unwrap())
            .collect();
        assert_eq!(powers[1], (powers[0] * tau).into_affine());
        let mut out = Self {
            key,
            powers,
            tau,
            circuit,
            places: Vec::new(),
            index: Vec::new(),
            entries: Vec::new(),
        };
        out.lay_out();
        out
    }

    /// The index polynomials again, from the circuit.
    fn lay_out(&mut self) {
        let (n, k) = (self.key.rows() as usize, self.key.nonzeros() as usize);
        let x = self.key.positions().unwrap();
        let inputs: Vec<usize> = (0..x.len()).map(|i| x.exponent(i)).collect();
        self.places = inputs[..2].to_vec();
        self.places
            .extend((0..n).filter(|e| !inputs.contains(e)).take(3));
        let mut joint: BTreeMap<(usize, usize), [Fr; 3]> = BTreeMap::new();
        for (i, row) in self.circuit.rows.iter().enumerate() {
            for (m, entries) in row.iter().enumerate() {
                for (value, v) in entries {
                    joint.entry((i, self.places[*v as usize])).or_default()[m] += value;
                }
            }
        }
        self.entries = joint.into_iter().map(|((r, c), v)| (r, c, v)).collect();
        let h: Vec<Fr> = domain(n).elements().collect();
        let size = Fr::from(n as u64).inverse().unwrap();
        let mut on_k = vec![vec![Fr::one(); k], vec![Fr::one(); k]];
        on_k.extend(vec![vec![Fr::zero(); k]; 3]);
        for (i, (r, c, values)) in self.entries.iter().enumerate() {
            (on_k[0][i], on_k[1][i]) = (h[*r], h[*c]);
            for m in 0..3 {
                on_k[2 + m][i] = values[m] * h[*c] * size;
            }
        }
        let both = on_k[0].iter().zip(&on_k[1]).map(|(r, c)| *r * c).collect();
        on_k.insert(2, both);
        self.index = on_k.into_iter().map(interpolate).collect();
        for (p, c) in self.index.iter().zip(&self.key.index) {
            assert_eq!(self.commit(p), *c);
        }
    }

    fn commit(&self, p: &[Fr]) -> G1Affine {
        G1Projective::msm_unchecked(&self.powers[..p.len()], p).into_affine()
    }

    /// What stands for X^(D - size + 2) p.
    fn shifted(&self, p: &[Fr], size: u64, trick: Trick) -> G1Affine {
        let offset = (self.key.max_degree + 2 - size) as usize;
        let known = p.len().min(self.powers.len() - offset);
        let low = G1Projective::msm_unchecked(&self.powers[offset..offset + known], &p[..known]);
        let top = p.get(known).copied().unwrap_or_default();
        match trick {
            Trick::Shorten | Trick::Truncate => low.into_affine(),
            Trick::Wrap => (low + self.powers[0] * top).into_affine(),
            Trick::Unshifted => self.commit(p),
            Trick::Identity | Trick::Nothing => G1Affine::zero(),
            Trick::Trapdoor => {
                let beyond = self.tau.pow([self.key.max_degree + 1]);
                (low + self.powers[0] * (top * beyond)).into_affine()
            }
        }
    }

    /// A proof about y from any assignment. `zeros` sends zero polynomials for
    /// w, z_A and z_B: identity points.
    fn forge(&self, y: u64, witness: [u64; 3], zeros: bool, lie: Lie, trick: Trick) -> MarlinProof {
        self.run(y, witness, zeros, lie, trick).0
    }

    /// The proof, and the y for which its first equation holds at beta.
    fn run(
        &self,
        y: u64,
        witness: [u64; 3],
        zeros: bool,
        lie: Lie,
        trick: Trick,
    ) -> (MarlinProof, Fr) {
        let (one, key) = (Fr::one(), &self.key);
        let (n, k) = (key.rows() as usize, key.nonzeros() as usize);
        let mut z: Vec<Fr> = [1, y].into_iter().chain(witness).map(Fr::from).collect();
        if zeros {
            z[2..].fill(Fr::zero());
        }
        let product = |m: usize| -> Vec<Fr> {
            let mut v = vec![Fr::zero(); n];
            for (r, c, values) in &self.entries {
                let at = self.places.iter().position(|p| p == c).unwrap();
                v[*r] += values[m] * z[at];
            }
            interpolate(v)
        };
        let (mut z_a, mut z_b) = (product(0), product(1));
        if zeros {
            z_a.fill(Fr::zero());
            z_b.fill(Fr::zero());
        }
        let spread = |values: &[Fr]| -> Vec<Fr> {
            let mut v = vec![Fr::zero(); n];
            for (x, place) in values.iter().zip(&self.places) {
                v[*place] = *x;
            }
            interpolate(v)
        };
        let full = spread(&z);
        let mut w = full.clone();
        add(&mut w, -one, &spread(&z[..2]));
        for (size, c) in key.positions().unwrap().factors() {
            let (quotient, rest) = divide(&w, size, c);
            assert!(rest.iter().all(Fr::is_zero));
            w = quotient;
        }
        // A mask that sums to zero, or nothing at all.
        let mut s: Vec<Fr> = (0..3 * n as u64).map(|i| Fr::from(i * i + 1)).collect();
        s[0] = -(s[n] + s[2 * n]);
        if zeros {
            s.fill(Fr::zero());
        }
        let first = [&w, &z_a, &z_b, &s].map(|p| self.commit(p));
        let mut t = transcript();
        challenges::start(&mut t, key, &z[1..2]);
        let [c0, c1, c2, c3] = &first;
        let (alpha, eta_a, eta_b, eta_c) = challenges::first(&mut t, key, [c0, c1, c2, c3]);
        let (alpha, eta) = (alpha.0, [eta_a.0, eta_b.0, eta_c.0]);

        let h: Vec<Fr> = domain(n).elements().collect();
        let v_alpha = alpha.pow([n as u64]) - one;
        let kernel = |r: usize| v_alpha * (alpha - h[r]).inverse().unwrap();
        let mut values = vec![Fr::zero(); n];
        for (r, c, v) in &self.entries {
            values[*c] += kernel(*r) * (eta[0] * v[0] + eta[1] * v[1] + eta[2] * v[2]);
        }
        let mut t_poly = interpolate(values);
        let r_poly = interpolate((0..n).map(kernel).collect());
        let mut sum: Vec<Fr> = mul(&z_a, &z_b).iter().map(|x| eta[2] * x).collect();
        add(&mut sum, eta[0], &z_a);
        add(&mut sum, eta[1], &z_b);
        let left = mul(&r_poly, &sum);
        let first_sum = |t_poly: &[Fr]| {
            let mut q = left.clone();
            add(&mut q, -one, &mul(t_poly, &full));
            add(&mut q, one, &s);
            divide(&q, n, one)
        };
        let (mut h1, mut rest) = first_sum(&t_poly);
        if lie == Lie::Second {
            // t + delta: the sum over H is taken down to zero.
            let total: Fr = divide(&full, n, one).1[0];
            t_poly[0] += rest[0] * total.inverse().unwrap();
            (h1, rest) = first_sum(&t_poly);
            assert!(rest[0].is_zero());
        }
        // X g_1 with X^n = v_H + 1: the constant moves to the top.
        let constant = if trick == Trick::Shorten {
            Fr::zero()
        } else {
            rest[0]
        };
        let mut g1 = rest[1..].to_vec();
        if !constant.is_zero() {
            g1.push(constant);
            h1[0] -= constant;
        }
        let second = [
            self.commit(&t_poly),
            self.commit(&g1),
            self.shifted(&g1, n as u64, trick_for(&g1, n, trick)),
            self.commit(&h1),
        ];
        let [c0, c1, c2, c3] = &second;
        let beta = challenges::second(&mut t, key, [c0, c1, c2, c3]).0;

        let v = v_alpha * (beta.pow([n as u64]) - one);
        let mut numerator = vec![Fr::zero(); k];
        for (i, e) in eta.iter().enumerate() {
            add(&mut numerator, v * e, &self.index[3 + i]);
        }
        let [row, col, both] = [0, 1, 2].map(|i| &self.index[i]);
        let mut b = vec![alpha * beta];
        for (c, p) in [(-alpha, col), (-beta, row), (one, both)] {
            add(&mut b, c, p);
        }
        let points: Vec<Fr> = domain(k).elements().collect();
        let on_k = |x: &Fr| at(&numerator, *x) * at(&b, *x).inverse().unwrap();
        let mut f = interpolate(points.iter().map(on_k).collect());
        let t_beta = at(&t_poly, beta);
        let size = Fr::from(k as u64).inverse().unwrap();
        let off = f[0] - t_beta * size;
        if !off.is_zero() && trick != Trick::Shorten {
            // f + off v_K has the constant wanted and the same values on K.
            f[0] -= off;
            f.push(off);
        }
        let g2 = f[1..].to_vec();
        let mut identity = numerator.clone();
        add(&mut identity, -one, &mul(&b, &f));
        let (h2, _) = divide(&identity, k, one);
        let third = [
            self.commit(&g2),
            self.shifted(&g2, k as u64, trick_for(&g2, k, trick)),
            self.commit(&h2),
        ];
        let [c0, c1, c2] = &third;
        let gamma = challenges::third(&mut t, key, [c0, c1, c2]).0;

        let (z_b_beta, g1_beta) = (at(&z_b, beta), at(&g1, beta));
        let g2_gamma = at(&g2, gamma);
        let (xb, xg) = challenges::opening(&mut t, [&z_b_beta, &t_beta, &g1_beta, &g2_gamma]);
        let r = at(&r_poly, beta);
        let vanishing = key.positions().unwrap().vanishing(beta);
        let mut at_beta = s.clone();
        for (c, p) in [
            (r * (eta[0] + eta[2] * z_b_beta), &z_a),
            (-(t_beta * vanishing), &w),
            (one - beta.pow([n as u64]), &h1),
            (xb.0, &z_b),
            (xb.0 * xb.0, &t_poly),
            (xb.0.pow([3u64]), &g1),
        ] {
            add(&mut at_beta, c, p);
        }
        let x = key.positions().unwrap();
        let lagrange = |values: [Fr; 2]| x.interpolate(&values, beta).unwrap();
        let late = {
            let batched = xb.0 * (z_b_beta + xb.0 * (t_beta + xb.0 * g1_beta));
            let outer = at(&at_beta, beta) - batched;
            let x_beta =
                (outer - beta * g1_beta + r * eta[1] * z_b_beta) * t_beta.inverse().unwrap();
            (x_beta - lagrange([one, Fr::zero()])) * lagrange([Fr::zero(), one]).inverse().unwrap()
        };
        let fg = gamma * g2_gamma + t_beta * size;
        let mut at_gamma = numerator;
        for (c, p) in [
            (alpha * fg, col),
            (beta * fg, row),
            (-fg, both),
            (one - gamma.pow([k as u64]), &h2),
            (xg.0, &g2),
        ] {
            add(&mut at_gamma, c, p);
        }
        let opening_beta = self.commit(&open(&at_beta, beta));
        let opening_gamma = self.commit(&open(&at_gamma, gamma));
        let [w, z_a, z_b, s] = first;
        let [t, g1, g1_shifted, h1] = second;
        let [g2, g2_shifted, h2] = third;
        let proof = MarlinProof {
            w,
            z_a,
            z_b,
            s,
            t,
            g1,
            g1_shifted,
            h1,
            g2,
            g2_shifted,
            h2,
            z_b_beta,
            t_beta,
            g1_beta,
            g2_gamma,
            opening_beta,
            opening_gamma,
            blinding_beta: Fr::zero(),
        };
        (proof, late)
    }

    fn check(&self, y: u64, proof: &MarlinProof) -> Result<(), MarlinRefusal> {
        self.check_scalar(Fr::from(y), proof)
    }

    fn check_scalar(&self, y: Fr, proof: &MarlinProof) -> Result<(), MarlinRefusal> {
        verify(&self.key, &mut transcript(), &[y], proof)
    }
}

/// A polynomial within its bound is committed to honestly.
fn trick_for(p: &[Fr], size: usize, trick: Trick) -> Trick {
    if p.len() < size && trick != Trick::Nothing {
        Trick::Truncate
    } else {
        trick
    }
}

#[test]
fn this_prover_is_right_when_the_statement_is() {
    // Without blinding, so soundness never rests on the prover's randomness.
    let o = Opponent::new();
    for lie in [Lie::First, Lie::Second] {
        for trick in TRICKS {
            let proof = o.forge(30, [3, 9, 27], false, lie, trick);
            assert_eq!(o.check(30, &proof), Ok(()), "{lie:?} {trick:?}");
            assert_eq!(o.check(31, &proof), Err(MarlinRefusal::Pairing));
        }
    }
}

#[test]
fn a_false_statement_needs_a_power_that_nobody_has() {
    // MAR-4: both sumchecks can be made to add up with one degree more; the
    // shifted commitment to that degree is tau^(D+1).
    let o = Opponent::new();
    for (y, witness, zeros) in [
        (31, [3, 9, 27], false),
        (30, [2, 4, 28], false),
        (31, [0; 3], true),
    ] {
        for lie in [Lie::First, Lie::Second] {
            for trick in TRICKS {
                let proof = o.forge(y, witness, zeros, lie, trick);
                let refusal = o.check(y, &proof);
                assert_eq!(
                    refusal,
                    Err(MarlinRefusal::Pairing),
                    "{y} {zeros} {lie:?} {trick:?}"
                );
            }
            // Who kept tau proves anything: why MAR-11 marks dev strings.
            let proof = o.forge(y, witness, zeros, lie, Trick::Trapdoor);
            assert_eq!(
                o.check(y, &proof),
                Ok(()),
                "{y} {zeros} {lie:?}: the forgery is complete"
            );
        }
    }
}

#[test]
fn zero_polynomials_are_identity_points_and_prove_nothing() {
    let o = Opponent::new();
    let proof = o.forge(31, [0; 3], true, Lie::First, Trick::Shorten);
    for p in [proof.w, proof.z_a, proof.z_b, proof.s] {
        assert!(p.is_zero());
    }
    let read = MarlinProof::decode(&proof.encode()).unwrap();
    assert_eq!(o.check(31, &read), Err(MarlinRefusal::Pairing));
}

#[test]
fn a_key_whose_shift_is_zero_has_no_degree_bound_and_is_no_key() {
    // MAR-4: the index commitments are right, e(C', h) = e(C, 0) says nothing.
    let mut o = Opponent::new();
    o.key.shift_rows = G2Affine::zero();
    o.key.shift_nonzeros = G2Affine::zero();
    for lie in [Lie::First, Lie::Second] {
        // Both bounds need the identity here, also the one that is kept.
        let mut proof = o.forge(31, [3, 9, 27], false, lie, Trick::Nothing);
        assert!(proof.g1_shifted.is_zero() && proof.g2_shifted.is_zero());
        assert_eq!(o.check(31, &proof), Ok(()), "in memory, past its decoder");
        proof.g1_shifted = proof.g1;
        assert_eq!(o.check(31, &proof), Err(MarlinRefusal::Pairing));
    }
    let refused = VerifyingKey::decode(&o.key.encode()).unwrap_err();
    assert!(matches!(refused, MarlinRefusal::Key(_)), "{refused}");
}

#[test]
fn public_inputs_chosen_after_the_challenges_are_other_challenges() {
    // MAR-2: x(beta) is linear in y. A transcript that did not hold y would let
    // the prover solve for it when everything else is fixed.
    let o = Opponent::new();
    let (proof, y) = o.run(30, [3, 9, 27], false, Lie::First, Trick::Shorten);
    assert_eq!(
        y,
        Fr::from(30u64),
        "the solution for a true statement is itself"
    );
    assert_eq!(o.check_scalar(y, &proof), Ok(()));
    let (proof, y) = o.run(31, [3, 9, 27], false, Lie::First, Trick::Shorten);
    assert_ne!(y, Fr::from(31u64));
    let mut t = transcript();
    challenges::start(&mut t, &o.key, &[y]);
    let mut other = transcript();
    challenges::start(&mut other, &o.key, &[Fr::from(31u64)]);
    assert_ne!(t, other);
    assert_eq!(o.check_scalar(y, &proof), Err(MarlinRefusal::Pairing));
}
