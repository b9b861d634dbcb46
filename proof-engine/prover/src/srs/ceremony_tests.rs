//! Ceremonies with their points: honest ones end in strings that load, whatever
//! does not belong together is refused (CER-4, CER-6..10).

use super::{Ceremony, Provenance, Srs, ceremony, points::Points, silent};
use crate::{
    ProverError,
    marlin::{self, random_scalar},
    r1cs::R1cs,
};
use ark_bls12_381::{Fr, G1Affine, G2Affine};
use ark_ec::{
    AffineRepr, CurveGroup,
    short_weierstrass::{Affine, Projective, SWCurveConfig},
};
use ark_ff::{BigInteger, One, PrimeField, Zero};
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::Mutex;
use veilbourse_core::digest::Digest;
use veilbourse_verifier::{
    ceremony::{CeremonyRefusal, Contribution, Statement, Transcript, challenge},
    marlin::VerifyingKey,
};

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn key(seed: u64) -> SigningKey {
    let mut secret = [0xA5; 32];
    secret[..8].copy_from_slice(&seed.to_le_bytes());
    SigningKey::from_bytes(&secret)
}

fn made(log_rows: u32, id: u64, seeds: impl IntoIterator<Item = u64>) -> Ceremony {
    let mut c = Ceremony::start(log_rows, "tests", &mut rng(id)).unwrap();
    for s in seeds {
        c = c
            .contribute(&format!("number {s}"), &key(s), &mut rng(s), &silent)
            .unwrap();
    }
    c
}

fn read(c: &Ceremony) -> Result<Ceremony, ProverError> {
    Ceremony::decode(&c.encode(), &mut rng(99), &silent)
}

fn load(bytes: &[u8]) -> Result<Srs, ProverError> {
    Srs::decode(bytes, &mut rng(98))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn honest_chains_are_accepted(seed in 0u64..1 << 40, n in 0u64..4) {
        // CER-4, CER-7.
        let c = made(2, seed, seed + 1..seed + 1 + n);
        prop_assert_eq!(read(&c).unwrap(), c.clone());
        match c.clone().finish() {
            Ok(srs) => {
                prop_assert!(n >= 2);
                prop_assert_eq!(load(&srs.encode()).unwrap(), srs.clone());
                prop_assert_eq!(srs.digest(), c.transcript().srs().unwrap());
                prop_assert_eq!(srs.max_degree(), 12);
            }
            Err(e) => {
                let expected = CeremonyRefusal::TooFew { limit: 2, value: n as u32 };
                prop_assert_eq!(e, ProverError::Ceremony(expected));
            }
        }
    }
}

#[test]
fn every_factor_is_in_the_end_result() {
    // CER-4: the contributors' generators are known here, so tau and gamma are.
    let srs = made(2, 1, [1, 2, 3]).finish().unwrap();
    let (mut tau, mut gamma) = (Fr::one(), Fr::one());
    for s in [1, 2, 3] {
        let r = &mut rng(s);
        tau *= random_scalar(r);
        gamma *= random_scalar(r);
    }
    assert_eq!(srs.points, Points::of(12, &tau, &gamma).unwrap());
    assert_eq!(srs.provenance().name(), "ceremony");
    assert_eq!(srs.provenance().claim().unwrap().contributors, 3);
    // The same points made by one who knows tau have another name.
    let dev = Srs::new(Provenance::Dev, srs.points.clone());
    assert_ne!(dev.digest(), srs.digest());
    assert_eq!(dev.provenance().claim(), None);
}

/// A field by name, and how it is changed.
type Change<'a> = (&'static str, &'a dyn Fn(&mut VerifyingKey));

/// What proves one constraint under a string: x x = x.
fn verifying_key(srs: &Srs) -> VerifyingKey {
    let x = vec![(Fr::one(), 1)];
    let circuit = R1cs {
        public_inputs: 1,
        witnesses: 0,
        rows: vec![[x.clone(), x.clone(), x]],
    };
    marlin::index(srs, &circuit).unwrap().verifying().clone()
}

