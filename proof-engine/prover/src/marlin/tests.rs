//! Honest proofs verify; everything else is refused (MAR-1..10).

use super::*;
use crate::ProverError;
use crate::{r1cs::R1cs, srs::Srs};
use ark_bls12_381::G1Affine;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{Field, One, Zero};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use veilbourse_verifier::{
    marlin::{MarlinProof, MarlinRefusal, PROOF_BYTES, VerifyingKey, verify},
    transcript::Transcript,
};

/// A random satisfied circuit with its assignment.
fn circuit(
    rows: usize,
    public: usize,
    witnesses: usize,
    rng: &mut ChaCha20Rng,
) -> (R1cs, Vec<Fr>, Vec<Fr>) {
    let z: Vec<Fr> = std::iter::once(Fr::one())
        .chain((1..1 + public + witnesses - rows).map(|_| random_scalar(rng)))
        .collect();
    let mut z = z;
    let mut out = Vec::new();
    for i in 0..rows {
        // <A,z><B,z> = a fresh variable, which later rows may use.
        let mut pick = |n: usize| -> Vec<(Fr, u32)> {
            (0..n)
                .map(|_| {
                    (
                        random_scalar(rng),
                        (rng.next_u32() as usize % z.len()) as u32,
                    )
                })
                .collect()
        };
        let (a, b) = (pick(1 + i % 3), pick(1 + i % 2));
        let dot = |r: &[(Fr, u32)]| -> Fr { r.iter().map(|(c, i)| *c * z[*i as usize]).sum() };
        let value = dot(&a) * dot(&b);
        let variable = z.len() as u32;
        z.push(value);
        out.push([a, b, vec![(Fr::one(), variable)]]);
    }
    let r1cs = R1cs {
        public_inputs: public,
        witnesses,
        rows: out,
    };
    assert_eq!(z.len(), r1cs.variables());
    assert_eq!(r1cs.is_satisfied(&z), Ok(()));
    let witness = z.split_off(1 + public);
    (r1cs, z[1..].to_vec(), witness)
}

struct Case {
    srs: Srs,
    key: ProvingKey,
    public: Vec<Fr>,
    witness: Vec<Fr>,
    proof: MarlinProof,
}

fn case(seed: u64, rows: usize, public: usize, witnesses: usize, log: u32) -> Case {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let srs = Srs::dev(log, &mut rng).unwrap();
    let (r1cs, public, witness) = circuit(rows, public, witnesses, &mut rng);
    let key = index(&srs, &r1cs).unwrap();
    let proof = prove(&srs, &key, &mut transcript(), &public, &witness, &mut rng).unwrap();
    Case {
        srs,
        key,
        public,
        witness,
        proof,
    }
}

fn transcript() -> Transcript {
    let mut t = Transcript::new("marlin tests v1");
    t.absorb("context", b"order 1");
    t
}

impl Case {
    fn check(&self, public: &[Fr], proof: &MarlinProof) -> Result<(), MarlinRefusal> {
        verify(self.key.verifying(), &mut transcript(), public, proof)
    }
}

#[test]
fn honest_proofs_of_many_shapes_verify() {
    for (seed, (rows, public, witnesses, log)) in [
        (1, 0, 1, 4),
        (3, 1, 5, 4),
        (20, 6, 30, 6),
        (60, 31, 60, 8),
        (200, 90, 230, 10),
    ]
    .into_iter()
    .enumerate()
    {
        let c = case(seed as u64, rows, public, witnesses, log);
        assert_eq!(c.check(&c.public, &c.proof), Ok(()), "{rows} rows");
        let bytes = c.proof.encode();
        assert_eq!(bytes.len(), PROOF_BYTES);
        assert_eq!(MarlinProof::decode(&bytes).unwrap(), c.proof);
        let vk = c.key.verifying();
        assert_eq!(&VerifyingKey::decode(&vk.encode()).unwrap(), vk);
        // Both sides end in the same transcript state.
        let (mut a, mut b) = (transcript(), transcript());
        let mut rng = ChaCha20Rng::seed_from_u64(99);
        let again = prove(&c.srs, &c.key, &mut a, &c.public, &c.witness, &mut rng).unwrap();
        verify(vk, &mut b, &c.public, &again).unwrap();
        assert_eq!(a, b);
    }
}

