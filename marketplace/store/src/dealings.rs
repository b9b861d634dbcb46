//! Dealings on their way from custodians to key nodes (DOC-14): announcements,
//! the pieces that object storage holds, the nodes' answers, and how far the
//! tickets are spent (ORD-7).

use crate::{
    audit,
    db::{SqlStore, Tx, transaction},
    listings,
    quorums::live,
    rows::{body, digest, get, maybe_number, number, parsed, t, text, vals},
};
use async_trait::async_trait;
use sea_orm::QueryResult;
use serde_json::json;
use std::collections::BTreeMap;
use veilbourse_documents::MAX_DEALINGS;
use veilbourse_domain::{
    Digest, DomainError, Millis, Result,
    id::{ListingId, PublicKey},
    listing::{Listing, ListingState},
    order::Order,
    ports::Dealings,
    records::{DealingHeld, DealingPiece, DealingsAsked, PartHeld, SignedText},
    terms::DealingTerms,
    tickets::{DealingFacts, NodeAnswer, TicketFacts, UnderWay},
};

/// What a piece counts at least: a file and a row are not free.
const LEAST_COUNTED: u64 = 64 << 10;
/// Bytes of announcements in one answer to a node are few; listings are not.
const LISTINGS_AT_ONCE: usize = 16;
const MISSING: DomainError = DomainError::NotFound { what: "dealing" };

/// What is stored of a listing's tickets.
pub(crate) async fn facts(tx: &Tx, listing: ListingId) -> Result<TicketFacts> {
    let mut answers: BTreeMap<String, Vec<NodeAnswer>> = BTreeMap::new();
    let sql =
        "SELECT dealing, node, accepted, code, reason FROM dealing_answers WHERE listing = $1";
    for row in tx.all(sql, vals![t(listing)]).await? {
        let of = answers.entry(text(&row, "dealing")?).or_default();
        of.push(NodeAnswer {
            node: parsed(&row, "node")?,
            accepted: number(&row, "accepted")? == 1,
            code: text(&row, "code")?,
            reason: text(&row, "reason")?,
        });
    }
    let sql = "SELECT digest, next, CASE WHEN announcement IS NULL THEN 0 ELSE 1 END AS announced
               FROM dealings WHERE listing = $1 ORDER BY digest";
    let mut dealings = Vec::new();
    for row in tx.all(sql, vals![t(listing)]).await? {
        let announced: i64 = i64::from(get::<i32>(&row, "announced")?);
        dealings.push(DealingFacts {
            digest: digest(&row, "digest")?,
            announced: announced == 1,
            next: maybe_number(&row, "next")?,
            answers: answers.remove(&text(&row, "digest")?).unwrap_or_default(),
        });
    }
    let sql = "SELECT body FROM orders WHERE listing = $1 AND committee = 1
                 AND state NOT IN ('released', 'refunded') ORDER BY id";
    let mut under_way = Vec::new();
    for row in tx.all(sql, vals![t(listing)]).await? {
        let o: Order = body(&row, "body")?;
        under_way.push(UnderWay {
            class: o.terms.ticket_class.unwrap_or_default(),
            values: o.values,
            dealing: live(&o).and_then(|g| g.dealing()),
        });
    }
    Ok(TicketFacts {
        dealings,
        under_way,
    })
}

/// The tickets below `next` of a dealing are spent.
pub(crate) async fn spent(tx: &Tx, listing: ListingId, dealing: Digest, next: u64) -> Result<()> {
    tx.exec(
        "UPDATE dealings SET next = $3
         WHERE listing = $1 AND digest = $2 AND (next IS NULL OR next < $3)",
        vals![t(listing), t(dealing), next],
    )
    .await
    .map(drop)
}

/// The dealing's row, made if there is room for one.
async fn ensure(tx: &Tx, listing: ListingId, dealing: Digest) -> Result<()> {
    let sql = "SELECT digest FROM dealings WHERE listing = $1 AND digest = $2";
    if tx.one(sql, vals![t(listing), t(dealing)]).await?.is_some() {
        return Ok(());
    }
    let sql = "SELECT COUNT(*) AS n FROM dealings WHERE listing = $1";
    let row = tx.one(sql, vals![t(listing)]).await?;
    let (limit, held) = (MAX_DEALINGS as u64, row.map_or(Ok(0), |r| number(&r, "n"))?);
    if held >= limit {
        return Err(DomainError::TooLarge {
            field: "dealings of the listing",
            limit,
            value: held + 1,
        });
    }
    tx.exec_one(
        "dealing",
        "INSERT INTO dealings (listing, digest, bytes) VALUES ($1, $2, 0)",
        vals![t(listing), t(dealing)],
    )
    .await
}

