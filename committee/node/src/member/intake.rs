//! Dealings of the marketplace's listings (KEY-10): taken, checked with their
//! quorum, made usable, answered. Quorums side by side, the dealings of a quorum
//! one after the other.

use super::{
    Inner, MemberError,
    receive::{Terms, Took, Wrong, wrong},
    rendezvous::What,
    stores::Served,
};
use crate::node::NodeError;
use futures::{StreamExt, future::join_all, stream};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use veilbourse_core::{ciphertext::Glwe, digest::Digest, wire::Reader};
use veilbourse_documents::{
    DOCUMENT_VERSION, DealingAccepted, DealingRefused, Signed,
    api::{DealingAnswer, DealingJob, DealingJobs},
};
use veilbourse_peers::busy;
use veilbourse_quorum::COEFFICIENTS;
use veilbourse_ticket_store::{Dealing, QuorumSet, Stage};

/// Listings at once: a quorum that is not all there is waited for.
const LISTINGS: usize = 16;
/// Most dealings in a report.
const REPORTED: usize = 512;

impl Inner {
    /// One look at what is announced; dealings that are not all there yet wait
    /// for the next.
    pub(super) async fn dealings(&self) -> Result<(), MemberError> {
        let asked: Option<DealingJobs> = self.machine.post("/v1/node/dealings", &json!({})).await?;
        let listings = asked.map(|a| a.listings).unwrap_or_default();
        let each = stream::iter(listings).for_each_concurrent(LISTINGS, |listing| async {
            if let Err(e) = self.listing(listing).await {
                tracing::warn!(error = %e, "dealings of a listing");
            }
        });
        each.await;
        self.report().await
    }

