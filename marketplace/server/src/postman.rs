//! The worker that takes letters out of the outbox (MAIL-2, MAIL-3, MAIL-8): one
//! at a time, over one dialogue with the relay while letters are due.
//!
//! Between naming the recipient and handing the letter over, the worker notes in
//! the store that it does. Whatever kills it before, the letter waits again;
//! whatever kills it after, the letter is `unknown`: a letter is not sent twice
//! unless an admin says so.

use crate::{App, config::ServerConfig};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use veilbourse_domain::{
    DomainError, Millis, Result,
    id::{LeaseToken, MailId},
    mail::{MailRecord, MailState, next_try},
};
use veilbourse_mail::{
    Folder, Headers, MailError, Message, Relay, SendError, Sender, Session, Transport,
};

/// How often the outbox is looked at.
const ROUND: Duration = Duration::from_millis(500);
/// Longest wait after the relay could not be reached.
const LONGEST: Duration = Duration::from_secs(120);
/// Letters over one dialogue.
const BATCH: u32 = 50;
/// Rounds between two looks at what is wrong, and at what is old.
const LOOK: u32 = 20;
/// A letter that is due for so long is an alarm.
const LATE_MILLIS: Millis = 15 * 60_000;
/// How often it is tried to note that a letter was taken.
const NOTES: u32 = 4;

/// The letters' way out, and how it is.
#[derive(Debug)]
pub(crate) struct Post {
    transport: Transport,
    sender: Sender,
    /// Where the server listens, once it does.
    pub(crate) bound: OnceLock<SocketAddr>,
    /// Since when the relay cannot be reached, and why.
    shut: Mutex<Option<(Millis, String)>>,
}

fn refused(e: &MailError) -> DomainError {
    DomainError::invalid("mail", e.to_string())
}

impl Post {
    /// As configured: to a relay, or into `mails` in the data folder.
    pub(crate) fn new(config: &ServerConfig) -> Result<Self> {
        let sender = sender(config)?;
        let transport = match &config.mail {
            Some(url) => {
                let ca = config.mail_ca.as_ref().map(std::fs::read).transpose();
                let ca = ca.map_err(|e| DomainError::invalid("mail_ca", e.to_string()))?;
                let relay = Relay::parse(url.reveal(), sender.domain(), ca.as_deref());
                Transport::Relay(relay.map_err(|e| refused(&e))?)
            }
            None => {
                let folder = Folder::open(&config.dir.join("mails"));
                Transport::Folder(folder.map_err(DomainError::storage)?)
            }
        };
        Ok(Self {
            transport,
            sender,
            bound: OnceLock::new(),
            shut: Mutex::default(),
        })
    }

    /// Whether letters go into the folder.
    pub(crate) fn local(&self) -> bool {
        matches!(self.transport, Transport::Folder(_))
    }

    /// Where the server listens, or was told to.
    pub(crate) fn address(&self, told: &str) -> String {
        self.bound
            .get()
            .map_or(told.to_owned(), ToString::to_string)
    }

    fn set_shut(&self, what: Option<(Millis, String)>) {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *shut, what) {
            // Since the first time.
            (Some((_, why)), Some((_, newest))) => *why = newest,
            (shut, what) => *shut = what,
        }
    }
}

fn sender(config: &ServerConfig) -> Result<Sender> {
    let parsed = config.mail_from.parse();
    parsed.map_err(|e: MailError| DomainError::invalid("mail_from", e.to_string()))
}

/// MAIL-9: what the configuration says of mail, without reading a file.
pub(crate) fn check_config(c: &ServerConfig) -> Result<()> {
    let sender = sender(c)?;
    if let Some(url) = &c.public_url {
        let rest = ["http://", "https://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]/".contains(&b);
        if !rest.is_some_and(|r| !r.is_empty() && !r.starts_with('/') && r.bytes().all(plain)) {
            let reason = "expected http:// or https:// and a host, without query or fragment";
            return Err(DomainError::invalid("public_url", reason));
        }
    }
    if c.mail_days == 0 {
        return Err(DomainError::invalid("mail_days", "must be positive"));
    }
    let Some(url) = &c.mail else {
        return Ok(());
    };
    Relay::parse(url.reveal(), sender.domain(), None).map_err(|e| refused(&e))?;
    if c.public_url.is_none() {
        let reason = "links in letters need it where mail goes to a relay";
        return Err(DomainError::invalid("public_url", reason));
    }
    if sender.domain() == "localhost" {
        let reason = "a relay takes no letters from localhost: name an address of yours";
        return Err(DomainError::invalid("mail_from", reason));
    }
    Ok(())
}

/// Something about letters that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAlarm {
    /// Stable: `MAIL_RELAY`, `MAIL_FAILED`, `MAIL_UNKNOWN`, `MAIL_LATE`.
    pub code: &'static str,
    /// `warning` or `critical`.
    pub severity: &'static str,
    /// Since when, as far as known.
    pub at: Millis,
    /// In words.
    pub message: String,
}

