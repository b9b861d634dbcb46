//! Tickets run out, are dealt anew, and are never taken back (ORD-7, DOC-12).

use super::{Market, code};
use serde_json::{Value, json};
use std::time::Duration;
use veilbourse::demo::custody;
use veilbourse_client::{
    buyer::{self, Wish},
    dealing::key_check,
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::Signed;

impl Market {
    /// Waits until the class has so many tickets left.
    async fn left(&self, seller: &super::Seller, expected: u64) {
        let mut left = String::new();
        for _ in 0..super::PATIENCE.as_millis() / 50 {
            let classes = buyer::classes(&self.buyer.session, &seller.listing).await;
            let classes = classes.expect("classes");
            left = classes.first().expect("a class").left.clone();
            if left == expected.to_string() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{left} tickets are left, not {expected}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_are_counted_and_dealt_further_and_anew() {
    let mut m = Market::quiet(None).await;
    let (idle, _) = m.world.new_pod("idle").await.expect("approved");
    let mut seller = m.seller("archive", &[(&[0, 1], 18), (&[0, 2], 17)]).await;
    // TKT-4: each quorum has spent eight on the check of the shared key.
    m.left(&seller, 19).await;

    // ORD-7: orders of four values fit in 10 and 9 tickets four times: 2 and 1 are
    // left, though three together.
    let nobody = Wish {
        pod: Some(&idle.id),
        class: None,
    };
    let mut late = None;
    for _ in 0..4 {
        let ticket = m.ticket(&seller, &nobody).await.expect("a quote");
        late = Some(m.ticket(&seller, &nobody).await.expect("a quote"));
        m.place(&ticket).await;
    }
    assert_eq!(code(m.ticket(&seller, &nobody).await), "TICKETS_USED_UP");
    // Quoted in time, ordered too late.
    let late = buyer::place(&m.buyer.session, &late.expect("a ticket")).await;
    assert_eq!(code(late), "TICKETS_USED_UP");

    let (listed, _) = m.statistics(&seller).await;
    // DOC-4: a class that the policy does not offer, or does not have.
    let check = key_check(listed.manifest.message_log2 as u8);
    let check = check.class().expect("a class").digest();
    for other in [check, Digest([7; 32])] {
        let wish = Wish {
            pod: None,
            class: Some(&other),
        };
        assert_eq!(
            code(m.ticket(&seller, &wish).await),
            "TICKET_CLASS_NOT_OFFERED"
        );
    }

    // Further tickets, under the next version.
    let old = seller.policy(&m, 1);
    seller.deal(&m, 20, &[], Some(&[0, 1]));
    seller.upload().await;
    let second = seller.policy(&m, 2);
    seller.update(&second).await.expect("a newer policy");
    custody::accepted(&m.world.admin, &seller.listing, &super::bars())
        .await
        .expect("accepted");
    let ticket = m.ticket(&seller, &nobody).await.expect("tickets again");
    let stale = ticket.clone();

    // The first again leaves the later dealing out; an older version by itself is
    // stale; and so is a newer one that lists fewer dealings.
    assert_eq!(code(seller.update(&old).await), "DEALINGS_NOT_KEPT");
    let stale_version = seller.policy(&m, 1);
    assert_eq!(code(seller.update(&stale_version).await), "POLICY_VERSION");
    let mut fewer = seller.body(&m, 3);
    fewer.tickets.as_mut().expect("tickets").dealings.pop();
    let fewer = Signed::sign(fewer, &seller.person.key).expect("signs");
    assert_eq!(code(seller.update(&fewer).await), "DEALINGS_NOT_KEPT");

    // A quorum freezes for good; it is dealt anew, with fresh keys.
    let root = seller.folder.manifest.root();
    for n in [0, 2] {
        let node = m.committee.member(n).expect("it runs");
        node.freeze(&root, &[0, 2], "a test").expect("freezes");
    }
    m.refused(&seller, &[0, 2], 0).await;
    seller.deal(&m, 16, &[&[0, 2]], Some(&[0, 2]));
    seller.upload().await;
    let third = seller.policy(&m, 3);
    seller.update(&third).await.expect("a newer policy");
    m.accepted(&seller, &[0, 2], 1).await;

    // An order quoted under the policy before is refused by name.
    let placed = buyer::place(&m.buyer.session, &stale).await;
    assert_eq!(code(placed), "ORDER_POLICY_DIFFERS");

    // What is dealt anew opens.
    m.committee.stop_node(1).await;
    let pod = m.start_pod().await;
    m.advance(180_000);
    let wish = Wish {
        pod: Some(&pod),
        class: None,
    };
    let ticket = m.ticket(&seller, &wish).await.expect("a quote");
    let order = m.place(&ticket).await;
    let (_, quorum) = m.opened(&seller, &order, &ticket).await;
    assert_eq!(quorum, [0, 2]);
    m.stop().await;
}

impl Market {
    /// Waits until a quorum's dealing of an epoch is refused.
    async fn refused(&self, seller: &super::Seller, quorum: &[u8], epoch: u64) {
        self.dealing(seller, quorum, epoch, "refused").await;
    }

    /// Waits until a quorum's dealing of an epoch is accepted.
    async fn accepted(&self, seller: &super::Seller, quorum: &[u8], epoch: u64) {
        self.dealing(seller, quorum, epoch, "accepted").await;
    }

    async fn dealing(&self, seller: &super::Seller, quorum: &[u8], epoch: u64, state: &str) {
        let document = "query($id: String!) { listing(id: $id) { tickets { dealings {
            quorum epoch state answers { node state code reason } } } } }";
        let mut last = Value::Null;
        for _ in 0..super::PATIENCE.as_millis() / 50 {
            let server = &self.buyer.session.server;
            let found = server.graphql("listing", document, json!({ "id": seller.listing }));
            last = found.await.expect("a listing");
            let dealings = last["tickets"]["dealings"].as_array().expect("dealings");
            let is = |d: &&Value| d["quorum"] == json!(quorum) && d["epoch"] == json!(epoch);
            let mut of = dealings.iter().filter(is).peekable();
            if of.peek().is_some() && of.all(|d| d["state"] == state) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{quorum:?}'s dealings of epoch {epoch} are not {state}: {last}");
    }
}