fn counted(piece: &DealingPiece) -> u64 {
    piece.length.max(LEAST_COUNTED)
}

/// Whether the piece is still to be stored; see [`Dealings::piece_wanted`].
async fn wanted(tx: &Tx, listing: ListingId, p: &DealingPiece, limit: u64) -> Result<bool> {
    let sql = "SELECT digest FROM dealing_pieces
               WHERE listing = $1 AND dealing = $2 AND party = $3 AND part = $4 AND piece = $5";
    let at = vals![
        t(listing),
        t(p.dealing),
        u64::from(p.party),
        &p.part,
        p.piece
    ];
    if let Some(row) = tx.one(sql, at).await? {
        return match digest(&row, "digest")? == p.digest {
            true => Ok(false),
            false => Err(DomainError::Conflict {
                what: "piece of the dealing",
            }),
        };
    }
    let sql = "SELECT bytes FROM dealings WHERE listing = $1";
    let mut value = counted(p);
    for row in tx.all(sql, vals![t(listing)]).await? {
        value = value.saturating_add(number(&row, "bytes")?);
    }
    if value > limit {
        return Err(DomainError::DealingBytes { limit, value });
    }
    Ok(true)
}

/// The dealings of a listing's newest policy that name the node, with its party
/// number in each.
fn of_node(l: &Listing, node: PublicKey) -> Vec<(&DealingTerms, u8)> {
    let Some(p) = &l.policy else {
        return Vec::new();
    };
    let keys = p.openers.keys();
    let Some(place) = keys.iter().position(|k| k.0 == node.0) else {
        return Vec::new();
    };
    let listed = p.tickets.iter().flat_map(|t| &t.dealings);
    let party = |d: &DealingTerms| {
        let at = d.quorum.iter().position(|n| usize::from(*n) == place)?;
        u8::try_from(at).ok()
    };
    listed.filter_map(|d| Some((d, party(d)?))).collect()
}

fn piece_of(row: &QueryResult) -> Result<DealingPiece> {
    Ok(DealingPiece {
        dealing: digest(row, "dealing")?,
        party: u8::try_from(number(row, "party")?).unwrap_or(u8::MAX),
        part: text(row, "part")?,
        piece: u32::try_from(number(row, "piece")?).unwrap_or(u32::MAX),
        length: number(row, "length")?,
        digest: digest(row, "digest")?,
    })
}

#[async_trait]
impl Dealings for SqlStore {
    async fn announce(
        &self,
        listing: ListingId,
        dealing: Digest,
        announcement: &[u8],
        now: Millis,
    ) -> Result<()> {
        transaction!(self, "dealing.announce", |tx| {
            let (l, _) = listings::load(tx, listing).await?;
            // Who announces first dealt it: with a copy of it nobody else's
            // listing stands between its nodes and its dealer's.
            let sql =
                "SELECT d.listing AS listing FROM dealings d JOIN listings o ON o.id = d.listing
                       WHERE d.digest = $1 AND d.announcement IS NOT NULL AND o.owner <> $2";
            if tx.one(sql, vals![t(dealing), t(l.owner)]).await?.is_some() {
                return Err(DomainError::Conflict { what: "dealing" });
            }
            ensure(tx, listing, dealing).await?;
            // Its digest names it: what is there is the same.
            let made = tx
                .exec(
                    "UPDATE dealings SET announcement = $3, bytes = bytes + $4
                     WHERE listing = $1 AND digest = $2 AND announcement IS NULL",
                    vals![
                        t(listing),
                        t(dealing),
                        announcement.to_vec(),
                        announcement.len() as u64,
                    ],
                )
                .await?;
            if made == 0 {
                return Ok(());
            }
            let actor = format!("account:{}", l.owner);
            let subject = format!("listing:{listing}");
            let details = json!({ "dealing": dealing });
            audit::note(tx, actor, "dealing.announce", subject, details, now).await
        })
    }

    async fn announcement(&self, listing: ListingId, dealing: Digest) -> Result<Vec<u8>> {
        let sql = "SELECT announcement FROM dealings
                   WHERE listing = $1 AND digest = $2 AND announcement IS NOT NULL";
        let row = self.one(sql, vals![t(listing), t(dealing)]).await?;
        get(&row.ok_or(MISSING)?, "announcement")
    }

