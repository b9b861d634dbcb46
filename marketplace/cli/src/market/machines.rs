//! The market's machines: one pod and a committee of key nodes, each with a
//! folder or file of its own that a restart reads again.

use super::{Market, STRING};
use crate::{
    args::CommitteeSize,
    demo::custody,
    files::{self, NodeFolder, PodFile, public},
    show::bytes,
};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{net::Ipv4Addr, path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use veilbourse_client::market::{self, Decide};
use veilbourse_documents::{CommitteeFile, Id, Key, MemberEntry, SigningKey};
use veilbourse_machine::Machine;
use veilbourse_node::Member;
use veilbourse_pod::{Circuits, Pod};
use veilbourse_prover::srs::Srs;

/// The pod asks again after this at first, then after twice as long each time...
const SOON: Duration = Duration::from_millis(100);
/// ...and at last after this: nobody looks, nothing is worn out.
const IDLE: Duration = Duration::from_secs(1);
/// After a failure.
const BACK_OFF: Duration = Duration::from_secs(3);
/// Between two questions of a key node: at work, and when nothing is there.
const NODE_POLL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(3));
/// What is made where nothing is said.
const SIZE: CommitteeSize = CommitteeSize {
    nodes: 3,
    threshold: 2,
};

/// A running committee.
pub(super) struct Committee {
    pub file: CommitteeFile,
    members: Vec<Member>,
}

impl Committee {
    pub async fn stop(self) {
        for m in self.members {
            m.stop().await;
        }
    }
}

impl Market {
    /// A machine's id: of one that is registered already, else registered now. The
    /// admin, who is the same person, approves it.
    async fn registered(
        &self,
        kind: &str,
        name: &str,
        key: &SigningKey,
        sealing: Vec<u8>,
    ) -> Result<Id> {
        let wanted = public(key).to_string();
        let selection = "id signingKey decision";
        let known = market::all(&self.operator.server, "machines", "", selection).await?;
        let found = known.iter().find(|m| m["signingKey"] == wanted.as_str());
        let id = match found {
            Some(m) => m["id"].as_str().and_then(Id::parse).context("machines")?,
            None => {
                let operator = &self.operator;
                market::register_machine(operator, kind, name, &self.key, key, Some(sealing))
                    .await?
            }
        };
        let approved = |m: &Value| m["decision"] == "approved";
        if !found.is_some_and(approved) {
            let reason = "a machine of this market";
            market::decide(
                &self.admin().await?,
                Decide::Machine,
                id.as_str(),
                true,
                reason,
            )
            .await?;
        }
        Ok(id)
    }

    /// Starts the pod.
    pub(super) async fn start_pod(&self, srs: Option<Arc<Srs>>) -> Result<JoinHandle<()>> {
        let path = self.folder.file("pod.key");
        let mut file = if path.exists() {
            files::read_json(&path)?
        } else {
            PodFile::create(&path, self.key, &mut crate::rng(None))?
        };
        let sealing = file.sealing()?;
        let id = self
            .registered("POD", "pod", &file.signing()?, sealing.public()?)
            .await?;
        if file.machine.as_ref() != Some(&id) {
            file.set_machine(&path, id.clone())?;
        }
        let (secret, string) = (file.prf()?, self.folder.file(STRING));
        let clock = self.clock.clone();
        let machine = Machine::new(file.identity(id)?, &self.url, clock, crate::rng(None));
        let (machine, json) = (Arc::new(machine), self.tell.json);
        Ok(tokio::spawn(async move {
            let srs = match srs {
                Some(made) => made,
                None => match tokio::task::spawn_blocking(move || read(&string)).await {
                    Ok(Ok(srs)) => srs,
                    Ok(Err(e)) => return note!("the pod does not work: {e:#}"),
                    Err(_) => return,
                },
            };
            let pod = Arc::new(Pod {
                circuits: Circuits::new(srs),
                sealing,
                secret,
            });
            let mut wait = SOON;
            loop {
                match veilbourse_pod::poll(&pod, &machine, crate::rng(None)).await {
                    Ok(Some(r)) => {
                        wait = SOON;
                        if !json {
                            out!(
                                "order {}: evaluated in {:.2} s, proven in {:.1} s ({} of proofs)",
                                r.order_id,
                                r.evaluate.as_secs_f64(),
                                r.prove.as_secs_f64(),
                                bytes(r.proof_bytes),
                            );
                        }
                    }
                    Ok(None) => {
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(IDLE);
                    }
                    Err(e) => {
                        tracing::error!(error = %e, "pod");
                        tokio::time::sleep(BACK_OFF).await;
                    }
                }
            }
        }))
    }

