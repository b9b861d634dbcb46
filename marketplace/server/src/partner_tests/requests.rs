//! Registered documents, requests done once, the schema as a subgraph: PAR-6..8,
//! PAR-15.

use super::{World, code};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use veilbourse_domain::{
    Digest,
    id::ListingId,
    listing::{Listing, ListingState},
};

fn sha(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn by(id: &str) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": id } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_by_their_digest() {
    // PAR-6
    let w = World::start(|_| {}).await;
    let text = "query Q($n: Int) { listings(first: $n) { nodes { id } } }";
    let ask = async |token: Option<&str>, body: Value| w.post(token, &[], &body).await;
    let only = json!({ "extensions": by(&sha(text)) });
    let (status, _, first) = ask(None, only.clone()).await;
    assert_eq!(
        (status, code(&first)),
        (200, "PERSISTED_QUERY_NOT_FOUND".into())
    );
    assert_eq!(first["errors"][0]["message"], "PersistedQueryNotFound");
    let wrong = json!({ "query": text, "extensions": by(&sha("{ me { id } }")) });
    let (.., refused) = ask(None, wrong).await;
    assert_eq!(code(&refused), "INVALID");
    assert_eq!(
        code(&ask(None, only.clone()).await.2),
        "PERSISTED_QUERY_NOT_FOUND"
    );
    // With text and digest once, then by the digest, variables and all.
    let both = json!({ "query": text, "extensions": by(&sha(text)) });
    assert_eq!(code(&ask(None, both).await.2), "");
    assert_eq!(code(&ask(None, only.clone()).await.2), "");
    let mut many = only.clone();
    many["variables"] = json!({ "n": 101 });
    assert_eq!(code(&ask(None, many).await.2), "TOO_LARGE");
    let w = w.restart().await;
    let (.., gone) = w.post(None, &[], &only).await;
    assert_eq!(code(&gone), "PERSISTED_QUERY_NOT_FOUND", "not durable");
    // Registered: durable, and the account's own.
    let register = "mutation($d: String!) { registerPersistedQuery(document: $d) { id } }";
    let body = json!({ "query": register, "variables": { "d": text } });
    let (.., made) = w.post(Some(&w.buyer.token), &[], &body).await;
    assert_eq!(made["data"]["registerPersistedQuery"]["id"], sha(text));
    let bad = json!({ "query": register, "variables": { "d": "{ unclosed" } });
    assert_eq!(
        code(&w.post(Some(&w.buyer.token), &[], &bad).await.2),
        "INVALID"
    );
    let w = w.restart().await;
    assert_eq!(code(&w.post(Some(&w.buyer.token), &[], &only).await.2), "");
    let theirs = w.post(Some(&w.custodian.token), &[], &only).await.2;
    assert_eq!(code(&theirs), "PERSISTED_QUERY_NOT_FOUND");
    w.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_registered_documents() {
    // PAR-7
    let w = World::start(|_| {}).await;
    let (secret, _) = w
        .key(&w.buyer, "scopes: [CATALOGUE], persistedOnly: true")
        .await;
    let text = "{ marketplace { id } }";
    let plain = json!({ "query": text });
    let hash = json!({ "extensions": by(&sha(text)) });
    let both = json!({ "query": text, "extensions": by(&sha(text)) });
    // Somebody else may have sent it with its digest: that registers nothing.
    assert_eq!(code(&w.post(None, &[], &both).await.2), "");
    for body in [&plain, &hash, &both] {
        let refused = w.post(Some(&secret), &[], body).await.2;
        assert_eq!(code(&refused), "PERSISTED_ONLY", "{body}");
    }
    let register = json!({
        "query": "mutation($d: String!) { registerPersistedQuery(document: $d) { id } }",
        "variables": { "d": text }
    });
    assert_eq!(
        code(&w.post(Some(&secret), &[], &register).await.2),
        "PERSISTED_ONLY"
    );
    let made = w.post(Some(&w.buyer.token), &[], &register).await.2;
    assert_eq!(code(&made), "");
    for body in [&plain, &hash, &both] {
        let done = w.post(Some(&secret), &[], body).await.2;
        assert_eq!(code(&done), "", "{body}");
    }
    // A document is no scope.
    let balance = "{ myBalance { posted } }";
    let register = json!({
        "query": "mutation($d: String!) { registerPersistedQuery(document: $d) { id } }",
        "variables": { "d": balance }
    });
    w.post(Some(&w.buyer.token), &[], &register).await;
    let refused = w
        .post(Some(&secret), &[], &json!({ "query": balance }))
        .await
        .2;
    assert_eq!(code(&refused), "KEY_SCOPE");
    let gone = format!("mutation {{ removePersistedQuery(id: \"{}\") }}", sha(text));
    assert_eq!(code(&w.gql(&w.buyer.token, &gone).await), "");
    let refused = w.post(Some(&secret), &[], &hash).await.2;
    assert_eq!(code(&refused), "PERSISTED_ONLY");
    w.stop().await;
}

fn cash(amount: &str, key: &str) -> Value {
    json!({
        "query": "mutation($a: Money!, $k: String!) { requestDeposit(amount: $a, idempotencyKey: $k) { id } }",
        "variables": { "a": amount, "k": key }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mutation_is_done_once() {
    // PAR-8
    let w = World::start(|_| {}).await;
    let token = w.buyer.token.clone();
    let once = async |key: &str, body: &Value| {
        w.post(Some(&token), &[("idempotency-key", key)], body)
            .await
    };
    // Refused, nothing changed: the key is free for the corrected request.
    assert_eq!(code(&once("k", &cash("0", "a")).await.2), "AMOUNT");
    assert_eq!(
        code(
            &once("k", &json!({ "query": "mutation { nothing }" }))
                .await
                .2
        ),
        "INVALID"
    );
    let all = futures::future::join_all((0..8).map(|_| async {
        let (_, headers, answer) = once("k", &cash("500", "a")).await;
        (headers, answer)
    }))
    .await;
    let answers: Vec<&Value> = all.iter().map(|(_, answer)| answer).collect();
    assert_eq!(code(answers[0]), "");
    assert!(answers.iter().all(|a| *a == answers[0]), "{answers:?}");
    let replayed = |h: &reqwest::header::HeaderMap| h.contains_key("idempotency-replayed");
    assert_eq!(all.iter().filter(|(h, _)| replayed(h)).count(), 7);
    // The same, written in another order.
    let turned = r#"{"variables":{"k":"a","a":"500"},"query":"mutation($a: Money!, $k: String!) { requestDeposit(amount: $a, idempotencyKey: $k) { id } }"}"#;
    let turned: Value = serde_json::from_str(turned).expect("JSON");
    assert!(replayed(&once("k", &turned).await.1));
    let other = once("k", &cash("501", "b")).await.2;
    assert_eq!(code(&other), "IDEMPOTENCY_MISMATCH");
    // Another account's key is another key; after a restart it is the same.
    let theirs = w
        .post(
            Some(&w.custodian.token),
            &[("idempotency-key", "k")],
            &cash("500", "a"),
        )
        .await;
    assert_eq!(code(&theirs.2), "");
    assert!(!replayed(&theirs.1));
    let w = w.restart().await;
    let headers = [("idempotency-key", "k")];
    let again = w.post(Some(&token), &headers, &cash("500", "a")).await;
    assert!(replayed(&again.1));
    assert_eq!(&again.2, answers[0]);

    // What is not taken.
    let refused = async |key: &str, query: &str| {
        let headers = [("idempotency-key", key)];
        let answer = w
            .post(Some(&token), &headers, &json!({ "query": query }))
            .await;
        code(&answer.2)
    };
    for query in [
        "mutation { createWebhook(url: \"https://example.org/\", events: [PING]) { secret } }",
        "mutation { createApiKey(name: \"x\", scopes: [ORDER]) { secret } }",
        "mutation { login(mail: \"x\", password: \"x\") { access } }",
        "mutation { a: pauseListing(id: \"x\") { id } b: pauseListing(id: \"x\") { id } }",
    ] {
        assert_eq!(refused("s", query).await, "INVALID", "{query}");
    }
    let long = "x".repeat(101);
    assert_eq!(
        refused(&long, "mutation { pauseListing(id: \"x\") { id } }").await,
        "INVALID"
    );
    let anonymous = w.post(None, &headers, &cash("500", "a")).await;
    assert_eq!(code(&anonymous.2), "UNAUTHENTICATED");
    // Queries change nothing: the header is passed over.
    assert_eq!(refused("q", "{ me { id } }").await, "");
    assert_eq!(refused("q", "{ marketplace { id } }").await, "");

    // An answer is for who might ask: another key of the account without the scope
    // is not told it (PAR-3).
    let (money, _) = w.key(&w.buyer, "scopes: [MONEY]").await;
    let (other, _) = w.key(&w.buyer, "scopes: [CATALOGUE]").await;
    for (key, expected) in [(&money, ""), (&other, "KEY_SCOPE"), (&money, "")] {
        let headers = [("idempotency-key", "scoped")];
        let (_, headers, answer) = w.post(Some(key), &headers, &cash("300", "d")).await;
        assert_eq!(code(&answer), expected);
        assert!(expected.is_empty() || !replayed(&headers));
    }

    // Cut off by a crash: nobody knows, so nobody does it again.
    let store = w.app.store();
    let body = serde_json_canonicalizer::to_vec(&cash("700", "c")).expect("canonical");
    let digest = Digest::of(
        veilbourse_domain::Domain::Other("veilbourse v1 idempotent request"),
        &body,
    );
    let now = w.now();
    store
        .claim_request(w.buyer.id, "cut", digest, now + 60_000, now)
        .await
        .expect("claimed");
    w.advance(60_000);
    let headers = [("idempotency-key", "cut")];
    let lost = w.post(Some(&token), &headers, &cash("700", "c")).await.2;
    assert_eq!(code(&lost), "IDEMPOTENCY_LOST");
    w.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_waits_and_then_gives_up() {
    // PAR-8: while another process still runs it.
    let w = World::start(|_| {}).await;
    let body = serde_json_canonicalizer::to_vec(&cash("700", "c")).expect("canonical");
    let digest = Digest::of(
        veilbourse_domain::Domain::Other("veilbourse v1 idempotent request"),
        &body,
    );
    let now = w.now();
    let store = w.app.store();
    store
        .claim_request(w.buyer.id, "busy", digest, now + 60_000, now)
        .await
        .expect("claimed");
    let headers = [("idempotency-key", "busy")];
    let answer = w
        .post(Some(&w.buyer.token), &headers, &cash("700", "c"))
        .await;
    assert_eq!(code(&answer.2), "CONFLICT");
    w.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_is_a_subgraph() {
    // PAR-15
    let w = World::start(|_| {}).await;
    let (status, sdl) = w.get(None, "/graphql/federation-sdl").await;
    assert_eq!(status, 200);
    for part in [
        "https://specs.apollo.dev/federation/v2",
        "type Listing @key(fields: \"id\")",
        "type Order @key(fields: \"id\")",
        "type Account @key(fields: \"id\")",
    ] {
        assert!(sdl.contains(part), "{part}");
    }
    let (.., service) = w
        .post(None, &[], &json!({ "query": "{ _service { sdl } }" }))
        .await;
    assert_eq!(service["data"]["_service"]["sdl"], sdl);
    let main = w.get(None, "/graphql/sdl").await.1;
    assert!(!main.contains("_entities") && !main.contains("_Any") && !main.contains("@key"));

    // ACC-6: what an entity shows is what its field would show.
    let listing = |n: u8, state: ListingState| Listing {
        id: ListingId::new(1, [n; 10]),
        owner: w.custodian.id,
        title: format!("L{n}"),
        description: String::new(),
        dataset: Digest([n; 32]),
        created_at: 1,
        updated_at: 1,
        policy: None,
        state,
    };
    let draft = listing(1, ListingState::Draft);
    let store = w.app.store();
    store
        .create_listing(&draft, "{}", &[], 1)
        .await
        .expect("made");
    let ask = async |token: Option<&str>| {
        let nobody = "01900000-0000-7000-8000-000000000000";
        let body = json!({
            "query": "query($r: [_Any!]!) { _entities(representations: $r) {
                ... on Listing { id title } ... on Order { id } ... on Account { id mail } } }",
            "variables": { "r": [
                { "__typename": "Listing", "id": draft.id.to_string() },
                { "__typename": "Account", "id": w.buyer.id.to_string() },
                { "__typename": "Order", "id": nobody },
                { "__typename": "Listing", "id": nobody },
            ] }
        });
        w.post(token, &[], &body).await.2
    };
    assert_eq!(code(&ask(None).await), "UNAUTHENTICATED");
    let seen = ask(Some(&w.buyer.token)).await;
    let all = &seen["data"]["_entities"];
    assert_eq!(all[0], Value::Null, "somebody else's draft: {seen}");
    assert_eq!(all[1]["mail"], "b@example.org");
    assert_eq!((&all[2], &all[3]), (&Value::Null, &Value::Null));
    let seen = ask(Some(&w.custodian.token)).await;
    let all = &seen["data"]["_entities"];
    assert_eq!(all[0]["title"], "L1");
    assert_eq!(all[1], Value::Null, "somebody else's account");
    let seen = ask(Some(&w.admin.token)).await;
    let all = &seen["data"]["_entities"];
    assert_eq!(
        (&all[0]["title"], &all[1]["mail"]),
        (&"L1".into(), &"b@example.org".into())
    );
    // An admin's key sees no more than its owner's own.
    let (key, _) = w.key(&w.admin, "scopes: [CATALOGUE, ORDER]").await;
    let seen = ask(Some(&key)).await;
    assert_eq!(seen["data"]["_entities"][1], Value::Null, "{seen}");
    w.stop().await;
}
