//! `veilbourse serve`, `pod`, `key-node`: the three kinds of process.

use crate::{
    args::{NodeArgs, PodArgs, ServeArgs},
    files::{self, NodeFolder, PodFile, public},
    member,
    watch::Bound,
};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use veilbourse_client::{
    dataset::DatasetFolder,
    http::Server,
    market::{self, Session},
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Id, Key, Policy, Signed, SrsProvenance, api::AcceptedKeys};
use veilbourse_machine::{Identity, Machine};
use veilbourse_node::{KeyNode, NodeConfig};
use veilbourse_pod::{Circuits, Pod};
use veilbourse_prover::srs::Srs;
use veilbourse_server::{App, ServerConfig, StaffRole};
use veilbourse_verify::terminal::printable;

/// Between two questions for work when there was none.
const IDLE: Duration = Duration::from_millis(250);
/// After a failure.
const BACK_OFF: Duration = Duration::from_secs(3);

fn say(json: bool, object: &serde_json::Value, text: &str) {
    if json {
        out!("{object}")
    } else {
        out!("{text}")
    }
}

pub async fn serve(a: ServeArgs, json: bool) -> Result<()> {
    let mut config = match &a.config {
        Some(file) => ServerConfig::from_toml(&String::from_utf8(files::read(file)?)?)
            .with_context(|| file.display().to_string())?,
        None => ServerConfig {
            dir: a.dir.clone(),
            ..ServerConfig::default()
        },
    };
    if let Some(listen) = a.listen {
        config.listen = listen;
    }
    let keys = a
        .keys
        .unwrap_or_else(|| config.dir.join("accepted-keys.json"));
    let accepted: AcceptedKeys = files::read_json(&keys)
        .context("the verifying keys that proofs are checked with; make them with `veilbourse srs ceremony` (or `srs dev`) and `veilbourse srs key`")?;
    let app = App::open(config, accepted, crate::clock(), crate::rng(None)).await?;
    if app.config.mail.is_none() {
        let folder = app.config.dir.join("mails");
        note!("no mail relay is set: letters go into {}", folder.display());
    }
    for (mail, role, variable) in [
        (&a.admin, StaffRole::Admin, "VEILBOURSE_ADMIN_PASSWORD"),
        (
            &a.auditor,
            StaffRole::Auditor,
            "VEILBOURSE_AUDITOR_PASSWORD",
        ),
    ] {
        let Some(mail) = mail else { continue };
        let password = std::env::var(variable).with_context(|| format!("{variable} is not set"))?;
        let id = app.make_staff(mail, &password, role).await?;
        note!("{mail}: {} ({id})", role.name());
    }
    let key = app.marketplace_key();
    let running = veilbourse_server::run(app, true)?;
    let url = format!("http://{}", running.address);
    say(
        json,
        &json!({ "listening": url, "marketplace_key": key, "marketplace": market::marketplace_of(&key) }),
        &format!(
            "listening on {url}\nmarketplace {}\n  key {key} (tell both to buyers, pods and key nodes)",
            market::marketplace_of(&key)
        ),
    );
    tokio::task::spawn_blocking(move || running.wait()).await??;
    Ok(())
}

/// Signs in with what `--init` was given.
async fn operator(server: &str, mail: Option<&str>, password: Option<&str>) -> Result<Session> {
    let (Some(mail), Some(password)) = (mail, password) else {
        bail!("--init needs --email and --password (or VEILBOURSE_PASSWORD)");
    };
    // Of an account with a second factor.
    let code = std::env::var("VEILBOURSE_CODE").ok();
    Ok(market::login_with(&Server::new(server), mail, password, code.as_deref()).await?)
}

fn registered(json: bool, kind: &str, id: &Id, key: &Key, marketplace: &Key) {
    say(
        json,
        &json!({ "machine": id, "signing_key": key, "marketplace_key": marketplace }),
        &format!(
            "registered {kind} {id}\n  signing key      {key}\n  marketplace key  {marketplace} (pinned; compare it with what the operator of the server tells you)\nan admin approves it next"
        ),
    );
}

