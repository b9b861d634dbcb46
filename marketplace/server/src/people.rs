//! What people do with their accounts (ACC-8..16) and reviews' second half
//! (REV-2, REV-3), as GraphQL asks for it.
//!
//! Over 500 lines: the service is one `impl`.

use crate::{
    App,
    auth::{argon, mail},
    limits::Kind,
    service::Market,
    sessions::Seen,
    slowdown::{Guesses, Slowdown, Window},
};
use argon2::PasswordVerifier;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::{sync::Mutex, sync::PoisonError};
use veilbourse_documents::SigningKey;
use veilbourse_domain::{
    DomainError, Millis, Result,
    access::{Pass, Viewer},
    id::{AccountId, ListingId, MachineId, MailId, SessionId},
    listing::{Listing, ListingState, ListingStep},
    mail::{Letter, MailKind},
    passwords::check_password,
    people::{AccountState, MailToken, TokenPurpose},
    records::Account,
    texts::check_text,
};
use veilbourse_graphql::{
    Alarm, Caller, CustodianSummary, MachineWork, People, SecondFactorSetup, SessionEntry,
};

/// Wrong passwords about one account before the next must wait.
const FREE_GUESSES: u32 = 5;
/// Longest wait of who guesses a password from an address that is not known.
const LONGEST_WAIT: Millis = 30_000;
/// Longest wait of who knows the password and guesses codes.
const LONGEST_FACTOR_WAIT: Millis = 15 * 60_000;
/// An account was lately signed in from an address, if within this.
pub(crate) const KNOWN_MILLIS: Millis = 90 * 86_400_000;
/// Letters that somebody can have sent to one address in an hour, and that an
/// account can have sent to addresses that are not its own.
const LETTERS: u32 = 5;
const HOUR: Millis = 3_600_000;

/// What the server holds about people.
pub(crate) struct PeopleState {
    /// Authenticates links (ACC-9).
    pub(crate) mail_key: [u8; 32],
    /// Seals second factors (ACC-11).
    pub(crate) factor_key: [u8; 32],
    /// Wrong passwords at sign-in.
    pub(crate) guesses: Guesses,
    /// Wrong passwords by account, where a session confirms it.
    confirmed: Slowdown,
    /// Wrong codes by account.
    pub(crate) factors: Slowdown,
    /// Letters by address, and by account.
    letters: Window,
    /// Who was noted lately.
    pub(crate) seen: Seen,
    /// Alarms as of when they were looked for.
    pub(crate) alarms: Mutex<Option<(Millis, Vec<Alarm>)>>,
}

impl PeopleState {
    /// Keys of their own, derived from the tokens' key.
    pub(crate) fn new(tokens: &SigningKey) -> Self {
        let derived = |context| blake3::derive_key(context, tokens.as_bytes());
        Self {
            mail_key: derived("veilbourse 2026-11 mail tokens"),
            factor_key: derived("veilbourse 2026-11 second factors"),
            guesses: Guesses::new(FREE_GUESSES, LONGEST_WAIT),
            confirmed: Slowdown::new(FREE_GUESSES, LONGEST_WAIT),
            factors: Slowdown::new(FREE_GUESSES, LONGEST_FACTOR_WAIT),
            letters: Window::new(LETTERS, HOUR),
            seen: Seen::default(),
            alarms: Mutex::default(),
        }
    }
}

/// A name that people see.
pub(crate) fn checked_name(name: &str) -> Result<String> {
    let name = name.trim();
    if name.is_empty() || name.len() > 200 {
        return Err(DomainError::invalid("name", "must have 1 to 200 bytes"));
    }
    check_text("name", name, false)?;
    Ok(name.to_owned())
}

fn session_of(pass: &Pass) -> Result<(AccountId, SessionId)> {
    match pass.viewer() {
        Viewer::Account { id, session, .. } => Ok((*id, *session)),
        _ => Err(DomainError::Unauthenticated),
    }
}

impl App {
    /// A letter, not written yet.
    pub(crate) fn letter(
        &self,
        account: AccountId,
        address: &str,
        kind: MailKind,
        facts: Value,
    ) -> Letter {
        Letter {
            id: MailId::new(self.now(), self.random()),
            account: Some(account),
            address: address.to_owned(),
            kind,
            facts,
        }
    }

    fn letter_to(&self, a: &Account, kind: MailKind) -> Letter {
        self.letter(a.id, &a.mail, kind, json!({ "name": a.name }))
    }