    /// The folder of a key node, registered.
    async fn node(&self, number: u8) -> Result<NodeFolder> {
        let mut rng = crate::rng(None);
        let path = self.folder.file(&format!("key-node-{number}"));
        let folder = if path.join("settings.json").exists() {
            NodeFolder(path)
        } else {
            // The settings come last; without them nobody dealt to it.
            match std::fs::remove_dir_all(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(e).with_context(|| path.display().to_string());
                }
                _ => NodeFolder::create_member(&path, self.key, &mut rng)?,
            }
        };
        folder.accept(&files::read_json(&self.folder.file("accepted-keys.json"))?)?;
        let (signing, sealing) = (folder.signing(&mut rng)?, folder.sealing()?.public()?);
        let name = format!("key node {number}");
        let id = self.registered("NODE", &name, &signing, sealing).await?;
        if folder.settings()?.machine.as_ref() != Some(&id) {
            folder.set_machine(id)?;
        }
        Ok(folder)
    }

    /// Starts the committee that is there, or makes one. Its nodes keep their
    /// addresses: the committee's file, which custodians deal to, names them.
    pub(super) async fn start_committee(&self, wanted: Option<CommitteeSize>) -> Result<Committee> {
        let path = self.folder.file("committee.json");
        let known = path.exists().then(|| crate::member::committee(&path));
        let known = known.transpose()?;
        let size = known.as_ref().map_or(wanted.unwrap_or(SIZE), size_of);
        if let Some(wanted) = wanted.filter(|w| *w != size) {
            bail!(
                "--committee {}:{}: this market has one of {}:{} already, which its custodians dealt to; another --dir makes another",
                wanted.nodes,
                wanted.threshold,
                size.nodes,
                size.threshold
            );
        }
        let mut places = Vec::new();
        for number in 0..size.nodes {
            let folder = self.node(number).await?;
            let own = public(&folder.signing(&mut crate::rng(None))?);
            let at = match &known {
                None => (Ipv4Addr::LOCALHOST, 0).into(),
                Some(file) => address_of(file, &own)?,
            };
            let listener = TcpListener::bind(at)
                .await
                .with_context(|| format!("key node {number} at {at}"))?;
            places.push((folder, listener));
        }
        let file = match known {
            Some(file) => file,
            None => {
                let file = self.made(size, &places)?;
                files::put_whole(&path, &serde_json::to_vec_pretty(&file)?)?;
                file
            }
        };
        self.put_up(&file)?;
        let mut committee = Committee {
            file,
            members: Vec::new(),
        };
        for (folder, listener) in places {
            folder.seat(&committee.file)?;
            let started =
                custody::start(&folder, listener, &self.url, self.clock.clone(), NODE_POLL).await;
            match started {
                Ok(member) => committee.members.push(member),
                Err(e) => {
                    committee.stop().await;
                    return Err(e);
                }
            }
        }
        Ok(committee)
    }

    /// So that custodians in a browser find it.
    fn put_up(&self, file: &CommitteeFile) -> Result<()> {
        let folder = self.folder.file("server").join("committees");
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let name = format!("{} of {}.json", file.threshold, file.nodes.len());
        files::put_whole(&folder.join(name), &serde_json::to_vec_pretty(file)?)
    }

    fn made(
        &self,
        size: CommitteeSize,
        places: &[(NodeFolder, TcpListener)],
    ) -> Result<CommitteeFile> {
        let mut nodes: Vec<MemberEntry> = Vec::new();
        for ((folder, listener), number) in places.iter().zip(0..) {
            let address = listener.local_addr()?.to_string();
            let name = format!("key node {number}");
            nodes.push(folder.entry(&name, &address, &mut crate::rng(None))?);
        }
        let file = CommitteeFile {
            marketplace: market::marketplace_of(&self.key),
            threshold: size.threshold,
            nodes,
        };
        file.check()?;
        Ok(file)
    }
}

/// Reads the reference string and checks its points.
fn read(path: &Path) -> Result<Arc<Srs>> {
    let srs = Srs::decode(&files::read(path)?, &mut crate::rng(None));
    Ok(Arc::new(srs.with_context(|| path.display().to_string())?))
}

fn size_of(file: &CommitteeFile) -> CommitteeSize {
    CommitteeSize {
        nodes: u8::try_from(file.nodes.len()).unwrap_or(u8::MAX),
        threshold: file.threshold,
    }
}

fn address_of(file: &CommitteeFile, own: &Key) -> Result<std::net::SocketAddr> {
    let entry = file.nodes.iter().find(|n| n.signing_key == *own);
    let entry = entry.with_context(|| {
        format!("committee.json does not name key node {own}: was its folder replaced?")
    })?;
    (entry.address.parse()).with_context(|| format!("committee.json: address {}", entry.address))
}
