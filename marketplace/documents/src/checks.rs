//! What the fields of documents must satisfy by themselves.

use crate::{
    Custody, DOCUMENT_VERSION, DealingAccepted, DealingRefused, Delivery, Document, DocumentError,
    Grant, KeyRegistration, MachineLogin, MachineRegistration, NonDelivery, Opener, Openers,
    Opening, Order, Policy, Price, Quote, Signed, Submission, check_sealing_key,
};
use veilbourse_core::digest::{Digest, Domain};
use veilbourse_protocol::{MAX_BATCH, MAX_TICKETS};

/// Parts of a whole.
const BASIS_POINTS: u32 = 10_000;
/// Most orders of a joint one.
pub const MAX_JOINT: usize = 16;

/// What the fields of a body must satisfy by themselves.
pub(crate) trait Checked {
    fn check(&self) -> Result<(), DocumentError> {
        Ok(())
    }
}

impl Price {
    fn balanced(&self) -> bool {
        let parts = [self.fee, self.pod, self.custodian];
        parts.iter().all(|p| *p >= 0)
            && parts.iter().try_fold(0i64, |s, p| s.checked_add(*p)) == Some(self.total)
    }
}

fn invalid(document: &'static str, field: &'static str, reason: impl ToString) -> DocumentError {
    DocumentError::Invalid {
        document,
        field,
        reason: reason.to_string(),
    }
}

impl Checked for Policy {
    fn check(&self) -> Result<(), DocumentError> {
        let bad = |field, reason: String| Err(invalid(Self::TYPE, field, reason));
        if self.policy_version == 0 {
            return bad("policy_version", "counts from 1".into());
        }
        if self.kinds.is_empty() || !self.kinds.is_sorted_by(|a, b| a < b) {
            return bad("kinds", "must be sorted, distinct and not empty".into());
        }
        if self.min_cohort < 2 {
            return bad("min_cohort", format!("{} is below 2", self.min_cohort));
        }
        self.openers
            .check()
            .map_err(|reason| invalid(Self::TYPE, "openers", reason))?;
        match (&self.tickets, self.openers.custody()) {
            (Some(tickets), Custody::Committee) => tickets
                .check(&self.openers)
                .map_err(|reason| invalid(Self::TYPE, "tickets", reason))?,
            (None, Custody::CustodianHeld) => {}
            (Some(_), custody) => {
                let name = custody.name();
                return bad("tickets", format!("do not go with {name} custody"));
            }
            (None, custody) => {
                let name = custody.name();
                return bad("tickets", format!("none; {name} custody has them"));
            }
        }
        for (field, v) in [
            ("price_order", self.price_order),
            ("price_output", self.price_output),
        ] {
            if v < 0 {
                return bad(field, format!("{v} is negative"));
            }
        }
        if self.custodian_basis_points > BASIS_POINTS {
            let found = self.custodian_basis_points;
            return bad(
                "custodian_basis_points",
                format!("{found} is over {BASIS_POINTS}"),
            );
        }
        Ok(())
    }
}

/// SHR-1, and a ticket class with a committee and only there (DOC-4, DOC-5).
fn opened_by(
    document: &'static str,
    openers: &Openers,
    class: Option<Digest>,
) -> Result<(), DocumentError> {
    openers
        .check()
        .map_err(|reason| invalid(document, "openers", reason))?;
    let custody = openers.custody();
    if class.is_some() == (custody == Custody::Committee) {
        return Ok(());
    }
    let found = class.map_or("none".to_owned(), |c| c.to_string());
    let reason = format!("{found} does not go with {} custody", custody.name());
    Err(invalid(document, "ticket_class", reason))
}

impl Checked for Quote {
    fn check(&self) -> Result<(), DocumentError> {
        opened_by(Self::TYPE, &self.openers, self.ticket_class)?;
        if !self.price.balanced() {
            return Err(invalid(
                Self::TYPE,
                "price",
                "the parts are not a split of the total",
            ));
        }
        check_sealing_key(&self.pod.sealing_key.0)
            .map_err(|reason| invalid(Self::TYPE, "pod.sealing_key", reason))?;
        let pod = &self.pod;
        let sealing = Signed {
            body: MachineRegistration {
                version: self.version,
                marketplace: self.marketplace,
                sealing_key: Some(pod.sealing_key.clone()),
            },
            key: pod.signing_key,
            signature: pod.sealing_signature,
        };
        sealing.verify().map_err(|_| {
            let reason = "is not the pod's for this sealing key and marketplace";
            invalid(Self::TYPE, "pod.sealing_signature", reason)
        })
    }
}

