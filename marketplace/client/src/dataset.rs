//! An encrypted dataset as a folder: what is uploaded, and the secret that
//! stays (DS-1: stored bytes are sent again, nothing is encrypted twice).
//!
//! `manifest.json`, `secret.key` (mode 0600), `suppressed.json`, `objects/`.

use crate::{
    ClientError,
    custodian::Dataset,
    disk::{self, write_new},
    http::{Progress, Server},
    market::{Session, id},
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use veilbourse_core::{manifest::Manifest, params::DATA_RING_DIMENSION as N};
use veilbourse_documents::{Id, Policy, Signed};
use veilbourse_eval::SecretKey;
use veilbourse_tabular::{Built, Marginals, Twin};

/// A dataset's folder.
#[derive(Debug, Clone)]
pub struct DatasetFolder {
    path: PathBuf,
    /// Everything that the root D covers.
    pub manifest: Manifest,
}

impl DatasetFolder {
    /// Writes everything into a folder that did not exist. The manifest comes
    /// last: a folder without one is an interrupted write, to be deleted.
    pub fn create(
        path: &Path,
        built: &Built,
        dataset: &Dataset,
        key: &SecretKey,
        listing_proof: &[u8],
        twin_seed: [u8; 32],
        k_min: u64,
    ) -> Result<Self, ClientError> {
        disk::create_folder(path).map_err(|e| ClientError::file(path, e))?;
        let objects = path.join("objects");
        disk::create_folder(&objects).map_err(|e| ClientError::file(&objects, e))?;
        write_new(
            &path.join("secret.key"),
            hex::encode(&*key.encode()).as_bytes(),
            true,
        )?;
        let put = |name: &str, bytes: &[u8]| write_new(&objects.join(name), bytes, false);
        put("public-key", &dataset.encrypted.public_key.encode())?;
        for (s, chunks) in dataset.encrypted.chunks.iter().enumerate() {
            for (c, chunk) in chunks.iter().enumerate() {
                put(&format!("chunk-{s}-{c}"), &chunk.encode())?;
            }
        }
        let sums: Vec<u8> = dataset
            .encrypted
            .sums
            .iter()
            .flat_map(|s| s.encode())
            .collect();
        put("sums", &sums)?;
        put("listing-proof", listing_proof)?;
        let marginals = Marginals::of(built, k_min);
        let twin = Twin::sample(&marginals, twin_seed);
        let csv = twin.to_csv().map_err(|e| ClientError::refused("twin", e))?;
        put("twin.csv", csv.as_bytes())?;
        let note = json!({
            "synthetic": true,
            "label": "synthetic rows, sampled column by column from the marginals below; no row of the data is in it",
            "seed": hex::encode(twin_seed),
            "leaks": marginals.leaks(),
            "suppressed": built.report.suppressed(),
        });
        put("twin.json", note.to_string().as_bytes())?;
        let report = serde_json::to_vec_pretty(&built.report)
            .map_err(|e| ClientError::refused("report", e))?;
        write_new(&path.join("report.json"), &report, false)?;
        let manifest = serde_json::to_vec(&dataset.manifest)
            .map_err(|e| ClientError::refused("manifest", e))?;
        write_new(&path.join("manifest.json"), &manifest, false)?;
        Ok(Self {
            path: path.to_owned(),
            manifest: dataset.manifest.clone(),
        })
    }

    /// Opens a folder.
    pub fn open(path: &Path) -> Result<Self, ClientError> {
        let file = path.join("manifest.json");
        let bytes = disk::read(&file).map_err(|e| ClientError::file(&file, e))?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|e| ClientError::refused("manifest", e))?;
        manifest
            .validate()
            .map_err(|e| ClientError::refused("manifest", e))?;
        Ok(Self {
            path: path.to_owned(),
            manifest,
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The data key: for the custodian's key node, or its dealer, alone.
    pub fn secret(&self) -> Result<SecretKey, ClientError> {
        let file = self.path.join("secret.key");
        let text = zeroize::Zeroizing::new(
            disk::read_to_string(&file).map_err(|e| ClientError::file(&file, e))?,
        );
        let bytes = zeroize::Zeroizing::new(
            hex::decode(text.trim()).map_err(|e| ClientError::refused("secret key", e))?,
        );
        SecretKey::decode(&bytes).map_err(|e| ClientError::refused("secret key", e))
    }

    /// Where an object lies.
    pub fn object(&self, name: &str) -> PathBuf {
        self.path.join("objects").join(name)
    }

    fn note(&self, account: &Id) -> PathBuf {
        self.path.join(format!("listing-{account}.id"))
    }

    /// The listing that [`draft`] made of it for an account.
    pub fn noted_listing(&self, account: &Id) -> Option<Id> {
        let text = disk::read_to_string(&self.note(account)).ok()?;
        Id::parse(text.trim())
    }

    /// Names of the objects that are uploaded.
    pub fn objects(&self) -> Vec<String> {
        let mut out: Vec<String> = [
            "public-key",
            "sums",
            "listing-proof",
            "twin.csv",
            "twin.json",
        ]
        .map(String::from)
        .to_vec();
        for (s, segment) in self.manifest.segments.iter().enumerate() {
            out.extend((0..segment.chunks.len()).map(|c| format!("chunk-{s}-{c}")));
        }
        out
    }

    /// Bytes of all objects, and of the chunks alone.
    pub fn bytes(&self) -> Result<(u64, u64), ClientError> {
        let (mut all, mut chunks) = (0, 0);
        for name in self.objects() {
            let file = self.object(&name);
            let n = disk::length(&file).map_err(|e| ClientError::file(&file, e))?;
            all += n;
            if name.starts_with("chunk-") {
                chunks += n;
            }
        }
        Ok((all, chunks))
    }

    /// Bytes uploaded for each packed slot: a column's place in a chunk.
    pub fn bytes_per_slot(&self) -> Result<f64, ClientError> {
        let chunks: usize = self.manifest.segments.iter().map(|s| s.chunks.len()).sum();
        let slots = chunks * self.manifest.columns.len() * N;
        Ok(self.bytes()?.1 as f64 / slots.max(1) as f64)
    }
}

/// Makes the draft of a listing; its id is noted in the folder, so that an
/// interrupted upload resumes the same draft.
pub async fn draft(
    session: &Session,
    folder: &DatasetFolder,
    title: &str,
    description: &str,
) -> Result<Id, ClientError> {
    if let Some(id) = folder.noted_listing(&session.account) {
        return Ok(id);
    }
    let note = folder.note(&session.account);
    let length = |name: &str| {
        let file = folder.object(name);
        disk::length(&file)
            .map(|n| n.to_string())
            .map_err(|e| ClientError::file(&file, e))
    };
    let mut objects = Vec::new();
    for name in ["listing-proof", "twin.csv", "twin.json"] {
        objects.push(json!({ "name": name, "length": length(name)? }));
    }
    let document = "mutation($t: String!, $d: String!, $m: JSON!, $o: [ObjectLength!]!) {
        createListing(title: $t, description: $d, manifest: $m, objects: $o) { id } }";
    let variables = json!({ "t": title, "d": description, "m": folder.manifest, "o": objects });
    let made = session
        .server
        .graphql("createListing", document, variables)
        .await?;
    let id = id("createListing", &made, "id")?;
    write_new(&note, id.as_str().as_bytes(), false)?;
    Ok(id)
}

/// Uploads every object, from where the server has it (UP-1).
pub async fn upload(
    server: &Server,
    listing: &Id,
    folder: &DatasetFolder,
    progress: &dyn Progress,
) -> Result<(), ClientError> {
    let names = folder.objects();
    let total = names.len() as u64;
    for (name, done) in names.iter().zip(1u64..) {
        server
            .upload(
                listing.as_str(),
                name,
                &folder.object(name),
                &crate::http::Silent,
            )
            .await?;
        progress.step("upload", done, total);
    }
    Ok(())
}

/// Hands in the signed policy: the server verifies everything (UP-3).
pub async fn submit(
    session: &Session,
    listing: &Id,
    policy: &Signed<Policy>,
) -> Result<Value, ClientError> {
    let document = "mutation($id: String!, $p: JSON!) {
        submitListing(id: $id, policy: $p) { id state } }";
    let variables = json!({ "id": listing.as_str(), "p": policy });
    session
        .server
        .graphql("submitListing", document, variables)
        .await
}
