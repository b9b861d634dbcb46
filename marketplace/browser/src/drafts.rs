//! Datasets encrypted here: on the page's disk under the vault's key, until they are
//! listed, and after (DS-1: what is stored is sent again, nothing is encrypted or
//! dealt twice).

use crate::{
    Core, CoreError, File, Reply,
    core::{Input, id},
    table,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;
use veilbourse_client::{
    custodian,
    dataset::{self, DatasetFolder},
    dealing::DealerFolder,
    disk,
    http::Progress,
    vault::{DatasetEntry, Secret},
};
use veilbourse_core::params::DATA_RING_DIMENSION as N;
use veilbourse_documents::{Id, Policy, Signed};
use zeroize::Zeroizing;

/// Beside a dataset: how far its listing is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Milliseconds since the epoch.
    pub created: u64,
    /// The listing, and the account that it is of.
    pub listing: Option<(Id, Id)>,
    /// Whether the server has every object.
    pub uploaded: bool,
    /// Dealings of which the server has everything.
    pub tickets: Vec<String>,
    /// The newest policy signed here.
    pub policy: Option<Signed<Policy>>,
    /// Whether one was handed in.
    pub submitted: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    pub id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encrypt {
    schema: Value,
    seed: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListingDraft {
    id: String,
    account: String,
    title: String,
    description: String,
}

/// A draft, opened.
pub(crate) struct Draft {
    pub folder: DatasetFolder,
    pub state: State,
    path: PathBuf,
}

impl Draft {
    pub fn save(&self) -> Result<(), CoreError> {
        let text = serde_json::to_vec(&self.state).map_err(|e| CoreError::new("INTERNAL", e))?;
        Ok(disk::replace(&self.path.join("state.json"), &text)?)
    }

    /// Its listing; refused where there is none yet.
    pub fn listing(&self) -> Result<(Id, Id), CoreError> {
        let none =
            || CoreError::new("DRAFT_STATE", "the draft has no listing yet").field("listing");
        self.state.listing.clone().ok_or_else(none)
    }
}

fn seed(text: &str) -> Result<[u8; 32], CoreError> {
    let mut seed = [0u8; 32];
    hex::decode_to_slice(text, &mut seed)
        .map_err(|_| CoreError::input("seed", "expected 64 hex digits"))?;
    Ok(seed)
}

impl Core {
    fn draft_path(&self, id: &str) -> Result<PathBuf, CoreError> {
        self.secrets()?;
        let hex = id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex {
            return Err(CoreError::new("DRAFT_UNKNOWN", "no draft has such a name").value(id));
        }
        Ok(self.folder.join(id))
    }

    pub(crate) fn draft(&self, id: &str) -> Result<Draft, CoreError> {
        let path = self.draft_path(id)?;
        if disk::load(&path.join("manifest.json"))?.is_none() {
            return Err(CoreError::new("DRAFT_UNKNOWN", "there is no such draft here").value(id));
        }
        let folder = DatasetFolder::open(&path)?;
        let state = match disk::load(&path.join("state.json"))? {
            None => State::default(),
            Some(text) => {
                serde_json::from_slice(&text).map_err(|e| CoreError::new("STORAGE", e))?
            }
        };
        Ok(Draft {
            folder,
            state,
            path,
        })
    }

    /// All of them; what an interrupted encryption left is removed: nothing of it
    /// was ever sent.
    pub(crate) fn drafts(&mut self) -> Result<Reply, CoreError> {
        self.secrets()?;
        let mut found = Vec::new();
        for name in disk::folders(&self.folder)? {
            let path = self.draft_path(&name)?;
            if disk::load(&path.join("manifest.json"))?.is_none() {
                disk::erase_folder(&path)?;
                continue;
            }
            let draft = self.draft(&name)?;
            self.remember(&draft)?;
            found.push(self.shown(&name, &draft)?);
        }
        Ok(Value::Array(found).into())
    }

    /// In the vault too, so that a backup has it.
    pub(crate) fn remember(&mut self, draft: &Draft) -> Result<(), CoreError> {
        let root = draft.folder.manifest.root();
        let listing = draft.state.listing.as_ref().map(|(l, _)| l.clone());
        let path = draft.path.join("dealer");
        let hidden = disk::load(&path.join("dealer.key"))?.map(Zeroizing::new);
        let dealer_key = match hidden {
            None => None,
            Some(text) => hex::decode(text.as_slice())
                .ok()
                .map(Zeroizing::new)
                .map(Secret),
        };
        let plan = disk::load(&path.join("plan.json"))?;
        let dealer_plan = plan.and_then(|text| serde_json::from_slice(&text).ok());
        let entry = DatasetEntry {
            root,
            name: draft.folder.manifest.name.clone(),
            created: draft.state.created,
            data_key: Secret(draft.folder.secret()?.encode()),
            dealer_key,
            dealer_plan,
            listing,
        };
        let known = self.secrets()?.dataset(&root);
        if known == Some(&entry) {
            return Ok(());
        }
        let all = &mut self.change()?.datasets;
        match all.iter_mut().find(|d| d.root == root) {
            Some(known) => *known = entry,
            None => all.push(entry),
        }
        Ok(())
    }

    fn shown(&mut self, name: &str, draft: &Draft) -> Result<Value, CoreError> {
        let m = &draft.folder.manifest;
        let objects = objects(draft)?;
        let bytes: u64 = objects.iter().filter_map(|o| o["length"].as_u64()).sum();
        let (mut planned, mut dealt, mut tickets) = (0, 0, 0u64);
        let mut on_server = true;
        if DealerFolder::exists(&draft.folder) {
            let dealer = DealerFolder::open(&draft.folder, &mut self.rng)?;
            planned = dealer.plan().dealings.len();
            for d in dealer.dealt() {
                dealt += 1;
                tickets += d.count;
                on_server &= draft.state.tickets.contains(&d.digest.to_string());
            }
        }
        let state = &draft.state;
        let held = state
            .policy
            .as_ref()
            .is_some_and(|p| p.body.tickets.is_none());
        let stage = match () {
            () if state.listing.is_none() => "list",
            () if !state.uploaded => "upload",
            () if planned > dealt => "deal",
            () if planned == 0 && state.policy.is_none() => "deal",
            () if !held && !on_server => "tickets",
            () if state.policy.is_none() => "policy",
            () if !state.submitted => "submit",
            () => "done",
        };
        Ok(json!({
            "id": name,
            "root": m.root(),
            "name": m.name,
            "rows": m.segments.iter().map(|s| s.rows).sum::<u64>(),
            "columns": m.columns.len(),
            "segments": m.segments.len(),
            "created": state.created,
            "bytes": bytes,
            "objects": objects,
            "stage": stage,
            "listing": state.listing.as_ref().map(|(l, _)| l),
            "uploaded": state.uploaded,
            "dealings": { "planned": planned, "dealt": dealt, "tickets": tickets.to_string(),
                "uploaded": dealt > 0 && on_server },
            "policyVersion": state.policy.as_ref().map(|p| p.body.policy_version),
            "submitted": state.submitted,
        }))
    }

    /// Key, ciphertexts, commitments, proof and twin of a table. Cut off before it
    /// returns, it begins again under another key: nothing of it was ever sent.
    pub(crate) fn encrypt(
        &mut self,
        input: Box<dyn Input>,
        a: Encrypt,
        progress: &dyn Progress,
    ) -> Result<Reply, CoreError> {
        self.secrets()?;
        let started = self.environment.seconds();
        let config = table::schema_of(&a.schema)?;
        progress.step("read", 0, 1);
        let built = table::read(input, &config)?;
        progress.step("read", 1, 1);
        let chunks: u64 = built
            .segments
            .iter()
            .map(|s| s.rows.div_ceil(N as u64))
            .sum();
        // Objects, key, report, manifest, state and the newer of each.
        let files = chunks + 16;
        if !self.environment.room(files) {
            return Err(CoreError::new("NEED_FILES", "more files are needed").value(files));
        }
        let read = self.environment.seconds() - started;
        let mut rng = match &a.seed {
            None => ChaCha20Rng::from_rng(&mut self.rng),
            Some(text) => ChaCha20Rng::from_seed(seed(text)?),
        };
        let clock = || self.environment.seconds();
        let made = custodian::prepare(&built, &mut rng, &clock, progress)?;
        let root = made.dataset.manifest.root();
        let name: String = root.to_string().chars().take(16).collect();
        let path = self.draft_path(&name)?;
        disk::make_folder(&self.folder)?;
        let k_min = config.suppression.k_min.max(1);
        let folder = DatasetFolder::create(
            &path,
            &built,
            &made.dataset,
            &made.key,
            &made.proof,
            made.twin_seed,
            k_min,
        )?;
        let draft = Draft {
            folder,
            state: State {
                created: self.environment.now(),
                ..State::default()
            },
            path,
        };
        draft.save()?;
        self.remember(&draft)?;
        let total = self.environment.seconds() - started;
        let [keygen, encryption, commit, prove] = made.seconds;
        let rows: u64 = built.segments.iter().map(|s| s.rows).sum();
        let values = rows * built.columns.len() as u64;
        let manifest = serde_json::to_value(&draft.folder.manifest)
            .map_err(|e| CoreError::new("INTERNAL", e))?;
        Ok(json!({
            "id": name,
            "root": root,
            "manifest": manifest,
            "objects": objects(&draft)?,
            "values": values,
            "seconds": { "read": read, "encrypt": keygen + encryption, "commit": commit,
                "prove": prove, "total": total },
            "valuesPerSecond": values as f64 / (keygen + encryption + commit + prove).max(1e-9),
        })
        .into())
    }

    /// Erases what is stored of it; the vault keeps its keys.
    pub(crate) fn remove_draft(&mut self, a: &Named) -> Result<Reply, CoreError> {
        let draft = self.draft(&a.id)?;
        self.remember(&draft)?;
        disk::erase_folder(&draft.path)?;
        Ok(Value::Null.into())
    }

    /// The listing's draft at the server: made once.
    pub(crate) async fn listing_draft(&mut self, a: ListingDraft) -> Result<Reply, CoreError> {
        let account = id("account", &a.account)?;
        let mut draft = self.draft(&a.id)?;
        if let Some((listing, of)) = &draft.state.listing
            && *of == account
        {
            return Ok(json!({ "listing": listing }).into());
        }
        let session = self.session(Some(&account))?;
        let listing = dataset::draft(&session, &draft.folder, &a.title, &a.description).await?;
        draft.state.listing = Some((listing.clone(), account));
        draft.save()?;
        self.remember(&draft)?;
        Ok(json!({ "listing": listing }).into())
    }

    /// UP-1: every object, from where the server has it.
    pub(crate) async fn upload(
        &mut self,
        a: &Named,
        progress: &dyn Progress,
    ) -> Result<Reply, CoreError> {
        let mut draft = self.draft(&a.id)?;
        let (listing, _) = draft.listing()?;
        let (total, _) = draft.folder.bytes()?;
        let mut done = 0;
        for name in draft.folder.objects() {
            let file = draft.folder.object(&name);
            let bytes = Bytes {
                before: done,
                total,
                progress,
            };
            self.server
                .upload(listing.as_str(), &name, &file, &bytes)
                .await?;
            done += disk::length_in(&file)?;
            progress.step("upload", done, total);
        }
        draft.state.uploaded = true;
        draft.save()?;
        Ok(json!({ "listing": listing }).into())
    }

    /// What the custodian's own key node takes.
    pub(crate) fn export_dataset(&mut self, a: &Named) -> Result<Reply, CoreError> {
        let draft = self.draft(&a.id)?;
        let secret = hex::encode(&*draft.folder.secret()?.encode());
        let manifest = serde_json::to_vec(&draft.folder.manifest)
            .map_err(|e| CoreError::new("INTERNAL", e))?;
        let file = |name: &str, bytes: Vec<u8>| File {
            name: name.into(),
            media: "application/octet-stream",
            bytes,
        };
        let mut files = vec![
            file("secret.key", secret.into_bytes()),
            file("manifest.json", manifest),
        ];
        if let Some(policy) = &draft.state.policy {
            files.push(file("policy.json", policy.text()?.into_bytes()));
        }
        Ok(Reply {
            value: Value::Null,
            files,
            vault: None,
        })
    }
}

/// An object's progress as a part of all bytes.
struct Bytes<'a> {
    before: u64,
    total: u64,
    progress: &'a dyn Progress,
}

impl Progress for Bytes<'_> {
    fn step(&self, _: &str, done: u64, _: u64) {
        self.progress.step("upload", self.before + done, self.total);
    }
}

fn objects(draft: &Draft) -> Result<Vec<Value>, CoreError> {
    let mut out = Vec::new();
    for name in draft.folder.objects() {
        let length = disk::length_in(&draft.folder.object(&name))?;
        out.push(json!({ "name": name, "length": length }));
    }
    Ok(out)
}
