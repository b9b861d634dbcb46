//! A node that dies, hangs or is slow, in every round (PEER-8), and one that
//! lies (PEER-9). Time is paused: a machine's speed changes nothing.

mod net;
#[path = "../../protocol/tests/support/mod.rs"]
mod support;

use net::*;
use std::{sync::Arc, time::Duration};
use support::{Dealt, class, rng, started};
use tokio::time::{Instant, sleep};
use veilbourse_core::{ciphertext::OutputCiphertext, digest::Digest, field::Fq};
use veilbourse_peers::*;
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::{Job, Opened, Progress, ProtocolError};

const K: u8 = 26;
const ROUNDS: u8 = 11;
const VALUE: i64 = -77;

fn dealt(parties: u8) -> (Dealt, OutputCiphertext) {
    let mut rng = rng(u64::from(parties));
    let dealt = Dealt::new(class(K, Mechanism::None), parties, 1, &mut rng);
    let phase = Fq::from_i128((i128::from(VALUE) << K) + 5);
    let output = dealt.encrypt(&[phase], &mut rng);
    (dealt, output)
}

fn durable(_: veilbourse_protocol::Durable) -> Result<(), String> {
    Ok(())
}

/// Takes part up to `round`, with `change` done to each own message; the session,
/// still open.
async fn until(
    job: Job,
    mut session: Session,
    round: u8,
    mut change: impl FnMut(u8, &mut Vec<u8>),
) -> Session {
    let (mut opening, mut message) = started(job);
    let rounds = (0..opening.rounds()).map(|r| opening.message_bytes(r) as u32);
    let expected = Expected {
        lengths: rounds.collect(),
        exact: true,
    };
    session.expect(Kind::Round, expected).unwrap();
    for r in 0..round {
        change(r, &mut message.bytes);
        let Ok(heard) = session.exchange(Kind::Round, r, &message.bytes).await else {
            break;
        };
        for (party, bytes) in (0u8..).zip(heard) {
            if party != session.party() {
                match opening.receive(party, &bytes) {
                    Ok(Progress::Send(m)) => message = m,
                    Ok(_) => {}
                    Err(_) => return session,
                }
            }
        }
    }
    session
}

fn opened(result: Result<Opened, Failed>) -> Opened {
    result.unwrap_or_else(|e| panic!("{e}"))
}

