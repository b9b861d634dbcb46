//! Roles and the one policy table (ACC-1): every GraphQL field and every HTTP
//! route with the roles that may use it. What is not in the table is refused.

use crate::{
    DomainError, Result,
    id::{AccountId, MachineId, SessionId},
    scopes::{self, KeyUse},
};
use serde::{Deserialize, Serialize};

/// What an account may act as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Lists encrypted datasets.
    Custodian,
    /// Orders queries.
    Buyer,
    /// Moderates, approves, sees everything.
    Admin,
    /// Integrates through the API; acts as a buyer in this version.
    Partner,
    /// Sees what an admin sees, changes nothing.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Custodian,
        Self::Buyer,
        Self::Admin,
        Self::Partner,
        Self::Auditor,
    ];

    /// The name in documents and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Custodian => "custodian",
            Self::Buyer => "buyer",
            Self::Admin => "admin",
            Self::Partner => "partner",
            Self::Auditor => "auditor",
        }
    }
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|r| r.name() == name)
            .ok_or_else(|| DomainError::invalid("role", format!("unknown role {name:?}")))
    }
    /// Whether somebody may take the role by registering (ACC-2).
    pub fn registrable(self) -> Result<Self> {
        match self {
            Self::Admin | Self::Auditor => Err(DomainError::RoleNotRegistrable {
                role: self.name().into(),
            }),
            Self::Custodian | Self::Buyer | Self::Partner => Ok(self),
        }
    }
}

/// The two kinds of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineKind {
    /// Compute pod.
    Pod,
    /// Key node.
    Node,
}

impl MachineKind {
    /// The name in documents and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
        }
    }
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "pod" => Ok(Self::Pod),
            "node" => Ok(Self::Node),
            _ => Err(DomainError::invalid(
                "machine kind",
                format!("unknown kind {name:?}"),
            )),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// Nobody signed in.
    Anonymous,
    /// A person's session.
    Account {
        /// The account.
        id: AccountId,
        /// Its roles.
        roles: Vec<Role>,
        /// The session of the token; of an API key, an id that no session has.
        session: SessionId,
        /// The API key, where one asks: it may do less (PAR-3).
        key: Option<KeyUse>,
    },
    /// A machine's token.
    Machine {
        /// The machine.
        id: MachineId,
        /// Pod or node.
        kind: MachineKind,
        /// The operator's account.
        operator: AccountId,
    },
}

impl Viewer {
    /// Whether the viewer has one of the roles.
    pub fn has(&self, wanted: &[Role]) -> bool {
        matches!(self, Self::Account { roles, .. } if roles.iter().any(|r| wanted.contains(r)))
    }
    /// Whether the viewer sees everything: admins and auditors, by themselves and
    /// not by an API key of theirs (PAR-3).
    pub fn sees_all(&self) -> bool {
        self.key().is_none() && self.has(&[Role::Admin, Role::Auditor])
    }
    /// The API key that asks.
    pub fn key(&self) -> Option<&KeyUse> {
        match self {
            Self::Account { key, .. } => key.as_ref(),
            _ => None,
        }
    }
    /// The account, or a refusal.
    pub fn account(&self) -> Result<AccountId> {
        match self {
            Self::Account { id, .. } => Ok(*id),
            _ => Err(DomainError::Unauthenticated),
        }
    }
}

/// Who may use an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Every account.
    SignedIn,
    /// Accounts with one of the roles.
    Roles(&'static [Role]),
    /// Machines of a kind.
    Machine(MachineKind),
}

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Surface {
    /// A field of the GraphQL query root.
    Query,
    /// A field of the GraphQL mutation root.
    Mutation,
    /// A field of the GraphQL subscription root.
    Subscription,
    /// An HTTP route, `METHOD /path`.
    Http,
}

const STAFF: Access = Access::Roles(&[Role::Admin, Role::Auditor]);
const ADMIN: Access = Access::Roles(&[Role::Admin]);
const CUSTODIAN: Access = Access::Roles(&[Role::Custodian]);
const BUYER: Access = Access::Roles(&[Role::Buyer, Role::Partner]);
/// Auditors are read-only: whatever changes something names the others.
const ACTOR: Access = Access::Roles(&[Role::Custodian, Role::Buyer, Role::Partner, Role::Admin]);
const POD: Access = Access::Machine(MachineKind::Pod);
const NODE: Access = Access::Machine(MachineKind::Node);

use Access::{Public, SignedIn};
use Surface::{Http, Mutation, Query, Subscription};