/// One change to one field.
type Mutation = (&'static str, fn(&mut MarlinProof));

fn mutations() -> Vec<Mutation> {
    fn p(x: &mut G1Affine) {
        *x = (x.into_group() + G1Affine::generator()).into_affine();
    }
    fn s(x: &mut Fr) {
        *x += Fr::one();
    }
    vec![
        ("w", |m| p(&mut m.w)),
        ("z_a", |m| p(&mut m.z_a)),
        ("z_b", |m| p(&mut m.z_b)),
        ("s", |m| p(&mut m.s)),
        ("t", |m| p(&mut m.t)),
        ("g1", |m| p(&mut m.g1)),
        ("g1_shifted", |m| p(&mut m.g1_shifted)),
        ("h1", |m| p(&mut m.h1)),
        ("g2", |m| p(&mut m.g2)),
        ("g2_shifted", |m| p(&mut m.g2_shifted)),
        ("h2", |m| p(&mut m.h2)),
        ("z_b_beta", |m| s(&mut m.z_b_beta)),
        ("t_beta", |m| s(&mut m.t_beta)),
        ("g1_beta", |m| s(&mut m.g1_beta)),
        ("g2_gamma", |m| s(&mut m.g2_gamma)),
        ("opening_beta", |m| p(&mut m.opening_beta)),
        ("opening_gamma", |m| p(&mut m.opening_gamma)),
        ("blinding_beta", |m| s(&mut m.blinding_beta)),
        // Rounds exchanged (the forgery against ark-marlin moves messages
        // before their challenges; here the places are fixed by the type).
        ("w <-> g2", |m| std::mem::swap(&mut m.w, &mut m.g2)),
        ("t <-> h1", |m| std::mem::swap(&mut m.t, &mut m.h1)),
        ("g1 <-> g2", |m| std::mem::swap(&mut m.g1, &mut m.g2)),
        ("g1 shifted dropped", |m| m.g1_shifted = m.g1),
        ("g2 shifted dropped", |m| m.g2_shifted = m.g2),
        ("openings <->", |m| {
            std::mem::swap(&mut m.opening_beta, &mut m.opening_gamma)
        }),
        ("all zero", |m| {
            let zero = G1Affine::zero();
            *m = MarlinProof {
                w: zero,
                z_a: zero,
                z_b: zero,
                s: zero,
                t: zero,
                g1: zero,
                g1_shifted: zero,
                h1: zero,
                g2: zero,
                g2_shifted: zero,
                h2: zero,
                opening_beta: zero,
                opening_gamma: zero,
                z_b_beta: Fr::zero(),
                t_beta: Fr::zero(),
                g1_beta: Fr::zero(),
                g2_gamma: Fr::zero(),
                blinding_beta: Fr::zero(),
            };
        }),
    ]
}

#[test]
fn every_field_counts() {
    // MAR-10
    let c = case(7, 20, 6, 30, 6);
    for (name, change) in mutations() {
        let mut bad = c.proof.clone();
        change(&mut bad);
        assert_eq!(
            c.check(&c.public, &bad),
            Err(MarlinRefusal::Pairing),
            "{name}"
        );
    }
}

#[test]
fn other_statements_are_refused() {
    let c = case(8, 20, 6, 30, 6);
    // MAR-3
    for n in [0, 5] {
        assert_eq!(
            c.check(&c.public[..n], &c.proof),
            Err(MarlinRefusal::PublicInputs {
                expected: 6,
                found: n
            })
        );
    }
    let long: Vec<Fr> = c.public.iter().copied().chain([Fr::zero()]).collect();
    assert!(matches!(
        c.check(&long, &c.proof),
        Err(MarlinRefusal::PublicInputs { .. })
    ));
    for i in 0..6 {
        let mut other = c.public.clone();
        other[i] += Fr::one();
        assert_eq!(c.check(&other, &c.proof), Err(MarlinRefusal::Pairing));
    }
    // MAR-2: another context, another key, another SRS.
    let mut t = Transcript::new("marlin tests v1");
    t.absorb("context", b"order 2");
    assert_eq!(
        verify(c.key.verifying(), &mut t, &c.public, &c.proof),
        Err(MarlinRefusal::Pairing)
    );
    let d = case(9, 20, 6, 30, 6);
    assert_eq!(d.check(&c.public, &c.proof), Err(MarlinRefusal::Pairing));
    let mut key = c.key.verifying().clone();
    key.srs = veilbourse_core::digest::Digest([1; 32]);
    assert_eq!(
        verify(&key, &mut transcript(), &c.public, &c.proof),
        Err(MarlinRefusal::Pairing)
    );
}

#[test]
fn a_false_statement_cannot_be_proven() {
    let c = case(10, 20, 6, 30, 6);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut witness = c.witness.clone();
    witness[29] += Fr::one();
    assert!(matches!(
        prove(
            &c.srs,
            &c.key,
            &mut transcript(),
            &c.public,
            &witness,
            &mut rng
        ),
        Err(ProverError::Circuit(_))
    ));
    // A prover that leaves out its own checks: proves the false assignment for
    // a circuit that lacks the violated rows, then presents it for the real one.
    let mut weak = c.key.circuit.clone();
    weak.rows.retain(|[_, _, c]| c[0].1 != 36);
    let weak_key = index(&c.srs, &weak).unwrap();
    let forged = prove(
        &c.srs,
        &weak_key,
        &mut transcript(),
        &c.public,
        &witness,
        &mut rng,
    )
    .unwrap();
    assert_eq!(
        verify(weak_key.verifying(), &mut transcript(), &c.public, &forged),
        Ok(()),
        "the weak circuit is satisfied"
    );
    assert_eq!(c.check(&c.public, &forged), Err(MarlinRefusal::Pairing));
}

#[test]
fn a_sumcheck_remainder_of_full_degree_is_refused() {
    // MAR-4: g_1 of degree |H| - 1 would let any sum pass. Here the honest
    // prover's g_1 is replaced by g_1 + x^(|H|-1) terms with a consistent
    // opening of everything but the degree bound: the shifted commitment
    // would need a power above D, which the SRS does not have.
    let c = case(11, 20, 6, 30, 6);
    let n = c.key.verifying().rows();
    let g1 = vec![Fr::one(); n as usize];
    assert!(matches!(
        c.srs.commit_shifted(&g1, n),
        Err(ProverError::Circuit(_))
    ));
    assert!(c.srs.commit_shifted(&g1[1..], n).is_ok());
}

#[test]
fn bytes_that_are_no_proof_are_refused_by_name() {
    // MAR-1, MAR-8, MAR-9
    let c = case(12, 3, 1, 5, 4);
    let bytes = c.proof.encode();
    for cut in [0, 1, 47, 48, 500, PROOF_BYTES - 1] {
        assert!(matches!(
            MarlinProof::decode(&bytes[..cut]),
            Err(MarlinRefusal::Wire(_))
        ));
    }
    let long = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(
        MarlinProof::decode(&long),
        Err(MarlinRefusal::Wire(_))
    ));
    for i in 0..11 {
        let mut bad = bytes.clone();
        bad[48 * i + 47] ^= 1;
        bad[48 * i + 20] ^= 0x55;
        // Off the curve (refused) or another point (fails); never accepted.
        match MarlinProof::decode(&bad) {
            Err(MarlinRefusal::Point { .. }) => {}
            Err(e) => panic!("{e}"),
            Ok(p) => assert_eq!(c.check(&c.public, &p), Err(MarlinRefusal::Pairing)),
        }
        bad[48 * i..48 * i + 48].fill(0xff);
        assert!(matches!(
            MarlinProof::decode(&bad),
            Err(MarlinRefusal::Point { .. })
        ));
    }
    let mut bad = bytes.clone();
    bad[11 * 48..11 * 48 + 32].fill(0xff);
    assert_eq!(
        MarlinProof::decode(&bad),
        Err(MarlinRefusal::Scalar { field: "z_b_beta" })
    );
    // A point of the curve outside the subgroup: x chosen, y solved.
    use ark_ec::short_weierstrass::SWCurveConfig;
    use ark_serialize::CanonicalSerialize;
    let outside = (1u64..)
        .find_map(|x| {
            let x = ark_bls12_381::Fq::from(x);
            let y = (x * x * x + ark_bls12_381::g1::Config::COEFF_B).sqrt()?;
            let p = G1Affine::new_unchecked(x, y);
            (!p.is_in_correct_subgroup_assuming_on_curve()).then_some(p)
        })
        .unwrap();
    let mut encoded = Vec::new();
    outside.serialize_compressed(&mut encoded).unwrap();
    let mut bad = bytes;
    bad[..48].copy_from_slice(&encoded);
    assert_eq!(
        MarlinProof::decode(&bad),
        Err(MarlinRefusal::Point { field: "w" })
    );
}

