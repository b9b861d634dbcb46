//! `veilbourse custodian ...`.
//!
//! Over 500 lines: the subcommands share folder, policy and what they print.

use crate::{
    args::{CustodianCommand, ListingAction, OpenersArgs, PinArgs, Who},
    deal,
    files::{self, new_signing_key, public, signing_key},
    member, pins,
    progress::Bars,
    show::{bytes, credits, money, table},
};
use anyhow::{Context, Result, bail};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    fs::File,
    path::{Path, PathBuf},
};
use veilbourse_client::{
    custodian, dataset,
    dataset::DatasetFolder,
    dealing::{self, DealerFolder},
    http::Server,
    market::{self, Session, login_with},
};
use veilbourse_documents::{
    CommitteeFile, DOCUMENT_VERSION, EvaluationClass, Id, Key, Openers, Policy, QueryKind, Signed,
    SigningKey, Tickets, marketplace_id,
};
use veilbourse_privacy::Rho;
use veilbourse_tabular::{Built, SchemaConfig, SecondMoments, build};
use veilbourse_verify::terminal::printable;

/// What a policy's TOML file says; see the custodian's guide.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// The key node's public key, in custodian-held custody.
    #[serde(default)]
    pub node_key: Option<Key>,
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
    /// Least part of the price that is yours, in basis points.
    #[serde(default = "custodian_part")]
    pub custodian_basis_points: u32,
    /// Counts up from 1.
    #[serde(default = "one")]
    pub version: u32,
}

fn one() -> u32 {
    1
}

/// What a marketplace of default settings leaves to the custodian.
fn custodian_part() -> u32 {
    7_500
}

/// Who opens, and under which tickets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The nodes.
    pub openers: Openers,
    /// The tickets: of a committee.
    pub tickets: Option<Tickets>,
}

impl Opening {
    /// By one node that holds the data key.
    pub fn held_by(node_key: Key) -> Self {
        Self {
            openers: Openers::CustodianHeld { node_key },
            tickets: None,
        }
    }
    /// By a committee, under everything that was dealt to it.
    pub fn committee(
        committee: &CommitteeFile,
        dealer: &DealerFolder,
        limit: Option<Rho>,
    ) -> Result<Self> {
        Ok(Self {
            openers: committee.openers(),
            tickets: Some(dealer.tickets(limit)?),
        })
    }
}

impl PolicyFile {
    /// The policy's body for a listing.
    pub fn body(
        &self,
        marketplace: &Key,
        listing: &veilbourse_documents::Id,
        dataset: veilbourse_core::digest::Digest,
        opening: Opening,
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
            openers: opening.openers,
            tickets: opening.tickets,
            kinds,
            min_cohort: self.min_cohort,
            quota_values: self.quota_values,
            quota_bits: self.quota_bits,
            price_order: self.price_order,
            price_output: self.price_output,
            custodian_basis_points: self.custodian_basis_points,
            min_class: EvaluationClass::Proven,
            valid_from: now,
        }
    }
}

/// Signs in.
pub async fn session(who: &Who) -> Result<Session> {
    let server = Server::new(&who.server);
    Ok(login_with(&server, &who.email, &who.password, who.code.as_deref()).await?)
}

