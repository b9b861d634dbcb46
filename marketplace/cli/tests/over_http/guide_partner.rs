//! The first part of the partner's guide, run as it is written: every command,
//! every answer that it prints.

use crate::common::{settings, srs};
use std::{net::TcpListener, path::Path, process::Command};
use veilbourse::demo::world::World;
use veilbourse_pod::Circuits;
use veilbourse_server::ServerConfig;

const GUIDE: &str = include_str!("../../../../docs/guides/partner.md");

/// The blocks of a language, up to the catalogue.
fn blocks(language: &str) -> Vec<String> {
    let (part, _) = GUIDE.split_once("\n## Catalogue").expect("the first part");
    let fence = format!("```{language}\n");
    part.split(&fence)
        .skip(1)
        .map(|b| b.split("```").next().expect("it ends").to_owned())
        .collect()
}

/// What the guide says that commands print: a comment line after them.
fn promised(script: &str) -> Vec<String> {
    script
        .lines()
        .filter_map(|l| l.strip_prefix("# "))
        .filter(|l| !l.contains(": "))
        .map(str::to_owned)
        .collect()
}

fn is_id(s: &str) -> bool {
    s.len() == 36 && s.bytes().filter(|b| *b == b'-').count() == 4
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guides_commands_do_what_it_says() {
    for tool in ["bash", "curl", "python3", "sha256sum"] {
        let there = Command::new(tool).arg("--version").output();
        assert!(there.is_ok(), "the guide's commands need {tool}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let config = ServerConfig {
        webhook_allow_private: true,
        ..settings()
    };
    let srs = srs(4);
    let circuits = Circuits::new(srs.clone());
    // The receiver looks at the machine's clock.
    let world = World::start_with(
        dir.path(),
        &srs,
        &circuits,
        &[],
        config,
        veilbourse::clock(),
    )
    .await
    .expect("starts");
    let work = dir.path().join("guide");
    std::fs::create_dir(&work).expect("made");
    let receiver = blocks("python").remove(0);
    assert!(receiver.starts_with("# receiver.py"));
    std::fs::write(work.join("receiver.py"), receiver).expect("written");
    let script = blocks("sh").concat();
    assert!(script.lines().count() > 50);
    let (out, err) = tokio::task::block_in_place(|| run(&work, &world.url, &script));
    let printed: Vec<&str> = out.lines().collect();
    let promised = promised(&script);
    assert_eq!(printed.len(), promised.len(), "{out}\n{promised:?}\n{err}");
    for (found, said) in printed.iter().zip(&promised) {
        assert!(
            found == said || (is_id(found) && is_id(said)),
            "prints {found:?}, the guide says {said:?}\n{err}"
        );
    }
    world.stop().await.expect("stops");
}

fn run(dir: &Path, url: &str, script: &str) -> (String, String) {
    let free = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let out = Command::new("bash")
        .arg("-euo")
        .arg("pipefail")
        .arg("-c")
        .arg(script)
        .current_dir(dir)
        .env("S", url)
        .env("PORT", port.to_string())
        .output()
        .expect("bash runs");
    let text = |b: Vec<u8>| String::from_utf8_lossy(&b).into_owned();
    let (stdout, stderr) = (text(out.stdout), text(out.stderr));
    assert!(out.status.success(), "{stdout}\n{stderr}");
    (stdout, stderr)
}