#[test]
fn keys_with_impossible_sizes_are_refused() {
    let c = case(13, 3, 1, 5, 4);
    let key = c.key.verifying();
    let broken: [fn(&mut VerifyingKey); 6] = [
        |k| k.log_rows = 1,
        |k| k.log_rows = 40,
        |k| k.log_nonzeros = 21,
        |k| k.public_inputs = u32::MAX,
        |k| k.max_degree = 3,
        |k| k.tau_h = ark_bls12_381::G2Affine::zero(),
    ];
    for change in broken {
        let mut bad = key.clone();
        change(&mut bad);
        assert!(matches!(
            VerifyingKey::decode(&bad.encode()),
            Err(MarlinRefusal::Key(_))
        ));
        // Not even a key that skipped decoding panics.
        assert!(verify(&bad, &mut transcript(), &c.public, &c.proof).is_err());
    }
    let bytes = key.encode();
    for cut in 0..bytes.len() {
        assert!(VerifyingKey::decode(&bytes[..cut]).is_err());
    }
}

#[test]
fn proofs_hide_what_they_prove() {
    // MAR-5: fresh randomness in every hiding commitment and evaluation.
    let c = case(14, 20, 6, 30, 6);
    let again = prove(
        &c.srs,
        &c.key,
        &mut transcript(),
        &c.public,
        &c.witness,
        &mut ChaCha20Rng::seed_from_u64(77),
    )
    .unwrap();
    let (a, b) = (&c.proof, &again);
    for (x, y) in [
        (a.w, b.w),
        (a.z_a, b.z_a),
        (a.z_b, b.z_b),
        (a.s, b.s),
        (a.g1, b.g1),
    ] {
        assert_ne!(x, y);
    }
    assert_ne!(a.z_b_beta, b.z_b_beta);
    assert_eq!(c.check(&c.public, b), Ok(()));
}