#[test]
fn verifying_keys_are_the_ceremonys_own() {
    // CER-10.
    let srs = made(2, 1, [1, 2]).finish().unwrap();
    let t = srs.provenance().transcript().unwrap();
    let good = verifying_key(&srs);
    assert_eq!(t.check_key(&good), Ok(()));
    let changes: [Change<'_>; 6] = [
        ("srs", &|k| k.srs = Digest([1; 32])),
        ("max_degree", &|k| k.max_degree = 24),
        ("g", &|k| k.g = k.gamma_g),
        ("gamma_g", &|k| k.gamma_g = k.g),
        ("h", &|k| k.h = k.tau_h),
        ("tau_h", &|k| k.tau_h = k.h),
    ];
    for (field, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(
            t.check_key(&bad),
            Err(CeremonyRefusal::VerifyingKey { field })
        );
    }
    let other = made(2, 2, [1, 2]).finish().unwrap();
    assert_eq!(
        t.check_key(&verifying_key(&other)),
        Err(CeremonyRefusal::VerifyingKey { field: "srs" })
    );
}

/// A contributor who signs and proves rightly what its factors make of tau and
/// gamma, over points that `change` had a hand in.
fn malicious(before: &Ceremony, change: impl FnOnce(&mut Points)) -> Ceremony {
    let r = &mut rng(7);
    let (x, y) = (random_scalar(r), random_scalar(r));
    let (k, l) = (random_scalar(r), random_scalar(r));
    let honest = before.points.scaled(&x, &y, &silent);
    let mut points = honest.clone();
    change(&mut points);
    let (tau, gamma) = before.transcript.last();
    let head = before.transcript.head();
    let statement = Statement {
        name: "mallory".into(),
        key: key(7).verifying_key().to_bytes(),
        tau: honest.powers[1],
        gamma: honest.hiding[0],
        points: Points::digest(&points.encode()),
        tau_nonce: (tau * k).into_affine(),
        gamma_nonce: (gamma * l).into_affine(),
    };
    let c = challenge(&head, &tau, &gamma, &statement);
    let mut made = Contribution {
        statement,
        tau_answer: k + c * x,
        gamma_answer: l + c * y,
        signature: [0; 64],
    };
    made.signature = key(7).sign(&made.message(&head)).to_bytes();
    let mut transcript = before.transcript.clone();
    transcript.append(made).unwrap();
    Ceremony { transcript, points }
}

/// Why the next contributor, and whoever loads the string in the end, refuse it.
fn refused(change: impl Fn(&mut Points)) -> String {
    let bad = malicious(&made(2, 1, [1, 2]), &change);
    let next = read(&bad).unwrap_err().to_string();
    let file = bad.clone().finish().unwrap().encode();
    assert_eq!(load(&file).unwrap_err().to_string(), next);
    next
}

#[test]
fn one_inconsistent_point_anywhere_is_found() {
    // CER-7, MAR-11: signed and rightly proven.
    read(&malicious(&made(2, 1, [1, 2]), |_| {})).unwrap();
    let g = G1Affine::generator();
    let other = |p: &mut G1Affine| *p = (*p + g).into_affine();
    for i in 2..=12 {
        let e = refused(|p| other(&mut p.powers[i]));
        assert!(e.starts_with("srs.powers"), "power {i}: {e}");
    }
    for i in 1..3 {
        let e = refused(|p| other(&mut p.hiding[i]));
        assert!(e.starts_with("srs.powers"), "hiding power {i}: {e}");
    }
    let shifts = Points::start(12).shifts.len();
    assert_eq!(shifts, 2);
    for i in 0..shifts {
        let e = refused(|p| p.shifts[i] = (p.shifts[i] + p.h).into_affine());
        assert!(e.starts_with("srs.shifts"), "shift {i}: {e}");
    }
    let e = refused(|p| p.tau_h = (p.tau_h + p.h).into_affine());
    assert!(e.starts_with("srs.powers"), "{e}");
    let e = refused(|p| p.h = p.tau_h);
    assert!(e.starts_with("srs.generators"), "{e}");
    let e = refused(|p| other(&mut p.powers[0]));
    assert!(e.starts_with("srs.generators"), "{e}");
    for change in [
        (|p: &mut Points| p.powers[0] = G1Affine::zero()) as fn(&mut Points),
        |p| p.hiding[2] = G1Affine::zero(),
        |p| p.tau_h = AffineRepr::zero(),
    ] {
        assert!(refused(change).starts_with("srs: degenerate"));
    }
}

