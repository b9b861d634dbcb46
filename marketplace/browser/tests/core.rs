//! The core without a page: natively, over a folder.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use std::{
    io::Cursor,
    path::{Path, PathBuf},
    time::Instant,
};
use veilbourse_browser::{Core, CoreError, Environment, Input, Reply};
use veilbourse_client::{http::Silent, vault::Vault};

const PASS: &str = "correct horse battery";

struct Clock(Instant);

impl Environment for Clock {
    fn now(&self) -> u64 {
        1_800_000_000_000
    }
    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
    fn room(&self, _: u64) -> bool {
        true
    }
}

struct World {
    core: Core,
    vault: Option<Vec<u8>>,
}

impl World {
    fn new(folder: &Path) -> Self {
        let rng = ChaCha20Rng::from_seed([3; 32]);
        let clock = Box::new(Clock(Instant::now()));
        Self {
            // Nothing listens there.
            core: Core::new("http://127.0.0.1:9", folder, rng, clock),
            vault: None,
        }
    }

    async fn call(
        &mut self,
        method: &str,
        arguments: Value,
        table: Option<&[u8]>,
        file: Option<Vec<u8>>,
    ) -> Result<Reply, CoreError> {
        let input = table.map(|t| Box::new(Cursor::new(t.to_vec())) as Box<dyn Input>);
        let text = arguments.to_string();
        let reply = self.core.call(method, &text, input, file, &Silent).await?;
        if let Some(bytes) = &reply.vault {
            self.vault = Some(bytes.clone());
        }
        Ok(reply)
    }

    async fn value(&mut self, method: &str, arguments: Value) -> Value {
        let reply = self.call(method, arguments, None, None).await;
        reply.unwrap_or_else(|e| panic!("{method}: {e}")).value
    }

