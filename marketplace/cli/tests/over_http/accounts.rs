//! Accounts, tokens, roles, limits over HTTP (ACC, GQL).

use crate::common::{bare, settings};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use veilbourse_client::{http::Server, market};
use veilbourse_domain::access::{Access, MachineKind, POLICY, Role, Surface};
use veilbourse_server::{Limits, ServerConfig};

async fn code(server: &Server, name: &str, document: &str, variables: Value) -> Option<String> {
    match server.graphql(name, document, variables).await {
        Ok(_) => None,
        Err(e) => Some(e.code().unwrap_or("?").to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_live_rotate_and_die() {
    // ACC-2, ACC-3
    let (_dir, world, time) = bare(settings()).await;
    let server = &world.server;
    let register = |mail: &'static str, password: &'static str, role: &'static str| async move {
        market::register(server, mail, "x", password, &[role]).await
    };
    for (mail, password, role, expected) in [
        ("a@b.example", "short", "BUYER", "INVALID"),
        ("not a mail", "long enough here", "BUYER", "INVALID"),
        (
            "a@b.example",
            "long enough here",
            "ADMIN",
            "ROLE_NOT_REGISTRABLE",
        ),
        (
            "a@b.example",
            "long enough here",
            "AUDITOR",
            "ROLE_NOT_REGISTRABLE",
        ),
    ] {
        let e = register(mail, password, role).await.unwrap_err();
        assert_eq!(e.code(), Some(expected), "{e}");
    }
    register("a@b.example", "long enough here", "BUYER")
        .await
        .expect("registers");
    // A taken address is answered alike, and stays whose it is (ACC-9).
    register("A@B.example", "another password here", "BUYER")
        .await
        .expect("answers alike");
    let taken = market::login(server, "a@b.example", "another password here")
        .await
        .unwrap_err();
    assert_eq!(taken.code(), Some("WRONG_CREDENTIALS"));

    // A wrong mail and a wrong password read alike.
    let wrong = [
        ("a@b.example", "wrong password"),
        ("z@b.example", "long enough here"),
    ];
    let mut texts = Vec::new();
    for (mail, password) in wrong {
        texts.push(
            market::login(server, mail, password)
                .await
                .unwrap_err()
                .to_string(),
        );
    }
    assert_eq!(texts[0], texts[1]);
    assert!(texts[0].contains("WRONG_CREDENTIALS"));

    let me = "{ me { mail } }";
    let first = market::login(server, "a@b.example", "long enough here")
        .await
        .expect("in");
    assert_eq!(code(&first.server, "me", me, json!({})).await, None);
    let second = market::refresh(server, &first.refresh)
        .await
        .expect("rotates");
    assert_eq!(code(&second.server, "me", me, json!({})).await, None);
    // The old refresh token again: somebody has stolen one; the family dies.
    let reused = market::refresh(server, &first.refresh).await.unwrap_err();
    assert_eq!(reused.code(), Some("TOKEN_REUSED"));
    let dead = market::refresh(server, &second.refresh).await.unwrap_err();
    assert!(
        matches!(dead.code(), Some("TOKEN_INVALID" | "TOKEN_REUSED")),
        "{dead}"
    );
    assert_eq!(
        code(&second.server, "me", me, json!({})).await.as_deref(),
        Some("TOKEN_INVALID")
    );

    // Logout ends the session at once; expiry ends the token.
    let third = market::login(server, "a@b.example", "long enough here")
        .await
        .expect("in");
    let fourth = market::login(server, "a@b.example", "long enough here")
        .await
        .expect("in");
    assert_eq!(
        code(&third.server, "logout", "mutation { logout }", json!({})).await,
        None
    );
    assert_eq!(
        code(&third.server, "me", me, json!({})).await.as_deref(),
        Some("TOKEN_INVALID")
    );
    assert_eq!(code(&fourth.server, "me", me, json!({})).await, None);
    time.fetch_add(15 * 60_000, Ordering::SeqCst);
    assert_eq!(
        code(&fourth.server, "me", me, json!({})).await.as_deref(),
        Some("TOKEN_INVALID")
    );
    assert!(market::refresh(server, &fourth.refresh).await.is_ok());
    let garbage = server.with_token("not.a.token");
    assert_eq!(
        code(&garbage, "me", me, json!({})).await.as_deref(),
        Some("TOKEN_INVALID")
    );
    world.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_registered_by_who_holds_them() {
    // ACC-7
    let (_dir, world, _) = bare(settings()).await;
    let a = world
        .person("a@test.example", "a", "BUYER")
        .await
        .expect("registers");
    let b = world
        .person("b@test.example", "b", "BUYER")
        .await
        .expect("registers");
    // b's own registration, shown by a; a's, signed over for b's account.
    let again = market::register_key(&a.session, &world.marketplace, &b.key).await;
    assert!(again.is_err(), "a key belongs to one account");
    let stolen = market::Session {
        account: b.session.account.clone(),
        ..a.session.clone()
    };
    let key = market::fresh_key(&mut veilbourse::rng(Some(3)));
    let refused = market::register_key(&stolen, &world.marketplace, &key)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("INVALID"));
    let other = veilbourse_documents::Key([7; 32]);
    let refused = market::register_key(&a.session, &other, &key)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("INVALID"), "for another marketplace");
    world.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits_name_the_wait() {
    // ACC-5
    let config = ServerConfig {
        limits: Limits {
            login: 3,
            ..Limits::default()
        },
        ..ServerConfig::default()
    };
    let (_dir, world, _) = bare(config).await;
    // The harness has signed in twice.
    let mut last = String::new();
    for _ in 0..4 {
        last = market::login(&world.server, "a@b.example", "no such account")
            .await
            .unwrap_err()
            .to_string();
    }
    assert!(last.contains("RATE_LIMITED"), "{last}");
    assert!(last.contains("retry after"), "{last}");
    world.stop().await.expect("stops");
}

/// GQL-1, GQL-2: limits refuse, internal texts stay inside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_bounded() {
    let (_dir, world, _) = bare(settings()).await;
    let server = &world.server;
    let deep = format!(
        "{{ {} {} }}",
        "__schema { types { fields { type { ".to_owned() + &"ofType { ".repeat(12),
        "name } } } } ".to_owned() + &"} ".repeat(12)
    );
    assert!(
        server.graphql("__schema", &deep, json!({})).await.is_err(),
        "too deep"
    );
    let wide: String = (0..11)
        .map(|i| format!("a{i}: marketplace {{ id }} "))
        .collect();
    let e = server
        .graphql("a0", &format!("{{ {wide} }}"), json!({}))
        .await
        .unwrap_err();
    assert_eq!(e.code(), Some("TOO_LARGE"), "{e}");
    let fragment = format!("query {{ ...F }} fragment F on Query {{ {wide} }}");
    let e = server
        .graphql("a0", &fragment, json!({}))
        .await
        .unwrap_err();
    assert_eq!(e.code(), Some("TOO_LARGE"), "fragments count: {e}");
    let many = "{ listings(first: 101) { nodes { id } } }";
    let e = server
        .graphql("listings", many, json!({}))
        .await
        .unwrap_err();
    assert_eq!(e.code(), Some("TOO_LARGE"), "{e}");
    let heavy: String = (0..9)
        .map(|i| format!("a{i}: listings(first: 100) {{ nodes {{ id manifest policy }} }} "))
        .collect();
    assert!(
        server
            .graphql("a0", &format!("{{ {heavy} }}"), json!({}))
            .await
            .is_err(),
        "complex"
    );
    let big = format!("{{ marketplace {{ id }} }} # {}", "x".repeat(1 << 20));
    let e = server
        .graphql("marketplace", &big, json!({}))
        .await
        .unwrap_err();
    assert_eq!(e.code(), Some("TOO_LARGE"), "{e}");
    for bad in [
        "",
        "{",
        "[]",
        "{\"query\": 3}",
        "{\"query\": \"{ nothing }\"}",
    ] {
        let r = reqwest::Client::new()
            .post(format!("{}/graphql", world.url))
            .header("content-type", "application/json")
            .body(bad)
            .send()
            .await
            .expect("answers");
        let text = r.text().await.expect("text");
        assert!(
            text.contains("error") || text.contains("INVALID"),
            "{bad}: {text}"
        );
        assert!(
            !text.contains("panicked") && !text.contains("SELECT"),
            "{text}"
        );
    }
    world.stop().await.expect("stops");
}

/// ACC-1: every entry of the policy table, asked by everybody: without a token
/// only what is public answers; with one, only what the role may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_entry_asks_who_comes() {
    let (_dir, world, _) = bare(settings()).await;
    let buyer = world
        .person("b@test.example", "b", "BUYER")
        .await
        .expect("registers");
    let custodian = world
        .person("c@test.example", "c", "CUSTODIAN")
        .await
        .expect("registers");
    let people = [
        (None, world.server.clone()),
        (Some(Role::Buyer), buyer.session.server.clone()),
        (Some(Role::Custodian), custodian.session.server.clone()),
        (Some(Role::Admin), world.admin.server.clone()),
    ];
    for (surface, name, access) in POLICY {
        for (role, server) in &people {
            let allowed = match (access, role) {
                (Access::Public, _) => true,
                (_, None) | (Access::Machine(_), _) => false,
                (Access::SignedIn, Some(_)) => true,
                (Access::Roles(roles), Some(r)) => roles.contains(r),
            };
            let refused = match surface {
                Surface::Query | Surface::Mutation => graphql_refused(server, *surface, name).await,
                Surface::Subscription => continue, // its own test follows orders
                Surface::Http => http_refused(&world.url, server.token(), name).await,
            };
            assert_eq!(!refused, allowed, "{surface:?} {name} as {role:?}");
        }
    }
    // Machines: a pod's token opens the pod's routes and no node's.
    let (identity, _) = world.new_pod("p").await.expect("approved");
    let pod = world.machine(identity);
    assert!(
        pod.post::<_, Value>("/v1/pod/lease", &json!({}))
            .await
            .is_ok()
    );
    let node = pod
        .post::<_, Value>("/v1/node/lease", &json!({}))
        .await
        .unwrap_err();
    assert_eq!(node.code(), Some("FORBIDDEN"));
    assert!(
        POLICY
            .iter()
            .any(|(.., a)| *a == Access::Machine(MachineKind::Node))
    );
    world.stop().await.expect("stops");
}

