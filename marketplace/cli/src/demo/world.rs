//! Everything embedded on loopback: server, pod and key node, each reached
//! over HTTP only, all files in one fresh folder.

use crate::files::{NodeFolder, PodFile, accepted_keys, public, signing_key};
use anyhow::{Context, Result};
use rand_core::Rng;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use veilbourse_client::{
    dataset::DatasetFolder,
    http::Server,
    market::{self, Decide, Session},
};
use veilbourse_documents::{Id, Key, SigningKey};
use veilbourse_domain::people::TokenPurpose;
use veilbourse_machine::{Identity, Machine};
use veilbourse_node::KeyNode;
use veilbourse_pod::{Circuits, Pod, Report};
use veilbourse_prover::srs::Srs;
use veilbourse_server::{App, Clock, Limits, Running, ServerConfig, StaffRole};
use veilbourse_verifier::linear::MatrixKind;

pub(super) const IDLE: Duration = Duration::from_millis(50);

/// A person's account with a signing key.
pub struct Person {
    /// Signed in.
    pub session: Session,
    /// Signs documents.
    pub key: SigningKey,
}

/// The running market.
pub struct World {
    /// Where everything lies.
    pub dir: PathBuf,
    /// Its address.
    pub url: String,
    /// The server.
    pub server: Server,
    /// The market's time, and its machines'.
    pub clock: Clock,
    app: Arc<App>,
    running: Running,
    tasks: Vec<JoinHandle<()>>,
    /// The marketplace's key, pinned by everybody.
    pub marketplace: Key,
    /// The admin.
    pub admin: Session,
    /// Runs the pod.
    pub operator: Session,
    reports: Arc<Mutex<Vec<(Report, Instant)>>>,
}

/// A fresh password.
pub(crate) fn password() -> String {
    let mut bytes = [0u8; 12];
    crate::rng(None).fill_bytes(&mut bytes);
    hex::encode(bytes)
}

impl World {
    /// Starts the server under an SRS, in `dir`, with the system's time.
    pub async fn start(
        dir: &Path,
        srs: &Arc<Srs>,
        circuits: &Circuits,
        needed: &[(MatrixKind, usize)],
    ) -> Result<Self> {
        let config = ServerConfig {
            limits: Limits {
                login: 1_000,
                register: 1_000,
                quote: 1_000,
                place: 1_000,
                upload: 60_000,
                listing: 1_000,
            },
            ..ServerConfig::default()
        };
        Self::start_with(dir, srs, circuits, needed, config, crate::clock()).await
    }

    /// The same with settings and a clock of the caller's; `needed` are the
    /// circuits (kind, columns) whose keys the market accepts.
    pub async fn start_with(
        dir: &Path,
        srs: &Arc<Srs>,
        circuits: &Circuits,
        needed: &[(MatrixKind, usize)],
        config: ServerConfig,
        clock: Clock,
    ) -> Result<Self> {
        let mut keys = Vec::new();
        for (kind, columns) in needed {
            keys.push(tokio::task::block_in_place(|| {
                circuits.get(*kind, *columns)
            })?);
        }
        let accepted = accepted_keys(srs, keys.iter().map(|k| k.verifying()));
        std::fs::write(
            dir.join("accepted-keys.json"),
            serde_json::to_vec_pretty(&accepted)?,
        )?;
        let config = ServerConfig {
            dir: dir.join("server"),
            listen: "127.0.0.1:0".into(),
            ..config
        };
        let app = App::open(config, accepted, clock.clone(), crate::rng(None)).await?;
        let admin_password = password();
        app.make_staff("admin@demo.example", &admin_password, StaffRole::Admin)
            .await?;
        let marketplace = app.marketplace_key();
        let running = veilbourse_server::run(app.clone(), false)?;
        let url = format!("http://{}", running.address);
        let server = Server::new(&url);
        let admin = market::login(&server, "admin@demo.example", &admin_password).await?;
        let (mail, name) = ("operator@demo.example", "Pod operator");
        let operator = account(&app, &server, mail, name, "PARTNER").await?;
        Ok(Self {
            dir: dir.to_owned(),
            url,
            server,
            clock,
            app,
            running,
            tasks: Vec::new(),
            marketplace,
            admin,
            operator,
            reports: Arc::default(),
        })
    }

    /// The token of the newest unused link to an address, as its letter says it.
    pub async fn token(&self, purpose: TokenPurpose, mail: &str) -> Result<String> {
        let found = self.app.waiting_token(purpose, mail).await?;
        found.with_context(|| format!("no {} waits for {mail}", purpose.name()))
    }

    /// Verifies an address by the link of its letter.
    pub async fn verify(&self, mail: &str) -> Result<()> {
        verify(&self.app, &self.server, mail).await
    }

    /// A new account with a registered signing key.
    pub async fn person(&self, mail: &str, name: &str, role: &str) -> Result<Person> {
        let session = account(&self.app, &self.server, mail, name, role).await?;
        let file = format!("{}.key", mail.split('@').next().unwrap_or("person"));
        let key = signing_key(&self.dir.join(file), &mut crate::rng(None))?;
        market::register_key(&session, &self.marketplace, &key).await?;
        Ok(Person { session, key })
    }

