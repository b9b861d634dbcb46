//! That an announced dealing is the one that a policy lists (DOC-12, KEY-10).

use veilbourse_documents::DealingTerms;
use veilbourse_ticket_store::Dealing;

/// Every field that the two share.
pub(crate) fn same_terms(terms: &DealingTerms, dealing: &Dealing) -> Result<(), String> {
    let differs = |field: &str, found: String, expected: String| {
        Err(format!("{field} is {found}, in the policy {expected}"))
    };
    let (found, expected) = (dealing.digest(), terms.digest);
    if found != expected {
        return differs("digest", found.to_string(), expected.to_string());
    }
    let (found, expected) = (dealing.quorum.members(), &terms.quorum);
    if found != *expected {
        return differs("quorum", format!("{found:?}"), format!("{expected:?}"));
    }
    let (found, expected) = (dealing.class.digest(), terms.class);
    if found != expected {
        return differs("class", found.to_string(), expected.to_string());
    }
    for (field, found, expected) in [
        ("epoch", dealing.epoch.into(), terms.epoch.into()),
        ("first ticket", dealing.first, terms.first),
        ("tickets", dealing.count, terms.count),
    ] {
        if found != expected {
            return differs(field, found.to_string(), expected.to_string());
        }
    }
    let (found, expected) = (dealing.root, terms.root);
    if found != expected {
        return differs("root", found.to_string(), expected.to_string());
    }
    Ok(())
}
