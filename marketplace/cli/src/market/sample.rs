//! The sample listing: the RAND table, listed as a custodian lists it, so that
//! whoever comes as a buyer finds something. Every step is looked at before it is
//! done, so that an interrupted one is gone on with.

use super::Market;
use crate::{
    custodian::{Opening, PolicyFile, encrypt_to},
    demo::{custody, table::RAND_TABLE},
    files::{public, signing_key},
    progress::Bars,
};
use anyhow::{Context, Result};
use serde_json::json;
use std::{collections::BTreeSet, io::Cursor};
use veilbourse_client::{
    dataset::{self, DatasetFolder},
    dealing::{self, Asked, DealerFolder, exact},
    market::{self, Decide, Session},
};
use veilbourse_documents::{CommitteeFile, Id, QueryKind, Signed, SigningKey};
use veilbourse_tabular::{SchemaConfig, build};

const SCHEMA: &str = include_str!("sample.toml");
const TITLE: &str = "RAND Health Insurance Experiment";
const DESCRIPTION: &str = "Outpatient visits of 20,190 person-years by insurance plan, health and income: the experiment of 1974 to 1982 that showed what cost sharing does. Public domain; here encrypted as an example.";
/// Opening tickets a quorum.
const TICKETS: u64 = 4_096;

/// The custodian at work.
struct Custodian {
    session: Session,
    key: SigningKey,
    folder: DatasetFolder,
    k_min: u64,
}

/// What the policy says: aggregates alone, and of rows nothing.
fn terms(k_min: u64) -> PolicyFile {
    PolicyFile {
        node_key: None,
        kinds: vec![QueryKind::AggregatePublic, QueryKind::AggregatePrivate],
        min_cohort: k_min.max(10),
        quota_values: 10_000,
        quota_bits: 630_000,
        price_order: 2_500,
        price_output: 50,
        custodian_basis_points: 7_500,
        version: 1,
    }
}

impl Market {
    /// Lists the sample, or goes on listing it.
    pub(super) async fn sample(&self, committee: &CommitteeFile) -> Result<()> {
        let bars = Bars::new(self.tell.json);
        let custodian = self.custodian(&bars).await?;
        let session = &custodian.session;
        let listing = dataset::draft(session, &custodian.folder, TITLE, DESCRIPTION).await?;
        let mut state = state(session, &listing).await?;
        if state == "draft" {
            self.hand_in(&custodian, &listing, committee, &bars).await?;
            state = "submitted".into();
        }
        if state == "submitted" {
            let id = listing.as_str();
            let reason = "the sample of this market";
            market::decide(&self.admin().await?, Decide::Listing, id, true, reason).await?;
            custody::accepted(session, &listing, &bars).await?;
            state = "published".into();
        }
        self.tell.say(format_args!(
            "sample listing {}/listings/{listing}: {state}",
            self.url
        ));
        Ok(())
    }

    /// Account, signing key and encrypted table.
    async fn custodian(&self, bars: &Bars) -> Result<Custodian> {
        let session = self
            .passwords
            .custodian
            .account(&self.app, &self.server, "RAND archive", "CUSTODIAN")
            .await?;
        let dir = self.folder.file("sample");
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let key = signing_key(&dir.join("custodian.key"), &mut crate::rng(None))?;
        if !self.knows(&session, &key).await? {
            market::register_key(&session, &self.key, &key).await?;
        }
        let config = SchemaConfig::from_toml(SCHEMA)?;
        let (path, k_min) = (dir.join("dataset"), config.suppression.k_min);
        let folder = if path.join("manifest.json").exists() {
            DatasetFolder::open(&path)?
        } else {
            // The manifest comes last: what is without one is half of a folder.
            match std::fs::remove_dir_all(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(e).with_context(|| path.display().to_string());
                }
                _ => {}
            }
            tokio::task::block_in_place(|| -> Result<DatasetFolder> {
                let built = build(Cursor::new(RAND_TABLE), &config)?;
                Ok(encrypt_to(&built, k_min, &path, bars)?.0)
            })?
        };
        Ok(Custodian {
            session,
            key,
            folder,
            k_min,
        })
    }

    async fn knows(&self, session: &Session, key: &SigningKey) -> Result<bool> {
        let document = "{ me { signingKeys { key revokedAt } } }";
        let me = session.server.graphql("me", document, json!({})).await?;
        let wanted = public(key).to_string();
        let keys = me["signingKeys"].as_array();
        Ok(keys
            .into_iter()
            .flatten()
            .any(|k| k["key"] == wanted.as_str() && k["revokedAt"].is_null()))
    }

    /// Deals, uploads, signs, submits.
    async fn hand_in(
        &self,
        custodian: &Custodian,
        listing: &Id,
        committee: &CommitteeFile,
        bars: &Bars,
    ) -> Result<()> {
        let (session, folder) = (&custodian.session, &custodian.folder);
        let dealer = tokio::task::block_in_place(|| deal(custodian, committee, bars))?;
        dataset::upload(&session.server, listing, folder, bars).await?;
        dealing::upload(session, listing, &dealer, bars).await?;
        let opening = Opening::committee(committee, &dealer, None)?;
        let now = (self.clock)();
        let root = folder.manifest.root();
        let body = terms(custodian.k_min).body(&self.key, listing, root, opening, now);
        dataset::submit(session, listing, &Signed::sign(body, &custodian.key)?).await?;
        Ok(())
    }
}

fn deal(custodian: &Custodian, committee: &CommitteeFile, bars: &Bars) -> Result<DealerFolder> {
    let mut rng = crate::rng(None);
    let folder = &custodian.folder;
    let k = u8::try_from(folder.manifest.message_log2).context("k")?;
    let mut dealer = DealerFolder::open(folder, &mut rng)?;
    if dealer.plan().dealings.is_empty() {
        let asked = [Asked {
            class: exact("exact", k),
            tickets: TICKETS,
        }];
        dealer.add(committee, &asked, &BTreeSet::new(), None)?;
    }
    let (secret, by) = (folder.secret()?, public(&custodian.key));
    dealing::deal(&mut dealer, &secret, &by, committee, &mut rng, bars)?;
    Ok(dealer)
}

async fn state(session: &Session, listing: &Id) -> Result<String> {
    let document = "query($id: String!) { listing(id: $id) { state } }";
    let variables = json!({ "id": listing });
    let found = session
        .server
        .graphql("listing", document, variables)
        .await?;
    let state = found["state"].as_str().context("listing: state")?;
    Ok(state.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_table_that_can_be_regressed_on() {
        let config = SchemaConfig::from_toml(SCHEMA).expect("a schema");
        let built = build(Cursor::new(RAND_TABLE), &config).expect("a table");
        assert_eq!(built.segments.iter().map(|s| s.rows).sum::<u64>(), 20_190);
        let has = |name: &str| built.columns.iter().any(|c| c.name == name);
        for wanted in ["mdvis", "mdvis^2", "lncoins*fmde", "hlthp", "mdvis*hlthp"] {
            assert!(has(wanted), "{wanted}");
        }
        let largest = super::super::CIRCUITS.iter().map(|c| c.1).max();
        assert!(
            built.columns.len() <= largest.unwrap_or(0),
            "{}",
            built.columns.len()
        );
        // Per-row release is off by default.
        assert_eq!(terms(10).kinds.len(), 2);
    }
}
