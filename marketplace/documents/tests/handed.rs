//! How long what a node hands in may be (POD-1, ORD-4, ORD-8): the largest order
//! fits, whatever its documents say; of a joint one the bound says how much does.

mod support;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use support::{digest, signer};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    api::{Deliver, Delivered, MAX_DELIVER_BYTES, OpenedByQuorum},
    *,
};
use veilbourse_protocol::{MAX_BATCH, MAX_NODES, MAX_TICKETS, MaskShare};

const NODE: u8 = 7;
/// Most siblings of a masked result.
const SIBLINGS: usize = 48;

/// The longest delivery of `orders` orders of `values` values each, of a quorum
/// of `parties`.
fn longest(orders: usize, values: usize, parties: usize) -> Deliver {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let secret = SealingSecret::generate(&mut rng);
    let sessions = vec![digest(9); orders];
    let context = SealedMasks {
        sessions: &sessions,
        node_key: Key(signer(NODE).verifying_key().to_bytes()),
    };
    let masks = vec![MaskShare::sum([]); values];
    let sealed = seal_masks(&masks, &secret.public().unwrap(), &context, &mut rng).unwrap();
    let count = values as u64;
    let first_ticket = MAX_TICKETS - count;
    let words = vec![1; values];
    let opening = Opening {
        version: DOCUMENT_VERSION,
        marketplace: digest(1),
        order: digest(2),
        grant: digest(3),
        session: digest(4),
        attempt: u32::MAX,
        first_ticket,
        values: count,
        opened: Opening::digest_of_opened(&words),
    };
    let delivery = Delivery {
        version: DOCUMENT_VERSION,
        marketplace: digest(1),
        order: digest(2),
        grant: digest(3),
        session: Some(digest(4)),
        sealed_result: Delivery::digest_of_sealed_result(&sealed),
        values: count,
        counter_before: u64::MAX - count,
        counter_after: u64::MAX,
    };
    let masked = MaskedResult {
        first_ticket,
        words,
        commitments: vec![vec![[3; 32]; parties]; values],
        siblings: vec![Digest::default(); SIBLINGS],
    };
    let masked = masked.encode();
    MaskedResult::decode(&masked).unwrap();
    let one = Delivered {
        delivery: Signed::sign(delivery, &signer(NODE)).unwrap(),
        opened: Some(OpenedByQuorum {
            opening: Signed::sign(opening, &signer(NODE)).unwrap(),
            masked: Bytes(masked),
        }),
    };
    Deliver {
        orders: vec![one; orders],
        sealed_result: Bytes(sealed),
    }
}

fn bytes(deliver: &Deliver) -> usize {
    serde_json::to_vec(deliver).unwrap().len()
}

#[test]
fn no_delivery_is_longer_than_its_bound() {
    // POD-1, ORD-8: nor much shorter.
    let most = usize::from(MAX_NODES);
    for (orders, values, parties) in [
        (1, 1, 2),
        (1, MAX_BATCH, 2),
        (1, MAX_BATCH, most),
        (2, 100, 3),
        (3, MAX_BATCH, 2),
        (MAX_JOINT, 1, most),
        (MAX_JOINT, 500, most),
    ] {
        let found = bytes(&longest(orders, values, parties));
        let bound = Deliver::most_bytes(orders, values, parties);
        assert!(
            found <= bound,
            "{orders} x {values} x {parties}: {found} > {bound}"
        );
        let spare = (orders + 1) * 4096;
        assert!(
            found + spare > bound,
            "{orders} x {values} x {parties}: {found}, far below {bound}"
        );
    }
    // What no order has is not counted round.
    assert_eq!(Deliver::most_bytes(2, usize::MAX, 5), usize::MAX);
}

#[test]
fn the_largest_order_by_itself_fits() {
    // ORD-4, OPN-5: in either custody.
    let most = usize::from(MAX_NODES);
    assert!(bytes(&longest(1, MAX_BATCH, most)) <= MAX_DELIVER_BYTES);
    let values = usize::try_from(MAX_VALUES).unwrap();
    let result = OpenedResult {
        // One long output, and the others of a value each.
        outputs: std::iter::once(values - 1023)
            .chain([1; 1023])
            .map(|n| OpenedOutput {
                values: vec![i64::MIN; n],
            })
            .collect(),
    };
    let mut rng = ChaCha12Rng::seed_from_u64(2);
    let key = SealingSecret::generate(&mut rng).public().unwrap();
    let context = ResultContext {
        order: digest(2),
        grant: digest(3),
        node_key: Key(signer(NODE).verifying_key().to_bytes()),
    };
    let sealed = seal_result(&result, &key, &context, &mut rng).unwrap();
    let mut deliver = longest(1, 1, 2);
    deliver.orders[0].opened = None;
    deliver.sealed_result = Bytes(sealed);
    assert!(bytes(&deliver) <= MAX_DELIVER_BYTES);
}

#[test]
fn of_a_joint_order_so_much_fits() {
    // ORD-8: up to the last value that the bound admits.
    for (orders, parties, whole) in [(3, 2, true), (2, 5, false), (3, 5, false), (16, 2, false)] {
        let fits = |v: &usize| Deliver::most_bytes(orders, *v, parties) <= MAX_DELIVER_BYTES;
        let values = (1..=MAX_BATCH).rev().find(fits).unwrap();
        assert_eq!(values == MAX_BATCH, whole, "{orders} x {parties}: {values}");
        assert!(bytes(&longest(orders, values, parties)) <= MAX_DELIVER_BYTES);
        if !whole {
            // A hundred more and it does not.
            let more = longest(orders, values + 100 * orders, parties);
            assert!(bytes(&more) > MAX_DELIVER_BYTES, "{orders} x {parties}");
        }
    }
}