/// Every code of a [`MailAlarm`].
const ALARMS: [&str; 4] = ["MAIL_RELAY", "MAIL_FAILED", "MAIL_UNKNOWN", "MAIL_LATE"];

/// What a round came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Letters that were taken.
    pub(crate) sent: u32,
    /// Whether the way out could not be opened.
    pub(crate) shut: bool,
}

fn counted(outcome: &'static str, n: u64) {
    metrics::counter!("veilbourse_mails_total", "outcome" => outcome).increment(n);
}

impl App {
    /// Sends letters until told to stop; the letter under way is finished.
    pub(crate) async fn post_forever(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (mut wait, mut rounds) = (ROUND, 0u32);
        let mut raised: Vec<&'static str> = Vec::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.changed() => return,
            }
            wait = match self.post_round(&stop).await {
                Ok(r) if r.shut => (wait * 2).min(LONGEST),
                Ok(_) => ROUND,
                Err(e) => {
                    tracing::error!(error = ?e, "letters");
                    (wait * 2).min(LONGEST)
                }
            };
            if rounds.is_multiple_of(LOOK) {
                raised = self.watch_letters(&raised).await;
            }
            rounds = rounds.wrapping_add(1);
        }
    }

    /// Everything that is due, or as much as one dialogue carries.
    pub(crate) async fn post_round(&self, stop: &watch::Receiver<bool>) -> Result<Round> {
        let mut done = Round::default();
        let repeatable = self.post.transport.repeatable();
        let (_, unknown) = self.store.recover_mail(repeatable, self.now()).await?;
        if unknown > 0 {
            counted("unknown", unknown);
            tracing::error!(
                code = "MAIL_UNKNOWN",
                letters = unknown,
                "no answer was noted"
            );
        }
        self.store.remind(self.now(), BATCH).await?;
        let due = self.store.mail_due().await?;
        if due.is_none_or(|at| at > self.now()) {
            return Ok(done);
        }
        // Opened before a letter is taken: while the relay is away, letters wait
        // and use up no tries (MAIL-3).
        let mut session = match self.post.transport.open().await {
            Ok(s) => s,
            Err(e) => {
                tracing::warn!(error = %e, "no way out for letters");
                self.post.set_shut(Some((self.now(), e.to_string())));
                done.shut = true;
                return Ok(done);
            }
        };
        self.post.set_shut(None);
        let mut result = Ok(());
        for _ in 0..BATCH {
            let token = LeaseToken(self.random());
            let claimed = match self.store.claim_mail(token, self.now()).await {
                Ok(c) => c,
                Err(e) => {
                    result = Err(e);
                    break;
                }
            };
            let Some(m) = claimed else { break };
            match self.send_one(&mut session, &m, token).await {
                Ok(sent) => done.sent += u32::from(sent),
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
            if *stop.borrow() || !session.usable() {
                break;
            }
        }
        session.close().await;
        result.map(|()| done)
    }

    /// The message of a letter.
    fn message_of(&self, m: &MailRecord) -> std::result::Result<Message, MailError> {
        let letter = self.rendered(m, true)?;
        let stop = m.letter.account.filter(|_| m.letter.kind.group().is_some());
        let stop = stop.map(|a| {
            let token = self.unsubscribe_token(a);
            format!("{}/v1/unsubscribe?token={token}", self.public_url())
        });
        let headers = Headers {
            id: m.letter.id,
            sender: &self.post.sender,
            to: &m.letter.address,
            at: m.created_at,
            one_click: stop.as_deref(),
        };
        Message::new(&headers, &letter)
    }

    /// One letter; whether it was taken.
    async fn send_one(
        &self,
        session: &mut Session,
        m: &MailRecord,
        token: LeaseToken,
    ) -> Result<bool> {
        let id = m.letter.id;
        if let Some(account) = m.letter.account {
            // MAIL-6: as it is now, not when the letter was written.
            let wanted = self.store.preferences(account).await?;
            if !wanted.want(m.letter.kind) {
                self.settle_letter(id, token, MailState::Skipped, "switched off", 0)
                    .await?;
                return Ok(false);
            }
        }
        let message = match self.message_of(m) {
            Ok(message) => message,
            Err(e) => {
                self.settle_letter(id, token, MailState::Failed, &e.to_string(), 0)
                    .await?;
                return Ok(false);
            }
        };
        if let Err(e) = session.envelope(&message).await {
            return self.not_taken(m, token, e).await;
        }
        // MAIL-2: from here on it may be with the relay.
        self.store.mail_sending(id, token, self.now()).await?;
        match session.hand_over(&message).await {
            Ok(()) => {
                self.settle_letter(id, token, MailState::Sent, "", 0)
                    .await?;
                Ok(true)
            }
            Err(e) => self.not_taken(m, token, e).await,
        }
    }

    async fn not_taken(&self, m: &MailRecord, token: LeaseToken, e: SendError) -> Result<bool> {
        let (state, due) = match &e {
            SendError::Refused { .. } => (MailState::Failed, 0),
            SendError::Unknown { .. } => (MailState::Unknown, 0),
            SendError::Later { .. } => match next_try(m.attempts) {
                Some(wait) => (MailState::Waiting, self.now().saturating_add(wait)),
                None => (MailState::Failed, 0),
            },
        };
        self.settle_letter(m.letter.id, token, state, &e.to_string(), due)
            .await?;
        Ok(false)
    }

    /// Notes what became of a letter. That one was taken is tried to be noted more
    /// than once: what is not noted ends as unknown.
    async fn settle_letter(
        &self,
        id: MailId,
        token: LeaseToken,
        state: MailState,
        why: &str,
        due: Millis,
    ) -> Result<()> {
        let mut tries = 0;
        loop {
            let done = self
                .store
                .settle_mail(id, token, state, why, due, self.now())
                .await;
            tries += 1;
            match done {
                Err(e) if e != DomainError::StaleLease && tries < NOTES => {
                    tracing::error!(mail = %id, error = ?e, "not noted");
                    tokio::time::sleep(Duration::from_millis(50 << tries)).await;
                }
                // Noted, and the answer to an earlier try was lost.
                Err(DomainError::StaleLease) if tries > 1 => break,
                Err(e) => return Err(e),
                Ok(()) => break,
            }
        }
        match state {
            MailState::Failed => {
                tracing::error!(code = "MAIL_FAILED", mail = %id, why, "letter failed");
            }
            MailState::Unknown => {
                tracing::error!(code = "MAIL_UNKNOWN", mail = %id, why, "letter without an answer");
            }
            _ => {}
        }
        counted(state.name(), 1);
        Ok(())
    }

    /// What is wrong with letters.
    pub(crate) async fn mail_alarms(&self) -> Result<Vec<MailAlarm>> {
        let now = self.now();
        let c = self.store.mail_counts().await?;
        metrics::gauge!("veilbourse_mails_waiting").set(c.waiting as f64);
        let mut out = Vec::new();
        let mut add = |code, severity, at, message| {
            out.push(MailAlarm {
                code,
                severity,
                at,
                message,
            });
        };
        let shut = self
            .post
            .shut
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((at, why)) = shut.clone() {
            add(
                "MAIL_RELAY",
                "critical",
                at,
                format!("letters have no way out: {why}"),
            );
        }
        if c.failed > 0 {
            let message = format!("{} letters were refused or never taken", c.failed);
            add("MAIL_FAILED", "warning", now, message);
        }
        if c.unknown > 0 {
            let message = format!(
                "{} letters were handed over without an answer: look for their Message-IDs at the relay, then send them again or put them aside",
                c.unknown
            );
            add("MAIL_UNKNOWN", "warning", now, message);
        }
        if let Some(at) = c
            .oldest_due
            .filter(|at| at.saturating_add(LATE_MILLIS) < now)
        {
            let message = format!(
                "{} letters wait, the oldest for more than 15 minutes",
                c.waiting
            );
            add("MAIL_LATE", "warning", at, message);
        }
        Ok(out)
    }

    /// Raises and lowers alarms; erases what is old (MAIL-8). The codes that are
    /// raised now.
    async fn watch_letters(&self, before: &[&'static str]) -> Vec<&'static str> {
        if let Err(e) = self.erase_old_letters().await {
            tracing::error!(error = ?e, "old letters");
        }
        let alarms = match self.mail_alarms().await {
            Ok(a) => a,
            Err(e) => {
                tracing::error!(error = ?e, "alarms of letters");
                return before.to_vec();
            }
        };
        for code in ALARMS {
            let on = alarms.iter().any(|a| a.code == code);
            metrics::gauge!("veilbourse_mail_alarm", "code" => code).set(f64::from(u8::from(on)));
        }
        for a in alarms.iter().filter(|a| !before.contains(&a.code)) {
            tracing::error!(code = a.code, severity = a.severity, "{}", a.message);
        }
        alarms.iter().map(|a| a.code).collect()
    }

    /// MAIL-8.
    pub(crate) async fn erase_old_letters(&self) -> Result<u64> {
        let now = self.now();
        let kept = u64::from(self.config.mail_days) * 86_400_000;
        let Some(before) = now.checked_sub(kept) else {
            return Ok(0);
        };
        let erased = self.store.erase_mail(before, BATCH, now).await?;
        if let Transport::Folder(f) = &self.post.transport {
            for id in &erased {
                f.forget(*id).map_err(DomainError::storage)?;
            }
        }
        Ok(erased.len() as u64)
    }
}