pub async fn pod(a: PodArgs, json: bool) -> Result<()> {
    let mut rng = crate::rng(None);
    if a.init {
        let session = operator(&a.server, a.email.as_deref(), a.password.as_deref()).await?;
        let marketplace = market::marketplace_key(&session.server).await?;
        let mut file = PodFile::create(&a.key, marketplace, &mut rng)?;
        let key = public(&file.signing()?);
        let sealing = file.sealing()?.public()?;
        let id = market::register_machine(
            &session,
            "POD",
            &a.name,
            &marketplace,
            &file.signing()?,
            Some(sealing),
        )
        .await?;
        file.set_machine(&a.key, id.clone())?;
        registered(json, "pod", &id, &key, &marketplace);
        return Ok(());
    }
    let file: PodFile = files::read_json(&a.key).context("make it with `veilbourse pod --init`")?;
    let Some(id) = file.machine.clone() else {
        bail!("{}: not registered", a.key.display())
    };
    let srs = Arc::new(Srs::decode(&files::read(&a.srs)?, &mut rng)?);
    let pod = Arc::new(Pod {
        circuits: Circuits::new(srs),
        sealing: file.sealing()?,
        secret: file.prf()?,
    });
    let machine = Arc::new(Machine::new(
        file.identity(id)?,
        &a.server,
        crate::clock(),
        crate::rng(None),
    ));
    say(
        json,
        &json!({ "pod": "working", "server": a.server }),
        &format!("working for {}", a.server),
    );
    loop {
        match veilbourse_pod::poll(&pod, &machine, crate::rng(None)).await {
            Ok(Some(r)) => say(
                json,
                &json!({ "order": r.order_id, "evaluate_seconds": r.evaluate.as_secs_f64(),
                    "prove_seconds": r.prove.as_secs_f64(), "proof_bytes": r.proof_bytes.to_string() }),
                &format!(
                    "order {}: evaluated in {:.3} s, proven in {:.1} s, {} bytes of proofs",
                    r.order_id,
                    r.evaluate.as_secs_f64(),
                    r.prove.as_secs_f64(),
                    r.proof_bytes
                ),
            ),
            Ok(None) => tokio::time::sleep(IDLE).await,
            Err(e) => {
                tracing::error!(error = %e, "pod");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

/// What the node rests on, said at its start (CER-8).
pub(crate) fn warn_of_srs(config: &NodeConfig, accept_dev: bool) {
    if !accept_dev && config.accepted.srs.provenance == SrsProvenance::Dev {
        note!(
            "warning: the accepted keys are of a dev SRS; without --accept-dev-srs every order with private weights will be refused"
        );
    }
    if let Some(t) = &config.ceremony {
        // CER-8: what this node's own part in the ceremony is.
        match t.contribution_of(&config.node_key().0) {
            Some(number) => note!(
                "the SRS is of a ceremony of {}; this node made contribution {number}",
                t.len()
            ),
            None => note!(
                "the SRS is of a ceremony of {} in which this node had no part: it trusts that one of them destroyed its secret",
                t.len()
            ),
        }
    }
}

pub async fn key_node(a: NodeArgs, json: bool) -> Result<()> {
    let mut rng = crate::rng(None);
    if a.init {
        let session = operator(&a.server, a.email.as_deref(), a.password.as_deref()).await?;
        let marketplace = market::marketplace_key(&session.server).await?;
        let folder = if a.member {
            NodeFolder::create_member(&a.dir, marketplace, &mut rng)?
        } else {
            NodeFolder::create(&a.dir, marketplace, &mut rng)?
        };
        let signing = folder.signing(&mut rng)?;
        let sealing = if a.member {
            Some(folder.sealing()?.public()?)
        } else {
            None
        };
        let key = public(&signing);
        let id =
            market::register_machine(&session, "NODE", &a.name, &marketplace, &signing, sealing)
                .await?;
        folder.set_machine(id.clone())?;
        registered(json, "key node", &id, &key, &marketplace);
        return Ok(());
    }
    let folder = NodeFolder(a.dir.clone());
    if let Some(keys) = &a.keys {
        folder.accept(&files::read_json(keys)?)?;
    }
    if folder.is_member() {
        if a.add.is_some() {
            bail!("--add: a committee's node holds no dataset's key; custodians deal to it");
        }
        if member::told(&folder, &a, json)? || a.keys.is_some() {
            return Ok(());
        }
        return member::serve(folder, &a, json).await;
    }
    if let (Some(path), Some(custodian)) = (&a.add, &a.custodian) {
        let custodian = Key::from_hex(custodian).context("--custodian: no Ed25519 key in hex")?;
        let dataset = DatasetFolder::open(path)?;
        folder.add(&dataset, &custodian)?;
        let root = dataset.manifest.root();
        say(
            json,
            &json!({ "added": root }),
            &format!("added dataset {root}"),
        );
        return Ok(());
    }
    if a.keys.is_some() {
        return Ok(());
    }
    let settings = folder
        .settings()
        .context("make it with `veilbourse key-node --init`")?;
    let Some(id) = settings.machine else {
        bail!("{}: not registered", a.dir.display())
    };
    let config = folder.config(a.accept_dev_srs, &mut rng)?;
    let identity = Identity {
        id,
        key: config.signing.clone(),
        marketplace: settings.marketplace,
    };
    warn_of_srs(&config, a.accept_dev_srs);
    let metrics = a.metrics.map(Bound::at).transpose()?;
    let datasets = config.datasets.len();
    let mut node = KeyNode::open(config, &folder.log())?;
    let machine = Machine::new(identity, &a.server, crate::clock(), crate::rng(None));
    for path in &a.policy {
        let policy: Signed<Policy> =
            Signed::parse(&files::read(path)?).with_context(|| path.display().to_string())?;
        let new = node
            .learn_policy(&policy, crate::clock()())
            .with_context(|| path.display().to_string())?;
        let (listing, version) = (&policy.body.listing, policy.body.policy_version);
        let how = if new { "remembered" } else { "known" };
        say(
            json,
            &json!({ "listing": listing, "policy_version": version, "policy": how }),
            &format!("policy version {version} of listing {listing}: {how}"),
        );
    }
    let head = node.log_head();
    let health = |answers: Option<bool>, head: Digest| json!({ "key_node": "working", "datasets": datasets, "server_answers": answers, "log_head": head });
    let latest = Arc::new(Mutex::new(health(None, head)));
    let metrics_at = metrics.as_ref().map(|m| m.address);
    let _watched = match metrics {
        Some(bound) => {
            let latest = Arc::clone(&latest);
            let look = move || {
                latest
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone()
            };
            Some(bound.serve(look)?)
        }
        None => None,
    };
    let also = metrics_at.map_or_else(String::new, |at| {
        format!("\n  metrics and health at http://{at}")
    });
    say(
        json,
        &json!({ "key_node": "working", "server": a.server, "datasets": datasets, "log_head": head,
            "metrics_at": metrics_at }),
        &format!(
            "guarding {datasets} datasets for {}\n  log head {head} (compare it with the last one you noted){also}",
            a.server
        ),
    );
    loop {
        let polled = veilbourse_node::poll(&mut node, &machine, &mut rng).await;
        let now = health(Some(polled.is_ok()), node.log_head());
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = now;
        match polled {
            Ok(Some(ended)) => {
                let (order, head) = (&ended.order_id, ended.log_head);
                let text = match &ended.refusal {
                    None => format!("order {order}: delivered; log head {head}"),
                    Some((code, reason)) => printable(&format!(
                        "order {order}: REFUSED {code}: {reason}; log head {head}"
                    )),
                };
                let object = json!({ "order": order, "refusal": ended.refusal, "log_head": head });
                say(json, &object, &text);
            }
            Ok(None) => tokio::time::sleep(IDLE).await,
            Err(e) => {
                tracing::error!(error = %e, "key node");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}
