//! What is seen: opened words are uniform and do not depend on the noise of the
//! ciphertext; sums of masks show a joint total and no summand.

mod support;

use support::{Dealt, class, rng, run};
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::*;

const K: u8 = 26;

/// Every word that both parties sent, for phases m 2^k + e.
fn words(m: i64, e: i64, seed: u64) -> Vec<u64> {
    let mut rng = rng(seed);
    let n = 512;
    let dealt = Dealt::new(class(K, Mechanism::None), 2, n, &mut rng);
    let phase = Fq::from_i128((i128::from(m) << K) + i128::from(e));
    let output = dealt.encrypt(&vec![phase; n as usize], &mut rng);
    let rounds = dealt.dealer.shape().plan.rounds as u8;
    let mut sent = Vec::new();
    let jobs = (0..2).map(|p| dealt.job(p, 0, &output, Digest([1; 32])));
    let mut shares: Vec<Vec<u8>> = Vec::new();
    let ends = run(jobs.collect(), &mut |_, _, round, bytes| {
        if (1..=2 + rounds).contains(&round) {
            shares.push(bytes[34..].to_vec());
        }
    });
    assert!(ends.iter().all(Result::is_ok));
    // Shares of both, and what they add up to, of every round.
    for pair in shares.as_chunks::<2>().0 {
        let word = |b: &[u8]| -> Vec<u64> {
            b.as_chunks::<8>()
                .0
                .iter()
                .map(|w| u64::from_le_bytes(*w))
                .collect()
        };
        let (a, b) = (word(&pair[0]), word(&pair[1]));
        let sums = a.iter().zip(&b);
        sent.extend(sums.map(|(a, b)| (Fq::reduce(*a) + Fq::reduce(*b)).word()));
        sent.extend(a);
    }
    sent
}

/// Chi-square of 256 equal cells against uniform, by the top or the low byte.
fn chi_square(words: &[u64], shift: u32) -> f64 {
    let mut cells = [0u32; 256];
    for w in words {
        cells[(w >> shift & 0xff) as usize] += 1;
    }
    let expected = words.len() as f64 / 256.0;
    cells
        .iter()
        .map(|c| (f64::from(*c) - expected).powi(2) / expected)
        .sum()
}

#[test]
fn opened_words_are_uniform_whatever_the_noise() {
    // OPN-2, OPN-4. 255 degrees of freedom: above 480 with chance below 2^-50.
    let half = (1i64 << (K - 1)) - 1;
    let limit = 1i64 << (62 - K);
    for (i, (m, e)) in [
        (0, 0),
        (0, half),
        (0, -half),
        (limit, half),
        (-limit, -half),
        (77, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let seen = words(m, e, 100 + i as u64);
        assert!(seen.len() > 60_000);
        for shift in [0, 20, 28, 56] {
            let x = chi_square(&seen, shift);
            assert!(x < 480.0, "m = {m}, e = {e}, bits from {shift}: {x}");
        }
    }
}

#[test]
fn a_joint_total_is_opened_and_names_who_lies() {
    // OPN-3, OPN-9
    let mut rng = rng(7);
    let values = [5i64, -900, 12_345];
    let mut opened = Vec::new();
    let mut points = Vec::new();
    for (i, m) in values.iter().enumerate() {
        let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
        let output = dealt.encrypt(&[Fq::from_i128(i128::from(*m) << K)], &mut rng);
        let session = Digest([i as u8; 32]);
        let jobs = (0..2).map(|p| dealt.job(p, 0, &output, session)).collect();
        let ends = run(jobs, &mut |_, _, _, _| {});
        opened.push(ends.into_iter().map(Result::unwrap).collect::<Vec<_>>());
        let path = TicketPath {
            ticket: 0,
            commitments: dealt.tickets[0].commitments.clone(),
            path: dealt.tree.path(0),
        };
        points.push(commitments(&dealt.signed(), 2, &path).unwrap());
    }
    let y: Vec<Fq> = opened.iter().map(|o| o[0].y[0]).collect();
    let sum = |party: usize, upto: usize| {
        MaskShare::sum(opened.iter().take(upto).map(|o| &o[party].masks[0]))
    };
    let bound = 3 * class(K, Mechanism::None).value_bound();
    let total = |openings: &[MaskShare]| {
        unmask(
            0,
            &Masked {
                y: &y,
                commitments: &points,
                openings,
                bound,
            },
        )
    };
    let good = [sum(0, 3), sum(1, 3)];
    assert_eq!(total(&good), Ok(values.iter().sum()));
    for liar in 0..2u8 {
        let mut bad = good.clone();
        bad[usize::from(liar)] = sum(usize::from(liar), 2);
        let party = liar;
        assert_eq!(
            total(&bad),
            Err(ProtocolError::MaskShare { party, value: 0 })
        );
    }
    // A changed y is none of the commitments' business: it is out of range but
    // for a chance of 2^-28, and it was signed by all.
    let mut other = y.clone();
    other[1] += Fq::reduce(1 << 50);
    let masked = Masked {
        y: &other,
        commitments: &points,
        openings: &good,
        bound,
    };
    assert_eq!(unmask(0, &masked), Err(ProtocolError::Range { value: 0 }));
    let short = Masked {
        y: &y[..2],
        commitments: &points,
        openings: &good,
        bound,
    };
    assert!(matches!(
        unmask(0, &short),
        Err(ProtocolError::Length { .. })
    ));
    let few = Masked {
        y: &y,
        commitments: &points,
        openings: &good[..1],
        bound,
    };
    assert!(matches!(unmask(0, &few), Err(ProtocolError::Length { .. })));
}
