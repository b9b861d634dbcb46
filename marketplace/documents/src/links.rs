//! The chain of an order's documents: every signature, every link, every field
//! that two documents share (DOC-3..9). One function, used by server, pod, key
//! node and the offline verifier.

use crate::{
    Delivery, Document, DocumentError, Grant, Key, NonDelivery, Order, Policy, Quote, Signed,
    Submission, marketplace_id,
};
use std::fmt::Display;
use veilbourse_core::digest::Digest;

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
fn same<T: PartialEq + Display>(
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
        same(
            "quote",
            "custody",
            &q.custody.name(),
            "policy",
            &p.custody.name(),
        )?;
        same("quote", "node_key", &q.node_key, "policy", &p.node_key)?;
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
        same(
            "order",
            "custody",
            &o.custody.name(),
            "quote",
            &q.custody.name(),
        )?;
        same("order", "node_key", &o.node_key, "quote", &q.node_key)?;
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
        same(
            "grant",
            "node_key",
            &g.node_key,
            "order",
            &self.order.body.node_key,
        )?;
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

    /// The delivery is the named node's, for this order and grant.
    pub fn check_delivery(
        &self,
        grant: &Signed<Grant>,
        delivery: &Signed<Delivery>,
    ) -> Result<Digest, DocumentError> {
        delivery.verify_by(&marketplace_id(self.marketplace), &self.order.body.node_key)?;
        let d = &delivery.body;
        same(
            "delivery",
            "order",
            &d.order,
            "order",
            &self.order.digest()?,
        )?;
        same("delivery", "grant", &d.grant, "grant", &grant.digest()?)?;
        delivery.digest()
    }

    /// The same for a refusal.
    pub fn check_non_delivery(
        &self,
        grant: &Signed<Grant>,
        refusal: &Signed<NonDelivery>,
    ) -> Result<Digest, DocumentError> {
        refusal.verify_by(&marketplace_id(self.marketplace), &self.order.body.node_key)?;
        let d = &refusal.body;
        same(
            "non-delivery",
            "order",
            &d.order,
            "order",
            &self.order.digest()?,
        )?;
        same("non-delivery", "grant", &d.grant, "grant", &grant.digest()?)?;
        refusal.digest()
    }
}
