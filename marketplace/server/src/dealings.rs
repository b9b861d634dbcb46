//! Dealings on their way (DOC-14, KEY-10): the custodian uploads announcements
//! and sealed pieces, the nodes of their quorums fetch their own, answer, and
//! tell how far they have spent.

use crate::{
    App,
    body::{MAX_ANNOUNCEMENT, MAX_PIECE},
    convert::{refused, stored},
    http::{Answer, Site},
    limits::Kind,
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, Json, Path},
};
use serde::Deserialize;
use serde_json::json;
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, Writer},
};
use veilbourse_documents::{
    Document, MAX_DEALINGS, PIECE_OVERHEAD, Signed,
    api::{DealingAnswer, DealingJob, DealingJobs},
};
use veilbourse_domain::{
    DomainError, Result,
    access::Pass,
    id::{ListingId, PublicKey},
    listing::{Listing, ListingState},
    records::DealingPiece,
    terms::{DealingTerms, Openers, PolicyTerms},
    tickets::NodeAnswer,
};
use veilbourse_ticket_store::Dealing;

/// What a dealing is sent as: seed and package, and the streams (CST-3).
const PARTS: [&str; 5] = ["offer", "commitments", "explicit", "key", "proof"];
/// Most parties of a dealing.
const MAX_PARTIES: u8 = 5;
/// Most pieces of a part: 64 GiB.
const MAX_PIECES: u32 = 1 << 16;

/// `POST /v1/node/tickets`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketsSpent {
    tickets: Vec<Spent>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spent {
    dealing: Digest,
    #[serde(with = "veilbourse_core::decimal")]
    next: u64,
}

fn digest_of(text: &str) -> Result<Digest> {
    Digest::from_hex(text)
        .ok_or_else(|| DomainError::invalid("dealing", "expected 64 lower-case hex digits"))
}

/// The name of a piece in object storage: of its place and content.
fn object_name(p: &DealingPiece) -> String {
    let mut w = Writer::new();
    w.raw(&p.dealing.0).u8(p.party).str(&p.part).u32(p.piece);
    w.raw(&p.digest.0);
    Digest::of(Domain::Other("veilbourse v1 dealing object"), &w.finish()).to_string()
}

fn decode(bytes: &[u8]) -> Result<Dealing> {
    let refuse = |e: &dyn std::fmt::Display| DomainError::invalid("announcement", e.to_string());
    let mut input = Reader::new(bytes);
    let dealing = Dealing::decode(&mut input).map_err(|e| refuse(&e))?;
    input.finish("announcement").map_err(|e| refuse(&e))?;
    Ok(dealing)
}

/// DOC-12, CST-2: what a policy lists is what was announced.
fn as_listed(d: &Dealing, terms: &DealingTerms) -> Result<()> {
    for (what, same) in [
        ("quorum", d.quorum.members() == terms.quorum),
        ("epoch", d.epoch == terms.epoch),
        ("class", d.class.digest() == terms.class),
        ("first ticket", d.first == terms.first),
        ("number of tickets", d.count == terms.count),
        ("root", d.root == terms.root),
    ] {
        if !same {
            return Err(DomainError::DealingDiffers { what });
        }
    }
    Ok(())
}

/// CST-2: a dealing is for the committee's nodes of now.
fn for_members(d: &Dealing, openers: &Openers) -> Result<()> {
    let keys = openers.quorum(&d.quorum.members()).unwrap_or_default();
    match keys.iter().map(|k| &k.0).eq(&d.parties) {
        true => Ok(()),
        false => Err(DomainError::DealingDiffers { what: "parties" }),
    }
}

impl App {
    /// A policy's dealings that were announced here are as it lists them.
    pub(crate) async fn announced_as_listed(
        &self,
        listing: &Listing,
        policy: &PolicyTerms,
    ) -> Result<()> {
        let before = listing.policy.as_ref().and_then(|p| p.tickets.as_ref());
        for terms in policy.tickets.iter().flat_map(|t| &t.dealings) {
            let dealing = match self.store.announcement(listing.id, terms.digest).await {
                Ok(bytes) => decode(&bytes)?,
                Err(DomainError::NotFound { .. }) => continue,
                Err(e) => return Err(e),
            };
            as_listed(&dealing, terms)?;
            // What was dealt stays listed, whoever has its seats now (DOC-12).
            if !before.is_some_and(|t| t.dealings.contains(terms)) {
                for_members(&dealing, &policy.openers)?;
            }
        }
        Ok(())
    }

    /// One's own listing that dealings may be uploaded to.
    async fn dealt_listing(&self, pass: &Pass, listing: &str) -> Result<Listing> {
        let account = pass.viewer().account()?;
        self.limits.take(Kind::Upload, &account.to_string())?;
        let listing = self.own_listing(pass, listing.parse()?).await?;
        if let ListingState::Withdrawn { .. } = listing.state {
            let state = listing.state.name();
            return Err(DomainError::ListingClosed { state });
        }
        Ok(listing)
    }

