//! The files of machines: a pod's keys, a key node's folder, accepted keys.

use anyhow::{Context, Result, bail};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    fs,
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};
use veilbourse_client::{dataset::DatasetFolder, market::fresh_key};
use veilbourse_documents::{
    Bytes, CommitteeFile, Id, Key, MemberEntry, SealingSecret, SigningKey, SrsProvenance, SrsRef,
    api::AcceptedKeys, marketplace_id,
};
use veilbourse_eval::SecretKey;
use veilbourse_machine::Identity;
use veilbourse_node::{Dataset, Log, NodeConfig, init, member_entry};
use veilbourse_prover::{linear::PodSecret, srs::Srs};
use veilbourse_server::write_secret;
use veilbourse_verifier::linear::CircuitKey;
use zeroize::Zeroizing;

/// Reads a file with its path in the error.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

/// Reads JSON with its path in the error.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read(path)?).with_context(|| path.display().to_string())
}

fn secret32(text: &str) -> Result<Zeroizing<[u8; 32]>> {
    let mut out = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(text.trim(), out.as_mut()).context("expected 64 hex digits")?;
    Ok(out)
}

/// A signing key's file; made when it does not exist.
pub fn signing_key(path: &Path, rng: &mut impl CryptoRng) -> Result<SigningKey> {
    veilbourse_server::read_or_make_key(path, rng).with_context(|| path.display().to_string())
}

/// The signing key of a machine or a person, which must exist: 64 hex digits, or
/// a pod's file.
pub fn existing_key(path: &Path) -> Result<SigningKey> {
    let text = Zeroizing::new(read(path).context(
        "a key that people know you by; `veilbourse custodian keygen --key FILE` makes one",
    )?);
    if text.starts_with(b"{") {
        let file: PodFile =
            serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        return file.signing();
    }
    let text = std::str::from_utf8(&text).with_context(|| path.display().to_string())?;
    let secret = secret32(text).with_context(|| path.display().to_string())?;
    Ok(SigningKey::from_bytes(&secret))
}

/// Puts a file (mode 0600) in place of an older one: after a crash there is the
/// one or the other, whole.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let next = path.with_extension("new");
    let put = || -> std::io::Result<()> {
        match fs::remove_file(&next) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        write_secret(&next, text)?;
        fs::rename(&next, path)?;
        sync_folder_of(path)
    };
    put().with_context(|| path.display().to_string())
}

/// Puts a public file in place, whole or not at all: written beside it, synced,
/// renamed. What was there before stays until then.
pub fn put_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    beside(path, bytes, |next| fs::rename(next, path)).with_context(|| path.display().to_string())
}

/// The same where nothing is yet, and nothing that came meanwhile is written over.
pub fn put_new(path: &Path, bytes: &[u8]) -> Result<()> {
    beside(path, bytes, |next| {
        match fs::hard_link(next, path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(e),
            // No links on this file system.
            Err(_) if !path.exists() => fs::rename(next, path),
            Err(e) => Err(e),
            Ok(()) => fs::remove_file(next),
        }
    })
    .with_context(|| path.display().to_string())
}

/// Writes a file beside `path`, synced, that `place` puts there.
fn beside(
    path: &Path,
    bytes: &[u8],
    place: impl FnOnce(&Path) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let next = path.with_file_name(name);
    let mut file = fs::File::create(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    place(&next)?;
    sync_folder_of(path)
}

/// Reads a file of at most `limit` bytes (first gate).
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(|| path.display().to_string())?;
    if bytes.len() as u64 > limit {
        bail!("{}: more than {limit} bytes", path.display());
    }
    Ok(bytes)
}

/// Names in a folder are durable only when the folder is synced.
pub fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// The public half.
pub fn public(key: &SigningKey) -> Key {
    Key(key.verifying_key().to_bytes())
}

/// A pod's key file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodFile {
    /// The marketplace, pinned.
    pub marketplace: Key,
    /// Given at registration.
    pub machine: Option<Id>,
    signing: String,
    sealing: String,
    prf: String,
}

impl PodFile {
    /// Fresh secrets, written with mode 0600.
    pub fn create(path: &Path, marketplace: Key, rng: &mut impl CryptoRng) -> Result<Self> {
        let mut secret = || {
            let mut s = Zeroizing::new([0u8; 32]);
            rng.fill_bytes(s.as_mut());
            hex::encode(s.as_ref())
        };
        let file = Self {
            marketplace,
            machine: None,
            signing: secret(),
            sealing: secret(),
            prf: secret(),
        };
        write_secret(path, &Zeroizing::new(serde_json::to_string(&file)?))
            .with_context(|| path.display().to_string())?;
        Ok(file)
    }
    /// Notes the machine id beside the key.
    pub fn set_machine(&mut self, path: &Path, id: Id) -> Result<()> {
        self.machine = Some(id);
        replace(path, &Zeroizing::new(serde_json::to_string(&self)?))
    }
    /// What it signs with.
    pub fn signing(&self) -> Result<SigningKey> {
        Ok(SigningKey::from_bytes(&*secret32(&self.signing)?))
    }
    /// What models are sealed to.
    pub fn sealing(&self) -> Result<SealingSecret> {
        Ok(SealingSecret::from_bytes(*secret32(&self.sealing)?))
    }
    /// What re-randomisation is derived from.
    pub fn prf(&self) -> Result<PodSecret> {
        Ok(PodSecret::new(*secret32(&self.prf)?))
    }
    /// Who it is, as the server knows it.
    pub fn identity(&self, machine: Id) -> Result<Identity> {
        Ok(Identity {
            id: machine,
            key: self.signing()?,
            marketplace: self.marketplace,
        })
    }
}

