//! What the network, a stranger or bad luck could make of good nodes: peers that
//! bar each other, and with it end their sessions (PEER-5..8).

mod net;

use net::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncWriteExt, duplex},
    task::JoinHandle,
    time::{Instant, sleep},
};
use veilbourse_core::digest::Digest;
use veilbourse_peers::{frame::encode, *};

const OVER: Digest = Digest([1; 32]);
const UNDER_WAY: Digest = Digest([2; 32]);

fn expected() -> Expected {
    Expected {
        lengths: vec![10, 20, 30],
        exact: true,
    }
}

/// Nodes 0 and 1; connections whose number is below the counter are cut at the
/// next byte.
fn fragile() -> (Vec<Arc<Node>>, Arc<AtomicUsize>) {
    let cut = Arc::new(AtomicUsize::new(0));
    let below = Arc::clone(&cut);
    let net = Net::with(move |_, _, nth, _, _, _| nth >= below.load(Ordering::SeqCst));
    (nodes(&net, 2), cut)
}

fn violations(all: &[Arc<Node>]) -> u64 {
    let health = all.iter().flat_map(|n| n.end.health());
    health.map(|h| h.violations).sum()
}

/// The steps `steps` of a session, at both nodes.
async fn steps(sessions: Vec<Session>, steps: std::ops::Range<u8>) -> Vec<Session> {
    let run = |mut session: Session| -> JoinHandle<Session> {
        let steps = steps.clone();
        tokio::spawn(async move {
            for step in steps {
                let own = vec![session.party(); 10 * (1 + usize::from(step))];
                session.exchange(Kind::Round, step, &own).await.unwrap();
            }
            session
        })
    };
    let mut out = Vec::new();
    for task in sessions.into_iter().map(run).collect::<Vec<_>>() {
        out.push(task.await.unwrap());
    }
    out
}

