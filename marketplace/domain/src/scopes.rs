//! What API keys may do (PAR-3): every entry of the policy table with the scopes
//! that open it to a key. What is not here is refused to keys; a test compares
//! this table with [`crate::access::POLICY`].

use crate::{
    DomainError, Result,
    access::Surface::{self, Http, Mutation, Query, Subscription},
    id::ApiKeyId,
};

/// What a key was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApiScope {
    /// Reads the catalogue.
    Catalogue,
    /// Asks for quotes.
    Quote,
    /// Places orders and follows them.
    Order,
    /// Fetches receipts and results.
    Result,
    /// Makes and changes listings, uploads.
    Listing,
    /// Reads the balance, asks for deposits and withdrawals.
    Money,
    /// Keeps webhooks.
    Webhook,
}

impl ApiScope {
    /// Every scope.
    pub const ALL: [Self; 7] = [
        Self::Catalogue,
        Self::Quote,
        Self::Order,
        Self::Result,
        Self::Listing,
        Self::Money,
        Self::Webhook,
    ];

    /// The name in the API and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Catalogue => "CATALOGUE",
            Self::Quote => "QUOTE",
            Self::Order => "ORDER",
            Self::Result => "RESULT",
            Self::Listing => "LISTING",
            Self::Money => "MONEY",
            Self::Webhook => "WEBHOOK",
        }
    }
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|s| s.name() == name)
            .ok_or_else(|| DomainError::invalid("scope", format!("unknown scope {name:?}")))
    }
}

/// The key that asks, as a viewer carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Which.
    pub id: ApiKeyId,
    /// What it may do.
    pub scopes: Vec<ApiScope>,
    /// Whether it runs registered documents only (PAR-7).
    pub persisted_only: bool,
}

/// Whether keys may use an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAccess {
    /// Every key.
    Any,
    /// A key with one of the scopes.
    Scopes(&'static [ApiScope]),
    /// None: accounts, keys, staff's and machines' entries.
    Never,
}

use KeyAccess::{Any, Never, Scopes};

const CATALOGUE: KeyAccess = Scopes(&[ApiScope::Catalogue]);
const QUOTE: KeyAccess = Scopes(&[ApiScope::Quote]);
const ORDER: KeyAccess = Scopes(&[ApiScope::Order]);
/// Whoever fetches results must find the orders.
const ORDERS: KeyAccess = Scopes(&[ApiScope::Order, ApiScope::Result]);
const RESULT: KeyAccess = Scopes(&[ApiScope::Result]);
const LISTING: KeyAccess = Scopes(&[ApiScope::Listing]);
/// Custodians see what they list; twins are objects of listings.
const LISTINGS: KeyAccess = Scopes(&[ApiScope::Catalogue, ApiScope::Listing]);
const MONEY: KeyAccess = Scopes(&[ApiScope::Money]);
const WEBHOOK: KeyAccess = Scopes(&[ApiScope::Webhook]);

