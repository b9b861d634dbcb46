//! Who opens and under which terms: dealing tickets, signing the policy, handing it
//! in (TKT, DOC-3, DOC-12, DOC-14).

use crate::{
    Core, CoreError, Reply,
    drafts::{Draft, Named},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use veilbourse_client::{
    buyer, dataset,
    dealing::{self, Asked, ClassAsk, DELTA, DealerFolder, decimal},
    http::Progress,
};
use veilbourse_documents::{
    CommitteeFile, DOCUMENT_VERSION, EvaluationClass, Key, Openers, Policy, QueryKind, Signed,
    marketplace_id,
};
use veilbourse_privacy::{Rho, Sensitivity, conversion};
use veilbourse_protocol::Committee;

/// What a marketplace of default settings leaves to the custodian.
const CUSTODIAN_PART: u32 = 7_500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckCommittee {
    file: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preview {
    id: String,
    classes: Vec<ClassAsk>,
    quorums: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deal {
    id: String,
    committee: Value,
    #[serde(default)]
    classes: Vec<ClassAsk>,
    #[serde(default)]
    more: bool,
    #[serde(default)]
    anew: Vec<Vec<u8>>,
    #[serde(default)]
    quorums: Vec<Vec<u8>>,
    /// Whether this call may plan: the first of a series.
    #[serde(default)]
    first: bool,
}

/// Whole numbers as JSON numbers or as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Whole {
    Number(u64),
    Text(String),
}

impl Whole {
    fn value(&self, field: &str) -> Result<u64, CoreError> {
        match self {
            Self::Number(n) => Ok(*n),
            Self::Text(text) => text
                .parse()
                .map_err(|_| CoreError::input(field, "expected a whole number").value(text)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Terms {
    kinds: Vec<QueryKind>,
    min_cohort: u64,
    quota_values: Whole,
    quota_bits: Whole,
    price_order: Whole,
    price_output: Whole,
    custodian_basis_points: Option<u32>,
    version: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WhoOpens {
    committee: Option<Value>,
    rho_limit: Option<String>,
    custodian_held: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignPolicy {
    id: String,
    policy: Terms,
    openers: WhoOpens,
}

/// A committee's file, as an object or as its text.
fn committee(value: &Value) -> Result<CommitteeFile, CoreError> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    CommitteeFile::parse(text.as_bytes())
        .map_err(|e| CoreError::new("COMMITTEE", e).field("committee"))
}

pub(crate) fn check_committee(a: CheckCommittee) -> Result<Reply, CoreError> {
    let file = committee(&a.file)?;
    let nodes = u8::try_from(file.nodes.len()).unwrap_or(u8::MAX);
    let of = Committee::new(nodes, file.threshold).map_err(|e| CoreError::new("COMMITTEE", e))?;
    let quorums: Vec<Vec<u8>> = of.quorums().iter().map(|q| q.members().to_vec()).collect();
    let named: Vec<Value> = file
        .nodes
        .iter()
        .map(|n| json!({ "name": n.name, "key": n.signing_key }))
        .collect();
    Ok(
        json!({ "threshold": file.threshold, "nodes": named, "quorums": quorums,
        "marketplace": file.marketplace })
        .into(),
    )
}

fn money(field: &str, said: &Whole) -> Result<i64, CoreError> {
    let value = said.value(field)?;
    i64::try_from(value).map_err(|_| CoreError::input(field, "too much").limit(i64::MAX, value))
}

impl Core {
    /// What classes cost, before anything is dealt (PRV-9, PRV-11).
    pub(crate) fn preview_classes(&mut self, a: &Preview) -> Result<Reply, CoreError> {
        let draft = self.draft(&a.id)?;
        let mut out = Vec::new();
        for ask in &a.classes {
            let asked = ask.asked(&draft.folder.manifest)?;
            let cost = asked.cost(a.quorums);
            let noisy = asked.class.class().is_ok_and(|c| c.noisy());
            let text = law(&asked);
            let zero = || json!(0.0);
            let of = cost.as_ref().filter(|_| noisy);
            out.push(json!({
                "name": asked.class.name,
                "tickets": asked.tickets,
                "noisy": noisy,
                "sensitivity": asked.class.sensitivity.to_string(),
                "deviation": of.map_or_else(zero, |c| json!(c.deviation)),
                "within95": of.map_or(0, |c| c.within_95).to_string(),
                "rhoPerTicket": of.map_or_else(zero, |c| json!(c.rho_each)),
                "rho": of.map_or_else(zero, |c| json!(c.rho)),
                "epsilon": of.and_then(|c| c.epsilon),
                "delta": DELTA,
                "text": text,
            }));
        }
        Ok(Value::Array(out).into())
    }

    /// Deals the next of what is planned; the first call of a series plans, where
    /// nothing is unfinished. `left` says whether to call again.
    pub(crate) fn deal_step(
        &mut self,
        a: Deal,
        progress: &dyn Progress,
    ) -> Result<Reply, CoreError> {
        let draft = self.draft(&a.id)?;
        let file = committee(&a.committee)?;
        let by = self.own_key()?.key;
        let mut dealer = DealerFolder::open(&draft.folder, &mut self.rng)?;
        let unfinished = dealer.plan().unfinished() > 0;
        let before = !dealer.plan().dealings.is_empty();
        if a.first && !unfinished && (!before || a.more || !a.anew.is_empty()) {
            let plain = [ClassAsk {
                name: "exact".into(),
                ..ClassAsk::default()
            }];
            let classes = match a.classes.as_slice() {
                [] => &plain[..],
                said => said,
            };
            let asked: Vec<Asked> = classes
                .iter()
                .map(|c| c.asked(&draft.folder.manifest))
                .collect::<Result<_, _>>()?;
            let anew: BTreeSet<Vec<u8>> = a.anew.into_iter().collect();
            let mut only: BTreeSet<Vec<u8>> = a.quorums.into_iter().collect();
            if only.is_empty() && !a.more {
                only.clone_from(&anew);
            }
            let only = (!only.is_empty()).then_some(&only);
            dealer.add(&file, &asked, &anew, only)?;
        }
        let secret = draft.folder.secret()?;
        let more = dealing::deal_next(&mut dealer, &secret, &by, &file, &mut self.rng, progress)?;
        let left = more && dealer.plan().unfinished() > 0;
        self.remember(&draft)?;
        let mut said = dealings(&draft, &dealer)?;
        said["left"] = json!(left);
        said["listed"] = json!(draft.state.listing.is_some());
        Ok(said.into())
    }

    /// DOC-14: everything dealt, from where the server has it.
    pub(crate) async fn upload_tickets(
        &mut self,
        a: &Named,
        progress: &dyn Progress,
    ) -> Result<Reply, CoreError> {
        let mut draft = self.draft(&a.id)?;
        let (listing, account) = draft.listing()?;
        let dealer = DealerFolder::open(&draft.folder, &mut self.rng)?;
        let session = self.session(Some(&account))?;
        dealing::upload(&session, &listing, &dealer, progress).await?;
        let all = dealer.dealt();
        draft.state.tickets = all.iter().map(|d| d.digest.to_string()).collect();
        draft.save()?;
        Ok(dealings(&draft, &dealer)?.into())
    }

    /// DOC-3, DOC-12: the policy of the draft's own dataset, signed under the pinned
    /// marketplace; kept for `submit`.
    pub(crate) async fn sign_policy(&mut self, a: SignPolicy) -> Result<Reply, CoreError> {
        let mut draft = self.draft(&a.id)?;
        let (listing, _) = draft.listing()?;
        let marketplace = self.pinned(false).await?;
        let (openers, tickets) = match (&a.openers.committee, &a.openers.custodian_held) {
            (Some(file), None) => {
                let file = committee(file)?;
                if file.marketplace != marketplace_id(&marketplace) {
                    return Err(CoreError::new(
                        "COMMITTEE",
                        "the committee serves another marketplace; nothing was signed",
                    )
                    .field("committee")
                    .limit(marketplace_id(&marketplace), file.marketplace));
                }
                if !DealerFolder::exists(&draft.folder) {
                    return Err(CoreError::new(
                        "DRAFT_STATE",
                        "no tickets were dealt to the committee",
                    )
                    .field("deal"));
                }
                let dealer = DealerFolder::open(&draft.folder, &mut self.rng)?;
                let limit = a.openers.rho_limit.as_deref().map(rho).transpose()?;
                (file.openers(), Some(dealer.tickets(limit)?))
            }
            (None, Some(key)) => {
                let node_key = Key::from_hex(key).ok_or_else(|| {
                    CoreError::input("openers.custodianHeld", "expected 64 hex digits")
                })?;
                (Openers::CustodianHeld { node_key }, None)
            }
            _ => {
                return Err(CoreError::input(
                    "openers",
                    "give either committee or custodianHeld",
                ));
            }
        };
        let t = &a.policy;
        let mut kinds = t.kinds.clone();
        kinds.sort_unstable();
        kinds.dedup();
        let newest = draft.state.policy.as_ref();
        let next = newest.map_or(1, |p| p.body.policy_version.saturating_add(1));
        // Signed again before it was handed in: the same version.
        let next = match draft.state.submitted {
            false => newest.map_or(1, |p| p.body.policy_version),
            true => next,
        };
        let body = Policy {
            version: DOCUMENT_VERSION,
            marketplace: marketplace_id(&marketplace),
            listing,
            dataset: draft.folder.manifest.root(),
            policy_version: t.version.unwrap_or(next),
            openers,
            tickets,
            kinds,
            min_cohort: t.min_cohort,
            quota_values: t.quota_values.value("policy.quotaValues")?,
            quota_bits: t.quota_bits.value("policy.quotaBits")?,
            price_order: money("policy.priceOrder", &t.price_order)?,
            price_output: money("policy.priceOutput", &t.price_output)?,
            custodian_basis_points: t.custodian_basis_points.unwrap_or(CUSTODIAN_PART),
            min_class: EvaluationClass::Proven,
            valid_from: self.environment.now(),
        };
        let key = self.own_signing()?;
        let policy = Signed::sign(body, &key)?;
        let digest = policy.digest()?;
        let version = policy.body.policy_version;
        let said = serde_json::to_value(&policy).map_err(|e| CoreError::new("INTERNAL", e))?;
        draft.state.policy = Some(policy);
        draft.save()?;
        Ok(json!({ "policy": said, "digest": digest, "version": version }).into())
    }

    /// UP-3: hands in what was signed; the server verifies everything.
    pub(crate) async fn submit(&mut self, a: &Named) -> Result<Reply, CoreError> {
        let mut draft = self.draft(&a.id)?;
        let (listing, account) = draft.listing()?;
        let policy = signed(&draft)?;
        let session = self.session(Some(&account))?;
        let said = dataset::submit(&session, &listing, &policy).await?;
        draft.state.submitted = true;
        draft.save()?;
        Ok(json!({ "listing": listing, "state": said["state"] }).into())
    }

    /// A newer policy of a listing that is known to the server to be of this dataset.
    pub(crate) async fn update_policy(&mut self, a: &Named) -> Result<Reply, CoreError> {
        let draft = self.draft(&a.id)?;
        let (listing, account) = draft.listing()?;
        let policy = signed(&draft)?;
        let session = self.session(Some(&account))?;
        let listed = buyer::listing(&session, listing.as_str()).await?;
        let (theirs, own) = (listed.manifest.root(), draft.folder.manifest.root());
        if theirs != own {
            return Err(CoreError::new(
                "DRAFT_STATE",
                "the server says that the listing is of another dataset; nothing was sent",
            )
            .field("listing")
            .limit(own, theirs));
        }
        let document =
            "mutation($id: String!, $p: JSON!) { updatePolicy(id: $id, policy: $p) { id } }";
        let variables = json!({ "id": listing, "p": policy });
        session
            .server
            .graphql("updatePolicy", document, variables)
            .await?;
        Ok(json!({ "listing": listing, "version": policy.body.policy_version }).into())
    }
}

fn signed(draft: &Draft) -> Result<Signed<Policy>, CoreError> {
    let none = || CoreError::new("DRAFT_STATE", "no policy is signed yet").field("policy");
    draft.state.policy.clone().ok_or_else(none)
}

fn rho(text: &str) -> Result<Rho, CoreError> {
    let bad = || CoreError::input("openers.rhoLimit", "expected 0.5 or 1/2").value(text);
    let value = decimal(text).ok_or_else(bad)?;
    Rho::granting(&value).map_err(|e| CoreError::input("openers.rhoLimit", e))
}

/// What a ticket of a class costs and how far its noise moves a value, for people.
fn law(asked: &Asked) -> String {
    let class = &asked.class;
    let Ok(sensitivity) = Sensitivity::new(class.sensitivity.into()) else {
        return String::new();
    };
    let Ok(cost) = class.mechanism.cost(sensitivity) else {
        return "no noise".into();
    };
    let f = class.mechanism.forecast();
    format!(
        "a row moves a value by {} at most; noise of deviation {:.1}, within {} in 95 of 100, \
         {:.2e} rho a ticket",
        class.sensitivity,
        f.standard_deviation,
        f.half_width_95,
        cost.to_f64()
    )
}

/// What was dealt, and what it costs together (PRV-8, PRV-9).
fn dealings(draft: &Draft, dealer: &DealerFolder) -> Result<Value, CoreError> {
    let plan = dealer.plan();
    let cost = plan.cost()?;
    let noisy = plan.dealings.iter().filter(|d| {
        let class = plan.class(&d.class).and_then(|c| c.class().ok());
        class.is_some_and(|c| c.noisy())
    });
    let openings: u64 = noisy.map(|d| d.count).sum();
    let list: Vec<Value> = dealer
        .dealt()
        .iter()
        .map(|d| {
            let class = plan.class(&d.class).map(|c| c.name.clone());
            json!({ "quorum": d.quorum, "epoch": d.epoch, "class": class,
                "count": d.count.to_string(), "digest": d.digest })
        })
        .collect();
    let there = |d: &veilbourse_documents::DealingTerms| {
        draft.state.tickets.contains(&d.digest.to_string())
    };
    let uploaded = !list.is_empty() && dealer.dealt().iter().all(there);
    Ok(json!({
        "dealings": list,
        "rho": cost.to_f64(),
        "epsilon": conversion::epsilon(cost, DELTA, openings.max(1)).ok(),
        "delta": DELTA,
        "uploaded": uploaded,
    }))
}
