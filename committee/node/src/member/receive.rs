//! One dealing from the marketplace to the ticket store (KEY-10, DOC-14): its
//! announcement against the policy, its pieces one after the other, each opened
//! with this node's sealing key, on disk as they come.

use super::{Inner, MemberError, stores};
use crate::terms::same_terms;
use std::sync::Arc;
use veilbourse_core::{ciphertext::PublicKey, digest::Digest, manifest::Manifest};
use veilbourse_documents::{
    Key, PIECE_BYTES, PIECE_OVERHEAD, PieceContext, Policy, Signed, open_piece,
};
use veilbourse_machine::MachineError;
use veilbourse_peers::busy;
use veilbourse_quorum::QuorumError;
use veilbourse_ticket_store::{Dealing, Offer, Stage, StoreError, Stream};
use zeroize::Zeroizing;

/// Most often that a stream is asked for again when it is not the announced one.
const RESENT: u32 = 1;

/// Why a dealing is not what it must be: a stable code, and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) code: &'static str,
    pub(super) reason: String,
}

pub(super) fn wrong(code: &'static str, reason: impl ToString) -> Wrong {
    let reason = reason.to_string();
    Wrong { code, reason }
}

/// Where a dealing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Took {
    /// In the store: this stage.
    Here(Stage),
    /// Not all is there yet, or could not be had: asked for again.
    Later(String),
    /// Never.
    Wrong(Wrong),
}

/// What a dealing comes with.
pub(super) struct Terms {
    pub(super) policy: Signed<Policy>,
    pub(super) manifest: Manifest,
}

/// Whose pieces: those of one party of a dealing, sealed by who deals it (KEY-9).
struct Pieces<'a> {
    dealing: &'a Digest,
    dealer: &'a Key,
    party: u8,
}

impl Inner {
    /// What can be told before anything is fetched: the policy lists this very
    /// dealing, it is of this dataset, for these members.
    pub(super) fn announced(&self, terms: &Terms, dealing: &Dealing) -> Result<u8, Wrong> {
        let policy = &terms.policy.body;
        let digest = dealing.digest();
        let tickets = policy.tickets.as_ref();
        let listed = tickets.and_then(|t| t.dealing(&digest));
        let listed = listed.ok_or_else(|| wrong("POLICY", "is not in the policy"))?;
        same_terms(listed, dealing).map_err(|e| wrong("POLICY", e))?;
        if dealing.dataset != policy.dataset {
            let (found, expected) = (dealing.dataset, policy.dataset);
            return Err(wrong(
                "DATASET",
                format!("is of dataset {found}, not {expected}"),
            ));
        }
        let (found, expected) = (dealing.class.k(), terms.manifest.message_log2);
        if u32::from(found) != expected {
            return Err(wrong(
                "CLASS",
                format!("k is {found}, the dataset has {expected}"),
            ));
        }
        let members = dealing.quorum.members();
        let keys = policy.openers.quorum(&members);
        let keys = keys.ok_or_else(|| wrong("COMMITTEE", format!("{members:?} is no quorum")))?;
        if !dealing.parties.iter().eq(keys.iter().map(|k| &k.0)) {
            return Err(wrong("COMMITTEE", "its parties' keys are not the members'"));
        }
        let party = dealing.quorum.party_of(self.endpoint.number());
        party.ok_or_else(|| wrong("COMMITTEE", format!("{members:?} is without this node")))
    }

