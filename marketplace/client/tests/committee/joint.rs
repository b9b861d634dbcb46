//! Joint orders (OPN-9, ORD-8): the sums of several custodians' values, and
//! nobody's own; what is no joint order is refused before it is signed.

use crate::support::*;
use veilbourse_client::{
    ClientError, ResultError,
    buyer::{
        JointRefusal, JointTicket, Listed, Offer, Part, align, check_joint, check_opened,
        prepare_joint, read,
    },
    dealing::{Asked, DealerFolder, Noise, exact, noisy},
    query::{Query, decode, statistics},
    train::{Ask, JointPlan, Method, Moments, fit},
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::*;
use veilbourse_privacy::{Rational, Sensitivity};

struct Seller {
    custodian: Custodian,
    dealer: DealerFolder,
    policy: Signed<Policy>,
    query: Query,
}

impl Seller {
    fn new(number: u8, committee: &Committee, variance: Option<u128>) -> Self {
        let custodian = Custodian::new(number);
        let class = match variance {
            None => exact("exact", custodian.k()),
            Some(v) => {
                let noise = Noise::Variance(Rational::integer(v));
                let sensitivity = Sensitivity::new(1_000).unwrap();
                noisy("private", custodian.k(), sensitivity, &noise).unwrap()
            }
        };
        let dealer = custodian.deal(committee, &[Asked { class, tickets: 16 }]);
        let policy = custodian.policy(committee, dealer.tickets(None).unwrap());
        let query = statistics(&custodian.data.manifest, "age").unwrap();
        Self {
            custodian,
            dealer,
            policy,
            query,
        }
    }

    fn class(&self) -> Digest {
        let tickets = self.policy.body.tickets.as_ref().unwrap();
        let offered = tickets.classes.iter().find(|c| c.offered).unwrap();
        offered.class().unwrap().digest()
    }

    fn offer(&self) -> Offer {
        self.custodian
            .offer(&self.policy, &self.query, &self.class())
    }
}

type Quotes = Vec<(Listed, Query, Offer)>;

fn quotes(sellers: &[Seller]) -> Quotes {
    let one = |s: &Seller| (s.custodian.listed(), s.query.clone(), s.offer());
    sellers.iter().map(one).collect()
}

fn parts(quotes: &Quotes) -> Vec<Part<'_>> {
    quotes
        .iter()
        .map(|(listed, query, offer)| Part {
            listed,
            query,
            offer,
        })
        .collect()
}

fn joint(quotes: &Quotes) -> Result<JointTicket, ClientError> {
    let (deadline, rng) = (NOW + 10_000, &mut rng(3));
    prepare_joint(
        &marketplace_key(),
        &parts(quotes),
        &signer(BUYER),
        deadline,
        rng,
    )
}

fn refused(quotes: &Quotes) -> JointRefusal {
    match check_joint(&parts(quotes), &key(&signer(BUYER))) {
        Err(ClientError::Joint(e)) => e,
        other => panic!("{other:?}"),
    }
}

/// Answers by one quorum to all orders of a joint ticket, which are in the order
/// of their quotes.
fn answers(committee: &Committee, sellers: &[Seller], ticket: &JointTicket) -> Vec<Answer> {
    let one = |t: &veilbourse_client::buyer::Ticket| {
        let of = |s: &&Seller| s.custodian.root() == t.order.body.dataset;
        let s = sellers.iter().find(of).unwrap();
        let dealt = s.dealer.dealt();
        let of = |d: &&DealingTerms| d.class == s.class() && d.quorum == [0, 1];
        let d = dealt.iter().find(of).unwrap();
        let (c, q) = (&s.custodian, &s.query);
        // Past those that the check of the public key takes.
        opened(c, committee, &s.dealer, t, q, d, d.first + 8)
    };
    ticket.orders.iter().map(one).collect()
}

