//! Accounts of people, reviews' second half, and what staff, custodians and
//! operators look at: root fields beside the market's.

use crate::{
    Account, Alarm, CustodianSummary, MachineWork, Overview, SecondFactorSetup, SessionEntry,
    query::{List, Listing, Order, caller, list, page, parsed, pass, refuse, service},
};
use async_graphql::{Context, Object, Result};
use veilbourse_domain::{
    access::Surface,
    id::{AccountId, ListingId, MachineId, SessionId},
    people::AccountState,
    records,
};

/// Queries about people.
#[derive(Debug, Default)]
pub struct PeopleQuery;

#[Object]
impl PeopleQuery {
    /// One's sessions that have not ended, the last used first.
    #[graphql(complexity = "10 + child_complexity")]
    async fn my_sessions(&self, ctx: &Context<'_>) -> Result<Vec<SessionEntry>> {
        let p = pass(ctx, Surface::Query, "mySessions")?;
        service(ctx)?.sessions(&p).await.map_err(refuse(ctx))
    }

    /// What staff should look at now, worst first (staff). Looked for at most
    /// once a minute.
    #[graphql(complexity = "200 + child_complexity")]
    async fn alarms(&self, ctx: &Context<'_>) -> Result<Vec<Alarm>> {
        let p = pass(ctx, Surface::Query, "alarms")?;
        service(ctx)?.alarms(&p).await.map_err(refuse(ctx))
    }

    /// Counts over the whole market (staff).
    #[graphql(complexity = "100 + child_complexity")]
    async fn overview(&self, ctx: &Context<'_>) -> Result<Overview> {
        pass(ctx, Surface::Query, "overview")?;
        let found = service(ctx)?.store().overview().await;
        found.map(Into::into).map_err(refuse(ctx))
    }

    /// What one has earned as a custodian.
    #[graphql(complexity = "100 + child_complexity")]
    async fn custodian_summary(&self, ctx: &Context<'_>) -> Result<CustodianSummary> {
        let p = pass(ctx, Surface::Query, "custodianSummary")?;
        service(ctx)?
            .custodian_summary(&p)
            .await
            .map_err(refuse(ctx))
    }

    /// Orders on a listing, newest first: for its owner and staff.
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn listing_orders(
        &self,
        ctx: &Context<'_>,
        id: String,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<Order>> {
        let p = pass(ctx, Surface::Query, "listingOrders")?;
        let id: ListingId = parsed(ctx, &id)?;
        let store = service(ctx)?.store();
        let l = store.listing(id).await.map_err(refuse(ctx))?;
        p.sees("listing", &[l.owner]).map_err(refuse(ctx))?;
        let page = page(ctx, first, after)?;
        let found = store.listing_orders(id, &page).await.map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), Order))
    }

    /// What a pod or key node does and has done: for its operator and staff.
    #[graphql(complexity = "50 + child_complexity")]
    async fn machine_work(&self, ctx: &Context<'_>, id: String) -> Result<MachineWork> {
        let p = pass(ctx, Surface::Query, "machineWork")?;
        let id: MachineId = parsed(ctx, &id)?;
        service(ctx)?
            .machine_work(&p, id)
            .await
            .map_err(refuse(ctx))
    }
}

/// Acts on people's accounts.
#[derive(Debug, Default)]
pub struct PeopleMutation;

fn own(a: records::Account) -> Account {
    Account::new(a, Vec::new())
}

#[Object]
impl PeopleMutation {
    /// Shows by a link's token that a mail address is one's own: the account's,
    /// or the one that takes its place.
    async fn verify_mail(&self, ctx: &Context<'_>, token: String) -> Result<bool> {
        pass(ctx, Surface::Mutation, "verifyMail")?;
        let done = service(ctx)?.verify_mail(caller(ctx)?, &token).await;
        done.map(|()| true).map_err(refuse(ctx))
    }

    /// Sends the letter that verifies one's address again.
    async fn resend_verification(&self, ctx: &Context<'_>) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "resendVerification")?;
        let done = service(ctx)?.resend_verification(&p).await;
        done.map(|()| true).map_err(refuse(ctx))
    }

    /// Sends a letter with a link that sets another password, if the mail has an
    /// account; answers the same if not.
    async fn request_password_reset(&self, ctx: &Context<'_>, mail: String) -> Result<bool> {
        pass(ctx, Surface::Mutation, "requestPasswordReset")?;
        let done = service(ctx)?
            .request_password_reset(caller(ctx)?, &mail)
            .await;
        done.map(|()| true).map_err(refuse(ctx))
    }

    /// Sets another password by a link's token; every session ends.
    async fn reset_password(
        &self,
        ctx: &Context<'_>,
        token: String,
        password: String,
    ) -> Result<bool> {
        pass(ctx, Surface::Mutation, "resetPassword")?;
        let done = service(ctx)?
            .reset_password(caller(ctx)?, &token, &password)
            .await;
        done.map(|()| true).map_err(refuse(ctx))
    }

