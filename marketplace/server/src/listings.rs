//! Listings: which objects a manifest needs (UP-2), how many drafts there may
//! be (UP-6), and what is verified when one is submitted (UP-3).

use crate::{
    App,
    app::blocking,
    convert::{read_value, stored},
    limits::Kind,
};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::SemaphorePermit;
use veilbourse_core::{
    ciphertext::{ChunkData, PublicKey, SumData},
    digest::Digest,
    manifest::Manifest,
};
use veilbourse_documents::Policy;
use veilbourse_domain::{
    DomainError, Result,
    access::Pass,
    id::{AccountId, ListingId},
    listing::{Listing, ListingState, ListingStep, check_valid},
    ports::ListingFilter,
    records::{PageRequest, SignedText},
    terms::PolicyTerms,
    texts::check_text,
};
use veilbourse_eval::expand_chunk;
use veilbourse_verifier::{
    commitment::{FriSet, commit_root, glwe_columns, slices},
    linear::check_public_key,
    listing::{listing_body_limit, listing_claims, verify_listing},
};

/// Longest title.
const MAX_TITLE: usize = 200;
/// Longest description.
const MAX_DESCRIPTION: usize = 20_000;
/// Most chunks of a manifest (UP-6): 16.8 million rows.
const MAX_CHUNKS: u64 = 4_096;
/// Most bytes of a synthetic twin and of its description.
pub(crate) const MAX_TWIN: u64 = 64 << 20;
const MAX_TWIN_NOTE: u64 = 1 << 20;
/// Optional objects: the synthetic twin and what it leaks.
pub(crate) const TWIN: [(&str, u64); 2] = [("twin.csv", MAX_TWIN), ("twin.json", MAX_TWIN_NOTE)];

/// The objects that a manifest fixes the length of (UP-2).
pub(crate) fn fixed_objects(m: &Manifest) -> Vec<(String, u64)> {
    let columns = m.columns.len();
    let mut out = vec![
        ("public-key".to_owned(), PublicKey::ENCODED_LEN),
        (
            "sums".to_owned(),
            SumData::encoded_len(columns) * m.segments.len() as u64,
        ),
    ];
    for (segment, s) in m.segments.iter().enumerate() {
        for chunk in 0..s.chunks.len() {
            out.push((
                format!("chunk-{segment}-{chunk}"),
                ChunkData::encoded_len(columns),
            ));
        }
    }
    out
}