    async fn take_announcement(&self, listing: &Listing, name: &str, bytes: &[u8]) -> Result<()> {
        if bytes.len() > MAX_ANNOUNCEMENT {
            return Err(DomainError::TooLarge {
                field: "announcement",
                limit: MAX_ANNOUNCEMENT as u64,
                value: bytes.len() as u64,
            });
        }
        let name = digest_of(name)?;
        let dealing = decode(bytes)?;
        if dealing.digest() != name {
            return Err(DomainError::DocumentLink {
                what: "announcement",
            });
        }
        if dealing.dataset != listing.dataset {
            return Err(DomainError::DatasetDiffers);
        }
        if let Some(p) = &listing.policy {
            let listed = p.tickets.as_ref().and_then(|t| t.dealing(&name));
            if let Some(terms) = listed {
                as_listed(&dealing, terms)?;
                for_members(&dealing, &p.openers)?;
            }
        }
        self.store
            .announce(listing.id, name, bytes, self.now())
            .await
    }

    async fn take_piece(&self, listing: ListingId, p: &DealingPiece, bytes: &[u8]) -> Result<()> {
        let limit = self.config.dealing_bytes;
        // One at a time writes a piece, so that what is stored is what is recorded.
        let place = format!(
            "piece:{listing}:{}:{}:{}:{}",
            p.dealing, p.party, p.part, p.piece
        );
        let _writing = self.held.take(&place, 1)?;
        if !self.store.piece_wanted(listing, p, limit).await? {
            return Ok(());
        }
        self.objects.put(listing, &object_name(p), bytes).await?;
        self.store.add_piece(listing, p, limit).await
    }

    async fn asked_of(&self, node: PublicKey) -> Result<DealingJobs> {
        let mut listings = Vec::new();
        let turn = u64::from_le_bytes(self.random());
        for asked in self.store.dealings_asked(node, turn).await? {
            let listing = self.store.listing(asked.listing).await?;
            let Some(terms) = &listing.policy else {
                continue;
            };
            let (policy, _) = self.policy_of(listing.id, terms.version).await?;
            let announced = asked.announced.into_iter();
            listings.push(DealingJob {
                manifest: (*self.manifest(listing.id).await?).clone(),
                policy,
                announced: announced.map(veilbourse_documents::Bytes).collect(),
            });
        }
        Ok(DealingJobs { listings })
    }

    async fn take_answer(&self, pass: &Pass, name: &str, answer: DealingAnswer) -> Result<()> {
        let node = self.node(pass).await?.signing_key;
        let name = digest_of(name)?;
        let (listing, _) = self.store.dealing_of(node, name).await?;
        let dataset = self.store.listing(listing).await?.dataset;
        let (said, document) = match &answer {
            DealingAnswer::Accepted(a) => {
                self.said_of(a, node, (a.body.dataset, a.body.dealing), (dataset, name))?;
                let (code, reason) = (String::new(), String::new());
                let accepted = true;
                let said = NodeAnswer {
                    node,
                    accepted,
                    code,
                    reason,
                };
                (said, stored(a)?)
            }
            DealingAnswer::Refused(r) => {
                self.said_of(r, node, (r.body.dataset, r.body.dealing), (dataset, name))?;
                let (code, reason) = (r.body.code.clone(), r.body.reason.clone());
                let accepted = false;
                let said = NodeAnswer {
                    node,
                    accepted,
                    code,
                    reason,
                };
                (said, stored(r)?)
            }
        };
        self.store
            .answer_dealing(listing, name, said, document, self.now())
            .await
    }

    /// The document is this node's, about this dealing.
    fn said_of<T: Document>(
        &self,
        signed: &Signed<T>,
        node: PublicKey,
        found: (Digest, Digest),
        expected: (Digest, Digest),
    ) -> Result<()> {
        signed.verify_for(&self.id).map_err(|e| refused(&e))?;
        if signed.key.0 != node.0 || found != expected {
            return Err(DomainError::DocumentLink { what: T::TYPE });
        }
        Ok(())
    }

    async fn piece_for(&self, pass: &Pass, at: &(String, String, u32)) -> Result<Vec<u8>> {
        let node = self.node(pass).await?.signing_key;
        let dealing = digest_of(&at.0)?;
        let (listing, party) = self.store.dealing_of(node, dealing).await?;
        // KEY-10: what the shared key is checked against; it is public.
        if (at.1.as_str(), at.2) == ("public-key", 0) {
            return self.objects.read(listing, "public-key").await;
        }
        let piece = self.store.piece(listing, dealing, party, &at.1, at.2);
        self.objects
            .read(listing, &object_name(&piece.await?))
            .await
    }
}

