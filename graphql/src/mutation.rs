//! Acting: each root field asks the policy table first (ACC-1).

use crate::{
    Account, AccountRole, CashRequestEntry, MachineEntry, MachineRole, Money, Tokens,
    query::{Listing, Order, caller, parsed, pass, refuse, service},
};
use async_graphql::{Context, Enum, InputObject, Json, Object, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use veilbourse_domain::{
    DomainError, MinorUnits, access::Surface, ledger::TransferKind, listing::ListingStep,
};

/// How an admin decides on a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ReviewDecision {
    /// Publish.
    Approve,
    /// Send back, with a reason.
    Reject,
}

/// The length of an object that the manifest does not fix: `listing-proof`,
/// and optionally `twin.csv` and `twin.json`.
#[derive(Debug, InputObject)]
pub struct ObjectLength {
    /// Its name.
    pub name: String,
    /// Its bytes, as a decimal string.
    pub length: String,
}

/// The mutation root.
#[derive(Debug, Default)]
pub struct MarketMutation;

#[Object]
impl MarketMutation {
    /// Makes an account (custodian, buyer, partner).
    async fn register(
        &self,
        ctx: &Context<'_>,
        mail: String,
        name: String,
        password: String,
        roles: Vec<AccountRole>,
    ) -> Result<Account> {
        pass(ctx, Surface::Mutation, "register")?;
        let roles = roles.into_iter().map(Into::into).collect();
        let a = service(ctx)?
            .register(caller(ctx)?, &mail, &name, &password, roles)
            .await
            .map_err(refuse(ctx))?;
        Ok(Account::new(a, Vec::new()))
    }

    /// Signs in; `code` where a second factor is set, or one of its recovery
    /// codes.
    async fn login(
        &self,
        ctx: &Context<'_>,
        mail: String,
        password: String,
        code: Option<String>,
    ) -> Result<Tokens> {
        pass(ctx, Surface::Mutation, "login")?;
        let t = service(ctx)?
            .login(caller(ctx)?, &mail, &password, code.as_deref())
            .await
            .map_err(refuse(ctx))?;
        Ok(t.into())
    }

    /// Exchanges a refresh token for new tokens, once.
    async fn refresh(&self, ctx: &Context<'_>, token: String) -> Result<Tokens> {
        // A refused access token must not keep its holder from refreshing.
        let t = service(ctx)?
            .refresh(caller(ctx)?, &token)
            .await
            .map_err(refuse(ctx))?;
        Ok(t.into())
    }

