//! Figures of docs/performance.md, section "Committee": openings between servers
//! on the loopback interface, every mark on disk (fsync) before its message
//! leaves; each with its ratio to plain TCP carrying messages of the same sizes
//! in the same order, and as many fsyncs, in the same run, and beside the time
//! that all parties' computations take one after another without a network.
//!
//! `cargo bench -p veilbourse-peers --bench loopback`

#![allow(clippy::print_stdout)]

#[path = "../tests/net/mod.rs"]
mod net;
#[path = "../../protocol/tests/support/mod.rs"]
mod support;

use std::{io::Write, sync::Arc, time::Instant};
use support::{Dealt, class, rng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use veilbourse_core::{ciphertext::OutputCiphertext, digest::Digest, field::Fq};
use veilbourse_peers::*;
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::Durable;

const K: u8 = 26;

fn fsync(disk: &mut std::fs::File) -> std::io::Result<()> {
    disk.write_all(&[0; 64])?;
    disk.sync_all()
}

/// Seconds that the slowest party takes.
async fn opening(
    nodes: &[Arc<Endpoint>],
    dealt: &Dealt,
    output: &OutputCiphertext,
    session: Digest,
) -> f64 {
    let quorum: Vec<u8> = (0..dealt.parties()).collect();
    let jobs: Vec<_> = quorum
        .iter()
        .map(|p| dealt.job(*p, 0, output, session))
        .collect();
    let start = Instant::now();
    let tasks: Vec<_> = jobs
        .into_iter()
        .zip(nodes)
        .map(|(job, node)| {
            let (node, quorum) = (Arc::clone(node), quorum.clone());
            tokio::spawn(async move {
                let mut disk = tempfile::tempfile_in(".").expect("a file");
                let mut session = node.session(session, &quorum).expect("a session");
                let opened = open(job, &mut session, |mark| match mark {
                    Durable::Nothing => Ok(()),
                    _ => fsync(&mut disk),
                });
                let opened = opened.await.expect("opened");
                session.signatures(&[0; 64], 64).await.expect("signed");
                session.finish();
                opened
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a party ends");
    }
    start.elapsed().as_secs_f64()
}

/// Seconds of one side's sending and hearing messages of these sizes, over plain
/// TCP, with an fsync before two of them.
async fn plain(sizes: &[usize]) -> f64 {
    async fn side(mut stream: TcpStream, sizes: Vec<usize>) {
        stream.set_nodelay(true).expect("an option");
        let mut disk = tempfile::tempfile_in(".").expect("a file");
        let mut buffer = vec![0; sizes.iter().copied().max().unwrap_or_default()];
        let (mut from, mut to) = stream.split();
        for (round, size) in sizes.iter().enumerate() {
            if round == 1 || round + 2 == sizes.len() {
                tokio::task::block_in_place(|| fsync(&mut disk)).expect("on disk");
            }
            let message = vec![1; *size];
            let (sent, heard) = tokio::join!(
                to.write_all(&message),
                from.read_exact(&mut buffer[..*size])
            );
            sent.expect("sent");
            heard.expect("heard");
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let caller = TcpStream::connect(address).await.expect("a connection");
    let (called, _) = listener.accept().await.expect("a connection");
    let start = Instant::now();
    let there = tokio::spawn(side(caller, sizes.to_vec()));
    let back = tokio::spawn(side(called, sizes.to_vec()));
    there.await.expect("ends");
    back.await.expect("ends");
    start.elapsed().as_secs_f64()
}

/// Median, least and greatest of the runs.
fn spread(mut runs: Vec<f64>) -> (f64, f64, f64) {
    runs.sort_by(f64::total_cmp);
    let at = |i: usize| runs.get(i).copied().unwrap_or_default();
    (at(runs.len() / 2), at(0), at(runs.len() - 1))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut rng = rng(1);
    for parties in [2u8, 3] {
        let keys: Vec<_> = (0..3).map(net::key).collect();
        let nodes = loopback(&keys, Timing::default(), Limits::default()).await;
        let nodes: Vec<_> = nodes.expect("started").into_iter().map(Arc::new).collect();
        for node in &nodes {
            node.connected(&[0, 1, 2]).await;
        }
        for (n, runs, bar) in [(1usize, 20u8, 0.050), (2048, 5, 2.0)] {
            let dealt = Dealt::new(class(K, Mechanism::None), parties, n as u64, &mut rng);
            let words: Vec<_> = (0..n as u64).map(|i| Fq::reduce(i << 40)).collect();
            let output = dealt.encrypt(&words, &mut rng);
            let job = dealt.job(0, 0, &output, Digest::default());
            let (machine, _) = support::started(job);
            let rounds = (0..machine.rounds()).map(|r| machine.message_bytes(r));
            let mut sizes: Vec<_> = rounds.map(|b| b + frame::HEADER_BYTES).collect();
            sizes.push(64 + frame::HEADER_BYTES);
            let (mut ours, mut tcp) = (Vec::new(), Vec::new());
            for run in 0..runs {
                let session = Digest([n as u8, run, 7, 7].repeat(8).try_into().expect("32"));
                ours.push(opening(&nodes, &dealt, &output, session).await);
                tcp.push(plain(&sizes).await);
            }
            let jobs = (0..parties).map(|p| dealt.job(p, 0, &output, Digest::default()));
            let jobs = jobs.collect();
            let alone = Instant::now();
            let ends = support::run(jobs, &mut |_, _, _, _| {});
            let alone = alone.elapsed().as_secs_f64();
            assert!(ends.iter().all(Result::is_ok));
            let ((median, least, most), (base, ..)) = (spread(ours), spread(tcp));
            println!(
                "{parties} parties, {n} values, {} bytes a pair and way: {:.1} ms ({:.1} to {:.1}), bar {:.0} ms; {:.1} of plain TCP with fsync ({:.2} ms); computing alone {:.1} ms",
                sizes.iter().sum::<usize>(),
                1e3 * median,
                1e3 * least,
                1e3 * most,
                1e3 * bar,
                median / base,
                1e3 * base,
                1e3 * alone,
            );
        }
    }
}
