//! What staff should look at (OPS-1): from the state of things, not from a log.

use crate::App;
use veilbourse_domain::{
    DomainError, Millis, Result,
    admit::quota_left,
    listing::Listing,
    ports::ListingFilter,
    records::{MAX_PAGE, PageRequest},
    tickets::count,
};
use veilbourse_graphql::Alarm;

/// A machine that said nothing for so long is silent; they ask every few
/// seconds.
const SILENT_MILLIS: Millis = 5 * 60_000;
/// An order is near its deadline.
const NEAR_MILLIS: Millis = 10 * 60_000;
/// Orders that wait for one pod.
const DEEP: u64 = 20;
/// Of a quota or of dealt tickets, so many in a hundred are few.
const LOW_PERCENT: u64 = 10;
/// Published listings looked at, newest first.
const LISTINGS: u32 = MAX_PAGE;
/// Orders named one by one.
const ORDERS: u32 = 20;
/// Free space: less than this many bytes, or than one in twenty, is little.
const LITTLE_BYTES: u64 = 1 << 30;

fn alarm(code: &str, severity: &str, at: Millis, subject: impl ToString, message: String) -> Alarm {
    Alarm {
        code: code.into(),
        severity: severity.into(),
        at: at.to_string(),
        subject: subject.to_string(),
        message,
    }
}

/// Worst first.
fn rank(a: &Alarm) -> u8 {
    match a.severity.as_str() {
        "critical" => 0,
        "warning" => 1,
        _ => 2,
    }
}

fn few(left: u64, all: u64) -> bool {
    u128::from(left) * 100 < u128::from(all) * u128::from(LOW_PERCENT)
}

impl App {
    pub(crate) async fn look_for_alarms(&self) -> Result<Vec<Alarm>> {
        let mut out = Vec::new();
        self.books(&mut out).await?;
        self.machines_silent(&mut out).await?;
        self.orders_late(&mut out).await?;
        self.budgets_low(&mut out).await?;
        self.disk(&mut out);
        let letters = self.mail_alarms().await?.into_iter();
        out.extend(letters.map(|m| alarm(m.code, m.severity, m.at, "mail", m.message)));
        out.sort_by_key(rank);
        Ok(out)
    }

