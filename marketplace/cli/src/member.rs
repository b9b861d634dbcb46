//! `veilbourse committee`, and `veilbourse key-node` of a committee (KEY-8).

use crate::{
    args::{CommitteeCommand, NodeArgs},
    files::{self, NodeFolder, read_limited},
    show::table,
    watch::Bound,
};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{CommitteeFile, Key, MemberEntry, Policy, Signed};
use veilbourse_machine::{Identity, Machine};
use veilbourse_node::{Member, MemberConfig, MemberHealth};
use veilbourse_verify::terminal::printable;

/// Most bytes of a node's entry.
const MAX_ENTRY: u64 = 16 << 10;
/// Between two looks at how the node is.
const LOOK: Duration = Duration::from_secs(5);

/// Reads a committee's file; whoever reads it pins what it says.
pub fn committee(file: &Path) -> Result<CommitteeFile> {
    let bytes = read_limited(file, 1 << 20)?;
    CommitteeFile::parse(&bytes).with_context(|| file.display().to_string())
}

/// `veilbourse committee`.
pub fn run(command: &CommitteeCommand, json: bool) -> Result<()> {
    match command {
        CommitteeCommand::Make {
            threshold,
            entries,
            marketplace,
            out,
        } => {
            let mut nodes = Vec::new();
            for path in entries {
                let bytes = read_limited(path, MAX_ENTRY)?;
                let entry: MemberEntry =
                    serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?;
                nodes.push(entry);
            }
            let made = CommitteeFile {
                marketplace: veilbourse_documents::marketplace_id(marketplace),
                threshold: *threshold,
                nodes,
            };
            made.check()?;
            files::put_whole(out, &serde_json::to_vec_pretty(&made)?)?;
            show(&made, json);
            if !json {
                out!(
                    "\nwritten to {}: the same file for every node and every custodian",
                    out.display()
                );
            }
        }
        CommitteeCommand::Show { file } => show(&committee(file)?, json),
    }
    Ok(())
}

fn show(c: &CommitteeFile, json: bool) {
    if json {
        out!("{}", json!(c));
        return;
    }
    out!(
        "any {} of {} nodes open; marketplace {}",
        c.threshold,
        c.nodes.len(),
        c.marketplace
    );
    let rows = c.nodes.iter().zip(0..).map(|(n, number): (_, u32)| {
        let [name, address] = [&n.name, &n.address].map(|t| printable(t));
        vec![number.to_string(), name, address, n.signing_key.to_string()]
    });
    let rows: Vec<_> = rows.collect();
    out!(
        "{}",
        table(&["node", "name", "address", "signing key"], &rows)
    );
}

/// What else than serving a committee's node can be told; whether it was.
pub fn told(folder: &NodeFolder, a: &NodeArgs, json: bool) -> Result<bool> {
    let mut rng = crate::rng(None);
    if let Some(address) = &a.entry {
        let entry = folder.entry(&a.name, address, &mut rng)?;
        out!("{}", serde_json::to_string_pretty(&entry)?);
        return Ok(true);
    }
    if let Some(path) = &a.committee {
        let file = committee(path)?;
        let own = files::public(&folder.signing(&mut rng)?);
        let Some(number) = file.openers().number(&own) else {
            bail!(
                "{}: node key {own} is not among its members",
                path.display()
            );
        };
        folder.seat(&file)?;
        let (n, t) = (file.nodes.len(), file.threshold);
        if json {
            out!("{}", json!({ "seat": number, "nodes": n, "threshold": t }));
        } else {
            out!("seated as node {number} of a committee of {n}, of which any {t} open");
        }
        return Ok(true);
    }
    Ok(false)
}

/// Where this node takes calls: as told, or at the port of its own address.
fn listen(a: &NodeArgs, committee: &CommitteeFile, own: &Key) -> Result<SocketAddr> {
    if let Some(address) = a.listen {
        return Ok(address);
    }
    let entry = committee.nodes.iter().find(|n| n.signing_key == *own);
    let entry = entry.context("the committee's file does not name this node")?;
    let port = entry
        .address
        .rsplit_once(':')
        .and_then(|(_, p)| p.parse().ok());
    let port: u16 = port.with_context(|| {
        format!(
            "{}: no port; say where to listen with --listen",
            printable(&entry.address)
        )
    })?;
    Ok((Ipv4Addr::UNSPECIFIED, port).into())
}

fn dataset(text: &str) -> Result<Digest> {
    Digest::from_hex(text).with_context(|| format!("{text:?} is no dataset root (64 hex digits)"))
}

