//! A dealing of more than one batch (QRM-6, TKT-4): the keys go from batch to
//! batch, and once the first sum left whatever stops the check freezes.

mod support;

use std::sync::{Arc, Mutex};
use support::{sim::Scheduler, *};
use veilbourse_peers::Kind;
use veilbourse_protocol::MAX_CHECKED;
use veilbourse_ticket_store::*;

#[test]
fn a_dealing_of_two_batches() {
    // QRM-6, TKT-4, CST-4
    let world = World::new(2, 2, 3);
    let count = MAX_CHECKED as u64 + 9;
    let dealt = world.deal(&world.plan(&[0, 1], 0, 0, count));
    let digest = dealt.digest();
    let received: Vec<_> = (0..2)
        .map(|n| {
            let keeper = world.create(n, SimDisk::default());
            dealt.hand(&keeper, n).unwrap();
            keeper.read(|s| s.disk().copy())
        })
        .collect();
    // What goes wrong in the second batch: nothing; a member goes; a share.
    for case in 0..3 {
        let mut sched = Scheduler::new(case);
        sched.net.fifo();
        let mut opened = 0;
        sched.net.tamper(Some(Box::new(move |f, _| {
            opened += u32::from((f.from, f.kind, f.step) == (1, Kind::Dealing, 0));
            f.leaves = case == 1 && f.from == 1 && f.kind == Kind::Dealing && opened == 2;
            true
        })));
        let ends = Arc::new(Mutex::new(Vec::new()));
        let mut keepers = Vec::new();
        for (n, copy) in (0u8..).zip(&received) {
            let disk = SimDisk::of(copy);
            if case == 2 && n == 1 {
                let each = dealt.streams(1).unwrap()[1].len() / count as usize;
                disk.damage(&format!("{digest}.explicit"), (MAX_CHECKED + 3) * each);
            }
            let keeper = Arc::new(world.open_store(n, disk).unwrap());
            keepers.push(Arc::clone(&keeper));
            let (net, ends) = (sched.net.of(n), Arc::clone(&ends));
            sched.spawn(n, async move {
                let end = keeper.check(&net, &digest, 1, [n; 32]).await;
                ends.lock().unwrap().push(end);
            });
        }
        sched.settle();
        let ends = ends.lock().unwrap();
        assert!(
            ends.iter().all(|e| e.is_ok() == (case == 0)),
            "{case}: {ends:?}"
        );
        for keeper in &keepers {
            let stage = keeper.read(|s| s.state().dealing(&digest).unwrap().stage);
            let expected = if case == 0 {
                Stage::Verified
            } else {
                Stage::Destroyed
            };
            assert_eq!(stage, expected, "{case}");
        }
    }
}
