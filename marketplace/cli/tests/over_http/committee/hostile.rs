//! A server that holds all its own keys and its whole database, and does what it
//! likes with them, gets nothing decrypted: the nodes refuse by name what it forges
//! (KEY-2, KEY-8, KEY-11, OPN-5), and what it stores does not decode (OPN-3,
//! DOC-10, DOC-14).

use super::{
    Market, PATIENCE, Seller,
    proxy::{Answer, Proxy, digest},
};
use std::{fs, path::Path, time::Duration};
use veilbourse::files::{NodeFolder, public};
use veilbourse_client::{
    ClientError, ResultError,
    buyer::{self, Handed, Sealed, Ticket},
    http::Server,
    market::{self, Session},
};
use veilbourse_core::{digest::Digest, field::MODULUS};
use veilbourse_documents::{
    Bytes, DOCUMENT_VERSION, Id, Key, MachineRegistration, MaskedResult, Nonce, Opener,
    PieceContext, SealedMasks, SealingSecret, Signed, SigningKey,
    api::{Deliver, NodeJob, NodeJobs},
    open_masks, open_piece,
};

const TICKETS: [(&[u8], u64); 3] = [(&[0, 1], 40), (&[1, 2], 24), (&[0, 2], 16)];

/// Everything that signs for the server, and accounts of its own.
struct Forger {
    market: SigningKey,
    buyer: SigningKey,
    pod: SigningKey,
    custodian: SigningKey,
    result: SealingSecret,
}

impl Forger {
    fn of(m: &Market) -> Self {
        let mut rng = veilbourse::rng(None);
        let path = m.dir.path().join("server/marketplace.key");
        let market = veilbourse_server::read_or_make_key(&path, &mut rng).expect("its key");
        assert_eq!(public(&market), m.world.marketplace);
        Self {
            market,
            buyer: market::fresh_key(&mut rng),
            pod: market::fresh_key(&mut rng),
            custodian: market::fresh_key(&mut rng),
            result: SealingSecret::generate(&mut rng),
        }
    }

    /// Another order by a buyer of its own, with an honest order's submission: all
    /// documents fit together and all are signed. `change` comes before the signing.
    fn job(&self, honest: &NodeJob, nonce: u8, change: impl FnOnce(&mut NodeJob)) -> NodeJobs {
        let mut j = honest.clone();
        let marketplace = j.order.body.marketplace;
        let sealing = Bytes(self.result.public().expect("a key"));
        let registration = MachineRegistration {
            version: DOCUMENT_VERSION,
            marketplace,
            sealing_key: Some(sealing.clone()),
        };
        let registration = Signed::sign(registration, &self.pod).expect("signs");
        let pod = &mut j.quote.body.pod;
        pod.signing_key = public(&self.pod);
        pod.sealing_key = sealing.clone();
        pod.sealing_signature = registration.signature;
        j.order.body.pod_key = public(&self.pod);
        j.order.body.nonce = Nonce([nonce; 32]);
        j.order.body.result_key = sealing;
        change(&mut j);
        j.quote.body.policy = digest(&j.policy);
        j.quote.body.program = j.order.body.program.shape();
        j.quote = Signed::sign(j.quote.body, &self.market).expect("signs");
        j.order.body.quote = digest(&j.quote);
        j.order = Signed::sign(j.order.body, &self.buyer).expect("signs");
        j.submission.body.order = digest(&j.order);
        j.submission = Signed::sign(j.submission.body, &self.pod).expect("signs");
        let grant = &mut j.grant.body;
        grant.order = digest(&j.order);
        grant.policy = digest(&j.policy);
        grant.submission = digest(&j.submission);
        j.grant = Signed::sign(j.grant.body, &self.market).expect("signs");
        j.order_id =
            Id::parse(&format!("01900000-0000-7000-8000-0000000000{nonce:02x}")).expect("an id");
        NodeJobs { jobs: vec![j] }
    }
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..PATIENCE.as_millis() / 50 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not happen");
}

