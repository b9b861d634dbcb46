//! The plain way: deal, check, check the key, activate, open, release.

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use support::{sim::Scheduler, *};
use veilbourse_ticket_store::*;

#[test]
fn a_committee_opens_what_it_was_dealt() {
    // QRM-3, QRM-4, QRM-6, QRM-7
    for (nodes, members) in [(3u8, &[0u8, 2][..]), (3, &[0, 1, 2])] {
        let world = World::new(nodes, members.len() as u8, 5);
        let dealt = world.deal(&world.plan(members, 0, 0, 16));
        let dealings = BTreeMap::from([(members.to_vec(), vec![dealt.clone()])]);
        let copies = usable(&world, &dealings);
        let mut sim = Scheduler::new(3);
        let results = Arc::new(Mutex::new(BTreeMap::new()));
        let outputs = [1, 4, 5];
        for n in members {
            let disk = SimDisk::of(&copies[usize::from(*n)]);
            let keeper = world.open_store(*n, disk).unwrap();
            let request = world.request(dealt.digest(), 1, &outputs, 7);
            let (n, net, results) = (*n, sim.net.of(*n), Arc::clone(&results));
            sim.spawn(n, async move {
                let signer = TestSigner { node: n };
                let signed = keeper.open(&net, &signer, &request, [n; 32]).await.unwrap();
                let e = keeper
                    .open(&net, &signer, &request, [n; 32])
                    .await
                    .unwrap_err();
                let second = StoreError::SecondOpening {
                    order: request.order,
                    output: 0,
                    session: signed.outcome().session,
                    found: "signed",
                };
                assert_eq!(e.to_string(), second.to_string());
                let released = keeper.release(&signed).unwrap();
                assert_eq!(keeper.release(&signed).unwrap().len(), 3);
                results.lock().unwrap().insert(n, (signed, released));
            });
        }
        sim.settle();
        let results = results.lock().unwrap();
        assert_eq!(results.len(), members.len());
        let released: Vec<_> = results.values().map(|r| r.1.clone()).collect();
        let signed = &results.values().next().unwrap().0;
        let found = buyer(&dealt.dealing, signed.outcome(), &released);
        let found: Result<Vec<_>, _> = found.into_iter().collect();
        assert_eq!(found, Ok(world.values(&outputs)));
        assert_eq!(signed.outcome().binding.outputs[0].first_ticket, 8);
    }
}
