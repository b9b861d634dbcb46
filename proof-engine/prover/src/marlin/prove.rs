//! The prover's three rounds and its openings.

use super::{
    index::ProvingKey,
    polynomial::{add_scaled, divide, evaluate, evaluate_over, interpolate, open},
    random_scalar,
};
use crate::{ProverError, srs::Srs};
use ark_bls12_381::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{Field, One, Zero, batch_inversion};
use rand_core::CryptoRng;
use rayon::prelude::*;
use veilbourse_verifier::{
    marlin::{MarlinProof, challenges},
    transcript::Transcript,
};
use zeroize::Zeroize;

/// Degree of the hiding polynomials plus one: each is opened at one point.
const HIDING: usize = 3;

/// A polynomial that hides something, with the blinding of its commitment.
struct Hidden {
    p: Vec<Fr>,
    blinding: [Fr; HIDING],
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.p.zeroize();
        self.blinding.zeroize();
    }
}

impl Hidden {
    fn new(p: Vec<Fr>, rng: &mut impl CryptoRng) -> Self {
        Self {
            p,
            blinding: std::array::from_fn(|_| random_scalar(rng)),
        }
    }
}

/// Proves that `witness` satisfies the circuit for the public inputs (the
/// constant one left out), continuing `t`. `rng` must be secret and fresh
/// (MAR-5).
pub fn prove(
    srs: &Srs,
    key: &ProvingKey,
    t: &mut Transcript,
    public: &[Fr],
    witness: &[Fr],
    rng: &mut impl CryptoRng,
) -> Result<MarlinProof, ProverError> {
    let vk = key.verifying();
    if srs.digest() != vk.srs {
        return Err(ProverError::Circuit(
            "the key was made from another SRS".into(),
        ));
    }
    let circuit = &key.circuit;
    if public.len() != circuit.public_inputs || witness.len() != circuit.witnesses {
        return Err(ProverError::Circuit(format!(
            "{} public inputs and {} witnesses for {} and {}",
            public.len(),
            witness.len(),
            circuit.public_inputs,
            circuit.witnesses
        )));
    }
    let n = 1usize << vk.log_rows;
    let m = 1usize << vk.log_nonzeros;
    let one = Fr::one();
    let mut z = Vec::with_capacity(1 + public.len() + witness.len());
    z.push(one);
    z.extend_from_slice(public);
    z.extend_from_slice(witness);

    // Round 1: z_A, z_B over the rows, w over H outside X, the mask s.
    let product = |matrix: usize| -> Vec<Fr> {
        let mut v: Vec<Fr> = circuit
            .rows
            .par_iter()
            .map(|row| row[matrix].iter().map(|(c, i)| *c * z[*i as usize]).sum())
            .collect();
        v.resize(n, Fr::zero());
        v
    };
    let (values_a, values_b, values_c) = (product(0), product(1), product(2));
    if let Some(row) = (0..n).find(|i| values_a[*i] * values_b[*i] != values_c[*i]) {
        return Err(ProverError::Circuit(format!("row {row} is not satisfied")));
    }
    let mut values_w = vec![Fr::zero(); n];
    for (value, exponent) in z.iter().zip(&key.exponents).skip(public.len() + 1) {
        values_w[*exponent as usize] = *value;
    }
    let mask = |mut p: Vec<Fr>, rng: &mut _| {
        // + rho v_H, one random coefficient: one evaluation stays hidden.
        let rho = random_scalar(rng);
        p[0] -= rho;
        p.push(rho);
        p
    };
    let z_a = Hidden::new(mask(interpolate(values_a), rng), rng);
    let z_b = Hidden::new(mask(interpolate(values_b), rng), rng);
    let mut w = mask(interpolate(values_w), rng);
    for (size, c) in key.positions.factors() {
        let (quotient, rest) = divide(&w, size, c);
        debug_assert!(rest.iter().all(Fr::is_zero));
        w = quotient;
    }
    let w = Hidden::new(w, rng);
    let mut s: Vec<Fr> = (0..3 * n).map(|_| random_scalar(rng)).collect();
    s[0] = -(s[n] + s[2 * n]);
    let s = Hidden::new(s, rng);
    let first = commit(srs, &[&w, &z_a, &z_b, &s])?;
    challenges::start(t, vk, public);
    let (alpha, eta_a, eta_b, eta_c) =
        challenges::first(t, vk, [&first[0], &first[1], &first[2], &first[3]]);
    let (alpha, eta_a, eta_b, eta_c) = (alpha.0, eta_a.0, eta_b.0, eta_c.0);

    // Round 2: t, and the first sumcheck's g_1 and h_1.
    let h = super::polynomial::domain(n);
    let elements: Vec<Fr> = ark_poly::EvaluationDomain::elements(&h).collect();
    let v_h_alpha = alpha.pow([n as u64]) - one;
    // r(alpha, .) on H: v_H(alpha) / (alpha - h).
    let mut r: Vec<Fr> = elements.iter().map(|x| alpha - x).collect();
    batch_inversion(&mut r);
    r.par_iter_mut().for_each(|x| *x *= v_h_alpha);
    let mut values_t = vec![Fr::zero(); n];
    for e in &key.entries {
        values_t[e.column as usize] +=
            r[e.row as usize] * (eta_a * e.values[0] + eta_b * e.values[1] + eta_c * e.values[2]);
    }
    let t_poly = interpolate(values_t);
    let r_poly = interpolate(r);
    let inputs: Vec<Fr> = {
        let mut v = vec![Fr::zero(); n];
        for (value, exponent) in z.iter().zip(&key.exponents).take(public.len() + 1) {
            v[*exponent as usize] = *value;
        }
        interpolate(v)
    };
    z.zeroize();
    // z = x + w v_X, of degree at most n.
    let mut full = w.p.clone();
    for (size, c) in key.positions.factors() {
        let mut product = vec![Fr::zero(); full.len() + size];
        for (i, x) in full.iter().enumerate() {
            product[i] -= *x * c;
            product[i + size] += x;
        }
        full = product;
    }
    add_scaled(&mut full, one, &inputs);
    let on = |p: &[Fr]| evaluate_over(p, 4 * n);
    let (ev_a, ev_b, ev_r, ev_t, ev_z) =
        (on(&z_a.p), on(&z_b.p), on(&r_poly), on(&t_poly), on(&full));
    full.zeroize();
    let q: Vec<Fr> = (0..4 * n)
        .into_par_iter()
        .map(|i| {
            let (a, b) = (ev_a[i], ev_b[i]);
            ev_r[i] * (eta_a * a + eta_b * b + eta_c * a * b) - ev_t[i] * ev_z[i]
        })
        .collect();
    let mut q = interpolate(q);
    add_scaled(&mut q, one, &s.p);
    let (h1, rest) = divide(&q, n, one);
    if !rest[0].is_zero() {
        return Err(ProverError::Circuit(
            "the first sumcheck does not sum to zero".into(),
        ));
    }
    let (g1, h1) = (rest[1..].to_vec(), trim(h1));
    let second = [
        srs.commit(&t_poly)?,
        srs.commit(&g1)?,
        srs.commit_shifted(&g1, n as u64)?,
        srs.commit(&h1)?,
    ];
    let second = G1Projective::normalize_batch(&second);
    let beta = challenges::second(t, vk, [&second[0], &second[1], &second[2], &second[3]]).0;

    // Round 3: the second sumcheck over K.
    let v_h_beta = beta.pow([n as u64]) - one;
    let v = v_h_alpha * v_h_beta;
    let [row, col, val_a, val_b, val_c] = &key.on_k;
    let mut denominators: Vec<Fr> = row
        .par_iter()
        .zip(col)
        .map(|(r, c)| (alpha - r) * (beta - c))
        .collect();
    batch_inversion(&mut denominators);
    let f: Vec<Fr> = (0..m)
        .into_par_iter()
        .map(|k| v * (eta_a * val_a[k] + eta_b * val_b[k] + eta_c * val_c[k]) * denominators[k])
        .collect();
    let f = interpolate(f);
    let g2 = f[1..].to_vec();
    let [p_row, p_col, p_row_col, p_a, p_b, p_c] = &key.index;
    let combine = |terms: &[(Fr, &Vec<Fr>)]| -> Vec<Fr> {
        let mut out = vec![Fr::zero(); m];
        for (c, p) in terms {
            add_scaled(&mut out, *c, p);
        }
        out
    };
    let a = combine(&[(v * eta_a, p_a), (v * eta_b, p_b), (v * eta_c, p_c)]);
    let mut b = combine(&[(-alpha, p_col), (-beta, p_row), (one, p_row_col)]);
    b[0] += alpha * beta;
    let (ev_b, ev_f) = (evaluate_over(&b, 2 * m), evaluate_over(&f, 2 * m));
    let product: Vec<Fr> = ev_b.par_iter().zip(&ev_f).map(|(b, f)| *b * f).collect();
    let mut numerator = a.clone();
    add_scaled(&mut numerator, -one, &interpolate(product));
    let (h2, rest) = divide(&numerator, m, one);
    if rest.iter().any(|c| !c.is_zero()) {
        return Err(ProverError::Circuit(
            "the second sumcheck does not divide".into(),
        ));
    }
    let h2 = trim(h2);
    let third = [
        srs.commit(&g2)?,
        srs.commit_shifted(&g2, m as u64)?,
        srs.commit(&h2)?,
    ];
    let third = G1Projective::normalize_batch(&third);
    let gamma = challenges::third(t, vk, [&third[0], &third[1], &third[2]]).0;

    // Openings: the batch of verify.rs, term by term.
    let z_b_beta = evaluate(&z_b.p, beta);
    let t_beta = evaluate(&t_poly, beta);
    let g1_beta = evaluate(&g1, beta);
    let g2_gamma = evaluate(&g2, gamma);
    let (xi_beta, xi_gamma) = challenges::opening(t, [&z_b_beta, &t_beta, &g1_beta, &g2_gamma]);
    let (xb, xg) = (xi_beta.0, xi_gamma.0);
    let r_alpha_beta = (v_h_alpha - v_h_beta)
        * (alpha - beta)
            .inverse()
            .ok_or_else(|| ProverError::Circuit("alpha equals beta".into()))?;
    let weight_a = r_alpha_beta * (eta_a + eta_c * z_b_beta);
    let weight_w = -(t_beta * key.positions.vanishing(beta));
    let mut at_beta = s.p.clone();
    add_scaled(&mut at_beta, weight_a, &z_a.p);
    add_scaled(&mut at_beta, weight_w, &w.p);
    add_scaled(&mut at_beta, -v_h_beta, &h1);
    add_scaled(&mut at_beta, xb, &z_b.p);
    add_scaled(&mut at_beta, xb * xb, &t_poly);
    add_scaled(&mut at_beta, xb * xb * xb, &g1);
    let blinding: Vec<Fr> = (0..HIDING)
        .map(|i| {
            s.blinding[i]
                + weight_a * z_a.blinding[i]
                + weight_w * w.blinding[i]
                + xb * z_b.blinding[i]
        })
        .collect();
    let fg = gamma * g2_gamma
        + t_beta
            * Fr::from(m as u64)
                .inverse()
                .ok_or_else(|| ProverError::Circuit("|K| is zero".into()))?;
    let mut at_gamma = a;
    add_scaled(&mut at_gamma, alpha * fg, p_col);
    add_scaled(&mut at_gamma, beta * fg, p_row);
    add_scaled(&mut at_gamma, -fg, p_row_col);
    add_scaled(&mut at_gamma, -(gamma.pow([m as u64]) - one), &h2);
    add_scaled(&mut at_gamma, xg, &g2);
    let openings = G1Projective::normalize_batch(&[
        srs.commit(&open(&at_beta, beta))? + srs.commit_blinding(&open(&blinding, beta))?,
        srs.commit(&open(&at_gamma, gamma))?,
    ]);
    let blinding_beta = evaluate(&blinding, beta);
    at_beta.zeroize();
    challenges::pairing(t, &openings[0], &openings[1], &blinding_beta);
    Ok(MarlinProof {
        w: first[0],
        z_a: first[1],
        z_b: first[2],
        s: first[3],
        t: second[0],
        g1: second[1],
        g1_shifted: second[2],
        h1: second[3],
        g2: third[0],
        g2_shifted: third[1],
        h2: third[2],
        z_b_beta,
        t_beta,
        g1_beta,
        g2_gamma,
        opening_beta: openings[0],
        opening_gamma: openings[1],
        blinding_beta,
    })
}

fn commit(srs: &Srs, hidden: &[&Hidden]) -> Result<Vec<G1Affine>, ProverError> {
    let points = hidden
        .iter()
        .map(|h| Ok(srs.commit(&h.p)? + srs.commit_blinding(&h.blinding)?))
        .collect::<Result<Vec<_>, ProverError>>()?;
    Ok(G1Projective::normalize_batch(&points))
}

fn trim(mut p: Vec<Fr>) -> Vec<Fr> {
    while p.last().is_some_and(Fr::is_zero) {
        p.pop();
    }
    p
}
