//! Openings and dealing checks between servers on the loopback interface
//! (PEER-9), with signatures at the end and marks on disk before messages leave.

mod net;
#[path = "../../protocol/tests/support/mod.rs"]
mod support;

use net::key;
use std::{
    fs::File,
    io::Write,
    sync::{Arc, Mutex},
};
use support::{Dealt, class, rng};
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_peers::*;
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::{BatchCheck, Durable, Live, MaskShare, Package, ProtocolError};

const K: u8 = 26;

fn values(n: usize) -> Vec<i64> {
    let bound = 1i64 << (62 - K);
    let spread = |i: i64| (i * 7_919_777_771).rem_euclid(2 * bound) - bound;
    (0..n as i64).map(spread).collect()
}

fn phase(x: i64) -> Fq {
    Fq::from_i128((i128::from(x) << K) + 12_345)
}

async fn servers(n: u8) -> Vec<Arc<Endpoint>> {
    let keys: Vec<_> = (0..n).map(key).collect();
    let nodes = loopback(&keys, Timing::default(), Limits::default()).await;
    nodes.unwrap().into_iter().map(Arc::new).collect()
}

/// Opens `n` values with these nodes of three.
async fn opens(n: usize, quorum: &[u8]) {
    let mut rng = rng(n as u64);
    let parties = quorum.len() as u8;
    let dealt = Dealt::new(class(K, Mechanism::None), parties, n as u64, &mut rng);
    let values = values(n);
    let phases: Vec<_> = values.iter().map(|x| phase(*x)).collect();
    let output = dealt.encrypt(&phases, &mut rng);
    let session = Digest([9; 32]);
    let nodes = servers(3).await;
    let mut tasks = Vec::new();
    for (party, number) in (0u8..).zip(quorum) {
        let node = Arc::clone(&nodes[usize::from(*number)]);
        let job = dealt.job(party, 0, &output, session);
        let quorum = quorum.to_vec();
        tasks.push(tokio::spawn(async move {
            let mut disk = tempfile::tempfile().unwrap();
            let mut marks = Vec::new();
            let mut session = node.session(session, &quorum).unwrap();
            let opened = open(job, &mut session, |mark| {
                marks.push(mark);
                fsync(&mut disk, mark)
            });
            let opened = opened.await.unwrap();
            assert_eq!(marks, [Durable::Spent, Durable::CheckPending]);
            let all = session.signatures(&[party; 64], 64).await.unwrap();
            let expected: Vec<_> = (0..parties).map(|p| vec![p; 64]).collect();
            assert_eq!(all, expected);
            session.finish();
            opened
        }));
    }
    let mut opened = Vec::new();
    for task in tasks {
        opened.push(task.await.unwrap());
    }
    assert!(opened.iter().all(|o| o.y == opened[0].y));
    let found: Vec<_> = dealt.unmask(0, &opened);
    let found: Result<Vec<_>, _> = found.into_iter().collect();
    assert_eq!(found.unwrap(), values);
    let _: &[MaskShare] = &opened[0].masks;
}