/// Whether a root field refuses by role. Arguments that are missing are a
/// validation error and say nothing of roles, so they are given.
async fn graphql_refused(server: &Server, surface: Surface, name: &str) -> bool {
    let id = "\"01900000-0000-7000-8000-000000000000\"";
    let arguments = match name {
        "listing" | "order" => format!("(id: {id}) {{ id }}"),
        "quote" => format!("(listing: {id}, program: {{}}) {{ digest }}"),
        "me" | "marketplace" | "keyNodes" => " { id }".into(),
        "committees" => " { name }".into(),
        "myBalance" => " { posted }".into(),
        "ledgerCheck" => " { balanced }".into(),
        "auditCheck" => " { intact }".into(),
        "listings" | "orders" | "myPostings" | "deposits" | "withdrawals" | "machines"
        | "accounts" | "ledgerAccounts" | "ledgerTransfers" | "audit" | "reviewQueue" => {
            " { pageInfo { hasNextPage } }".into()
        }
        "sentMails" => " { pageInfo { hasNextPage } }".into(),
        "localMails" => "(address: \"x\") { id }".into(),
        "setMailPreferences" => "(preferences: { orders: true, listings: true, budgets: true, deadlines: true, cash: true }) { cash }".into(),
        "unsubscribe" => "(token: \"x\")".into(),
        "retryMail" | "dismissMail" => format!("(id: {id}) {{ id }}"),
        "mySessions" => " { id }".into(),
        "alarms" => " { code }".into(),
        "overview" => " { accounts }".into(),
        "custodianSummary" => " { orders }".into(),
        "listingOrders" => format!("(id: {id}) {{ pageInfo {{ hasNextPage }} }}"),
        "machineWork" => format!("(id: {id}) {{ jobsDone }}"),
        "resendVerification" => String::new(),
        "verifyMail" => "(token: \"x\")".into(),
        "requestPasswordReset" => "(mail: \"x\")".into(),
        "resetPassword" => "(token: \"x\", password: \"x\")".into(),
        "changePassword" => "(current: \"x\", password: \"x\")".into(),
        "changeMail" => "(mail: \"x\", password: \"x\")".into(),
        "changeName" => "(name: \"\") { id }".into(),
        "beginSecondFactor" => "(password: \"x\") { secret }".into(),
        "confirmSecondFactor" => "(code: \"x\")".into(),
        "disableSecondFactor" => "(password: \"x\", code: \"x\")".into(),
        "deleteAccount" => "(password: \"x\")".into(),
        "revokeSession" => format!("(id: {id})"),
        "suspendAccount" | "restoreAccount" => format!("(id: {id}, reason: \"x\") {{ id }}"),
        "clearSecondFactor" => format!("(id: {id}, reason: \"x\")"),
        "appealListing" => format!("(id: {id}, text: \"x\") {{ id }}"),
        "register" => "(mail: \"x\", name: \"x\", password: \"x\", roles: []) { id }".into(),
        "login" => "(mail: \"x\", password: \"x\") { access }".into(),
        "refresh" => "(token: \"x\") { access }".into(),
        // Would end the session that the test still needs.
        "logout" => return server.token().is_none(),
        "registerSigningKey" => "(registration: {})".into(),
        "revokeSigningKey" => "(key: \"x\")".into(),
        "createListing" => {
            "(title: \"x\", description: \"x\", manifest: {}, objects: []) { id }".into()
        }
        "submitListing" | "updatePolicy" => format!("(id: {id}, policy: {{}}) {{ id }}"),
        "pauseListing" | "resumeListing" | "withdrawListing" => format!("(id: {id}) {{ id }}"),
        "reviewListing" => format!("(id: {id}, decision: APPROVE) {{ id }}"),
        "requestDeposit" | "requestWithdrawal" => {
            "(amount: \"0\", idempotencyKey: \"x\") { id }".into()
        }
        "decideDeposit" | "decideWithdrawal" | "decideMachine" => {
            format!("(id: {id}, approve: true) {{ id }}")
        }
        "registerMachine" => "(kind: NODE, name: \"x\", registration: {}) { id }".into(),
        "placeOrder" => "(order: {}) { id }".into(),
        "apiKeys" | "webhooks" => " { id }".into(),
        "webhookDeliveries" => format!("(webhook: {id}) {{ pageInfo {{ hasNextPage }} }}"),
        "persistedQueries" => " { pageInfo { hasNextPage } }".into(),
        "createApiKey" => "(name: \"x\", scopes: []) { secret }".into(),
        "rotateApiKey" => format!("(id: {id}) {{ secret }}"),
        "revokeApiKey" | "deleteWebhook" | "removePersistedQuery" => format!("(id: {id})"),
        "createWebhook" => "(url: \"x\", events: []) { secret }".into(),
        "updateWebhook" | "testWebhook" | "redeliverWebhook" => format!("(id: {id}) {{ id }}"),
        "rotateWebhookSecret" => format!("(id: {id}) {{ secret }}"),
        "registerPersistedQuery" => "(document: \"x\") { id }".into(),
        other => panic!("{other}: give the test its arguments"),
    };
    let kind = if surface == Surface::Mutation {
        "mutation"
    } else {
        "query"
    };
    let found = code(
        server,
        name,
        &format!("{kind} {{ {name}{arguments} }}"),
        json!({}),
    )
    .await;
    matches!(found.as_deref(), Some("FORBIDDEN" | "UNAUTHENTICATED"))
}

