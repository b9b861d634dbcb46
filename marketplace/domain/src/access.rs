//! Roles and the one policy table (ACC-1): every GraphQL field and every HTTP
//! route with the roles that may use it. What is not in the table is refused.

use crate::{
    DomainError, Result,
    id::{AccountId, MachineId, SessionId},
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
        /// The session of the token.
        session: SessionId,
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
    /// Whether the viewer sees everything: admins and auditors.
    pub fn sees_all(&self) -> bool {
        self.has(&[Role::Admin, Role::Auditor])
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
        // ACC-1: read-only means no mutation but logging in and out.
        let auditor = account(&[Role::Auditor]);
        let open: Vec<_> = POLICY
            .iter()
            .filter(|(s, n, _)| *s == Mutation && authorize(*s, n, &auditor).is_ok())
            .map(|(_, n, _)| *n)
            .collect();
        assert_eq!(open, ["register", "login", "refresh", "logout"]);
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
