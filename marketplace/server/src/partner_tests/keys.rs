//! API keys: PAR-1..5.

use super::{World, code};
use serde_json::json;

const ME: &str = "{ me { id } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_shown_once_and_does_what_it_is_for() {
    // PAR-1, PAR-2, PAR-3
    let w = World::start(|_| {}).await;
    let (secret, id) = w.key(&w.buyer, "scopes: [MONEY, MONEY, CATALOGUE]").await;
    assert!(secret.starts_with("vbk_") && secret.len() == 47);
    let me = w.gql(&secret, ME).await;
    assert_eq!(me["data"]["me"]["id"], w.buyer.id.to_string());
    assert_eq!(code(&w.gql(&secret, "{ myBalance { posted } }").await), "");
    let quote = "{ quote(listing: \"x\", program: {}) { digest } }";
    assert_eq!(code(&w.gql(&secret, quote).await), "KEY_SCOPE");
    for entry in [
        "mutation { createApiKey(name: \"x\", scopes: [ORDER]) { secret } }",
        "mutation { revokeApiKey(id: \"x\") }",
        "mutation { logout }",
        "mutation { registerSigningKey(registration: {}) }",
        "{ apiKeys { id } }",
    ] {
        assert_eq!(
            code(&w.gql(&secret, entry).await),
            "KEY_NOT_ALLOWED",
            "{entry}"
        );
    }
    // A scope gives no role, and a route asks for it as a field does.
    let (listing, _) = w.key(&w.buyer, "scopes: [LISTING]").await;
    let create = "mutation { pauseListing(id: \"01900000-0000-7000-8000-000000000000\") { id } }";
    assert_eq!(code(&w.gql(&listing, create).await), "FORBIDDEN");
    let receipt = "/v1/orders/01900000-0000-7000-8000-000000000000/receipt";
    let (status, text) = w.get(Some(&listing), receipt).await;
    assert_eq!(status, 403);
    assert!(text.contains("KEY_SCOPE"), "{text}");
    let (result, _) = w.key(&w.buyer, "scopes: [RESULT]").await;
    assert_eq!(w.get(Some(&result), receipt).await.0, 404);
    // An admin's key is no admin.
    let (admins, _) = w.key(&w.admin, "scopes: [ORDER, MONEY, CATALOGUE]").await;
    let staff = "{ ledgerCheck { balanced } }";
    assert_eq!(code(&w.gql(&w.admin.token, staff).await), "");
    assert_eq!(code(&w.gql(&admins, staff).await), "KEY_NOT_ALLOWED");

    // Shown once: neither the API nor the database has it.
    let listed = w
        .gql(
            &w.buyer.token,
            "{ apiKeys { id name scopes prefix usedToday lastUsedAt } }",
        )
        .await;
    let all = listed["data"]["apiKeys"].as_array().expect("listed");
    let mine = all.iter().find(|k| k["id"] == id).expect("there");
    assert_eq!(mine["scopes"], json!(["CATALOGUE", "MONEY"]));
    assert_eq!(mine["prefix"], secret[..12]);
    assert_eq!(mine["usedToday"], "8");
    assert!(!listed.to_string().contains(&secret));
    for file in std::fs::read_dir(w.dir.path()).expect("a folder") {
        let file = file.expect("a file").path();
        if file.is_file() {
            let bytes = std::fs::read(&file).expect("readable");
            let found = bytes.windows(secret.len()).any(|b| b == secret.as_bytes());
            assert!(!found, "{}", file.display());
        }
    }
    // What was asked for is checked, each with its refusal.
    for (arguments, refusal) in [
        ("scopes: []", "INVALID"),
        ("scopes: [ORDER], expiresAt: \"1\"", "INVALID"),
        ("scopes: [ORDER], expiresAt: \"soon\"", "INVALID"),
        ("scopes: [ORDER], perMinute: 0", "INVALID"),
        ("scopes: [ORDER], perMinute: 6001", "TOO_LARGE"),
        ("scopes: [ORDER], perDay: 5000001", "TOO_LARGE"),
    ] {
        let q = format!("mutation {{ createApiKey(name: \"x\", {arguments}) {{ secret }} }}");
        assert_eq!(
            code(&w.gql(&w.buyer.token, &q).await),
            refusal,
            "{arguments}"
        );
    }
    w.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_end() {
    // PAR-5
    let w = World::start(|_| {}).await;
    let expires = w.now() + 100_000;
    let arguments = format!("scopes: [ORDER], expiresAt: \"{expires}\"");
    let (first, id) = w.key(&w.buyer, &arguments).await;
    let turn = |overlap: u32| {
        format!(
            "mutation {{ rotateApiKey(id: \"{id}\", overlapSeconds: {overlap}) {{ secret key {{ id }} }} }}"
        )
    };
    let theirs = w.gql(&w.custodian.token, &turn(1)).await;
    assert_eq!(code(&theirs), "NOT_FOUND");
    let long = w.gql(&w.buyer.token, &turn(604_801)).await;
    assert_eq!(code(&long), "TOO_LARGE");
    let turned = w.gql(&w.buyer.token, &turn(10)).await;
    let turned = &turned["data"]["rotateApiKey"];
    assert_eq!(turned["key"]["id"], id);
    let second = turned["secret"].as_str().expect("shown").to_owned();
    assert_ne!(first, second);
    for s in [&first, &second] {
        assert_eq!(code(&w.gql(s, ME).await), "");
    }
    w.advance(10_000);
    assert_eq!(code(&w.gql(&first, ME).await), "TOKEN_INVALID");
    assert_eq!(code(&w.gql(&second, ME).await), "");
    // Suspended: dead, on every surface, until the owner is back.
    let store = w.app.store();
    store
        .hold_api_keys(w.buyer.id, true, w.now())
        .await
        .unwrap();
    assert_eq!(code(&w.gql(&second, ME).await), "TOKEN_INVALID");
    let receipt = "/v1/orders/01900000-0000-7000-8000-000000000000/receipt";
    assert_eq!(w.get(Some(&second), receipt).await.0, 401);
    store
        .hold_api_keys(w.buyer.id, false, w.now())
        .await
        .unwrap();
    assert_eq!(code(&w.gql(&second, ME).await), "");
    w.time.store(expires, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(code(&w.gql(&second, ME).await), "TOKEN_INVALID");

    let (third, id) = w.key(&w.buyer, "scopes: [ORDER]").await;
    assert_eq!(code(&w.gql(&third, ME).await), "");
    let end = format!("mutation {{ revokeApiKey(id: \"{id}\") }}");
    assert_eq!(code(&w.gql(&w.custodian.token, &end).await), "NOT_FOUND");
    assert_eq!(code(&w.gql(&w.buyer.token, &end).await), "");
    assert_eq!(code(&w.gql(&third, ME).await), "TOKEN_INVALID");
    assert_eq!(code(&w.gql(&w.buyer.token, &end).await), "ALREADY_DECIDED");
    // What is no key.
    for bad in ["vbk_", "vbk_x", &format!("vbk_{}", "A".repeat(43))] {
        assert_eq!(code(&w.gql(bad, ME).await), "TOKEN_INVALID", "{bad}");
    }
    w.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_a_key_are_counted() {
    // PAR-4
    let w = World::start(|_| {}).await;
    let (secret, _) = w
        .key(&w.buyer, "scopes: [ORDER], perMinute: 5, perDay: 8")
        .await;
    let body = json!({ "query": ME });
    let all = futures::future::join_all((0..20).map(|_| w.post(Some(&secret), &[], &body))).await;
    let good = all.iter().filter(|(status, ..)| *status == 200).count();
    assert_eq!(good, 5);
    let (_, headers, refused) = all.iter().find(|a| a.0 != 200).expect("over");
    assert_eq!(refused["code"], "RATE_LIMITED");
    let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(wait, 60 - w.now() / 1_000 % 60);
    // Routes count, too; a restart forgets nothing.
    w.advance(wait * 1_000);
    let (status, _) = w.get(Some(&secret), "/v1/orders/x/receipt").await;
    assert_eq!(status, 403);
    let w = w.restart().await;
    for _ in 0..2 {
        assert_eq!(w.post(Some(&secret), &[], &body).await.0, 200);
    }
    let (status, headers, _) = w.post(Some(&secret), &[], &body).await;
    let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!((status, wait), (429, 86_400 - w.now() / 1_000 % 86_400));
    // Its owner is not bound by it.
    assert_eq!(w.post(Some(&w.buyer.token), &[], &body).await.0, 200);
    w.advance(wait * 1_000);
    assert_eq!(w.post(Some(&secret), &[], &body).await.0, 200);
    w.stop().await;
}
