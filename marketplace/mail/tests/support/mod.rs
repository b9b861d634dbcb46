//! A real SMTP server as a process: `relay.py` on aiosmtpd. Where Python has no
//! aiosmtpd, tests that need it say SKIPPED and why.
#![allow(dead_code)]

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../mail/tests/support/relay.py"
);

/// The first Python that has aiosmtpd.
fn python() -> Option<String> {
    let named = std::env::var("VEILBOURSE_TEST_PYTHON").ok();
    let known = ["python3", "/usr/bin/python3"].map(str::to_owned);
    named.into_iter().chain(known).find(|p| {
        let asked = Command::new(p)
            .args(["-c", "import aiosmtpd.smtp"])
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|s| s.success())
    })
}

/// The relay; ends with the test.
pub struct Relay {
    child: Child,
    pub port: u16,
    log: PathBuf,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A letter that the relay took.
#[derive(Debug, Clone)]
pub struct Taken {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

impl Relay {
    /// In a folder of the test; absent, with the reason printed, where it cannot
    /// run.
    pub fn start(test: &str, dir: &Path, options: &[&str]) -> Option<Self> {
        let Some(python) = python() else {
            // Straight to the stream: the test harness captures the macros.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED {test} with an SMTP server: no Python with aiosmtpd (Debian: python3-aiosmtpd)"
            );
            return None;
        };
        let log = dir.join("taken.jsonl");
        let mut child = Command::new(python)
            .arg(SCRIPT)
            .arg(&log)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Some(Self { child, port, log })
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// What it took, in order.
    pub fn taken(&self) -> Vec<Taken> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines()
            .map(|l| {
                let v: serde_json::Value = serde_json::from_str(l).expect("JSON");
                let text = |v: &serde_json::Value| v.as_str().expect("text").to_owned();
                Taken {
                    from: text(&v["from"]),
                    to: v["to"]
                        .as_array()
                        .expect("a list")
                        .iter()
                        .map(text)
                        .collect(),
                    data: text(&v["data"]),
                }
            })
            .collect()
    }
}

/// A certificate for localhost and its key, made by `openssl`; signed by itself.
pub fn certificate(test: &str, dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .stderr(Stdio::null())
        .status();
    if made.is_ok_and(|s| s.success()) {
        return Some((cert, key));
    }
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED {test} over TLS: no openssl to make a certificate"
    );
    None
}
