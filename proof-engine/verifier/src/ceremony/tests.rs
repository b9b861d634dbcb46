//! Honest chains pass; every field changed, and every way to take a contribution
//! out of its place, is refused by its own rule (CER-1..6).
//!
//! Over 500 lines: one case a refusal, and the tables are only complete in one
//! place.

use super::{transcript::Transcript, *};
use crate::{field::Fr, marlin::scalar_from_wide};
use ark_bls12_381::G1Affine;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::One;
use ark_serialize::CanonicalDeserialize;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use veilbourse_core::{digest::Digest, wire::WireError};

/// A field by name, and how it is changed.
type Change<'a> = (&'static str, &'a dyn Fn(&mut Contribution));

fn header(id: u8) -> Header {
    Header {
        id: [id; 32],
        degree: 12,
        purpose: "tests".into(),
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn random(rng: &mut ChaCha20Rng) -> Fr {
    let mut bytes = [0u8; 64];
    rng.fill_bytes(&mut bytes);
    scalar_from_wide(&bytes)
}

/// A contributor who multiplies `bases` (the last tau and gamma, if honest),
/// changes the statement, then proves and signs it.
fn contribute_over(
    t: &Transcript,
    bases: (G1Affine, G1Affine),
    seed: u8,
    change: impl FnOnce(&mut Statement),
) -> Contribution {
    let rng = &mut ChaCha20Rng::seed_from_u64(u64::from(seed));
    let (x, y, k, l) = (random(rng), random(rng), random(rng), random(rng));
    let mut statement = Statement {
        name: format!("contributor {seed}"),
        key: key(seed).verifying_key().to_bytes(),
        tau: (bases.0 * x).into_affine(),
        gamma: (bases.1 * y).into_affine(),
        points: Digest([seed; 32]),
        tau_nonce: (bases.0 * k).into_affine(),
        gamma_nonce: (bases.1 * l).into_affine(),
    };
    change(&mut statement);
    let c = challenge(&t.head(), &bases.0, &bases.1, &statement);
    let made = Contribution {
        statement,
        tau_answer: k + c * x,
        gamma_answer: l + c * y,
        signature: [0; 64],
    };
    signed(t, made, seed)
}

fn signed(t: &Transcript, mut c: Contribution, seed: u8) -> Contribution {
    c.signature = key(seed).sign(&c.message(&t.head())).to_bytes();
    c
}

fn contribute(t: &Transcript, seed: u8) -> Contribution {
    contribute_over(t, t.last(), seed, |_| {})
}

fn chain(id: u8, seeds: impl IntoIterator<Item = u8>) -> Transcript {
    let mut t = Transcript::start(header(id)).unwrap();
    for s in seeds {
        t.append(contribute(&t, s)).unwrap();
    }
    t
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn honest_chains_verify(id in any::<u8>(), first in 1u8..200, n in 0u8..6) {
        // CER-1, CER-4.
        let t = chain(id, first..first + n);
        prop_assert_eq!(Transcript::decode(&t.encode()).unwrap(), t.clone());
        prop_assert_eq!(t.len(), u32::from(n));
        prop_assert_eq!(t.claim().is_ok(), u32::from(n) >= MIN_CONTRIBUTIONS);
        for (i, s) in (first..first + n).enumerate() {
            let key = key(s).verifying_key().to_bytes();
            prop_assert_eq!(t.contribution_of(&key), Some(i as u32 + 1));
        }
    }
}

/// What a contribution to a chain of two is refused for.
fn refused(c: Contribution) -> CeremonyRefusal {
    let mut t = chain(1, [1, 2]);
    let before = t.clone();
    let e = t.append(c).unwrap_err();
    assert_eq!(t, before, "a refused contribution changes nothing");
    e
}

#[test]
fn every_field_is_under_the_signature() {
    // CER-5.
    let t = chain(1, [1, 2]);
    let good = contribute(&t, 3);
    t.clone().append(good.clone()).unwrap();
    let g = G1Affine::generator();
    let changes: [Change<'_>; 10] = [
        ("name", &|c| c.statement.name.push('x')),
        ("key", &|c| {
            c.statement.key = key(9).verifying_key().to_bytes();
        }),
        ("tau", &|c| {
            c.statement.tau = (c.statement.tau + g).into_affine()
        }),
        ("gamma", &|c| {
            c.statement.gamma = (c.statement.gamma + g).into_affine();
        }),
        ("points", &|c| c.statement.points.0[7] ^= 1),
        ("tau_nonce", &|c| {
            c.statement.tau_nonce = (c.statement.tau_nonce + g).into_affine();
        }),
        ("gamma_nonce", &|c| {
            c.statement.gamma_nonce = (c.statement.gamma_nonce + g).into_affine();
        }),
        ("tau_answer", &|c| c.tau_answer += Fr::one()),
        ("gamma_answer", &|c| c.gamma_answer += Fr::one()),
        ("signature", &|c| c.signature[40] ^= 1),
    ];
    for (field, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(
            refused(bad),
            CeremonyRefusal::Signature { number: 3 },
            "{field}"
        );
    }
    // Of order 4, or no point at all.
    let none = (0..=255u8).map(|b| [b; 32]);
    let none = none
        .into_iter()
        .find(|b| ed25519_dalek::VerifyingKey::from_bytes(b).is_err());
    for weak in [[0u8; 32], none.unwrap()] {
        let mut bad = good.clone();
        bad.statement.key = weak;
        assert_eq!(refused(bad), CeremonyRefusal::Key { number: 3 });
    }
}

#[test]
fn every_field_is_under_the_proofs() {
    // CER-4: changed after proving, signed again by the contributor.
    let t = chain(1, [1, 2]);
    let good = contribute(&t, 3);
    let g = G1Affine::generator();
    let changes: [Change<'_>; 8] = [
        ("tau", &|c| c.statement.name.push('x')),
        ("tau", &|c| {
            c.statement.tau = (c.statement.tau + g).into_affine()
        }),
        ("tau", &|c| {
            c.statement.gamma = (c.statement.gamma + g).into_affine()
        }),
        ("tau", &|c| c.statement.points.0[7] ^= 1),
        ("tau", &|c| {
            c.statement.tau_nonce = (c.statement.tau_nonce + g).into_affine();
        }),
        ("tau", &|c| {
            c.statement.gamma_nonce = (c.statement.gamma_nonce + g).into_affine();
        }),
        ("tau", &|c| c.tau_answer += Fr::one()),
        ("gamma", &|c| c.gamma_answer += Fr::one()),
    ];
    for (field, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let bad = signed(&t, bad, 3);
        assert_eq!(refused(bad), CeremonyRefusal::Proof { number: 3, field });
    }
    // Taken by another, who has no proof of their own.
    let mut stolen = good;
    stolen.statement.key = key(4).verifying_key().to_bytes();
    assert_eq!(
        refused(signed(&t, stolen, 4)),
        CeremonyRefusal::Proof {
            number: 3,
            field: "tau"
        }
    );
}

#[test]
fn zero_one_and_what_undoes_others_are_no_factors() {
    // CER-2, CER-3.
    let t = chain(1, [1, 2]);
    for (field, change) in [
        (
            "tau",
            (|s: &mut Statement| s.tau = G1Affine::zero()) as fn(&mut Statement),
        ),
        ("gamma", |s| s.gamma = G1Affine::zero()),
        ("tau_nonce", |s| s.tau_nonce = G1Affine::zero()),
        ("gamma_nonce", |s| s.gamma_nonce = G1Affine::zero()),
    ] {
        assert_eq!(
            refused(contribute_over(&t, t.last(), 3, change)),
            CeremonyRefusal::Identity { number: 3, field }
        );
    }
    let after = |i: usize| t.contributions()[i].statement.clone();
    let starts = (G1Affine::generator(), G1Affine::generator());
    for (earlier, (tau, gamma)) in [
        starts,
        (after(0).tau, after(0).gamma),
        (after(1).tau, after(1).gamma),
    ]
    .into_iter()
    .enumerate()
    {
        for field in ["tau", "gamma"] {
            let bad = contribute_over(&t, t.last(), 3, |s| match field {
                "tau" => s.tau = tau,
                _ => s.gamma = gamma,
            });
            assert_eq!(
                refused(bad),
                CeremonyRefusal::Repeated {
                    number: 3,
                    field,
                    earlier: earlier as u32
                }
            );
        }
    }
}

#[test]
fn whoever_starts_afresh_is_refused() {
    // CER-4: the last contributor ignores all before and proves to g.
    let t = chain(1, [1, 2]);
    let g = G1Affine::generator();
    for (bases, field) in [
        ((g, g), "tau"),
        ((g, t.last().1), "tau"),
        ((t.last().0, g), "gamma"),
    ] {
        // Even over the challenge that the transcript asks for.
        let mut bad = contribute_over(&t, bases, 3, |_| {});
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        let (x, y, k, l) = (random(rng), random(rng), random(rng), random(rng));
        let c = challenge(&t.head(), &t.last().0, &t.last().1, &bad.statement);
        (bad.tau_answer, bad.gamma_answer) = (k + c * x, l + c * y);
        assert_eq!(
            refused(signed(&t, bad, 3)),
            CeremonyRefusal::Proof { number: 3, field }
        );
    }
}

/// A transcript's bytes with other contributions.
fn bytes_of(header: &Header, contributions: &[&Contribution]) -> Vec<u8> {
    let empty = Transcript::start(header.clone()).unwrap().encode();
    let mut w = veilbourse_core::wire::Writer::new();
    w.raw(&empty[..empty.len() - 4]).len(contributions.len());
    for c in contributions {
        c.write(&mut w);
    }
    w.finish()
}

#[test]
fn contributions_stay_in_their_place() {
    // CER-5, CER-6.
    let t = chain(1, [1, 2, 3]);
    let [a, b, c] = [0, 1, 2].map(|i| &t.contributions()[i]);
    let read = |list: &[&Contribution]| Transcript::decode(&bytes_of(t.header(), list));
    assert_eq!(read(&[a, b, c]).unwrap(), t);
    let signature = |number| Err(CeremonyRefusal::Signature { number });
    assert_eq!(read(&[b, a, c]), signature(1));
    assert_eq!(read(&[a, c, b]), signature(2));
    assert_eq!(read(&[b, c]), signature(1), "the first dropped");
    assert_eq!(read(&[a, c]), signature(2), "one dropped in between");
    let twice = CeremonyRefusal::DuplicateKey {
        number: 3,
        earlier: 2,
    };
    assert_eq!(read(&[a, b, b]), Err(twice.clone()));
    // The same key again, for a good contribution.
    assert_eq!(refused(contribute(&chain(1, [1, 2]), 2)), twice);
    // Without its last one it is another transcript, of another string.
    let shorter = read(&[a, b]).unwrap();
    assert_ne!(shorter.head(), t.head());
    assert_ne!(shorter.srs().unwrap(), t.srs().unwrap());
    // Replayed in another ceremony: of another id, degree, purpose.
    for other in [
        header(2),
        Header {
            degree: 24,
            ..header(1)
        },
        Header {
            purpose: "others".into(),
            ..header(1)
        },
    ] {
        let e = Transcript::decode(&bytes_of(&other, &[a])).unwrap_err();
        assert_eq!(e, CeremonyRefusal::Signature { number: 1 });
    }
}

#[test]
fn every_byte_counts() {
    // CER-1, CER-2.
    let t = chain(1, [1, 2]);
    let bytes = t.encode();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(Transcript::decode(&bad).is_err(), "byte {at}");
    }
    for cut in 0..bytes.len() {
        assert!(Transcript::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let longer = [&bytes[..], &[0]].concat();
    let e = Transcript::decode(&longer).unwrap_err();
    assert!(
        matches!(
            e,
            CeremonyRefusal::Wire(WireError::Trailing { extra: 1, .. })
        ),
        "{e}"
    );
}

#[test]
fn sizes_and_texts_have_limits() {
    // CER-1.
    let large = vec![0u8; MAX_TRANSCRIPT_BYTES as usize + 1];
    let e = Transcript::decode(&large).unwrap_err();
    assert!(
        matches!(e, CeremonyRefusal::Wire(WireError::TooLarge { .. })),
        "{e}"
    );
    let empty = Transcript::start(header(1)).unwrap().encode();
    let at = empty.len() - 4;
    let mut many = empty.clone();
    many[at..].copy_from_slice(&(MAX_CONTRIBUTIONS + 1).to_le_bytes());
    let e = Transcript::decode(&many).unwrap_err();
    assert!(e.to_string().contains("1025 exceeds the limit 1024"), "{e}");
    // The limits fit each other.
    let longest = contribute_over(&chain(1, []), chain(1, []).last(), 1, |s| {
        s.name = "n".repeat(MAX_NAME_BYTES as usize);
    });
    let one = bytes_of(&header(1), &[&longest]).len() - empty.len();
    let most = one * MAX_CONTRIBUTIONS as usize + empty.len() + MAX_PURPOSE_BYTES as usize;
    assert!(most <= MAX_TRANSCRIPT_BYTES as usize, "{most}");
    let named = |name: &str| {
        refused(contribute_over(
            &chain(1, [1, 2]),
            chain(1, [1, 2]).last(),
            3,
            |s| s.name = name.into(),
        ))
    };
    let long = "n".repeat(MAX_NAME_BYTES as usize + 1);
    assert!(matches!(
        named(&long),
        CeremonyRefusal::Wire(WireError::TooLarge { limit: 64, .. })
    ));
    for bad in ["", " a", "a\u{1b}[2J", "a\n"] {
        let e = named(bad);
        assert!(
            matches!(e, CeremonyRefusal::Text { field: "name", .. }),
            "{e}"
        );
        let purpose = bad.into();
        let e = Transcript::start(Header {
            purpose,
            ..header(1)
        });
        assert!(matches!(
            e,
            Err(CeremonyRefusal::Text {
                field: "purpose",
                ..
            })
        ));
    }
    for degree in [0, 3, 6, 13, 3 << 20, u64::MAX] {
        let e = Transcript::start(Header {
            degree,
            ..header(1)
        });
        assert!(
            matches!(e, Err(CeremonyRefusal::Degree { value, .. }) if value == degree),
            "{degree}"
        );
    }
    for (at, field) in [(8, "curve"), (8 + 1 + 32 + 8, "hiding")] {
        let mut other = empty.clone();
        other[at] ^= 4;
        let e = Transcript::decode(&other).unwrap_err();
        assert!(
            matches!(e, CeremonyRefusal::Shape { field: f, .. } if f == field),
            "{e}"
        );
    }
}

#[test]
fn a_ceremony_has_an_end() {
    // CER-1: after the last one there is no room, whoever comes.
    let mut t = chain(1, []);
    for n in 0..MAX_CONTRIBUTIONS {
        let mut seed = [7u8; 32];
        seed[..4].copy_from_slice(&n.to_le_bytes());
        let key = SigningKey::from_bytes(&seed);
        let mut c = contribute_over(&t, t.last(), 1, |s| {
            s.key = key.verifying_key().to_bytes();
        });
        // The same factor each time: tau is x^n, never the same twice.
        c.signature = key.sign(&c.message(&t.head())).to_bytes();
        t.append(c).unwrap();
    }
    let e = t.append(contribute(&t, 1)).unwrap_err();
    assert_eq!(
        e,
        CeremonyRefusal::Full {
            limit: MAX_CONTRIBUTIONS,
            value: MAX_CONTRIBUTIONS + 1
        }
    );
}

#[test]
fn points_and_scalars_have_one_form() {
    // CER-2: not on the curve, not in the subgroup, infinity spelt otherwise,
    // scalars of r and more.
    let t = chain(1, [1]);
    let c = &t.contributions()[0];
    let good = bytes_of(t.header(), &[c]);
    let start = good.len() - (4 * 48 + 32 + 64 + 64);
    let places = [
        ("tau", start),
        ("gamma", start + 48),
        ("tau_nonce", start + 128),
        ("gamma_nonce", start + 176),
    ];
    let outside = (0u8..=255)
        .map(|x| {
            let mut b = [0u8; 48];
            (b[0], b[47]) = (0x80, x);
            b
        })
        .find(|b| {
            G1Affine::deserialize_compressed_unchecked(&b[..])
                .is_ok_and(|p| p.is_on_curve() && !p.is_in_correct_subgroup_assuming_on_curve())
        })
        .unwrap();
    let off = (0u8..=255)
        .map(|x| {
            let mut b = [0u8; 48];
            (b[0], b[47]) = (0x80, x);
            b
        })
        .find(|b| G1Affine::deserialize_compressed_unchecked(&b[..]).is_err())
        .unwrap();
    let mut infinity = [0u8; 48];
    (infinity[0], infinity[47]) = (0xc0, 1);
    for (field, at) in places {
        for point in [outside, off, infinity, [0xff; 48]] {
            let mut bad = good.clone();
            bad[at..at + 48].copy_from_slice(&point);
            assert_eq!(
                Transcript::decode(&bad),
                Err(CeremonyRefusal::Point { number: 1, field })
            );
        }
    }
    let scalars = good.len() - 128;
    for (field, at) in [("tau_answer", scalars), ("gamma_answer", scalars + 32)] {
        let mut bad = good.clone();
        bad[at..at + 32].fill(0xff);
        assert_eq!(
            Transcript::decode(&bad),
            Err(CeremonyRefusal::Scalar { number: 1, field })
        );
    }
}

#[test]
fn claims_need_their_transcript() {
    // CER-8, CER-9.
    let t = chain(1, [1, 2, 3]);
    let (bytes, claim, srs) = (t.encode(), t.claim().unwrap(), t.srs().unwrap());
    assert_eq!(backed(&srs, Some(claim), Some(&bytes), &[]), Ok(Some(t)));
    assert_eq!(backed(&srs, None, None, &[]), Ok(None));
    assert_eq!(
        backed(&srs, None, Some(&bytes), &[]),
        Err(CeremonyRefusal::Unasked)
    );
    assert_eq!(
        backed(&srs, Some(claim), None, &[]),
        Err(CeremonyRefusal::Missing)
    );
    let other = Digest([1; 32]);
    for (field, srs, claim) in [
        ("srs", other, claim),
        (
            "transcript",
            srs,
            Claim {
                transcript: other,
                ..claim
            },
        ),
        (
            "contributors",
            srs,
            Claim {
                contributors: 4,
                ..claim
            },
        ),
    ] {
        let e = backed(&srs, Some(claim), Some(&bytes), &[]).unwrap_err();
        assert!(
            matches!(e, CeremonyRefusal::Claim { field: f, .. } if f == field),
            "{e}"
        );
    }
    // What the string itself would be called as dev, or by another transcript.
    let points = Digest([3; 32]);
    assert_ne!(srs_digest(None, 12, &points), srs);
    assert_eq!(srs_digest(Some(&claim), 12, &points), srs);
    // One alone is no ceremony.
    let one = chain(1, [1]);
    let alone = Claim {
        transcript: one.head(),
        contributors: 1,
    };
    let found = srs_digest(Some(&alone), 12, &Digest([1; 32]));
    assert_eq!(
        backed(&found, Some(alone), Some(&one.encode()), &[]),
        Err(CeremonyRefusal::TooFew { limit: 2, value: 1 })
    );
}
