//! Dealings to the marketplace, which hands them on to the nodes (DOC-14):
//! from where it holds them already.

use super::{DealerFolder, PARTS};
use crate::{ClientError, http::Progress, market::Session};
use serde::Deserialize;
use std::collections::HashMap;
use veilbourse_core::digest::Digest;
use veilbourse_documents::Id;

/// What the marketplace holds of a dealing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Held {
    /// Digest of the announcement.
    pub digest: Digest,
    /// Whether it is there.
    pub announced: bool,
    /// Pieces that are there, from the first without gaps.
    #[serde(default)]
    pub parts: Vec<HeldPart>,
}

/// Of one part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HeldPart {
    /// The party.
    pub party: u8,
    /// The part.
    pub part: String,
    /// Pieces.
    pub pieces: u64,
}

#[derive(Deserialize)]
struct Answer {
    dealings: Vec<Held>,
}

/// What the marketplace holds of a listing's dealings.
pub async fn held(session: &Session, listing: &Id) -> Result<Vec<Held>, ClientError> {
    let path = format!("/v1/listings/{listing}/dealings");
    let bytes = session.server.get(&path).await?;
    let answer: Answer = serde_json::from_slice(&bytes).map_err(|e| ClientError::Answer {
        operation: path,
        reason: e.to_string(),
    })?;
    Ok(answer.dealings)
}

/// Uploads every dealing that is done; again after an interruption, it goes on.
pub async fn upload(
    session: &Session,
    listing: &Id,
    folder: &DealerFolder,
    progress: &dyn Progress,
) -> Result<(), ClientError> {
    let mut there: HashMap<Digest, Held> = HashMap::new();
    for h in held(session, listing).await? {
        there.insert(h.digest, h);
    }
    let dealt = folder.dealt();
    let mut wanted = Vec::new();
    for d in &dealt {
        let known = there.get(&d.digest);
        for party in 0..u8::try_from(d.quorum.len()).unwrap_or(u8::MAX) {
            for part in PARTS {
                let all = folder.pieces(&d.digest, party, part);
                let of = |h: &&HeldPart| h.party == party && h.part == part;
                let held = known.and_then(|h| h.parts.iter().find(of));
                let from = held.map_or(0, |h| h.pieces).min(all);
                wanted.push((d.digest, party, part, from, all));
            }
        }
    }
    let total: u64 = wanted.iter().map(|w| w.4).sum();
    let mut done: u64 = wanted.iter().map(|w| w.3).sum();
    for d in &dealt {
        if !there.get(&d.digest).is_some_and(|h| h.announced) {
            let path = format!("/v1/listings/{listing}/dealings/{}/announcement", d.digest);
            let bytes = folder.announcement(&d.digest)?;
            session.server.put(&path, bytes).await?;
        }
    }
    for (dealing, party, part, from, all) in wanted {
        for piece in from..all {
            let Some(bytes) = folder.piece(&dealing, party, part, piece)? else {
                break;
            };
            let path = format!("/v1/listings/{listing}/dealings/{dealing}/{party}/{part}/{piece}");
            session.server.put(&path, bytes).await?;
            done += 1;
            progress.step("tickets", done, total);
        }
    }
    Ok(())
}