    /// Ledger and audit chain, from their postings and records.
    async fn books(&self, out: &mut Vec<Alarm>) -> Result<()> {
        let now = self.now();
        match self.store.ledger_check().await {
            Ok(_) => {}
            Err(DomainError::LedgerBroken { what }) => {
                out.push(alarm("LEDGER_BROKEN", "critical", now, "ledger", what));
            }
            Err(e) => return Err(e),
        }
        match self.store.audit_check().await {
            Ok(_) => {}
            Err(e @ DomainError::AuditBroken { .. }) => {
                out.push(alarm(
                    "AUDIT_BROKEN",
                    "critical",
                    now,
                    "audit",
                    e.to_string(),
                ));
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    async fn machines_silent(&self, out: &mut Vec<Alarm>) -> Result<()> {
        let now = self.now();
        for (id, name, kind, registered, heard) in self.store.machines_heard().await? {
            let since = heard.unwrap_or(registered);
            if since.saturating_add(SILENT_MILLIS) <= now {
                let what = match heard {
                    Some(_) => "asks for nothing any more",
                    None => "has never asked for anything",
                };
                let message = format!("{kind} \"{name}\" {what}");
                let subject = format!("machine:{id}");
                out.push(alarm("MACHINE_SILENT", "warning", since, subject, message));
            }
        }
        for (pod, n) in self.store.queues().await? {
            if n >= DEEP {
                let message = format!("{n} orders wait for the pod");
                let subject = format!("machine:{pod}");
                out.push(alarm("QUEUE_DEEP", "warning", now, subject, message));
            }
        }
        Ok(())
    }

    async fn orders_late(&self, out: &mut Vec<Alarm>) -> Result<()> {
        let now = self.now();
        let due = self
            .store
            .orders_due(now.saturating_add(NEAR_MILLIS), ORDERS)
            .await?;
        for (id, deadline) in due {
            let subject = format!("order:{id}");
            out.push(if deadline <= now {
                // SET-5: swept within seconds, unless its one grant holds it.
                let message = "past its deadline and not ended".to_owned();
                alarm("ORDER_OVERDUE", "critical", deadline, subject, message)
            } else {
                let minutes = (deadline - now).div_ceil(60_000);
                let message = format!("its deadline is in {minutes} minutes");
                alarm("DEADLINE_NEAR", "warning", now, subject, message)
            });
        }
        Ok(())
    }

    async fn budgets_low(&self, out: &mut Vec<Alarm>) -> Result<()> {
        let page = PageRequest::new(LISTINGS, None)?;
        let filter = ListingFilter {
            states: vec!["published".into()],
            ..ListingFilter::default()
        };
        for l in self.store.listings(&filter, &page).await?.into_items() {
            self.budget_low(&l, out).await?;
        }
        Ok(())
    }

    async fn budget_low(&self, l: &Listing, out: &mut Vec<Alarm>) -> Result<()> {
        let Some(policy) = &l.policy else {
            return Ok(());
        };
        let now = self.now();
        let subject = format!("listing:{}", l.id);
        let left = quota_left(policy, &self.store.usage(l.id).await?);
        for (what, left, all) in [
            ("values", left.values, policy.quota_values),
            ("bits", left.bits, policy.quota_bits),
        ] {
            if few(left, all) {
                let severity = if left == 0 { "warning" } else { "info" };
                let message = format!("{left} of {all} {what} left of its quota");
                out.push(alarm("BUDGET_LOW", severity, now, &subject, message));
            }
        }
        let Some(tickets) = &policy.tickets else {
            return Ok(());
        };
        let facts = self.store.ticket_facts(l.id).await?;
        for terms in tickets.classes.iter().filter(|c| c.offered) {
            let class = terms.class().map_err(DomainError::storage)?.digest();
            let n = count(policy, &facts, &class);
            if few(n.left, n.dealt) {
                let severity = if n.left == 0 { "warning" } else { "info" };
                let message = format!(
                    "{} of {} tickets left of class {}",
                    n.left, n.dealt, terms.name
                );
                out.push(alarm("TICKETS_LOW", severity, now, &subject, message));
            }
        }
        Ok(())
    }

    /// The file system that database and objects lie on.
    fn disk(&self, out: &mut Vec<Alarm>) {
        let now = self.now();
        match rustix::fs::statvfs(&self.config.dir) {
            Ok(s) => {
                let free = s.f_bavail.saturating_mul(s.f_frsize);
                let all = s.f_blocks.saturating_mul(s.f_frsize);
                if free < LITTLE_BYTES || free < all / 20 {
                    let message = format!("{} MiB of {} MiB are free", free >> 20, all >> 20);
                    out.push(alarm("DISK_LOW", "critical", now, "server", message));
                }
            }
            Err(e) => {
                let message = format!("free space is not known: {e}");
                out.push(alarm("DISK_UNKNOWN", "warning", now, "server", message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_is_less_than_a_tenth() {
        // OPS-1
        assert!(few(9, 100) && !few(10, 100));
        assert!(!few(0, 0), "nothing was there");
        assert!(few(0, 1) && few(u64::MAX / 11, u64::MAX));
    }

    #[test]
    fn the_worst_comes_first() {
        let of = |s| alarm("X", s, 1, "server", String::new());
        let mut all = [of("info"), of("warning"), of("critical")];
        all.sort_by_key(rank);
        let order: Vec<&str> = all.iter().map(|a| a.severity.as_str()).collect();
        assert_eq!(order, ["critical", "warning", "info"]);
    }
}
