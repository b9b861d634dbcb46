//! `veilbourse vault ...`: the file in which a browser keeps a person's secrets, read
//! and made here (VLT).

use crate::{
    buyer::Kept,
    files::{self, existing_key, read_limited},
    show::table,
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use veilbourse_client::{
    dataset::DatasetFolder,
    vault::{Contents, DatasetEntry, MAX_VAULT_BYTES, OrderEntry, Secret, SigningEntry, Vault},
};
use veilbourse_documents::Key;
use veilbourse_server::write_secret;
use veilbourse_verify::terminal::printable;
use zeroize::Zeroizing;

/// What opens a vault.
#[derive(Debug, Args, Clone)]
pub struct Opens {
    /// The passphrase; better given in the environment than on the command line.
    #[arg(long, env = "VEILBOURSE_VAULT_PASSPHRASE", hide_env_values = true)]
    pub passphrase: String,
}

/// `veilbourse vault ...`.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// What a vault holds: names and public halves, no secrets.
    Show {
        /// The vault.
        file: PathBuf,
        /// The passphrase.
        #[command(flatten)]
        opens: Opens,
    },
    /// Puts keys, datasets' secrets and orders into a vault, for a browser to import.
    Export {
        /// The vault; must not exist.
        #[arg(long)]
        out: PathBuf,
        /// Signing keys.
        #[arg(long)]
        key: Vec<PathBuf>,
        /// Datasets' folders: their data key, dealer's secret and plan.
        #[arg(long)]
        dataset: Vec<PathBuf>,
        /// Orders' folders: their tickets.
        #[arg(long)]
        order: Vec<PathBuf>,
        /// Marketplaces' keys as they are pinned.
        #[arg(long)]
        pins: Option<PathBuf>,
        /// The passphrase.
        #[command(flatten)]
        opens: Opens,
    },
    /// Takes everything out of a vault, as the files that other commands read.
    Import {
        /// The vault.
        file: PathBuf,
        /// Folder to write; must not exist.
        #[arg(long)]
        out: PathBuf,
        /// The passphrase.
        #[command(flatten)]
        opens: Opens,
    },
}

fn open(file: &Path, opens: &Opens) -> Result<Vault> {
    let bytes = read_limited(file, MAX_VAULT_BYTES)?;
    Vault::open(&bytes, &opens.passphrase).with_context(|| file.display().to_string())
}

/// `veilbourse vault ...`.
pub fn run(command: &VaultCommand, json: bool) -> Result<()> {
    match command {
        VaultCommand::Show { file, opens } => show(&open(file, opens)?, json),
        VaultCommand::Export {
            out,
            key,
            dataset,
            order,
            pins,
            opens,
        } => {
            let contents = gathered(key, dataset, order, pins.as_deref())?;
            let counts = [
                contents.keys.len(),
                contents.datasets.len(),
                contents.orders.len(),
            ];
            let mut rng = crate::rng(None);
            let vault = Vault::create(&opens.passphrase, contents, &mut rng)?;
            files::put_new(out, &vault.seal(&mut rng)?)?;
            said(counts, out, json);
            Ok(())
        }
        VaultCommand::Import { file, out, opens } => {
            let vault = open(file, opens)?;
            let c = &vault.contents;
            spread(c, out)?;
            said([c.keys.len(), c.datasets.len(), c.orders.len()], out, json);
            Ok(())
        }
    }
}

fn said([keys, datasets, orders]: [usize; 3], out: &Path, json: bool) {
    if json {
        out!(
            "{}",
            json!({ "keys": keys, "datasets": datasets, "orders": orders, "out": out })
        );
    } else {
        out!(
            "{keys} signing keys, {datasets} datasets' secrets, {orders} orders in {}",
            out.display()
        );
    }
}