fn fsync(disk: &mut File, mark: Durable) -> std::io::Result<()> {
    writeln!(disk, "{mark:?}")?;
    disk.sync_all()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_open_one_value() {
    // PEER-9
    opens(1, &[0, 2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_open_a_batch() {
    // PEER-9
    opens(2048, &[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_of_three_open_one_value_and_a_batch() {
    // PEER-9
    opens(1, &[0, 1, 2]).await;
    opens(2048, &[0, 1, 2]).await;
}

/// The dealing check of a quorum of `parties`; `spoil` is done to what the
/// last party was dealt.
async fn checks(parties: u8, spoil: bool) -> Vec<(Result<Live, Failed>, Vec<Durable>)> {
    let mut rng = rng(5);
    let dealt = Dealt::new(class(K, Mechanism::None), parties, 3, &mut rng);
    let context = Digest([4; 32]);
    let dealt_values: Vec<_> = dealt.tickets.iter().map(|t| t.values.clone()).collect();
    let proof = dealt.dealer.prove(&context, 0, &dealt_values, &dealt.key);
    let nodes = servers(parties).await;
    let quorum: Vec<u8> = (0..parties).collect();
    let mut tasks = Vec::new();
    for party in 0..parties {
        let mut tickets: Vec<_> = (0..3).map(|i| dealt.ticket(party, i)).collect();
        if spoil && party + 1 == parties {
            tickets[1].values[7].value += Fq::ONE;
        }
        let key = dealt.key_share(party);
        let package = Package {
            seed: &dealt.dealer.seeds()[usize::from(party)],
            first: 0,
            tickets: &tickets,
            data_key: &key.shares,
            levels: &proof.levels,
            explicit: (party + 1 == parties).then_some(&proof.explicit[..]),
        };
        let shape = dealt.dealer.shape();
        let check = BatchCheck::new(shape, &context, dealt.live(party), &package, [party; 32]);
        let check = check.map_err(|(e, _)| e).unwrap();
        let node = Arc::clone(&nodes[usize::from(party)]);
        let quorum = quorum.clone();
        tasks.push(tokio::spawn(async move {
            let mut session = node.session(Digest([8; 32]), &quorum).unwrap();
            let mut marks = Vec::new();
            let result = check_dealing(check, &mut session, |mark| {
                marks.push(mark);
                Ok::<(), String>(())
            });
            let result = result.await;
            if result.is_ok() {
                session.finish();
            }
            (result, marks)
        }));
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.unwrap());
    }
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dealing_is_checked() {
    // PEER-9, TKT-4
    for parties in [2, 3] {
        for (result, marks) in checks(parties, false).await {
            result.unwrap();
            assert_eq!(marks, [Durable::CheckPending]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoilt_dealing_is_refused_by_its_own_name() {
    // PEER-9, TKT-4
    let ends = checks(2, true).await;
    let dealing = |e: &Failed| matches!(e.error, OpenError::Protocol(ProtocolError::Dealing(_)));
    assert!(ends.iter().any(|(r, _)| r.as_ref().is_err_and(dealing)));
    for (result, marks) in ends {
        let told = matches!(
            &result,
            Err(Failed {
                error: OpenError::Peer(PeerError::PeerLeft {
                    reason: Leave::Refused,
                    ..
                }),
                ..
            })
        );
        // No sigma has left: the keys are free.
        assert!(result.as_ref().is_err_and(|e| e.live.is_some()));
        assert!(result.is_err_and(|e| dealing(&e)) || told);
        assert_eq!(marks, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_before_it_is_on_disk() {
    // PEER-9, OPN-4: a disk that fails at one node; the other hears no share.
    let mut rng = rng(6);
    for failing in [Durable::Spent, Durable::CheckPending] {
        let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
        let output = dealt.encrypt(&[phase(5)], &mut rng);
        let session = Digest([3; 32]);
        let nodes = servers(2).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for party in 0..2u8 {
            let node = Arc::clone(&nodes[usize::from(party)]);
            let job = dealt.job(party, 0, &output, session);
            let order = Arc::clone(&order);
            tasks.push(tokio::spawn(async move {
                let mut session = node.session(session, &[0, 1]).unwrap();
                open(job, &mut session, |mark| {
                    order.lock().unwrap().push((party, mark));
                    if party == 0 && mark == failing {
                        Err("the disk is full")
                    } else {
                        Ok(())
                    }
                })
                .await
            }));
        }
        let second = tasks.pop().unwrap().await.unwrap();
        let first = tasks.pop().unwrap().await.unwrap();
        let first = first.err().unwrap();
        assert!(matches!(first.error, OpenError::Durable(ref e) if e == "the disk is full"));
        assert_eq!(first.live.is_some(), failing == Durable::Spent);
        let round = if failing == Durable::Spent { 1 } else { 10 };
        match second.map_err(|failed| failed.error) {
            Err(OpenError::Peer(e)) => assert_eq!(
                e,
                PeerError::PeerLeft {
                    peer: 0,
                    round,
                    reason: Leave::Durable
                }
            ),
            _ => panic!("opened without the other's share"),
        }
    }
}

#[tokio::test]
async fn a_session_is_the_jobs_and_of_a_quorum() {
    // PEER-5, PEER-6, PEER-9
    let mut rng = rng(7);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
    let output = dealt.encrypt(&[phase(5)], &mut rng);
    let nodes = servers(3).await;
    let quorum_error = |quorum: &[u8]| SessionError::Quorum {
        quorum: quorum.to_vec(),
        own: 0,
    };
    for quorum in [&[1, 2][..], &[0], &[1, 0], &[0, 0, 1], &[0, 3], &[]] {
        let refused = nodes[0].session(Digest([1; 32]), quorum).err();
        assert_eq!(refused, Some(quorum_error(quorum)));
    }
    let go = |_| Ok::<(), String>(());
    // Digest of the session, quorum, and party and digest of the job.
    for (digest, quorum, party, of_job, what) in [
        (2, &[0, 1][..], 0, 1, "digest"),
        (3, &[0, 1], 1, 3, "party"),
        (4, &[0, 1, 2], 0, 4, "parties"),
    ] {
        let digest = Digest([digest; 32]);
        let mut session = nodes[0].session(digest, quorum).unwrap();
        let again = nodes[0].session(digest, quorum).err();
        assert_eq!(again, Some(SessionError::Used(digest)));
        let job = dealt.job(party, 0, &output, Digest([of_job; 32]));
        let refused = open(job, &mut session, go).await.err().unwrap();
        assert!(refused.live.is_some());
        let refused = refused.error;
        assert!(
            matches!(refused, OpenError::Job { what: w, .. } if w == what),
            "{refused}"
        );
        // Over is over.
        let again = nodes[0].session(digest, quorum).err();
        assert_eq!(again, Some(SessionError::Used(digest)));
    }
}