/// Gives a forged job to nodes and waits for what each signs.
async fn refused(proxy: &Proxy, nodes: &[Key], jobs: &NodeJobs) -> Vec<Answer> {
    let order = digest(&jobs.jobs[0].order);
    let before = proxy.refusals().len();
    for node in nodes {
        proxy.give(node, jobs.clone());
    }
    for _ in 0..PATIENCE.as_millis() / 50 {
        let mut new = proxy.refusals().split_off(before);
        new.retain(|a| a.order == order);
        if nodes.iter().all(|n| new.iter().any(|a| a.node == *n)) {
            return new;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refusals = proxy.refusals().split_off(before);
    panic!("not all answered: {refusals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_all_its_keys_gets_nothing_decrypted() {
    let proxy = Proxy::start().await;
    let mut m = Market::quiet(Some(&proxy)).await;
    let seller = m.seller("clinic", &TICKETS).await;
    m.start_pod().await;
    let (order, ticket) = m.order(&seller).await;
    let (_, quorum) = m.opened(&seller, &order, &ticket).await;
    assert_eq!(quorum, [0, 1]);
    let nodes = m.committee.file.openers().keys().to_vec();
    let forger = Forger::of(&m);
    let honest = proxy.job(&nodes[0]).jobs.remove(0);
    assert_eq!(digest(&honest.order), digest(&ticket.order));

    what_is_stored_does_not_decode(&m, &proxy, &seller, &ticket, &forger);
    swapped_results_are_refused(&m, &proxy, &order, &ticket).await;

    proxy.forge();
    // The order is released; a second grant to another quorum, by the true key: a
    // node that has opened has for it what it delivered before, and the third is
    // alone. (Its patience ends with the grant: soon.)
    let tickets = honest.policy.body.tickets.clone().expect("tickets");
    let dealing = |q: &[u8]| {
        let of = tickets.dealings.iter().find(|d| d.quorum == q);
        of.expect("dealt").digest
    };
    for (number, pair) in [(1, [0, 2]), (2, [1, 2])] {
        let mut second = honest.clone();
        second.grant.body.number = number;
        second.grant.body.expires = m.now() + 3_000;
        second.grant.body.opener = Opener::Committee {
            quorum: pair.to_vec(),
            dealing: dealing(&pair),
        };
        second.grant = Signed::sign(second.grant.body, &forger.market).expect("signs");
        let jobs = NodeJobs { jobs: vec![second] };
        for node in pair.map(|n| nodes[usize::from(n)]) {
            let before = proxy.asked(&node);
            proxy.give(&node, jobs.clone());
            // Taken, and asked for more since.
            until(|| proxy.asked(&node) >= before + 2).await;
        }
    }

    // Orders of its own, to the quorum with most tickets.
    type Change<'a> = Box<dyn Fn(&mut NodeJob) + 'a>;
    let expires = m.now() + 800_000;
    let fresh = |j: &mut NodeJob| {
        j.grant.body.expires = expires;
        j.order.body.deadline = expires + 1;
        j.quote.body.expiry = expires;
    };
    let cases: Vec<(&str, &str, Change<'_>)> = vec![
        // The same proofs for its own result key: they are of the other order.
        ("the proofs of another order", "PROOF", Box::new(|_| ())),
        (
            "another program than proven",
            "PROOF",
            Box::new(|j| j.order.body.program.outputs.swap(0, 1)),
        ),
        (
            "other ciphertexts than granted",
            "OUTPUT_DIGEST",
            Box::new(|j| {
                for outputs in [&mut j.submission.body.outputs, &mut j.grant.body.outputs] {
                    outputs[0].ciphertext = Digest([9; 32]);
                }
            }),
        ),
        (
            "fewer outputs than ordered",
            "DOCUMENT",
            Box::new(|j| {
                j.submission.body.outputs.pop();
                j.grant.body.outputs.pop();
            }),
        ),
        (
            "outputs granted that were not submitted",
            "DOCUMENT",
            Box::new(|j| j.grant.body.outputs[0].ciphertext = Digest([9; 32])),
        ),
        (
            "a class that is not offered",
            "DOCUMENT",
            Box::new(|j| {
                j.order.body.ticket_class = Some(Digest([9; 32]));
                j.quote.body.ticket_class = Some(Digest([9; 32]));
            }),
        ),
        (
            "another quorum's dealing",
            "DOCUMENT",
            Box::new(|j| {
                j.grant.body.opener = Opener::Committee {
                    quorum: vec![0, 1],
                    dealing: dealing(&[1, 2]),
                };
            }),
        ),
        (
            "another manifest",
            "MANIFEST_ROOT",
            Box::new(|j| j.manifest.segments[0].rows -= 1),
        ),
        (
            "for nothing",
            "PRICE",
            Box::new(|j| {
                let price = &mut j.quote.body.price;
                (price.total, price.fee, price.pod, price.custodian) = (4, 0, 0, 4);
                j.order.body.price = 4;
            }),
        ),
        (
            "a custodian of its own",
            "DEALING",
            Box::new(|j| {
                j.policy = Signed::sign(j.policy.body.clone(), &forger.custodian).expect("signs");
            }),
        ),
        (
            "expired",
            "GRANT_EXPIRED",
            Box::new(|j| j.grant.body.expires = 1),
        ),
        (
            "one node alone",
            "DOCUMENT",
            Box::new(|j| {
                j.grant.body.opener = Opener::Committee {
                    quorum: vec![0],
                    dealing: dealing(&[0, 1]),
                };
            }),
        ),
    ];
    for ((what, code, change), nonce) in cases.iter().zip(1u8..) {
        let jobs = forger.job(&honest, nonce, |j| {
            fresh(j);
            change(j);
        });
        for a in refused(&proxy, &nodes[..2], &jobs).await {
            assert_eq!(
                (a.code.as_str(), a.revealed),
                (*code, false),
                "{what}: {a:?}"
            );
        }
    }
    // Nothing was handed in but what had been before.
    let known = proxy.deliveries();
    for (node, delivery) in proxy.opened() {
        let text = |d: &Deliver| serde_json::to_string(d).expect("JSON");
        let same = |(k, d): &(Key, Deliver)| *k == node && text(d) == text(&delivery);
        assert!(
            known.iter().any(same),
            "node {node} delivered something new"
        );
    }
    // What was opened is what was paid for, and no ticket more is gone: four, and
    // eight of each quorum for the check of its key (TKT-4).
    let spent: u64 = buyer::classes(&m.buyer.session, &seller.listing)
        .await
        .expect("classes")
        .iter()
        .map(|c| c.spent.parse::<u64>().expect("a number"))
        .sum();
    assert!(spent <= 4 + 3 * 8, "{spent}");
    m.stop().await;
}

/// All files below a folder.
fn files(dir: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(fs::read(&path).expect("reads")),
        }
    }
    all
}

/// Sealed pieces, sealed masks and the masked result, with every key that the
/// server has or can make.
fn what_is_stored_does_not_decode(
    m: &Market,
    proxy: &Proxy,
    seller: &Seller,
    ticket: &Ticket,
    forger: &Forger,
) {
    let held = files(&m.dir.path().join("server"));
    let mut keys = vec![SealingSecret::from_bytes(*forger.result.as_bytes())];
    // Whatever in its folder might be a key.
    for bytes in held.iter().filter(|b| b.len() <= 65) {
        let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
        if let Ok(Ok(secret)) = hex::decode(text).map(<[u8; 32]>::try_from) {
            keys.push(SealingSecret::from_bytes(secret));
        }
    }
    assert!(keys.len() > 2, "the server has keys of its own");

    // The pieces of every dealing lie in its object store as they were sealed.
    let mut pieces = 0;
    for d in seller.dealer.dealt() {
        for (party, node) in d.quorum.iter().enumerate() {
            let party = party as u8;
            let folder = NodeFolder(m.dir.path().join(format!("key-node-{node}")));
            let right = folder.sealing().expect("its key");
            for part in ["offer", "commitments", "explicit", "key", "proof"] {
                for n in 0..seller.dealer.pieces(&d.digest, party, part) {
                    let sealed = seller.dealer.piece(&d.digest, party, part, n);
                    let sealed = sealed.expect("reads").expect("a piece");
                    assert!(held.contains(&sealed), "{part} {n} is stored");
                    let dealer = veilbourse::files::public(&seller.person.key);
                    let context = PieceContext {
                        dealer: &dealer,
                        dealing: &d.digest,
                        party,
                        part,
                        offset: n * veilbourse_documents::PIECE_BYTES as u64,
                    };
                    // The node's own key opens it, no other.
                    open_piece(&sealed, &right, &context).expect("the node's");
                    assert!(
                        keys.iter()
                            .all(|k| open_piece(&sealed, k, &context).is_err())
                    );
                    pieces += 1;
                }
            }
        }
    }
    assert!(pieces >= 12, "{pieces}");

    // Both nodes' sealed masks, as they were handed in.
    let deliveries = proxy.deliveries();
    let mut masked = None;
    let mut opened_by = Vec::new();
    for (node, delivery) in &deliveries {
        let part = delivery.orders[0].opened.as_ref().expect("a quorum's");
        let sessions = [part.opening.body.session];
        let context = SealedMasks {
            sessions: &sessions,
            node_key: *node,
        };
        let sealed = &delivery.sealed_result.0;
        let secret: [u8; 32] = ticket.result_secret.0.clone().try_into().expect("a key");
        let masks = open_masks(sealed, &SealingSecret::from_bytes(secret), &context);
        assert_eq!(masks.expect("the buyer's").len(), 4);
        assert!(
            keys.iter()
                .all(|k| open_masks(sealed, k, &context).is_err())
        );
        masked = Some(MaskedResult::decode(&part.masked.0).expect("words"));
        opened_by.push(*node);
    }
    opened_by.sort_unstable();
    opened_by.dedup();
    assert_eq!(opened_by.len(), 2);

    // The words themselves are masked: none is a value.
    let words = masked.expect("delivered").words;
    let program = &ticket.order.body.program;
    let manifest = &seller.folder.manifest;
    let weights: Vec<Vec<i64>> = (program.vectors.iter())
        .filter_map(|v| match &v.weights {
            veilbourse_core::program::Weights::Public { values } => Some(values.clone()),
            veilbourse_core::program::Weights::Private { .. } => None,
        })
        .collect();
    let values = veilbourse_core::simulation::simulate_program(
        manifest,
        &seller.built.table,
        program,
        &weights,
    );
    let values = values.expect("they belong together");
    for (word, value) in words.iter().zip(values.iter().flatten()) {
        let (word, value) = (i128::from(*word), i128::from(*value));
        let q = i128::from(MODULUS);
        for k in 0..=manifest.message_log2 {
            let scaled = (value << k).rem_euclid(q);
            let distance = (word - scaled).rem_euclid(q);
            assert!(
                distance.min(q - distance) > 1 << 20,
                "word {word}, value {value}"
            );
        }
    }
}

/// What a buyer is handed in place of its result is refused, and whose it was not
/// is named.
async fn swapped_results_are_refused(m: &Market, proxy: &Proxy, order: &Id, ticket: &Ticket) {
    let bearer = m.buyer.session.server.token().expect("signed in");
    let session = Session {
        server: Server::new(&proxy.url).with_token(bearer),
        ..m.buyer.session.clone()
    };
    let good = buyer::open(&session, order, ticket).await.expect("opens");
    let Sealed::Committee { masked, masks } = good.sealed else {
        panic!("a committee's");
    };
    let at = |what: &str| format!("/v1/orders/{order}/{what}");
    let refused = || async {
        let e = buyer::open(&session, order, ticket).await.unwrap_err();
        proxy.honest();
        match e {
            ClientError::Result(e) => e,
            other => panic!("{other}"),
        }
    };
    let keys = m.committee.file.openers().keys().to_vec();
    // One node's masks for the other's.
    proxy.instead(&at("masks/0"), masks[1].clone());
    let e = refused().await;
    assert_eq!(e, ResultError::MasksDigest { node: keys[0] });
    // One bit of a node's masks.
    let mut bent = masks[1].clone();
    *bent.last_mut().expect("bytes") ^= 1;
    proxy.instead(&at("masks/1"), bent);
    assert_eq!(refused().await, ResultError::MasksDigest { node: keys[1] });
    // One masked word: what the nodes signed is another.
    let mut words = MaskedResult::decode(&masked).expect("decodes");
    words.words.reverse();
    proxy.instead(&at("masked"), words.encode());
    assert_eq!(refused().await, ResultError::MaskedWords);
    // With the server's own key in place of the buyer's nothing opens at all.
    let mut stolen = ticket.clone();
    stolen.result_secret = Bytes(vec![7; 32]);
    let handed = Handed {
        receipts: vec![good.receipt],
        masked: vec![masked],
        masks,
    };
    let e = buyer::read(&[&stolen], &handed).unwrap_err();
    assert!(
        matches!(e, ClientError::Result(ResultError::Sealed { .. })),
        "{e}"
    );
}