    /// Ends this session, or all of the account's. The number of sessions ended.
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] everywhere: bool,
    ) -> Result<String> {
        let p = pass(ctx, Surface::Mutation, "logout")?;
        let n = service(ctx)?
            .logout(&p, everywhere)
            .await
            .map_err(refuse(ctx))?;
        Ok(n.to_string())
    }

    /// Registers a signing key by a signed `key-registration`.
    async fn register_signing_key(
        &self,
        ctx: &Context<'_>,
        registration: Json<Value>,
    ) -> Result<String> {
        let p = pass(ctx, Surface::Mutation, "registerSigningKey")?;
        let key = service(ctx)?
            .register_signing_key(&p, registration.0)
            .await
            .map_err(refuse(ctx))?;
        Ok(key.to_string())
    }

    /// Revokes a signing key.
    async fn revoke_signing_key(&self, ctx: &Context<'_>, key: String) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "revokeSigningKey")?;
        service(ctx)?
            .revoke_signing_key(&p, parsed(ctx, &key)?)
            .await
            .map_err(refuse(ctx))?;
        Ok(true)
    }

    /// Makes a draft from a manifest; its objects are uploaded next.
    async fn create_listing(
        &self,
        ctx: &Context<'_>,
        title: String,
        description: String,
        manifest: Json<Value>,
        objects: Vec<ObjectLength>,
    ) -> Result<Listing> {
        let p = pass(ctx, Surface::Mutation, "createListing")?;
        let mut stated = Vec::new();
        for o in objects {
            let length = o.length.parse().map_err(|_| {
                refuse(ctx)(DomainError::invalid(
                    "objects.length",
                    format!("{:?}", o.length),
                ))
            })?;
            stated.push((o.name, length));
        }
        let l = service(ctx)?
            .create_listing(&p, &title, &description, manifest.0, stated)
            .await
            .map_err(refuse(ctx))?;
        Ok(Listing(l))
    }

    /// Verifies every object and submits for review, with the signed policy.
    #[graphql(complexity = "100 + child_complexity")]
    async fn submit_listing(
        &self,
        ctx: &Context<'_>,
        id: String,
        policy: Json<Value>,
    ) -> Result<Listing> {
        let p = pass(ctx, Surface::Mutation, "submitListing")?;
        let l = service(ctx)?
            .submit_listing(&p, parsed(ctx, &id)?, policy.0)
            .await
            .map_err(refuse(ctx))?;
        Ok(Listing(l))
    }

    /// Replaces the policy by its next version.
    async fn update_policy(
        &self,
        ctx: &Context<'_>,
        id: String,
        policy: Json<Value>,
    ) -> Result<Listing> {
        let p = pass(ctx, Surface::Mutation, "updatePolicy")?;
        let l = service(ctx)?
            .update_policy(&p, parsed(ctx, &id)?, policy.0)
            .await
            .map_err(refuse(ctx))?;
        Ok(Listing(l))
    }

    /// Takes no new orders.
    async fn pause_listing(&self, ctx: &Context<'_>, id: String) -> Result<Listing> {
        step(ctx, "pauseListing", id, ListingStep::Pause).await
    }

    /// Takes orders again.
    async fn resume_listing(&self, ctx: &Context<'_>, id: String) -> Result<Listing> {
        step(ctx, "resumeListing", id, ListingStep::Resume).await
    }

    /// Takes it out for good.
    async fn withdraw_listing(&self, ctx: &Context<'_>, id: String) -> Result<Listing> {
        step(ctx, "withdrawListing", id, ListingStep::Withdraw).await
    }

    /// Publishes or sends back (admin). `seen` is the listing's `updatedAt` that
    /// was looked at: if it changed meanwhile, nothing is decided (`CONFLICT`).
    async fn review_listing(
        &self,
        ctx: &Context<'_>,
        id: String,
        decision: ReviewDecision,
        #[graphql(default)] reason: String,
        seen: Option<String>,
    ) -> Result<Listing> {
        let p = pass(ctx, Surface::Mutation, "reviewListing")?;
        let by = p.viewer().account().map_err(refuse(ctx))?;
        let bad = |s: &str| refuse(ctx)(DomainError::invalid("seen", format!("{s:?} is no time")));
        let seen = seen.map(|s| s.parse().map_err(|_| bad(&s))).transpose()?;
        let step = match decision {
            ReviewDecision::Approve => ListingStep::Approve { by },
            ReviewDecision::Reject => ListingStep::Reject {
                by,
                reason: reason.clone(),
            },
        };
        let l = service(ctx)?
            .review_listing(&p, parsed(ctx, &id)?, step, &reason, seen)
            .await
            .map_err(refuse(ctx))?;
        Ok(Listing(l))
    }

    /// Asks for a deposit; the same key again answers the same.
    async fn request_deposit(
        &self,
        ctx: &Context<'_>,
        amount: Money,
        idempotency_key: String,
    ) -> Result<CashRequestEntry> {
        request(
            ctx,
            "requestDeposit",
            TransferKind::Deposit,
            amount,
            idempotency_key,
        )
        .await
    }

    /// Approves or refuses a deposit (admin).
    async fn decide_deposit(
        &self,
        ctx: &Context<'_>,
        id: String,
        approve: bool,
        #[graphql(default)] reason: String,
    ) -> Result<CashRequestEntry> {
        decide(ctx, "decideDeposit", id, approve, reason).await
    }

    /// Asks for a withdrawal; the same key again answers the same.
    async fn request_withdrawal(
        &self,
        ctx: &Context<'_>,
        amount: Money,
        idempotency_key: String,
    ) -> Result<CashRequestEntry> {
        request(
            ctx,
            "requestWithdrawal",
            TransferKind::Withdrawal,
            amount,
            idempotency_key,
        )
        .await
    }

    /// Approves or refuses a withdrawal (admin).
    async fn decide_withdrawal(
        &self,
        ctx: &Context<'_>,
        id: String,
        approve: bool,
        #[graphql(default)] reason: String,
    ) -> Result<CashRequestEntry> {
        decide(ctx, "decideWithdrawal", id, approve, reason).await
    }

    /// Registers a pod or key node by a signed `machine-registration`, which a
    /// pod's sealing key is part of; an admin approves it.
    async fn register_machine(
        &self,
        ctx: &Context<'_>,
        kind: MachineRole,
        name: String,
        registration: Json<Value>,
    ) -> Result<MachineEntry> {
        let p = pass(ctx, Surface::Mutation, "registerMachine")?;
        let m = service(ctx)?
            .register_machine(&p, kind.into(), &name, registration.0)
            .await
            .map_err(refuse(ctx))?;
        Ok(m.into())
    }

    /// Approves or refuses a machine (admin).
    async fn decide_machine(
        &self,
        ctx: &Context<'_>,
        id: String,
        approve: bool,
        #[graphql(default)] reason: String,
    ) -> Result<MachineEntry> {
        let p = pass(ctx, Surface::Mutation, "decideMachine")?;
        let m = service(ctx)?
            .decide_machine(&p, parsed(ctx, &id)?, approve, &reason)
            .await
            .map_err(refuse(ctx))?;
        Ok(m.into())
    }

    /// Places a signed order; the price goes into escrow. `sealedModel` is
    /// base64, where a vector is private.
    #[graphql(complexity = "50 + child_complexity")]
    async fn place_order(
        &self,
        ctx: &Context<'_>,
        order: Json<Value>,
        sealed_model: Option<String>,
    ) -> Result<Order> {
        let p = pass(ctx, Surface::Mutation, "placeOrder")?;
        let sealed = sealed_model
            .map(|s| STANDARD.decode(s))
            .transpose()
            .map_err(|e| refuse(ctx)(DomainError::invalid("sealedModel", e.to_string())))?;
        let o = service(ctx)?
            .place_order(&p, order.0, sealed)
            .await
            .map_err(refuse(ctx))?;
        Ok(Order(o))
    }
}

async fn step(ctx: &Context<'_>, name: &str, id: String, step: ListingStep) -> Result<Listing> {
    let p = pass(ctx, Surface::Mutation, name)?;
    let l = service(ctx)?
        .step_listing(&p, parsed(ctx, &id)?, step)
        .await
        .map_err(refuse(ctx))?;
    Ok(Listing(l))
}

async fn request(
    ctx: &Context<'_>,
    name: &str,
    kind: TransferKind,
    amount: Money,
    key: String,
) -> Result<CashRequestEntry> {
    let p = pass(ctx, Surface::Mutation, name)?;
    let amount = MinorUnits::positive("amount", amount.0).map_err(refuse(ctx))?;
    let r = service(ctx)?
        .request_cash(&p, kind, amount, &key)
        .await
        .map_err(refuse(ctx))?;
    Ok(r.into())
}

async fn decide(
    ctx: &Context<'_>,
    name: &str,
    id: String,
    approve: bool,
    reason: String,
) -> Result<CashRequestEntry> {
    let p = pass(ctx, Surface::Mutation, name)?;
    let r = service(ctx)?
        .decide_cash(&p, parsed(ctx, &id)?, approve, &reason)
        .await
        .map_err(refuse(ctx))?;
    Ok(r.into())
}
