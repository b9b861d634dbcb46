//! What letters say: one subject and one content a kind. Content is structure
//! (paragraphs, rows, one link), so that text and HTML say the same and escaping
//! is in one place (`render`).
//!
//! Over 300 lines: the words of every kind.

use crate::{Links, MailError, facts::Facts};
use veilbourse_domain::mail::MailKind;

/// A letter before it is laid out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Who is greeted.
    pub(crate) name: Option<String>,
    /// What happened.
    pub(crate) paragraphs: Vec<String>,
    /// What a person wrote, in lines.
    pub(crate) quote: Option<Vec<String>>,
    /// The particulars.
    pub(crate) rows: Vec<(&'static str, String)>,
    /// What to do about it: label and link.
    pub(crate) action: Option<(&'static str, String)>,
    /// What else there is to know.
    pub(crate) after: Vec<String>,
}

impl Content {
    fn says(text: impl Into<String>) -> Self {
        Self {
            paragraphs: vec![text.into()],
            ..Self::default()
        }
    }
    fn and(mut self, text: impl Into<String>) -> Self {
        self.paragraphs.push(text.into());
        self
    }
    fn row(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.rows.push((label, value.into()));
        self
    }
    fn link(mut self, label: &'static str, url: String) -> Self {
        self.action = Some((label, url));
        self
    }
    fn after(mut self, text: impl Into<String>) -> Self {
        self.after.push(text.into());
        self
    }
    fn quoting(mut self, lines: Option<Vec<String>>) -> Self {
        self.quote = lines;
        self
    }
}

/// Shorter in a subject than in the letter.
fn titled(f: &Facts<'_>) -> Result<String, MailError> {
    Ok(crate::clean(&f.text("title")?, 80))
}

fn decided(approved: bool) -> &'static str {
    if approved { "approved" } else { "refused" }
}

/// `deposit` or `withdrawal`, `pod` or `node`, as people say it.
fn said(what: &str) -> &str {
    match what {
        "node" => "key node",
        other => other,
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().collect::<String>());
    first.unwrap_or_default() + chars.as_str()
}

/// The subject of a letter.
pub fn subject(kind: MailKind, facts: &Facts<'_>) -> Result<String, MailError> {
    use MailKind as K;
    let f = facts;
    Ok(match kind {
        K::VerifyMail => "Confirm your mail address".into(),
        K::PasswordReset => "Set a new password".into(),
        K::PasswordChanged => "Your password was changed".into(),
        K::MailChanged => "Your mail address was changed".into(),
        K::SecondFactorChanged => match f.flag("enabled")? {
            true => "A second factor protects your account".into(),
            false => "The second factor of your account was removed".into(),
        },
        K::ListingSubmitted => format!("Waiting for review: {}", titled(f)?),
        K::ListingApproved => format!("Published: {}", titled(f)?),
        K::ListingRejected => format!("Sent back: {}", titled(f)?),
        K::AppealReceived => format!("An appeal: {}", titled(f)?),
        K::OrderPlaced => format!("Order placed: {}", titled(f)?),
        K::OrderReleased => format!("Your result is ready: {}", titled(f)?),
        K::OrderRefunded => format!("Order refunded: {}", titled(f)?),
        K::OrderReceived => format!("New order on {}", titled(f)?),
        K::OrderEarned => format!("You earned {}: {}", f.money("earns")?, titled(f)?),
        K::BudgetLow => format!("Little is left of {}", titled(f)?),
        K::DeadlineNear => format!("An order nears its deadline: {}", titled(f)?),
        K::AccountSuspended => "Your account is suspended".into(),
        K::AccountRestored => "Your account is restored".into(),
        K::WebhookDisabled => "A webhook was switched off".into(),
        K::CashDecided => {
            let what = f.text("what")?;
            format!("Your {} is {}", said(&what), decided(f.flag("approved")?))
        }
        K::MachineDecided => {
            let what = f.text("what")?;
            format!("Your {} is {}", said(&what), decided(f.flag("approved")?))
        }
    })
}

