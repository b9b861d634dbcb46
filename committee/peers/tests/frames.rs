//! What a peer with a good key and no manners achieves: it is dropped and
//! barred, its sessions end with the rule that it broke, and the others' go on
//! (PEER-4..7).

mod net;

use net::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use std::{sync::Arc, time::Duration};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};
use veilbourse_core::digest::Digest;
use veilbourse_peers::{frame::encode, *};

/// Of the rogue, node 0, and of node 1, which is tested.
const WITH_ROGUE: Digest = Digest([1; 32]);
/// Of nodes 1 and 2.
const WITHOUT: Digest = Digest([2; 32]);

fn expected() -> Expected {
    Expected {
        lengths: vec![10, 20, 30],
        exact: true,
    }
}

fn round(step: u8, bytes: usize) -> Arc<[u8]> {
    encode(Kind::Round, step, &WITH_ROGUE, &vec![7; bytes])
}

/// The three: a node that is tested, a good one, and the network.
struct Scene {
    net: Arc<Net>,
    tested: Arc<Node>,
    good: Arc<Node>,
}

async fn scene() -> Scene {
    let net = Net::new();
    let tested = node_with(&net, 1, 3, timing(), Limits::default());
    let good = node_with(&net, 2, 3, timing(), Limits::default());
    tested.end.connected(&[2]).await;
    Scene { net, tested, good }
}

impl Scene {
    fn health(&self, peer: u8) -> Health {
        let all = self.tested.end.health();
        all.into_iter().find(|h| h.peer == peer).unwrap()
    }