fn show(vault: &Vault, json: bool) -> Result<()> {
    let (c, kdf) = (&vault.contents, vault.kdf());
    let mut orders = Vec::new();
    for o in &c.orders {
        orders.push(
            json!({ "digest": o.digest()?, "id": o.ticket.order_id, "kind": o.kind,
            "listing": o.ticket.order.body.listing, "dataset": o.ticket.manifest.name }),
        );
    }
    if json {
        let keys: Vec<Value> = c
            .keys
            .iter()
            .map(|k| json!({ "key": k.key, "name": k.name, "accounts": k.accounts }))
            .collect();
        let datasets: Vec<Value> = c
            .datasets
            .iter()
            .map(|d| {
                json!({ "root": d.root, "name": d.name, "listing": d.listing,
                    "dealt": d.dealer_plan.is_some() })
            })
            .collect();
        out!(
            "{}",
            json!({ "keys": keys, "marketplaces": c.pins, "datasets": datasets,
                "orders": orders, "unsaved": c.unsaved,
                "kdf": { "memory_kib": kdf.memory_kib, "passes": kdf.passes,
                    "lanes": kdf.lanes } })
        );
        return Ok(());
    }
    out!(
        "Argon2id, {} MiB, {} passes, {} lanes",
        kdf.memory_kib >> 10,
        kdf.passes,
        kdf.lanes
    );
    let keys: Vec<Vec<String>> = c
        .keys
        .iter()
        .map(|k| {
            let accounts: Vec<String> = k.accounts.iter().map(ToString::to_string).collect();
            vec![printable(&k.name), k.key.to_string(), accounts.join(" ")]
        })
        .collect();
    out!(
        "{}",
        table(&["signing key", "public half", "accounts"], &keys)
    );
    let datasets: Vec<Vec<String>> = c
        .datasets
        .iter()
        .map(|d| {
            let listing = d.listing.as_ref().map(ToString::to_string);
            vec![
                printable(&d.name),
                d.root.to_string(),
                listing.unwrap_or_else(|| "-".into()),
            ]
        })
        .collect();
    out!("{}", table(&["dataset", "root", "listing"], &datasets));
    let text = |v: &Value| printable(v.as_str().unwrap_or("not placed"));
    let rows: Vec<Vec<String>> = orders
        .iter()
        .map(|o| {
            ["id", "kind", "dataset", "listing"]
                .map(|f| text(&o[f]))
                .into()
        })
        .collect();
    out!("{}", table(&["order", "kind", "dataset", "listing"], &rows));
    for (server, key) in &c.pins {
        out!("  marketplace {key} at {}", printable(server));
    }
    Ok(())
}

/// The contents of a vault from files.
fn gathered(
    keys: &[PathBuf],
    datasets: &[PathBuf],
    orders: &[PathBuf],
    pins: Option<&Path>,
) -> Result<Contents> {
    let now = crate::clock()();
    let mut c = Contents::new(&mut crate::rng(None));
    for path in keys {
        let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or("key");
        let key = existing_key(path)?;
        c.keys.push(SigningEntry::of(name, now, &key));
    }
    for path in datasets {
        let folder = DatasetFolder::open(path)?;
        let dealer = path.join("dealer");
        let read = |name: &str| -> Result<Option<Zeroizing<Vec<u8>>>> {
            let file = dealer.join(name);
            match file.exists() {
                true => Ok(Some(Zeroizing::new(files::read(&file)?))),
                false => Ok(None),
            }
        };
        let hidden = |text: Zeroizing<Vec<u8>>| -> Result<Secret> {
            let bytes = hex::decode(text.trim_ascii()).context("dealer.key")?;
            Ok(Secret(Zeroizing::new(bytes)))
        };
        let plan = read("plan.json")?.map(|t| serde_json::from_slice(&t));
        c.datasets.push(DatasetEntry {
            root: folder.manifest.root(),
            name: folder.manifest.name.clone(),
            created: now,
            data_key: Secret(folder.secret()?.encode()),
            dealer_key: read("dealer.key")?.map(hidden).transpose()?,
            dealer_plan: plan.transpose().context("plan.json")?,
            listing: None,
        });
    }
    for path in orders {
        let kept = Kept::read(path)?;
        if kept.joint {
            bail!("{}: a joint order has no place in a vault", path.display());
        }
        for ticket in kept.tickets {
            c.orders.push(OrderEntry {
                ticket,
                kind: "statistics".into(),
                created: now,
                opened: false,
                ask: None,
            });
        }
    }
    if let Some(path) = pins {
        let read: BTreeMap<String, Key> = files::read_json(path)?;
        c.pins.extend(read);
    }
    Ok(c)
}

