//! The private path up to the argument of knowledge: statement, transcript,
//! opening and equation agree on both sides; what is not private evidence is
//! refused (LES-4, LES-10..12).

mod support;

use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::cell::RefCell;
use support::Dataset;
use veilbourse_core::{digest::Digest, program::MatrixRef};
use veilbourse_prover::{
    ProverError,
    linear::{PodSecret, PrivateCircuit, PrivateRequest, PrivateWitness, prove_private},
};
use veilbourse_verifier::{
    Envelope, Kind, Refusal,
    commitment::verify_opening,
    field::{Fr, fr_bytes},
    linear::{
        LinearStatement, PrivateBody, PrivateEquation, Visibility, linear_body_limit, verify_linear,
    },
    transcript::Transcript,
};

const TRACED: MatrixRef = MatrixRef::Traced { segment: 0 };
const CHUNK: MatrixRef = MatrixRef::Chunk {
    segment: 0,
    chunk: 1,
};
const WEIGHTS: [i64; 5] = [3, -(1 << 23), 0, -(1 << 39), 7];

/// Records what it is asked to prove instead of proving it.
#[derive(Default)]
struct Recorder {
    seen: RefCell<Option<(PrivateEquation, PrivateWitness, Transcript)>>,
}

impl PrivateCircuit for Recorder {
    fn verifying_key(&self) -> Digest {
        Digest([31; 32])
    }
    fn srs(&self) -> Digest {
        Digest([32; 32])
    }
    fn binding(&self, _: &PrivateWitness, _: usize) -> Result<Fr, ProverError> {
        Ok(Fr::from(99u64))
    }
    fn prove<R: CryptoRng>(
        &self,
        equation: &PrivateEquation,
        witness: &PrivateWitness,
        transcript: &mut Transcript,
        _: &mut R,
    ) -> Result<Vec<u8>, ProverError> {
        *self.seen.borrow_mut() = Some((equation.clone(), witness.clone(), transcript.clone()));
        Ok(vec![1, 2, 3])
    }
}

fn run(
    d: &Dataset,
    over: MatrixRef,
    weights: &[i64],
    circuit: &Recorder,
) -> Result<(LinearStatement, Vec<u8>), ProverError> {
    let columns = d.columns(over);
    let request = PrivateRequest {
        manifest: &d.manifest,
        over,
        order: Digest([1; 32]),
        output: 2,
        weights,
        weight_blinder: Fr::from(4u64),
        commitment: Digest(fr_bytes(&Fr::from(77u64))),
        l1_bound: 1 << 40,
        l2_bound: 1 << 50,
        columns: &columns,
        public_key: &d.public_key,
        secret: &PodSecret::new([8; 32]),
    };
    prove_private(&request, circuit, &mut ChaCha12Rng::seed_from_u64(1))
}

#[test]
fn both_sides_reach_the_same_equation_and_transcript() {
    let d = Dataset::new(3, &[5000], 31);
    for over in [TRACED, CHUNK] {
        let circuit = Recorder::default();
        let (statement, envelope) = run(&d, over, &WEIGHTS, &circuit).unwrap();
        let (proved, witness, prover) = circuit.seen.into_inner().unwrap();
        let matrix = statement.conform(&d.manifest).unwrap();
        let limit = linear_body_limit(&statement.visibility, &matrix);
        let read = Envelope::expect(&envelope, Kind::Linear, &statement.digest(), limit).unwrap();
        let body = PrivateBody::decode(&matrix, &read.body).unwrap();
        assert_eq!(body.encode(&matrix), read.body);
        assert_eq!(body.marlin, [1, 2, 3]);
        let (mut t, zeta) = statement.transcript(&d.manifest, &matrix, Some(&body.binding));
        let opened = verify_opening(&mut t, matrix.set, zeta.0, &[matrix.claim], body.opening)
            .unwrap()
            .into_first();
        let equation = PrivateEquation::new(
            &statement,
            &matrix,
            &d.public_key,
            &opened,
            zeta,
            body.binding,
        )
        .unwrap();
        assert_eq!(equation, proved);
        assert_eq!(t, prover);
        let drawn = &witness.rerandomisation;
        assert!(equation.holds(&WEIGHTS, &drawn.c, &drawn.e));
        // LES-10: the same request yields the same A.
        let again = run(&d, over, &WEIGHTS, &Recorder::default()).unwrap().0;
        assert_eq!(again, statement);
        // Without a key nothing private is verified.
        assert_eq!(
            verify_linear(statement, &d.manifest, None, &envelope).unwrap_err(),
            Refusal::Missing("public key and verifying key")
        );
    }
}