    async fn code(&mut self, method: &str, arguments: Value) -> String {
        match self.call(method, arguments, None, None).await {
            Ok(reply) => panic!("{method} gave {}", reply.value),
            Err(e) => e.code,
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table() -> Vec<u8> {
    std::fs::read(root().join("tests/data/randhie.csv")).expect("the table")
}

/// What the browser's test compares with, written by
/// `VEILBOURSE_WRITE=1 cargo test --release -p veilbourse-browser`.
const EXPECTED: &str = "web-static/tests/determinism.json";

#[tokio::test]
async fn the_same_table_and_seed_give_the_same_root_as_in_a_browser() {
    // DS-10; `web-static/tests/core.mjs` holds the browser's core to the same file.
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(&folder.path().join("datasets"));
    world
        .value("vaultCreate", json!({ "passphrase": PASS }))
        .await;
    let table = table();
    let asked = json!({ "schema": null, "name": "RAND Health Insurance Experiment" });
    let found = world.call("inspect", asked, Some(&table), None).await;
    let mut schema = found.expect("reads").value["schema"].clone();
    schema["segment_by"] = json!(["idp"]);
    schema["second_moments"] = json!({ "squares": ["mdvis"] });
    let seed = "07".repeat(32);
    let asked = json!({ "schema": schema, "seed": seed });
    let made = world
        .call("encrypt", asked.clone(), Some(&table), None)
        .await;
    let made = made.expect("encrypts").value;
    let found = json!({ "schema": schema, "seed": seed, "root": made["root"],
        "values": made["values"] });
    let path = root().join(EXPECTED);
    if std::env::var_os("VEILBOURSE_WRITE").is_some() {
        let text = serde_json::to_string_pretty(&found).expect("text");
        std::fs::write(&path, text + "\n").expect("writes");
    }
    let expected: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("reads")).expect("JSON");
    assert_eq!(found, expected);

    // The draft is there, its key in the vault, and it is not made over.
    let drafts = world.value("drafts", json!({})).await;
    assert_eq!(drafts[0]["root"], made["root"]);
    assert_eq!(drafts[0]["stage"], "list");
    let again = world.call("encrypt", asked, Some(&table), None).await;
    assert_eq!(again.expect_err("refused").code, "STORAGE");
    let vault = Vault::open(&world.vault.clone().expect("stored"), PASS).expect("opens");
    assert_eq!(
        vault.contents.datasets[0].root.to_string(),
        made["root"].as_str().expect("text")
    );
    let name = made["id"].as_str().expect("text");
    let files = world
        .call("exportDataset", json!({ "id": name }), None, None)
        .await
        .expect("exports")
        .files;
    let secret = files
        .iter()
        .find(|f| f.name == "secret.key")
        .expect("there");
    let own = hex::encode(&*vault.contents.datasets[0].data_key.0);
    assert_eq!(secret.bytes, own.into_bytes());
}

#[tokio::test]
async fn calls_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(&folder.path().join("datasets"));
    // VLT-4: nothing of the vault without its passphrase.
    for method in ["signingKey", "drafts", "orders", "vaultExport"] {
        assert_eq!(
            world.code(method, json!({})).await,
            "VAULT_LOCKED",
            "{method}"
        );
    }
    let weak = json!({ "passphrase": "short" });
    assert_eq!(world.code("vaultCreate", weak).await, "PASSPHRASE_WEAK");
    world
        .value("vaultCreate", json!({ "passphrase": PASS }))
        .await;
    // VLT-8: the vault's bytes come with the answer of the call that changed it.
    let made = world.call("signingKey", json!({}), None, None).await;
    let made = made.expect("a key");
    assert!(made.vault.is_some());
    let key = made.value;
    let again = world.call("signingKey", json!({}), None, None).await;
    let again = again.expect("the key");
    assert_eq!((again.value, again.vault), (key.clone(), None));
    let file = world.vault.clone().expect("stored");
    world.value("vaultLock", json!({})).await;
    let wrong = json!({ "passphrase": "correct horse batterz" });
    let refused = world
        .call("vaultUnlock", wrong, None, Some(file.clone()))
        .await;
    assert_eq!(refused.expect_err("refused").code, "VAULT_REFUSED");
    let right = json!({ "passphrase": PASS });
    let open = world.call("vaultUnlock", right, None, Some(file)).await;
    assert_eq!(open.expect("opens").value["keys"][0]["key"], key);

    for (method, arguments, code) in [
        ("nothing", json!({}), "INPUT"),
        ("vaultCreate", json!({}), "INPUT"),
        ("listing", json!({ "id": "x" }), "INPUT"),
        (
            "listing",
            json!({ "id": "01900000-0000-7000-8000-000000000001" }),
            "NETWORK",
        ),
        ("removeDraft", json!({ "id": "../../etc" }), "DRAFT_UNKNOWN"),
        (
            "removeDraft",
            json!({ "id": "0123456789abcdef" }),
            "DRAFT_UNKNOWN",
        ),
        ("runOnTwin", json!({ "fit": "f0" }), "FIT_UNKNOWN"),
        ("sign", json!({ "offer": "o0" }), "FIT_UNKNOWN"),
        ("placeAgain", json!({ "digest": "00" }), "ORDER_UNKNOWN"),
        (
            "open",
            json!({ "order": "01900000-0000-7000-8000-000000000001" }),
            "ORDER_UNKNOWN",
        ),
        ("checkCommittee", json!({ "file": "{}" }), "COMMITTEE"),
        ("inspect", json!({}), "INPUT"),
    ] {
        assert_eq!(world.code(method, arguments).await, code, "{method}");
    }
}

#[tokio::test]
async fn a_table_that_is_refused_still_shows_its_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let asked = json!({ "schema": null, "name": "t" });
    let bad = b"a,b\n1,2\n3,\n";
    let said = world.call("inspect", asked.clone(), Some(bad), None).await;
    let said = said.expect("answers").value;
    assert_eq!(said["refusal"]["column"], "b");
    assert_eq!(said["refusal"]["line"], 3);
    assert_eq!(said["sample"], json!([["1", "2"], ["3", ""]]));
    // No header at all.
    let said = world.call("inspect", asked, Some(b""), None).await;
    let said = said.expect("answers").value;
    assert_eq!(said["refusal"]["code"], "TABLE");
    assert_eq!(said["headers"], json!([]));
}

#[tokio::test]
async fn a_receipt_needs_neither_vault_nor_server() {
    // REC-4
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let bad = Some(b"{}".to_vec());
    let said = world
        .call("verifyReceipt", json!({ "marketplace": null }), None, bad)
        .await
        .expect("answers")
        .value;
    assert_eq!(said["valid"], false);
    assert!(said["rule"].as_str().is_some_and(|r| r.contains('-')));
    // A real one, of a model with private weights.
    let path = root().join("tests/data/receipts/private-weights.json");
    let good = Some(std::fs::read(path).expect("reads"));
    let said = world
        .call("verifyReceipt", json!({ "marketplace": null }), None, good)
        .await
        .expect("answers")
        .value;
    assert_eq!(
        (&said["valid"], &said["srs"]),
        (&json!(true), &json!("dev"))
    );
}