/// How the others end, and after how long, when `victim` stops before `round`.
async fn stopped(
    dealt: &Dealt,
    output: &OutputCiphertext,
    victim: u8,
    round: u8,
    dies: bool,
) -> Vec<(Failed, Duration)> {
    let parties = dealt.parties();
    let quorum: Vec<u8> = (0..parties).collect();
    let net = Net::new();
    let mut all: Vec<_> = nodes(&net, parties).into_iter().map(Some).collect();
    for node in all.iter().flatten() {
        node.end.connected(&quorum).await;
    }
    let digest = Digest([round; 32]);
    let start = Instant::now();
    let mut tasks = Vec::new();
    let mut hung = Vec::new();
    for party in 0..parties {
        let node = all[usize::from(party)].take().unwrap();
        let job = dealt.job(party, 0, output, digest);
        let mut session = node.end.session(digest, &quorum).unwrap();
        if party == victim {
            hung.push(tokio::spawn(async move {
                let session = until(job, session, round, |_, _| {}).await;
                if !dies {
                    sleep(Duration::from_secs(3600)).await;
                }
                // The process is gone before it can say that it goes.
                drop(node);
                drop(session);
            }));
        } else {
            tasks.push(tokio::spawn(async move {
                let result = open(job, &mut session, durable).await;
                drop(node);
                (result, start.elapsed())
            }));
        }
    }
    let mut ends = Vec::new();
    for task in tasks {
        let (result, after) = task.await.unwrap();
        ends.push((result.err().expect("not opened"), after));
    }
    hung.iter().for_each(|h| h.abort());
    ends
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_in_any_round_is_named_in_time() {
    // PEER-8
    for parties in [2, 3] {
        let (dealt, output) = dealt(parties);
        for round in 0..ROUNDS {
            for dies in [true, false] {
                let victim = round % parties;
                let limit = if round == 0 {
                    timing().start
                } else {
                    timing().round
                };
                let mut silent = 0;
                for (e, after) in stopped(&dealt, &output, victim, round, dies).await {
                    assert!(after >= limit && after < limit + Duration::from_secs(1));
                    // The keys are free until sigma may have left.
                    assert_eq!(e.live.is_some(), round + 1 < ROUNDS);
                    match e.error {
                        OpenError::Peer(PeerError::PeerSilent {
                            peer,
                            round: r,
                            waited,
                        }) => {
                            assert_eq!((peer, r), (victim, round));
                            assert!(waited >= limit && waited < limit + Duration::from_secs(1));
                            silent += 1;
                        }
                        // Another one's patience ended a moment before.
                        OpenError::Peer(PeerError::PeerLeft { peer, reason, .. }) => {
                            assert_ne!(peer, victim);
                            assert_eq!(reason, Leave::Peer(victim));
                        }
                        e => panic!("{e}"),
                    }
                }
                assert!(silent > 0);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_is_waited_for() {
    // PEER-8: a second less than the limit, before every message.
    let (dealt, output) = dealt(2);
    let net = Net::new();
    let all = nodes(&net, 2);
    let digest = Digest([1; 32]);
    let mut tasks = Vec::new();
    for party in 0..2u8 {
        let node = Arc::clone(&all[usize::from(party)]);
        let job = dealt.job(party, 0, &output, digest);
        let mut session = node.end.session(digest, &[0, 1]).unwrap();
        tasks.push(tokio::spawn(async move {
            if party == 0 {
                return Some(opened(open(job, &mut session, durable).await));
            }
            sleep(timing().start - Duration::from_secs(1)).await;
            let (mut opening, mut message) = started(job);
            let rounds = (0..ROUNDS).map(|r| opening.message_bytes(r) as u32);
            let expected = Expected {
                lengths: rounds.collect(),
                exact: true,
            };
            session.expect(Kind::Round, expected).unwrap();
            loop {
                let round = opening.round();
                let heard = session.exchange(Kind::Round, round, &message.bytes).await;
                match opening.receive(0, &heard.unwrap()[0]).unwrap() {
                    Progress::Send(m) => message = m,
                    Progress::Done(o) => return Some(o),
                    Progress::Wait => return None,
                }
                sleep(timing().round - Duration::from_secs(1)).await;
            }
        }));
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.unwrap().unwrap());
    }
    assert_eq!(dealt.unmask(0, &ends), [Ok(VALUE)]);
}

/// Node 0 changes its messages in one session, and not in another one that runs
/// beside it on the same connection. The end of the first at node 1.
async fn lied(change: impl FnMut(u8, &mut Vec<u8>) + Send + 'static) -> OpenError {
    let (dealt, output) = dealt(2);
    let net = Net::new();
    let all = nodes(&net, 2);
    let (bad, good) = (Digest([1; 32]), Digest([2; 32]));
    let job = dealt.job(0, 0, &output, bad);
    let session = all[0].end.session(bad, &[0, 1]).unwrap();
    let liar = tokio::spawn(until(job, session, ROUNDS, change));
    let job = dealt.job(1, 0, &output, bad);
    let mut session = all[1].end.session(bad, &[0, 1]).unwrap();
    let lied_to = tokio::spawn(async move { open(job, &mut session, durable).await });
    let mut others = Vec::new();
    for party in 0..2u8 {
        let node = Arc::clone(&all[usize::from(party)]);
        let job = dealt.job(party, 0, &output, good);
        let mut session = node.end.session(good, &[0, 1]).unwrap();
        others.push(tokio::spawn(async move {
            let end = open(job, &mut session, durable).await;
            session.finish();
            opened(end)
        }));
    }
    let mut ends = Vec::new();
    for task in others {
        ends.push(task.await.unwrap());
    }
    assert_eq!(dealt.unmask(0, &ends), [Ok(VALUE)]);
    let end = lied_to.await.unwrap().err().expect("not opened");
    liar.await.unwrap();
    end.error
}

#[tokio::test(start_paused = true)]
async fn a_lie_in_any_round_ends_its_own_session_only() {
    // PEER-9, OPN-4
    for round in 0..ROUNDS {
        let end = lied(move |r, bytes| {
            if r == round {
                bytes[34] ^= 1;
            }
        });
        let end = end.await;
        assert!(
            matches!(
                end,
                OpenError::Protocol(
                    ProtocolError::Commitment { .. }
                        | ProtocolError::Equivocation { .. }
                        | ProtocolError::MacCheck
                        | ProtocolError::Wire(_)
                )
            ),
            "round {round}: {end}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_another_session_sender_or_round_is_refused() {
    // PEER-9, OPN-4
    for at in [0, 31, 33] {
        let end = lied(move |r, bytes| {
            if r == 3 {
                bytes[at] ^= 1;
            }
        });
        let end = end.await;
        let misdirected = matches!(end, OpenError::Protocol(ProtocolError::Misdirected { .. }));
        assert!(misdirected, "{end}");
    }
    let end = lied(|r, bytes| {
        if r == 3 {
            bytes[32] = 4;
        }
    });
    assert!(matches!(
        end.await,
        OpenError::Inside {
            peer: 0,
            round: 3,
            found: 4
        }
    ));
}
