//! The market's acts, as GraphQL asks for them.

use crate::{App, convert::read_value, limits::Kind, people::checked_name};
use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;
use std::sync::Arc;
use veilbourse_core::program::Program;
use veilbourse_documents::{KeyRegistration, MachineRegistration, Signed};
use veilbourse_domain::{
    Digest, DomainError, Millis, MinorUnits, Result,
    access::{MachineKind, Pass, Role, Viewer},
    id::{CashRequestId, ListingId, MachineId, OrderId, PublicKey, TransferId},
    ledger::TransferKind,
    listing::{Listing, ListingStep},
    order::Order,
    ports::Store,
    records::{Account, CashRequest, Decision, Machine},
};
use veilbourse_graphql::{
    Caller, KeyNode, ListingTickets, MarketplaceInfo, Progress, QuoteOffer, Service, SessionTokens,
};
use veilbourse_verifier::linear::PrivateArgument;

/// [`App`] behind the GraphQL schema.
#[derive(Debug, Clone)]
pub struct Market(pub Arc<App>);

fn account_actor(pass: &Pass) -> Result<String> {
    Ok(format!("account:{}", pass.viewer().account()?))
}

#[async_trait]
impl Service for Market {
    fn store(&self) -> &dyn Store {
        self.0.store()
    }

    fn now(&self) -> Millis {
        self.0.now()
    }

    fn reference(&self, e: &DomainError) -> String {
        let reference = hex::encode(self.0.random::<6>());
        tracing::error!(reference, error = ?e, "internal error");
        reference
    }

    fn marketplace(&self) -> MarketplaceInfo {
        let app = &self.0;
        MarketplaceInfo {
            id: app.id,
            key: PublicKey(app.key.0),
            fee_basis_points: app.config.fee_basis_points,
            srs: app.accepted.srs.digest,
            srs_provenance: app.accepted.srs.provenance.to_string(),
            verifying_keys: app.circuits.iter().map(PrivateArgument::digest).collect(),
        }
    }

    async fn register(
        &self,
        caller: &Caller,
        mail: &str,
        name: &str,
        password: &str,
        roles: Vec<Role>,
    ) -> Result<Account> {
        self.0.limits.take(Kind::Register, &caller.address)?;
        for r in &roles {
            r.registrable()?;
        }
        self.0.register(mail, name, password, roles).await
    }