#[test]
fn three_custodians_sums_are_opened_and_no_summand() {
    let committee = Committee::new(2, 2);
    let sellers: Vec<_> = [31, 32, 33]
        .map(|n| Seller::new(n, &committee, None))
        .into_iter()
        .collect();
    let quotes = quotes(&sellers);
    let ticket = joint(&quotes).unwrap();
    assert_eq!(ticket.price(), 9_000);
    // All list all quotes, ascending, with one result key and nonces of their own.
    let first = &ticket.orders[0].order.body;
    for t in &ticket.orders {
        let o = &t.order.body;
        assert_eq!(o.joint, first.joint);
        assert_eq!((&o.result_key, o.joint.len()), (&first.result_key, 3));
        t.chain().check().unwrap();
    }
    assert_ne!(first.nonce, ticket.orders[1].order.body.nonce);
    let answers = answers(&committee, &sellers, &ticket);
    let all = handed(&committee, &answers);
    let values = read(&ticket.tickets(), &all).unwrap();
    let mut expected = sellers[0].custodian.expected(&sellers[0].query);
    for s in &sellers[1..] {
        for (a, b) in expected.iter_mut().zip(s.custodian.expected(&s.query)) {
            a[0] += b[0];
        }
    }
    assert_eq!(values, expected);
    check_opened(&ticket.tickets(), &values).unwrap();
    // Decoded over the rows of all.
    let pooled = ticket.pooled().unwrap();
    let rows: u64 = sellers
        .iter()
        .map(|s| s.custodian.data.manifest.segments[0].rows)
        .sum();
    let decoded = decode(&pooled, ticket.program().unwrap(), &values);
    assert_eq!(decoded[0].rows, rows);
    let scale = ticket.program().unwrap().vectors[0].scale_log2;
    let mean = expected[0][0] as f64 / f64::from(scale).exp2() / rows as f64;
    assert!((decoded[0].values[0] - mean).abs() < 1e-9);

    // Hostile: one order's own masks in place of the sums name their node.
    let mut lied = answers.clone();
    lied[1].masks[0] = lied[0].masks[0].clone();
    let e = read(&ticket.tickets(), &handed(&committee, &lied)).unwrap_err();
    let named = ResultError::MaskShare {
        node: key(&committee.signing[0]),
        value: 0,
    };
    assert!(matches!(&e, ClientError::Result(e) if *e == named), "{e}");
    // Masks of two orders of the three, sealed for those two.
    let two = handed(&committee, &answers[..2]);
    let mut mixed = all.clone();
    mixed.masks = two.masks;
    let e = read(&ticket.tickets(), &mixed).unwrap_err();
    assert!(
        matches!(e, ClientError::Result(ResultError::MasksDigest { .. })),
        "{e}"
    );
    // An order left out, or another order's receipt in its place.
    let mut short = all.clone();
    short.receipts.pop();
    assert!(read(&ticket.tickets(), &short).is_err());
    let mut turned = all.clone();
    turned.receipts.swap(0, 1);
    let e = read(&ticket.tickets(), &turned).unwrap_err();
    assert!(
        matches!(
            e,
            ClientError::Refused {
                what: "receipt",
                ..
            }
        ),
        "{e}"
    );
    let mut turned = all;
    turned.masked.swap(0, 1);
    let e = read(&ticket.tickets(), &turned).unwrap_err();
    assert!(
        matches!(e, ClientError::Result(ResultError::MaskedWords)),
        "{e}"
    );
}

#[test]
fn two_custodians_need_noise() {
    // ORD-8
    let committee = Committee::new(2, 2);
    let noisy: Vec<_> = [41, 42]
        .map(|n| Seller::new(n, &committee, Some(100)))
        .into_iter()
        .collect();
    let found = quotes(&noisy);
    let ticket = joint(&found).unwrap();
    let all = handed(&committee, &answers(&committee, &noisy, &ticket));
    let values = read(&ticket.tickets(), &all).unwrap();
    let sums = noisy.iter().map(|s| s.custodian.expected(&s.query)[0][0]);
    let expected: i64 = sums.sum();
    assert!(
        (values[0][0] - expected).abs() < 20 * 15,
        "{} {expected}",
        values[0][0]
    );
    let mut mixed = noisy;
    mixed.truncate(1);
    mixed.push(Seller::new(43, &committee, None));
    let e = refused(&quotes(&mixed));
    assert!(
        matches!(&e, JointRefusal::Custodians { found: 2, class, .. } if class == "exact"),
        "{e}"
    );
}