fn about_accounts(f: &Facts<'_>, kind: MailKind, l: &Links<'_>) -> Result<Content, MailError> {
    use MailKind as K;
    let not_you = "If this was not you, set a new password at once, end all sessions and write to the marketplace's operator.";
    let mut c = match kind {
        K::VerifyMail => Content::says(
            "Somebody, most likely you, gave this address to an account at this marketplace. Follow the link to confirm that you read it.",
        )
        .link("Confirm the address", l.with_token("/verify-mail")?)
        .after("The link works once and for a limited time. If it was not you, do nothing: without it the address is not used."),
        K::PasswordReset => Content::says(
            "Somebody, most likely you, asked for a new password for your account. The link lets whoever has it set one: pass it on to nobody.",
        )
        .link("Set a new password", l.with_token("/reset-password")?)
        .after("The link works once and for a limited time. If it was not you, do nothing: the password stays as it is."),
        K::PasswordChanged => Content::says(
            "The password of your account was changed, and other sessions were ended.",
        )
        .link("Look at your sessions", l.to("/account"))
        .after(not_you),
        K::MailChanged => Content::says(
            "The mail address of your account was changed. This letter is the last one to the old address.",
        )
        .row("New address", f.text("address")?)
        .after(not_you),
        K::SecondFactorChanged => match f.flag("enabled")? {
            true => Content::says(
                "From now on, signing in to your account takes a code of your second factor besides the password. Keep the recovery codes somewhere safe.",
            ),
            false => Content::says(
                "The second factor of your account was removed: signing in takes the password alone.",
            ),
        }
        .quoting(f.quote("reason"))
        .link("Look at your account", l.to("/account"))
        .after(not_you),
        K::AccountSuspended => Content::says(
            "An admin suspended your account: its sessions have ended and nobody can sign in. What you own stays yours, and orders under way run to their end.",
        )
        .quoting(f.quote("reason"))
        .after("Answer to the marketplace's operator if you think that this is wrong."),
        K::AccountRestored => Content::says("An admin restored your account. You can sign in as before.")
            .quoting(f.quote("reason"))
            .link("Sign in", l.to("/signin")),
        _ => Content::says(
            "A webhook of yours failed so often that it was switched off. What happened meanwhile is kept and can be delivered again.",
        )
        .row("Address", f.text("url")?)
        .row("Failures", f.number("failures")?.to_string())
        .link("Look at your webhooks", l.to("/partner/webhooks")),
    };
    c.name = f.maybe("name");
    Ok(c)
}

fn about_listings(f: &Facts<'_>, kind: MailKind, l: &Links<'_>) -> Result<Content, MailError> {
    use MailKind as K;
    let listing = f.id("listing")?;
    let page = match kind {
        K::AppealReceived => l.by_id("/admin/review/", listing),
        _ => l.by_id("/custodian/listings/", listing),
    };
    let c = match kind {
        K::ListingSubmitted => Content::says(
            "Every object of your listing was verified, and it waits for an admin's review.",
        ),
        K::ListingApproved => Content::says(
            "An admin approved your listing. It is published and takes orders under the policy that you signed.",
        ),
        K::ListingRejected => Content::says(
            "An admin sent your listing back. Nothing of it is public. You can change it and submit it again.",
        )
        .quoting(f.quote("reason")),
        K::AppealReceived => Content::says(
            "The owner of a listing that you sent back appeals. The listing waits for another review, by you or another admin.",
        )
        .quoting(f.quote("text")),
        _ => {
            let what = f.text("what")?;
            let whole = f.number("whole")?;
            let (thing, unit) = match what.strip_prefix("tickets ") {
                Some(class) => (format!("opening tickets of class {class}"), "tickets"),
                None => (format!("{what} that its policy lets be revealed"), what.as_str()),
            };
            Content::says(format!(
                "Less than a tenth is left of the {thing}. When it is used up, orders are refused.",
            ))
            .and("You may publish a policy with a larger quota, or deal more tickets, if the privacy that you promised allows it.")
            .row("Left", format!("{} of {whole} {unit}", f.number("left")?))
            .row("Policy version", f.number("version")?.to_string())
        }
    };
    let mut c = c.row("Listing", f.text("title")?);
    c.rows.rotate_right(1);
    Ok(c.link("Open the listing", page))
}

fn why_refunded(reason: &str) -> &'static str {
    match reason {
        "rejected" => "the pod's work did not pass verification",
        "expired" => "its deadline passed before it was opened",
        _ => "it could not be delivered",
    }
}

