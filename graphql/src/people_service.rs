//! What people do with their accounts, as the resolvers ask for it; what staff,
//! custodians and operators look at. The server implements it.

use crate::{Alarm, Caller, CustodianSummary, MachineWork, SecondFactorSetup, SessionEntry};
use async_trait::async_trait;
use veilbourse_domain::{
    Millis, Result,
    access::Pass,
    id::{AccountId, ListingId, MachineId, SessionId},
    listing::{Listing, ListingStep},
    people::AccountState,
    records::Account,
};

/// Acts on accounts and reviews. Each takes the pass of the policy table, or the
/// caller where everybody may ask.
#[async_trait]
pub trait People: Send + Sync {
    /// ACC-9.
    async fn verify_mail(&self, caller: &Caller, token: &str) -> Result<()>;
    /// ACC-9.
    async fn resend_verification(&self, pass: &Pass) -> Result<()>;
    /// ACC-10: answers the same whether the mail has an account or not.
    async fn request_password_reset(&self, caller: &Caller, mail: &str) -> Result<()>;
    /// ACC-10.
    async fn reset_password(&self, caller: &Caller, token: &str, password: &str) -> Result<()>;
    /// ACC-10.
    async fn change_password(
        &self,
        pass: &Pass,
        current: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<()>;
    /// ACC-9.
    async fn change_mail(
        &self,
        pass: &Pass,
        mail: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<()>;
    /// REV-5.
    async fn change_name(&self, pass: &Pass, name: &str) -> Result<Account>;
    /// ACC-11.
    async fn begin_second_factor(&self, pass: &Pass, password: &str) -> Result<SecondFactorSetup>;
    /// ACC-11: the recovery codes.
    async fn confirm_second_factor(&self, pass: &Pass, code: &str) -> Result<Vec<String>>;
    /// ACC-12.
    async fn disable_second_factor(&self, pass: &Pass, password: &str, code: &str) -> Result<()>;
    /// ACC-12: by an admin.
    async fn clear_second_factor(&self, pass: &Pass, id: AccountId, reason: &str) -> Result<()>;
    /// ACC-13.
    async fn sessions(&self, pass: &Pass) -> Result<Vec<SessionEntry>>;
    /// ACC-13.
    async fn revoke_session(&self, pass: &Pass, id: SessionId) -> Result<()>;
    /// ACC-15: by an admin.
    async fn set_account_state(
        &self,
        pass: &Pass,
        id: AccountId,
        to: AccountState,
        reason: &str,
    ) -> Result<Account>;
    /// ACC-16.
    async fn delete_account(&self, pass: &Pass, password: &str, code: Option<&str>) -> Result<()>;

    /// REV-2: by an admin, on what was seen.
    async fn review_listing(
        &self,
        pass: &Pass,
        id: ListingId,
        step: ListingStep,
        reason: &str,
        seen: Option<Millis>,
    ) -> Result<Listing>;
    /// REV-3.
    async fn appeal_listing(&self, pass: &Pass, id: ListingId, text: &str) -> Result<Listing>;

    /// What staff should look at now.
    async fn alarms(&self, pass: &Pass) -> Result<Vec<Alarm>>;
    /// What a custodian has earned.
    async fn custodian_summary(&self, pass: &Pass) -> Result<CustodianSummary>;
    /// What a machine does and has earned: for its operator and staff.
    async fn machine_work(&self, pass: &Pass, id: MachineId) -> Result<MachineWork>;
}
