//! Who is refused before it may say anything (PEER-2, PEER-3, PEER-6).

mod net;

use net::*;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, duplex};
use veilbourse_core::digest::Digest;
use veilbourse_peers::{frame::encode, *};

/// Node 1 of three is called by a stranger, who then says what it says.
async fn called(stranger: Stranger, says: &[u8]) -> Refused {
    let (near, far) = duplex(1 << 16);
    let says = says.to_vec();
    let caller = tokio::spawn(async move {
        if let Ok(mut stream) = stranger.call(near).await {
            let _ = stream.write_all(&says).await;
            let _ = stream.flush().await;
            drain(&mut stream).await;
        }
    });
    let refused = identity(1, 3).accept(Box::new(far)).await;
    let refused = refused.expect_err("refused");
    caller.await.unwrap();
    refused
}

#[tokio::test]
async fn nodes_know_each_other() {
    // PEER-2, PEER-3
    let (near, far) = duplex(1 << 16);
    let (a, b) = (identity(0, 3), identity(1, 3));
    let (calling, taken) = tokio::join!(a.connect(Box::new(near), 1), b.accept(Box::new(far)));
    assert_eq!((calling.unwrap().peer, taken.unwrap().peer), (1, 0));
    // The stranger of the other tests is refused for what it does wrong alone.
    let (near, far) = duplex(1 << 16);
    let (caller, taken) = tokio::join!(
        async {
            let mut stream = Stranger::like(2).call(near).await.unwrap();
            stream.write_all(&hello(&members(3), 2, 1)).await.unwrap();
            stream.flush().await.unwrap();
            stream
        },
        b.accept(Box::new(far))
    );
    assert_eq!(taken.unwrap().peer, 2);
    drop(caller);
}

#[tokio::test]
async fn a_key_that_nobody_listed_is_refused() {
    // PEER-2
    let mut stranger = Stranger::like(0);
    stranger.seed = Some(seed(9));
    let refused = called(stranger, &hello(&members(3), 0, 1)).await;
    assert!(
        matches!(refused, Refused::UnknownKey(Some(k)) if k == key(9).public()),
        "{refused}"
    );
}

#[tokio::test]
async fn the_nodes_own_key_is_no_peer() {
    // PEER-2: what it sent itself, reflected.
    let refused = called(Stranger::like(1), &hello(&members(3), 1, 1)).await;
    assert!(matches!(refused, Refused::UnknownKey(Some(_))), "{refused}");
}

#[tokio::test]
async fn a_key_under_another_number_is_refused() {
    // PEER-3
    let refused = called(Stranger::like(2), &hello(&members(3), 0, 1)).await;
    let expected = (0, 2);
    assert!(
        matches!(refused, Refused::Number { claimed, pinned } if (claimed, pinned) == expected),
        "{refused}"
    );
}

#[tokio::test]
async fn a_called_node_with_another_key_is_refused() {
    // PEER-2: node 2 listens where node 1 should.
    let (near, far) = duplex(1 << 16);
    let (a, b) = (identity(0, 3), identity(2, 3));
    let (calling, taken) = tokio::join!(a.connect(Box::new(near), 1), b.accept(Box::new(far)));
    let refused = calling.unwrap_err();
    assert!(
        matches!(refused, Refused::UnknownKey(Some(k)) if k == key(2).public()),
        "{refused}"
    );
    assert!(matches!(taken, Err(Refused::Tls(_))));
    let (near, _far) = duplex(16);
    let nobody = a.connect(Box::new(near), 4).await;
    assert!(matches!(nobody, Err(Refused::NoPeer(4))));
}

