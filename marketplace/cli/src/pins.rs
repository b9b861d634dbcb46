//! The marketplace's key as it was first seen, or as it was told: what a server
//! shows later is held to it.

use crate::{args::PinArgs, files};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use veilbourse_client::{http::Server, market};
use veilbourse_documents::Key;

/// What to do with the key that a server shows.
#[derive(Debug, PartialEq, Eq)]
enum Held {
    /// It is the pinned one.
    Known,
    /// It is to be pinned.
    New,
}

fn held(
    found: &Key,
    told: Option<&Key>,
    pinned: Option<&Key>,
    first: bool,
    place: &str,
) -> Result<Held> {
    if let Some(known) = pinned.filter(|k| *k != found) {
        bail!(
            "the marketplace key has changed: {place} holds {known}, the server now shows {found}. \
             Nothing was signed. Ask the operator, by another way than this server, which one is \
             right; if it is the new one, take the server's line out of the file and give \
             --marketplace {found}"
        );
    }
    if let Some(told) = told.filter(|k| *k != found) {
        bail!(
            "the marketplace key is another one: --marketplace says {told}, the server shows \
             {found}. Nothing was signed. Ask the operator which one is right"
        );
    }
    match (pinned, told, first) {
        (Some(_), ..) => Ok(Held::Known),
        (None, Some(_), _) | (None, None, true) => Ok(Held::New),
        (None, None, false) => bail!(
            "{place} holds no marketplace key for this server (it shows {found}): go where \
             `register` wrote it, name the file by --pins, or give --marketplace KEY with the key \
             that the operator told you"
        ),
    }
}

/// The marketplace's key, checked; `first` where it may be trusted at first
/// sight: at registration.
pub async fn marketplace(server: &Server, args: &PinArgs, first: bool) -> Result<Key> {
    let found = market::marketplace_key(server).await?;
    let mut pins: BTreeMap<String, Key> = if args.pins.exists() {
        files::read_json(&args.pins)?
    } else {
        BTreeMap::new()
    };
    let place = args.pins.display().to_string();
    let known = pins.get(server.base());
    match held(&found, args.marketplace.as_ref(), known, first, &place)? {
        Held::Known => {}
        Held::New => {
            pins.insert(server.base().to_owned(), found);
            files::replace(&args.pins, &serde_json::to_string_pretty(&pins)?)
                .context("pinning the marketplace key")?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_key_does_not_change() {
        let (a, b) = (Key([1; 32]), Key([2; 32]));
        let ask =
            |told, pinned, first| held(&a, told, pinned, first, "pins").map_err(|e| e.to_string());
        // First sight at registration, or told; then it is known.
        assert_eq!(ask(None, None, true), Ok(Held::New));
        assert_eq!(ask(Some(&a), None, false), Ok(Held::New));
        assert_eq!(ask(None, Some(&a), false), Ok(Held::Known));
        assert_eq!(ask(Some(&a), Some(&a), true), Ok(Held::Known));
        // Later, nothing is trusted at first sight.
        assert!(
            ask(None, None, false)
                .unwrap_err()
                .contains("--marketplace")
        );
        for (told, pinned) in [
            (None, Some(&b)),
            (Some(&a), Some(&b)),
            (Some(&b), Some(&a)),
            (Some(&b), None),
        ] {
            for first in [true, false] {
                let e = ask(told, pinned, first).unwrap_err();
                assert!(
                    e.contains(&a.to_string()) && e.contains(&b.to_string()),
                    "{e}"
                );
                assert!(e.contains("operator"), "{e}");
            }
        }
    }
}
