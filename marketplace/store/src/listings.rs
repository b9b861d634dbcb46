//! Listings, policies, objects' lengths and digests, quotes (DOC-3, DOC-4, UP).

use crate::{
    audit,
    db::{SqlStore, Tx, transaction},
    events,
    identities::must_be_active,
    notices, reviews,
    rows::{self, Where, body, digest, json, maybe_digest, number, t, text, vals},
};
use async_trait::async_trait;
use sea_orm::QueryResult;
use veilbourse_documents::{Policy, Signed};
use veilbourse_domain::{
    Digest, DomainError, Millis, Result,
    admit::Usage,
    id::ListingId,
    listing::{Listing, ListingState, ListingStep},
    ports::{ListingFilter, Listings},
    records::{ObjectInfo, Page, PageRequest, SignedText, StoredQuote},
    terms::PolicyTerms,
};

/// Objects inserted by one statement.
const BATCH: usize = 500;
const MISSING: DomainError = DomainError::NotFound { what: "listing" };

/// What a search looks at.
fn search_text(l: &Listing) -> String {
    format!("{}\n{}", l.title, l.description).to_lowercase()
}

/// `LIKE` pattern of a text, its own wildcards escaped.
pub(crate) fn pattern(s: &str) -> String {
    let mut out = String::from("%");
    for c in s.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('%');
    out
}

pub(crate) async fn load(tx: &Tx, id: ListingId) -> Result<(Listing, u64)> {
    let row = tx
        .one(
            "SELECT body, version FROM listings WHERE id = $1",
            vals![t(id)],
        )
        .await?
        .ok_or(MISSING)?;
    Ok((body(&row, "body")?, number(&row, "version")?))
}

/// The terms of a policy: the listing's newest, or an earlier one as it was signed.
pub(crate) async fn policy_terms(tx: &Tx, id: ListingId, version: u32) -> Result<PolicyTerms> {
    let (l, _) = load(tx, id).await?;
    if let Some(p) = l.policy.filter(|p| p.version == version) {
        return Ok(p);
    }
    let sql = "SELECT text FROM policies WHERE listing = $1 AND version = $2";
    let row = tx.one(sql, vals![t(id), version]).await?;
    let row = row.ok_or(DomainError::NotFound { what: "policy" })?;
    let signed = Signed::<Policy>::parse(text(&row, "text")?.as_bytes());
    PolicyTerms::of(&signed.map_err(DomainError::storage)?.body)
}

pub(crate) async fn save(tx: &Tx, l: &Listing, version: u64) -> Result<()> {
    tx.exec_one(
        "listing",
        "UPDATE listings SET state = $3, search = $4, body = $5, version = version + 1
         WHERE id = $1 AND version = $2",
        vals![t(l.id), version, l.state.name(), search_text(l), json(l)?],
    )
    .await
}

/// Takes a step of a listing, with its line in the review's history (REV-1).
/// `reason` is an approval's; `seen` is what a reviewer looked at (REV-2).
#[allow(clippy::too_many_arguments)] // two callers, each with all of them
pub(crate) async fn take_step(
    tx: &Tx,
    id: ListingId,
    step: &ListingStep,
    policy: Option<&(PolicyTerms, SignedText)>,
    reason: &str,
    seen: Option<Millis>,
    actor: &str,
    now: Millis,
) -> Result<Listing> {
    let (mut l, version) = load(tx, id).await?;
    if seen.is_some_and(|at| at != l.updated_at) {
        return Err(DomainError::Conflict { what: "listing" });
    }
    if let Some((p, signed)) = policy {
        l = l.with_policy(p.clone())?;
        add_policy(tx, p, signed).await?;
    }
    if matches!(step, ListingStep::Submit | ListingStep::Appeal { .. }) {
        // UP-3: every object complete.
        let open = tx
            .one(
                "SELECT name FROM listing_objects WHERE listing = $1 AND digest IS NULL ORDER BY name LIMIT 1",
                vals![t(id)],
            )
            .await?;
        if let Some(r) = open {
            return Err(DomainError::ObjectIncomplete {
                name: text(&r, "name")?,
            });
        }
    }
    if matches!(step, ListingStep::Approve { .. } | ListingStep::Resume) {
        // ACC-15: nothing of who is suspended or gone is offered.
        must_be_active(tx, l.owner).await?;
    }
    let l = l.step(step.clone(), now)?;
    save(tx, &l, version).await?;
    reviews::write(tx, &l, step, reason, now).await?;
    let details = serde_json::json!({ "state": l.state });
    audit::note(
        tx,
        actor,
        step.name(),
        format!("listing:{id}"),
        details,
        now,
    )
    .await?;
    notices::listing_stepped(tx, &l, step, version, now).await?;
    events::of_listing(tx, &l, step, now).await?;
    Ok(l)
}

