//! Verification, and the order of the transcript that both sides follow
//! (MAR-2, MAR-6, MAR-7).

use super::{MarlinProof, MarlinRefusal, VerifyingKey, point_bytes, power};
use crate::{challenge_type, transcript::Transcript};
use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective};
use ark_ec::{AdditiveGroup, AffineRepr, CurveGroup, pairing::Pairing};
use ark_ff::{BigInteger, Field, One, PrimeField, Zero};

challenge_type!(
    /// The point of the lincheck.
    Alpha, "marlin alpha", Fr
);
challenge_type!(
    /// Weight of A.
    EtaA, "marlin eta a", Fr
);
challenge_type!(
    /// Weight of B.
    EtaB, "marlin eta b", Fr
);
challenge_type!(
    /// Weight of C.
    EtaC, "marlin eta c", Fr
);
challenge_type!(
    /// The point of the first sumcheck.
    Beta, "marlin beta", Fr
);
challenge_type!(
    /// The point of the second sumcheck.
    Gamma, "marlin gamma", Fr
);
challenge_type!(
    /// Batches the polynomials opened at beta.
    BatchBeta, "marlin batch beta", Fr
);
challenge_type!(
    /// Batches the polynomials opened at gamma.
    BatchGamma, "marlin batch gamma", Fr
);
challenge_type!(
    /// Batches the four pairing equations.
    BatchPairing, "marlin batch pairing", Fr
);

/// The challenges that both sides draw, in this order, from one place in code;
/// a prover calls these as it goes.
pub mod challenges {
    use super::{
        Alpha, BatchBeta, BatchGamma, BatchPairing, Beta, EtaA, EtaB, EtaC, Fr, G1Affine, Gamma,
        One, Transcript, VerifyingKey, point_bytes, power,
    };

    /// MAR-2: tag, key (sizes, index, SRS) and the exact public inputs.
    pub fn start(t: &mut Transcript, key: &VerifyingKey, public: &[Fr]) {
        t.absorb("marlin", b"veilbourse marlin v1");
        t.absorb("marlin key", &key.encode());
        t.absorb_digest("marlin srs", &key.srs);
        t.absorb_u64("marlin public inputs", public.len() as u64);
        t.absorb_fr("marlin public", public);
    }

    fn points(t: &mut Transcript, label: &'static str, points: &[&G1Affine]) {
        let bytes: Vec<u8> = points.iter().flat_map(|p| point_bytes(p)).collect();
        t.absorb(label, &bytes);
    }

    /// Round 1 -> alpha outside H, eta_A, eta_B, eta_C.
    pub fn first(
        t: &mut Transcript,
        key: &VerifyingKey,
        commitments: [&G1Affine; 4],
    ) -> (Alpha, EtaA, EtaB, EtaC) {
        points(t, "marlin round 1", &commitments);
        let alpha = t.challenge_where(|a: &Alpha| !in_domain(a.0, key.rows()));
        (alpha, t.challenge(), t.challenge(), t.challenge())
    }

    /// Round 2 -> beta outside H.
    pub fn second(t: &mut Transcript, key: &VerifyingKey, commitments: [&G1Affine; 4]) -> Beta {
        points(t, "marlin round 2", &commitments);
        t.challenge_where(|b: &Beta| !in_domain(b.0, key.rows()))
    }

    /// Round 3 -> gamma outside K.
    pub fn third(t: &mut Transcript, key: &VerifyingKey, commitments: [&G1Affine; 3]) -> Gamma {
        points(t, "marlin round 3", &commitments);
        t.challenge_where(|g: &Gamma| !in_domain(g.0, key.nonzeros()))
    }

    /// All evaluations -> the opening challenges (MAR-2).
    pub fn opening(t: &mut Transcript, evaluations: [&Fr; 4]) -> (BatchBeta, BatchGamma) {
        let values: Vec<Fr> = evaluations.into_iter().copied().collect();
        t.absorb_fr("marlin evaluations", &values);
        (t.challenge(), t.challenge())
    }

