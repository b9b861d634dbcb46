//! What custodians and pods have earned, and what machines do.

use crate::App;
use std::collections::{BTreeMap, HashMap};
use veilbourse_domain::{
    Millis, Result,
    access::MachineKind,
    id::{AccountId, ListingId, MachineId},
    people::Earning,
    records::Machine,
};
use veilbourse_graphql::{
    CustodianSummary, DayEntry, ListingEarnings, MachineWork, Money, RunningJob,
};

/// Orders read at once.
const BATCH: u32 = 500;
/// Days with an order that are listed.
const DAYS: usize = 30;
const DAY_MILLIS: Millis = 86_400_000;

/// Orders, values, money.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    orders: u64,
    values: u64,
    earned: i64,
}

impl Sum {
    fn add(&mut self, e: &Earning) {
        self.orders += 1;
        self.values = self.values.saturating_add(e.values);
        self.earned = self.earned.saturating_add(e.custodian.get());
    }
}

/// A day since the epoch as `YYYY-MM-DD` (H. Hinnant, days_from_civil).
fn date(day: u64) -> String {
    let z = day + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = doy - (153 * mp + 2) / 5 + 1;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    let y = yoe + era * 400 + u64::from(m <= 2);
    format!("{y:04}-{m:02}-{d:02}")
}

impl App {
    pub(crate) async fn earned_by(&self, custodian: AccountId) -> Result<CustodianSummary> {
        let mut all = Sum::default();
        let mut days: BTreeMap<u64, Sum> = BTreeMap::new();
        let mut listings: HashMap<ListingId, Sum> = HashMap::new();
        let mut after = None;
        loop {
            let batch = self.store.earnings(custodian, after, BATCH).await?;
            for e in &batch {
                all.add(e);
                days.entry(e.at / DAY_MILLIS).or_default().add(e);
                listings.entry(e.listing).or_default().add(e);
            }
            after = batch.last().map(|e| e.order);
            if batch.len() < BATCH as usize {
                break;
            }
        }
        let per_day = days.iter().skip(days.len().saturating_sub(DAYS));
        let per_day = per_day.map(|(day, s)| DayEntry {
            date: date(*day),
            orders: s.orders.to_string(),
            values: s.values.to_string(),
            earned: Money(s.earned),
        });
        let mut by_listing: Vec<_> = listings.into_iter().collect();
        by_listing.sort_by_key(|(id, s)| (std::cmp::Reverse(s.earned), *id));
        let mut listings = Vec::with_capacity(by_listing.len());
        for (id, s) in by_listing {
            listings.push(ListingEarnings {
                listing: id.to_string(),
                title: self.store.listing(id).await?.title,
                orders: s.orders.to_string(),
                values: s.values.to_string(),
                earned: Money(s.earned),
            });
        }
        Ok(CustodianSummary {
            earned: Money(all.earned),
            orders: all.orders.to_string(),
            revealed: all.values.to_string(),
            per_day: per_day.collect(),
            listings,
        })
    }

    async fn pod_earned(&self, pod: MachineId) -> Result<i64> {
        let (mut earned, mut after) = (0i64, None);
        loop {
            let batch = self.store.pod_earnings(pod, after, BATCH).await?;
            for e in &batch {
                earned = earned.saturating_add(e.pod.get());
            }
            after = batch.last().map(|e| e.order);
            if batch.len() < BATCH as usize {
                return Ok(earned);
            }
        }
    }

    pub(crate) async fn work_of(&self, m: &Machine) -> Result<MachineWork> {
        let work = self.store.machine_work(m.id, m.signing_key).await?;
        let earned = match m.kind {
            MachineKind::Pod => self.pod_earned(m.id).await?,
            MachineKind::Node => 0,
        };
        let mut running = Vec::with_capacity(work.running.len());
        for id in work.running {
            let order = self.store.order(id).await?;
            let (stage, per_mille) = self.store.progress(id).await?.unwrap_or_default();
            running.push(RunningJob {
                order: id.to_string(),
                state: order.state.name().into(),
                stage,
                per_mille,
            });
        }
        Ok(MachineWork {
            last_seen_at: work.last_seen_at.map(|t| t.to_string()),
            jobs_done: work.done.to_string(),
            jobs_failed: work.failed.to_string(),
            earned: Money(earned),
            running,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (day, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_675, "2023-11-14"),
            (20_779, "2026-11-22"),
        ] {
            assert_eq!(date(day), text);
        }
    }
}