    /// Changes the password; every other session ends. `code` where a second
    /// factor is set.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        current: String,
        password: String,
        code: Option<String>,
    ) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "changePassword")?;
        let done = service(ctx)?
            .change_password(&p, &current, &password, code.as_deref())
            .await;
        done.map(|()| true).map_err(refuse(ctx))
    }

    /// Sends a link to another address; it takes the place of the present one
    /// when the link is used, and the present one is told.
    async fn change_mail(
        &self,
        ctx: &Context<'_>,
        mail: String,
        password: String,
        code: Option<String>,
    ) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "changeMail")?;
        let done = service(ctx)?
            .change_mail(&p, &mail, &password, code.as_deref())
            .await;
        done.map(|()| true).map_err(refuse(ctx))
    }

    /// Changes the name shown.
    async fn change_name(&self, ctx: &Context<'_>, name: String) -> Result<Account> {
        let p = pass(ctx, Surface::Mutation, "changeName")?;
        let a = service(ctx)?
            .change_name(&p, &name)
            .await
            .map_err(refuse(ctx))?;
        let keys = service(ctx)?
            .store()
            .signing_keys(a.id)
            .await
            .map_err(refuse(ctx))?;
        Ok(Account::new(a, keys))
    }

    /// Makes a secret for an authenticator app; signing in asks for nothing
    /// before `confirmSecondFactor`.
    async fn begin_second_factor(
        &self,
        ctx: &Context<'_>,
        password: String,
    ) -> Result<SecondFactorSetup> {
        let p = pass(ctx, Surface::Mutation, "beginSecondFactor")?;
        let setup = service(ctx)?.begin_second_factor(&p, &password).await;
        setup.map_err(refuse(ctx))
    }

    /// Shows a first code: from now on signing in asks for one. Ten recovery
    /// codes, each good once, shown once.
    async fn confirm_second_factor(&self, ctx: &Context<'_>, code: String) -> Result<Vec<String>> {
        let p = pass(ctx, Surface::Mutation, "confirmSecondFactor")?;
        let codes = service(ctx)?.confirm_second_factor(&p, &code).await;
        codes.map_err(refuse(ctx))
    }

    /// Removes the second factor; `code` may be a recovery code.
    async fn disable_second_factor(
        &self,
        ctx: &Context<'_>,
        password: String,
        code: String,
    ) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "disableSecondFactor")?;
        let done = service(ctx)?
            .disable_second_factor(&p, &password, &code)
            .await;
        done.map(|()| true).map_err(refuse(ctx))
    }

    /// Ends one of one's sessions.
    async fn revoke_session(&self, ctx: &Context<'_>, id: String) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "revokeSession")?;
        let id: SessionId = parsed(ctx, &id)?;
        let done = service(ctx)?.revoke_session(&p, id).await;
        done.map(|()| true).map_err(refuse(ctx))
    }

    /// Deletes one's account for good: what is personal is erased, the ledger
    /// stays. Refused while money, open orders, live listings or approved
    /// machines are left.
    async fn delete_account(
        &self,
        ctx: &Context<'_>,
        password: String,
        code: Option<String>,
    ) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "deleteAccount")?;
        let done = service(ctx)?
            .delete_account(&p, &password, code.as_deref())
            .await;
        done.map(|()| true).map_err(refuse(ctx))
    }

    /// Suspends an account (admin): its sessions end, nobody signs in, its
    /// published listings are paused.
    async fn suspend_account(
        &self,
        ctx: &Context<'_>,
        id: String,
        reason: String,
    ) -> Result<Account> {
        state(ctx, "suspendAccount", id, AccountState::Suspended, reason).await
    }

    /// Restores a suspended account (admin).
    async fn restore_account(
        &self,
        ctx: &Context<'_>,
        id: String,
        reason: String,
    ) -> Result<Account> {
        state(ctx, "restoreAccount", id, AccountState::Active, reason).await
    }

    /// Removes somebody's second factor (admin): the way out of a lost or stolen
    /// one. The owner is told, and signs in again.
    async fn clear_second_factor(
        &self,
        ctx: &Context<'_>,
        id: String,
        reason: String,
    ) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "clearSecondFactor")?;
        let id: AccountId = parsed(ctx, &id)?;
        let done = service(ctx)?.clear_second_factor(&p, id, &reason).await;
        done.map(|()| true).map_err(refuse(ctx))
    }

    /// Asks for another look at one's rejected listing; it waits for review
    /// again, unchanged.
    async fn appeal_listing(&self, ctx: &Context<'_>, id: String, text: String) -> Result<Listing> {
        let p = pass(ctx, Surface::Mutation, "appealListing")?;
        let id: ListingId = parsed(ctx, &id)?;
        let l = service(ctx)?.appeal_listing(&p, id, &text).await;
        l.map(Listing).map_err(refuse(ctx))
    }
}

async fn state(
    ctx: &Context<'_>,
    name: &str,
    id: String,
    to: AccountState,
    reason: String,
) -> Result<Account> {
    let p = pass(ctx, Surface::Mutation, name)?;
    let id: AccountId = parsed(ctx, &id)?;
    let a = service(ctx)?.set_account_state(&p, id, to, &reason).await;
    a.map(own).map_err(refuse(ctx))
}