    /// The opening witnesses -> the randomiser of the pairing check (MAR-6).
    pub fn pairing(
        t: &mut Transcript,
        beta: &G1Affine,
        gamma: &G1Affine,
        blinding: &Fr,
    ) -> BatchPairing {
        points(t, "marlin openings", &[beta, gamma]);
        t.absorb_fr("marlin blinding", &[*blinding]);
        t.challenge()
    }

    fn in_domain(x: Fr, size: u64) -> bool {
        power(x, size) == Fr::one()
    }
}

/// Verifies a proof about the public inputs (the constant one left out),
/// continuing `t`.
pub fn verify(
    key: &VerifyingKey,
    t: &mut Transcript,
    public: &[Fr],
    proof: &MarlinProof,
) -> Result<(), MarlinRefusal> {
    // MAR-3
    if public.len() != key.public_inputs as usize {
        return Err(MarlinRefusal::PublicInputs {
            expected: key.public_inputs as usize,
            found: public.len(),
        });
    }
    let positions = key.positions()?;
    let p = proof;
    challenges::start(t, key, public);
    let (alpha, eta_a, eta_b, eta_c) = challenges::first(t, key, [&p.w, &p.z_a, &p.z_b, &p.s]);
    let beta = challenges::second(t, key, [&p.t, &p.g1, &p.g1_shifted, &p.h1]);
    let gamma = challenges::third(t, key, [&p.g2, &p.g2_shifted, &p.h2]);
    let (xi_beta, xi_gamma) =
        challenges::opening(t, [&p.z_b_beta, &p.t_beta, &p.g1_beta, &p.g2_gamma]);
    let rho = challenges::pairing(t, &p.opening_beta, &p.opening_gamma, &p.blinding_beta).0;
    let (alpha, beta, gamma) = (alpha.0, beta.0, gamma.0);
    let (eta_a, eta_b, eta_c) = (eta_a.0, eta_b.0, eta_c.0);

    // First sumcheck at beta, as a combination that opens to `outer`:
    // s + r (eta_A z_A + eta_C z_B(b) z_A) - t(b) v_X(b) w - v_H(b) h_1
    //   = t(b) x(b) + b g_1(b) - r eta_B z_B(b).
    let one = Fr::one();
    let v_h_alpha = power(alpha, key.rows()) - one;
    let v_h_beta = power(beta, key.rows()) - one;
    let r_alpha_beta = (v_h_alpha - v_h_beta)
        * (alpha - beta)
            .inverse()
            .ok_or(MarlinRefusal::ZeroDivisor("alpha - beta"))?;
    let mut inputs = Vec::with_capacity(public.len() + 1);
    inputs.push(one);
    inputs.extend_from_slice(public);
    let x_beta = positions
        .interpolate(&inputs, beta)
        .ok_or(MarlinRefusal::ZeroDivisor("v_H(beta)"))?;
    let outer = p.t_beta * x_beta + beta * p.g1_beta - r_alpha_beta * eta_b * p.z_b_beta;

    // Second sumcheck at gamma, as a combination that opens to 0:
    // v_H(a) v_H(b) sum eta_M val_M - (ab - a col - b row + rowcol) f - v_K(g) h_2,
    // f = g g_2(g) + t(b) / |K|.
    let size = Fr::from(key.nonzeros());
    let f =
        gamma * p.g2_gamma + p.t_beta * size.inverse().ok_or(MarlinRefusal::ZeroDivisor("|K|"))?;
    let v = v_h_alpha * v_h_beta;
    let v_k_gamma = power(gamma, key.nonzeros()) - one;
    let inner = f * alpha * beta;

    // Batched: powers of xi over (combination, z_B, t, g_1) and (combination,
    // g_2); then e(C - v g - r gamma_g + z W, h) = e(W, tau h) for both points
    // and e(g', h) = e(g, shift) for both bounds, with powers of rho.
    let (xb, xg) = (xi_beta.0, xi_gamma.0);
    let value_beta = outer + xb * (p.z_b_beta + xb * (p.t_beta + xb * p.g1_beta));
    let value_gamma = inner + xg * p.g2_gamma;
    let (rho2, rho3) = (rho * rho, rho * rho * rho);
    let [row, col, row_col, val_a, val_b, val_c] = key.index;
    let terms: [(G1Affine, Fr); 22] = [
        (p.s, one),
        (p.z_a, r_alpha_beta * (eta_a + eta_c * p.z_b_beta)),
        (p.w, -(p.t_beta * positions.vanishing(beta))),
        (p.h1, -v_h_beta),
        (p.z_b, xb),
        (p.t, xb * xb),
        (p.g1, xb * xb * xb),
        (key.gamma_g, -p.blinding_beta),
        (p.opening_beta, beta),
        (val_a, rho * v * eta_a),
        (val_b, rho * v * eta_b),
        (val_c, rho * v * eta_c),
        (col, rho * alpha * f),
        (row, rho * beta * f),
        (row_col, -(rho * f)),
        (p.h2, -(rho * v_k_gamma)),
        (p.g2, rho * xg),
        (p.opening_gamma, rho * gamma),
        (key.g, -(value_beta + rho * value_gamma)),
        (p.g1_shifted, rho2),
        (p.g2_shifted, rho3),
        // The batch stays at a fixed length whatever the proof.
        (G1Affine::zero(), Fr::zero()),
    ];
    let left = sum_of_multiples(&terms);
    let openings = p.opening_beta.into_group() + p.opening_gamma * rho;
    let sides = G1Projective::normalize_batch(&[left, -openings, -(p.g1 * rho2), -(p.g2 * rho3)]);
    let product = Bls12_381::multi_pairing(
        sides,
        [key.h, key.tau_h, key.shift_rows, key.shift_nonzeros],
    );
    if product.is_zero() {
        Ok(())
    } else {
        Err(MarlinRefusal::Pairing)
    }
}

