//! A ceremony of three on the command line, from its start to the SRS that
//! `check` and `verify` know (CER-11), and what comes in between: a wrong head, a
//! changed file, a program that dies, a disk that refuses.

use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_veilbourse"));
    c.args(arguments).arg("--json").current_dir(dir);
    c
}

/// The last line as JSON, or what was said on standard error.
fn run(dir: &Path, arguments: &[&str]) -> Result<Value, String> {
    let out = command(dir, arguments).output().expect("the binary runs");
    let text = String::from_utf8_lossy(&out.stdout);
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    Ok(serde_json::from_str(text.lines().last().unwrap_or("null")).expect("JSON"))
}

fn srs(dir: &Path, arguments: &[&str]) -> Result<Value, String> {
    run(dir, &[&["srs", "ceremony"], arguments].concat())
}

fn text(v: &Value) -> &str {
    v.as_str().expect("text")
}

/// Contributes to `c.bin` as `who`.
fn contribute(dir: &Path, who: &str, more: &[&str]) -> Result<Value, String> {
    let key = format!("{who}.key");
    let common = ["contribute", "c.bin", "--name", who, "--key", &key];
    srs(dir, &[&common[..], more].concat())
}

/// A started ceremony in `c.bin` and the keys of three.
fn started(log_rows: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for who in ["ann", "ben", "cem"] {
        let key = format!("{who}.key");
        run(dir.path(), &["custodian", "keygen", "--key", &key]).expect("a key");
    }
    let purpose = ["--purpose", "tests", "--log-rows", log_rows];
    srs(
        dir.path(),
        &[&["start", "--out", "c.bin"], &purpose[..]].concat(),
    )
    .expect("starts");
    dir
}