/// A key node's settings, beside its key, log and datasets.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// The marketplace, pinned.
    pub marketplace: Key,
    /// Given at registration.
    pub machine: Option<Id>,
}

const SEALING: &str = "sealing.key";
const COMMITTEE: &str = "committee.json";

/// A key node's folder.
pub struct NodeFolder(pub PathBuf);

impl NodeFolder {
    /// Makes the folder, its key and its empty log. The settings come last: a
    /// folder that has them was initialised, and must have its log from then on.
    pub fn create(path: &Path, marketplace: Key, rng: &mut impl CryptoRng) -> Result<Self> {
        if path.join("settings.json").exists() {
            bail!("{} is a key node's folder already", path.display());
        }
        fs::create_dir_all(path.join("datasets")).with_context(|| path.display().to_string())?;
        let folder = Self(path.to_owned());
        folder.signing(rng)?;
        Log::create(&folder.log())?;
        let settings = serde_json::to_vec_pretty(&NodeSettings {
            marketplace,
            machine: None,
        })?;
        fs::write(path.join("settings.json"), settings)?;
        Ok(folder)
    }
    /// The same of a committee's node: a sealing key beside the signing key, and
    /// no dataset's key, now or later.
    pub fn create_member(path: &Path, marketplace: Key, rng: &mut impl CryptoRng) -> Result<Self> {
        if path.join("settings.json").exists() {
            bail!("{} is a key node's folder already", path.display());
        }
        fs::create_dir_all(path).with_context(|| path.display().to_string())?;
        let folder = Self(path.to_owned());
        folder.signing(rng)?;
        let mut secret = Zeroizing::new([0u8; 32]);
        rng.fill_bytes(secret.as_mut());
        let text = Zeroizing::new(hex::encode(secret.as_ref()));
        write_secret(&path.join(SEALING), &text).with_context(|| path.display().to_string())?;
        init(path)?;
        let settings = serde_json::to_vec_pretty(&NodeSettings {
            marketplace,
            machine: None,
        })?;
        fs::write(path.join("settings.json"), settings)?;
        Ok(folder)
    }
    /// Whether it is a committee's node.
    pub fn is_member(&self) -> bool {
        self.0.join(SEALING).exists()
    }
    /// What shares are sealed to.
    pub fn sealing(&self) -> Result<SealingSecret> {
        let path = self.0.join(SEALING);
        let text = Zeroizing::new(read(&path)?);
        let text = std::str::from_utf8(&text).with_context(|| path.display().to_string())?;
        let secret = secret32(text).with_context(|| path.display().to_string())?;
        Ok(SealingSecret::from_bytes(*secret))
    }
    /// Its entry in a committee's file.
    pub fn entry(
        &self,
        name: &str,
        address: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<MemberEntry> {
        let marketplace = marketplace_id(&self.settings()?.marketplace);
        let (signing, sealing) = (self.signing(rng)?, self.sealing()?);
        Ok(member_entry(
            name,
            &signing,
            &sealing,
            marketplace,
            address,
        )?)
    }
    /// Takes its seat: notes the committee that it belongs to.
    pub fn seat(&self, committee: &CommitteeFile) -> Result<()> {
        let text = serde_json::to_string_pretty(committee)?;
        replace(&self.0.join(COMMITTEE), &text)
    }
    /// Its committee.
    pub fn committee(&self) -> Result<CommitteeFile> {
        let path = self.0.join(COMMITTEE);
        CommitteeFile::parse(&read(&path)?).with_context(|| path.display().to_string())
    }
    /// What it signs with.
    pub fn signing(&self, rng: &mut impl CryptoRng) -> Result<SigningKey> {
        signing_key(&self.0.join("node.key"), rng)
    }
    /// The pinned marketplace and the machine id.
    pub fn settings(&self) -> Result<NodeSettings> {
        read_json(&self.0.join("settings.json"))
    }
    /// Notes the machine id.
    pub fn set_machine(&self, id: Id) -> Result<()> {
        let settings = NodeSettings {
            marketplace: self.settings()?.marketplace,
            machine: Some(id),
        };
        Ok(fs::write(
            self.0.join("settings.json"),
            serde_json::to_vec_pretty(&settings)?,
        )?)
    }
    /// Takes a dataset's secret in, and whose signature its policies must bear.
    pub fn add(&self, dataset: &DatasetFolder, custodian: &Key) -> Result<()> {
        let folder = self
            .0
            .join("datasets")
            .join(dataset.manifest.root().to_string());
        if folder.exists() {
            bail!("{} is there already", folder.display());
        }
        fs::create_dir_all(&folder)?;
        write_secret(
            &folder.join("secret.key"),
            &Zeroizing::new(hex::encode(&*dataset.secret()?.encode())),
        )?;
        fs::write(folder.join("custodian.pub"), custodian.to_string())?;
        Ok(())
    }
    /// The verifying keys it accepts.
    pub fn accept(&self, keys: &AcceptedKeys) -> Result<()> {
        fs::write(
            self.0.join("accepted-keys.json"),
            serde_json::to_vec_pretty(keys)?,
        )?;
        Ok(())
    }
    /// Everything that the node is told.
    pub fn config(&self, accept_dev_srs: bool, rng: &mut impl CryptoRng) -> Result<NodeConfig> {
        let mut datasets = HashMap::new();
        let held = match fs::read_dir(self.0.join("datasets")) {
            // A committee's node holds no dataset's key.
            Err(e) if e.kind() == ErrorKind::NotFound && self.is_member() => Vec::new(),
            held => held?.collect::<std::io::Result<Vec<_>>>()?,
        };
        for entry in held {
            let path = entry.path();
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            let root = veilbourse_core::digest::Digest::from_hex(name)
                .with_context(|| format!("{}: no dataset root", path.display()))?;
            let text = Zeroizing::new(fs::read_to_string(path.join("secret.key"))?);
            let bytes = Zeroizing::new(hex::decode(text.trim())?);
            let custodian = fs::read_to_string(path.join("custodian.pub"))?;
            datasets.insert(
                root,
                Dataset {
                    secret: SecretKey::decode(&bytes)?,
                    custodian: Key::from_hex(custodian.trim())
                        .with_context(|| format!("{}/custodian.pub", path.display()))?,
                },
            );
        }
        let accepted: AcceptedKeys = read_json(&self.0.join("accepted-keys.json"))?;
        let signing = self.signing(rng)?;
        Ok(NodeConfig::new(
            signing,
            self.settings()?.marketplace,
            datasets,
            accepted,
            accept_dev_srs,
        )?)
    }
    /// The durable log.
    pub fn log(&self) -> PathBuf {
        self.0.join("node.log")
    }
}

/// The file of accepted keys for some circuits under an SRS.
pub fn accepted_keys<'a>(
    srs: &Srs,
    circuits: impl Iterator<Item = &'a CircuitKey>,
) -> AcceptedKeys {
    AcceptedKeys {
        srs: SrsRef {
            digest: srs.digest(),
            provenance: match srs.provenance().claim() {
                None => SrsProvenance::Dev,
                Some(c) => SrsProvenance::Ceremony {
                    transcript: c.transcript,
                    contributors: c.contributors,
                },
            },
        },
        ceremony: (srs.provenance().transcript()).map(|t| Bytes(t.encode())),
        keys: circuits.map(|c| Bytes(c.encode())).collect(),
    }
}

