//! The web app over HTTP: pages, assets, what is no page (WEB-1..4), and the
//! committees that are put up (WEB-8).

use crate::common::{bare, settings};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use veilbourse::demo::custody::Committee;

/// The head of the answer to a path that no client would send as it is.
async fn raw(url: &str, path: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(address)
        .await
        .expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("sends");
    let mut text = String::new();
    socket.read_to_string(&mut text).await.expect("answers");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_assets_and_nothing_else() {
    let (_dir, world, _) = bare(settings()).await;
    let client = Client::new();
    let url = |path: &str| format!("{}{path}", world.url);
    // WEB-4: a page, whole and as its head alone.
    let page = client
        .get(url("/listings/x/query"))
        .send()
        .await
        .expect("answers");
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .expect("text");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let (tag, length) = (
        page.headers()["etag"].clone(),
        page.headers()["content-length"].clone(),
    );
    let body = page.text().await.expect("text");
    assert!(body.starts_with("<!doctype html>"));
    let head = client.head(url("/")).send().await.expect("answers");
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-length"], length);
    assert!(head.bytes().await.expect("none").is_empty());
    // WEB-3: what is held is not sent again; encodings.
    let held = client
        .get(url("/"))
        .header("if-none-match", tag)
        .send()
        .await
        .expect("answers");
    assert_eq!(held.status(), StatusCode::NOT_MODIFIED);
    assert!(held.bytes().await.expect("none").is_empty());
    let packed = client
        .get(url("/assets/app.js"))
        .header("accept-encoding", "br;q=0.5, gzip")
        .send()
        .await
        .expect("answers");
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(
        packed.headers()["content-type"],
        "text/javascript; charset=utf-8"
    );
    // WEB-1: nothing but the files, however the path is written.
    for path in [
        "/assets/../../../etc/passwd",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e/index.html",
        "/assets/nothing.js",
        "/assets/",
        "/index.html",
        "/listings/a/b",
        "/listings/..",
        "/v1/nothing",
        "/v1/",
        "/nothing",
        "//promise",
    ] {
        let answer = raw(&world.url, path).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(
            answer.contains(veilbourse_server::NO_ROUTE),
            "{path}: {answer}"
        );
    }
    // Other methods are no route of the site's.
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        for path in ["/", "/promise", "/assets/app.js"] {
            let answer = client
                .request(method.clone(), url(path))
                .send()
                .await
                .expect("answers");
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method} {path}");
            let said: Value = answer.json().await.expect("JSON");
            assert_eq!(said["code"], veilbourse_server::NO_ROUTE);
        }
    }
    world.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committees_are_those_that_were_put_up() {
    // WEB-8
    let (dir, world, _) = bare(settings()).await;
    let custodian = world
        .person("c@test.example", "c", "CUSTODIAN")
        .await
        .expect("registers");
    let server = &custodian.session.server;
    let asked = "{ committees { name threshold nodes { name signingKey } file } }";
    let ask = async || {
        server
            .graphql("committees", asked, json!({}))
            .await
            .expect("answers")
    };
    assert_eq!(ask().await, json!([]));
    let committee = Committee::start(&world, "3:2".parse().expect("a size"))
        .await
        .expect("starts");
    let folder = dir.path().join("server/committees");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = serde_json::to_value(&committee.file).expect("JSON");
    let put = |name: &str, value: &Value| {
        std::fs::write(folder.join(name), value.to_string()).expect("writes");
    };
    put("clinics.json", &file);
    // Of another marketplace; with a sealing key that its node did not sign; no file
    // of a committee; too long; of another kind.
    let (mut other, mut forged) = (file.clone(), file.clone());
    other["marketplace"] = json!("0".repeat(64));
    let sealing = file["nodes"][1]["sealing_key"].clone();
    forged["nodes"][0]["sealing_key"] = sealing;
    put("other.json", &other);
    put("forged.json", &forged);
    put("nothing.json", &json!({}));
    put("long.json", &json!("x".repeat(70_000)));
    put("notes.txt", &file);
    let found = ask().await;
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found[0]["name"], "clinics");
    assert_eq!(found[0]["threshold"], 2);
    assert_eq!(found[0]["file"], file);
    assert_eq!(
        found[0]["nodes"][2]["signingKey"],
        file["nodes"][2]["signing_key"]
    );
    committee.stop().await;
    world.stop().await.expect("stops");
}
