//! `veilbourse market`: the whole market on this machine, to be looked at in a
//! browser (WEB-7). Server, compute pod and a committee of key nodes in one
//! process, each reached over HTTP only; everything they keep lies in one folder,
//! and a restart goes on from there.
//!
//! It is for looking, not for keeping secrets: its reference string is made here
//! (`dev`), one person runs every key node, and mails go to a folder that whoever
//! reaches the address may read. So it listens on loopback alone.

mod machines;
mod people;
mod sample;

use crate::{args::MarketArgs, files, progress::Bars};
use anyhow::{Context, Result, bail};
use people::Passwords;
use serde_json::json;
use std::{
    fs::{File, TryLockError},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};
use veilbourse_client::{http::Server, market::Session};
use veilbourse_documents::{Key, api::AcceptedKeys};
use veilbourse_pod::Circuits;
use veilbourse_prover::srs::Srs;
use veilbourse_server::{App, Clock, ServerConfig, StaffRole};
use veilbourse_verifier::linear::MatrixKind;

/// The reference string's file.
const STRING: &str = "srs-dev.bin";
/// log2 of the rows of the circuits below.
const LOG_ROWS: u32 = 16;
/// Circuits whose verifying keys the market accepts: kind, and columns at most.
const CIRCUITS: &[(MatrixKind, usize)] = &[
    (MatrixKind::Traced, 8),
    (MatrixKind::Traced, 16),
    (MatrixKind::Traced, 32),
    (MatrixKind::Traced, 64),
    (MatrixKind::Chunk, 8),
    (MatrixKind::Chunk, 16),
    (MatrixKind::Chunk, 32),
];

/// The folder of a market, held by this process alone.
struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    fn open(path: &Path) -> Result<Self> {
        let open = || -> std::io::Result<File> {
            std::fs::create_dir_all(path)?;
            File::create(path.join("market.lock"))
        };
        let lock = open().with_context(|| path.display().to_string())?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => {
                bail!("{}: another market runs in it", path.display())
            }
            Err(TryLockError::Error(e)) => Err(e).with_context(|| path.display().to_string()),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The keys that proofs are checked with, and the reference string where it was
    /// made just now; made once, whole files or none. One that is there already is
    /// read by the pod, which alone needs it: checking its points takes a while.
    fn accepted(&self, tell: &Teller) -> Result<(Option<Arc<Srs>>, AcceptedKeys)> {
        let (string, keys) = (self.file(STRING), self.file("accepted-keys.json"));
        if string.exists() && keys.exists() {
            return Ok((None, files::read_json(&keys)?));
        }
        let mut rng = crate::rng(None);
        tell.say(
            "first start: the reference string and the verifying keys are made, which takes a minute",
        );
        let bars = Bars::new(tell.json);
        let srs = Arc::new(Srs::dev(LOG_ROWS, &mut rng)?);
        let mut made = Vec::new();
        for (done, (kind, class)) in (1u64..).zip(CIRCUITS) {
            // One at a time and dropped: what proves is large, what verifies small.
            let circuit = Circuits::new(srs.clone()).get(*kind, *class)?;
            made.push(circuit.verifying().clone());
            bars.set("keys", done, CIRCUITS.len() as u64, "verifying keys");
        }
        let accepted = files::accepted_keys(&srs, made.iter());
        // The keys last: they name the string, which must be there with them.
        files::put_whole(&string, &srs.encode())?;
        files::put_whole(&keys, &serde_json::to_vec_pretty(&accepted)?)?;
        Ok((Some(srs), accepted))
    }
}

/// Prints unless the output is for programs.
struct Teller {
    json: bool,
}

impl Teller {
    fn say(&self, text: impl std::fmt::Display) {
        if !self.json {
            out!("{text}");
        }
    }
}

/// What every part of the market needs.
struct Market {
    app: Arc<App>,
    folder: Folder,
    url: String,
    server: Server,
    key: Key,
    clock: Clock,
    passwords: Passwords,
    operator: Session,
    tell: Teller,
}