    /// Refuses what waits until the mail address was verified (ACC-9).
    pub(crate) async fn must_be_verified(&self, id: AccountId) -> Result<()> {
        if !self.config.require_verified_mail {
            return Ok(());
        }
        match self.store.account(id).await?.verified_at {
            Some(_) => Ok(()),
            None => Err(DomainError::MailUnverified),
        }
    }

    /// Whether a password is an account's; off the workers.
    pub(crate) async fn is_password(&self, password: &str, hash: String) -> Result<bool> {
        let password = password.to_owned();
        crate::app::off_the_workers(&self.hashing, move || {
            argon()
                .verify_password(password.as_bytes(), hash.as_str())
                .is_ok()
        })
        .await
    }

    /// The account that asks, its password confirmed: a session alone changes
    /// nothing that locks its owner out.
    async fn confirmed(&self, pass: &Pass, password: &str) -> Result<Account> {
        let id = pass.viewer().account()?;
        let key = id.to_string();
        self.people.confirmed.begin(&key, self.now())?;
        let a = self.store.account(id).await?;
        if self.is_password(password, a.password_hash.clone()).await? {
            self.people.confirmed.forget(&key);
            return Ok(a);
        }
        Err(DomainError::WrongCredentials)
    }

    /// A link to an address, with its letter.
    fn link_letter(
        &self,
        a: &Account,
        purpose: TokenPurpose,
        address: &str,
    ) -> (MailToken, Letter) {
        let (link, facts) = self.new_link(purpose, a.id, address, &a.name);
        let kind = match purpose {
            TokenPurpose::VerifyMail | TokenPurpose::ChangeMail => MailKind::VerifyMail,
            TokenPurpose::ResetPassword => MailKind::PasswordReset,
        };
        (link, self.letter(a.id, address, kind, facts))
    }

    async fn send(&self, a: &Account, purpose: TokenPurpose, address: &str) -> Result<()> {
        let (link, letter) = self.link_letter(a, purpose, address);
        self.store.send_link(&link, &letter, self.now()).await
    }

    /// ACC-10: looks and writes after the answer, so that it takes the same for
    /// every address.
    async fn reset_requested(&self, address: &str) {
        let work = async {
            let Some(a) = self.store.account_by_mail(address).await? else {
                return Ok(());
            };
            let few =
                a.state == AccountState::Active && self.people.letters.take(address, self.now());
            if few {
                self.send(&a, TokenPurpose::ResetPassword, address).await?;
            }
            Ok::<_, DomainError>(())
        };
        if let Err(e) = work.await {
            tracing::error!(error = ?e, "sending a password reset");
        }
    }
}

fn limited() -> DomainError {
    DomainError::RateLimited {
        retry_after_seconds: HOUR / 1000,
    }
}

#[async_trait]
impl People for Market {
    async fn verify_mail(&self, caller: &Caller, token: &str) -> Result<()> {
        let app = &self.0;
        app.limits.take(Kind::Login, &caller.address)?;
        let link = app.link_of(token).await?;
        let a = app.store.account(link.account).await?;
        let facts = json!({ "name": a.name, "address": link.address });
        let letter = app.letter(a.id, &a.mail, MailKind::MailChanged, facts);
        app.store
            .verify_address(&link.nonce, &letter, app.now())
            .await?;
        Ok(())
    }

    async fn resend_verification(&self, pass: &Pass) -> Result<()> {
        let app = &self.0;
        let a = app.store.account(pass.viewer().account()?).await?;
        if a.verified_at.is_some() {
            return Ok(());
        }
        if !app.people.letters.take(&a.mail, app.now()) {
            return Err(limited());
        }
        app.send(&a, TokenPurpose::VerifyMail, &a.mail).await
    }

    async fn request_password_reset(&self, caller: &Caller, address: &str) -> Result<()> {
        let app = &self.0;
        app.limits.take(Kind::Register, &caller.address)?;
        let address = mail(address)?;
        let app = app.clone();
        tokio::spawn(async move { app.reset_requested(&address).await });
        Ok(())
    }

    async fn reset_password(&self, caller: &Caller, token: &str, password: &str) -> Result<()> {
        let app = &self.0;
        app.limits.take(Kind::Login, &caller.address)?;
        let link = app.link_of(token).await?;
        if link.purpose != TokenPurpose::ResetPassword {
            let reason = "it is for something else";
            return Err(DomainError::MailTokenInvalid { reason });
        }
        let a = app.store.account(link.account).await?;
        check_password(password, &a.mail, &a.name)?;
        let hash = app.hash(password).await?;
        let letter = app.letter_to(&a, MailKind::PasswordChanged);
        app.store
            .reset_password(&link.nonce, &hash, &letter, app.now())
            .await?;
        // ACC-14: who reads the mail is the owner, from wherever.
        app.people.guesses.forget_all(&a.mail);
        Ok(())
    }

