//! Which quorum opens an order (SET-7), or every order of a joint one (SET-8).

use crate::App;
use veilbourse_core::{digest::Digest, program::Program};
use veilbourse_documents::Opener;
use veilbourse_domain::{
    DomainError, Result,
    id::{OrderId, PublicKey},
    joint::{JointPart, shapes},
    order::{Order, OrderState},
    records::{NewGrant, OpeningHeld, OpeningState},
    tickets::{Candidate, Excluded, candidates, choose, rank},
};

/// Nodes that have delivered an order in a quorum open it in no other (KEY-11).
/// Who says that something may be revealed, and has not delivered, has signed and
/// not released: for a later grant it gives that up.
fn opened(part: &OpeningHeld) -> bool {
    part.state == OpeningState::Delivered
}

impl App {
    /// Grants orders that wait for a quorum, at most `limit` after one; where to
    /// go on.
    pub(crate) async fn grant_waiting(
        &self,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Option<OrderId>> {
        let waiting = self.store.ungranted(after, limit).await?;
        for order in &waiting {
            match self.grant_to_quorum(order.id).await {
                // Ended, or its tickets were taken, meanwhile.
                Ok(()) | Err(DomainError::OrderState { .. } | DomainError::Conflict { .. }) => {}
                Err(e) => tracing::error!(order = %order.id, error = ?e, "grant"),
            }
        }
        let more = waiting.len() >= limit as usize;
        Ok(waiting.last().filter(|_| more).map(|o| o.id))
    }

    /// SET-7: gives up grants of which a node fell silent, where another quorum is
    /// there whose nodes are all heard of; at most `limit` after one; where to go
    /// on.
    pub(crate) async fn give_up_silent(
        &self,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Option<OrderId>> {
        let granted = self.store.granted_to_quorums(after, limit).await?;
        for order in &granted {
            match self.give_up_if_silent(order).await {
                // Ended, or delivered, meanwhile.
                Ok(()) | Err(DomainError::OrderState { .. } | DomainError::Conflict { .. }) => {}
                Err(e) => tracing::error!(order = %order.id, error = ?e, "a grant to silent nodes"),
            }
        }
        let more = granted.len() >= limit as usize;
        Ok(granted.last().filter(|_| more).map(|o| o.id))
    }

    async fn give_up_if_silent(&self, order: &Order) -> Result<()> {
        let Some(newest) = order.grants().last().filter(|g| g.over.is_none()) else {
            return Ok(());
        };
        let parts = self.store.openings(order.id).await?;
        let owing = |p: &&OpeningHeld| {
            p.number == newest.number && p.state == OpeningState::Pending && self.silent(p.node)
        };
        let Some(silent) = parts.iter().find(owing) else {
            return Ok(());
        };
        let group = self.store.joint(order.id).await?;
        let next = self.quorum_for(&group).await?;
        let keys = next.as_ref().and_then(|c| c.first()).and_then(|c| {
            let openers = &group.first()?.terms.openers;
            openers.quorum(&c.quorum)
        });
        if !keys.is_some_and(|k| self.heard(&k)) {
            return Ok(());
        }
        let why = format!("node {} is silent", silent.place);
        let now = self.now();
        for order in self
            .store
            .give_up_grant(order.id, newest.number, &why, now)
            .await?
        {
            self.changed(order.id);
        }
        Ok(())
    }

    /// Grants the order, or its whole joint order, to a quorum, if all is ready
    /// and there is one.
    pub(crate) async fn grant_to_quorum(&self, id: OrderId) -> Result<()> {
        let group = self.store.joint(id).await?;
        let whole = group.first().map_or(1, |o| o.terms.joint.len().max(1));
        let verified = |o: &Order| matches!(o.state, OrderState::Verified(_));
        if group.len() != whole || !group.iter().all(verified) {
            return Ok(());
        }
        let now = self.now();
        let ends = group.iter().map(|o| self.grant_end(o, now));
        let expires = ends.min().unwrap_or(now);
        if expires <= now {
            return Ok(());
        }
        let Some(chosen) = self.quorum_for(&group).await? else {
            return Ok(());
        };
        let mut grants = Vec::with_capacity(group.len());
        for (order, c) in group.iter().zip(chosen) {
            let keys = order.terms.openers.quorum(&c.quorum);
            let keys = keys.ok_or(DomainError::GrantUnknown)?;
            let opener = Opener::Committee {
                quorum: c.quorum,
                dealing: c.dealing,
            };
            let number = order.grant_count();
            let (signed, granted) = self.sign_grant(order, number, opener, expires).await?;
            grants.push(NewGrant {
                order: order.id,
                granted,
                nodes: keys.into_iter().map(|k| PublicKey(k.0)).collect(),
                signed,
            });
        }
        for order in self.store.grant_quorum(grants, now).await? {
            self.changed(order.id);
        }
        Ok(())
    }

    /// SET-7: each order's candidate in the quorum to be granted next.
    async fn quorum_for(&self, group: &[Order]) -> Result<Option<Vec<Candidate>>> {
        let (mut excluded, mut failed) = (Excluded::default(), Vec::new());
        for order in group {
            let granted = order.grants().iter();
            excluded
                .quorums
                .extend(granted.map(|g| g.quorum().to_vec()));
            let parts = self.store.openings(order.id).await?;
            let over = parts.iter().filter(|p| opened(p));
            excluded.nodes.extend(over.map(|p| p.place));
            // Every grant that there was came to nothing, or would now.
            let not = parts.iter().filter(|p| p.state != OpeningState::Delivered);
            failed.extend(not.map(|p| p.place));
        }
        let mut each = Vec::with_capacity(group.len());
        for order in group {
            let version = order.terms.policy_version;
            let (_, policy) = self.policy_of(order.listing, version).await?;
            let facts = self.store.ticket_facts(order.listing).await?;
            let class = order.terms.ticket_class.unwrap_or_default();
            each.push(candidates(&policy, &facts, &class, order.values, &excluded));
        }
        let Some(first) = group.first() else {
            return Ok(None);
        };
        let openers = &first.terms.openers;
        Ok(choose(&each, |quorum| {
            let heard = openers.quorum(quorum).is_some_and(|k| self.heard(&k));
            rank(quorum, heard, &failed)
        }))
    }

    /// What ORD-8 looks at of the quotes of a joint order.
    pub(crate) async fn joint_parts(&self, quotes: &[Digest]) -> Result<Vec<JointPart>> {
        let mut parts = Vec::with_capacity(quotes.len());
        for digest in quotes {
            let quote = match self.store.quote(*digest).await {
                Ok(q) => q,
                Err(DomainError::NotFound { .. }) => return Err(DomainError::QuoteUnknown),
                Err(e) => return Err(e),
            };
            let terms = quote.terms;
            let listing = self.store.listing(terms.listing).await?;
            let manifest = self.manifest(terms.listing).await?;
            let program: Program =
                serde_json::from_str(&quote.program).map_err(DomainError::storage)?;
            let (_, policy) = self.policy_of(terms.listing, terms.policy_version).await?;
            let tickets = policy.tickets.as_ref().zip(terms.ticket_class);
            let class = tickets.and_then(|(t, c)| t.class(&c));
            let outputs = shapes(&manifest, &program);
            parts.push(JointPart {
                quote: *digest,
                listing: terms.listing,
                owner: listing.owner,
                dataset: terms.dataset,
                openers: terms.openers,
                noisy: class.is_some_and(|(_, c)| c.noisy()),
                outputs: outputs
                    .ok_or_else(|| DomainError::storage("a quoted output without an extent"))?,
            });
        }
        Ok(parts)
    }
}