#[tokio::test]
async fn a_client_without_a_key_is_refused() {
    // PEER-2
    let mut stranger = Stranger::like(0);
    stranger.seed = None;
    let refused = called(stranger, &hello(&members(3), 0, 1)).await;
    assert!(matches!(refused, Refused::Tls(_)), "{refused}");
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    // PEER-2
    let mut stranger = Stranger::like(0);
    stranger.version = &rustls::version::TLS12;
    let refused = called(stranger, &hello(&members(3), 0, 1)).await;
    assert!(
        matches!(
            refused,
            Refused::Tls(rustls::Error::PeerIncompatible(
                rustls::PeerIncompatible::SupportedVersionsExtensionRequired
                    | rustls::PeerIncompatible::Tls13RequiredForQuic
                    | rustls::PeerIncompatible::Tls12NotOfferedOrEnabled
            ))
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn another_protocol_is_refused() {
    // PEER-2
    let mut stranger = Stranger::like(0);
    stranger.alpn = vec![b"veilbourse-peers/2".to_vec(), b"h2".to_vec()];
    let refused = called(stranger, &hello(&members(3), 0, 1)).await;
    let none = rustls::Error::NoApplicationProtocol;
    assert!(
        matches!(&refused, Refused::Tls(e) if *e == none),
        "{refused}"
    );
    let mut stranger = Stranger::like(0);
    stranger.alpn = Vec::new();
    let refused = called(stranger, &hello(&members(3), 0, 1)).await;
    let matched = matches!(refused, Refused::Protocol { found: None });
    assert!(matched, "{refused}");
}

#[tokio::test]
async fn a_hello_says_who_is_meant_and_which_committee() {
    // PEER-3
    let refused = called(Stranger::like(0), &hello(&members(3), 0, 2)).await;
    let matched = matches!(refused, Refused::Addressee { found: 2, own: 1 });
    assert!(matched, "{refused}");
    let refused = called(Stranger::like(0), &hello(&members(4), 0, 1)).await;
    assert!(matches!(refused, Refused::Members { .. }), "{refused}");
    let other = encode(Kind::Round, 0, &Digest::default(), &[0; 34]);
    let refused = called(Stranger::like(0), &other).await;
    let kind = Violation::Unexpected { kind: Kind::Round };
    assert!(
        matches!(&refused, Refused::Frame(v) if *v == kind),
        "{refused}"
    );
    let long = encode(Kind::Hello, 0, &Digest::default(), &[0; 35]);
    let refused = called(Stranger::like(0), &long).await;
    assert!(
        matches!(
            refused,
            Refused::Frame(Violation::Length {
                value: 35,
                limit: 34,
                ..
            })
        ),
        "{refused}"
    );
    let garbage = called(Stranger::like(0), &[0xff; 39]).await;
    assert!(
        matches!(
            garbage,
            Refused::Frame(Violation::Version { found: 255, .. })
        ),
        "{garbage}"
    );
}

#[tokio::test]
async fn what_is_no_tls_is_refused() {
    // PEER-2
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 600],
        &[0xff; 600],
        &[22, 3, 1],
    ] {
        let (mut near, far) = duplex(1 << 16);
        near.write_all(bytes).await.unwrap();
        drop(near);
        let refused = identity(1, 3).accept(Box::new(far)).await;
        assert!(matches!(refused, Err(Refused::Tls(_) | Refused::Io(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_have_a_deadline_and_a_bounded_number_of_places() {
    // PEER-3, PEER-6
    let net = Net::new();
    let limits = Limits {
        handshakes: 2,
        ..Limits::default()
    };
    let node = node_with(&net, 2, 3, timing(), limits);
    let start = tokio::time::Instant::now();
    let mut waiting = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..3 {
        let (near, far) = duplex(1 << 16);
        waiting.push(near);
        ends.push(tokio::spawn(node.end.take(Box::new(far))));
        tokio::task::yield_now().await;
    }
    // The oldest goes.
    let crowded = ends.remove(0).await.unwrap();
    assert!(matches!(crowded, Err(Refused::Crowded { limit: 2 })));
    assert_eq!(start.elapsed(), Duration::ZERO);
    for end in ends {
        let late = end.await.unwrap();
        assert!(matches!(late, Err(Refused::Late { limit }) if limit == timing().handshake));
    }
    assert!(start.elapsed() >= timing().handshake);
    // The places are free again.
    let friend = node_with(&net, 0, 3, timing(), Limits::default());
    friend.end.connected(&[2]).await;
}