    /// Registers and approves a pod; its identity and its file.
    pub async fn new_pod(&self, name: &str) -> Result<(Identity, PodFile)> {
        let path = self.dir.join(format!("{name}.pod"));
        let mut file = PodFile::create(&path, self.marketplace, &mut crate::rng(None))?;
        let (key, sealing) = (file.signing()?, file.sealing()?.public()?);
        let (operator, market) = (&self.operator, &self.marketplace);
        let id =
            market::register_machine(operator, "POD", name, market, &key, Some(sealing)).await?;
        file.set_machine(&path, id.clone())?;
        self.approve(&id).await?;
        Ok((file.identity(id)?, file))
    }

    pub(super) async fn approve(&self, id: &Id) -> Result<()> {
        market::decide(
            &self.admin,
            Decide::Machine,
            id.as_str(),
            true,
            "known to us",
        )
        .await?;
        Ok(())
    }

    /// A machine's connection.
    pub fn machine(&self, identity: Identity) -> Machine {
        Machine::new(identity, &self.url, self.clock.clone(), crate::rng(None))
    }

    /// Registers, approves and starts the pod.
    pub async fn start_pod(&mut self, circuits: Circuits) -> Result<Id> {
        let (identity, file) = self.new_pod("pod").await?;
        let id = identity.id.clone();
        let pod = Arc::new(Pod {
            circuits,
            sealing: file.sealing()?,
            secret: file.prf()?,
        });
        let machine = Arc::new(self.machine(identity));
        let reports = self.reports.clone();
        self.tasks.push(tokio::spawn(async move {
            loop {
                match veilbourse_pod::poll(&pod, &machine, crate::rng(None)).await {
                    Ok(Some(r)) => reports
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((r, Instant::now())),
                    Ok(None) => tokio::time::sleep(IDLE).await,
                    Err(e) => {
                        tracing::error!(error = %e, "pod");
                        tokio::time::sleep(IDLE * 10).await;
                    }
                }
            }
        }));
        Ok(id)
    }

    /// Makes, registers and approves the custodian's key node; its public key.
    pub async fn new_node(
        &self,
        custodian: &Person,
        dataset: &DatasetFolder,
    ) -> Result<(NodeFolder, Key)> {
        let mut rng = crate::rng(None);
        let folder = NodeFolder::create(&self.dir.join("key-node"), self.marketplace, &mut rng)?;
        folder.accept(&crate::files::read_json(
            &self.dir.join("accepted-keys.json"),
        )?)?;
        folder.add(dataset, &public(&custodian.key))?;
        let signing = folder.signing(&mut rng)?;
        let key = public(&signing);
        let (session, market) = (&custodian.session, &self.marketplace);
        let id =
            market::register_machine(session, "NODE", "key node", market, &signing, None).await?;
        folder.set_machine(id.clone())?;
        self.approve(&id).await?;
        Ok((folder, key))
    }

    /// Starts the key node from its folder.
    pub fn start_node(&mut self, folder: &NodeFolder) -> Result<()> {
        let mut rng = crate::rng(None);
        let settings = folder.settings()?;
        let id = settings.machine.context("the node is registered")?;
        // The demo's SRS is local, which the demo alone accepts.
        let config = folder.config(true, &mut rng)?;
        let identity = Identity {
            id,
            key: config.signing.clone(),
            marketplace: settings.marketplace,
        };
        let machine = self.machine(identity);
        let mut node = KeyNode::open(config, &folder.log())?;
        self.tasks.push(tokio::spawn(async move {
            loop {
                match veilbourse_node::poll(&mut node, &machine, &mut rng).await {
                    Ok(Some(ended)) => {
                        if let Some((code, reason)) = ended.refusal {
                            tracing::warn!(code, reason, "key node refused");
                        }
                    }
                    Ok(None) => tokio::time::sleep(IDLE).await,
                    Err(e) => {
                        tracing::error!(error = %e, "key node");
                        tokio::time::sleep(IDLE * 10).await;
                    }
                }
            }
        }));
        Ok(())
    }

    /// What the pod said of an order, and when it had handed it in.
    pub fn report(&self, order: &Id) -> Option<(Report, Instant)> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.iter().find(|(r, _)| r.order_id == *order).cloned()
    }

    /// Stops everything.
    pub async fn stop(self) -> Result<()> {
        for t in &self.tasks {
            t.abort();
        }
        Ok(self.running.stop().await?)
    }
}

/// Reads the letter and follows its link.
async fn verify(app: &App, server: &Server, mail: &str) -> Result<()> {
    let token = app.waiting_token(TokenPurpose::VerifyMail, mail).await?;
    let token = token.with_context(|| format!("no letter for {mail}"))?;
    Ok(market::verify_mail(server, &token).await?)
}

/// An account whose address is verified by the link of its letter.
async fn account(
    app: &App,
    server: &Server,
    mail: &str,
    name: &str,
    role: &str,
) -> Result<Session> {
    account_with(app, server, mail, name, role, &password()).await
}

/// The same with a password of the caller's.
pub(crate) async fn account_with(
    app: &App,
    server: &Server,
    mail: &str,
    name: &str,
    role: &str,
    password: &str,
) -> Result<Session> {
    market::register(server, mail, name, password, &[role]).await?;
    verify(app, server, mail).await?;
    Ok(market::login(server, mail, password).await?)
}