    async fn login(
        &self,
        caller: &Caller,
        mail: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<SessionTokens> {
        self.0
            .sign_in(&caller.address, &caller.agent, mail, password, code)
            .await
    }

    async fn refresh(&self, caller: &Caller, token: &str) -> Result<SessionTokens> {
        self.0.rotate(&caller.address, token).await
    }

    async fn logout(&self, pass: &Pass, everywhere: bool) -> Result<u64> {
        let Viewer::Account { id, session, .. } = pass.viewer() else {
            return Err(DomainError::Unauthenticated);
        };
        let only = (!everywhere).then_some(*session);
        self.0.store.revoke_sessions(*id, only, self.0.now()).await
    }

    async fn register_signing_key(&self, pass: &Pass, registration: Value) -> Result<PublicKey> {
        let account = pass.viewer().account()?;
        let signed = read_value::<KeyRegistration>(&self.0, &registration)?;
        if signed.body.account.as_str() != account.to_string() {
            return Err(DomainError::invalid(
                "registration",
                "names another account",
            ));
        }
        let key = PublicKey(signed.key.0);
        // A bucket of its own, as large as that of listings.
        self.0
            .limits
            .take(Kind::Listing, &format!("key {account}"))?;
        self.0
            .store
            .register_key(account, key, self.0.now())
            .await?;
        Ok(key)
    }

    async fn revoke_signing_key(&self, pass: &Pass, key: PublicKey) -> Result<()> {
        self.0
            .store
            .revoke_key(pass.viewer().account()?, key, self.0.now())
            .await
    }

    async fn create_listing(
        &self,
        pass: &Pass,
        title: &str,
        description: &str,
        manifest: Value,
        objects: Vec<(String, u64)>,
    ) -> Result<Listing> {
        self.0
            .new_listing(pass, title, description, manifest, &objects)
            .await
    }

    async fn submit_listing(&self, pass: &Pass, id: ListingId, policy: Value) -> Result<Listing> {
        self.0.submit(pass, id, &policy).await
    }

    async fn update_policy(&self, pass: &Pass, id: ListingId, policy: Value) -> Result<Listing> {
        let listing = self.0.own_listing(pass, id).await?;
        let (terms, signed) = self.0.owners_policy(&listing, &policy).await?;
        let actor = account_actor(pass)?;
        self.0
            .store
            .update_policy(id, terms, signed, &actor, self.0.now())
            .await
    }

    async fn step_listing(&self, pass: &Pass, id: ListingId, step: ListingStep) -> Result<Listing> {
        // Somebody else's listing is not found.
        self.0.own_listing(pass, id).await?;
        let actor = account_actor(pass)?;
        self.0
            .store
            .step_listing(id, step, None, &actor, self.0.now())
            .await
    }

    async fn request_cash(
        &self,
        pass: &Pass,
        kind: TransferKind,
        amount: MinorUnits,
        key: &str,
    ) -> Result<CashRequest> {
        if key.is_empty() || key.len() > 100 {
            return Err(DomainError::invalid(
                "idempotencyKey",
                "must have 1 to 100 bytes",
            ));
        }
        let app = &self.0;
        let account = pass.viewer().account()?;
        app.must_be_verified(account).await?;
        // A bucket of its own, as large as that of orders.
        app.limits.take(Kind::Place, &format!("cash {account}"))?;
        let now = app.now();
        app.store
            .request_cash(
                CashRequestId::new(now, app.random()),
                TransferId::new(now, app.random()),
                kind,
                account,
                amount,
                key,
                now,
            )
            .await
    }

    async fn decide_cash(
        &self,
        pass: &Pass,
        id: CashRequestId,
        approve: bool,
        reason: &str,
    ) -> Result<CashRequest> {
        let by = pass.viewer().account()?;
        self.0
            .store
            .decide_cash(id, by, approve, reason, self.0.now())
            .await
    }

    async fn register_machine(
        &self,
        pass: &Pass,
        kind: MachineKind,
        name: &str,
        registration: Value,
    ) -> Result<Machine> {
        let name = checked_name(name)?;
        let app = &self.0;
        app.must_be_verified(pass.viewer().account()?).await?;
        let signed: Signed<MachineRegistration> = read_value(app, &registration)?;
        let bad = |reason: &str| DomainError::invalid("registration", reason);
        match (kind, &signed.body.sealing_key) {
            // POD-5: a committee's node has a sealing key, a custodian's none.
            (MachineKind::Pod, Some(_)) | (MachineKind::Node, _) => {}
            (MachineKind::Pod, None) => return Err(bad("a pod needs a sealing key")),
        }
        let registration = signed.text().map_err(DomainError::storage)?;
        let now = app.now();
        let machine = Machine {
            id: MachineId::new(now, app.random()),
            kind,
            operator: pass.viewer().account()?,
            name,
            signing_key: PublicKey(signed.key.0),
            registration,
            decision: Decision::Pending,
            reason: String::new(),
            created_at: now,
        };
        app.store.register_machine(&machine, now).await?;
        Ok(machine)
    }

    async fn decide_machine(
        &self,
        pass: &Pass,
        id: MachineId,
        approve: bool,
        reason: &str,
    ) -> Result<Machine> {
        let by = pass.viewer().account()?;
        self.0
            .store
            .decide_machine(id, by, approve, reason, self.0.now())
            .await
    }

    async fn quote(
        &self,
        pass: &Pass,
        listing: ListingId,
        program: Program,
        pod: Option<MachineId>,
        ticket_class: Option<Digest>,
    ) -> Result<QuoteOffer> {
        self.0
            .make_quote(pass, listing, program, pod, ticket_class)
            .await
    }

    async fn tickets(&self, listing: &Listing) -> Result<Option<ListingTickets>> {
        self.0.listing_tickets(listing).await
    }

    async fn key_nodes(&self, _pass: &Pass) -> Result<Vec<KeyNode>> {
        self.0.sealing_nodes().await
    }

    async fn place_order(
        &self,
        pass: &Pass,
        order: Value,
        sealed_model: Option<Vec<u8>>,
    ) -> Result<Order> {
        self.0.place(pass, &order, sealed_model).await
    }

    async fn watch(&self, pass: &Pass, id: OrderId) -> Result<BoxStream<'static, Progress>> {
        self.0.clone().follow(pass, id).await
    }
}