#[test]
fn three_make_an_srs() {
    // CER-11, CER-8.
    let folder = started("3");
    let dir = folder.path();
    let e = srs(dir, &["start", "--out", "c.bin", "--purpose", "x"]).unwrap_err();
    assert!(e.contains("is there already"), "{e}");
    let e = contribute(dir, "nobody", &[]).unwrap_err();
    assert!(e.contains("nobody.key") && e.contains("keygen"), "{e}");

    let one = contribute(dir, "ann", &[]).expect("contributes");
    let e = srs(dir, &["finish", "c.bin"]).unwrap_err();
    assert!(
        e.contains("1 contributions, a ceremony has at least 2"),
        "{e}"
    );
    let head = text(&one["ceremony"]["head"]).to_owned();
    let two = contribute(dir, "ben", &["--after", &head]).expect("contributes");
    // Another head than told, a key again, a file that was changed: as it was.
    let before = fs::read(dir.join("c.bin")).expect("reads");
    let e = contribute(dir, "cem", &["--after", &head]).unwrap_err();
    assert!(e.contains("its head is"), "{e}");
    let e = contribute(dir, "ann", &[]).unwrap_err();
    assert!(e.contains("made contribution 1 already"), "{e}");
    assert_eq!(fs::read(dir.join("c.bin")).expect("reads"), before);
    let mut bad = before.clone();
    let at = bad.len() - 100;
    bad[at] ^= 1;
    fs::write(dir.join("bad.bin"), &bad).expect("writes");
    let e = srs(dir, &["verify", "bad.bin"]).unwrap_err();
    assert!(
        e.contains("srs.g2") || e.contains("the string's digest"),
        "{e}"
    );
    // What a disk refuses in the middle leaves the file as it was.
    fs::create_dir(dir.join("c.bin.part")).expect("a folder in the way");
    contribute(dir, "cem", &[]).unwrap_err();
    assert_eq!(fs::read(dir.join("c.bin")).expect("reads"), before);
    fs::remove_dir(dir.join("c.bin.part")).expect("out of the way");
    let three = contribute(dir, "cem", &["--out", "d.bin"]).expect("contributes");
    assert_eq!(fs::read(dir.join("c.bin")).expect("reads"), before);
    assert_ne!(two["ceremony"]["head"], three["ceremony"]["head"]);

    // One name for two files: neither is written.
    let one = ["finish", "d.bin", "--out", "x", "--transcript", "./x"];
    let e = srs(dir, &one).unwrap_err();
    assert!(e.contains("two files"), "{e}");
    assert!(!dir.join("x").exists());
    // Another's transcript in the way stays there; this one's own does not hinder.
    fs::write(dir.join("transcript.bin"), "another's").expect("writes");
    let e = srs(dir, &["finish", "d.bin"]).unwrap_err();
    assert!(e.contains("transcript.bin is there already"), "{e}");
    assert!(!dir.join("srs.bin").exists());
    fs::remove_file(dir.join("transcript.bin")).expect("removes");
    srs(dir, &["finish", "d.bin"]).expect("finishes");
    fs::remove_file(dir.join("srs.bin")).expect("as if it had died between the two");

    let made = srs(dir, &["finish", "d.bin"]).expect("finishes");
    for part in ["srs.bin.part", "transcript.bin.part"] {
        assert!(!dir.join(part).exists(), "{part}");
    }
    assert_eq!(made["provenance"], "ceremony");
    assert_eq!(made["max_degree"], 24);
    let e = srs(dir, &["finish", "d.bin"]).unwrap_err();
    assert!(e.contains("is there already"), "{e}");
    // State, transcript and SRS agree.
    let keys: Vec<String> = made["ceremony"]["contributors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| text(&c["key"]).to_owned())
        .collect();
    assert_eq!(keys.len(), 3);
    for file in ["d.bin", "transcript.bin", "srs.bin"] {
        let found = srs(dir, &["verify", file, "--contributor", &keys[1]]).expect("verifies");
        assert_eq!(found["ceremony"], made["ceremony"], "{file}");
        assert_eq!(found["ceremony"]["srs"], made["srs"], "{file}");
        let stranger = "ab".repeat(32);
        let e = srs(dir, &["verify", file, "--contributor", &stranger]).unwrap_err();
        assert!(e.contains(&stranger), "{e}");
    }
    let checked = run(dir, &["srs", "check", "srs.bin"]).expect("checks");
    assert_eq!(checked["srs"], made["srs"]);
    assert_eq!(checked["ceremony"]["head"], three["ceremony"]["head"]);
    // Neither a dev SRS nor a note is a ceremony's.
    run(dir, &["srs", "dev", "--out", "dev.bin", "--log-rows", "3"]).expect("makes one");
    let e = srs(dir, &["verify", "dev.bin"]).unwrap_err();
    assert!(e.contains("a dev SRS"), "{e}");
    fs::write(dir.join("note"), "hello").expect("writes");
    let e = srs(dir, &["verify", "note"]).unwrap_err();
    assert!(e.contains("neither"), "{e}");
    let e = srs(dir, &["verify", "none.bin"]).unwrap_err();
    assert!(e.contains("none.bin"), "{e}");
}

#[test]
fn a_contribution_that_dies_leaves_the_file_as_it_was() {
    // CER-11.
    let folder = started("13");
    let dir = folder.path();
    let before = fs::read(dir.join("c.bin")).expect("reads");
    for milliseconds in [20, 300, 900] {
        let arguments = ["--name", "ann", "--key", "ann.key"];
        let mut running = command(dir, &["srs", "ceremony", "contribute", "c.bin"])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        std::thread::sleep(Duration::from_millis(milliseconds));
        running.kill().expect("dies");
        let ended = running.wait().expect("ends");
        if ended.success() {
            // It was done before: the file is the next one, whole.
            break;
        }
        assert_eq!(fs::read(dir.join("c.bin")).expect("reads"), before);
    }
    let found = srs(dir, &["verify", "c.bin"]).expect("verifies");
    assert_eq!(found["points"], "checked");
}