fn begin(all: &[Arc<Node>], digest: Digest) -> Vec<Session> {
    let begun = all.iter().map(|n| n.end.session(digest, &[0, 1]).unwrap());
    let mut begun: Vec<_> = begun.collect();
    for session in &mut begun {
        session.expect(Kind::Round, expected()).unwrap();
    }
    begun
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_often_bars_nobody() {
    // PEER-6, PEER-7: what is said again of a session that is over, on each new
    // connection, is no flood.
    let (all, cut) = fragile();
    all[0].end.connected(&[1]).await;
    for session in steps(begin(&all, OVER), 0..3).await {
        session.finish();
    }
    let going = steps(begin(&all, UNDER_WAY), 0..1).await;
    for broken in 1..=6 {
        cut.store(broken, Ordering::SeqCst);
        // The next sign of life breaks it.
        sleep(timing().idle / 2).await;
    }
    let health = all[1].end.health();
    assert!(health[0].connections >= 6, "{health:?}");
    assert_eq!(violations(&all), 0);
    for session in steps(going, 1..3).await {
        session.finish();
    }
    assert_eq!(violations(&all), 0);
}

#[tokio::test(start_paused = true)]
async fn a_bye_that_is_lost_is_said_again() {
    // PEER-7, PEER-8
    let (all, cut) = fragile();
    all[0].end.connected(&[1]).await;
    let mut sessions = begin(&all, OVER);
    let mut waits = sessions.pop().unwrap();
    let waiting = tokio::spawn(async move { waits.exchange(Kind::Round, 0, &[1; 10]).await });
    sleep(Duration::from_millis(10)).await;
    cut.store(usize::MAX, Ordering::SeqCst);
    sleep(timing().idle).await;
    let start = Instant::now();
    sessions.pop().unwrap().leave(Leave::Durable);
    cut.store(0, Ordering::SeqCst);
    let end = waiting.await.unwrap();
    let reason = Leave::Durable;
    assert!(
        matches!(
            end,
            Err(OpenError::Peer(PeerError::PeerLeft { peer: 0, round: 0, reason: r })) if r == reason
        ),
        "{end:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(violations(&all), 0);
}

#[tokio::test(start_paused = true)]
async fn a_first_message_said_again_after_the_session_began_is_no_offence() {
    // PEER-5: it came on an earlier connection, for a session not yet begun here;
    // the session begins, and then it comes once more on the new connection.
    let net = Net::new();
    let tested = node_with(&net, 1, 3, timing(), Limits::default());
    let first = encode(Kind::Round, 0, &OVER, &[7; 10]);
    let mut old = rogue(&net, 0, 1, 3).await;
    old.write_all(&first).await.unwrap();
    old.flush().await.unwrap();
    sleep(Duration::from_millis(10)).await;
    let mut new = rogue(&net, 0, 1, 3).await;
    drain(&mut old).await;
    let mut session = tested.end.session(OVER, &[0, 1]).unwrap();
    session.expect(Kind::Round, expected()).unwrap();
    new.write_all(&first).await.unwrap();
    new.flush().await.unwrap();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(tested.end.health()[0].violations, 0);
    let heard = session.exchange(Kind::Round, 0, &[1; 10]).await.unwrap();
    assert_eq!(heard, [vec![7; 10], vec![1; 10]]);
    // Once.
    new.write_all(&first).await.unwrap();
    new.flush().await.unwrap();
    drain(&mut new).await;
    assert_eq!(tested.end.health()[0].violations, 1);
}

#[tokio::test(start_paused = true)]
async fn strangers_who_only_wait_keep_no_peer_out() {
    // PEER-6
    let net = Net::new();
    let limits = Limits {
        handshakes: 4,
        ..Limits::default()
    };
    let node = node_with(&net, 1, 3, timing(), limits);
    let mut silent = Vec::new();
    for _ in 0..20 {
        let (near, far) = duplex(1 << 16);
        silent.push(near);
        tokio::spawn(node.end.take(Box::new(far)));
    }
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    let peer = node_with(&net, 0, 3, timing(), Limits::default());
    peer.end.connected(&[1]).await;
    assert!(start.elapsed() < timing().handshake / 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_read_its_notes_blames_nobody() {
    // PEER-6: the slow one loses notes, and no session.
    let net = Net::new();
    let all = nodes(&net, 2);
    all[0].end.connected(&[1]).await;
    let going = begin(&all, UNDER_WAY);
    for i in 0..200u8 {
        let told = all[0].end.tell(1, Kind::Proposal, &OVER, &[i; 100]);
        told.unwrap();
    }
    for session in steps(going, 0..3).await {
        session.finish();
    }
    assert_eq!(violations(&all), 0);
    for i in 0..64u8 {
        assert_eq!(all[1].end.note().await.payload, [i; 100]);
    }
    // There is room again; and what is lost in an hour is forgotten.
    for _ in 0..5 {
        sleep(timing().bar + Duration::from_secs(1)).await;
        for i in 0..200u8 {
            let told = all[0].end.tell(1, Kind::Proposal, &OVER, &[i; 100]);
            told.unwrap();
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(violations(&all), 0);
    assert_eq!(all[1].end.note().await.payload, [0; 100]);
}

#[tokio::test(start_paused = true)]
async fn sessions_not_begun_make_room_for_later_ones() {
    // PEER-6: a peer that says again what a restarted node has forgotten.
    let net = Net::new();
    let tested = node_with(&net, 1, 3, timing(), Limits::default());
    let mut stream = rogue(&net, 0, 1, 3).await;
    for i in 3..=200u8 {
        let first = encode(Kind::Round, 0, &Digest([i; 32]), &[i; 10]);
        stream.write_all(&first).await.unwrap();
        stream.flush().await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(tested.end.health()[0].violations, 0);
    let digest = Digest([200; 32]);
    let mut session = tested.end.session(digest, &[0, 1]).unwrap();
    session.expect(Kind::Round, expected()).unwrap();
    let heard = session.exchange(Kind::Round, 0, &[1; 10]).await.unwrap();
    assert_eq!(heard, [vec![200; 10], vec![1; 10]]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_calls_again_without_reading_holds_one_connection() {
    // PEER-7: every new connection is told again what the session said, more than
    // the pipe takes.
    let net = Net::new();
    let tested = node_with(&net, 1, 3, timing(), Limits::default());
    let mut session = tested.end.session(OVER, &[0, 1]).unwrap();
    let long = Expected {
        lengths: vec![300_000],
        exact: true,
    };
    session.expect(Kind::Round, long).unwrap();
    let _waiting =
        tokio::spawn(async move { session.exchange(Kind::Round, 0, &[1; 300_000]).await });
    let (mut calls, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let (near, far) = duplex(1 << 16);
        calls.push(tokio::spawn(tested.end.take(Box::new(far))));
        let mut stream = Stranger::like(0).call(near).await.unwrap();
        let hello = hello(&members(3), 0, 1);
        stream.write_all(&hello).await.unwrap();
        stream.flush().await.unwrap();
        streams.push(stream);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(tested.end.health()[0].connections, 20);
    let open = calls.iter().filter(|c| !c.is_finished()).count();
    assert_eq!(open, 1);
}
