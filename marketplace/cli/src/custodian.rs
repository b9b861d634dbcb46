//! `veilbourse custodian ...`.

use crate::{
    args::{CustodianCommand, ListingAction, Who},
    files::{self, new_signing_key, public, signing_key},
    progress::Bars,
    show::{bytes, credits, money, table},
};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{fs::File, path::Path};
use veilbourse_client::{
    custodian, dataset,
    dataset::DatasetFolder,
    http::Server,
    market::{self, Session, login},
};
use veilbourse_documents::{
    Custody, DOCUMENT_VERSION, EvaluationClass, Key, Policy, QueryKind, Signed, marketplace_id,
};
use veilbourse_eval::SecretKey;
use veilbourse_tabular::{Built, SchemaConfig, SecondMoments, build};

/// What a policy's TOML file says; see the custodian's guide.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// The key node's public key.
    pub node_key: Key,
    /// Query kinds allowed.
    pub kinds: Vec<QueryKind>,
    /// Fewest rows in a touched segment.
    pub min_cohort: u64,
    /// Values that may ever be revealed.
    pub quota_values: u64,
    /// Bits that may ever be revealed.
    pub quota_bits: u64,
    /// Price of an order in minor units.
    pub price_order: i64,
    /// Price of each value on top.
    pub price_output: i64,
    /// Counts up from 1.
    #[serde(default = "one")]
    pub version: u32,
}

fn one() -> u32 {
    1
}

impl PolicyFile {
    /// The policy's body for a listing.
    pub fn body(
        &self,
        marketplace: &Key,
        listing: &veilbourse_documents::Id,
        dataset: veilbourse_core::digest::Digest,
        now: u64,
    ) -> Policy {
        let mut kinds = self.kinds.clone();
        kinds.sort_unstable();
        kinds.dedup();
        Policy {
            version: DOCUMENT_VERSION,
            marketplace: marketplace_id(marketplace),
            listing: listing.clone(),
            dataset,
            policy_version: self.version,
            custody: Custody::CustodianHeld,
            node_key: self.node_key,
            kinds,
            min_cohort: self.min_cohort,
            quota_values: self.quota_values,
            quota_bits: self.quota_bits,
            price_order: self.price_order,
            price_output: self.price_output,
            min_class: EvaluationClass::Proven,
            valid_from: now,
        }
    }
}

/// Signs in.
pub async fn session(who: &Who) -> Result<Session> {
    Ok(login(&Server::new(&who.server), &who.email, &who.password).await?)
}

/// Makes an account and registers its key.
pub async fn register(who: &Who, name: &str, key: &Path, role: &str, json: bool) -> Result<()> {
    let server = Server::new(&who.server);
    let id = market::register(&server, &who.email, name, &who.password, &[role]).await?;
    let session = session(who).await?;
    let marketplace = market::marketplace_key(&server).await?;
    let signing = signing_key(key, &mut crate::rng(None))?;
    market::register_key(&session, &marketplace, &signing).await?;
    let public = public(&signing);
    if json {
        out!(
            "{}",
            json!({ "account": id, "key": public, "marketplace_key": marketplace })
        );
    } else {
        out!(
            "account          {id}\nsigning key      {public} ({})",
            key.display()
        );
        out!("marketplace key  {marketplace} (compare it with what the operator tells you)");
    }
    Ok(())
}

/// Schema settings from a file or defaults, with the options applied.
pub fn schema(
    file: Option<&Path>,
    name: Option<String>,
    fallback: &str,
    segment: Option<String>,
    squares: Vec<String>,
) -> Result<SchemaConfig> {
    let mut config = match file {
        Some(f) => SchemaConfig::from_toml(&String::from_utf8(files::read(f)?)?)
            .with_context(|| f.display().to_string())?,
        None => SchemaConfig::new(fallback),
    };
    if let Some(n) = name {
        config.name = n;
    }
    if let Some(s) = segment {
        config.segment_by = vec![s];
    }
    if !squares.is_empty() {
        config.second_moments = SecondMoments::Squares(squares);
    }
    Ok(config)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .and_then(|s| s.to_str())
        .unwrap_or("table")
        .to_owned()
}

fn read_table(data: &Path, config: &SchemaConfig) -> Result<Built> {
    let file = File::open(data).with_context(|| data.display().to_string())?;
    build(file, config).with_context(|| data.display().to_string())
}

