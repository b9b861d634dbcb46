//! The store against the pure model: random operations from seeds on a real
//! database, and the same on the domain's in-memory [`Ledger`] and order
//! states (LED-1..3, ORD-5, SET-6). They must agree on every acceptance,
//! refusal, balance and state.

mod common;

use common::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use veilbourse_domain::{
    DomainError, Result,
    id::{CashRequestId, TransferId},
    job::LEASE_MILLIS,
    ledger::{Ledger, LedgerAccount, Postings, TransferKind, TransferStep},
    order::{Order, OrderState},
    ports::{LedgerPort, Orders},
};

/// What the store should hold.
#[derive(Default)]
struct Model {
    ledger: Ledger,
    orders: BTreeMap<u8, Order>,
}

impl Model {
    fn cash(
        &mut self,
        kind: TransferKind,
        t: TransferId,
        amount: i64,
        approve: bool,
    ) -> Result<()> {
        let postings = match kind {
            TransferKind::Deposit => Postings::deposit(account(BUYER), money(amount))?,
            _ => Postings::withdrawal(account(BUYER), money(amount))?,
        };
        self.ledger.open(t, postings)?;
        let step = if approve {
            TransferStep::Post
        } else {
            TransferStep::Void
        };
        self.ledger.step(t, step).map(|_| ())
    }

    /// The domain's own transition; the money by the spec's table.
    fn step(&mut self, n: u8, what: &str, now: u64) -> Result<()> {
        let p = placing(n);
        if what == "place" {
            if self.orders.contains_key(&n) {
                return Ok(());
            }
            let postings = Postings::escrow(
                account(BUYER),
                account(CUSTODIAN),
                account(OPERATOR),
                split(),
            )?;
            let reserved: u64 = self
                .orders
                .values()
                .filter(|o| o.state.name() != "refunded")
                .map(|o| o.values)
                .sum();
            if reserved + p.order.values > policy(1).quota_values {
                let (left, needed) = (policy(1).quota_values - reserved, p.order.values);
                return Err(DomainError::QuotaExceeded {
                    what: "values",
                    left,
                    needed,
                });
            }
            self.ledger.open(p.escrow, postings)?;
            let funded = p.order.state.clone().placed("funded")?.fund(p.escrow);
            self.orders.insert(n, p.order.with(funded));
            return Ok(());
        }
        let o = self
            .orders
            .get(&n)
            .cloned()
            .ok_or(DomainError::NotFound { what: "order" })?;
        let (s, deadline) = (o.state.clone(), o.terms.deadline);
        let (grant, pod) = (signed("grant", n).digest, pod());
        let next: OrderState = match what {
            "heartbeat" => s.leased("leased")?.heartbeat(pod, TOKEN, now)?.into(),
            "decline" => s
                .leased("funded")?
                .decline(pod, TOKEN, "does not fit".into(), now)?,
            "submit" => {
                if matches!(s, OrderState::Evaluated(_)) {
                    return Ok(());
                }
                s.leased("evaluated")?
                    .submit(pod, TOKEN, signed("submission", n).digest, now)?
                    .into()
            }
            "verify" => s.evaluated("verified")?.verify().into(),
            "reject" => s.evaluated("refunded")?.reject("LES-4".into(), now).into(),
            "grant" => s
                .verified("opening")?
                .grant(granted(n), deadline, now)?
                .into(),
            "deliver" => {
                if matches!(s, OrderState::Released(_)) {
                    return Ok(());
                }
                s.opening("released")?
                    .release(grant, vec![signed("delivery", n).digest], now)?
                    .into()
            }
            "refuse" => s
                .opening("refunded")?
                .undeliverable(grant, "KEY-2".into(), false, now)?
                .into(),
            other => panic!("no step {other}"),
        };
        self.set(n, o, next)
    }

    fn set(&mut self, n: u8, o: Order, next: OrderState) -> Result<()> {
        let step = match (&o.state, &next) {
            (_, OrderState::Opening(_)) => Some(TransferStep::Commit),
            (_, OrderState::Released(_)) => Some(TransferStep::Post),
            (OrderState::Opening(_), OrderState::Refunded(_)) => {
                Some(TransferStep::VoidByNonDelivery)
            }
            (_, OrderState::Refunded(_)) => Some(TransferStep::Void),
            _ => None,
        };
        if let Some(step) = step {
            self.ledger.step(placing(n).escrow, step)?;
        }
        self.orders.insert(n, o.with(next));
        Ok(())
    }