#[test]
fn requests_that_do_not_conform_are_refused() {
    let d = Dataset::new(3, &[5000], 31);
    let circuit = Recorder::default();
    assert!(matches!(
        run(&d, TRACED, &WEIGHTS[..4], &circuit).unwrap_err(),
        ProverError::FalseClaim(_)
    ));
    let other = Dataset::new(3, &[5000], 32);
    let columns = other.columns(TRACED);
    let request = PrivateRequest {
        manifest: &d.manifest,
        over: TRACED,
        order: Digest([1; 32]),
        output: 2,
        weights: &WEIGHTS,
        weight_blinder: Fr::from(4u64),
        commitment: Digest(fr_bytes(&Fr::from(77u64))),
        l1_bound: 1 << 40,
        l2_bound: 1 << 50,
        columns: &columns,
        public_key: &d.public_key,
        secret: &PodSecret::new([8; 32]),
    };
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    assert!(matches!(
        prove_private(&request, &circuit, &mut rng).unwrap_err(),
        ProverError::Root { .. }
    ));
    let request = PrivateRequest {
        public_key: &other.public_key,
        ..request
    };
    assert!(matches!(
        prove_private(&request, &circuit, &mut rng).unwrap_err(),
        ProverError::Refused(Refusal::PublicKey { .. })
    ));
    let request = PrivateRequest {
        public_key: &d.public_key,
        l1_bound: 0,
        ..request
    };
    assert!(matches!(
        prove_private(&request, &circuit, &mut rng).unwrap_err(),
        ProverError::Refused(Refusal::Program(_))
    ));
    assert!(circuit.seen.borrow().is_none());
}

#[test]
fn private_bodies_are_read_strictly() {
    let d = Dataset::new(3, &[5000], 31);
    let (statement, envelope) = run(&d, TRACED, &WEIGHTS, &Recorder::default()).unwrap();
    let matrix = statement.conform(&d.manifest).unwrap();
    let body = &envelope[39..];
    PrivateBody::decode(&matrix, body).unwrap();
    // h is a canonical element of Fr (LES-5).
    let mut bad = body.to_vec();
    bad[..32].fill(0xff);
    assert_eq!(
        PrivateBody::decode(&matrix, &bad).unwrap_err(),
        Refusal::Scalar { field: "h" }
    );
    for cut in [0, 31, 32, 35, 36, 100, body.len() - 4, body.len() - 1] {
        assert!(PrivateBody::decode(&matrix, &body[..cut]).is_err());
    }
    let mut long = body.to_vec();
    long.push(0);
    assert!(matches!(
        PrivateBody::decode(&matrix, &long).unwrap_err(),
        Refusal::Wire(_)
    ));
    // Every field of the private statement changes its digest.
    let base = statement.digest();
    for field in 0..5 {
        let mut s = statement.clone();
        if let Visibility::Private {
            commitment,
            l1_bound,
            l2_bound,
            srs,
            verifying_key,
        } = &mut s.visibility
        {
            match field {
                0 => commitment.0[0] ^= 1,
                1 => *l1_bound += 1,
                2 => *l2_bound += 1,
                3 => srs.0[0] ^= 1,
                _ => verifying_key.0[0] ^= 1,
            }
        }
        assert_ne!(s.digest(), base, "field {field}");
        assert!(matches!(
            verify_linear(s, &d.manifest, None, &envelope).unwrap_err(),
            Refusal::Statement { .. }
        ));
    }
}
