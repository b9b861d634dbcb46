//! A buyer's journey: look, quote, order, wait, open.
//!
//! What the server says is checked against the pinned marketplace key and
//! against the documents; the result key and the model never leave unsealed.

mod committee;
mod held;
mod joint;
mod order;
mod quote;
mod shape;
pub mod values;

pub use committee::{Handed, open_together, quorum_of, read};
pub use held::{Opened, Sealed, open};
pub use joint::{
    JointRefusal, JointTicket, Part, align, check_joint, pooled, prepare_joint, same_publics,
};
#[cfg(not(target_family = "wasm"))]
pub use order::wait;
pub use order::{Standing, Ticket, place, prepare, standing};
pub use quote::{ClassView, Offer, Wish, checked, class_named, classes, quote, quote_with};
pub use shape::check_opened;
#[cfg(test)]
pub(crate) use shape::tests::manifest as manifest_of_tests;

use crate::{
    ClientError,
    market::{Session, id, text},
};
use serde::Deserialize;
use serde_json::{Value, json};
use veilbourse_core::manifest::Manifest;
use veilbourse_documents::Id;

/// Most bytes of the note beside a synthetic twin (UP-2).
const MAX_TWIN_NOTE: u64 = 1 << 20;

/// A listing as the buyer needs it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: Id,
    /// Title.
    pub title: String,
    /// The dataset.
    pub manifest: Manifest,
    /// Columns that rule DS-7 suppressed, from the twin's note.
    pub suppressed: Vec<String>,
}

/// Fetches a listing and checks that it is the one asked for, with a manifest
/// of the root it names.
pub async fn listing(session: &Session, listing: &str) -> Result<Listed, ClientError> {
    let asked = Id::parse(listing).ok_or_else(|| {
        ClientError::refused("listing", format!("{listing:?} is no listing's id"))
    })?;
    let document = "query($id: String!) { listing(id: $id) { id title dataset manifest } }";
    let l = session
        .server
        .graphql("listing", document, json!({ "id": listing }))
        .await?;
    let mut listed = listed(&asked, &l)?;
    let note = session
        .server
        .get_within(
            &format!("/v1/listings/{listing}/objects/twin.json"),
            MAX_TWIN_NOTE,
        )
        .await;
    listed.suppressed = match note {
        Ok(bytes) => {
            let note: Value =
                serde_json::from_slice(&bytes).map_err(|e| ClientError::refused("twin", e))?;
            suppressed(&note)?
        }
        Err(e) if e.code() == Some("NOT_FOUND") => Vec::new(),
        Err(e) => return Err(e),
    };
    Ok(listed)
}

/// The names that a twin's note says were suppressed: none where it says nothing.
fn suppressed(note: &Value) -> Result<Vec<String>, ClientError> {
    match note.get("suppressed") {
        None => Ok(Vec::new()),
        Some(names) => Vec::deserialize(names).map_err(|e| ClientError::refused("twin", e)),
    }
}

/// A listing as the server answered, held to the id asked for.
fn listed(asked: &Id, l: &Value) -> Result<Listed, ClientError> {
    let id = id("listing", l, "id")?;
    if id != *asked {
        return Err(ClientError::refused(
            "listing",
            format!("the server answered with listing {id}, asked for was {asked}"),
        ));
    }
    let manifest: Manifest = serde_json::from_value(l["manifest"].clone())
        .map_err(|e| ClientError::refused("manifest", e))?;
    manifest
        .validate()
        .map_err(|e| ClientError::refused("manifest", e))?;
    if manifest.root().to_string() != text("listing", l, "dataset")? {
        return Err(ClientError::refused(
            "manifest",
            "has another root than the listing names",
        ));
    }
    Ok(Listed {
        id,
        title: text("listing", l, "title")?.to_owned(),
        manifest,
        suppressed: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shape::tests::manifest;
    use veilbourse_core::digest::Digest;

    const LISTING: &str = "01900000-0000-7000-8000-000000000001";
    const OTHER: &str = "01900000-0000-7000-8000-000000000002";

    fn parsed(id: &str) -> Id {
        Id::parse(id).expect("an id")
    }

    #[test]
    fn a_listing_is_the_one_asked_for() {
        let m = manifest();
        let answer = |id: &str, root: Digest| json!({ "id": id, "title": "t", "dataset": root, "manifest": m });
        let good = listed(&parsed(LISTING), &answer(LISTING, m.root())).expect("good");
        assert_eq!(good.manifest.root(), m.root());
        let e = listed(&parsed(LISTING), &answer(OTHER, m.root())).unwrap_err();
        let said = e.to_string();
        assert!(said.contains(LISTING) && said.contains(OTHER), "{said}");
        assert!(listed(&parsed(LISTING), &answer(LISTING, Digest([9; 32]))).is_err());
    }
}