    /// The oldest funded order goes to the pod.
    fn lease(&mut self, now: u64) -> Result<Option<u8>> {
        let oldest = self
            .orders
            .iter()
            .filter(|(_, o)| matches!(o.state, OrderState::Funded(_)) && o.terms.deadline > now)
            .min_by_key(|(_, o)| o.id)
            .map(|(n, o)| (*n, o.clone()));
        let Some((n, o)) = oldest else {
            return Ok(None);
        };
        let leased = o
            .state
            .clone()
            .funded("leased")?
            .lease(pod(), TOKEN, DEADLINE, now)?;
        self.set(n, o, leased.into())?;
        Ok(Some(n))
    }

    fn sweep(&mut self, now: u64) -> Result<usize> {
        let mut changed = 0;
        for (n, o) in self.orders.clone() {
            let next = match o.clone().expire(now) {
                Ok(e) => e.state,
                Err(_) => match o.state.clone() {
                    OrderState::Leased(l) if l.lease.ended(now) => l.lapse(now)?,
                    _ => continue,
                },
            };
            self.set(n, o, next)?;
            changed += 1;
        }
        Ok(changed)
    }
}

const STEPS: [&str; 9] = [
    "place",
    "heartbeat",
    "decline",
    "submit",
    "verify",
    "reject",
    "grant",
    "deliver",
    "refuse",
];

async fn run(url: &str, seed: u64, length: u32) -> BTreeMap<&'static str, u32> {
    let s = market(url, 0).await;
    let mut m = Model::default();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut now = 100u64;
    let mut accepted: BTreeMap<&'static str, u32> = BTreeMap::new();
    for i in 0..length {
        // Small times mostly; now and then a lease's length; at the very end past the deadline.
        now += match rng.random_range(0..20u32) {
            0 => LEASE_MILLIS,
            _ => rng.random_range(0..500),
        };
        if i + 20 == length {
            now = DEADLINE;
        }
        match rng.random_range(0..16u32) {
            0 | 1 => {
                let mut tag = [0u8; 10];
                tag[..4].copy_from_slice(&i.to_le_bytes());
                let (id, t) = (CashRequestId::new(now, tag), TransferId::new(now, tag));
                let kind = if rng.random_range(0..3u32) == 0 {
                    TransferKind::Withdrawal
                } else {
                    TransferKind::Deposit
                };
                let amount = rng.random_range(1..3 * PRICE);
                let approve = rng.random_range(0..4u32) > 0;
                let key = format!("k{i}");
                let real = async {
                    s.request_cash(id, t, kind, account(BUYER), money(amount), &key, now)
                        .await?;
                    s.decide_cash(id, account(ADMIN), approve, "", now)
                        .await
                        .map(|_| ())
                }
                .await;
                assert_eq!(real, m.cash(kind, t, amount, approve), "seed {seed} op {i}");
            }
            2 | 3 => {
                let real = step(&s, 0, "lease", now).await.map(|o| o.map(|o| o.id));
                let model = m.lease(now).map(|n| n.map(|n| placing(n).order.id));
                assert_eq!(real, model, "seed {seed} op {i}");
            }
            4 => {
                let real = s.sweep(now, 100).await.map(|v| v.len());
                assert_eq!(real, m.sweep(now), "seed {seed} op {i}");
            }
            _ => {
                let n = rng.random_range(1..=6u8);
                let what = STEPS[rng.random_range(0..STEPS.len())];
                let real = step(&s, n, what, now).await.map(|_| ());
                let model = m.step(n, what, now);
                assert_eq!(real, model, "seed {seed} op {i}: {what} of {n}");
                if real.is_ok() {
                    *accepted.entry(what).or_default() += 1;
                }
            }
        }
        for a in [
            LedgerAccount::World,
            LedgerAccount::Fees,
            LedgerAccount::User(account(BUYER)),
            LedgerAccount::User(account(CUSTODIAN)),
            LedgerAccount::User(account(OPERATOR)),
        ] {
            assert_eq!(
                s.balance(a).await,
                Ok(m.ledger.balance(a)),
                "seed {seed} op {i}: {a}"
            );
        }
    }
    for (n, o) in &m.orders {
        assert_eq!(
            s.order(placing(*n).order.id).await.as_ref(),
            Ok(o),
            "seed {seed}"
        );
    }
    m.ledger.check().expect("LED-1");
    invariants(&s).await;
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_the_model() {
    let mut accepted: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..12 {
        for place in Place::each(&format!("model{seed}")).await {
            for (what, n) in run(&place.url, seed, 160).await {
                *accepted.entry(what).or_default() += n;
            }
        }
    }
    // Every step was taken, else the walk shows nothing.
    for s in STEPS {
        assert!(accepted.contains_key(s), "{s} never happened: {accepted:?}");
    }
}