    /// The good nodes exchange three steps, at once.
    async fn others_go_on(&self) {
        let start = Instant::now();
        let mut tasks = Vec::new();
        for node in [&self.tested, &self.good] {
            let mut session = node.end.session(WITHOUT, &[1, 2]).unwrap();
            tasks.push(tokio::spawn(async move {
                session.expect(Kind::Round, expected()).unwrap();
                for (step, bytes) in (0u8..).zip([10, 20, 30]) {
                    let own = vec![session.party(); bytes];
                    let heard = session.exchange(Kind::Round, step, &own).await.unwrap();
                    assert_eq!(heard, [vec![0; bytes], vec![1; bytes]]);
                }
                session.finish();
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(1));
        assert_eq!(self.health(2).violations, 0);
    }
}

/// The rogue says these frames; how the session with it ends.
async fn broken_by(frames: &[Arc<[u8]>]) -> Violation {
    let scene = scene().await;
    let mut session = scene.tested.end.session(WITH_ROGUE, &[0, 1]).unwrap();
    session.expect(Kind::Round, expected()).unwrap();
    // A session of others, which the rogue may name.
    let other = scene.tested.end.session(Digest([3; 32]), &[1, 2]).unwrap();
    let waiting = tokio::spawn(async move {
        // Two steps, where the rogue takes part so far.
        let first = session.exchange(Kind::Round, 0, &[7; 10]).await;
        match first {
            Ok(_) => session.exchange(Kind::Round, 1, &[7; 20]).await,
            e => e,
        }
    });
    sleep(Duration::from_millis(1)).await;
    let mut stream = rogue(&scene.net, 0, 1, 3).await;
    for frame in frames {
        if stream.write_all(frame).await.is_err() {
            break;
        }
    }
    let _ = stream.flush().await;
    let start = Instant::now();
    drain(&mut stream).await;
    let violation = match waiting.await.unwrap() {
        Err(OpenError::Peer(PeerError::PeerBroke {
            peer: 0, violation, ..
        })) => violation,
        other => panic!("not broken: {other:?}"),
    };
    assert!(start.elapsed() < Duration::from_secs(1), "at once");
    let health = scene.health(0);
    assert!(!health.connected);
    assert_eq!(health.violations, 1);
    assert_eq!(health.last, Some(violation.to_string()));
    scene.others_go_on().await;
    drop(other);
    // Barred, and no longer after a while.
    let mut stream = rogue(&scene.net, 0, 1, 3).await;
    drain(&mut stream).await;
    assert_eq!(scene.health(0).connections, 1);
    sleep(timing().bar).await;
    let _stream = rogue(&scene.net, 0, 1, 3).await;
    scene.tested.end.connected(&[0]).await;
    violation
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_none() {
    // PEER-4
    let mut version = round(0, 10).to_vec();
    version[0] = 9;
    let found = broken_by(&[version.into()]).await;
    assert_eq!(
        found,
        Violation::Version {
            found: 9,
            expected: 1
        }
    );
    let mut kind = round(0, 10).to_vec();
    kind[1] = 77;
    let found = broken_by(&[kind.into()]).await;
    assert_eq!(found, Violation::Kind { found: 77 });
    let again = hello(&members(3), 0, 1);
    let found = broken_by(&[again]).await;
    assert_eq!(found, Violation::Unexpected { kind: Kind::Hello });
    let garbage: Arc<[u8]> = vec![0xa5; 5000].into();
    let found = broken_by(&[garbage]).await;
    assert!(matches!(found, Violation::Version { found: 0xa5, .. }));
}

#[tokio::test(start_paused = true)]
async fn lengths_are_those_of_the_message_that_is_expected() {
    // PEER-4: refused by the header, before a byte of the payload.
    let zero = Digest::default();
    let unknown = Digest([9; 32]);
    let header = |kind, step, session: &Digest, length: u32| {
        let mut bytes = encode(kind, step, session, &[]).to_vec();
        bytes[35..].copy_from_slice(&length.to_le_bytes());
        Arc::<[u8]>::from(bytes)
    };
    for (kind, step, session, value, limit) in [
        (Kind::Round, 0, &WITH_ROGUE, 11, 10),
        (Kind::Round, 0, &WITH_ROGUE, 9, 10),
        (Kind::Round, 0, &WITH_ROGUE, 0, 10),
        (Kind::Round, 0, &WITH_ROGUE, u32::MAX, 10),
        (Kind::Round, 1, &WITH_ROGUE, 21, 20),
        (Kind::Dealing, 0, &WITH_ROGUE, EARLY_BYTES + 1, EARLY_BYTES),
        (Kind::Signatures, 0, &WITH_ROGUE, u32::MAX, EARLY_BYTES),
        (Kind::Round, 0, &unknown, EARLY_BYTES + 1, EARLY_BYTES),
        (Kind::Proposal, 0, &unknown, (64 << 10) + 1, 64 << 10),
        (Kind::Counter, 0, &zero, (4 << 10) + 1, 4 << 10),
        (Kind::Bye, 0, &WITH_ROGUE, 3, 2),
        (Kind::Alive, 0, &zero, 1, 0),
        // Dropped, but not at any length.
        (Kind::Round, 5, &unknown, u32::MAX, 16 << 20),
    ] {
        let found = broken_by(&[header(kind, step, session, value)]).await;
        let expected = Violation::Length {
            kind,
            step,
            value,
            limit,
        };
        assert_eq!(found, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn one_message_of_each_step_from_each_party() {
    // PEER-5
    let step = |found, now| Violation::Step {
        kind: Kind::Round,
        found,
        now,
    };
    assert_eq!(broken_by(&[round(2, 30)]).await, step(2, 0));
    assert_eq!(broken_by(&[round(200, 30)]).await, step(200, 2));
    let ahead = broken_by(&[round(0, 10), round(1, 20), round(2, 30), round(3, 30)]).await;
    assert!(matches!(ahead, Violation::Step { found: 2 | 3, .. }));
    let repeated = |step| Violation::Repeated {
        kind: Kind::Round,
        step,
    };
    assert_eq!(broken_by(&[round(0, 10), round(0, 10)]).await, repeated(0));
    let mut other = round(1, 20).to_vec();
    other[50] = 1;
    let found = broken_by(&[round(1, 20), other.into()]).await;
    assert_eq!(found, repeated(1));
    let session = Digest([3; 32]);
    let found = broken_by(&[encode(Kind::Round, 0, &session, &[0; 8])]).await;
    let kind = Kind::Round;
    assert_eq!(found, Violation::Stranger { kind, session });
    let found = broken_by(&[encode(Kind::Bye, 0, &session, &[0; 2])]).await;
    let kind = Kind::Bye;
    assert_eq!(found, Violation::Stranger { kind, session });
}

#[tokio::test(start_paused = true)]
async fn a_flood_meets_the_floods_own_limits() {
    // PEER-6: what finds no place is dropped, 256 times in a while.
    let unknown = |i: u16| {
        let mut digest = [9; 32];
        digest[..2].copy_from_slice(&i.to_le_bytes());
        Digest(digest)
    };
    let sessions = |n| -> Vec<_> {
        (0..n)
            .map(|i| encode(Kind::Round, 0, &unknown(i), &[0; 66]))
            .collect()
    };
    let flood = |what| Violation::Flood { what, limit: 256 };
    assert_eq!(
        broken_by(&sessions(64 + 257)).await,
        flood("sessions beyond those not yet begun")
    );
    let notes = vec![encode(Kind::Proposal, 0, &Digest([9; 32]), &[0; 500]); 64 + 257];
    assert_eq!(
        broken_by(&notes).await,
        flood("notes beyond those not yet read")
    );
    let strays = vec![encode(Kind::Round, 5, &Digest([9; 32]), &[0; 5000]); 257];
    assert_eq!(
        broken_by(&strays).await,
        flood("frames of unknown sessions")
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_over_takes_few_strays() {
    // PEER-6
    let scene = scene().await;
    let mut session = scene.tested.end.session(WITH_ROGUE, &[0, 1]).unwrap();
    session.expect(Kind::Round, expected()).unwrap();
    drop(session);
    let mut stream = rogue(&scene.net, 0, 1, 3).await;
    for _ in 0..8 {
        stream.write_all(&round(1, 20)).await.unwrap();
    }
    stream.flush().await.unwrap();
    sleep(Duration::from_millis(10)).await;
    assert_eq!(scene.health(0).violations, 0);
    stream.write_all(&round(1, 20)).await.unwrap();
    stream.flush().await.unwrap();
    drain(&mut stream).await;
    assert_eq!(scene.health(0).violations, 1);
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_is_no_frame() {
    // PEER-4, PEER-7: a broken connection is nobody's fault, and is made anew.
    let scene = scene().await;
    let mut session = scene.tested.end.session(WITH_ROGUE, &[0, 1]).unwrap();
    session.expect(Kind::Round, expected()).unwrap();
    let frame = round(0, 10);
    for cut in [1, 38, 39, 48] {
        // The stream ends ...
        let mut stream = rogue(&scene.net, 0, 1, 3).await;
        stream.write_all(&frame[..cut]).await.unwrap();
        stream.flush().await.unwrap();
        drop(stream);
        scene.tested.end.changed().await;
        // ... or stands still.
        let start = Instant::now();
        let mut stream = rogue(&scene.net, 0, 1, 3).await;
        stream.write_all(&frame[..cut]).await.unwrap();
        stream.flush().await.unwrap();
        drain(&mut stream).await;
        let limits = timing();
        assert!(start.elapsed() <= limits.idle + limits.frame);
        assert_eq!(scene.health(0).violations, 0);
    }
    let mut stream = rogue(&scene.net, 0, 1, 3).await;
    stream.write_all(&frame).await.unwrap();
    stream.flush().await.unwrap();
    let heard = session.exchange(Kind::Round, 0, &[1; 10]).await.unwrap();
    assert_eq!(heard, [vec![7; 10], vec![1; 10]]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_is_dropped_and_one_that_lives_is_not() {
    // PEER-7
    let scene = scene().await;
    let start = Instant::now();
    let mut stream = rogue(&scene.net, 0, 1, 3).await;
    let heard = drain(&mut stream).await;
    // Signs of life came, and then the end.
    assert!(heard.len() >= 39 && heard.len() % 39 == 0);
    assert_eq!(heard[1], 7);
    assert!(start.elapsed() >= timing().idle);
    assert!(start.elapsed() <= timing().idle + Duration::from_secs(1));
    sleep(10 * timing().idle).await;
    let good = scene.health(2);
    assert_eq!((good.connected, good.connections), (true, 1));
    scene.others_go_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_dropped() {
    // PEER-6, PEER-7
    let scene = scene().await;
    let _stream = rogue(&scene.net, 0, 1, 3).await;
    let mut sent = 0;
    let refused = loop {
        let told = scene
            .tested
            .end
            .tell(0, Kind::Counter, &Digest::default(), &[0; 4096]);
        match told {
            Ok(()) => sent += 1,
            Err(e) => break e,
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused, TellError::NotConnected { peer: 0 });
    assert!(sent >= Limits::default().outgoing, "{sent}");
    assert!(sent < 2 * Limits::default().outgoing, "{sent}");
    scene.others_go_on().await;
}

#[tokio::test(start_paused = true)]
async fn proposals_and_counters_arrive() {
    // PEER-4, PEER-6
    let scene = scene().await;
    let (tested, good) = (&scene.tested.end, &scene.good.end);
    for i in 0..200u8 {
        tested.tell(2, Kind::Proposal, &WITHOUT, &[i; 100]).unwrap();
        let note = good.note().await;
        let expected = Note {
            from: 1,
            kind: Kind::Proposal,
            session: WITHOUT,
            payload: vec![i; 100],
        };
        assert_eq!(note, expected);
    }
    good.tell(1, Kind::Counter, &Digest::default(), b"42")
        .unwrap();
    assert_eq!(tested.note().await.payload, b"42");
    let long = tested.tell(2, Kind::Counter, &WITHOUT, &[0; 5000]);
    assert_eq!(
        long,
        Err(TellError::Length {
            kind: Kind::Counter,
            value: 5000,
            limit: 4096
        })
    );
    let kind = Kind::Round;
    let not_a_note = tested.tell(2, kind, &WITHOUT, &[]);
    assert_eq!(not_a_note, Err(TellError::Kind { kind }));
}

#[tokio::test(start_paused = true)]
async fn room_for_messages_is_reserved_when_a_session_begins() {
    // PEER-6
    let net = Net::new();
    let limits = Limits {
        sessions: 2,
        reserved: 200,
        ..Limits::default()
    };
    let node = node_with(&net, 0, 3, timing(), limits);
    let begin = |d: u8| node.end.session(Digest([d; 32]), &[0, 1, 2]);
    let mut one = begin(1).unwrap();
    let mut two = begin(2).unwrap();
    assert_eq!(begin(3).err(), Some(SessionError::Many { limit: 2 }));
    // Two peers, 20 + 30 bytes each, and 3 * 30 of this node's own.
    one.expect(Kind::Round, expected()).unwrap();
    let refused = two.expect(Kind::Round, expected());
    let memory = SessionError::Memory {
        value: 380,
        limit: 200,
    };
    assert_eq!(refused, Err(memory));
    one.finish();
    two.expect(Kind::Round, expected()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_takes_the_place_of_the_old() {
    // PEER-5, PEER-7
    let scene = scene().await;
    let mut session = scene.tested.end.session(WITH_ROGUE, &[0, 1]).unwrap();
    session.expect(Kind::Round, expected()).unwrap();
    let mut old = rogue(&scene.net, 0, 1, 3).await;
    old.write_all(&round(0, 10)).await.unwrap();
    old.flush().await.unwrap();
    sleep(Duration::from_millis(10)).await;
    let mut new = rogue(&scene.net, 0, 1, 3).await;
    drain(&mut old).await;
    // What came on the old one may come again on the new one, once.
    new.write_all(&round(0, 10)).await.unwrap();
    new.flush().await.unwrap();
    sleep(Duration::from_millis(10)).await;
    let health = scene.health(0);
    assert_eq!((health.connected, health.connections), (true, 2));
    assert_eq!(health.violations, 0);
    new.write_all(&round(0, 10)).await.unwrap();
    new.flush().await.unwrap();
    drain(&mut new).await;
    assert_eq!(scene.health(0).violations, 1);
}

#[tokio::test(start_paused = true)]
async fn whatever_comes_the_node_goes_on() {
    // PEER-4..6: frames with a few fields that may be right, from a seed.
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let scene = scene().await;
    let mut session = scene.tested.end.session(WITH_ROGUE, &[0, 1]).unwrap();
    session.expect(Kind::Round, expected()).unwrap();
    let mut broken = 0;
    for _ in 0..300 {
        let mut stream = rogue(&scene.net, 0, 1, 3).await;
        for _ in 0..8 {
            let mut frame = vec![1u8; 39];
            rng.fill_bytes(&mut frame[3..35]);
            frame[1] = (rng.next_u32() % 9) as u8;
            frame[2] = (rng.next_u32() % 4) as u8;
            if rng.next_u32() % 2 == 0 {
                frame[3..35].copy_from_slice(&WITH_ROGUE.0);
            }
            let length = [0, 2, 10, 20, 1000, 1025, 70_000, rng.next_u32()];
            let length = length[rng.next_u32() as usize % 8];
            frame[35..].copy_from_slice(&length.to_le_bytes());
            frame.resize(39 + length.min(80_000) as usize, 5);
            if stream.write_all(&frame).await.is_err() {
                break;
            }
        }
        let _ = stream.flush().await;
        drop(stream);
        sleep(timing().bar).await;
        broken = scene.health(0).violations;
    }
    assert!(broken > 100, "{broken}");
    scene.others_go_on().await;
}
