//! Openings end to end: values, lies in every round, and what a node sees.

mod support;

use rand_core::Rng;
use support::{Dealt, class, rng, run, started};
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
        (8, 2),
        (9, 3),
        (20, 2),
        (26, 2),
        (27, 2),
        (28, 5),
        (39, 2),
        (40, 2),
        (48, 2),
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

#[test]
fn each_misdirected_message_is_its_own_refusal() {
    // OPN-4
    let mut rng = rng(3);
    let dealt = Dealt::new(class(26, Mechanism::None), 2, 4, &mut rng);
    let output = dealt.encrypt(&[phase(26, (1, 0)), phase(26, (2, 0))], &mut rng);
    let session = Digest([1; 32]);
    let fresh = || started(dealt.job(0, 0, &output, session)).0;
    let (_, peer) = started(dealt.job(1, 0, &output, session));
    let (_, replay) = started(dealt.job(1, 0, &output, Digest([2; 32])));
    let refusal = |from: u8, bytes: &[u8]| fresh().receive(from, bytes).err().expect("refused");
    let misdirected = |e: ProtocolError, what: &str| {
        assert!(
            matches!(&e, ProtocolError::Misdirected { what: w, .. } if *w == what),
            "{e}"
        );
    };
    misdirected(refusal(1, &replay.bytes), "session");
    misdirected(refusal(0, &peer.bytes), "party");
    let change = |at: usize, to: u8| {
        let mut bytes = peer.bytes.clone();
        bytes[at] = to;
        bytes
    };
    misdirected(refusal(1, &change(33, 0)), "party");
    misdirected(refusal(2, &change(33, 2)), "party");
    misdirected(refusal(1, &change(32, 2)), "round");
    misdirected(refusal(1, &change(32, 200)), "round");
    for length in [0, 31, 33, 34, peer.bytes.len() - 1] {
        let e = refusal(1, &peer.bytes[..length]);
        assert!(
            matches!(e, ProtocolError::Wire(_) | ProtocolError::Length { .. }),
            "{e}"
        );
    }
    let mut longer = peer.bytes.clone();
    longer.push(0);
    assert!(matches!(refusal(1, &longer), ProtocolError::Length { .. }));
    // A second message of a round, and anything after an end.
    let mut opening = fresh();
    assert!(matches!(
        opening.receive(1, &peer.bytes),
        Ok(Progress::Send(_))
    ));
    let e = opening.receive(1, &peer.bytes).err().expect("refused");
    assert_eq!(e, ProtocolError::Repeated { party: 1, round: 0 });
    let e = opening.receive(1, &peer.bytes).err().expect("over");
    assert_eq!(e, ProtocolError::Ended);
    // A word that is none.
    let ends = lie(&dealt, &output, 1, 1, &|b| b[34..42].fill(0xff));
    assert!(matches!(ends[0], Err(ProtocolError::Wire(_))));
    // What a job must hold; its keys come back.
    let refused = |change: &dyn Fn(&mut Job)| {
        let mut job = dealt.job(0, 0, &output, session);
        change(&mut job);
        let (e, live) = Opening::start(job).err().expect("refused");
        assert_eq!(live.party(), 0);
        e
    };
    let length = |e, of: &str| {
        assert!(
            matches!(&e, ProtocolError::Length { what, .. } if *what == of),
            "{e}"
        );
    };
    length(refused(&|j| drop(j.tickets.pop())), "tickets");
    length(refused(&|j| j.phases.clear()), "values of a batch");
    length(
        refused(&|j| j.tickets[0].values.truncate(3)),
        "shares of a ticket",
    );
    // One ticket for two values shows the difference of two phases.
    let e = refused(&|j| j.tickets[1] = j.tickets[0].clone());
    assert_eq!(e, ProtocolError::TicketTwice { ticket: 0 });
    let e = refused(&|j| j.tickets.swap(0, 1));
    assert_eq!(e, ProtocolError::TicketTwice { ticket: 0 });
}

#[test]
fn the_edge_of_a_party_that_saw_something_else() {
    // OPN-4: with three parties one may tell two stories.
    let mut rng = rng(4);
    let dealt = Dealt::new(class(26, Mechanism::None), 3, 2, &mut rng);
    let output = dealt.encrypt(&[phase(26, (1, 0))], &mut rng);
    let jobs = (0..3).map(|p| dealt.job(p, 0, &output, Digest([9; 32])));
    let ends = run(jobs.collect(), &mut |from, to, round, bytes| {
        if (from, to, round) == (2, 1, 1) {
            bytes[34] ^= 1;
        }
    });
    for end in &ends[..2] {
        let e = end.as_ref().err().expect("refused");
        assert!(matches!(e, ProtocolError::Equivocation { .. }), "{e}");
    }
}

#[test]
fn durable_marks_come_with_the_messages_that_need_them() {
    // OPN-4: "spent" before the first share, "check pending" before sigma.
    let mut rng = rng(5);
    let dealt = Dealt::new(class(26, Mechanism::None), 2, 1, &mut rng);
    let output = dealt.encrypt(&[phase(26, (1, 0))], &mut rng);
    let mut parties = Vec::new();
    let mut outbox = Vec::new();
    for p in 0..2 {
        let (o, m) = started(dealt.job(p, 0, &output, Digest([9; 32])));
        assert_eq!(m.durable, Durable::Nothing);
        parties.push(o);
        outbox.push(m);
    }
    let mut marks = Vec::new();
    loop {
        let bytes: Vec<_> = outbox.drain(..).map(|m| m.bytes).collect();
        let first = parties[0].receive(1, &bytes[1]).unwrap();
        let second = parties[1].receive(0, &bytes[0]).unwrap();
        match (first, second) {
            (Progress::Send(a), Progress::Send(b)) => {
                assert_eq!(a.durable, b.durable);
                marks.push((a.bytes[32], a.durable));
                outbox = vec![a, b];
            }
            (Progress::Done(_), Progress::Done(_)) => break,
            _ => panic!("out of step"),
        }
    }
    let rounds = dealt.dealer.shape().plan.rounds as u8 + 6;
    for (round, mark) in marks {
        let expected = match round {
            1 => Durable::Spent,
            r if r == rounds - 1 => Durable::CheckPending,
            _ => Durable::Nothing,
        };
        assert_eq!(mark, expected, "round {round}");
    }
}
