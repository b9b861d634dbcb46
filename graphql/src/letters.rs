//! Letters: what one gets, what was sent, and letters that did not arrive (MAIL).

use crate::{
    Account, LocalLetter,
    query::{List, caller, list, page, parsed, pass, refuse, service},
};
use async_graphql::{ComplexObject, Context, InputObject, Object, Result, SimpleObject};
use veilbourse_domain::{
    DomainError,
    access::{Pass, Surface},
    id::AccountId,
    mail::{self, MailFilter, MailRecord},
};

/// Which letters one gets; those about the account itself always come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SimpleObject)]
pub struct MailPreferences {
    /// Orders: placed, released, refunded, received, earned.
    pub orders: bool,
    /// One's listings: submitted, approved, sent back.
    pub listings: bool,
    /// Quotas and tickets that run low.
    pub budgets: bool,
    /// Orders that near their deadline unopened.
    pub deadlines: bool,
    /// Deposits and withdrawals.
    pub cash: bool,
}

/// The same, to be set.
#[derive(Debug, Clone, Copy, InputObject)]
pub struct MailPreferencesInput {
    /// Orders: placed, released, refunded, received, earned.
    pub orders: bool,
    /// One's listings: submitted, approved, sent back.
    pub listings: bool,
    /// Quotas and tickets that run low.
    pub budgets: bool,
    /// Orders that near their deadline unopened.
    pub deadlines: bool,
    /// Deposits and withdrawals.
    pub cash: bool,
}

impl From<mail::Preferences> for MailPreferences {
    fn from(p: mail::Preferences) -> Self {
        let mail::Preferences {
            orders,
            listings,
            budgets,
            deadlines,
            cash,
        } = p;
        Self {
            orders,
            listings,
            budgets,
            deadlines,
            cash,
        }
    }
}

impl From<MailPreferencesInput> for mail::Preferences {
    fn from(p: MailPreferencesInput) -> Self {
        let MailPreferencesInput {
            orders,
            listings,
            budgets,
            deadlines,
            cash,
        } = p;
        Self {
            orders,
            listings,
            budgets,
            deadlines,
            cash,
        }
    }
}

/// A letter of the outbox. Its text is at `/v1/mails/{id}/preview.txt`.
#[derive(Debug, SimpleObject)]
pub struct Mail {
    /// Its id; the Message-ID begins with it.
    pub id: String,
    /// What it is about, for example `order_released`.
    pub kind: String,
    /// Where to; empty once erased.
    pub address: String,
    /// Its subject.
    pub subject: String,
    /// waiting, claimed, sending, sent, unknown, failed, skipped or dismissed.
    /// Unknown: handed to the relay, whose answer was lost.
    pub state: String,
    /// When it was written, milliseconds since the epoch.
    pub created_at: String,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last try came to; only for staff.
    pub error: Option<String>,
    /// When the relay took it, milliseconds since the epoch.
    pub sent_at: Option<String>,
}

impl Mail {
    fn new(m: MailRecord, subject: String, staff: bool) -> Self {
        Self {
            id: m.letter.id.to_string(),
            kind: m.letter.kind.name().into(),
            address: m.letter.address,
            subject,
            state: m.state.name().into(),
            created_at: m.created_at.to_string(),
            attempts: m.attempts,
            error: Some(m.error).filter(|e| staff && !e.is_empty()),
            sent_at: m.sent_at.map(|t| t.to_string()),
        }
    }
}

/// A letter in the local folder: where no relay is set up, whoever sits at the
/// machine reads it here.
#[derive(Debug, SimpleObject)]
pub struct LocalMail {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub kind: String,
    /// When it was written, milliseconds since the epoch.
    pub created_at: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The link that it asks to follow.
    pub action: Option<String>,
}

impl From<LocalLetter> for LocalMail {
    fn from(l: LocalLetter) -> Self {
        Self {
            id: l.id.to_string(),
            kind: l.kind,
            created_at: l.at.to_string(),
            subject: l.subject,
            text: l.text,
            action: l.action,
        }
    }
}

#[ComplexObject]
impl Account {
    /// Which letters one gets; only of one's own account.
    #[graphql(complexity = "3")]
    async fn preferences(&self, ctx: &Context<'_>) -> Result<Option<MailPreferences>> {
        let viewer = caller(ctx)?.viewer.as_ref();
        let own = viewer.ok().and_then(|v| v.account().ok());
        match own.filter(|a: &AccountId| a.to_string() == self.id) {
            Some(account) => {
                let found = service(ctx)?.store().preferences(account).await;
                Ok(Some(found.map_err(refuse(ctx))?.into()))
            }
            None => Ok(None),
        }
    }
}