    async fn listing(&self, job: DealingJob) -> Result<(), MemberError> {
        let DealingJob {
            manifest,
            policy,
            announced,
        } = job;
        let now = self.machine.now();
        let dataset = policy.body.dataset;
        let mut dealings = Vec::new();
        for bytes in &announced {
            let mut input = Reader::new(&bytes.0);
            let dealing = Dealing::decode(&mut input);
            match dealing {
                // One spelling: its digest is of these bytes.
                Ok(d) if input.finish("dealing").is_ok() => dealings.push(d),
                // No digest that could be answered.
                _ => tracing::warn!(%dataset, "an announcement is none"),
            }
        }
        let learnt = busy(|| self.node().learn_policy(&policy, now));
        match learnt {
            Ok(_) => {}
            Err(NodeError::Policy(refusal)) => {
                // Who must not deal here is told; what is old, or early, or the
                // marketplace's fault, is not the dealing's.
                let code = refusal.code();
                if matches!(code, "COMMITTEE" | "CUSTODIAN_KEY") {
                    for d in &dealings {
                        let why = wrong(code, &refusal);
                        self.answer(&dataset, &d.digest(), Some(why)).await?;
                    }
                }
                return Err(MemberError::Gate(refusal));
            }
            Err(e) => return Err(e.into()),
        }
        let root = busy(|| manifest.validate().map(|()| manifest.root()));
        if root.as_ref() != Ok(&dataset) {
            tracing::warn!(%dataset, "a manifest is not the dataset's");
            return Ok(());
        }
        let mut groups: BTreeMap<(QuorumSet, u32), Vec<Dealing>> = BTreeMap::new();
        for d in dealings {
            groups.entry((d.quorum, d.epoch)).or_default().push(d);
        }
        let terms = Terms { policy, manifest };
        let groups = groups.into_values().map(|mut group| {
            group.sort_by_key(|d| d.first);
            self.group(&terms, group)
        });
        for e in join_all(groups).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%dataset, error = %e, "dealings of a quorum");
        }
        Ok(())
    }

    /// The dealings of a quorum's epoch.
    async fn group(&self, terms: &Terms, group: Vec<Dealing>) -> Result<(), MemberError> {
        let dataset = terms.policy.body.dataset;
        let scope = crate::dealt_by(&dataset, &terms.policy.key);
        for dealing in &group {
            let digest = dealing.digest();
            let took = match self.take(terms, dealing).await? {
                Took::Here(Stage::Received) => self.checked(terms, &digest).await?,
                took => took,
            };
            match took {
                Took::Here(stage) => tracing::debug!(%digest, stage = stage.name(), "dealing"),
                // Those after it wait for the same members.
                Took::Later(why) => {
                    tracing::info!(%digest, why, "dealing");
                    break;
                }
                Took::Wrong(why) => {
                    self.give_up(&scope, &digest, &why).await?;
                    self.answer(&dataset, &digest, Some(why)).await?;
                }
            }
        }
        let (Some(served), Some(first)) = (self.stores.get(&scope), group.first()) else {
            return Ok(());
        };
        let (quorum, epoch) = (first.quorum, first.epoch);
        self.activate(terms, &served, quorum, epoch).await?;
        for dealing in &group {
            let digest = dealing.digest();
            let stage = served
                .keeper
                .read(|s| s.state().dealing(&digest).map(|d| d.stage));
            match stage {
                Some(Stage::Usable) => self.answer(&dataset, &digest, None).await?,
                Some(Stage::Refused) => {
                    let why = wrong("REFUSED", "was refused by this node");
                    self.answer(&dataset, &digest, Some(why)).await?;
                }
                Some(Stage::Destroyed) => {
                    let why = frozen(&served, quorum);
                    self.answer(&dataset, &digest, Some(why)).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What came of a dealing that is not what it must be is destroyed.
    async fn give_up(
        &self,
        scope: &Digest,
        digest: &Digest,
        why: &Wrong,
    ) -> Result<(), MemberError> {
        let Some(served) = self.stores.get(scope) else {
            return Ok(());
        };
        let keeper = &served.keeper;
        let stage = keeper.read(|s| s.state().dealing(digest).map(|d| d.stage));
        match stage {
            Some(Stage::Receiving | Stage::Received) => {
                Ok(keeper.refuse(digest, &why.reason).await?)
            }
            _ => Ok(()),
        }
    }

    /// TKT-4, with the whole quorum.
    async fn checked(&self, terms: &Terms, dealing: &Digest) -> Result<Took, MemberError> {
        let scope = crate::dealt_by(&terms.policy.body.dataset, &terms.policy.key);
        let Some(served) = self.stores.get(&scope) else {
            return Err(MemberError::NoStore { scope });
        };
        let keeper = &served.keeper;
        let quorum = keeper.read(|s| s.state().dealing(dealing).map(|d| d.dealing.quorum));
        let Some(quorum) = quorum else {
            return Ok(Took::Later("not there".into()));
        };
        let members = quorum.members();
        self.greet_all(&served).await;
        let met = match self.meet(What::Check, &scope, &members, dealing).await {
            Ok(met) => met,
            Err(e @ MemberError::Absent { .. }) => return Ok(Took::Later(e.to_string())),
            Err(e) => return Err(e),
        };
        let entropy = self.entropy();
        let checked = keeper
            .check(&self.endpoint, dealing, met.trial, entropy)
            .await;
        drop(met);
        let stage = keeper.read(|s| s.state().dealing(dealing).map(|d| d.stage));
        Ok(match (checked, stage) {
            (Err(e), Some(Stage::Refused)) => Took::Wrong(wrong("CHECK", e)),
            (Err(e), Some(Stage::Destroyed)) => Took::Wrong(wrong("FROZEN", e)),
            (Err(e), _) => Took::Later(e.to_string()),
            (Ok(()), stage) => Took::Here(stage.unwrap_or(Stage::Verified)),
        })
    }

    /// Makes the verified dealings of an epoch usable, when its public key is
    /// checked and so is the dealing that carries the key's shares (CST-9).
    async fn activate(
        &self,
        terms: &Terms,
        served: &Served,
        quorum: QuorumSet,
        epoch: u32,
    ) -> Result<(), MemberError> {
        let of = |stages: &[Stage]| {
            served.keeper.read(|s| {
                let all = s.state().dealings();
                let of =
                    all.filter(|(_, d)| d.dealing.quorum == quorum && d.dealing.epoch == epoch);
                let of = of.filter(|(_, d)| stages.contains(&d.stage));
                let mut of: Vec<_> = of.map(|(digest, d)| (*digest, d.dealing.clone())).collect();
                of.sort_by_key(|(_, d)| d.first);
                of
            })
        };
        let verified = of(&[Stage::Verified]);
        if verified.is_empty() {
            return Ok(());
        }
        let alive = of(&[Stage::Verified, Stage::Usable]);
        if !alive.iter().any(|(_, d)| d.with_key) {
            tracing::info!(epoch, "the key's dealing is not there yet");
            return Ok(());
        }
        let checked = served
            .keeper
            .read(|s| s.state().key_checked(quorum, epoch).is_some());
        if !checked {
            self.check_key(terms, served, &alive).await?;
        }
        let digests: Vec<Digest> = verified.iter().map(|(d, _)| *d).collect();
        self.forgo_replaced(served, quorum, epoch)?;
        Ok(served.keeper.activate(&digests, &[]).await?)
    }

    /// TKT-4's check of the public key, under the first dealing of the epoch
    /// that the policy lists without noise: the same at every member.
    async fn check_key(
        &self,
        terms: &Terms,
        served: &Served,
        alive: &[(Digest, Dealing)],
    ) -> Result<(), MemberError> {
        let fits = |d: &Dealing| !d.class.noisy() && d.count >= COEFFICIENTS as u64;
        let Some((digest, dealing)) = alive.iter().find(|(_, d)| fits(d)) else {
            tracing::info!("no tickets without noise to check the public key with");
            return Ok(());
        };
        let key = self.public_key(digest, &terms.manifest).await?;
        let key = busy(|| Glwe {
            a: key.mask(),
            b: key.body.clone(),
        });
        let members = dealing.quorum.members();
        let met = self
            .meet(What::Key, &served.scope, &members, digest)
            .await?;
        let entropy = self.entropy();
        let keeper = &served.keeper;
        Ok(keeper
            .key_check(&self.endpoint, digest, &key, met.trial, entropy)
            .await?)
    }

    /// Says what this node thinks of a dealing.
    async fn answer(
        &self,
        dataset: &Digest,
        dealing: &Digest,
        why: Option<Wrong>,
    ) -> Result<(), MemberError> {
        let (version, marketplace) = (DOCUMENT_VERSION, self.machine.marketplace());
        let (dataset, dealing) = (*dataset, *dealing);
        let answer = match why {
            None => {
                let body = DealingAccepted {
                    version,
                    marketplace,
                    dataset,
                    dealing,
                };
                DealingAnswer::Accepted(Signed::sign(body, &self.signing)?)
            }
            Some(Wrong { code, mut reason }) => {
                reason.truncate(reason.floor_char_boundary(2000));
                tracing::warn!(%dealing, code, reason, "dealing refused");
                let body = DealingRefused {
                    version,
                    marketplace,
                    dataset,
                    dealing,
                    code: code.into(),
                    reason,
                };
                DealingAnswer::Refused(Signed::sign(body, &self.signing)?)
            }
        };
        let path = format!("/v1/node/dealings/{dealing}");
        let _: Option<Value> = self.machine.post(&path, &answer).await?;
        Ok(())
    }

    /// How far this node has spent; and which dealings are no more, since their
    /// quorum is frozen.
    pub(super) async fn report(&self) -> Result<(), MemberError> {
        let mut tickets = Vec::new();
        for served in self.stores.all() {
            let counts = served.keeper.counts();
            for c in &counts {
                let digest = c.dealing;
                if c.stage == Stage::Usable {
                    let next = served.keeper.read(|s| s.next_ticket(&digest).ok());
                    let next = next.map(|n| n.to_string());
                    tickets.push(json!({ "dealing": digest, "next": next.unwrap_or_default() }));
                } else if c.stage == Stage::Destroyed
                    && served.keeper.read(|s| s.state().frozen(c.quorum).is_some())
                    && self.first_time(&digest)
                {
                    let why = frozen(&served, c.quorum);
                    self.answer(&served.dataset, &digest, Some(why)).await?;
                }
            }
        }
        for some in tickets.chunks(REPORTED) {
            let body = json!({ "tickets": some });
            let _: Option<Value> = self.machine.post("/v1/node/tickets", &body).await?;
        }
        Ok(())
    }
}

fn frozen(served: &Served, quorum: QuorumSet) -> Wrong {
    let why = served
        .keeper
        .read(|s| s.state().frozen(quorum).map(str::to_owned));
    let why = why.unwrap_or_else(|| "its epoch was replaced".into());
    wrong("FROZEN", why)
}
