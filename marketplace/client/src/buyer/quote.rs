//! Quotes, and what is seen before paying: who opens, under which tickets, with
//! what noise (DOC-4, ORD-7, PRV-11).

use super::Listed;
use crate::{ClientError, market::Session, query::Query};
use serde::Deserialize;
use serde_json::{Value, json};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    ClassTerms, Id, Key, Openers, Policy, Quote, Signed, fits_class, marketplace_id,
};
use veilbourse_privacy::Forecast;
use veilbourse_protocol::TicketClass;

/// A quote, checked, with everything that is shown before paying.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The signed quote.
    pub quote: Signed<Quote>,
    /// The signed policy behind it.
    pub policy: Signed<Policy>,
    /// The answer as it came: precision by output, seats, private parts.
    pub details: Value,
}

impl Offer {
    /// The class of tickets that the quote is for; none in custodian-held custody.
    pub fn class(&self) -> Option<(&ClassTerms, TicketClass)> {
        let tickets = self.policy.body.tickets.as_ref()?;
        tickets.class(self.quote.body.ticket_class.as_ref()?)
    }

    /// The error that the tickets' noise causes, in units of opened integers, by
    /// the class that the custodian signed; none without noise.
    pub fn forecast(&self) -> Option<Forecast> {
        let (_, class) = self.class().filter(|(_, c)| c.noisy())?;
        Some(class.mechanism().forecast())
    }

    /// Refuses any other openers than nodes with exactly these keys: only their
    /// keys say who they are.
    pub fn require_nodes(&self, keys: &[Key]) -> Result<(), ClientError> {
        let openers = &self.quote.body.openers;
        let (mut found, mut wanted) = (openers.keys().to_vec(), keys.to_vec());
        found.sort_unstable();
        wanted.sort_unstable();
        wanted.dedup();
        if found == wanted {
            return Ok(());
        }
        let named: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        Err(ClientError::refused(
            "quote",
            format!(
                "is opened by {openers}; wanted were the nodes with keys {}",
                named.join(" ")
            ),
        ))
    }

    /// Refuses tickets of any other class than the one meant, by the name that the
    /// custodian signed or by its digest: what the marketplace calls a class is its
    /// own word.
    pub fn require_class(&self, named: &str) -> Result<(), ClientError> {
        let found = self.class().map_or("", |(terms, _)| terms.name.as_str());
        let digest = self.quote.body.ticket_class.map(|d| d.to_string());
        if self.class().is_some() && (found == named || digest.as_deref() == Some(named)) {
            return Ok(());
        }
        Err(ClientError::refused(
            "quote",
            format!("is for tickets of class {found:?} by the policy, wanted was {named:?}"),
        ))
    }

    /// Refuses the offer of any pod but the one with this signing key: the
    /// marketplace names pods, only their keys say who they are.
    pub fn require_pod(&self, key: &Key) -> Result<(), ClientError> {
        let pod = &self.quote.body.pod;
        if pod.signing_key == *key {
            return Ok(());
        }
        Err(ClientError::refused(
            "quote",
            format!(
                "is for pod {} with signing key {}, wanted was the pod with {key}",
                pod.id, pod.signing_key
            ),
        ))
    }
}

/// The pod quoted is the one asked for, where one was.
fn same_pod(quoted: &Id, wanted: Option<&Id>) -> Result<(), ClientError> {
    match wanted {
        Some(wanted) if wanted != quoted => Err(ClientError::refused(
            "quote",
            format!("is for pod {quoted}, asked for was {wanted}"),
        )),
        _ => Ok(()),
    }
}

const QUOTE: &str = "query($l: String!, $p: JSON!, $pod: String, $c: String) {
    quote(listing: $l, program: $p, pod: $pod, ticketClass: $c) {
    document policy digest expectedSeconds expiry values bits valuesLeft bitsLeft
    openers ticketClass tickets { needed left largestOrder }
    price { total fee pod custodian }
    work { weightedValues constraints bootstraps }
    outputs { index label segment rows values valueLimit scaleLog2 noiseSlackBits privateWeights
        noiseDeviation noiseWithin95 }
    privateParts seats { seat learns } } }";

/// What a buyer wishes beyond the query; the marketplace chooses otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish<'a> {
    /// This pod. Private weights are readable by the pod: see
    /// [`Offer::require_pod`].
    pub pod: Option<&'a Id>,
    /// This class of tickets.
    pub class: Option<&'a Digest>,
}

/// A class of tickets, as the marketplace shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ClassView {
    /// Names it.
    pub digest: Digest,
    /// For people.
    pub name: String,
    /// Whether orders may use it.
    pub offered: bool,
    /// The law of its noise, in words.
    #[serde(default)]
    pub law: String,
    /// Tickets dealt, spent, left, and the most values of one order: decimal.
    #[serde(default)]
    pub dealt: String,
    /// Spent.
    #[serde(default)]
    pub spent: String,
    /// Left.
    #[serde(default)]
    pub left: String,
    /// Most values of one order.
    #[serde(default, rename = "largestOrder")]
    pub largest_order: String,
}

/// A listing's classes of tickets; none in custodian-held custody.
pub async fn classes(session: &Session, listing: &Id) -> Result<Vec<ClassView>, ClientError> {
    let document = "query($id: String!) { listing(id: $id) { tickets { classes {
        digest name offered law dealt spent left largestOrder } } } }";
    let mut l = session
        .server
        .graphql("listing", document, json!({ "id": listing }))
        .await?;
    let classes = l["tickets"]["classes"].take();
    if classes.is_null() {
        return Ok(Vec::new());
    }
    serde_json::from_value(classes).map_err(|e| ClientError::Answer {
        operation: "listing".into(),
        reason: format!("tickets: {e}"),
    })
}

