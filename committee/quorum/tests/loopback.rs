//! Three servers on the loopback interface with folders on disk, any two of which
//! open: deal, check, check the key, activate, open one value and a hundred, lose
//! a node, finish with another quorum (QRM-3..7, PEER-9).

mod support;

use std::{path::Path, sync::Arc};
use support::*;
use veilbourse_peers::*;
use veilbourse_quorum::{deal::Dealt, *};
use veilbourse_ticket_store::*;

const TRIAL: u64 = 0;
const QUORUMS: [[u8; 2]; 3] = [[0, 1], [0, 2], [1, 2]];

struct Server {
    number: u8,
    keeper: Keeper<Folder>,
    end: Endpoint,
}

fn key(n: u8) -> NodeKey {
    NodeKey::from_seed(&[n + 1; 32]).unwrap()
}

async fn servers(world: &World, folder: &Path) -> Vec<Arc<Server>> {
    let keys: Vec<_> = (0..3).map(key).collect();
    let ends = loopback(&keys, Timing::default(), Limits::default()).await;
    let of = |(number, end): (u8, Endpoint)| {
        let path = folder.join(number.to_string());
        std::fs::create_dir(&path).unwrap();
        let keeper = world.create(number, Folder::new(&path));
        Arc::new(Server {
            number,
            keeper,
            end,
        })
    };
    (0u8..).zip(ends.unwrap()).map(of).collect()
}

/// All members of a quorum do the same at once.
async fn all<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    servers: &[Arc<Server>],
    members: &[u8],
    job: impl Fn(Arc<Server>) -> F,
) -> Vec<T> {
    let of = |n: &u8| servers.iter().find(|s| s.number == *n).unwrap();
    let tasks: Vec<_> = members
        .iter()
        .map(|n| tokio::spawn(job(Arc::clone(of(n)))))
        .collect();
    let mut out = Vec::new();
    for task in tasks {
        out.push(task.await.unwrap());
    }
    out
}

async fn opened(
    servers: &[Arc<Server>],
    members: &[u8],
    dealt: &Dealt,
    request: Request,
) -> Vec<i64> {
    let parts = all(servers, members, |s| {
        let request = request.clone();
        async move {
            let signer = TestSigner { node: s.number };
            let entropy = [s.number; 32];
            let signed = s.keeper.open(&s.end, &signer, &request, entropy).await;
            let signed = signed.unwrap();
            let released = s.keeper.release(&signed).unwrap();
            (signed, released)
        }
    })
    .await;
    let released: Vec<_> = parts.iter().map(|p| p.1.clone()).collect();
    let found = buyer(&dealt.dealing, parts[0].0.outcome(), &released);
    found.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_servers_open_and_one_may_go() {
    // QRM-3, QRM-4, QRM-6, QRM-7, CST-11
    let mut world = World::new(3, 2, 9);
    let many: Vec<i64> = (0..100).map(|i| i * 77_777_777 - 3_000_000_000).collect();
    let rows = world.rows(&many, &mut rng(4));
    world.pool.push((rows, many.clone()));
    let hundred = world.pool.len() - 1;
    let folder = tempfile::tempdir().unwrap();
    let mut servers = servers(&world, folder.path()).await;
    // Every pair says hello to each other, as nodes that start do.
    for pair in QUORUMS {
        let greeted = all(&servers, &pair, |s| async move {
            let peer = pair.into_iter().find(|n| *n != s.number).unwrap();
            s.keeper.greet(&s.end, peer, TRIAL).await.unwrap();
            s.keeper.greeted()
        });
        assert!(greeted.await.iter().all(|g| !g.is_empty()));
    }
    let mut dealings = Vec::new();
    for members in QUORUMS {
        let dealt = world.deal(&world.plan(&members, 0, 0, 130));
        let digest = dealt.digest();
        for n in members {
            let server = &servers[usize::from(n)];
            assert_eq!(dealt.hand(&server.keeper, n).unwrap(), digest);
        }
        let public = world.public.clone();
        all(&servers, &members, |s| {
            let public = public.clone();
            async move {
                let entropy = [s.number; 32];
                let (keeper, end) = (&s.keeper, &s.end);
                keeper.check(end, &digest, TRIAL, entropy).await.unwrap();
                let early = keeper.activate(&[digest], &[]).await.unwrap_err();
                let unchecked = matches!(
                    early,
                    QuorumError::Store(StoreError::KeyUnchecked { epoch: 0, .. })
                );
                assert!(unchecked, "{early}");
                let checked = keeper.key_check(end, &digest, &public, TRIAL, entropy);
                checked.await.unwrap();
                keeper.activate(&[digest], &[]).await.unwrap();
            }
        })
        .await;
        dealings.push(dealt);
    }
    // All quorums at once, each its own order.
    let one = |at: usize| {
        let request = world.request(dealings[at].digest(), at as u64, &[at], 1);
        opened(&servers, &QUORUMS[at], &dealings[at], request)
    };
    let (a, b, c) = tokio::join!(one(0), one(1), one(2));
    for (at, found) in [a, b, c].into_iter().enumerate() {
        assert_eq!(found, world.values(&[at]));
    }
    let request = world.request(dealings[0].digest(), 10, &[hundred], 2);
    let found = opened(&servers, &QUORUMS[0], &dealings[0], request).await;
    assert_eq!(found, many);
    // Node 1 goes, while 0 waits for it; then 0 and 2 finish the order.
    let gone = servers.remove(1);
    let waits = tokio::spawn({
        let (server, request) = (
            Arc::clone(&servers[0]),
            world.request(dealings[0].digest(), 11, &[hundred], 3),
        );
        async move {
            let signer = TestSigner { node: 0 };
            let opened = server.keeper.open(&server.end, &signer, &request, [1; 32]);
            tokio::time::timeout(std::time::Duration::from_millis(200), opened).await
        }
    });
    drop(gone);
    assert!(waits.await.unwrap().is_err(), "nobody to open with");
    let request = world.request(dealings[1].digest(), 11, &[hundred], 4);
    let found = opened(&servers, &QUORUMS[1], &dealings[1], request).await;
    assert_eq!(found, many);
    // A node starts anew from its folder: what it spent stays spent.
    let before = servers[1].keeper.counts();
    drop(servers);
    let disk = Folder::new(&folder.path().join("2"));
    let keeper = world.open_store(2, disk).unwrap();
    assert_eq!(keeper.counts(), before);
    let left: Vec<_> = before.iter().map(|c| (c.dealt, c.remaining)).collect();
    assert!(left.contains(&(130, 130 - 8 - 1 - 100)), "{left:?}");
}
