//! A buyer's command line from registration to a verified receipt: the
//! marketplace's key stays pinned, the pod is the one named, and an order that
//! was cut off goes on.

use crate::common::{Market, settings};
use serde_json::Value;
use std::{path::Path, process::Command};
use veilbourse::files::{self, PodFile};
use veilbourse_client::market::{self, Decide};
use veilbourse_server::ServerConfig;

pub const MAIL: &str = "cli@test.example";

/// Runs in a folder; the last line as JSON, or what it said on standard error.
pub fn run(dir: &Path, arguments: &[&str]) -> Result<Value, String> {
    let out = Command::new(env!("CARGO_BIN_EXE_veilbourse"))
        .args(arguments)
        .arg("--json")
        .current_dir(dir)
        .env("VEILBOURSE_PASSWORD", "a password for the test")
        .env("VEILBOURSE_EMAIL", MAIL)
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&out.stdout);
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    Ok(serde_json::from_str(text.lines().last().unwrap_or("null")).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_buyer_pins_names_a_pod_and_goes_on_after_a_cut() {
    // The market's clock stands still, the program's is the machine's.
    let config = ServerConfig {
        order_seconds: u32::MAX,
        ..settings()
    };
    let mut m = Market::open(config).await;
    let pod = m.start_pod().await;
    m.start_node();
    let (other, _) = m.world.new_pod("other").await.expect("approved");
    let dir = m.dir.path().join("buyer");
    std::fs::create_dir(&dir).expect("a folder");
    let url = m.world.url.clone();
    let cli = |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        if arguments[0] == "buyer" {
            all.extend(["--server", &url]);
        }
        tokio::task::block_in_place(|| run(&dir, &all))
    };

    // ACC-7: a key learnt elsewhere is held to before there is an account.
    let wrong = "ab".repeat(32);
    let register = ["buyer", "register", "--name", "B"];
    let e = cli(&[&register[..], &["--marketplace", &wrong]].concat()).unwrap_err();
    let own = m.world.marketplace.to_string();
    assert!(e.contains(&wrong) && e.contains(&own), "{e}");
    cli(&register).expect("registers");
    m.world.verify(MAIL).await.expect("verifies");
    let pins = std::fs::read_to_string(dir.join("marketplaces.json")).expect("pinned");
    assert!(pins.contains(&own) && pins.contains(&url), "{pins}");
    let deposit = cli(&["buyer", "deposit", "1000.00"]).expect("asks");
    let id = deposit["deposit"].as_str().expect("an id");
    market::decide(&m.world.admin, Decide::Deposit, id, true, "")
        .await
        .expect("approves");

    // DOC-4: the pod by its key, whatever the marketplace names.
    let ask = ["--listing", m.listing.as_str(), "--stats", "visits"];
    let quote = [&["buyer", "quote"][..], &ask].concat();
    let file: PodFile = files::read_json(&m.dir.path().join("pod.pod")).expect("its file");
    let key = files::public(&file.signing().expect("a key")).to_string();
    let others = files::public(&other.key).to_string();
    let (id, others_id) = (pod.as_str(), other.id.as_str());
    let named = ["--pod", &key, "--pod-id", id];
    let offer = cli(&[&quote[..], &named].concat()).expect("that pod");
    assert_eq!(offer["pod"]["signingKey"], key.as_str());
    assert_eq!(offer["pod"]["id"], id);
    for (key, id) in [(&others, id), (&key, others_id), (&wrong, id)] {
        let e = cli(&[&quote[..], &["--pod", key, "--pod-id", id]].concat()).unwrap_err();
        assert!(e.contains(key) && e.contains(id), "{e}");
    }
    let e = cli(&[&quote[..], &["--pod", &wrong]].concat()).unwrap_err();
    assert!(e.contains(&wrong), "{e}");

    // Statistics have public weights and one value a segment.
    for more in [["--weights", "public"], ["--rows", "each"]] {
        let e = cli(&[&quote[..], &more].concat()).unwrap_err();
        assert!(e.contains("--stats") && e.contains(more[0]), "{e}");
    }

    // Ordered, opened, verified against the marketplace of the ticket.
    let working = [&["buyer", "order"][..], &ask, &named].concat();
    let done = cli(&working).expect("an order");
    let value = |label: &str, segment: &str| {
        let outputs = done["result"]["outputs"].as_array().expect("outputs");
        let one = |o: &&Value| o["label"] == label && o["segment"] == segment;
        let o = outputs.iter().find(one).expect("that output");
        o["values"][0].as_f64().expect("a number")
    };
    let variances = done["result"]["variances"].as_array().expect("variances");
    assert_eq!(variances.len(), 2);
    for v in variances {
        let segment = v["segment"].as_str().expect("a segment");
        let mean = value("mean of visits", segment);
        let expected = value("mean of visits^2", segment) - mean * mean;
        assert!(expected > 0.0 && (v["value"].as_f64().expect("a number") - expected).abs() < 1e-9);
    }
    let order = done["result"]["order"].as_str().expect("an id").to_owned();
    let receipt = done["receipt"].as_str().expect("a path").to_owned();
    let verified = cli(&["verify", &receipt]).expect("verifies");
    assert_eq!(verified["marketplace_expected"], true);
    let folder = Path::new(&receipt).parent().expect("a folder");

    // ORD-2: killed after placing, before the id was noted. `open` places the
    // same order again, which is the same order, and goes on.
    let file = dir.join(folder).join("ticket.json");
    let read = || -> Value {
        serde_json::from_slice(&std::fs::read(&file).expect("reads")).expect("JSON")
    };
    let mut ticket = read();
    assert_eq!(ticket["order_id"], order.as_str());
    ticket["order_id"] = Value::Null;
    std::fs::write(&file, ticket.to_string()).expect("writes");
    let balance = cli(&["buyer", "balance"]).expect("a balance")["balance"].clone();
    let folder = folder.to_str().expect("a path");
    let opened = cli(&["buyer", "open", folder]).expect("opens");
    assert_eq!(opened["result"], done["result"]);
    assert_eq!(read()["order_id"], order.as_str());
    let after = cli(&["buyer", "balance"]).expect("a balance")["balance"].clone();
    assert_eq!(after, balance);

    // The receipt of another marketplace's order is none of this folder.
    ticket["marketplace"] = wrong.as_str().into();
    std::fs::write(&file, ticket.to_string()).expect("writes");
    assert!(cli(&["verify", &receipt]).is_err());
    m.world.stop().await.expect("stops");
}
