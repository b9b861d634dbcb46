//! Accounts, admins and machines through GraphQL: one function an act.

use crate::{ClientError, http::Server};
use rand_core::CryptoRng;
use serde_json::{Value, json};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Bytes, DOCUMENT_VERSION, Id, Key, KeyRegistration, MachineRegistration, Signed, SigningKey,
    marketplace_id,
};

/// Tokens of a session.
#[derive(Debug, Clone)]
pub struct Session {
    /// The server, speaking as the account.
    pub server: Server,
    /// The account's id.
    pub account: Id,
    /// Exchanged once for a new session.
    pub refresh: String,
}

pub(crate) fn text<'a>(operation: &str, v: &'a Value, field: &str) -> Result<&'a str, ClientError> {
    v[field].as_str().ok_or_else(|| ClientError::Answer {
        operation: operation.into(),
        reason: format!("{field} is missing"),
    })
}

pub(crate) fn id(operation: &str, v: &Value, field: &str) -> Result<Id, ClientError> {
    Id::parse(text(operation, v, field)?).ok_or_else(|| ClientError::Answer {
        operation: operation.into(),
        reason: format!("{field} is no UUID"),
    })
}

/// Makes an account; `roles` as in the schema (`CUSTODIAN`, `BUYER`, `PARTNER`).
pub async fn register(
    server: &Server,
    mail: &str,
    name: &str,
    password: &str,
    roles: &[&str],
) -> Result<Id, ClientError> {
    let document =
        "mutation($mail: String!, $name: String!, $password: String!, $roles: [AccountRole!]!) {
        register(mail: $mail, name: $name, password: $password, roles: $roles) { id } }";
    let variables = json!({ "mail": mail, "name": name, "password": password, "roles": roles });
    let made = server.graphql("register", document, variables).await?;
    id("register", &made, "id")
}

fn session(operation: &str, server: &Server, tokens: &Value) -> Result<Session, ClientError> {
    Ok(Session {
        server: server.with_token(text(operation, tokens, "access")?),
        account: id(operation, tokens, "account")?,
        refresh: text(operation, tokens, "refresh")?.to_owned(),
    })
}

/// Signs in.
pub async fn login(server: &Server, mail: &str, password: &str) -> Result<Session, ClientError> {
    login_with(server, mail, password, None).await
}

/// The same with a code, where the account has a second factor (ACC-11).
pub async fn login_with(
    server: &Server,
    mail: &str,
    password: &str,
    code: Option<&str>,
) -> Result<Session, ClientError> {
    let document = "mutation($mail: String!, $password: String!, $code: String) {
        login(mail: $mail, password: $password, code: $code) { access refresh account } }";
    let variables = json!({ "mail": mail, "password": password, "code": code });
    let tokens = server.graphql("login", document, variables).await?;
    session("login", server, &tokens)
}

/// Verifies a mail address by its link's token (ACC-9).
pub async fn verify_mail(server: &Server, token: &str) -> Result<(), ClientError> {
    let document = "mutation($token: String!) { verifyMail(token: $token) }";
    let done = server.graphql("verifyMail", document, json!({ "token": token }));
    done.await.map(drop)
}

/// Has the letter that verifies one's address sent again.
pub async fn resend_verification(session: &Session) -> Result<(), ClientError> {
    let document = "mutation { resendVerification }";
    let done = session
        .server
        .graphql("resendVerification", document, json!({}));
    done.await.map(drop)
}

/// New tokens for a refresh token, once (ACC-3).
pub async fn refresh(server: &Server, token: &str) -> Result<Session, ClientError> {
    let document =
        "mutation($token: String!) { refresh(token: $token) { access refresh account } }";
    let tokens = server
        .graphql("refresh", document, json!({ "token": token }))
        .await?;
    session("refresh", server, &tokens)
}

/// The marketplace's key: to be pinned at first sight and compared out of band.
pub async fn marketplace_key(server: &Server) -> Result<Key, ClientError> {
    let m = server
        .graphql("marketplace", "{ marketplace { key } }", json!({}))
        .await?;
    let key = text("marketplace", &m, "key")?;
    Key::from_hex(key).ok_or_else(|| ClientError::Answer {
        operation: "marketplace".into(),
        reason: format!("{key:?} is no key"),
    })
}

/// Registers a signing key for the account, proving that one holds it (ACC-7).
pub async fn register_key(
    session: &Session,
    marketplace: &Key,
    key: &SigningKey,
) -> Result<(), ClientError> {
    let registration = Signed::sign(
        KeyRegistration {
            version: DOCUMENT_VERSION,
            marketplace: marketplace_id(marketplace),
            account: session.account.clone(),
        },
        key,
    )
    .map_err(|e| ClientError::refused("key", e))?;
    let document = "mutation($r: JSON!) { registerSigningKey(registration: $r) }";
    session
        .server
        .graphql("registerSigningKey", document, json!({ "r": registration }))
        .await
        .map(drop)
}

/// Asks for a deposit; its id.
pub async fn request_deposit(
    session: &Session,
    minor_units: i64,
    key: &str,
) -> Result<Id, ClientError> {
    let document = "mutation($amount: Money!, $key: String!) {
        requestDeposit(amount: $amount, idempotencyKey: $key) { id } }";
    let variables = json!({ "amount": minor_units.to_string(), "key": key });
    let made = session
        .server
        .graphql("requestDeposit", document, variables)
        .await?;
    id("requestDeposit", &made, "id")
}