impl Checked for Order {
    fn check(&self) -> Result<(), DocumentError> {
        opened_by(Self::TYPE, &self.openers, self.ticket_class)?;
        check_sealing_key(&self.result_key.0)
            .map_err(|reason| invalid(Self::TYPE, "result_key", reason))?;
        if self.price < 0 {
            return Err(invalid(
                Self::TYPE,
                "price",
                format!("{} is negative", self.price),
            ));
        }
        let joint = &self.joint;
        let count = joint.is_empty() || (2..=MAX_JOINT).contains(&joint.len());
        if !count || !joint.is_sorted_by(|a, b| a < b) {
            let found = joint.len();
            let reason =
                format!("{found} quotes; must be none or 2 to {MAX_JOINT}, ascending and distinct");
            return Err(invalid(Self::TYPE, "joint", reason));
        }
        let custody = self.openers.custody();
        if !joint.is_empty() && custody != Custody::Committee {
            // Whoever holds a key would open the summand (OPN-9).
            let reason = format!("{} quotes in {} custody", joint.len(), custody.name());
            return Err(invalid(Self::TYPE, "joint", reason));
        }
        if !joint.is_empty() && !joint.contains(&self.quote) {
            return Err(invalid(
                Self::TYPE,
                "joint",
                "the order's own quote is not among them",
            ));
        }
        Ok(())
    }
}

impl Checked for Grant {
    fn check(&self) -> Result<(), DocumentError> {
        match &self.opener {
            Opener::Committee { quorum, .. } if !quorum.is_sorted_by(|a, b| a < b) => Err(invalid(
                Self::TYPE,
                "opener.quorum",
                format!("{quorum:?} does not ascend"),
            )),
            _ => Ok(()),
        }
    }
}

impl Checked for Opening {
    fn check(&self) -> Result<(), DocumentError> {
        let most = MAX_BATCH as u64;
        if self.values > most {
            let reason = format!("{} in one session; the limit is {most}", self.values);
            return Err(invalid(Self::TYPE, "values", reason));
        }
        let end = self.first_ticket.checked_add(self.values);
        if self.values == 0 || end.is_none_or(|e| e > MAX_TICKETS) {
            let (first, values) = (self.first_ticket, self.values);
            let reason =
                format!("{values} from ticket {first} on; tickets are below {MAX_TICKETS}");
            return Err(invalid(Self::TYPE, "values", reason));
        }
        Ok(())
    }
}

impl Checked for DealingRefused {
    fn check(&self) -> Result<(), DocumentError> {
        said(Self::TYPE, &self.code, &self.reason)
    }
}

impl Checked for Delivery {
    fn check(&self) -> Result<(), DocumentError> {
        if self.counter_before.checked_add(self.values) != Some(self.counter_after) {
            return Err(invalid(
                Self::TYPE,
                "counter_after",
                format!(
                    "{} is not {} + {}",
                    self.counter_after, self.counter_before, self.values
                ),
            ));
        }
        Ok(())
    }
}

impl Checked for NonDelivery {
    fn check(&self) -> Result<(), DocumentError> {
        said(Self::TYPE, &self.code, &self.reason)
    }
}

/// A refusal's code and words.
fn said(document: &'static str, code: &str, reason: &str) -> Result<(), DocumentError> {
    if code.is_empty() || code.len() > 64 {
        return Err(invalid(document, "code", "must have 1 to 64 bytes"));
    }
    if reason.len() > 2000 {
        return Err(invalid(document, "reason", "exceeds 2000 bytes"));
    }
    Ok(())
}

impl Checked for MachineRegistration {
    fn check(&self) -> Result<(), DocumentError> {
        let key = self.sealing_key.as_ref();
        key.map_or(Ok(()), |k| check_sealing_key(&k.0))
            .map_err(|reason| invalid(Self::TYPE, "sealing_key", reason))
    }
}

impl Checked for Submission {}
impl Checked for DealingAccepted {}
impl Checked for MachineLogin {}
impl Checked for KeyRegistration {}

impl Policy {
    /// What an order that opens so many values costs; saturates, and no quote
    /// is as high.
    pub fn price_of(&self, values: u64) -> i64 {
        let outputs = i64::try_from(values).unwrap_or(i64::MAX);
        self.price_order
            .saturating_add(self.price_output.saturating_mul(outputs))
    }

    /// The least that the custodian must get of a total, rounded down.
    pub fn custodian_part(&self, total: i64) -> i64 {
        let part =
            i128::from(total) * i128::from(self.custodian_basis_points) / i128::from(BASIS_POINTS);
        i64::try_from(part).unwrap_or(i64::MAX)
    }
}

impl Opening {
    /// The digest that [`Opening::opened`] holds: of the opened words of a
    /// session, little-endian.
    pub fn digest_of_opened(words: &[u64]) -> Digest {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        Digest::of(Domain::Other("veilbourse v1 opened words"), &bytes)
    }
}

impl Order {
    /// [`DOCUMENT_VERSION`], for those who build one.
    pub const VERSION: u16 = DOCUMENT_VERSION;
}