/// A point of the curve that is not the identity and whose order divides the
/// cofactor: r times one that is not in the group, by doubling and adding.
fn outside<P: SWCurveConfig>() -> Affine<P> {
    let candidates = (1u64..).filter_map(|x| {
        let p = Affine::<P>::get_point_from_x_unchecked(P::BaseField::from(x), false)?;
        let bits = Fr::MODULUS.to_bits_be().into_iter();
        let made = bits.fold(Projective::<P>::zero(), |sum, bit| {
            let twice = sum + sum;
            if bit { twice + p } else { twice }
        });
        Some(made.into_affine())
    });
    candidates
        .into_iter()
        .find(|p| !p.is_zero())
        .expect("the cofactor is not one")
}

#[test]
fn points_outside_the_group_are_found_where_pairings_are_blind() {
    // CER-2, CER-7: a part of small order vanishes in every pairing. It would come
    // out in commitments, by a residue of the coefficient it is multiplied with.
    let low: G1Affine = outside();
    assert!(low.is_on_curve() && !low.is_in_correct_subgroup_assuming_on_curve());
    let before = made(2, 1, [1, 2]);
    for i in [2, 7, 12] {
        let change = |p: &mut Points| p.powers[i] = (p.powers[i] + low).into_affine();
        let bad = malicious(&before, change);
        assert_eq!(bad.points.check(&mut rng(5), &silent), Ok(()), "{i}");
        let e = refused(change);
        assert!(e.starts_with("srs.g1: not in the group"), "{i}: {e}");
    }
    let e = refused(|p| p.hiding[2] = (p.hiding[2] + low).into_affine());
    assert!(e.starts_with("srs.g1: not in the group"), "{e}");
    let low: G2Affine = outside();
    for i in 0..2 {
        let e = refused(|p| p.shifts[i] = (p.shifts[i] + low).into_affine());
        assert!(e.starts_with("srs.g2: not in the group"), "{i}: {e}");
    }
    let e = refused(|p| p.tau_h = (p.tau_h + low).into_affine());
    assert!(e.starts_with("srs.g2: not in the group"), "{e}");
}

#[test]
fn points_are_those_of_the_last_contribution() {
    // CER-7: whoever keeps to the transcript but starts the points afresh, and
    // so would know tau.
    let tau = random_scalar(&mut rng(50));
    let e = refused(|p| *p = Points::of(12, &tau, &tau).unwrap());
    assert!(e.starts_with("the string's tau is"), "{e}");
    let e = refused(|p| {
        let gamma = G1Affine::generator();
        p.hiding = [gamma, p.powers[1], p.powers[2]];
    });
    assert!(e.starts_with("the string's gamma is"), "{e}");
    // Another string's points, as good as they are.
    let (a, b) = (made(2, 1, [1, 2]), made(2, 2, [3, 4]));
    let glued = Ceremony {
        transcript: a.transcript.clone(),
        points: b.points.clone(),
    };
    let e = read(&glued).unwrap_err();
    assert!(
        matches!(
            &e,
            ProverError::Ceremony(CeremonyRefusal::Points {
                field: "digest",
                ..
            })
        ),
        "{e}"
    );
    // The start is one, and nothing else.
    let mut start = made(2, 1, []);
    start.points = a.points.clone();
    let e = read(&start).unwrap_err().to_string();
    assert!(e.starts_with("srs.powers"), "{e}");
}