/// Reading letters.
#[derive(Debug, Default)]
pub struct LetterQuery;

#[Object]
impl LetterQuery {
    /// Letters to one's account, newest first; of all accounts for staff who ask
    /// for `all`.
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn sent_mails(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
        #[graphql(default)] all: bool,
        state: Option<String>,
    ) -> Result<List<Mail>> {
        let p = pass(ctx, Surface::Query, "sentMails")?;
        let staff = p.viewer().sees_all();
        if all && !staff {
            let endpoint = "sentMails(all: true)".into();
            return Err(refuse(ctx)(DomainError::Forbidden { endpoint }));
        }
        let filter = MailFilter {
            account: match all {
                true => None,
                false => Some(p.viewer().account().map_err(refuse(ctx))?),
            },
            address: None,
            state: state
                .map(|s| mail::MailState::parse(&s))
                .transpose()
                .map_err(refuse(ctx))?,
        };
        let page = page(ctx, first, after)?;
        let service = service(ctx)?;
        let found = service.store().mails(&filter, &page).await;
        Ok(list(
            found.map_err(refuse(ctx))?,
            page.after.is_some(),
            |m| {
                let subject = service.letter_subject(&m);
                Mail::new(m, subject, staff)
            },
        ))
    }

    /// Letters to an address in the local folder, newest first. Only where no
    /// relay is set up, and only for who asks from the server's own machine;
    /// everybody else is told that nothing is there.
    #[graphql(complexity = "20 + 5 * child_complexity")]
    async fn local_mails(&self, ctx: &Context<'_>, address: String) -> Result<Vec<LocalMail>> {
        pass(ctx, Surface::Query, "localMails")?;
        let found = service(ctx)?
            .local_letters(caller(ctx)?, &address)
            .await
            .map_err(refuse(ctx))?;
        Ok(found.into_iter().map(Into::into).collect())
    }
}

/// Acting on letters.
#[derive(Debug, Default)]
pub struct LetterMutation;

#[Object]
impl LetterMutation {
    /// Sets which letters one gets.
    async fn set_mail_preferences(
        &self,
        ctx: &Context<'_>,
        preferences: MailPreferencesInput,
    ) -> Result<MailPreferences> {
        let p = pass(ctx, Surface::Mutation, "setMailPreferences")?;
        let account = p.viewer().account().map_err(refuse(ctx))?;
        let wanted: mail::Preferences = preferences.into();
        let service = service(ctx)?;
        let done = service
            .store()
            .set_preferences(account, wanted, service.now());
        done.await.map_err(refuse(ctx))?;
        Ok(wanted.into())
    }

    /// Switches all optional letters off, by the link at a letter's foot.
    async fn unsubscribe(&self, ctx: &Context<'_>, token: String) -> Result<bool> {
        pass(ctx, Surface::Mutation, "unsubscribe")?;
        let done = service(ctx)?.unsubscribe(&token).await;
        done.map_err(refuse(ctx))?;
        Ok(true)
    }

    /// Sends a letter that failed, or whose fate is unknown, (once more) (admin).
    /// One that is unknown may arrive twice.
    async fn retry_mail(&self, ctx: &Context<'_>, id: String) -> Result<Mail> {
        let p = pass(ctx, Surface::Mutation, "retryMail")?;
        decide(ctx, &p, id, true).await
    }

    /// Puts a letter that failed, or whose fate is unknown, aside (admin).
    async fn dismiss_mail(&self, ctx: &Context<'_>, id: String) -> Result<Mail> {
        let p = pass(ctx, Surface::Mutation, "dismissMail")?;
        decide(ctx, &p, id, false).await
    }
}

async fn decide(ctx: &Context<'_>, p: &Pass, id: String, send: bool) -> Result<Mail> {
    let by = p.viewer().account().map_err(refuse(ctx))?;
    let service = service(ctx)?;
    let done = service
        .store()
        .decide_mail(parsed(ctx, &id)?, by, send, service.now());
    let m = done.await.map_err(refuse(ctx))?;
    let subject = service.letter_subject(&m);
    Ok(Mail::new(m, subject, true))
}
