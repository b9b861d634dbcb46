//! `veilbourse market` as a process (WEB-7): it opens, serves the app, keeps what
//! it has over a restart, and lets nobody else into its folder.

use crate::common::{Running, running, srs};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};
use veilbourse::files::accepted_keys;
use veilbourse_client::{http::Server, market};

fn command(dir: &Path) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_veilbourse"));
    c.args(["market", "--json", "--listen", "127.0.0.1:0", "--dir"])
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    c
}

/// The running market, and what it said of itself.
fn open(dir: &Path) -> (Running, Value) {
    let (running, line) = running(command(dir).spawn().expect("the binary runs"));
    let said = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
    (running, said)
}

/// Whom the admin sees: machines by key with their decisions, and the committee.
async fn state(said: &Value) -> (Vec<(String, String)>, Value) {
    let server = Server::new(said["listening"].as_str().expect("a URL"));
    let file = fs::read(said["passwords"].as_str().expect("a path")).expect("readable");
    let passwords: Value = serde_json::from_slice(&file).expect("JSON");
    let text = |v: &Value| v.as_str().expect("text").to_owned();
    let admin = &passwords["admin"];
    let session = market::login(&server, &text(&admin["mail"]), &text(&admin["password"]))
        .await
        .expect("signs in");
    let found = market::all(&session.server, "machines", "", "signingKey decision")
        .await
        .expect("a list");
    let mut machines: Vec<_> = found
        .iter()
        .map(|m| (text(&m["signingKey"]), text(&m["decision"])))
        .collect();
    machines.sort();
    let file = Path::new(said["dir"].as_str().expect("a path")).join("committee.json");
    let committee = serde_json::from_slice(&fs::read(file).expect("readable")).expect("JSON");
    (machines, committee)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_opens_and_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    // A small string in place of the one that takes a minute to make.
    let (srs, keys) = (srs(4), std::iter::empty());
    fs::write(dir.path().join("srs-dev.bin"), srs.encode()).expect("writes");
    let accepted = serde_json::to_vec(&accepted_keys(&srs, keys)).expect("JSON");
    fs::write(dir.path().join("accepted-keys.json"), accepted).expect("writes");

    let (first, said) = open(dir.path());
    let url = said["listening"].as_str().expect("a URL");
    let page = reqwest::get(url).await.expect("answers");
    assert!(page.headers().contains_key("content-security-policy"));
    assert!(
        page.text()
            .await
            .expect("text")
            .starts_with("<!doctype html>")
    );
    let (machines, committee) = state(&said).await;
    assert_eq!(machines.len(), 4, "a pod and three nodes");
    assert!(machines.iter().all(|(_, decision)| decision == "approved"));
    assert_eq!(
        (&committee["threshold"], said["committee"]["nodes"].as_u64()),
        (&json!(2), Some(3))
    );

    // One process a folder; a committee stays what it is; loopback alone.
    let refused = |arguments: &[&str]| {
        let out = command(dir.path()).args(arguments).output().expect("runs");
        assert!(!out.status.success());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let other = refused(&[]);
    assert!(other.contains("another market runs in it"), "{other}");
    drop(first);
    let other = refused(&["--committee", "5:3"]);
    assert!(other.contains("has one of 3:2 already"), "{other}");

    // The same machines and the same committee at the same addresses.
    let (second, said) = open(dir.path());
    assert_eq!(state(&said).await, (machines, committee));
    drop(second);
}