/// Whether a route refuses by role; that it exists at all is asserted.
async fn http_refused(url: &str, token: Option<&str>, entry: &str) -> bool {
    let (method, path) = entry.split_once(' ').expect("METHOD /path");
    let path = path
        .replace("{id}", "01900000-0000-7000-8000-000000000000")
        .replace("{order}", "01900000-0000-7000-8000-000000000000")
        .replace("{name}", "sums")
        .replace("{index}", "0")
        .replace("{digest}", "00")
        .replace("{listing}", "01900000-0000-7000-8000-000000000000")
        .replace("{dealing}", &"0".repeat(64))
        .replace("{party}", "0")
        .replace("{part}", "offer")
        .replace("{piece}", "0")
        .replace("{node}", "0")
        .replace("{format}", "txt")
        .replace("{page}", "promise")
        .replace("{file}", "app.js");
    let method: reqwest::Method = method.parse().expect("a method");
    let mut request = reqwest::Client::new().request(method.clone(), format!("{url}{path}"));
    // A body of the right shape, so that only the role can be in the way.
    let zeros = "0".repeat(64);
    let body = match path.rsplit('/').next() {
        Some("heartbeat") => json!({ "lease": zeros, "stage": "x", "progress": 0 }),
        Some("decline") => json!({ "lease": zeros, "reason": "x" }),
        _ => json!({}),
    };
    if matches!(method.as_str(), "POST" | "PUT" | "PATCH") {
        request = request.json(&body);
    }
    if let Some(t) = token {
        request = request.bearer_auth(t);
    }
    let r = request.send().await.expect("answers");
    let status = r.status().as_u16();
    let text = r.text().await.unwrap_or_default();
    assert!(
        !text.contains(veilbourse_server::NO_ROUTE),
        "{entry} is no route"
    );
    // Documents that do not parse are refused before the role is known.
    let unparsed = status == 400 && text.contains("body:");
    let machine = entry.contains("/jobs/") || entry.contains("/v1/node/");
    matches!(status, 401 | 403) || (unparsed && machine)
}
