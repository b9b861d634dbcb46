//! A page's session over HTTP and websocket: whose requests its cookie opens
//! (ACC-17).

use crate::common::{bare, settings};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use veilbourse_client::market;

const MAIL: &str = "page@test.example";
const PASSWORD: &str = "a password for the test";

/// Opens a websocket with a cookie from an origin; whether it is acknowledged,
/// and then what a subscription is refused with.
async fn socket(url: &str, cookie: &str, origin: Option<&str>) -> Option<String> {
    let mut request = format!("{}/graphql", url.replace("http", "ws"))
        .into_client_request()
        .expect("a URL");
    let headers = request.headers_mut();
    let protocol = "graphql-transport-ws".parse().expect("a value");
    headers.insert("sec-websocket-protocol", protocol);
    headers.insert("cookie", cookie.parse().expect("a value"));
    if let Some(o) = origin {
        headers.insert("origin", o.parse().expect("a value"));
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(request)
        .await
        .expect("connects");
    let mut said = async |v: Value| {
        let sent = socket.send(Message::text(v.to_string())).await;
        sent.ok()?;
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), socket.next());
            match next.await.expect("in time")? {
                Ok(Message::Text(t)) => return serde_json::from_str::<Value>(&t).ok(),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    };
    let ack = said(json!({ "type": "connection_init" })).await?;
    assert_eq!(ack["type"], "connection_ack");
    let id = "01900000-0000-7000-8000-000000000000";
    let query = format!("subscription {{ orderProgress(id: \"{id}\") {{ state }} }}");
    let asked = json!({ "id": "1", "type": "subscribe", "payload": { "query": query } });
    let answer = said(asked).await?;
    let code = &answer["payload"]["errors"][0]["extensions"]["code"];
    Some(code.as_str().unwrap_or("?").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_opens_sockets_of_our_pages_alone() {
    // ACC-17, GQL-4
    let (_dir, world, _) = bare(settings()).await;
    market::register(&world.server, MAIL, "p", PASSWORD, &["BUYER"])
        .await
        .expect("registers");
    world.verify(MAIL).await.expect("verifies");
    let http = reqwest::Client::new();
    let session = format!("{}/v1/session", world.url);
    let body = json!({ "mail": MAIL, "password": PASSWORD });
    let answer = http
        .post(&session)
        .json(&body)
        .send()
        .await
        .expect("answers");
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();

    let (own, evil) = (world.url.as_str(), "https://evil.example");
    let found = socket(own, &cookie, Some(own)).await;
    assert_eq!(found.as_deref(), Some("NOT_FOUND"), "signed in");
    for origin in [None, Some(evil), Some("null"), Some("http://127.0.0.1")] {
        assert_eq!(socket(own, &cookie, origin).await, None, "{origin:?}");
    }
    let ask = async |header: Option<(&str, &str)>| {
        let mut r = http
            .post(format!("{own}/graphql"))
            .header("cookie", &cookie)
            .json(&json!({ "query": "{ me { mail } }" }));
        if let Some((name, value)) = header {
            r = r.header(name, value);
        }
        r.send()
            .await
            .expect("answers")
            .json::<Value>()
            .await
            .expect("JSON")
    };
    let pages = Some(("x-veilbourse", "web"));
    assert_eq!(ask(pages).await["data"]["me"]["mail"], MAIL);
    let refused = ask(None).await;
    assert_eq!(
        refused["errors"][0]["extensions"]["code"],
        "UNAUTHENTICATED"
    );

    // Signed out: cookie and socket are nobody's.
    let out = http.delete(&session).header("cookie", &cookie);
    let out = out
        .header("x-veilbourse", "web")
        .send()
        .await
        .expect("answers");
    assert_eq!(out.status(), 204);
    let refused = ask(pages).await;
    assert_eq!(
        refused["errors"][0]["extensions"]["code"],
        "UNAUTHENTICATED"
    );
    assert_eq!(socket(own, &cookie, Some(own)).await, None);
    world.stop().await.expect("stops");
}