/// sum s P, the doublings shared (Straus). The library's own starts threads, which
/// a browser's page does not have; for so few points this is as fast.
fn sum_of_multiples(terms: &[(G1Affine, Fr)]) -> G1Projective {
    let scalars: Vec<_> = terms.iter().map(|(_, s)| s.into_bigint()).collect();
    let mut sum = G1Projective::zero();
    for bit in (0..Fr::MODULUS_BIT_SIZE as usize).rev() {
        sum.double_in_place();
        for ((point, _), scalar) in terms.iter().zip(&scalars) {
            if scalar.get_bit(bit) {
                sum += point;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ec::VariableBaseMSM;
    use ark_ff::PrimeField;

    #[test]
    fn sums_are_those_of_the_library() {
        // MAR-6: the combination that is paired, zero and edges among its terms.
        let g = G1Projective::from(G1Affine::generator());
        let number = |i: u64| Fr::from_le_bytes_mod_order(&[i as u8 + 3; 48]);
        let mut terms: Vec<(G1Affine, Fr)> = (0..22)
            .map(|i| ((g * number(i)).into_affine(), number(i * 7 + 1)))
            .collect();
        terms[3].0 = G1Affine::zero();
        terms[4].1 = Fr::zero();
        terms[5].1 = -Fr::one();
        terms[6] = terms[7];
        terms[8] = (-terms[9].0, terms[9].1);
        let (bases, scalars): (Vec<_>, Vec<_>) = terms.iter().copied().unzip();
        let expected = G1Projective::msm_unchecked(&bases, &scalars);
        assert_eq!(sum_of_multiples(&terms), expected);
        assert!(sum_of_multiples(&[]).is_zero());
    }
}