/// What an admin decides on, by its mutation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decide {
    /// A submitted listing.
    Listing,
    /// A deposit.
    Deposit,
    /// A withdrawal.
    Withdrawal,
    /// A pod or key node.
    Machine,
}

/// An admin's decision.
pub async fn decide(
    session: &Session,
    what: Decide,
    id: &str,
    approve: bool,
    reason: &str,
) -> Result<Value, ClientError> {
    let (name, document) = match what {
        Decide::Listing => (
            "reviewListing",
            "mutation($id: String!, $d: ReviewDecision!, $reason: String!) {
                reviewListing(id: $id, decision: $d, reason: $reason) { id state } }",
        ),
        Decide::Deposit => (
            "decideDeposit",
            "mutation($id: String!, $approve: Boolean!, $reason: String!) {
                decideDeposit(id: $id, approve: $approve, reason: $reason) { id decision } }",
        ),
        Decide::Withdrawal => (
            "decideWithdrawal",
            "mutation($id: String!, $approve: Boolean!, $reason: String!) {
                decideWithdrawal(id: $id, approve: $approve, reason: $reason) { id decision } }",
        ),
        Decide::Machine => (
            "decideMachine",
            "mutation($id: String!, $approve: Boolean!, $reason: String!) {
                decideMachine(id: $id, approve: $approve, reason: $reason) { id decision } }",
        ),
    };
    let mut variables = json!({ "id": id, "reason": reason });
    match what {
        Decide::Listing => variables["d"] = json!(if approve { "APPROVE" } else { "REJECT" }),
        _ => variables["approve"] = json!(approve),
    }
    session.server.graphql(name, document, variables).await
}

/// Registers a machine by its signed registration; its id.
pub async fn register_machine(
    session: &Session,
    kind: &str,
    name: &str,
    marketplace: &Key,
    key: &SigningKey,
    sealing_key: Option<Vec<u8>>,
) -> Result<Id, ClientError> {
    let registration = Signed::sign(
        MachineRegistration {
            version: DOCUMENT_VERSION,
            marketplace: marketplace_id(marketplace),
            sealing_key: sealing_key.map(Bytes),
        },
        key,
    )
    .map_err(|e| ClientError::refused("key", e))?;
    let document = "mutation($kind: MachineRole!, $name: String!, $registration: JSON!) {
        registerMachine(kind: $kind, name: $name, registration: $registration) { id } }";
    let variables = json!({ "kind": kind, "name": name, "registration": registration });
    let made = session
        .server
        .graphql("registerMachine", document, variables)
        .await?;
    id("registerMachine", &made, "id")
}

/// What an admin does to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nobody signs in any more.
    Suspend,
    /// As before.
    Restore,
    /// Its second factor is gone.
    ClearSecondFactor,
}

/// An admin's act on an account, with the reason that its owner is told
/// (ACC-12, ACC-15).
pub async fn keep(
    session: &Session,
    what: Keep,
    id: &str,
    reason: &str,
) -> Result<(), ClientError> {
    let (name, selection) = match what {
        Keep::Suspend => ("suspendAccount", "{ id }"),
        Keep::Restore => ("restoreAccount", "{ id }"),
        Keep::ClearSecondFactor => ("clearSecondFactor", ""),
    };
    let document = format!(
        "mutation($id: String!, $reason: String!) {{ {name}(id: $id, reason: $reason) {selection} }}"
    );
    let variables = json!({ "id": id, "reason": reason });
    session
        .server
        .graphql(name, &document, variables)
        .await
        .map(drop)
}

/// Every node of a list, page by page. `list` is the root field, `arguments`
/// those beside the page's, `selection` what is asked of a node.
pub async fn all(
    server: &Server,
    list: &str,
    arguments: &str,
    selection: &str,
) -> Result<Vec<Value>, ClientError> {
    let document = format!(
        "query($after: String) {{ {list}(first: 100, after: $after{arguments}) {{
            nodes {{ {selection} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    let (mut out, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut page = server
            .graphql(list, &document, json!({ "after": after }))
            .await?;
        if let Some(nodes) = page["nodes"].as_array_mut() {
            out.append(nodes);
        }
        // A page that ends where it began would be asked for without end.
        let next = page["pageInfo"]["endCursor"].take();
        if page["pageInfo"]["hasNextPage"] != true || next == after {
            return Ok(out);
        }
        after = next;
    }
}

/// The ledger's accounts and whether it balances (staff).
pub async fn ledger(session: &Session) -> Result<(Vec<(String, i64, i64)>, bool), ClientError> {
    let selection = "account balance { posted reserved }";
    let accounts = all(&session.server, "ledgerAccounts", "", selection).await?;
    let check = session
        .server
        .graphql("ledgerCheck", "{ ledgerCheck { balanced } }", json!({}))
        .await?;
    let money = |v: &Value| v.as_str().and_then(|s| s.parse().ok()).unwrap_or(0i64);
    let rows = accounts
        .iter()
        .map(|n| {
            let b = &n["balance"];
            let name = n["account"].as_str().unwrap_or_default().to_owned();
            (name, money(&b["posted"]), money(&b["reserved"]))
        })
        .collect();
    Ok((rows, check["balanced"].as_bool().unwrap_or(false)))
}

/// A fresh signing key.
pub fn fresh_key(rng: &mut impl CryptoRng) -> SigningKey {
    let mut seed = zeroize::Zeroizing::new([0u8; 32]);
    rng.fill_bytes(seed.as_mut());
    SigningKey::from_bytes(&seed)
}

/// The id that documents of a marketplace name.
pub fn marketplace_of(key: &Key) -> Digest {
    marketplace_id(key)
}