/// `PUT /v1/listings/{id}/dealings/{dealing}/announcement`.
pub async fn announce(
    site: Data<Site>,
    req: HttpRequest,
    at: Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let route = "PUT /v1/listings/{id}/dealings/{dealing}/announcement";
    let pass = site.pass(&req, route).await?;
    let work = async {
        let listing = site.app.dealt_listing(&pass, &at.0).await?;
        site.app.take_announcement(&listing, &at.1, &body).await
    };
    work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(json!({})))
}

/// `PUT /v1/listings/{id}/dealings/{dealing}/{party}/{part}/{piece}`.
pub async fn put_piece(
    site: Data<Site>,
    req: HttpRequest,
    at: Path<(String, String, u8, String, u32)>,
    body: Bytes,
) -> Answer {
    let route = "PUT /v1/listings/{id}/dealings/{dealing}/{party}/{part}/{piece}";
    let pass = site.pass(&req, route).await?;
    let work = async {
        let (listing, dealing, party, part, piece) = at.into_inner();
        let listing = site.app.dealt_listing(&pass, &listing).await?;
        if !PARTS.contains(&part.as_str()) {
            return Err(DomainError::NotFound { what: "part" });
        }
        for (field, limit, value) in [
            ("party", u64::from(MAX_PARTIES) - 1, u64::from(party)),
            ("piece", u64::from(MAX_PIECES) - 1, u64::from(piece)),
            ("piece's bytes", MAX_PIECE as u64, body.len() as u64),
        ] {
            if value > limit {
                return Err(DomainError::TooLarge {
                    field,
                    limit,
                    value,
                });
            }
        }
        if body.len() < PIECE_OVERHEAD {
            return Err(DomainError::invalid(
                "piece",
                format!(
                    "{} bytes, a sealed piece has {PIECE_OVERHEAD} or more",
                    body.len()
                ),
            ));
        }
        let piece = DealingPiece {
            dealing: digest_of(&dealing)?,
            party,
            part,
            piece,
            length: body.len() as u64,
            digest: Digest::of(Domain::Other("veilbourse v1 dealing piece"), &body),
        };
        site.app.take_piece(listing.id, &piece, &body).await
    };
    work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(json!({})))
}

/// `GET /v1/listings/{id}/dealings`: where an upload goes on.
pub async fn held(site: Data<Site>, req: HttpRequest, id: Path<String>) -> Answer {
    let pass = site.pass(&req, "GET /v1/listings/{id}/dealings").await?;
    let work = async {
        let listing = site.app.own_listing(&pass, id.parse()?).await?;
        site.app.store.dealings_held(listing.id).await
    };
    let all = work.await.map_err(|e| site.refuse(e))?;
    let dealings: Vec<_> = all
        .iter()
        .map(|d| {
            let parts = d.parts.iter();
            let parts =
                parts.map(|p| json!({ "party": p.party, "part": p.part, "pieces": p.pieces }));
            json!({
                "digest": d.digest,
                "announced": d.announced,
                "parts": parts.collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "dealings": dealings })))
}

/// `POST /v1/node/dealings`: what the node has not answered (KEY-10).
pub async fn asked(site: Data<Site>, req: HttpRequest) -> Answer {
    let pass = site.pass(&req, "POST /v1/node/dealings").await?;
    let work = async {
        let node = site.app.node(&pass).await?;
        site.app.asked_of(node.signing_key).await
    };
    let jobs = work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(jobs))
}

/// `GET /v1/node/dealings/{dealing}/{part}/{piece}`: the node's own.
pub async fn get_piece(
    site: Data<Site>,
    req: HttpRequest,
    at: Path<(String, String, u32)>,
) -> Answer {
    let route = "GET /v1/node/dealings/{dealing}/{part}/{piece}";
    let pass = site.pass(&req, route).await?;
    let bytes = site.app.piece_for(&pass, &at).await;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .body(bytes.map_err(|e| site.refuse(e))?))
}

/// `POST /v1/node/dealings/{dealing}`: the node's answer.
pub async fn answer(
    site: Data<Site>,
    req: HttpRequest,
    dealing: Path<String>,
    body: Json<DealingAnswer>,
) -> Answer {
    let pass = site.pass(&req, "POST /v1/node/dealings/{dealing}").await?;
    let taken = site.app.take_answer(&pass, &dealing, body.into_inner());
    taken.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(json!({})))
}

/// `POST /v1/node/tickets`: how far the node has spent (ORD-7).
pub async fn spent(site: Data<Site>, req: HttpRequest, body: Json<TicketsSpent>) -> Answer {
    let pass = site.pass(&req, "POST /v1/node/tickets").await?;
    let work = async {
        let node = site.app.node(&pass).await?;
        if body.tickets.len() > MAX_DEALINGS {
            return Err(DomainError::TooLarge {
                field: "tickets",
                limit: MAX_DEALINGS as u64,
                value: body.tickets.len() as u64,
            });
        }
        let told: Vec<_> = body.tickets.iter().map(|t| (t.dealing, t.next)).collect();
        site.app.store.tickets_spent(node.signing_key, &told).await
    };
    work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(json!({})))
}