/// Lengths that the custodian states, with their limits: the listing proof and
/// the twin.
fn stated_objects(m: &Manifest, stated: &[(String, u64)]) -> Result<Vec<(String, u64)>> {
    let body = listing_body_limit(FriSet::of(m.commitment), &listing_claims(m));
    let allowed: Vec<(&str, u64)> = [("listing-proof", body + 1024)]
        .into_iter()
        .chain(TWIN)
        .collect();
    for (name, length) in stated {
        let Some((_, limit)) = allowed.iter().find(|(n, _)| n == name) else {
            return Err(DomainError::invalid(
                "objects",
                format!("{name:?} is not stated by the custodian"),
            ));
        };
        if *length == 0 || length > limit {
            return Err(DomainError::UploadLength {
                name: name.clone(),
                expected: *limit,
                found: *length,
            });
        }
    }
    if !stated.iter().any(|(n, _)| n == "listing-proof") {
        return Err(DomainError::invalid(
            "objects",
            "the listing proof's length is missing",
        ));
    }
    let mut names: Vec<&str> = stated.iter().map(|(n, _)| n.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != stated.len() {
        return Err(DomainError::invalid("objects", "a name appears twice"));
    }
    Ok(stated.to_vec())
}

impl App {
    pub(crate) async fn new_listing(
        &self,
        pass: &Pass,
        title: &str,
        description: &str,
        manifest: Value,
        stated: &[(String, u64)],
    ) -> Result<Listing> {
        let owner = pass.viewer().account()?;
        self.limits.take(Kind::Listing, &owner.to_string())?;
        self.must_be_verified(owner).await?;
        for (field, text, limit, least) in [
            ("title", title, MAX_TITLE, 1),
            ("description", description, MAX_DESCRIPTION, 0),
        ] {
            if text.trim().len() < least {
                return Err(DomainError::invalid(field, "is empty"));
            }
            if text.len() > limit {
                return Err(DomainError::TooLarge {
                    field,
                    limit: limit as u64,
                    value: text.len() as u64,
                });
            }
            check_text(field, text, field == "description")?; // REV-5
        }
        let m: Manifest = serde_json::from_value(manifest)
            .map_err(|e| DomainError::invalid("manifest", e.to_string()))?;
        m.validate()
            .map_err(|e| DomainError::invalid("manifest", e.to_string()))?;
        let chunks: u64 = m.segments.iter().map(|s| s.chunks.len() as u64).sum();
        if chunks > MAX_CHUNKS {
            return Err(DomainError::TooLarge {
                field: "manifest.chunks",
                limit: MAX_CHUNKS,
                value: chunks,
            });
        }
        let mut objects = fixed_objects(&m);
        objects.extend(stated_objects(&m, stated)?);
        // One draft at a time is made, so that the count holds.
        let _making = self.held.take(&format!("draft:{owner}"), 1)?;
        self.room_for_a_draft(owner).await?;
        let now = self.now();
        let listing = Listing {
            id: ListingId::new(now, self.random()),
            owner,
            title: title.trim().to_owned(),
            description: description.trim().to_owned(),
            dataset: m.root(),
            created_at: now,
            updated_at: now,
            policy: None,
            state: ListingState::Draft,
        };
        let text = serde_json::to_string(&m).map_err(DomainError::storage)?;
        self.store
            .create_listing(&listing, &text, &objects, now)
            .await?;
        Ok(listing)
    }

    /// UP-6
    async fn room_for_a_draft(&self, owner: AccountId) -> Result<()> {
        let limit = self.config.drafts;
        let filter = ListingFilter {
            owner: Some(owner),
            states: vec!["draft".into()],
            ..ListingFilter::default()
        };
        let page = PageRequest::new(limit, None)?;
        let found = self.store.listings(&filter, &page).await?.into_items();
        if found.len() as u64 >= u64::from(limit) {
            return Err(DomainError::TooLarge {
                field: "drafts",
                limit: u64::from(limit),
                value: u64::from(limit) + 1,
            });
        }
        Ok(())
    }

    /// One's own listing; somebody else's is not found (ACC-6).
    pub(crate) async fn own_listing(&self, pass: &Pass, id: ListingId) -> Result<Listing> {
        let l = self.store.listing(id).await?;
        if pass.viewer().account()? == l.owner {
            Ok(l)
        } else {
            Err(DomainError::NotFound { what: "listing" })
        }
    }

    /// A policy signed by a registered key of the owner, for this listing.
    pub(crate) async fn owners_policy(
        &self,
        listing: &Listing,
        policy: &Value,
    ) -> Result<(PolicyTerms, SignedText)> {
        let signed = read_value::<Policy>(self, policy)?;
        let terms = PolicyTerms::of(&signed.body)?;
        let key = veilbourse_domain::id::PublicKey(signed.key.0);
        if !self.store.key_registered(listing.owner, key).await? {
            return Err(DomainError::SigningKeyUnknown);
        }
        if terms.listing != listing.id {
            return Err(DomainError::ListingDiffers);
        }
        if terms.dataset != listing.dataset {
            return Err(DomainError::DatasetDiffers);
        }
        self.announced_as_listed(listing, &terms).await?;
        Ok((terms, stored(&signed)?))
    }

    /// UP-3: verifies everything, then submits.
    pub(crate) async fn submit(
        &self,
        pass: &Pass,
        id: ListingId,
        policy: &Value,
    ) -> Result<Listing> {
        let account = pass.viewer().account()?.to_string();
        self.limits.take(Kind::Listing, &account)?;
        let listing = self.own_listing(pass, id).await?;
        let policy = self.owners_policy(&listing, policy).await?;
        if !matches!(
            listing.state,
            ListingState::Draft | ListingState::Rejected { .. }
        ) {
            return Err(DomainError::ListingState {
                found: listing.state.name(),
                wanted: "submitted",
            });
        }
        check_valid(policy.0.valid_from, self.now())?; // REV-4
        // UP-6: one submission of an account at a time, so of a listing.
        let _submitting = self.held.take(&format!("submit:{account}"), 1)?;
        let manifest = self.manifest(id).await?;
        self.complete_all(id).await?;
        self.verify_objects(id, manifest).await?;
        let actor = format!("account:{}", listing.owner);
        self.store
            .step_listing(id, ListingStep::Submit, Some(policy), &actor, self.now())
            .await
    }

    /// Comes before anything large is read; submissions take turns.
    async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        self.submitting
            .acquire()
            .await
            .map_err(DomainError::storage)
    }

    /// Objects whose last byte is on disk and whose record was lost to a crash.
    pub(crate) async fn complete_all(&self, id: ListingId) -> Result<()> {
        for o in self.store.objects(id).await? {
            if o.digest.is_none() && self.objects.offset(id, &o.name).await? == o.length {
                let _turn = self.turn().await?;
                let digest = self.objects.digest(id, &o.name).await?;
                self.store.complete_object(id, &o.name, digest).await?;
            }
        }
        Ok(())
    }

    async fn verify_objects(&self, id: ListingId, manifest: Arc<Manifest>) -> Result<()> {
        let refuse = |name: &str, e: &dyn std::fmt::Display| {
            DomainError::invalid("object", format!("{name}: {e}"))
        };
        let columns = manifest.columns.len();
        let key = self.objects.read(id, "public-key").await?;
        let key = PublicKey::decode(&key).map_err(|e| refuse("public-key", &e))?;
        check_public_key(&manifest, &key).map_err(|e| refuse("public-key", &e))?;
        for (s, segment) in manifest.segments.iter().enumerate() {
            for (c, expected) in segment.chunks.iter().enumerate() {
                let name = format!("chunk-{s}-{c}");
                let _turn = self.turn().await?;
                let bytes = self.objects.read(id, &name).await?;
                let set = FriSet::of(manifest.commitment);
                let found: Result<Digest> = blocking(move || {
                    let bad = |e: &dyn std::fmt::Display| {
                        DomainError::invalid("object", format!("chunk-{s}-{c}: {e}"))
                    };
                    let chunk = ChunkData::decode(&bytes, columns).map_err(|e| bad(&e))?;
                    let words = glwe_columns(&expand_chunk(&chunk));
                    commit_root(set, &slices(&words)).map_err(|e| bad(&e))
                })
                .await?;
                let found = found?;
                if found != *expected {
                    return Err(DomainError::ObjectDigest {
                        name,
                        expected: expected.to_string(),
                        found: found.to_string(),
                    });
                }
            }
        }
        let one = usize::try_from(SumData::encoded_len(columns)).unwrap_or(usize::MAX);
        let _turn = self.turn().await?;
        let bytes = self.objects.read(id, "sums").await?;
        let proof = self.objects.read(id, "listing-proof").await?;
        blocking(move || {
            let sums = bytes
                .chunks(one)
                .map(|part| SumData::decode(part, columns))
                .collect::<std::result::Result<Vec<_>, _>>()
                .map_err(|e| DomainError::invalid("object", format!("sums: {e}")))?;
            verify_listing(&manifest, &sums, &proof)
                .map(drop)
                .map_err(|e| DomainError::invalid("object", format!("listing-proof: {e}")))
        })
        .await?
    }
}