/// Serves as a committee's node, until it is told to end.
pub async fn serve(folder: NodeFolder, a: &NodeArgs, json: bool) -> Result<()> {
    let mut rng = crate::rng(None);
    let settings = folder.settings()?;
    let id = settings.machine.clone().context("not registered")?;
    let committee = folder.committee().context(
        "a committee's node needs its committee's file: `veilbourse key-node --committee FILE`",
    )?;
    let mut custodians = BTreeSet::new();
    for key in &a.serve_only {
        custodians.insert(Key::from_hex(key).context("--serve-only: no Ed25519 key in hex")?);
    }
    let custodians = (!custodians.is_empty()).then_some(custodians);
    let config = folder.config(a.accept_dev_srs, &mut rng)?;
    super::machines::warn_of_srs(&config, a.accept_dev_srs);
    let own = config.node_key();
    let listen = listen(a, &committee, &own)?;
    let config = config.seated(committee, custodians)?;
    let identity = Identity {
        id,
        key: config.signing.clone(),
        marketplace: settings.marketplace,
    };
    let machine = Machine::new(identity, &a.server, crate::clock(), crate::rng(None));
    let metrics = a.metrics.map(Bound::at).transpose()?;
    let member = MemberConfig::new(folder.0.clone(), listen);
    let running = Member::start(member, config, folder.sealing()?, machine, rng).await?;
    let ended = once(&running, a, json);
    if let Some(outcome) = ended {
        running.stop().await;
        return outcome;
    }
    for path in &a.policy {
        let policy: Signed<Policy> =
            Signed::parse(&files::read(path)?).with_context(|| path.display().to_string())?;
        let new = running.learn_policy(&policy);
        let new = new.with_context(|| path.display().to_string())?;
        let how = if new { "remembered" } else { "known" };
        let (listing, version) = (&policy.body.listing, policy.body.policy_version);
        out!("policy version {version} of listing {listing}: {how}");
    }
    let (head, listening) = (running.log_head(), running.listening());
    // Taken out when the node ends.
    let running = Arc::new(Mutex::new(Some(running)));
    let look = {
        let running = Arc::clone(&running);
        move || {
            let running = running.lock().unwrap_or_else(PoisonError::into_inner);
            running.as_ref().map(Member::health)
        }
    };
    let metrics_at = metrics.as_ref().map(|m| m.address);
    let watched = match metrics {
        Some(bound) => {
            let look = look.clone();
            let health = move || look().map_or_else(ending, |h| object(&h));
            Some(bound.serve(health)?)
        }
        None => None,
    };
    if json {
        out!(
            "{}",
            json!({ "key_node": "working", "server": a.server, "peers_at": listening, "log_head": head,
                "metrics_at": metrics_at })
        );
    } else {
        out!(
            "serving a committee for {}; the other nodes reach this one at {listening}\n  log head {head} (compare it with the last one you noted)",
            a.server
        );
        if let Some(at) = metrics_at {
            out!("  metrics and health at http://{at}");
        }
    }
    let mut said = String::new();
    loop {
        tokio::select! {
            () = stopped() => break,
            () = tokio::time::sleep(LOOK) => {
                let Some(health) = look() else { break };
                let text = line(&health);
                if text != said {
                    if json { out!("{}", object(&health)) } else { out!("{text}") }
                    said = text;
                }
            }
        }
    }
    note!("ending: what is under way is finished first");
    let ended = running
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(running) = ended {
        running.stop().await;
    }
    if let Some(watched) = watched {
        watched.stop().await;
    }
    Ok(())
}

/// Freezing or retiring, in place of serving.
fn once(running: &Member, a: &NodeArgs, json: bool) -> Option<Result<()>> {
    let done = |what: &str, stores: usize| {
        if json {
            out!("{}", json!({ what: stores }));
        } else {
            out!("{what}: shares and tickets of {stores} stores are destroyed");
        }
    };
    let retired = a.retire.as_ref().map(|text| {
        let stores = running.retire(&dataset(text)?)?;
        done("retired", stores);
        Ok(())
    });
    let frozen = a.freeze.as_ref().map(|text| {
        let (root, nodes) = text.split_once(':').context("--freeze wants DATASET:0,2")?;
        let nodes = nodes.split(',').map(|n| n.trim().parse::<u8>());
        let nodes = nodes
            .collect::<Result<Vec<_>, _>>()
            .context("--freeze: node numbers")?;
        let stores = running.freeze(&dataset(root)?, &nodes, "by its operator")?;
        done("frozen", stores);
        Ok(())
    });
    retired.or(frozen)
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = term.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn line(h: &MemberHealth) -> String {
    let connected = h.peers.iter().filter(|p| p.connected).count();
    format!(
        "{connected} of {} other nodes connected; {} tickets left; {} quorums frozen; {} orders at work, {} deliveries waiting; log head {}",
        h.peers.len(),
        h.tickets,
        h.frozen,
        h.orders,
        h.undelivered,
        h.log_head
    )
}

/// It takes no more work, and finishes what has begun.
fn ending() -> serde_json::Value {
    json!({ "key_node": "ending" })
}

fn object(h: &MemberHealth) -> serde_json::Value {
    json!({
        "key_node": "working",
        "peers": h.peers.iter().map(|p| json!({ "node": p.peer, "connected": p.connected })).collect::<Vec<_>>(),
        "tickets": h.tickets, "frozen": h.frozen, "withheld": h.withheld,
        "orders": h.orders, "deliveries_waiting": h.undelivered, "log_head": h.log_head,
    })
}