    async fn change_password(
        &self,
        pass: &Pass,
        current: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<()> {
        let app = &self.0;
        let (id, session) = session_of(pass)?;
        let a = app.confirmed(pass, current).await?;
        check_password(password, &a.mail, &a.name)?;
        let hash = app.hash(password).await?;
        let proof = app.factor_proof(&a, code).await?;
        let letter = app.letter_to(&a, MailKind::PasswordChanged);
        let done = app
            .store
            .change_password(id, session, &hash, proof.as_ref(), &letter, app.now())
            .await;
        app.counted(id, done)
    }

    async fn change_mail(
        &self,
        pass: &Pass,
        address: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<()> {
        let app = &self.0;
        let address = mail(address)?;
        let a = app.confirmed(pass, password).await?;
        app.pass_factor(&a, code).await?;
        // ACC-9: few an account, whoever the addresses belong to, for the letters go
        // to strangers; few an address, counted apart from those that its owner
        // asks for.
        let (letters, now) = (&app.people.letters, app.now());
        if !letters.take(&format!("by {}", a.id), now)
            || !letters.take(&format!("to {address}"), now)
        {
            return Err(limited());
        }
        // A taken address is answered alike, and nothing is sent.
        let (link, letter) = app.link_letter(&a, TokenPurpose::ChangeMail, &address);
        let (_, session) = session_of(pass)?;
        let store = &app.store;
        store.send_change(session, &link, &letter, now).await
    }

    async fn change_name(&self, pass: &Pass, name: &str) -> Result<Account> {
        let app = &self.0;
        let (id, name) = (pass.viewer().account()?, checked_name(name)?);
        app.limits.take(Kind::Listing, &format!("name {id}"))?;
        app.store.change_name(id, &name, app.now()).await
    }

    async fn begin_second_factor(&self, pass: &Pass, password: &str) -> Result<SecondFactorSetup> {
        let app = &self.0;
        let a = app.confirmed(pass, password).await?;
        // Else whoever registers another's address could keep it (ACC-9).
        if a.verified_at.is_none() {
            return Err(DomainError::MailUnverified);
        }
        let s = app.new_factor(&a).await?;
        Ok(SecondFactorSetup {
            secret: s.secret,
            uri: s.uri,
            qr: s.qr,
            qr_size: s.qr_size,
        })
    }

    async fn confirm_second_factor(&self, pass: &Pass, code: &str) -> Result<Vec<String>> {
        let app = &self.0;
        let a = app.store.account(pass.viewer().account()?).await?;
        if a.second_factor {
            return Err(DomainError::SecondFactorState { found: "set" });
        }
        let step = app.code_step(a.id, code).await?;
        let (codes, hashes) = app.recovery_codes(a.id);
        let facts = json!({ "name": a.name, "enabled": true });
        let letter = app.letter(a.id, &a.mail, MailKind::SecondFactorChanged, facts);
        let done = app
            .store
            .confirm_factor(a.id, step, &hashes, &letter, app.now())
            .await;
        app.counted(a.id, done)?;
        Ok(codes)
    }

    async fn disable_second_factor(&self, pass: &Pass, password: &str, code: &str) -> Result<()> {
        let app = &self.0;
        let a = app.confirmed(pass, password).await?;
        let proof = app.factor_proof(&a, Some(code)).await?;
        let facts = json!({ "name": a.name, "enabled": false });
        let letter = app.letter(a.id, &a.mail, MailKind::SecondFactorChanged, facts);
        let done = app
            .store
            .clear_factor(a.id, a.id, proof.as_ref(), "", &letter, app.now())
            .await;
        app.counted(a.id, done)
    }

    async fn clear_second_factor(&self, pass: &Pass, id: AccountId, reason: &str) -> Result<()> {
        let app = &self.0;
        let by = pass.viewer().account()?;
        if by == id {
            return Err(DomainError::OwnRequest);
        }
        let a = app.store.account(id).await?;
        let facts = json!({ "name": a.name, "enabled": false });
        let letter = app.letter(a.id, &a.mail, MailKind::SecondFactorChanged, facts);
        app.store
            .clear_factor(id, by, None, reason, &letter, app.now())
            .await
    }

    async fn sessions(&self, pass: &Pass) -> Result<Vec<SessionEntry>> {
        let (id, present) = session_of(pass)?;
        let all = self.0.store.sessions(id, self.0.now()).await?;
        let entry = |s: veilbourse_domain::records::Session| SessionEntry {
            id: s.id.to_string(),
            created_at: s.created_at.to_string(),
            last_seen_at: s.last_seen_at.to_string(),
            expires_at: s.expires_at.to_string(),
            agent: s.agent,
            address: s.address,
            current: s.id == present,
        };
        Ok(all.into_iter().map(entry).collect())
    }

    async fn revoke_session(&self, pass: &Pass, id: SessionId) -> Result<()> {
        let account = pass.viewer().account()?;
        let now = self.0.now();
        match self.0.store.revoke_sessions(account, Some(id), now).await? {
            0 => Err(DomainError::NotFound { what: "session" }),
            _ => Ok(()),
        }
    }

    async fn set_account_state(
        &self,
        pass: &Pass,
        id: AccountId,
        to: AccountState,
        reason: &str,
    ) -> Result<Account> {
        let app = &self.0;
        let by = pass.viewer().account()?;
        let a = app.store.account(id).await?;
        let kind = match to {
            AccountState::Suspended => MailKind::AccountSuspended,
            _ => MailKind::AccountRestored,
        };
        let facts = json!({ "name": a.name, "reason": reason });
        let letter = app.letter(a.id, &a.mail, kind, facts);
        app.store
            .set_account_state(id, to, by, reason, &letter, app.now())
            .await
    }

    async fn delete_account(&self, pass: &Pass, password: &str, code: Option<&str>) -> Result<()> {
        let app = &self.0;
        let a = app.confirmed(pass, password).await?;
        let proof = app.factor_proof(&a, code).await?;
        let done = app
            .store
            .delete_account(a.id, proof.as_ref(), app.now())
            .await;
        app.counted(a.id, done)
    }

    async fn review_listing(
        &self,
        pass: &Pass,
        id: ListingId,
        step: ListingStep,
        reason: &str,
        seen: Option<Millis>,
    ) -> Result<Listing> {
        if reason.len() > veilbourse_domain::listing::MAX_REASON {
            return Err(DomainError::TooLarge {
                field: "reason",
                limit: veilbourse_domain::listing::MAX_REASON as u64,
                value: reason.len() as u64,
            });
        }
        check_text("reason", reason, true)?;
        let by = pass.viewer().account()?;
        let now = self.0.now();
        self.0
            .store
            .review_listing(id, step, reason, seen, by, None, now)
            .await
    }

    async fn appeal_listing(&self, pass: &Pass, id: ListingId, text: &str) -> Result<Listing> {
        let app = &self.0;
        let owner = pass.viewer().account()?;
        app.limits.take(Kind::Listing, &owner.to_string())?;
        let l = app.own_listing(pass, id).await?;
        let letter = match &l.state {
            ListingState::Rejected { by, .. } => {
                let a = app.store.account(*by).await?;
                let facts = json!({ "listing": id.to_string(), "title": l.title });
                let active = a.state == AccountState::Active;
                active.then(|| app.letter(a.id, &a.mail, MailKind::AppealReceived, facts))
            }
            _ => None,
        };
        let step = ListingStep::Appeal {
            text: text.trim().to_owned(),
        };
        app.store
            .review_listing(id, step, "", None, owner, letter.as_ref(), app.now())
            .await
    }

    async fn alarms(&self, _pass: &Pass) -> Result<Vec<Alarm>> {
        let app = &self.0;
        let now = app.now();
        let held = || {
            app.people
                .alarms
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some((at, found)) = held().as_ref()
            && now.abs_diff(*at) < 60_000
        {
            return Ok(found.clone());
        }
        let found = app.look_for_alarms().await?;
        *held() = Some((now, found.clone()));
        Ok(found)
    }

    async fn custodian_summary(&self, pass: &Pass) -> Result<CustodianSummary> {
        self.0.earned_by(pass.viewer().account()?).await
    }

    async fn machine_work(&self, pass: &Pass, id: MachineId) -> Result<MachineWork> {
        let machine = self.0.store.machine(id).await?;
        pass.sees("machine", &[machine.operator])?;
        self.0.work_of(&machine).await
    }
}
