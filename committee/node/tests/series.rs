//! What a node counts, of both custodies, as its operator reads it. One test: a
//! process counts once.

mod support;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::{collections::BTreeSet, sync::Arc};
use support::{committee::*, server::*, terms::*, *};
use veilbourse_machine::{Identity, Machine};
use veilbourse_node::{poll, series};

/// Samples that are not zero.
fn counted(handle: &PrometheusHandle) -> BTreeSet<String> {
    let text = handle.render();
    let lines = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    let lines = lines.filter(|l| !l.ends_with(" 0"));
    lines.map(str::to_owned).collect()
}

fn lines<const N: usize>(all: [String; N]) -> BTreeSet<String> {
    all.into_iter().collect()
}

fn refused(code: &str, count: u32) -> String {
    format!("{}{{code=\"{code}\"}} {count}", series::ORDERS_REFUSED)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_counted_when_the_marketplace_has_their_end() {
    let handle = PrometheusBuilder::new().install_recorder().unwrap();
    let world = World::new();
    let good = Terms::of(&world, world.aggregate()).proven(&world);
    let mut bad = Terms::of(&world, world.aggregate());
    bad.expires = NOW - 1;
    bad.nonce = 2;
    let bad = bad.with_parts(good.parts.clone());

    // A custodian's node.
    let mut nodes = Nodes::new().await;
    let server = nodes.server.clone();
    let identity = Identity {
        id: id(9),
        key: signer(NODE),
        marketplace: key(&signer(MARKETPLACE)),
    };
    let rng_of = ChaCha20Rng::seed_from_u64(1);
    let machine = Machine::new(identity, &server.base, Arc::new(|| NOW), rng_of);
    let mut node = Node::new(world.config());
    // Begun at nothing, so that it is there before the first.
    let nothing = format!("{} 0", series::ORDERS_DELIVERED);
    assert!(handle.render().lines().any(|l| l == nothing));
    nodes.grant_to(&[0], &[&good]);
    server.market().broken = true;
    assert!(poll(&mut node.node, &machine, &mut rng(5)).await.is_err());
    assert_eq!(counted(&handle), BTreeSet::new(), "not taken");
    server.market().broken = false;
    let ended = poll(&mut node.node, &machine, &mut rng(5)).await.unwrap();
    assert_eq!(ended.unwrap().refusal, None);
    let delivered = format!("{} 1", series::ORDERS_DELIVERED);
    assert_eq!(counted(&handle), lines([delivered.clone()]));
    nodes.grant_to(&[0], &[&bad]);
    let ended = poll(&mut node.node, &machine, &mut rng(5)).await.unwrap();
    let (code, _) = ended.unwrap().refusal.unwrap();
    assert_eq!(code, "GRANT_EXPIRED");
    let expired = refused("GRANT_EXPIRED", 1);
    assert_eq!(counted(&handle), lines([delivered, expired.clone()]));
    drop(node);

    // A committee's node without tickets, asked for two orders of one dealing.
    nodes.start(0).await;
    let dealt = deal(&world, &QUORUM, 16);
    for nonce in [3, 4] {
        let mut t = terms(&world, &dealt.dealing);
        t.nonce = nonce;
        let mut case = t.with_parts(good.parts.clone());
        named(&mut case, nonce);
        nodes.grant_to(&[0], &[&case]);
    }
    let orders = |m: &Market| {
        let all = m.refused.iter().map(|(_, r)| r.refusal.body.order);
        all.collect::<BTreeSet<_>>().len()
    };
    server.until("refused", |m| orders(m) == 3).await;
    nodes.until(0, |h| h.orders == 0).await;
    nodes.stop(0).await;
    // One was the custodian's node's. A lease that crosses a refusal is told once more.
    let refusals = server.market().refused.len() as u32 - 1;
    let delivered = format!("{} 1", series::ORDERS_DELIVERED);
    let found = counted(&handle);
    assert_eq!(
        found,
        lines([delivered, expired, refused("DEALING", refusals)])
    );
}