/// The table (ACC-1). A test of the server and one of the schema compare it
/// with what they register.
pub const POLICY: &[(Surface, &str, Access)] = &[
    (Query, "marketplace", Public),
    (Query, "me", SignedIn),
    (Query, "listings", Public),
    (Query, "listing", Public),
    (Query, "quote", BUYER),
    (Query, "order", SignedIn),
    (Query, "orders", SignedIn),
    (Query, "myBalance", SignedIn),
    (Query, "myPostings", SignedIn),
    (Query, "deposits", SignedIn),
    (Query, "withdrawals", SignedIn),
    (Query, "machines", SignedIn),
    (Query, "keyNodes", SignedIn),
    (Query, "committees", CUSTODIAN),
    (Query, "accounts", STAFF),
    (Query, "ledgerAccounts", STAFF),
    (Query, "ledgerCheck", STAFF),
    (Query, "ledgerTransfers", STAFF),
    (Query, "audit", STAFF),
    (Query, "auditCheck", STAFF),
    (Query, "reviewQueue", STAFF),
    (Query, "sentMails", SignedIn),
    (Query, "localMails", Public),
    (Mutation, "setMailPreferences", ACTOR),
    (Mutation, "unsubscribe", Public),
    (Mutation, "retryMail", ADMIN),
    (Mutation, "dismissMail", ADMIN),
    (Query, "mySessions", SignedIn),
    (Query, "alarms", STAFF),
    (Query, "overview", STAFF),
    (Query, "custodianSummary", CUSTODIAN),
    (Query, "listingOrders", SignedIn),
    (Query, "machineWork", SignedIn),
    (Mutation, "register", Public),
    (Mutation, "login", Public),
    (Mutation, "refresh", Public),
    (Mutation, "logout", SignedIn),
    (Mutation, "registerSigningKey", ACTOR),
    (Mutation, "revokeSigningKey", ACTOR),
    (Mutation, "createListing", CUSTODIAN),
    (Mutation, "submitListing", CUSTODIAN),
    (Mutation, "updatePolicy", CUSTODIAN),
    (Mutation, "pauseListing", CUSTODIAN),
    (Mutation, "resumeListing", CUSTODIAN),
    (Mutation, "withdrawListing", CUSTODIAN),
    (Mutation, "reviewListing", ADMIN),
    (Mutation, "requestDeposit", ACTOR),
    (Mutation, "decideDeposit", ADMIN),
    (Mutation, "requestWithdrawal", ACTOR),
    (Mutation, "decideWithdrawal", ADMIN),
    (Mutation, "registerMachine", ACTOR),
    (Mutation, "decideMachine", ADMIN),
    (Mutation, "placeOrder", BUYER),
    (Query, "apiKeys", SignedIn),
    (Query, "webhooks", SignedIn),
    (Query, "webhookDeliveries", SignedIn),
    (Query, "persistedQueries", SignedIn),
    (Mutation, "createApiKey", ACTOR),
    (Mutation, "rotateApiKey", ACTOR),
    (Mutation, "revokeApiKey", ACTOR),
    (Mutation, "createWebhook", ACTOR),
    (Mutation, "updateWebhook", ACTOR),
    (Mutation, "rotateWebhookSecret", ACTOR),
    (Mutation, "deleteWebhook", ACTOR),
    (Mutation, "testWebhook", ACTOR),
    (Mutation, "redeliverWebhook", ACTOR),
    (Mutation, "registerPersistedQuery", ACTOR),
    (Mutation, "removePersistedQuery", ACTOR),
    (Http, "GET /graphql/federation-sdl", Public),
    (Mutation, "verifyMail", Public),
    (Mutation, "resendVerification", SignedIn),
    (Mutation, "requestPasswordReset", Public),
    (Mutation, "resetPassword", Public),
    (Mutation, "changePassword", SignedIn),
    (Mutation, "changeMail", SignedIn),
    (Mutation, "changeName", SignedIn),
    (Mutation, "beginSecondFactor", SignedIn),
    (Mutation, "confirmSecondFactor", SignedIn),
    (Mutation, "disableSecondFactor", SignedIn),
    (Mutation, "revokeSession", SignedIn),
    (Mutation, "deleteAccount", ACTOR),
    (Mutation, "suspendAccount", ADMIN),
    (Mutation, "restoreAccount", ADMIN),
    (Mutation, "clearSecondFactor", ADMIN),
    (Mutation, "appealListing", CUSTODIAN),
    (Subscription, "orderProgress", SignedIn),
    (Http, "GET /", Public),
    (Http, "GET /{page}", Public),
    (Http, "GET /assets/{file}", Public),
    (Http, "GET /graphql", Public),
    (Http, "POST /graphql", Public),
    (Http, "GET /graphql/sdl", Public),
    (Http, "GET /healthz", Public),
    (Http, "GET /readyz", Public),
    (Http, "GET /metrics", Public),
    (Http, "POST /v1/session", Public),
    (Http, "DELETE /v1/session", Public),
    (Http, "GET /v1/exports/ledger.csv", STAFF),
    (Http, "GET /v1/exports/audit.jsonl", STAFF),
    (Http, "GET /v1/exports/orders.csv", STAFF),
    (Http, "HEAD /v1/listings/{id}/objects/{name}", CUSTODIAN),
    (Http, "PATCH /v1/listings/{id}/objects/{name}", CUSTODIAN),
    (Http, "GET /v1/listings/{id}/objects/{name}", Public),
    (
        Http,
        "PUT /v1/listings/{id}/dealings/{dealing}/announcement",
        CUSTODIAN,
    ),
    (
        Http,
        "PUT /v1/listings/{id}/dealings/{dealing}/{party}/{part}/{piece}",
        CUSTODIAN,
    ),
    (Http, "GET /v1/listings/{id}/dealings", CUSTODIAN),
    (Http, "GET /v1/orders/{id}/receipt", SignedIn),
    (Http, "GET /v1/orders/{id}/result", BUYER),
    (Http, "GET /v1/orders/{id}/masked", BUYER),
    (Http, "GET /v1/orders/{id}/masks/{node}", BUYER),
    (Http, "GET /v1/verifying-keys/{digest}", Public),
    // Its owner's and staff's; on the machine itself everybody's (MAIL-10).
    (Http, "GET /v1/mails/{id}/preview.{format}", Public),
    (Http, "POST /v1/unsubscribe", Public),
    (Http, "POST /v1/machines/token", Public),
    (Http, "POST /v1/pod/lease", POD),
    (Http, "POST /v1/pod/jobs/{order}/heartbeat", POD),
    (Http, "POST /v1/pod/jobs/{order}/decline", POD),
    (Http, "PUT /v1/pod/jobs/{order}/outputs/{index}", POD),
    (Http, "POST /v1/pod/jobs/{order}/submission", POD),
    (Http, "GET /v1/pod/jobs/{order}/objects/{name}", POD),
    (Http, "POST /v1/node/dealings", NODE),
    (Http, "GET /v1/node/dealings/{dealing}/{part}/{piece}", NODE),
    (Http, "POST /v1/node/dealings/{dealing}", NODE),
    (Http, "POST /v1/node/tickets", NODE),
    (Http, "POST /v1/node/lease", NODE),
    (Http, "POST /v1/node/jobs/{order}/delivery", NODE),
    (Http, "POST /v1/node/jobs/{order}/non-delivery", NODE),
    (Http, "GET /v1/node/jobs/{order}/objects/{name}", NODE),
];