    /// Takes what is there of a dealing.
    pub(super) async fn take(&self, terms: &Terms, dealing: &Dealing) -> Result<Took, MemberError> {
        let digest = dealing.digest();
        let party = match self.announced(terms, dealing) {
            Ok(party) => party,
            Err(w) => return Ok(Took::Wrong(w)),
        };
        let custodian = terms.policy.key;
        let scope = crate::dealt_by(&dealing.dataset, &custodian);
        if let Some(served) = self.stores.get(&scope) {
            let stage = served
                .keeper
                .read(|s| s.state().dealing(&digest).map(|d| d.stage));
            if let Some(stage) = stage.filter(|s| *s != Stage::Receiving) {
                return Ok(Took::Here(stage));
            }
        }
        let of = Pieces {
            dealing: &digest,
            dealer: &custodian,
            party,
        };
        let bytes = match self.piece(&of, "offer", 0).await? {
            Ok(bytes) => bytes,
            Err(took) => return Ok(took),
        };
        let offer = match Offer::decode(&bytes) {
            Ok(offer) => offer,
            Err(e) => return Ok(Took::Wrong(wrong("OFFER", e))),
        };
        let size = stores::size(dealing, party, offer.package.proof_bytes);
        let held = self.stores.bytes_of(&custodian, &digest);
        let (value, limit) = (held.saturating_add(size), self.config.dealing_bytes);
        if value > limit {
            let reason = format!("{value} bytes with it; the limit of a custodian is {limit}");
            return Ok(Took::Wrong(wrong("DISK", reason)));
        }
        let served = busy(|| self.stores.of(&self.node, &dealing.dataset, &custodian))?;
        let keeper = &served.keeper;
        if let Err(e) = keeper.begin(dealing, &offer) {
            return refused(e);
        }
        for stream in Stream::ALL {
            loop {
                let (offset, total) = keeper.received(&digest, stream)?;
                if offset >= total {
                    break;
                }
                let bytes = match self.piece(&of, stream.suffix(), offset).await? {
                    Ok(bytes) => bytes,
                    Err(took) => return Ok(took),
                };
                let (found, expected) =
                    (bytes.len() as u64, (total - offset).min(PIECE_BYTES as u64));
                if found != expected {
                    let part = stream.suffix();
                    let reason = format!("{part} at {offset}: {found} bytes, expected {expected}");
                    return Ok(Took::Wrong(wrong("PIECE", reason)));
                }
                keeper.put(&digest, stream, offset, &bytes)?;
            }
        }
        match keeper.finish(&digest) {
            Ok(()) => Ok(Took::Here(Stage::Received)),
            Err(e @ QuorumError::Store(StoreError::StreamDigest { .. })) => {
                let times = {
                    let mut resent = super::lock(&self.resent);
                    let times = resent.entry(digest).or_default();
                    *times += 1;
                    *times
                };
                if times <= RESENT {
                    return Ok(Took::Later(e.to_string()));
                }
                Ok(Took::Wrong(wrong("STREAM", e)))
            }
            Err(e @ QuorumError::Store(StoreError::Root { .. })) => {
                Ok(Took::Wrong(wrong("ROOT", e)))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// A piece, opened; or why there is none.
    async fn piece(
        &self,
        of: &Pieces<'_>,
        part: &str,
        offset: u64,
    ) -> Result<Result<Zeroizing<Vec<u8>>, Took>, MemberError> {
        let Pieces {
            dealing,
            dealer,
            party,
        } = *of;
        let number = offset / PIECE_BYTES as u64;
        let path = format!("/v1/node/dealings/{dealing}/{part}/{number}");
        let limit = (PIECE_BYTES + PIECE_OVERHEAD) as u64;
        let sealed = match self.machine.get(&path, limit).await {
            Ok(bytes) => bytes,
            Err(e) if e.code() == Some("NOT_FOUND") => {
                return Ok(Err(Took::Later(format!(
                    "{part}, piece {number}, is not there yet"
                ))));
            }
            Err(MachineError::TooLarge { limit, .. }) => {
                let reason = format!("{part}, piece {number}: more than {limit} bytes");
                return Ok(Err(Took::Wrong(wrong("PIECE", reason))));
            }
            Err(e) => return Err(e.into()),
        };
        let context = PieceContext {
            dealing,
            dealer,
            party,
            part,
            offset,
        };
        let opened = busy(|| open_piece(&sealed, &self.sealing, &context));
        Ok(opened.map_err(|e| {
            let reason = format!("{part}, piece {number}: {e}");
            Took::Wrong(wrong("PIECE", reason))
        }))
    }

    /// The dataset's public key: the manifest's.
    pub(super) async fn public_key(
        &self,
        dealing: &Digest,
        manifest: &Manifest,
    ) -> Result<Arc<PublicKey>, MemberError> {
        let path = format!("/v1/node/dealings/{dealing}/public-key/0");
        let bytes = self.machine.get(&path, PublicKey::ENCODED_LEN).await?;
        let key = crate::admitted::public_key(manifest, &bytes).map_err(MemberError::Gate)?;
        Ok(Arc::new(key))
    }
}

/// A dealing that the store does not take, or a store that takes nothing.
fn refused(e: QuorumError) -> Result<Took, MemberError> {
    let code = match &e {
        QuorumError::Store(StoreError::Foreign { .. }) => "FOREIGN",
        QuorumError::Store(StoreError::Seed { .. }) => "SEED",
        QuorumError::Store(StoreError::Numbers { .. }) => "NUMBERS",
        QuorumError::Store(StoreError::Limit { .. }) => "LIMIT",
        QuorumError::Store(StoreError::Destroyed { .. }) => "DESTROYED",
        QuorumError::Store(StoreError::Retired) => "RETIRED",
        QuorumError::Store(StoreError::RolledBack { .. }) => "RESTORED",
        _ => return Err(e.into()),
    };
    Ok(Took::Wrong(wrong(code, e)))
}