/// Encrypts, commits, proves and writes a dataset's folder.
pub fn encrypt_to(
    built: &Built,
    k_min: u64,
    out: &Path,
    progress: &Bars,
) -> Result<(DatasetFolder, EncryptTimes)> {
    let mut rng = crate::rng(None);
    let mut clock = std::time::Instant::now();
    let mut lap = || {
        let t = clock.elapsed().as_secs_f64();
        clock = std::time::Instant::now();
        t
    };
    let key = SecretKey::generate(&mut rng);
    let keygen = lap();
    let encrypted = custodian::encrypt(built, &key, &mut rng, progress)?;
    let encrypt = lap();
    let dataset = custodian::commit(built, encrypted, &mut rng, progress)?;
    let proof = dataset.prove_listing()?;
    let commit = lap();
    let mut seed = [0u8; 32];
    rand_core::Rng::fill_bytes(&mut rng, &mut seed);
    let folder = DatasetFolder::create(out, built, &dataset, &key, &proof, seed, k_min.max(1))?;
    Ok((
        folder,
        EncryptTimes {
            keygen,
            encrypt,
            commit,
        },
    ))
}

/// Seconds by stage.
#[derive(Debug, Clone, Copy)]
pub struct EncryptTimes {
    /// Generating S_D.
    pub keygen: f64,
    /// Encrypting and summing.
    pub encrypt: f64,
    /// Committing and the listing proof.
    pub commit: f64,
}

/// `veilbourse custodian ...`.
pub async fn run(c: CustodianCommand, json: bool) -> Result<()> {
    match c {
        CustodianCommand::Register { who, name, key } => {
            register(&who, &name, &key, "CUSTODIAN", json).await
        }
        CustodianCommand::Keygen { key } => {
            let made = new_signing_key(&key, &mut crate::rng(None))?;
            let public = public(&made);
            if json {
                out!("{}", json!({ "key": public, "file": key }));
            } else {
                out!("signing key {public} in {}", key.display());
            }
            Ok(())
        }
        CustodianCommand::Inspect { data, schema: file } => {
            let config = schema(file.as_deref(), None, &stem(&data), None, Vec::new())?;
            let built = read_table(&data, &config)?;
            if json {
                out!("{}", serde_json::to_string(&built.report)?);
            } else {
                out!("{}", built.report);
            }
            Ok(())
        }
        CustodianCommand::Encrypt {
            data,
            schema: file,
            name,
            segment,
            square,
            out,
        } => {
            if out.exists() {
                bail!("--out {}: exists already", out.display());
            }
            let config = schema(file.as_deref(), name, &stem(&data), segment, square)?;
            let built = read_table(&data, &config)?;
            let bars = Bars::new(json);
            let (folder, times) = tokio::task::block_in_place(|| {
                encrypt_to(&built, config.suppression.k_min, &out, &bars)
            })?;
            let (all, _) = folder.bytes()?;
            let root = folder.manifest.root();
            if json {
                out!(
                    "{}",
                    json!({ "dataset": root, "folder": out, "bytes": all.to_string(),
                        "bytes_per_slot": folder.bytes_per_slot()?, "suppressed": built.report.suppressed(),
                        "seconds": { "keygen": times.keygen, "encrypt": times.encrypt, "commit": times.commit } })
                );
            } else {
                out!("{}", built.report);
                out!(
                    "dataset {root}\n  {} in {} ({:.2} bytes a slot), encrypted in {:.2} s, committed in {:.2} s",
                    bytes(all),
                    out.display(),
                    folder.bytes_per_slot()?,
                    times.encrypt,
                    times.commit
                );
                out!(
                    "  {}/secret.key decrypts everything: it goes to your key node and nowhere else",
                    out.display()
                );
            }
            Ok(())
        }
        CustodianCommand::List {
            who,
            dataset,
            key,
            policy,
            title,
            description,
        } => list(&who, &dataset, &key, &policy, &title, &description, json).await,
        CustodianCommand::Policy {
            who,
            listing,
            key,
            policy,
        } => update_policy(&who, &listing, &key, &policy, json).await,
        CustodianCommand::Withdraw { who, amount } => withdraw(&who, &amount, json).await,
        CustodianCommand::Status { who } => status(&who, json).await,
        CustodianCommand::Set {
            who,
            listing,
            action,
        } => set(&who, &listing, action, json).await,
    }
}

async fn list(
    who: &Who,
    folder: &Path,
    key: &Path,
    policy: &Path,
    title: &str,
    description: &str,
    json: bool,
) -> Result<()> {
    let folder = DatasetFolder::open(folder)?;
    let text = String::from_utf8(files::read(policy)?)?;
    let policy: PolicyFile = toml::from_str(&text).with_context(|| policy.display().to_string())?;
    let signing = signing_key(key, &mut crate::rng(None))?;
    let session = session(who).await?;
    let marketplace = market::marketplace_key(&session.server).await?;
    let listing = dataset::draft(&session, &folder, title, description).await?;
    dataset::upload(&session.server, &listing, &folder, &Bars::new(json)).await?;
    let body = policy.body(
        &marketplace,
        &listing,
        folder.manifest.root(),
        crate::clock()(),
    );
    let signed = Signed::sign(body, &signing)?;
    dataset::submit(&session, &listing, &signed).await?;
    if json {
        out!("{}", json!({ "listing": listing, "state": "submitted" }));
    } else {
        out!("listing {listing}: uploaded, verified by the server, submitted for review");
    }
    Ok(())
}