/// The table (PAR-3).
pub const KEY_POLICY: &[(Surface, &str, KeyAccess)] = &[
    (Query, "marketplace", Any),
    (Query, "me", Any),
    (Query, "listings", LISTINGS),
    (Query, "listing", LISTINGS),
    (Query, "quote", QUOTE),
    (Query, "order", ORDERS),
    (Query, "orders", ORDERS),
    (Query, "myBalance", MONEY),
    (Query, "myPostings", MONEY),
    (Query, "deposits", MONEY),
    (Query, "withdrawals", MONEY),
    (Query, "machines", CATALOGUE),
    (Query, "keyNodes", LISTING),
    (Query, "accounts", Never),
    (Query, "ledgerAccounts", Never),
    (Query, "ledgerCheck", Never),
    (Query, "ledgerTransfers", Never),
    (Query, "audit", Never),
    (Query, "auditCheck", Never),
    (Query, "reviewQueue", Never),
    (Query, "mySessions", Never),
    (Query, "alarms", Never),
    (Query, "overview", Never),
    (Query, "machineWork", Never),
    (Query, "sentMails", Never),
    (Query, "localMails", Never),
    (Query, "custodianSummary", LISTING),
    (Query, "listingOrders", LISTING),
    (Query, "committees", LISTING),
    (Mutation, "verifyMail", Never),
    (Mutation, "resendVerification", Never),
    (Mutation, "requestPasswordReset", Never),
    (Mutation, "resetPassword", Never),
    (Mutation, "changePassword", Never),
    (Mutation, "changeMail", Never),
    (Mutation, "changeName", Never),
    (Mutation, "beginSecondFactor", Never),
    (Mutation, "confirmSecondFactor", Never),
    (Mutation, "disableSecondFactor", Never),
    (Mutation, "revokeSession", Never),
    (Mutation, "deleteAccount", Never),
    (Mutation, "suspendAccount", Never),
    (Mutation, "restoreAccount", Never),
    (Mutation, "clearSecondFactor", Never),
    (Mutation, "setMailPreferences", Never),
    (Mutation, "unsubscribe", Never),
    (Mutation, "retryMail", Never),
    (Mutation, "dismissMail", Never),
    (Mutation, "appealListing", LISTING),
    (Mutation, "register", Never),
    (Mutation, "login", Never),
    (Mutation, "refresh", Never),
    (Mutation, "logout", Never),
    (Mutation, "registerSigningKey", Never),
    (Mutation, "revokeSigningKey", Never),
    (Mutation, "createListing", LISTING),
    (Mutation, "submitListing", LISTING),
    (Mutation, "updatePolicy", LISTING),
    (Mutation, "pauseListing", LISTING),
    (Mutation, "resumeListing", LISTING),
    (Mutation, "withdrawListing", LISTING),
    (Mutation, "reviewListing", Never),
    (Mutation, "requestDeposit", MONEY),
    (Mutation, "decideDeposit", Never),
    (Mutation, "requestWithdrawal", MONEY),
    (Mutation, "decideWithdrawal", Never),
    (Mutation, "registerMachine", Never),
    (Mutation, "decideMachine", Never),
    (Mutation, "placeOrder", ORDER),
    (Query, "apiKeys", Never),
    (Query, "webhooks", WEBHOOK),
    (Query, "webhookDeliveries", WEBHOOK),
    (Query, "persistedQueries", Any),
    (Mutation, "createApiKey", Never),
    (Mutation, "rotateApiKey", Never),
    (Mutation, "revokeApiKey", Never),
    (Mutation, "createWebhook", WEBHOOK),
    (Mutation, "updateWebhook", WEBHOOK),
    (Mutation, "rotateWebhookSecret", WEBHOOK),
    (Mutation, "deleteWebhook", WEBHOOK),
    (Mutation, "testWebhook", WEBHOOK),
    (Mutation, "redeliverWebhook", WEBHOOK),
    // Else a key of registered documents would register what it likes (PAR-7).
    (Mutation, "registerPersistedQuery", Never),
    (Mutation, "removePersistedQuery", Never),
    (Subscription, "orderProgress", ORDERS),
    (Http, "GET /", Any),
    (Http, "GET /{page}", Any),
    (Http, "GET /assets/{file}", Any),
    (Http, "POST /v1/session", Never),
    (Http, "DELETE /v1/session", Never),
    (Http, "GET /v1/exports/ledger.csv", Never),
    (Http, "GET /v1/exports/audit.jsonl", Never),
    (Http, "GET /v1/exports/orders.csv", Never),
    (Http, "GET /v1/mails/{id}/preview.{format}", Never),
    (Http, "POST /v1/unsubscribe", Never),
    (Http, "GET /graphql", Any),
    (Http, "POST /graphql", Any),
    (Http, "GET /graphql/sdl", Any),
    (Http, "GET /graphql/federation-sdl", Any),
    (Http, "GET /healthz", Any),
    (Http, "GET /readyz", Any),
    (Http, "GET /metrics", Any),
    (Http, "HEAD /v1/listings/{id}/objects/{name}", LISTING),
    (Http, "PATCH /v1/listings/{id}/objects/{name}", LISTING),
    (Http, "GET /v1/listings/{id}/objects/{name}", LISTINGS),
    (
        Http,
        "PUT /v1/listings/{id}/dealings/{dealing}/announcement",
        LISTING,
    ),
    (
        Http,
        "PUT /v1/listings/{id}/dealings/{dealing}/{party}/{part}/{piece}",
        LISTING,
    ),
    (Http, "GET /v1/listings/{id}/dealings", LISTING),
    (Http, "GET /v1/orders/{id}/receipt", RESULT),
    (Http, "GET /v1/orders/{id}/result", RESULT),
    (Http, "GET /v1/orders/{id}/masked", RESULT),
    (Http, "GET /v1/orders/{id}/masks/{node}", RESULT),
    (Http, "GET /v1/verifying-keys/{digest}", Any),
    (Http, "POST /v1/machines/token", Never),
    (Http, "POST /v1/pod/lease", Never),
    (Http, "POST /v1/pod/jobs/{order}/heartbeat", Never),
    (Http, "POST /v1/pod/jobs/{order}/decline", Never),
    (Http, "PUT /v1/pod/jobs/{order}/outputs/{index}", Never),
    (Http, "POST /v1/pod/jobs/{order}/submission", Never),
    (Http, "GET /v1/pod/jobs/{order}/objects/{name}", Never),
    (Http, "POST /v1/node/dealings", Never),
    (
        Http,
        "GET /v1/node/dealings/{dealing}/{part}/{piece}",
        Never,
    ),
    (Http, "POST /v1/node/dealings/{dealing}", Never),
    (Http, "POST /v1/node/tickets", Never),
    (Http, "POST /v1/node/lease", Never),
    (Http, "POST /v1/node/jobs/{order}/delivery", Never),
    (Http, "POST /v1/node/jobs/{order}/non-delivery", Never),
    (Http, "GET /v1/node/jobs/{order}/objects/{name}", Never),
];