/// A vault's contents as files.
fn spread(c: &Contents, out: &Path) -> Result<()> {
    let folder = |path: &Path| -> Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(path)
            .with_context(|| path.display().to_string())
    };
    let put = |path: PathBuf, text: &str| {
        write_secret(&path, text).with_context(|| path.display().to_string())
    };
    let short = |text: String| text.chars().take(16).collect::<String>();
    folder(out)?;
    for part in ["keys", "datasets", "orders"] {
        folder(&out.join(part))?;
    }
    for k in &c.keys {
        let name = format!("{}.key", short(k.key.to_string()));
        let seed = Zeroizing::new(hex::encode(k.signing()?.to_bytes()));
        put(out.join("keys").join(name), &seed)?;
    }
    for d in &c.datasets {
        let place = out.join("datasets").join(short(d.root.to_string()));
        folder(&place)?;
        put(
            place.join("secret.key"),
            &Zeroizing::new(hex::encode(&*d.data_key.0)),
        )?;
        if let Some(key) = &d.dealer_key {
            put(
                place.join("dealer.key"),
                &Zeroizing::new(hex::encode(&*key.0)),
            )?;
        }
        if let Some(plan) = &d.dealer_plan {
            put(
                place.join("plan.json"),
                &serde_json::to_string_pretty(plan)?,
            )?;
        }
    }
    for o in &c.orders {
        let place = out.join("orders").join(short(o.digest()?.to_string()));
        folder(&place)?;
        let ticket = Zeroizing::new(serde_json::to_string(&o.ticket)?);
        put(place.join("ticket.json"), &ticket)?;
    }
    put(
        out.join("marketplaces.json"),
        &serde_json::to_string_pretty(&c.pins)?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::new_signing_key;

    #[test]
    fn what_goes_into_a_vault_comes_out_again() {
        // VLT-4, VLT-5: through the file, with the command's own functions.
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        let mut rng = crate::rng(Some(1));
        let key = new_signing_key(&at("buyer.key"), &mut rng).expect("made");
        let pins = BTreeMap::from([("http://m".to_owned(), files::public(&key))]);
        fs::write(at("pins.json"), serde_json::to_string(&pins).expect("text")).expect("writes");
        let opens = Opens {
            passphrase: "correct horse battery".into(),
        };
        let export = VaultCommand::Export {
            out: at("mine.vault"),
            key: vec![at("buyer.key")],
            dataset: Vec::new(),
            order: Vec::new(),
            pins: Some(at("pins.json")),
            opens: opens.clone(),
        };
        run(&export, true).expect("exports");
        assert!(run(&export, true).is_err(), "never written over");
        let wrong = Opens {
            passphrase: "another passphrase".into(),
        };
        let show = |opens: &Opens| {
            run(
                &VaultCommand::Show {
                    file: at("mine.vault"),
                    opens: opens.clone(),
                },
                false,
            )
        };
        show(&opens).expect("shows");
        let e = format!("{:#}", show(&wrong).expect_err("refused"));
        assert!(e.contains("wrong, or the file is damaged"), "{e}");
        let import = VaultCommand::Import {
            file: at("mine.vault"),
            out: at("out"),
            opens,
        };
        run(&import, true).expect("imports");
        let name = files::public(&key).to_string();
        let path = at("out/keys").join(format!("{}.key", &name[..16]));
        let back = existing_key(&path).expect("reads");
        assert_eq!(back.to_bytes(), key.to_bytes());
        let pinned: BTreeMap<String, Key> =
            files::read_json(&at("out/marketplaces.json")).expect("reads");
        assert_eq!(pinned, pins);
    }
}
