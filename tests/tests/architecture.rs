//! The arrows of ARCHITECTURE.md hold: reads `cargo metadata` and compares each
//! crate's own dependencies with the table. No crate declares what it does not use.

use std::{collections::BTreeMap, path::Path, process::Command};

/// crate -> what it may import of ours (normal and build dependencies).
const ARROWS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("eval", &["core"]),
    ("onnx", &["core"]),
    ("tabular", &["core"]),
    ("verifier", &["core"]),
    ("prover", &["verifier", "core", "eval"]),
    ("documents", &["core", "privacy", "protocol"]),
    ("domain", &["documents", "core"]),
    ("migrations", &[]),
    ("mail", &["domain"]),
    ("store", &["domain", "documents", "migrations"]),
    ("graphql", &["domain", "documents", "core"]),
    (
        "server",
        &[
            "core",
            "eval",
            "tabular",
            "verifier",
            "documents",
            "domain",
            "mail",
            "store",
            "graphql",
            "verify",
            "privacy",
            "ticket-store",
            "web",
        ],
    ),
    ("web", &[]),
    ("machine", &["core", "documents"]),
    (
        "pod",
        &["core", "eval", "prover", "verifier", "documents", "machine"],
    ),
    ("privacy", &["core"]),
    ("protocol", &["core", "privacy"]),
    ("peers", &["core", "protocol"]),
    ("ticket-store", &["core", "protocol"]),
    (
        "quorum",
        &["core", "protocol", "peers", "ticket-store", "privacy"],
    ),
    (
        "node",
        &[
            "core",
            "eval",
            "verifier",
            "documents",
            "machine",
            "protocol",
            "peers",
            "quorum",
            "ticket-store",
        ],
    ),
    (
        "client",
        &[
            "core",
            "eval",
            "tabular",
            "verifier",
            "prover",
            "documents",
            "privacy",
            "protocol",
            "ticket-store",
        ],
    ),
    (
        "browser",
        &[
            "client",
            "core",
            "documents",
            "privacy",
            "protocol",
            "tabular",
            "verify",
        ],
    ),
    ("verify", &["core", "verifier", "documents"]),
];

fn metadata(args: &[&str]) -> serde_json::Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let out = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(args)
        .current_dir(veilbourse_tests::root())
        .output()
        .expect("cargo runs");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_slice(&out.stdout).expect("cargo prints JSON")
}

#[test]
fn arrows_of_the_architecture_hold() {
    let meta = metadata(&["--no-deps"]);
    let mut own: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in meta["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name").to_owned();
        let deps = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            .filter(|d| d["kind"].as_str() != Some("dev"))
            .filter_map(|d| {
                d["name"]
                    .as_str()?
                    .strip_prefix("veilbourse-")
                    .map(str::to_owned)
            })
            .collect();
        own.insert(name, deps);
    }
    for (krate, allowed) in ARROWS {
        let deps = own
            .get(&format!("veilbourse-{krate}"))
            .unwrap_or_else(|| panic!("crate veilbourse-{krate} is missing"));
        for d in deps {
            assert!(
                allowed.contains(&d.as_str()),
                "veilbourse-{krate} imports veilbourse-{d}; ARCHITECTURE.md allows {allowed:?}"
            );
        }
    }
    let listed = ARROWS.len() + ["veilbourse", "veilbourse-tests"].len();
    assert_eq!(
        own.len(),
        listed,
        "a crate is missing from the table: {:?}",
        own.keys()
    );
}

#[test]
fn every_declared_dependency_is_used() {
    for package in metadata(&["--no-deps"])["packages"]
        .as_array()
        .expect("packages")
    {
        let manifest = package["manifest_path"].as_str().expect("path");
        let folder = Path::new(manifest).parent().expect("folder");
        let read = |below: &Path| -> String {
            let mut all = String::new();
            for file in veilbourse_tests::files(below, "rs") {
                let text = std::fs::read_to_string(&file).expect("readable");
                // Modules shared between crates' tests.
                for shared in text.split("#[path = \"").skip(1) {
                    let name = shared.split('"').next().expect("a path");
                    let module = file.parent().expect("folder").join(name);
                    for f in veilbourse_tests::files(module.parent().expect("folder"), "rs") {
                        all += &std::fs::read_to_string(f).expect("readable");
                    }
                }
                all += &text;
            }
            all
        };
        let (all, main) = (read(folder), read(&folder.join("src")));
        let build = std::fs::read_to_string(folder.join("build.rs")).unwrap_or_default();
        for d in package["dependencies"].as_array().expect("dependencies") {
            let name = d["name"].as_str().expect("name").replace('-', "_");
            let named = |text: &str| {
                text.match_indices(&name).any(|(at, _)| {
                    let word = |c: char| c.is_alphanumeric() || c == '_';
                    !text[..at].ends_with(word) && !text[at + name.len()..].starts_with(word)
                })
            };
            let text = match d["kind"].as_str() {
                Some("dev") => &all,
                Some("build") => &build,
                _ => &main,
            };
            assert!(named(text), "{manifest} declares {name}, named nowhere");
        }
    }
}

#[test]
fn the_verifier_links_no_prover() {
    // Walks the resolved graph from the small verifier binary.
    let meta = metadata(&[]);
    let nodes = meta["resolve"]["nodes"].as_array().expect("nodes");
    let by_id: BTreeMap<&str, &serde_json::Value> = nodes
        .iter()
        .map(|n| (n["id"].as_str().expect("id"), n))
        .collect();
    let name = |id: &str| {
        meta["packages"]
            .as_array()
            .and_then(|p| p.iter().find(|p| p["id"] == id))
            .and_then(|p| p["name"].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let mut todo: Vec<&str> = by_id
        .keys()
        .copied()
        .filter(|id| name(id) == "veilbourse-verify")
        .collect();
    assert_eq!(todo.len(), 1);
    let mut seen = std::collections::BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dep in by_id[id]["deps"].as_array().expect("deps") {
            // Development dependencies are not linked into the binary.
            let linked = dep["dep_kinds"]
                .as_array()
                .is_some_and(|k| k.iter().any(|k| k["kind"].as_str() != Some("dev")));
            if linked {
                todo.push(dep["pkg"].as_str().expect("pkg"));
            }
        }
    }
    let linked: Vec<String> = seen.iter().map(|id| name(id)).collect();
    for banned in [
        "veilbourse-prover",
        "veilbourse-eval",
        "tfhe",
        "actix-web",
        "sea-orm",
        "tokio",
    ] {
        assert!(
            !linked.iter().any(|n| n == banned),
            "the verifier links {banned}"
        );
    }
}