async fn update_policy(
    who: &Who,
    listing: &str,
    key: &Path,
    policy: &Path,
    json: bool,
) -> Result<()> {
    let text = String::from_utf8(files::read(policy)?)?;
    let policy: PolicyFile = toml::from_str(&text).with_context(|| policy.display().to_string())?;
    let signing = signing_key(key, &mut crate::rng(None))?;
    let session = session(who).await?;
    let marketplace = market::marketplace_key(&session.server).await?;
    let listed = veilbourse_client::buyer::listing(&session, listing).await?;
    let body = policy.body(
        &marketplace,
        &listed.id,
        listed.manifest.root(),
        crate::clock()(),
    );
    let document = "mutation($id: String!, $p: JSON!) { updatePolicy(id: $id, policy: $p) { id } }";
    let variables = json!({ "id": listing, "p": Signed::sign(body, &signing)? });
    session
        .server
        .graphql("updatePolicy", document, variables)
        .await?;
    if json {
        out!(
            "{}",
            json!({ "listing": listing, "policy_version": policy.version })
        );
    } else {
        out!("listing {listing}: policy version {}", policy.version);
    }
    Ok(())
}

/// Asks for a withdrawal.
pub async fn withdraw(who: &Who, amount: &str, json: bool) -> Result<()> {
    let minor = credits(amount)
        .with_context(|| format!("amount {amount:?}: expected credits like 250.00"))?;
    let mut key = [0u8; 16];
    rand_core::Rng::fill_bytes(&mut crate::rng(None), &mut key);
    let document = "mutation($a: Money!, $k: String!) { requestWithdrawal(amount: $a, idempotencyKey: $k) { id } }";
    let variables = json!({ "a": minor.to_string(), "k": hex::encode(key) });
    let session = session(who).await?;
    let made = session
        .server
        .graphql("requestWithdrawal", document, variables)
        .await?;
    if json {
        out!("{}", json!({ "withdrawal": made["id"] }));
    } else {
        let id = made["id"].as_str().unwrap_or_default();
        out!(
            "withdrawal {id} of {} credits waits for an admin",
            money(minor)
        );
    }
    Ok(())
}

async fn status(who: &Who, json: bool) -> Result<()> {
    let session = session(who).await?;
    let document = "{ listings(filter: { mine: true }, first: 50) { nodes {
        id title state reason dataset reveals { values bits valuesLeft bitsLeft } } } }";
    let found = session
        .server
        .graphql("listings", document, json!({}))
        .await?;
    let balance = session
        .server
        .graphql("myBalance", "{ myBalance { posted available } }", json!({}))
        .await?;
    if json {
        out!(
            "{}",
            json!({ "listings": found["nodes"], "balance": balance })
        );
        return Ok(());
    }
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    let rows: Vec<_> = found["nodes"]
        .as_array()
        .map(|n| {
            n.iter()
                .map(|l| {
                    let r = &l["reveals"];
                    vec![
                        text(&l["id"]),
                        text(&l["title"]),
                        text(&l["state"]),
                        text(&r["values"]),
                        text(&r["valuesLeft"]),
                        text(&l["reason"]),
                    ]
                })
                .collect()
        })
        .unwrap_or_default();
    out!(
        "{}",
        table(
            &[
                "listing",
                "title",
                "state",
                "values opened",
                "left",
                "reason"
            ],
            &rows
        )
    );
    let posted = balance["posted"]
        .as_str()
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    out!("  balance {} credits", money(posted));
    Ok(())
}

async fn set(who: &Who, listing: &str, action: ListingAction, json: bool) -> Result<()> {
    let session = session(who).await?;
    let name = match action {
        ListingAction::Pause => "pauseListing",
        ListingAction::Resume => "resumeListing",
        ListingAction::Withdraw => "withdrawListing",
    };
    let document = format!("mutation($id: String!) {{ {name}(id: $id) {{ id state }} }}");
    let done = session
        .server
        .graphql(name, &document, json!({ "id": listing }))
        .await?;
    if json {
        out!("{done}");
    } else {
        out!(
            "listing {listing}: {}",
            done["state"].as_str().unwrap_or_default()
        );
    }
    Ok(())
}