#[test]
fn a_string_says_ceremony_only_with_its_transcript() {
    // CER-6, CER-8.
    let c = made(2, 1, [1, 2, 3]);
    let good = c.clone().finish().unwrap();
    let with = |transcript: &Transcript, points: &Points| {
        let provenance = Provenance::Ceremony(Box::new(transcript.clone()));
        load(&Srs::new(provenance, points.clone()).encode())
    };
    assert_eq!(with(&c.transcript, &c.points).unwrap(), good);
    // A dev string under a ceremony's name, and under a shorter ceremony's.
    let dev = Srs::dev(2, &mut rng(5)).unwrap();
    for transcript in [&c.transcript, &made(2, 1, [1, 2]).transcript] {
        let e = with(transcript, &dev.points).unwrap_err();
        assert!(
            matches!(
                &e,
                ProverError::Ceremony(CeremonyRefusal::Points {
                    field: "digest",
                    ..
                })
            ),
            "{e}"
        );
    }
    let one = made(2, 1, [1]);
    let few = CeremonyRefusal::TooFew { limit: 2, value: 1 };
    assert_eq!(
        with(&one.transcript, &one.points).unwrap_err(),
        ProverError::Ceremony(few)
    );
    // Of another degree than the ceremony's.
    let e = with(&c.transcript, &made(3, 1, [1, 2, 3]).points).unwrap_err();
    assert!(e.to_string().starts_with("srs.degree"), "{e}");
    // The kind's byte alone, either way.
    let at = 8 + 32;
    for (bytes, kind) in [(good.encode(), 1), (dev.encode(), 2), (dev.encode(), 3)] {
        let mut bad = bytes;
        bad[at] = kind;
        assert!(load(&bad).is_err(), "kind {kind}");
    }
}

#[test]
fn files_are_whole_and_nothing_more() {
    // CER-7: cuts, trailing bytes, a byte of each part.
    let c = made(2, 1, [1, 2]);
    for bytes in [c.encode(), c.clone().finish().unwrap().encode()] {
        let read = |b: &[u8]| match Ceremony::is_one(&bytes) {
            true => Ceremony::decode(b, &mut rng(9), &silent).map(|_| ()),
            false => load(b).map(|_| ()),
        };
        read(&bytes).unwrap();
        for cut in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
            assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(read(&[&bytes[..], &[0]].concat()).is_err());
        for at in (0..bytes.len()).step_by(41) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x20;
            assert!(read(&bad).is_err(), "byte {at}");
        }
    }
    let huge = vec![0xff; 12 + 40];
    assert!(Ceremony::decode(&huge, &mut rng(9), &silent).is_err());
    assert!(ceremony::max_bytes() < 1 << 28);
}

#[test]
fn infinity_and_signs_have_one_form_in_files() {
    // MAR-11: flags that a reader could ignore.
    let dev = Srs::dev(2, &mut rng(5)).unwrap();
    let start = 8 + 32 + 1 + 8;
    for flag in [0x20u8, 0x40, 0x80] {
        let mut points = dev.encode()[start..].to_vec();
        points[3 * 96] |= flag;
        let of_points = Points::digest(&points);
        let digest = veilbourse_verifier::ceremony::srs_digest(None, 12, &of_points);
        let mut bad = dev.encode();
        bad[8..40].copy_from_slice(&digest.0);
        bad[start..].copy_from_slice(&points);
        let e = load(&bad).unwrap_err().to_string();
        assert!(e.starts_with("srs.g1"), "{flag:x}: {e}");
    }
}

#[test]
fn a_contribution_tells_how_far_it_is_and_changes_nothing_before() {
    // CER-7.
    let told = Mutex::new(Vec::new());
    let tell = |stage: &'static str, done: u64, total: u64| {
        told.lock().unwrap().push((stage, done, total));
    };
    let c = made(2, 1, [1]);
    let before = c.clone();
    c.contribute("two", &key(2), &mut rng(2), &tell).unwrap();
    assert_eq!(c, before);
    let told = told.into_inner().unwrap();
    assert!(told.contains(&("multiply", 13, 13)), "{told:?}");
    assert_eq!(told.last(), Some(&("check", 3, 3)));
    // The same key twice is refused before anything is written.
    let again = c.contribute("one", &key(1), &mut rng(3), &silent);
    assert_eq!(
        again.unwrap_err(),
        ProverError::Ceremony(CeremonyRefusal::DuplicateKey {
            number: 2,
            earlier: 1
        })
    );
}