/// Proof that the policy table let the viewer pass; only [`authorize`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    viewer: Viewer,
    name: &'static str,
}

impl Pass {
    /// Who passed.
    pub fn viewer(&self) -> &Viewer {
        &self.viewer
    }
    /// The entry that was passed.
    pub fn name(&self) -> &'static str {
        self.name
    }
    /// ACC-6: what belongs to somebody else answers as not found, except to
    /// admins and auditors.
    pub fn sees(&self, what: &'static str, owners: &[AccountId]) -> Result<()> {
        let own = match &self.viewer {
            Viewer::Account { id, .. } => owners.contains(id),
            _ => false,
        };
        if own || self.viewer.sees_all() {
            Ok(())
        } else {
            Err(DomainError::NotFound { what })
        }
    }
}

/// Looks the entry up in [`POLICY`] and lets the viewer pass or not (ACC-1).
pub fn authorize(surface: Surface, name: &str, viewer: &Viewer) -> Result<Pass> {
    let Some((_, name, access)) = POLICY.iter().find(|(s, n, _)| *s == surface && *n == name)
    else {
        return Err(DomainError::Forbidden {
            endpoint: name.into(),
        });
    };
    let allowed = match (access, viewer) {
        (Public, _) => true,
        (_, Viewer::Anonymous) => return Err(DomainError::Unauthenticated),
        (SignedIn, Viewer::Account { .. }) => true,
        (Access::Roles(roles), Viewer::Account { .. }) => viewer.has(roles),
        (Access::Machine(kind), Viewer::Machine { kind: found, .. }) => kind == found,
        (SignedIn | Access::Roles(_), Viewer::Machine { .. })
        | (Access::Machine(_), Viewer::Account { .. }) => false,
    };
    if allowed {
        if let Some(key) = viewer.key() {
            scopes::admit(surface, name, key)?; // PAR-3
        }
        Ok(Pass {
            viewer: viewer.clone(),
            name,
        })
    } else {
        Err(DomainError::Forbidden {
            endpoint: (*name).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn account(roles: &[Role]) -> Viewer {
        Viewer::Account {
            id: AccountId::new(1, [1; 10]),
            roles: roles.to_vec(),
            session: SessionId::new(1, [2; 10]),
            key: None,
        }
    }

    #[test]
    fn entries_are_unique_and_unknown_ones_refused() {
        let names: BTreeSet<_> = POLICY.iter().map(|(s, n, _)| (*s, *n)).collect();
        assert_eq!(names.len(), POLICY.len());
        let refused = authorize(Query, "everything", &account(&Role::ALL));
        assert!(matches!(refused, Err(DomainError::Forbidden { .. })));
    }

    #[test]
    fn auditors_change_nothing() {
        // ACC-1: read-only means no mutation but of one's own account.
        let auditor = account(&[Role::Auditor]);
        let open: Vec<_> = POLICY
            .iter()
            .filter(|(s, n, _)| *s == Mutation && authorize(*s, n, &auditor).is_ok())
            .map(|(_, n, _)| *n)
            .collect();
        // `unsubscribe` acts for whom its link was made.
        let own = [
            "unsubscribe",
            "register",
            "login",
            "refresh",
            "logout",
            "verifyMail",
            "resendVerification",
            "requestPasswordReset",
            "resetPassword",
            "changePassword",
            "changeMail",
            "changeName",
            "beginSecondFactor",
            "confirmSecondFactor",
            "disableSecondFactor",
            "revokeSession",
        ];
        assert_eq!(open, own);
    }

    /// ACC-1: every entry against everybody, as a table that a person reads.
    /// On purpose changed? Put the text that the test names in its place.
    #[test]
    fn the_matrix_is_the_one_that_was_read() {
        let machine = |kind| Viewer::Machine {
            id: MachineId::new(1, [3; 10]),
            kind,
            operator: AccountId::new(1, [4; 10]),
        };
        let mut everybody = vec![("nobody", Viewer::Anonymous)];
        everybody.extend(Role::ALL.map(|r| (r.name(), account(&[r]))));
        everybody.push(("pod", machine(MachineKind::Pod)));
        everybody.push(("node", machine(MachineKind::Node)));
        let mut now = String::new();
        for (surface, name, _) in POLICY {
            let may = everybody.iter().map(|(who, viewer)| {
                match authorize(*surface, name, viewer) {
                    Ok(_) => *who,
                    // Who is signed in is told that it is the role.
                    Err(DomainError::Forbidden { .. }) if *viewer != Viewer::Anonymous => "-",
                    Err(DomainError::Unauthenticated) if *viewer == Viewer::Anonymous => "-",
                    Err(e) => panic!("{name} as {who}: {e}"),
                }
            });
            let may: Vec<&str> = may.collect();
            now.push_str(&format!("{surface:?} {name}: {}\n", may.join(" ")));
        }
        let held = include_str!("access_matrix.txt");
        if held != now {
            let next = std::env::temp_dir().join("access_matrix.txt");
            std::fs::write(&next, &now).expect("writable");
            panic!(
                "src/access_matrix.txt differs; the new text is in {}",
                next.display()
            );
        }
    }

    #[test]
    fn roles_and_machines_are_kept_apart() {
        let buyer = account(&[Role::Buyer]);
        assert!(authorize(Mutation, "placeOrder", &buyer).is_ok());
        assert!(authorize(Mutation, "createListing", &buyer).is_err());
        assert!(authorize(Query, "audit", &buyer).is_err());
        assert_eq!(
            authorize(Query, "me", &Viewer::Anonymous),
            Err(DomainError::Unauthenticated)
        );
        let pod = Viewer::Machine {
            id: MachineId::new(1, [3; 10]),
            kind: MachineKind::Pod,
            operator: AccountId::new(1, [4; 10]),
        };
        assert!(authorize(Http, "POST /v1/pod/lease", &pod).is_ok());
        assert!(authorize(Http, "POST /v1/node/lease", &pod).is_err());
        assert!(authorize(Mutation, "placeOrder", &pod).is_err());
        assert!(authorize(Http, "POST /v1/pod/lease", &buyer).is_err());
    }

    #[test]
    fn what_is_not_ours_is_not_found() {
        // ACC-6
        let pass = authorize(Query, "order", &account(&[Role::Buyer])).expect("allowed");
        let other = AccountId::new(9, [9; 10]);
        assert_eq!(
            pass.sees("order", &[other]),
            Err(DomainError::NotFound { what: "order" })
        );
        assert_eq!(pass.sees("order", &[AccountId::new(1, [1; 10])]), Ok(()));
        let pass = authorize(Query, "order", &account(&[Role::Auditor])).expect("allowed");
        assert_eq!(pass.sees("order", &[other]), Ok(()));
    }

    #[test]
    fn admins_are_never_self_registered() {
        // ACC-2
        for r in Role::ALL {
            assert_eq!(Role::parse(r.name()), Ok(r));
            assert_eq!(
                r.registrable().is_ok(),
                !matches!(r, Role::Admin | Role::Auditor)
            );
        }
        assert!(Role::parse("root").is_err());
    }
}