#[test]
fn what_is_no_joint_order_is_refused_by_name() {
    let committee = Committee::new(2, 2);
    let sellers: Vec<_> = [51, 52, 53]
        .map(|n| Seller::new(n, &committee, None))
        .into_iter()
        .collect();
    let good = quotes(&sellers);
    check_joint(&parts(&good), &key(&signer(BUYER))).unwrap();
    let one = vec![good[0].clone()];
    assert_eq!(refused(&one), JointRefusal::Count { found: 1 });
    let mut many = good.clone();
    while many.len() < 17 {
        many.push(good[0].clone());
    }
    assert_eq!(refused(&many), JointRefusal::Count { found: 17 });
    let twice = vec![good[0].clone(), good[1].clone(), good[0].clone()];
    assert!(matches!(refused(&twice), JointRefusal::DatasetTwice { .. }));
    let own = sellers[1].custodian.signing.clone();
    let e = check_joint(&parts(&good), &key(&own)).unwrap_err();
    assert!(
        matches!(e, ClientError::Joint(JointRefusal::OwnListing { .. })),
        "{e}"
    );
    // The same custodian's key under three datasets is one custodian.
    let mut same = good.clone();
    for (_, _, offer) in &mut same {
        offer.policy.key = key(&own);
    }
    let e = refused(&same);
    assert!(
        matches!(e, JointRefusal::Custodians { found: 1, .. }),
        "{e}"
    );
    let mut other = good.clone();
    let stranger = Committee::of(2, 2, 70).file.openers();
    other[2].2.quote.body.openers = stranger;
    assert!(matches!(refused(&other), JointRefusal::Committee { .. }));
    let mut held = good.clone();
    for (_, _, offer) in &mut held {
        offer.quote.body.openers = Openers::CustodianHeld {
            node_key: key(&own),
        };
    }
    assert!(matches!(refused(&held), JointRefusal::Custody { .. }));
    let mut scale = good.clone();
    scale[1].1.program.vectors[0].scale_log2 += 1;
    let e = refused(&scale);
    assert!(
        matches!(&e, JointRefusal::Scale { name, .. } if name == "sum of age"),
        "{e}"
    );
    let mut vectors = good.clone();
    vectors[2].1.program.vectors[1].label = "other".into();
    assert!(matches!(refused(&vectors), JointRefusal::Vectors { .. }));
    let mut fewer = good.clone();
    fewer[1].1.program.outputs.pop();
    assert!(matches!(refused(&fewer), JointRefusal::Segments { .. }));
    // Another order of outputs would add up what does not belong together.
    let mut turned = good.clone();
    turned[1].1.program.outputs.swap(0, 1);
    assert!(matches!(refused(&turned), JointRefusal::Values { .. }));
    // Aligning puts it right.
    let (a, b) = (good[0].clone(), turned[1].clone());
    let mut pairs = vec![(&a.0, a.1.clone()), (&b.0, b.1.clone())];
    align(&mut pairs).unwrap();
    assert_eq!(pairs[1].1.program, good[1].1.program);
}

#[test]
fn a_regression_over_three_custodians_is_that_of_all_rows() {
    // TRN-6, OPN-9: on the sums that a joint order would open.
    let custodians = [61, 62, 63].map(Custodian::new);
    let listed: Vec<Listed> = custodians.iter().map(Custodian::listed).collect();
    let ask = Ask {
        target: "age".into(),
        features: vec!["visits".into()],
        ..Ask::default()
    };
    // The product is not listed: refused by name, as for one listing.
    assert!(JointPlan::of(&listed, &ask).is_err());
    let with = |n: u8| {
        let mut csv = String::from("age,visits\n18,0\n87,12\n");
        for i in 0..200u64 {
            let (age, visits) = (18 + (i * 37 + u64::from(n) * 11) % 70, (i * 7) % 13);
            csv += &format!("{age},{visits}\n");
        }
        csv
    };
    let tables: Vec<Custodian> = [71, 72, 73]
        .map(|n| Custodian::with_products(n, &with(n)))
        .into();
    let listed: Vec<Listed> = tables.iter().map(Custodian::listed).collect();
    let plan = JointPlan::of(&listed, &ask).unwrap();
    let mut opened = tables[0].expected(&plan.queries[0]);
    for (t, q) in tables.iter().zip(&plan.queries).skip(1) {
        for (a, b) in opened.iter_mut().zip(t.expected(q)) {
            a[0] += b[0];
        }
    }
    let joint = plan.moments(&opened).unwrap();
    // The reference: all rows in one table.
    let mut all: Option<Moments> = None;
    for t in &tables {
        let columns = &t.built.table.segments[0];
        let at = |name: &str| {
            let columns = t.data.manifest.columns.iter();
            columns.clone().position(|c| c.name == name).unwrap()
        };
        let order = [at("visits"), at("age")];
        let rows: Vec<Vec<i64>> = (0..columns[0].len())
            .map(|r| order.iter().map(|c| columns[*c][r]).collect())
            .collect();
        let variables = plan.plan.columns.variables.clone();
        let own = Moments::of_rows(variables, rows.iter().map(Vec::as_slice)).unwrap();
        all = Some(match all {
            None => own,
            Some(m) => m.plus(own).unwrap(),
        });
    }
    let all = all.unwrap();
    assert_eq!(joint, all);
    let (a, b) = (
        fit(&joint, Method::Ols).unwrap(),
        fit(&all, Method::Ols).unwrap(),
    );
    assert_eq!(
        a.coefficients[0].value.to_bits(),
        b.coefficients[0].value.to_bits()
    );
}