fn about_orders(f: &Facts<'_>, kind: MailKind, l: &Links<'_>) -> Result<Content, MailError> {
    use MailKind as K;
    let order = f.id("order")?;
    let page = l.by_id("/orders/", order);
    let listing = l.by_id("/custodian/listings/", f.id("listing")?);
    let (price, values) = (f.money("price")?, f.number("values")?.to_string());
    let c = match kind {
        K::OrderPlaced => Content::says(
            "Your order is placed and its price is in escrow. It is paid out only when a valid proof is there and your result was delivered; otherwise it comes back to you by the deadline.",
        )
        .row("Price", price)
        .row("Values", values)
        .row("Deadline", f.time("deadline")?)
        .link("Follow the order", page),
        K::OrderReleased => Content::says(
            "Your result is ready. Nobody but you can open it: it is sealed to the key that you made with the order.",
        )
        .and("The receipt proves, without this server, what was computed on which data, who opened it and how that is assured.")
        .row("Paid", price)
        .row("Values", values)
        .link("Open the result", page),
        K::OrderRefunded => Content::says(format!(
            "Your order was refunded: {}. The whole price is in your balance again.",
            why_refunded(&f.text("reason")?)
        ))
        .quoting(f.quote("detail"))
        .row("Refunded", price)
        .link("Open the order", page),
        K::OrderReceived => Content::says(
            "A buyer placed an order on your listing. You are paid when the result was delivered.",
        )
        .row("Values to be revealed", values)
        .row("Your part", f.money("earns")?)
        .row("Deadline", f.time("deadline")?)
        .link("Open the listing", listing),
        K::OrderEarned => Content::says(
            "An order on your listing was delivered, and your part of its price is in your balance.",
        )
        .row("Values revealed", values)
        .row("Your part", f.money("earns")?)
        .link("Open the listing", listing),
        _ => {
            let buyer = f.text("seat")? == "buyer";
            let text = match buyer {
                true => "Your order is not opened yet, and three quarters of its time are over. If it is not delivered by its deadline, the price comes back to you by itself.",
                false => "An order on your listing waits for your key node, and three quarters of its time are over. If the node does not deliver by the deadline, you are not paid.",
            };
            let label = if buyer { "Follow the order" } else { "Open the listing" };
            Content::says(text)
                .row("State", f.text("state")?)
                .row("Deadline", f.time("deadline")?)
                .link(label, if buyer { page } else { listing })
        }
    };
    let mut c = c.row("Listing", f.text("title")?).row("Order", order);
    c.rows.rotate_right(2);
    Ok(c)
}

fn about_decisions(f: &Facts<'_>, kind: MailKind, l: &Links<'_>) -> Result<Content, MailError> {
    let (what, approved) = (f.text("what")?, f.flag("approved")?);
    let what = said(&what);
    let c = match kind {
        MailKind::CashDecided => {
            let text = match (what, approved) {
                ("deposit", true) => "Your deposit is approved: the amount is in your balance.",
                ("deposit", false) => "Your deposit is refused: your balance is as it was.",
                (_, true) => {
                    "Your withdrawal is approved: the amount left your balance and is paid out."
                }
                (_, false) => "Your withdrawal is refused: the amount is in your balance again.",
            };
            Content::says(text)
                .row("Amount", f.money("amount")?)
                .link("Look at your balance", l.to("/balance"))
        }
        _ => {
            let text = match approved {
                true => format!("Your {what} is approved and may take work."),
                false => format!("Your {what} is refused: it gets no work."),
            };
            Content::says(text)
                .row(
                    if what == "pod" { "Pod" } else { "Key node" },
                    f.text("name")?,
                )
                .row("Id", f.id("machine")?)
                .link("Look at your machines", l.to("/operator"))
        }
    };
    Ok(c.row("Decision", capital(decided(approved)))
        .quoting(f.quote("reason")))
}

/// The content of a letter.
pub(crate) fn content(
    kind: MailKind,
    facts: &Facts<'_>,
    links: &Links<'_>,
) -> Result<Content, MailError> {
    use MailKind as K;
    match kind {
        K::VerifyMail
        | K::PasswordReset
        | K::PasswordChanged
        | K::MailChanged
        | K::SecondFactorChanged
        | K::AccountSuspended
        | K::AccountRestored
        | K::WebhookDisabled => about_accounts(facts, kind, links),
        K::ListingSubmitted
        | K::ListingApproved
        | K::ListingRejected
        | K::AppealReceived
        | K::BudgetLow => about_listings(facts, kind, links),
        K::OrderPlaced
        | K::OrderReleased
        | K::OrderRefunded
        | K::OrderReceived
        | K::OrderEarned
        | K::DeadlineNear => about_orders(facts, kind, links),
        K::CashDecided | K::MachineDecided => about_decisions(facts, kind, links),
    }
}
