//! Figures of docs/performance.md, section "Committee": dealing, its check, and
//! openings, without a network; each with its ratio to a BLAKE3 stream of the
//! shares that it reads, in the same run on the same cores.
//!
//! `cargo bench -p veilbourse-protocol --bench opening`

#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{hint::black_box, time::Instant};
use support::{Dealt, class, rng, run};
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::*;

const K: u8 = 26;

fn seconds<T>(what: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let out = black_box(what());
    (start.elapsed().as_secs_f64(), out)
}

/// Seconds to draw the shares of `tickets` tickets as bytes.
fn reference(shape: &Shape, tickets: usize) -> f64 {
    let mut bytes = vec![0u8; shape.layout.explicit_bytes()];
    seconds(|| {
        for i in 0..tickets {
            let key = blake3::hash(&i.to_le_bytes());
            blake3::Hasher::new_keyed(key.as_bytes())
                .finalize_xof()
                .fill(&mut bytes);
            black_box(&bytes);
        }
    })
    .0
}

fn main() {
    let mut rng = rng(1);
    let mechanism = Mechanism::gaussian(1 << 20, 1).expect("a law");
    let shape = Shape::new(class(K, mechanism), Digest([3; 32]), 0);
    println!(
        "k = {K}: {} shared values, {} bytes a ticket at the last party, {} rounds",
        shape.layout.values,
        shape.layout.explicit_bytes(),
        shape.plan.rounds + 6
    );
    for parties in [2u8, 3] {
        let (deal, dealt) = seconds(|| Dealt::new(class(K, mechanism), parties, 2048, &mut rng));
        let base = reference(&shape, 2048);
        println!(
            "{parties} parties: dealing 2,048 tickets {deal:.3} s, {:.2} of the reference",
            deal / base
        );
        let values: Vec<_> = dealt.tickets.iter().map(|t| t.values.clone()).collect();
        let context = Digest([1; 32]);
        let (prove, proof) = seconds(|| dealt.dealer.prove(&context, 0, &values, &dealt.key));
        let tickets: Vec<_> = (0..2048).map(|i| dealt.ticket(0, i)).collect();
        let key = dealt.key_share(0);
        let package = Package {
            seed: &dealt.dealer.seeds()[0],
            first: 0,
            tickets: &tickets,
            data_key: &key.shares,
            levels: &proof.levels,
            explicit: None,
        };
        let (check, _) = seconds(|| {
            BatchCheck::new(
                dealt.dealer.shape(),
                &context,
                dealt.live(0),
                &package,
                [0; 32],
            )
            .map_err(|(e, _)| e)
            .expect("well dealt")
        });
        println!(
            "{parties} parties: proof {prove:.3} s ({:.2}), {} bytes; check by one party {check:.3} s ({:.2})",
            prove / base,
            proof.explicit.len() + 32 * proof.levels.len(),
            check / base
        );
        for n in [1usize, 2048] {
            let phases: Vec<_> = (0..n)
                .map(|i| Fq::from_i128((i as i128 - 7) << K))
                .collect();
            let output = dealt.encrypt(&phases, &mut rng);
            let jobs: Vec<_> = (0..parties)
                .map(|p| dealt.job(p, 0, &output, Digest([2; 32])))
                .collect();
            let mut bytes = 0;
            let (open, ends) = seconds(|| run(jobs, &mut |_, _, _, m| bytes += m.len()));
            let opened: Vec<_> = ends.into_iter().map(|e| e.expect("opened")).collect();
            let (unmask, found) = seconds(|| dealt.unmask(0, &opened));
            assert_eq!(found.len(), n);
            println!(
                "{parties} parties: opening {n} values, all parties in turn on one core: {:.4} s ({:.2}), {bytes} bytes in all; unmasking {unmask:.4} s",
                open,
                open / reference(&shape, n * usize::from(parties)),
            );
        }
    }
}