/// Whether keys may use an entry; what is not in the table is closed to them.
pub fn key_access(surface: Surface, name: &str) -> KeyAccess {
    KEY_POLICY
        .iter()
        .find(|(s, n, _)| *s == surface && *n == name)
        .map_or(Never, |(.., access)| *access)
}

/// Lets a key use an entry or not (PAR-3); its owner's roles are asked besides.
pub fn admit(surface: Surface, name: &str, key: &KeyUse) -> Result<()> {
    let endpoint = name.to_owned();
    match key_access(surface, name) {
        Any => Ok(()),
        Never => Err(DomainError::KeyNotAllowed { endpoint }),
        Scopes(wanted) if key.scopes.iter().any(|s| wanted.contains(s)) => Ok(()),
        Scopes(wanted) => {
            let scopes: Vec<&str> = wanted.iter().map(|s| s.name()).collect();
            let scopes = scopes.join(" or ");
            Err(DomainError::KeyScope { endpoint, scopes })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Access, POLICY, Role, Viewer, authorize},
        id::{AccountId, SessionId},
    };
    use std::collections::BTreeSet;

    fn viewer(roles: &[Role], scopes: &[ApiScope]) -> Viewer {
        Viewer::Account {
            id: AccountId::new(1, [1; 10]),
            roles: roles.to_vec(),
            session: SessionId::new(1, [2; 10]),
            key: Some(KeyUse {
                id: ApiKeyId::new(1, [3; 10]),
                scopes: scopes.to_vec(),
                persisted_only: false,
            }),
        }
    }

    #[test]
    fn every_entry_of_the_policy_says_what_keys_may() {
        // PAR-3
        let names = |all: Vec<(Surface, &'static str)>| all.into_iter().collect::<BTreeSet<_>>();
        let policy = names(POLICY.iter().map(|(s, n, _)| (*s, *n)).collect());
        let keys = names(KEY_POLICY.iter().map(|(s, n, _)| (*s, *n)).collect());
        let missing: Vec<_> = policy.difference(&keys).collect();
        let gone: Vec<_> = keys.difference(&policy).collect();
        assert!(
            missing.is_empty(),
            "give these their KeyAccess: {missing:?}"
        );
        assert!(gone.is_empty(), "no such entry: {gone:?}");
        assert_eq!(KEY_POLICY.len(), keys.len(), "an entry is there twice");
    }

    #[test]
    fn no_key_administers_accounts_or_keys_or_acts_as_staff_or_machine() {
        // PAR-3: with every role and every scope.
        let all = viewer(&Role::ALL, &ApiScope::ALL);
        for name in [
            "register",
            "login",
            "logout",
            "registerSigningKey",
            "revokeSigningKey",
            "registerMachine",
            "createApiKey",
            "rotateApiKey",
            "revokeApiKey",
            "registerPersistedQuery",
        ] {
            let refused = authorize(Mutation, name, &all);
            assert!(
                matches!(refused, Err(DomainError::KeyNotAllowed { .. })),
                "{name}"
            );
        }
        for (surface, name, access) in POLICY {
            let staff = match access {
                Access::Roles(r) => r.iter().all(|r| matches!(r, Role::Admin | Role::Auditor)),
                Access::Machine(_) => true,
                _ => false,
            };
            if staff {
                assert_eq!(key_access(*surface, name), Never, "{name}");
                assert!(authorize(*surface, name, &all).is_err(), "{name}");
            }
        }
        // An admin's key sees its owner's orders, not everybody's.
        assert!(!all.sees_all());
    }

    #[test]
    fn a_key_needs_the_scope_and_its_owner_the_role() {
        let buyer = viewer(&[Role::Buyer], &[ApiScope::Order]);
        assert!(authorize(Mutation, "placeOrder", &buyer).is_ok());
        assert!(authorize(Query, "marketplace", &buyer).is_ok());
        assert_eq!(
            authorize(Query, "quote", &buyer).map(drop),
            Err(DomainError::KeyScope {
                endpoint: "quote".into(),
                scopes: "QUOTE".into()
            })
        );
        // Open to everybody without a key, and to a key with the scope.
        assert!(authorize(Query, "listings", &Viewer::Anonymous).is_ok());
        assert!(matches!(
            authorize(Query, "listings", &buyer),
            Err(DomainError::KeyScope { .. })
        ));
        // The scope gives no role.
        let buyer = viewer(&[Role::Buyer], &ApiScope::ALL);
        assert!(matches!(
            authorize(Mutation, "createListing", &buyer),
            Err(DomainError::Forbidden { .. })
        ));
        let custodian = viewer(&[Role::Custodian], &[ApiScope::Listing]);
        assert!(authorize(Mutation, "createListing", &custodian).is_ok());
    }

    #[test]
    fn names_are_read_back() {
        for s in ApiScope::ALL {
            assert_eq!(ApiScope::parse(s.name()), Ok(s));
        }
        assert!(matches!(
            ApiScope::parse("EVERYTHING"),
            Err(DomainError::Invalid { field: "scope", .. })
        ));
    }
}
