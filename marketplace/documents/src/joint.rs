//! What the orders of a joint one show by themselves (OPN-9, ORD-8): that they
//! belong together. Custodians, shapes and policies are judged elsewhere.

use crate::{Document, DocumentError, Order, Signed, links::same};

const OTHER: &str = "first order";

/// One order for each quote that all of them name, in the quotes' order, of one
/// buyer, to one result key and one committee, each of another dataset. Each
/// order's own signature and links are [`crate::Chain::check`]'s.
pub fn check_joint(orders: &[&Signed<Order>]) -> Result<(), DocumentError> {
    let invalid = |field, reason: String| DocumentError::Invalid {
        document: Order::TYPE,
        field,
        reason,
    };
    let Some(first) = orders.first() else {
        return Err(invalid("joint", "no orders".into()));
    };
    let (named, found) = (first.body.joint.len(), orders.len());
    if named != found {
        return Err(invalid("joint", format!("{named} quotes, {found} orders")));
    }
    for (i, (order, quote)) in orders.iter().zip(&first.body.joint).enumerate() {
        let (o, f) = (&order.body, &first.body);
        if o.joint != f.joint {
            let reason = format!("order {i} names other quotes than the first");
            return Err(invalid("joint", reason));
        }
        same("order", "quote", &o.quote, "joint order", quote)?;
        same("order", "signer", &order.key, OTHER, &first.key)?;
        same("order", "openers", &o.openers, OTHER, &f.openers)?;
        if o.result_key != f.result_key {
            // The sums are sealed once (DOC-13).
            let reason = format!("order {i} has another than the first");
            return Err(invalid("result_key", reason));
        }
        let mut before = orders.iter().take(i);
        if before.any(|b| b.body.dataset == o.dataset) {
            let reason = format!("{} is there twice", o.dataset);
            return Err(invalid("dataset", reason));
        }
    }
    Ok(())
}