/// Only addresses of this machine: see the head of this file.
fn address(listen: SocketAddr) -> Result<SocketAddr> {
    if !listen.ip().is_loopback() {
        bail!(
            "--listen {listen}: only loopback addresses, as 127.0.0.1:8080; this market shows everybody's mail and trusts a reference string made here. For others, run `veilbourse serve` (docs/operator.md)"
        );
    }
    // Mails have links, so the port is known before anything is sent.
    let bound = TcpListener::bind(listen).with_context(|| format!("--listen {listen}"))?;
    Ok(bound.local_addr()?)
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(a: &MarketArgs, json: bool) -> Result<()> {
    let tell = Teller { json };
    let listen = address(a.listen)?;
    let folder = Folder::open(&a.dir)?;
    let passwords = Passwords::open(&folder.file("passwords.json"))?;
    let (srs, accepted) = tokio::task::block_in_place(|| folder.accepted(&tell))?;
    let config = ServerConfig {
        dir: folder.file("server"),
        listen: listen.to_string(),
        // Its webhooks are tried on this machine.
        webhook_allow_private: true,
        ..ServerConfig::default()
    };
    let clock = crate::clock();
    let app = App::open(config, accepted, clock.clone(), crate::rng(None)).await?;
    for (who, role) in [
        (&passwords.admin, StaffRole::Admin),
        (&passwords.auditor, StaffRole::Auditor),
    ] {
        app.make_staff(&who.mail, &who.password, role).await?;
    }
    let key = app.marketplace_key();
    let running = veilbourse_server::run(app.clone(), false)?;
    let url = format!("http://{}", running.address);
    let server = Server::new(&url);
    let operator = passwords
        .operator
        .account(&app, &server, "Machines", "PARTNER")
        .await?;
    let market = Market {
        app,
        folder,
        url,
        server,
        key,
        clock,
        passwords,
        operator,
        tell,
    };
    let ended = market.work(a, srs).await;
    running.stop().await?;
    ended
}

impl Market {
    /// The admin, signed in when something is to be decided: whoever looks at the
    /// market as the admin may have a second factor by then.
    async fn admin(&self) -> Result<Session> {
        self.passwords.admin.sign_in(&self.server).await
    }

    /// The machines, the sample if it is wanted; then waits to be told to end.
    async fn work(&self, a: &MarketArgs, srs: Option<Arc<Srs>>) -> Result<()> {
        let pod = self.start_pod(srs).await?;
        let committee = self.start_committee(a.committee).await;
        let outcome = match &committee {
            Err(_) => Ok(()),
            Ok(committee) => self.open(a, committee).await,
        };
        pod.abort();
        committee?.stop().await;
        outcome
    }

    async fn open(&self, a: &MarketArgs, committee: &machines::Committee) -> Result<()> {
        if a.sample {
            // Ctrl-C is heard in the middle of it too; the next start goes on.
            tokio::select! {
                listed = self.sample(&committee.file) => listed?,
                () = crate::member::stopped() => return Ok(()),
            }
        }
        self.welcome(committee);
        crate::member::stopped().await;
        self.tell.say("ending: what is under way is finished first");
        Ok(())
    }

    fn welcome(&self, committee: &machines::Committee) {
        let (nodes, threshold) = (committee.file.nodes.len(), committee.file.threshold);
        let passwords = self.folder.file("passwords.json");
        if self.tell.json {
            out!(
                "{}",
                json!({ "listening": self.url, "marketplace_key": self.key,
                    "passwords": passwords, "dir": self.folder.path,
                    "committee": { "nodes": nodes, "threshold": threshold } })
            );
            return;
        }
        let (admin, auditor) = (&self.passwords.admin, &self.passwords.auditor);
        out!(
            "\nThe market is open: {url}\n\n  \
             admin    {}  password {}\n  auditor  {}  password {}\n  \
             all passwords are in {}\n  mails are at {url}/mails\n  \
             {nodes} key nodes, any {threshold} of which open; one pod\n\n\
             Everything lies in {}. Ctrl-C ends it; the next start goes on from there.",
            admin.mail,
            admin.password,
            auditor.mail,
            auditor.password,
            passwords.display(),
            self.folder.path.display(),
            url = self.url,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_market_to_look_at_listens_on_loopback_alone() {
        // WEB-7
        for bad in ["0.0.0.0:0", "192.0.2.1:8080", "[::]:0"] {
            let e = address(bad.parse().expect("an address")).expect_err("refused");
            assert!(e.to_string().contains("only loopback"), "{e}");
        }
        let free = address("127.0.0.1:0".parse().expect("an address")).expect("a port");
        assert_ne!(free.port(), 0);
    }

    #[test]
    fn one_process_holds_a_folder() {
        // WEB-7
        let dir = tempfile::tempdir().expect("a folder");
        let first = Folder::open(dir.path()).expect("opens");
        let second = Folder::open(dir.path()).err().expect("refused");
        assert!(second.to_string().contains("another market"), "{second}");
        drop(first);
        assert!(Folder::open(dir.path()).is_ok());
    }
}