async fn add_policy(tx: &Tx, p: &PolicyTerms, signed: &SignedText) -> Result<()> {
    tx.exec_one(
        "policy",
        "INSERT INTO policies (listing, version, digest, text) VALUES ($1, $2, $3, $4)",
        vals![t(p.listing), p.version, t(signed.digest), &signed.text],
    )
    .await
}

async fn add_objects(tx: &Tx, listing: ListingId, batch: &[(String, u64)]) -> Result<()> {
    let mut values = vals![t(listing)];
    let mut rows = Vec::with_capacity(batch.len());
    for (name, length) in batch {
        rows.push(format!(
            "($1, ${}, ${})",
            values.len() + 1,
            values.len() + 2
        ));
        values.extend(vals![name, *length]);
    }
    let rows = rows.join(", ");
    let sql = format!("INSERT INTO listing_objects (listing, name, length) VALUES {rows}");
    match tx.exec(&sql, values).await? {
        n if n == batch.len() as u64 => Ok(()),
        _ => Err(DomainError::Conflict { what: "object" }),
    }
}

pub(crate) fn usage_of(r: &QueryResult) -> Result<Usage> {
    Ok(Usage {
        values: number(r, "revealed_values")?,
        bits: number(r, "revealed_bits")?,
        values_reserved: number(r, "reserved_values")?,
        bits_reserved: number(r, "reserved_bits")?,
    })
}

fn object(r: &QueryResult) -> Result<ObjectInfo> {
    let (length, digest) = (number(r, "length")?, maybe_digest(r, "digest")?);
    // The offset of an incomplete object is the object storage's to say.
    let offset = if digest.is_some() { length } else { 0 };
    Ok(ObjectInfo {
        name: text(r, "name")?,
        length,
        offset,
        digest,
    })
}

#[async_trait]
impl Listings for SqlStore {
    async fn create_listing(
        &self,
        l: &Listing,
        manifest: &str,
        objects: &[(String, u64)],
        now: Millis,
    ) -> Result<()> {
        if l.state != ListingState::Draft {
            return Err(DomainError::ListingState {
                found: l.state.name(),
                wanted: "draft",
            });
        }
        transaction!(self, "listing.create", |tx| {
            tx.exec_one(
                "listing",
                "INSERT INTO listings (id, owner, state, dataset, search, manifest, version, body)
                 VALUES ($1, $2, $3, $4, $5, $6, 1, $7)",
                vals![
                    t(l.id),
                    t(l.owner),
                    l.state.name(),
                    t(l.dataset),
                    search_text(l),
                    manifest,
                    json(l)?,
                ],
            )
            .await?;
            tx.exec_one(
                "reveals",
                "INSERT INTO reveals (listing, revealed_values, revealed_bits, reserved_values, reserved_bits)
                 VALUES ($1, 0, 0, 0, 0)",
                vals![t(l.id)],
            )
            .await?;
            for batch in objects.chunks(BATCH) {
                add_objects(tx, l.id, batch).await?;
            }
            audit::note(
                tx,
                format!("account:{}", l.owner),
                "listing.create",
                format!("listing:{}", l.id),
                serde_json::json!({ "dataset": l.dataset }),
                now,
            )
            .await
        })
    }

    async fn listing(&self, id: ListingId) -> Result<Listing> {
        let row = self
            .one("SELECT body FROM listings WHERE id = $1", vals![t(id)])
            .await?;
        body(&row.ok_or(MISSING)?, "body")
    }

    async fn manifest(&self, id: ListingId) -> Result<String> {
        let row = self
            .one("SELECT manifest FROM listings WHERE id = $1", vals![t(id)])
            .await?;
        text(&row.ok_or(MISSING)?, "manifest")
    }

    async fn listings(&self, filter: &ListingFilter, page: &PageRequest) -> Result<Page<Listing>> {
        let mut w = Where::default();
        if filter.states.is_empty() {
            w.and("state IN ('published', 'paused')", vec![]);
        } else {
            let marks = vec!["?"; filter.states.len()].join(", ");
            w.and(
                &format!("state IN ({marks})"),
                filter.states.iter().map(t).collect(),
            );
        }
        if let Some(o) = filter.owner {
            w.and("owner = ?", vals![t(o)]);
        }
        for word in filter.search.iter().flat_map(|s| s.split_whitespace()) {
            w.and("search LIKE ? ESCAPE '\\'", vals![pattern(word)]);
        }
        w.after("id < ?", page);
        let sql = format!(
            "SELECT id, body FROM listings {} ORDER BY id DESC LIMIT {}",
            w.sql(),
            page.first + 1
        );
        rows::page(page, &self.all(&sql, w.values).await?, "id", |r| {
            body(r, "body")
        })
    }

