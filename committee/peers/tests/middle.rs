//! Somebody on the wire, who changes, cuts or repeats bytes (PEER-2, PEER-7):
//! nothing is accepted from it, and once it lets go, sessions go on.

mod net;
#[path = "../../protocol/tests/support/mod.rs"]
mod support;

use net::*;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{Dealt, class, rng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use veilbourse_core::{ciphertext::OutputCiphertext, digest::Digest, field::Fq};
use veilbourse_peers::*;
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::Opened;

const VALUE: i64 = 123_456;

fn dealt() -> (Dealt, OutputCiphertext) {
    let mut rng = rng(3);
    let dealt = Dealt::new(class(26, Mechanism::None), 2, 1, &mut rng);
    let phase = Fq::from_i128((i128::from(VALUE) << 26) - 9);
    let output = dealt.encrypt(&[phase], &mut rng);
    (dealt, output)
}

/// Both nodes open, with signatures.
async fn both(
    all: &[Arc<Node>],
    dealt: &Dealt,
    output: &OutputCiphertext,
    digest: Digest,
) -> Vec<Result<Opened, OpenError>> {
    let mut tasks = Vec::new();
    for party in 0..2u8 {
        let node = Arc::clone(&all[usize::from(party)]);
        let job = dealt.job(party, 0, output, digest);
        tasks.push(tokio::spawn(async move {
            let mut session = node.end.session(digest, &[0, 1])?;
            let opened = open(job, &mut session, |_| Ok::<(), String>(())).await;
            let opened = opened.map_err(|failed| failed.error)?;
            session.signatures(&[party; 64], 64).await?;
            session.finish();
            Ok(opened)
        }));
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.unwrap());
    }
    ends
}

fn opens(dealt: &Dealt, ends: Vec<Result<Opened, OpenError>>) {
    let ends: Vec<_> = ends.into_iter().map(Result::unwrap).collect();
    assert_eq!(dealt.unmask(0, &ends), [Ok(VALUE)]);
}

fn no_violations(all: &[Arc<Node>]) {
    for node in all {
        assert!(node.end.health().iter().all(|h| h.violations == 0));
    }
}