    async fn piece_wanted(
        &self,
        listing: ListingId,
        piece: &DealingPiece,
        limit: u64,
    ) -> Result<bool> {
        let tx = self.begin_read("dealing.wanted").await?;
        wanted(&tx, listing, piece, limit).await
    }

    async fn add_piece(&self, listing: ListingId, p: &DealingPiece, limit: u64) -> Result<()> {
        transaction!(self, "dealing.piece", |tx| {
            if !wanted(tx, listing, p, limit).await? {
                return Ok(());
            }
            ensure(tx, listing, p.dealing).await?;
            tx.exec_one(
                "piece",
                "INSERT INTO dealing_pieces (listing, dealing, party, part, piece, length, digest)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                vals![
                    t(listing),
                    t(p.dealing),
                    u64::from(p.party),
                    &p.part,
                    p.piece,
                    p.length,
                    t(p.digest),
                ],
            )
            .await?;
            tx.exec_one(
                "dealing",
                "UPDATE dealings SET bytes = bytes + $3 WHERE listing = $1 AND digest = $2",
                vals![t(listing), t(p.dealing), counted(p)],
            )
            .await
        })
    }

    async fn dealings_held(&self, listing: ListingId) -> Result<Vec<DealingHeld>> {
        let tx = self.begin_read("dealing.held").await?;
        // The first piece whose successor is missing, where the first one is there.
        let sql =
            "SELECT p.dealing AS dealing, p.party AS party, p.part AS part, MIN(p.piece) AS last
                   FROM dealing_pieces p
                   WHERE p.listing = $1
                     AND NOT EXISTS (SELECT 1 FROM dealing_pieces q
                         WHERE q.listing = p.listing AND q.dealing = p.dealing AND q.party = p.party
                           AND q.part = p.part AND q.piece = p.piece + 1)
                     AND EXISTS (SELECT 1 FROM dealing_pieces z
                         WHERE z.listing = p.listing AND z.dealing = p.dealing AND z.party = p.party
                           AND z.part = p.part AND z.piece = 0)
                   GROUP BY p.dealing, p.party, p.part ORDER BY p.dealing, p.party, p.part";
        let mut parts: BTreeMap<String, Vec<PartHeld>> = BTreeMap::new();
        for row in tx.all(sql, vals![t(listing)]).await? {
            let of = parts.entry(text(&row, "dealing")?).or_default();
            let last = u32::try_from(number(&row, "last")?).unwrap_or(u32::MAX);
            of.push(PartHeld {
                party: u8::try_from(number(&row, "party")?).unwrap_or(u8::MAX),
                part: text(&row, "part")?,
                pieces: last.saturating_add(1),
            });
        }
        let all = facts(&tx, listing).await?.dealings.into_iter();
        Ok(all
            .map(|d| DealingHeld {
                digest: d.digest,
                announced: d.announced,
                parts: parts.remove(&d.digest.to_string()).unwrap_or_default(),
            })
            .collect())
    }

    async fn ticket_facts(&self, listing: ListingId) -> Result<TicketFacts> {
        let tx = self.begin_read("dealing.facts").await?;
        facts(&tx, listing).await
    }

    async fn dealings_asked(&self, node: PublicKey, turn: u64) -> Result<Vec<DealingsAsked>> {
        let tx = self.begin_read("dealing.asked").await?;
        let sql = "SELECT l.id AS id FROM listings l
                   WHERE l.state = 'published' AND EXISTS (
                       SELECT 1 FROM dealings d
                       WHERE d.listing = l.id AND d.announcement IS NOT NULL AND NOT EXISTS (
                           SELECT 1 FROM dealing_answers a
                           WHERE a.listing = d.listing AND a.dealing = d.digest AND a.node = $1))
                   ORDER BY l.id";
        let mut ids = Vec::new();
        for row in tx.all(sql, vals![t(node)]).await? {
            ids.push(parsed::<ListingId>(&row, "id")?);
        }
        // Some listings may never be answered: they keep no other from its turn.
        let first = turn.checked_rem(ids.len() as u64).unwrap_or(0);
        ids.rotate_left(usize::try_from(first).unwrap_or(0));
        let mut out = Vec::new();
        for id in ids {
            let (l, _) = listings::load(&tx, id).await?;
            let mut announced = Vec::new();
            for (d, _) in of_node(&l, node) {
                let sql = "SELECT d.announcement AS announcement FROM dealings d
                           WHERE d.listing = $1 AND d.digest = $2 AND d.announcement IS NOT NULL
                             AND NOT EXISTS (SELECT 1 FROM dealing_answers a
                                 WHERE a.listing = d.listing AND a.dealing = d.digest AND a.node = $3)";
                let row = tx.one(sql, vals![t(l.id), t(d.digest), t(node)]).await?;
                if let Some(row) = row {
                    announced.push(get(&row, "announcement")?);
                }
            }
            if !announced.is_empty() {
                out.push(DealingsAsked {
                    listing: l.id,
                    announced,
                });
            }
            if out.len() >= LISTINGS_AT_ONCE {
                break;
            }
        }
        Ok(out)
    }

    async fn dealing_of(&self, node: PublicKey, dealing: Digest) -> Result<(ListingId, u8)> {
        let tx = self.begin_read("dealing.of").await?;
        // Any policy may name any digest; only its dealer's listing announced it.
        let sql = "SELECT l.body AS body FROM listings l JOIN dealings d ON d.listing = l.id
                   WHERE d.digest = $1 AND d.announcement IS NOT NULL
                     AND l.state IN ('published', 'paused') ORDER BY l.id";
        for row in tx.all(sql, vals![t(dealing)]).await? {
            let l: Listing = body(&row, "body")?;
            let named = of_node(&l, node);
            if let Some((_, party)) = named.iter().find(|(d, _)| d.digest == dealing) {
                return Ok((l.id, *party));
            }
        }
        Err(MISSING)
    }

    async fn piece(
        &self,
        listing: ListingId,
        dealing: Digest,
        party: u8,
        part: &str,
        piece: u32,
    ) -> Result<DealingPiece> {
        let sql = "SELECT * FROM dealing_pieces
                   WHERE listing = $1 AND dealing = $2 AND party = $3 AND part = $4 AND piece = $5";
        let at = vals![t(listing), t(dealing), u64::from(party), part, piece];
        let missing = DomainError::NotFound { what: "piece" };
        piece_of(&self.one(sql, at).await?.ok_or(missing)?)
    }

    async fn answer_dealing(
        &self,
        listing: ListingId,
        dealing: Digest,
        answer: NodeAnswer,
        document: SignedText,
        now: Millis,
    ) -> Result<()> {
        transaction!(self, "dealing.answer", |tx| {
            let (l, _) = listings::load(tx, listing).await?;
            let withdrawn = matches!(l.state, ListingState::Withdrawn { .. });
            let named = of_node(&l, answer.node);
            if withdrawn || !named.iter().any(|(d, _)| d.digest == dealing) {
                return Err(MISSING);
            }
            let sql = "SELECT accepted, digest FROM dealing_answers
                       WHERE listing = $1 AND dealing = $2 AND node = $3";
            let at = vals![t(listing), t(dealing), t(answer.node)];
            if let Some(row) = tx.one(sql, at).await? {
                if digest(&row, "digest")? == document.digest {
                    return Ok(()); // The answer was lost and the node says it again.
                }
                // A frozen quorum stays frozen (OPN-4).
                if answer.accepted || number(&row, "accepted")? == 0 {
                    return Err(DomainError::AlreadyDecided { what: "dealing" });
                }
            }
            tx.exec_one(
                "answer",
                "INSERT INTO dealing_answers (listing, dealing, node, accepted, code, reason, digest, text)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (listing, dealing, node) DO UPDATE SET accepted = excluded.accepted,
                    code = excluded.code, reason = excluded.reason, digest = excluded.digest,
                    text = excluded.text",
                vals![
                    t(listing),
                    t(dealing),
                    t(answer.node),
                    u64::from(answer.accepted),
                    &answer.code,
                    &answer.reason,
                    t(document.digest),
                    &document.text,
                ],
            )
            .await?;
            let action = match answer.accepted {
                true => "dealing.accept",
                false => "dealing.refuse",
            };
            let actor = format!("node:{}", answer.node);
            let details =
                json!({ "dealing": dealing, "document": document.digest, "code": answer.code });
            audit::note(
                tx,
                actor,
                action,
                format!("listing:{listing}"),
                details,
                now,
            )
            .await
        })
    }

    async fn tickets_spent(&self, node: PublicKey, told: &[(Digest, u64)]) -> Result<()> {
        let mut known = Vec::new();
        for (dealing, next) in told {
            match self.dealing_of(node, *dealing).await {
                Ok((listing, _)) => known.push((listing, *dealing, *next)),
                Err(DomainError::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        if known.is_empty() {
            return Ok(());
        }
        transaction!(self, "dealing.spent", |tx| {
            for (listing, dealing, next) in &known {
                spent(tx, *listing, *dealing, *next).await?;
            }
            Ok(())
        })
    }
}
