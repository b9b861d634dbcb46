//! The chain of an order's documents: every signature, every link, every field
//! that two documents share (DOC-3..9). One function, used by server, pod, key
//! node and the offline verifier.

use crate::{
    Custody, DealingTerms, Delivery, Document, DocumentError, Grant, Key, NonDelivery, Opener,
    Openers, Opening, Order, Policy, Quote, Signed, Submission, marketplace_id,
};
use std::fmt::Display;
use veilbourse_core::digest::Digest;
use veilbourse_protocol::binding::{Binding as SessionBinding, OutputBinding};

/// The documents of an order, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a> {
    /// The marketplace's key, pinned by whoever checks.
    pub marketplace: &'a Key,
    /// The custodian's.
    pub policy: &'a Signed<Policy>,
    /// The marketplace's.
    pub quote: &'a Signed<Quote>,
    /// The buyer's.
    pub order: &'a Signed<Order>,
}

/// Compares a field with what another document says.
pub(crate) fn same<T: PartialEq + Display>(
    document: &'static str,
    field: &'static str,
    found: &T,
    other: &'static str,
    expected: &T,
) -> Result<(), DocumentError> {
    if found == expected {
        return Ok(());
    }
    Err(DocumentError::Link {
        document,
        field,
        other,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

fn same_list(
    document: &'static str,
    field: &'static str,
    found: &[Digest],
    other: &'static str,
    expected: &[Digest],
) -> Result<(), DocumentError> {
    let text = |l: &[Digest]| {
        l.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    same(document, field, &text(found), other, &text(expected))
}

impl Chain<'_> {
    /// Policy, quote and order belong together. Returns the order's digest.
    pub fn check(&self) -> Result<Digest, DocumentError> {
        let id = marketplace_id(self.marketplace);
        self.policy.verify_for(&id)?;
        self.quote.verify_by(&id, self.marketplace)?;
        self.order.verify_for(&id)?;
        let (p, q, o) = (&self.policy.body, &self.quote.body, &self.order.body);
        // Who dealt the tickets knows every other node's shares (committee.md).
        let committee = p.openers.custody() == Custody::Committee;
        if committee && p.openers.number(&self.policy.key).is_some() {
            return Err(DocumentError::Invalid {
                document: Policy::TYPE,
                field: "openers",
                reason: format!("node {} is the custodian itself", self.policy.key),
            });
        }
        let policy = self.policy.digest()?;
        same("quote", "policy", &q.policy, "policy", &policy)?;
        same("quote", "listing", &q.listing, "policy", &p.listing)?;
        same("quote", "dataset", &q.dataset, "policy", &p.dataset)?;
        same(
            "quote",
            "policy_version",
            &q.policy_version,
            "policy",
            &p.policy_version,
        )?;
        same("quote", "openers", &q.openers, "policy", &p.openers)?;
        let offered = |c: &Digest| p.tickets.as_ref().is_some_and(|t| t.offered(c).is_some());
        match &q.ticket_class {
            None if p.tickets.is_none() => {}
            Some(class) if offered(class) => {}
            found => {
                let found = found.map_or("none".into(), |c| c.to_string());
                let expected = "a class that it offers".to_owned();
                same("quote", "ticket_class", &found, "policy", &expected)?;
            }
        }
        if q.class < p.min_class {
            same(
                "quote",
                "class",
                &q.class.name(),
                "policy",
                &p.min_class.name(),
            )?;
        }
        let least = p.custodian_part(q.price.total);
        if q.price.custodian < least {
            return Err(DocumentError::Invalid {
                document: Quote::TYPE,
                field: "price.custodian",
                reason: format!(
                    "{} of {} is below the policy's {least}",
                    q.price.custodian, q.price.total
                ),
            });
        }
        same("order", "quote", &o.quote, "quote", &self.quote.digest()?)?;
        same("order", "listing", &o.listing, "quote", &q.listing)?;
        same("order", "dataset", &o.dataset, "quote", &q.dataset)?;
        same(
            "order",
            "program.dataset",
            &o.program.dataset,
            "quote",
            &q.dataset,
        )?;
        same(
            "order",
            "policy_version",
            &o.policy_version,
            "quote",
            &q.policy_version,
        )?;
        same("order", "program", &o.program.shape(), "quote", &q.program)?;
        same("order", "pod", &o.pod, "quote", &q.pod.id)?;
        same("order", "pod_key", &o.pod_key, "quote", &q.pod.signing_key)?;
        same("order", "openers", &o.openers, "quote", &q.openers)?;
        let class = |c: &Option<Digest>| c.map_or("none".to_owned(), |c| c.to_string());
        let (found, quoted) = (class(&o.ticket_class), class(&q.ticket_class));
        same("order", "ticket_class", &found, "quote", &quoted)?;
        same("order", "price", &o.price, "quote", &q.price.total)?;
        same("order", "srs", &o.srs.digest, "quote", &q.srs.digest)?;
        let (found, quoted) = (o.srs.provenance, q.srs.provenance);
        same("order", "srs.provenance", &found, "quote", &quoted)?;
        same_list(
            "order",
            "verifying_keys",
            &o.verifying_keys,
            "quote",
            &q.verifying_keys,
        )?;
        // No downgrade: the order's minimum is at most what is offered.
        if q.class < o.min_class {
            same(
                "quote",
                "class",
                &q.class.name(),
                "order",
                &o.min_class.name(),
            )?;
        }
        self.order.digest()
    }

    /// The submission is the quoted pod's, for this order, with one entry an output.
    pub fn check_submission(
        &self,
        submission: &Signed<Submission>,
    ) -> Result<Digest, DocumentError> {
        let id = marketplace_id(self.marketplace);
        submission.verify_by(&id, &self.quote.body.pod.signing_key)?;
        let s = &submission.body;
        same(
            "submission",
            "order",
            &s.order,
            "order",
            &self.order.digest()?,
        )?;
        let outputs = self.order.body.program.outputs.len();
        same("submission", "outputs", &s.outputs.len(), "order", &outputs)?;
        submission.digest()
    }

    /// The grant is the marketplace's, for this order, policy and submission.
    pub fn check_grant(
        &self,
        submission: &Signed<Submission>,
        grant: &Signed<Grant>,
    ) -> Result<Digest, DocumentError> {
        let digest = self.check_submission(submission)?;
        grant.verify_by(&marketplace_id(self.marketplace), self.marketplace)?;
        let g = &grant.body;
        same("grant", "order", &g.order, "order", &self.order.digest()?)?;
        same(
            "grant",
            "policy",
            &g.policy,
            "policy",
            &self.policy.digest()?,
        )?;
        same("grant", "submission", &g.submission, "submission", &digest)?;
        self.grantees(g)?;
        if g.outputs != submission.body.outputs {
            let text = |n: usize| format!("{n} outputs of other digests");
            same(
                "grant",
                "outputs",
                &text(g.outputs.len()),
                "submission",
                &"the same".into(),
            )?;
        }
        if g.expires >= self.order.body.deadline {
            return Err(DocumentError::Invalid {
                document: Grant::TYPE,
                field: "expires",
                reason: format!("{} is not before the deadline", g.expires),
            });
        }
        grant.digest()
    }

    /// The keys of the nodes that a grant lets open: the order's, under a dealing
    /// of the policy for that quorum and the order's class (OPN-4). Each grant of
    /// an order is for another quorum, so there are no more grants than quorums.
    pub fn grantees(&self, grant: &Grant) -> Result<Vec<Key>, DocumentError> {
        let (order, other) = (&self.order.body, "order");
        let quorums = order.openers.quorums();
        if usize::try_from(grant.number).map_or(true, |n| n >= quorums) {
            return Err(DocumentError::Invalid {
                document: Grant::TYPE,
                field: "number",
                reason: format!("{} is not below the {quorums} quorums", grant.number),
            });
        }
        match (&grant.opener, &order.openers) {
            (Opener::CustodianHeld { node_key }, Openers::CustodianHeld { node_key: named }) => {
                same("grant", "opener.node_key", node_key, other, named)?;
                Ok(vec![*node_key])
            }
            (Opener::Committee { quorum, dealing }, openers @ Openers::Committee { .. }) => {
                let text = |q: &[u8]| format!("{q:?}");
                let Some(keys) = openers.quorum(quorum) else {
                    let expected = openers.to_string();
                    let found = text(quorum);
                    let field = "opener.quorum";
                    return same("grant", field, &found, other, &expected).map(|()| Vec::new());
                };
                let dealt = self.dealt(dealing)?;
                let (found, expected) = (text(quorum), text(&dealt.quorum));
                same("grant", "opener.quorum", &found, "dealing", &expected)?;
                let class = order.ticket_class.unwrap_or_default();
                same(
                    "grant",
                    "opener.dealing's class",
                    &dealt.class,
                    other,
                    &class,
                )?;
                Ok(keys)
            }
            (found, expected) => {
                let (found, expected) = (found.custody(), expected.custody());
                same("grant", "opener", &found.name(), other, &expected.name())?;
                Ok(Vec::new())
            }
        }
    }

    /// The policy's terms of a granted dealing.
    fn dealt(&self, dealing: &Digest) -> Result<&DealingTerms, DocumentError> {
        let tickets = self.policy.body.tickets.as_ref();
        let dealt = tickets.and_then(|t| t.dealing(dealing));
        dealt.ok_or_else(|| DocumentError::Link {
            document: Grant::TYPE,
            field: "opener.dealing",
            other: Policy::TYPE,
            expected: "one of its dealings".into(),
            found: dealing.to_string(),
        })
    }

    /// What a quorum's session is about (OPN-4): the opening's attempt and first
    /// ticket, all else from the documents. `values` of each output, in the
    /// program's order. The tickets are the dealing's (DOC-13).
    pub fn session(
        &self,
        grant: &Signed<Grant>,
        attempt: u32,
        first_ticket: u64,
        values: &[u32],
    ) -> Result<SessionBinding, DocumentError> {
        let g = &grant.body;
        let Opener::Committee { quorum, dealing } = &g.opener else {
            let (found, expected) = (Custody::CustodianHeld, Custody::Committee);
            let (found, expected) = (found.name(), expected.name());
            same("grant", "opener", &found, "opening", &expected)?;
            return Err(DocumentError::Signature { document: "grant" });
        };
        same("order", "outputs", &values.len(), "grant", &g.outputs.len())?;
        let mut next = first_ticket;
        let mut outputs = Vec::with_capacity(values.len());
        for ((o, values), output) in g.outputs.iter().zip(values).zip(0u32..) {
            let (first_ticket, ciphertext) = (next, o.ciphertext);
            let values = *values;
            if values == 0 {
                return Err(DocumentError::Invalid {
                    document: Opening::TYPE,
                    field: "values",
                    reason: format!("output {output} has none"),
                });
            }
            outputs.push(OutputBinding {
                output,
                ciphertext,
                first_ticket,
                values,
            });
            next = next.saturating_add(values.into());
        }
        let dealt = self.dealt(dealing)?;
        if first_ticket < dealt.first || next > dealt.end() {
            return Err(DocumentError::Invalid {
                document: Opening::TYPE,
                field: "first_ticket",
                reason: format!(
                    "tickets {first_ticket}..{next} are not within the dealing's {}..{}",
                    dealt.first,
                    dealt.end()
                ),
            });
        }
        Ok(SessionBinding {
            dataset: self.order.body.dataset,
            order: self.order.digest()?,
            grant: grant.digest()?,
            policy: self.policy.digest()?,
            quorum: quorum.clone(),
            dealing: *dealing,
            class: self.order.body.ticket_class.unwrap_or_default(),
            attempt,
            outputs,
        })
    }

    /// The opening is one of the quorum's, for this order and grant, and its
    /// session is what it says (OPN-4).
    pub fn check_opening(
        &self,
        grant: &Signed<Grant>,
        values: &[u32],
        opening: &Signed<Opening>,
    ) -> Result<Digest, DocumentError> {
        let o = &opening.body;
        self.answered(grant, opening, &o.order, &o.grant)?;
        let total = values.iter().map(|v| u64::from(*v)).sum();
        same("opening", "values", &o.values, "order", &total)?;
        let session = self.session(grant, o.attempt, o.first_ticket, values)?;
        let session = session.digest();
        same("opening", "session", &o.session, "grant", &session)?;
        opening.digest()
    }

    /// By a node that the grant lets open, for this order and grant.
    fn answered<T: Document>(
        &self,
        grant: &Signed<Grant>,
        answer: &Signed<T>,
        order: &Digest,
        granted: &Digest,
    ) -> Result<(), DocumentError> {
        let keys = self.grantees(&grant.body)?;
        let id = marketplace_id(self.marketplace);
        if keys.contains(&answer.key) {
            answer.verify_for(&id)?;
        } else {
            // Names who must sign.
            let first = keys.first().copied().unwrap_or(Key([0; 32]));
            answer.verify_by(&id, &first)?;
        }
        same(T::TYPE, "order", order, "order", &self.order.digest()?)?;
        same(T::TYPE, "grant", granted, "grant", &grant.digest()?)
    }

    /// The delivery is that of a node which the grant names, for this order and
    /// grant; of a committee's node, for its own opening, which
    /// [`Self::check_opening`] accepted. One goes with the other: in committee
    /// custody there is an opening, in custodian-held custody there is none.
    pub fn check_delivery(
        &self,
        grant: &Signed<Grant>,
        opening: Option<&Signed<Opening>>,
        delivery: &Signed<Delivery>,
    ) -> Result<Digest, DocumentError> {
        let d = &delivery.body;
        self.answered(grant, delivery, &d.order, &d.grant)?;
        let (field, other) = ("session", "opening");
        let text = |s: Option<Digest>| s.map_or("none".to_owned(), |s| s.to_string());
        let found = text(d.session);
        match (&grant.body.opener, opening) {
            (Opener::CustodianHeld { .. }, None) => {
                same("delivery", field, &found, other, &text(None))?;
            }
            (Opener::Committee { .. }, Some(o)) => {
                same(
                    "delivery",
                    field,
                    &found,
                    other,
                    &text(Some(o.body.session)),
                )?;
                same("opening", "grant", &o.body.grant, "delivery", &d.grant)?;
                same("delivery", "values", &d.values, other, &o.body.values)?;
                let by = "opening's signer";
                same("delivery", "signer", &delivery.key, by, &o.key)?;
            }
            (opener, o) => {
                let found = usize::from(o.is_some());
                let expected = usize::from(opener.custody() == Custody::Committee);
                same("delivery", "openings", &found, "grant", &expected)?;
            }
        }
        delivery.digest()
    }

    /// All that the opener of a grant hands in (REC-7): of a quorum one opening
    /// and one delivery each, by number, and all openings say the same; of the
    /// custodian's node one delivery.
    pub fn check_results(
        &self,
        grant: &Signed<Grant>,
        values: &[u32],
        openings: &[Signed<Opening>],
        deliveries: &[Signed<Delivery>],
    ) -> Result<(), DocumentError> {
        let keys = self.grantees(&grant.body)?;
        let committee = grant.body.opener.custody() == Custody::Committee;
        let opened = if committee { keys.len() } else { 0 };
        same("opening", "signers", &openings.len(), "grant", &opened)?;
        let delivered = deliveries.len();
        same("delivery", "signers", &delivered, "grant", &keys.len())?;
        let id = marketplace_id(self.marketplace);
        for (opening, key) in openings.iter().zip(&keys) {
            opening.verify_by(&id, key)?;
            self.check_opening(grant, values, opening)?;
            // All else in it is the documents'.
            let (o, first) = (&opening.body, openings.first().map_or(opening, |f| f));
            let other = "first opening";
            same("opening", "session", &o.session, other, &first.body.session)?;
            same("opening", "opened", &o.opened, other, &first.body.opened)?;
        }
        for (i, (delivery, key)) in deliveries.iter().zip(&keys).enumerate() {
            delivery.verify_by(&id, key)?;
            self.check_delivery(grant, openings.get(i), delivery)?;
        }
        Ok(())
    }

    /// The same for a refusal.
    pub fn check_non_delivery(
        &self,
        grant: &Signed<Grant>,
        refusal: &Signed<NonDelivery>,
    ) -> Result<Digest, DocumentError> {
        let d = &refusal.body;
        self.answered(grant, refusal, &d.order, &d.grant)?;
        refusal.digest()
    }
}