/// Bytes of one undisturbed opening each way.
async fn lengths() -> [usize; 2] {
    let (dealt, output) = dealt();
    let seen = Arc::new(Mutex::new([0; 2]));
    let sees = Arc::clone(&seen);
    let net = Net::with(move |_, _, _, way, before, piece| {
        sees.lock().unwrap()[usize::from(way == Way::ToCaller)] = before + piece.len();
        true
    });
    let all = nodes(&net, 2);
    opens(&dealt, both(&all, &dealt, &output, Digest([1; 32])).await);
    *seen.lock().unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_bit_flipped_anywhere_costs_a_connection_and_nothing_else() {
    // PEER-2, PEER-7
    let (dealt, output) = dealt();
    let (mut flips, mut unseen) = (0, 0);
    let lengths = lengths().await;
    for (way, length) in [Way::ToCalled, Way::ToCaller].into_iter().zip(lengths) {
        assert!(length > 2000);
        for at in (0..length - 200).step_by(61) {
            let was = Arc::new(Mutex::new(0));
            let flipped = Arc::clone(&was);
            let net = Net::with(move |_, _, nth, w, before, piece| {
                if nth == 0 && w == way && (before..before + piece.len()).contains(&at) {
                    *flipped.lock().unwrap() = piece[at - before];
                    piece[at - before] ^= 1 << (at % 8);
                }
                true
            });
            let all = nodes(&net, 2);
            let ends = both(&all, &dealt, &output, Digest([1; 32])).await;
            opens(&dealt, ends);
            no_violations(&all);
            flips += 1;
            if net.calls(0, 1) < 2 {
                // The first three bytes of an encrypted record's header are the
                // same in every record (RFC 8446, 5.2); nobody reads them.
                let was = *was.lock().unwrap();
                assert!([0x17, 3].contains(&was), "{way:?} {at}: went unseen");
                unseen += 1;
            }
        }
    }
    assert!(unseen * 10 < flips, "{unseen} of {flips}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_cut_anywhere_is_made_anew_and_the_session_goes_on() {
    // PEER-5, PEER-7
    let (dealt, output) = dealt();
    for (way, length) in [Way::ToCalled, Way::ToCaller]
        .into_iter()
        .zip(lengths().await)
    {
        for at in (0..length - 200).step_by(47) {
            // Three connections, each cut a little later than the one before.
            let net = Net::with(move |_, _, nth, w, before, piece| {
                let cut = at + 150 * nth;
                if nth < 3 && w == way && before + piece.len() > cut {
                    piece.truncate(cut.saturating_sub(before));
                    return false;
                }
                true
            });
            let all = nodes(&net, 2);
            opens(&dealt, both(&all, &dealt, &output, Digest([1; 32])).await);
            no_violations(&all);
            assert!(net.calls(0, 1) >= 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_who_never_lets_go_is_silence() {
    // PEER-2, PEER-8
    let (dealt, output) = dealt();
    for at in [20, 300] {
        let net = Net::with(move |_, _, _, _, before, piece| {
            if (before..before + piece.len()).contains(&at) {
                piece[at - before] ^= 0x40;
            }
            true
        });
        let all = nodes(&net, 2);
        let ends = both(&all, &dealt, &output, Digest([1; 32])).await;
        for (party, end) in (0u8..).zip(ends) {
            match end {
                Err(OpenError::Peer(PeerError::PeerSilent { peer, round: 0, .. })) => {
                    assert_eq!(peer, 1 - party);
                }
                other => panic!("{:?}", other.err()),
            }
        }
        no_violations(&all);
        // Waits between calls are bounded, and so is their number.
        let calls = net.calls(0, 1);
        assert!((10..=60).contains(&calls), "{calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connections_bytes_said_again_say_nothing() {
    // PEER-2
    let (dealt, output) = dealt();
    let tape = Arc::new(Mutex::new(Vec::new()));
    let tapes = Arc::clone(&tape);
    let net = Net::with(move |_, _, _, way, _, piece| {
        if way == Way::ToCalled {
            tapes.lock().unwrap().extend_from_slice(piece);
        }
        true
    });
    let all = nodes(&net, 2);
    opens(&dealt, both(&all, &dealt, &output, Digest([1; 32])).await);
    let before = all[1].end.health();
    let tape = tape.lock().unwrap().clone();
    let mut stream = net.knock(1);
    let _ = stream.write_all(&tape).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.is_empty());
    assert_eq!(all[1].end.health(), before);
    opens(&dealt, both(&all, &dealt, &output, Digest([2; 32])).await);
}

#[tokio::test(start_paused = true)]
async fn a_node_started_anew_is_welcome() {
    // PEER-6, PEER-7: it is sent what it may have missed, knows none of it, and
    // takes that for no offence.
    let (dealt, output) = dealt();
    let net = Net::new();
    for restarted in [0, 1] {
        let mut all = nodes(&net, 2);
        let digest = |n: u8| Digest([16 * restarted as u8 + n; 32]);
        for n in 0..5 {
            opens(&dealt, both(&all, &dealt, &output, digest(n)).await);
        }
        let old = all.remove(restarted);
        drop(old);
        sleep(Duration::from_millis(1)).await;
        let number = restarted as u8;
        let new = node_with(&net, number, 2, timing(), Limits::default());
        all.insert(restarted, new);
        opens(&dealt, both(&all, &dealt, &output, digest(9)).await);
        no_violations(&all);
        let again = all[1 - restarted].end.session(digest(2), &[0, 1]).err();
        assert_eq!(again, Some(SessionError::Used(digest(2))));
    }
}