/// The class that a buyer means by a name or a digest.
pub fn class_named(classes: &[ClassView], named: &str) -> Result<Digest, ClientError> {
    let is = |c: &&ClassView| c.name == named || c.digest.to_string() == named;
    let offered: Vec<&str> = classes
        .iter()
        .filter(|c| c.offered)
        .map(|c| c.name.as_str())
        .collect();
    match classes.iter().find(is) {
        Some(c) if c.offered => Ok(c.digest),
        _ => Err(ClientError::refused(
            "class",
            format!("{named:?} is not offered; offered: {}", offered.join(", ")),
        )),
    }
}

/// [`quote_with`] for whatever pod and class the marketplace chooses, or for this
/// pod.
pub async fn quote(
    session: &Session,
    marketplace: &Key,
    listed: &Listed,
    query: &Query,
    pod: Option<&Id>,
) -> Result<Offer, ClientError> {
    let wish = Wish { pod, class: None };
    quote_with(session, marketplace, listed, query, &wish).await
}

/// Asks for a quote and checks it: signed by the pinned marketplace, for this
/// listing, dataset and program, under a policy of the class quoted, which the
/// program fits.
pub async fn quote_with(
    session: &Session,
    marketplace: &Key,
    listed: &Listed,
    query: &Query,
    wish: &Wish<'_>,
) -> Result<Offer, ClientError> {
    let variables = json!({ "l": listed.id.as_str(), "p": query.program,
        "pod": wish.pod.map(Id::as_str), "c": wish.class });
    let details = session.server.graphql("quote", QUOTE, variables).await?;
    checked(marketplace, listed, query, wish, details)
}

/// The quote in an answer, held to what was asked.
pub fn checked(
    marketplace: &Key,
    listed: &Listed,
    query: &Query,
    wish: &Wish<'_>,
    details: Value,
) -> Result<Offer, ClientError> {
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("quote", e);
    let quote: Signed<Quote> =
        serde_json::from_value(details["document"].clone()).map_err(|e| refused(&e))?;
    let policy: Signed<Policy> =
        serde_json::from_value(details["policy"].clone()).map_err(|e| refused(&e))?;
    quote
        .verify_by(&marketplace_id(marketplace), marketplace)
        .map_err(|e| refused(&e))?;
    let q = &quote.body;
    if q.listing != listed.id
        || q.dataset != listed.manifest.root()
        || q.program != query.program.shape()
    {
        return Err(refused(&"is for another listing, dataset or program"));
    }
    same_pod(&q.pod.id, wish.pod)?;
    policy.verify_for(&q.marketplace).map_err(|e| refused(&e))?;
    if policy.digest().map_err(|e| refused(&e))? != q.policy {
        return Err(refused(&"names another policy than the one shown"));
    }
    if q.openers != policy.body.openers {
        return Err(refused(&"names other openers than the policy"));
    }
    if wish.class.is_some_and(|c| q.ticket_class != Some(*c)) {
        return Err(refused(&"is for another class of tickets than asked for"));
    }
    let offer = Offer {
        quote,
        policy,
        details,
    };
    fits(listed, query, &offer)?;
    Ok(offer)
}

/// OPN-5, so that nothing is paid for that no node would open.
fn fits(listed: &Listed, query: &Query, offer: &Offer) -> Result<(), ClientError> {
    if matches!(offer.quote.body.openers, Openers::CustodianHeld { .. }) {
        return Ok(());
    }
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("quote", e);
    let (terms, class) = offer
        .class()
        .ok_or_else(|| refused(&"is for a class of tickets that the policy does not have"))?;
    if !terms.offered {
        return Err(refused(&"is for a class of tickets that is not offered"));
    }
    let limits = super::shape::limits(&listed.manifest, &query.program, 0)?;
    let values = limits.iter().map(|l| u64::from(l.values)).sum();
    fits_class(&listed.manifest, &query.program, values, &class).map_err(|e| refused(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "01900000-0000-7000-8000-000000000001";
    const OTHER: &str = "01900000-0000-7000-8000-000000000002";

    fn parsed(id: &str) -> Id {
        Id::parse(id).expect("an id")
    }

    #[test]
    fn a_pod_is_the_one_asked_for() {
        let (a, b) = (parsed(LISTING), parsed(OTHER));
        assert!(same_pod(&a, None).is_ok() && same_pod(&a, Some(&a)).is_ok());
        let said = same_pod(&a, Some(&b)).unwrap_err().to_string();
        assert!(said.contains(LISTING) && said.contains(OTHER), "{said}");
    }

    #[test]
    fn a_class_is_named_by_name_or_digest_and_offered() {
        let view = |n: u8, name: &str, offered| ClassView {
            digest: Digest([n; 32]),
            name: name.into(),
            offered,
            law: String::new(),
            dealt: String::new(),
            spent: String::new(),
            left: String::new(),
            largest_order: String::new(),
        };
        let all = [view(1, "exact", true), view(2, "key check", false)];
        assert_eq!(class_named(&all, "exact").expect("there"), Digest([1; 32]));
        let by_digest = Digest([1; 32]).to_string();
        assert_eq!(
            class_named(&all, &by_digest).expect("there"),
            Digest([1; 32])
        );
        for bad in ["key check", "private"] {
            let e = class_named(&all, bad).expect_err("not offered").to_string();
            assert!(e.contains(bad) && e.contains("exact"), "{e}");
        }
    }
}
