//! From documents as they were signed to the terms that decisions need.

use crate::App;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use veilbourse_core::digest::{Digest, Domain};
use veilbourse_core::manifest::Manifest;
use veilbourse_documents::{Document, DocumentError, Id, Order, Policy, Quote, Signed};
use veilbourse_domain::{
    DomainError, MinorUnits, Result, Split,
    id::{AccountId, ListingId, Nonce, PublicKey},
    records::SignedText,
    terms::{OrderTerms, PolicyTerms, QuoteTerms},
};

/// Manifests by listing; they never change once stored.
pub type ManifestCache = Mutex<HashMap<ListingId, Arc<Manifest>>>;

/// Most manifests kept in memory.
const CACHED: usize = 256;

pub(crate) fn refused(e: &DocumentError) -> DomainError {
    DomainError::invalid("document", e.to_string())
}

/// Reads a signed document and checks that it is for this marketplace.
pub(crate) fn read<T: Document>(app: &App, text: &[u8]) -> Result<Signed<T>> {
    let signed = Signed::<T>::parse(text).map_err(|e| refused(&e))?;
    signed.verify_for(&app.id).map_err(|e| refused(&e))?;
    Ok(signed)
}

/// The same of a JSON scalar.
pub(crate) fn read_value<T: Document>(app: &App, value: &serde_json::Value) -> Result<Signed<T>> {
    read(app, value.to_string().as_bytes())
}

/// As stored.
pub(crate) fn stored<T: Document>(signed: &Signed<T>) -> Result<SignedText> {
    Ok(SignedText {
        digest: signed.digest().map_err(|e| refused(&e))?,
        text: signed.text().map_err(|e| refused(&e))?,
    })
}

/// The text of an id for documents.
pub(crate) fn id(text: impl ToString) -> Result<Id> {
    Id::parse(&text.to_string()).ok_or_else(|| DomainError::storage("an id of ours is no UUID"))
}

/// One digest for a list of verifying keys.
pub(crate) fn keys_digest(keys: &[Digest]) -> Digest {
    let bytes: Vec<u8> = keys.iter().flat_map(|k| k.0).collect();
    Digest::of(Domain::Other("veilbourse v1 verifying keys"), &bytes)
}

pub(crate) fn quote_terms(q: &Signed<Quote>, operator: AccountId) -> Result<QuoteTerms> {
    let b = &q.body;
    Ok(QuoteTerms {
        id: b.id.as_str().parse()?,
        digest: q.digest().map_err(|e| refused(&e))?,
        marketplace: b.marketplace,
        listing: b.listing.as_str().parse()?,
        dataset: b.dataset,
        policy: b.policy,
        policy_version: b.policy_version,
        program: b.program,
        pod: b.pod.id.as_str().parse()?,
        pod_operator: operator,
        price: MinorUnits::new(b.price.total)?,
        split: Split {
            fee: MinorUnits::new(b.price.fee)?,
            pod: MinorUnits::new(b.price.pod)?,
            custodian: MinorUnits::new(b.price.custodian)?,
        },
        verifying_key: keys_digest(&b.verifying_keys),
        srs: b.srs.digest,
        openers: b.openers.clone(),
        ticket_class: b.ticket_class,
        class: b.class,
        expected_seconds: u64::from(b.expected_seconds),
        expiry: b.expiry,
    })
}

pub(crate) fn order_terms(o: &Signed<Order>) -> Result<OrderTerms> {
    let b = &o.body;
    Ok(OrderTerms {
        digest: o.digest().map_err(|e| refused(&e))?,
        marketplace: b.marketplace,
        quote: b.quote,
        signer: PublicKey(o.key.0),
        listing: b.listing.as_str().parse()?,
        dataset: b.dataset,
        policy_version: b.policy_version,
        program: b.program.shape(),
        pod: b.pod.as_str().parse()?,
        price: MinorUnits::new(b.price)?,
        verifying_key: keys_digest(&b.verifying_keys),
        srs: b.srs.digest,
        openers: b.openers.clone(),
        ticket_class: b.ticket_class,
        joint: b.joint.clone(),
        result_key: Digest::of(Domain::Other("veilbourse v1 result key"), &b.result_key.0),
        min_class: b.min_class,
        nonce: Nonce(b.nonce.0),
        deadline: b.deadline,
    })
}

impl App {
    /// A listing's policy of a version, as it was signed, with its terms.
    pub(crate) async fn policy_of(
        &self,
        listing: ListingId,
        version: u32,
    ) -> Result<(Signed<Policy>, PolicyTerms)> {
        let text = self.store.policy(listing, version).await?.text;
        let signed = Signed::<Policy>::parse(text.as_bytes()).map_err(|e| refused(&e))?;
        let terms = PolicyTerms::of(&signed.body)?;
        Ok((signed, terms))
    }

    /// The manifest of a listing.
    pub(crate) async fn manifest(&self, id: ListingId) -> Result<Arc<Manifest>> {
        let lock = || {
            self.manifests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(m) = lock().get(&id) {
            return Ok(m.clone());
        }
        let text = self.store.manifest(id).await?;
        let parsed: Manifest = serde_json::from_str(&text).map_err(DomainError::storage)?;
        let shared = Arc::new(parsed);
        let mut cache = lock();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(id, shared.clone());
        Ok(shared)
    }
}