/// Makes an account and registers its key.
pub async fn register(
    who: &Who,
    pin: &PinArgs,
    name: &str,
    key: &Path,
    role: &str,
    json: bool,
) -> Result<()> {
    let server = Server::new(&who.server);
    let marketplace = pins::marketplace(&server, pin, true).await?;
    let id = market::register(&server, &who.email, name, &who.password, &[role]).await?;
    let session = session(who).await?;
    let signing = signing_key(key, &mut crate::rng(None))?;
    market::register_key(&session, &marketplace, &signing).await?;
    let public = public(&signing);
    if json {
        out!(
            "{}",
            json!({ "account": id, "key": public, "marketplace_key": marketplace,
                "verification": "sent" })
        );
    } else {
        out!(
            "account          {id}\nsigning key      {public} ({})",
            key.display()
        );
        out!(
            "marketplace key  {marketplace} (pinned in {}; compare it with what the operator tells you)",
            pin.pins.display()
        );
        out!(
            "a letter to {} holds a link; `veilbourse account verify TOKEN` with what stands behind its # sign verifies the address",
            who.email
        );
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
        Some(f) => {
            let mut text = String::from_utf8(files::read(f)?)
                .with_context(|| format!("{}: not UTF-8", f.display()))?;
            let given: Option<toml::Table> = toml::from_str(&text).ok();
            if given.is_some_and(|t| !t.contains_key("name")) {
                // Top-level keys come before tables.
                let name = toml::Value::from(name.as_deref().unwrap_or(fallback));
                text.insert_str(0, &format!("name = {name}\n"));
            }
            SchemaConfig::from_toml(&text).with_context(|| f.display().to_string())?
        }
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
    encrypt_with(built, k_min, out, &mut crate::rng(None), progress)
}

/// The same with randomness given.
pub fn encrypt_with(
    built: &Built,
    k_min: u64,
    out: &Path,
    rng: &mut impl rand_core::CryptoRng,
    progress: &Bars,
) -> Result<(DatasetFolder, EncryptTimes)> {
    let start = std::time::Instant::now();
    let clock = || start.elapsed().as_secs_f64();
    let made = custodian::prepare(built, rng, &clock, progress)?;
    let folder = DatasetFolder::create(
        out,
        built,
        &made.dataset,
        &made.key,
        &made.proof,
        made.twin_seed,
        k_min.max(1),
    )?;
    let [keygen, encrypt, commit, prove] = made.seconds;
    Ok((
        folder,
        EncryptTimes {
            keygen,
            encrypt,
            commit: commit + prove,
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
        CustodianCommand::Register {
            who,
            pin,
            name,
            key,
        } => register(&who, &pin, &name, &key, "CUSTODIAN", json).await,
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
            seed,
            out,
        } => {
            if out.exists() {
                bail!("--out {}: exists already", out.display());
            }
            let config = schema(file.as_deref(), name, &stem(&data), segment, square)?;
            let built = read_table(&data, &config)?;
            let bars = Bars::new(json);
            if seed.is_some() && !json {
                note!("a dataset whose randomness is known is no secret: for comparisons alone");
            }
            let mut rng = seed.map_or_else(|| crate::rng(None), |s| ChaCha20Rng::from_seed(s.0));
            let (folder, times) = tokio::task::block_in_place(|| {
                encrypt_with(&built, config.suppression.k_min, &out, &mut rng, &bars)
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
            pin,
            dataset,
            key,
            policy,
            openers,
            title,
            description,
        } => {
            let signing = Signing {
                who,
                pin,
                dataset,
                key,
                policy,
                openers,
            };
            list(&signing, &title, &description, json).await
        }
        CustodianCommand::Policy {
            who,
            pin,
            listing,
            dataset,
            key,
            policy,
            openers,
        } => {
            let signing = Signing {
                who,
                pin,
                dataset,
                key,
                policy,
                openers,
            };
            update_policy(&signing, listing.as_deref(), json).await
        }
        CustodianCommand::Deal(a) => deal::run(&a, json),
        CustodianCommand::Withdraw { who, amount } => withdraw(&who, &amount, json).await,
        CustodianCommand::Status { who } => status(&who, json).await,
        CustodianCommand::Set {
            who,
            listing,
            action,
        } => set(&who, &listing, action, json).await,
    }
}

/// What a policy is signed with, and for.
struct Signing {
    who: Who,
    pin: PinArgs,
    dataset: PathBuf,
    key: PathBuf,
    policy: PathBuf,
    openers: OpenersArgs,
}

/// The same, opened.
struct Ready {
    opening: Opening,
    dealer: Option<DealerFolder>,
    session: Session,
    marketplace: Key,
    folder: DatasetFolder,
    policy: PolicyFile,
    key: SigningKey,
}

impl Signing {
    async fn open(&self) -> Result<Ready> {
        let folder = DatasetFolder::open(&self.dataset)?;
        let text = String::from_utf8(files::read(&self.policy)?)?;
        let policy: PolicyFile =
            toml::from_str(&text).with_context(|| self.policy.display().to_string())?;
        let (opening, dealer) = self.opening(&folder, &policy)?;
        let key = signing_key(&self.key, &mut crate::rng(None))?;
        let session = session(&self.who).await?;
        let marketplace = pins::marketplace(&session.server, &self.pin, false).await?;
        let committee = self.openers.committee.as_deref();
        if let Some(file) = committee.map(member::committee).transpose()?
            && file.marketplace != marketplace_id(&marketplace)
        {
            bail!(
                "the committee serves marketplace {}, this is {}; nothing was signed",
                file.marketplace,
                marketplace_id(&marketplace)
            );
        }
        Ok(Ready {
            opening,
            dealer,
            session,
            marketplace,
            folder,
            policy,
            key,
        })
    }
}

impl Signing {
    /// Who opens: as the options say, else the policy file's node.
    fn opening(
        &self,
        folder: &DatasetFolder,
        policy: &PolicyFile,
    ) -> Result<(Opening, Option<DealerFolder>)> {
        let OpenersArgs {
            committee,
            custodian_held,
            rho_limit,
        } = &self.openers;
        if let Some(file) = committee {
            let committee = member::committee(file)?;
            if !DealerFolder::exists(folder) {
                bail!(
                    "no tickets were dealt for {}: run `veilbourse custodian deal` first",
                    self.dataset.display()
                );
            }
            let dealer = DealerFolder::open(folder, &mut crate::rng(None))?;
            let limit = rho_limit.as_deref().map(deal::rho).transpose()?;
            let opening = Opening::committee(&committee, &dealer, limit)?;
            return Ok((opening, Some(dealer)));
        }
        let node = custodian_held.or(policy.node_key);
        let node = node.context(
            "who opens? give --committee FILE, --custodian-held KEY, or node_key in the policy file",
        )?;
        Ok((Opening::held_by(node), None))
    }

    /// The signed policy beside its dataset, for `key-node --policy`.
    fn keep(&self, policy: &Signed<Policy>) -> Result<()> {
        files::replace(&self.dataset.join("policy.json"), &policy.text()?)
    }
}

impl Ready {
    /// The policy for the folder's own dataset, signed.
    fn sign(&self, listing: &Id) -> Result<Signed<Policy>> {
        let body = self.policy.body(
            &self.marketplace,
            listing,
            self.folder.manifest.root(),
            self.opening.clone(),
            crate::clock()(),
        );
        Ok(Signed::sign(body, &self.key)?)
    }
}

impl Ready {
    /// The tickets, sealed to their nodes, on their way (DOC-14).
    async fn deliver(&self, listing: &Id, json: bool) -> Result<()> {
        if let Some(dealer) = &self.dealer {
            dealing::upload(&self.session, listing, dealer, &Bars::new(json)).await?;
        }
        Ok(())
    }
}

async fn list(signing: &Signing, title: &str, description: &str, json: bool) -> Result<()> {
    let ready = signing.open().await?;
    let (session, folder) = (&ready.session, &ready.folder);
    let listing = dataset::draft(session, folder, title, description).await?;
    dataset::upload(&session.server, &listing, folder, &Bars::new(json)).await?;
    let policy = ready.sign(&listing)?;
    ready.deliver(&listing, json).await?;
    dataset::submit(session, &listing, &policy).await?;
    signing.keep(&policy)?;
    if json {
        out!("{}", json!({ "listing": listing, "state": "submitted" }));
    } else {
        out!("listing {listing}: uploaded, verified by the server, submitted for review");
    }
    Ok(())
}

/// The listing of a dataset's folder: the one noted there, or named by its owner.
fn own_listing(noted: Option<Id>, named: Option<&str>) -> Result<Id> {
    let named = named
        .map(|n| Id::parse(n).with_context(|| format!("{n:?} is no listing's id")))
        .transpose()?;
    match (noted, named) {
        (Some(noted), Some(named)) if noted != named => {
            bail!("the folder's dataset is listed as {noted}, not as {named}; nothing was signed")
        }
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => bail!(
            "the folder knows no listing of this account: name it (`custodian status` shows it)"
        ),
    }
}

async fn update_policy(signing: &Signing, named: Option<&str>, json: bool) -> Result<()> {
    let ready = signing.open().await?;
    let session = &ready.session;
    let noted = ready.folder.noted_listing(&session.account);
    let listing = own_listing(noted, named)?;
    // Listing and dataset are the custodian's own words; what the server says
    // must agree, or one dataset's terms are asked for another.
    let listed = veilbourse_client::buyer::listing(session, listing.as_str()).await?;
    let (theirs, own) = (listed.manifest.root(), ready.folder.manifest.root());
    if theirs != own {
        bail!(
            "the server says that listing {listing} is of dataset {theirs}, {} holds {own}; \
             nothing was signed",
            signing.dataset.display()
        );
    }
    let document = "mutation($id: String!, $p: JSON!) { updatePolicy(id: $id, policy: $p) { id } }";
    let policy = ready.sign(&listing)?;
    ready.deliver(&listing, json).await?;
    let variables = json!({ "id": listing, "p": policy });
    session
        .server
        .graphql("updatePolicy", document, variables)
        .await?;
    signing.keep(&policy)?;
    let version = ready.policy.version;
    if json {
        out!(
            "{}",
            json!({ "listing": listing, "policy_version": version })
        );
    } else {
        out!("listing {listing}: policy version {version}");
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
        let id = printable(made["id"].as_str().unwrap_or_default());
        out!(
            "withdrawal {id} of {} credits waits for an admin",
            money(minor)
        );
    }
    Ok(())
}

async fn status(who: &Who, json: bool) -> Result<()> {
    let session = session(who).await?;
    let selection = "id title state reason dataset reveals { values bits valuesLeft bitsLeft }";
    let mine = ", filter: { mine: true }";
    let mut found = market::all(&session.server, "listings", mine, selection).await?;
    // One by one: the tickets of a whole page are more than a query may ask for.
    let one = "query($id: String!) { listing(id: $id) {
        tickets { rhoLimit rhoDealt epsilonDealt delta
            classes { digest name law noiseDeviation dealt spent left }
            dealings { digest quorum epoch class first count next state
                answers { node state code reason } } } } }";
    for l in &mut found {
        let variables = json!({ "id": l["id"] });
        let mut answer = session.server.graphql("listing", one, variables).await?;
        l["tickets"] = answer["tickets"].take();
    }
    let balance = session
        .server
        .graphql("myBalance", "{ myBalance { posted available } }", json!({}))
        .await?;
    if json {
        out!("{}", json!({ "listings": found, "balance": balance }));
        return Ok(());
    }
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    let rows: Vec<_> = found
        .iter()
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
        .collect();
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
    for l in &found {
        deal::show_tickets(l);
    }
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
            printable(done["state"].as_str().unwrap_or_default())
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_its_owner_agree_on_the_listing() {
        let id = |n: u8| Id::parse(&format!("01900000-0000-7000-8000-00000000000{n}"));
        let (a, b) = (id(1).expect("an id"), id(2).expect("an id"));
        let own = |noted, named| own_listing(noted, named).map_err(|e| e.to_string());
        assert_eq!(own(Some(a.clone()), None), Ok(a.clone()));
        assert_eq!(own(Some(a.clone()), Some(a.as_str())), Ok(a.clone()));
        assert_eq!(own(None, Some(b.as_str())), Ok(b.clone()));
        assert!(
            own(Some(a.clone()), Some(b.as_str()))
                .unwrap_err()
                .contains("nothing was signed")
        );
        assert!(own(None, None).is_err() && own(None, Some("x")).is_err());
    }

    #[test]
    fn a_schema_is_named_by_the_option_then_by_itself_then_by_the_table() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("schema.toml");
        let name = |text: &str, option: Option<&str>| {
            std::fs::write(&file, text).expect("writes");
            let made = schema(
                Some(&file),
                option.map(str::to_owned),
                "table",
                None,
                vec![],
            );
            made.map(|c| (c.name, c.bits)).map_err(|e| format!("{e:#}"))
        };
        let named = |n: &str| Ok((n.to_owned(), 8));
        assert_eq!(
            name("name = \"own\"\nbits = 8", Some("option")),
            named("option")
        );
        assert_eq!(name("name = \"own\"\nbits = 8", None), named("own"));
        assert_eq!(name("bits = 8", Some("a \"b\"")), named("a \"b\""));
        let with_table = "bits = 8\n[columns.x]\nunit = \"s\"";
        assert_eq!(name(with_table, None), named("table"));
        assert!(
            name("bitz = 8", None)
                .expect_err("unknown")
                .contains("bitz")
        );
        assert!(
            name("bits = ", None)
                .expect_err("syntax")
                .contains("schema.toml")
        );
    }
}
