//! Openings end to end: values, lies in every round, and what a node sees.

mod support;

use rand_core::Rng;
use support::{Dealt, class, rng, run};
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::*;

/// Messages at the edges and anywhere, with noise at the edges and anywhere.
fn cases(k: u8, n: usize, rng: &mut impl Rng) -> Vec<(i64, i64)> {
    let bound = 1i64 << (62 - k);
    let half = 1i64 << (k - 1);
    let mut out = Vec::new();
    for x in [0, 1, -1, bound, -bound, bound - 1, 1 - bound] {
        for e in [0, 1, -1, half - 1, 1 - half] {
            out.push((x, e));
        }
    }
    while out.len() < n {
        let x = (rng.next_u64() as i64).rem_euclid(2 * bound + 1) - bound;
        let e = (rng.next_u64() as i64).rem_euclid(2 * half - 1) - (half - 1);
        out.push((x, e));
    }
    out
}

fn phase(k: u8, (x, e): (i64, i64)) -> Fq {
    Fq::from_i128((i128::from(x) << k) + i128::from(e))
}

#[test]
fn opens_the_rounded_value_whatever_the_mask() {
    // OPN-1..3, SHR-2..4, TKT-2, TKT-3, TKT-5
    let mut rng = rng(1);
    for (k, parties) in [
        (4, 2),
        (5, 3),
        (20, 2),
        (26, 2),
        (27, 2),
        (28, 5),
        (39, 2),
        (40, 2),
        (58, 2),
    ] {
        let cases = cases(k, 60, &mut rng);
        let dealt = Dealt::new(class(k, Mechanism::None), parties, 64, &mut rng);
        let words: Vec<_> = cases.iter().map(|c| phase(k, *c)).collect();
        let output = dealt.encrypt(&words, &mut rng);
        let session = Digest([k; 32]);
        let jobs = (0..parties).map(|p| dealt.job(p, 2, &output, session));
        let opened = run(jobs.collect(), &mut |_, _, _, _| {});
        let opened: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
        let found = dealt.unmask(2, &opened);
        for ((x, e), found) in cases.iter().zip(found) {
            assert_eq!(found, Ok(*x), "k = {k}, e = {e}");
        }
    }
}

/// Lies in a round by one party, to all others.
fn lie(
    dealt: &Dealt,
    output: &veilbourse_core::ciphertext::OutputCiphertext,
    liar: u8,
    round: u8,
    change: &dyn Fn(&mut Vec<u8>),
) -> Vec<Result<Opened, ProtocolError>> {
    let jobs = (0..dealt.parties()).map(|p| dealt.job(p, 0, output, Digest([9; 32])));
    run(jobs.collect(), &mut |from, _, r, bytes| {
        if from == liar && r == round {
            change(bytes);
        }
    })
}

#[test]
fn a_lie_in_any_round_ends_without_a_result() {
    // OPN-4
    let mut rng = rng(2);
    for parties in [2, 3] {
        let dealt = Dealt::new(class(26, Mechanism::None), parties, 8, &mut rng);
        let words: Vec<_> = (0..3).map(|i| phase(26, (i, 0))).collect();
        let output = dealt.encrypt(&words, &mut rng);
        let rounds = dealt.dealer.shape().plan.rounds as u8 + 6;
        for liar in 0..parties {
            for round in 0..rounds {
                // The first word of the payload, one off modulo q: canonical.
                let ends = lie(&dealt, &output, liar, round, &|bytes| {
                    let word = u64::from_le_bytes(bytes[34..42].try_into().unwrap());
                    let other = Fq::reduce(word) + Fq::ONE;
                    bytes[34..42].copy_from_slice(&other.word().to_le_bytes());
                });
                for (party, end) in (0u8..).zip(&ends) {
                    if party == liar {
                        continue;
                    }
                    let e = end.as_ref().err().expect("no result");
                    let expected = match rounds - 1 - round {
                        0 => {
                            matches!(e, ProtocolError::Commitment { party, what: "check" } if *party == liar)
                        }
                        1 => {
                            matches!(e, ProtocolError::Commitment { party, what: "check" } if *party == liar)
                        }
                        2 => {
                            matches!(e, ProtocolError::Commitment { party, what: "coin" } if *party == liar)
                        }
                        _ if round == 0 => {
                            matches!(e, ProtocolError::Commitment { party, what: "coin" } if *party == liar)
                        }
                        _ => matches!(
                            e,
                            ProtocolError::Equivocation { .. } | ProtocolError::MacCheck
                        ),
                    };
                    assert!(expected, "round {round}, party {party}: {e}");
                }
                assert!(
                    ends.iter()
                        .enumerate()
                        .all(|(p, e)| p == usize::from(liar) || e.is_err())
                );
            }
        }
    }
}