/// A fresh signing key in a new file.
pub fn new_signing_key(path: &Path, rng: &mut impl CryptoRng) -> Result<SigningKey> {
    let key = fresh_key(rng);
    write_secret(path, &Zeroizing::new(hex::encode(key.as_bytes())))
        .with_context(|| path.display().to_string())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_after_a_crash_in_the_middle() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("ticket.json");
        // Left by a crash before the rename: it is no obstacle and no content.
        fs::write(dir.path().join("ticket.new"), "half").expect("writes");
        for text in ["first", "second"] {
            replace(&path, text).expect("replaces");
            assert_eq!(fs::read_to_string(&path).expect("reads"), text);
            assert!(!dir.path().join("ticket.new").exists());
        }
        assert!(sync_folder_of(Path::new("here")).is_ok());
    }

    #[test]
    fn a_pod_keeps_its_secrets() {
        // POD-4: the same re-randomisation secret after a restart, for its owner alone.
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("pod.key");
        let mut rng = crate::rng(Some(1));
        let mut made = PodFile::create(&path, Key([1; 32]), &mut rng).expect("new");
        assert!(
            PodFile::create(&path, Key([1; 32]), &mut rng).is_err(),
            "never overwritten"
        );
        let id = Id::parse("01900000-0000-7000-8000-000000000000").expect("an id");
        made.set_machine(&path, id.clone()).expect("noted");
        let read: PodFile = read_json(&path).expect("reads");
        assert_eq!(
            (&read.prf, &read.sealing, &read.signing),
            (&made.prf, &made.sealing, &made.signing)
        );
        assert_eq!(read.machine, Some(id));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