    async fn step_listing(
        &self,
        id: ListingId,
        step: ListingStep,
        policy: Option<(PolicyTerms, SignedText)>,
        actor: &str,
        now: Millis,
    ) -> Result<Listing> {
        transaction!(self, "listing.step", |tx| {
            take_step(tx, id, &step, policy.as_ref(), "", None, actor, now).await
        })
    }

    async fn update_policy(
        &self,
        id: ListingId,
        policy: PolicyTerms,
        signed: SignedText,
        actor: &str,
        now: Millis,
    ) -> Result<Listing> {
        transaction!(self, "listing.policy", |tx| {
            let (l, version) = load(tx, id).await?;
            let l = l.with_policy(policy.clone())?.touched(now);
            add_policy(tx, &policy, &signed).await?;
            save(tx, &l, version).await?;
            let details = serde_json::json!({ "version": policy.version, "digest": signed.digest });
            let subject = format!("listing:{id}");
            audit::note(tx, actor, "listing.policy", subject, details, now).await?;
            Ok(l)
        })
    }

    async fn policy(&self, id: ListingId, version: u32) -> Result<SignedText> {
        let sql = "SELECT digest, text FROM policies WHERE listing = $1 AND version = $2";
        let row = self.one(sql, vals![t(id), version]).await?;
        let row = row.ok_or(DomainError::NotFound { what: "policy" })?;
        Ok(SignedText {
            digest: digest(&row, "digest")?,
            text: text(&row, "text")?,
        })
    }

    async fn usage(&self, id: ListingId) -> Result<Usage> {
        let row = self
            .one("SELECT * FROM reveals WHERE listing = $1", vals![t(id)])
            .await?;
        usage_of(&row.ok_or(MISSING)?)
    }

    async fn objects(&self, id: ListingId) -> Result<Vec<ObjectInfo>> {
        let sql = "SELECT * FROM listing_objects WHERE listing = $1 ORDER BY name";
        self.all(sql, vals![t(id)])
            .await?
            .iter()
            .map(object)
            .collect()
    }

    async fn object(&self, id: ListingId, name: &str) -> Result<ObjectInfo> {
        let sql = "SELECT * FROM listing_objects WHERE listing = $1 AND name = $2";
        let row = self.one(sql, vals![t(id), name]).await?;
        object(&row.ok_or(DomainError::NotFound { what: "object" })?)
    }

    async fn complete_object(&self, id: ListingId, name: &str, digest: Digest) -> Result<()> {
        transaction!(self, "object.complete", |tx| {
            let (l, _) = load(tx, id).await?;
            let sql = "SELECT * FROM listing_objects WHERE listing = $1 AND name = $2";
            let row = tx.one(sql, vals![t(id), name]).await?;
            let found = object(&row.ok_or(DomainError::NotFound { what: "object" })?)?;
            if found.digest == Some(digest) {
                return Ok(()); // The answer was lost and the client asks again.
            }
            // UP-5
            let draft = matches!(l.state, ListingState::Draft | ListingState::Rejected { .. });
            if found.digest.is_some() || !draft {
                return Err(DomainError::ObjectImmutable { name: name.into() });
            }
            tx.exec_one(
                "object",
                "UPDATE listing_objects SET digest = $3 WHERE listing = $1 AND name = $2 AND digest IS NULL",
                vals![t(id), name, t(digest)],
            )
            .await
        })
    }

    async fn save_quote(&self, q: &StoredQuote) -> Result<()> {
        transaction!(self, "quote.save", |tx| {
            tx.exec_one(
                "quote",
                "INSERT INTO quotes (digest, id, listing, expiry, terms, text, program)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                vals![
                    t(q.signed.digest),
                    t(q.terms.id),
                    t(q.terms.listing),
                    q.terms.expiry,
                    json(&q.terms)?,
                    &q.signed.text,
                    &q.program,
                ],
            )
            .await
        })
    }

    async fn quote(&self, wanted: Digest) -> Result<StoredQuote> {
        let row = self
            .one("SELECT * FROM quotes WHERE digest = $1", vals![t(wanted)])
            .await?;
        let row = row.ok_or(DomainError::QuoteUnknown)?;
        Ok(StoredQuote {
            terms: body(&row, "terms")?,
            signed: SignedText {
                digest: digest(&row, "digest")?,
                text: text(&row, "text")?,
            },
            program: text(&row, "program")?,
        })
    }
}
