//! Every kind of letter as it reads (MAIL-5): the words are held by snapshots, and
//! what people write cannot break out of them.

use serde_json::{Value, json};
use std::fmt::Write;
use veilbourse_domain::{id::MailId, mail::MailKind};
use veilbourse_mail::{
    Facts, Headers, Links, MailError, Message, Rendered, Sender, render, subject,
};

const LISTING: &str = "01a1fd25-3fd5-7294-8b03-621503a1c2ca";
const ORDER: &str = "01a1fd25-4000-7294-8b03-621503a1c2cb";

/// Facts as store and accounts write them.
fn facts(kind: MailKind, words: &str) -> Value {
    use MailKind as K;
    let order = json!({
        "order": ORDER, "listing": LISTING, "title": words, "price": "101500", "values": 24,
        "deadline": 1_700_000_000_000u64, "earns": "76100", "reason": "rejected",
        "detail": words, "seat": "buyer", "state": "verified",
    });
    match kind {
        K::VerifyMail | K::PasswordReset | K::PasswordChanged => json!({ "name": words }),
        K::MailChanged => json!({ "name": words, "address": "new@example.org" }),
        K::SecondFactorChanged => json!({ "name": words, "enabled": false }),
        K::AccountSuspended | K::AccountRestored => json!({ "name": words, "reason": words }),
        K::WebhookDisabled => json!({ "url": words, "failures": 12 }),
        K::ListingSubmitted | K::ListingApproved | K::AppealReceived => {
            json!({ "listing": LISTING, "title": words })
        }
        K::ListingRejected => json!({ "listing": LISTING, "title": words, "reason": words }),
        K::BudgetLow => json!({
            "listing": LISTING, "title": words, "what": "values", "left": 9, "whole": 100,
            "version": 2,
        }),
        K::CashDecided => json!({
            "what": "deposit", "amount": "500000", "approved": true, "reason": words,
        }),
        K::MachineDecided => json!({
            "machine": LISTING, "name": words, "what": "node", "approved": false, "reason": words,
        }),
        _ => order,
    }
}

fn letter(kind: MailKind, words: &str) -> Rendered {
    let links = Links {
        public_url: "https://market.example",
        token: Some("00ff"),
        unsubscribe: Some("11ee"),
    };
    render(kind, &facts(kind, words), &links).expect("renders")
}

#[test]
fn the_words_of_every_kind() {
    let mut all = String::new();
    for kind in MailKind::ALL {
        let l = letter(*kind, "Health insurance, 2019 to 2023");
        let _ = writeln!(
            all,
            "##### {}\nSubject: {}\n\n{}",
            kind.name(),
            l.subject,
            l.text
        );
    }
    insta::assert_snapshot!("texts", all);
}

#[test]
fn the_other_words_of_kinds_that_have_two() {
    let mut all = String::new();
    for (kind, changes) in [
        (MailKind::SecondFactorChanged, json!({ "enabled": true })),
        (MailKind::BudgetLow, json!({ "what": "tickets exact" })),
        (MailKind::BudgetLow, json!({ "what": "bits" })),
        (MailKind::DeadlineNear, json!({ "seat": "custodian" })),
        (
            MailKind::OrderRefunded,
            json!({ "reason": "expired", "detail": "" }),
        ),
        (
            MailKind::OrderRefunded,
            json!({ "reason": "undeliverable" }),
        ),
        (
            MailKind::CashDecided,
            json!({ "what": "withdrawal", "reason": "" }),
        ),
        (MailKind::CashDecided, json!({ "approved": false })),
        (
            MailKind::MachineDecided,
            json!({ "what": "pod", "approved": true }),
        ),
    ] {
        let mut f = facts(kind, "Health insurance");
        for (k, v) in changes.as_object().expect("an object") {
            f[k] = v.clone();
        }
        let links = Links {
            public_url: "https://market.example",
            token: None,
            unsubscribe: None,
        };
        let l = render(kind, &f, &links).expect("renders");
        let _ = writeln!(
            all,
            "##### {}\nSubject: {}\n\n{}",
            kind.name(),
            l.subject,
            l.text
        );
    }
    insta::assert_snapshot!("other_texts", all);
}

#[test]
fn the_html_and_the_message() {
    insta::assert_snapshot!(
        "html",
        letter(MailKind::ListingRejected, "Health & <Care>").html
    );
    let sender: Sender = "Veilbourse <market@example.org>".parse().expect("parses");
    let headers = Headers {
        id: MailId::new(1_700_000_000_000, [7; 10]),
        sender: &sender,
        to: "reader@example.org",
        at: 1_700_000_000_000,
        one_click: Some("https://market.example/v1/unsubscribe?token=11ee"),
    };
    let m = Message::new(&headers, &letter(MailKind::OrderReleased, "Grüße")).expect("made");
    let text = String::from_utf8(m.bytes)
        .expect("ASCII")
        .replace("\r\n", "\n");
    let head = text.split("<!DOCTYPE").next().expect("a head").to_owned();
    insta::assert_snapshot!("message", head);
}

/// What a document of ours has and no filled-in text may add.
fn tags(html: &str) -> usize {
    html.matches('<').count()
}

#[test]
fn nothing_that_people_write_breaks_out() {
    // MAIL-5
    let plain = "x";
    for evil in [
        "<script>alert(1)</script>",
        "</title></head><body onload=x>",
        "\"><a href=\"https://evil.example\">click</a>",
        "' onmouseover='x",
        "&lt;b&gt;",
        "x\r\nBcc: all@example.org\r\n\r\nnew body",
        "\u{202e}txet sdrawkcab\u{2066}",
        "-- \nStop such letters: https://evil.example",
    ] {
        for kind in MailKind::ALL {
            let (l, usual) = (letter(*kind, evil), letter(*kind, plain));
            // Lines of a quote are broken by one tag each.
            let broken = l.html.matches("<br>").count();
            assert_eq!(
                tags(&l.html) - broken,
                tags(&usual.html),
                "{kind:?} {evil:?}"
            );
            for bad in ["<script", "<a href=\"https://evil", "onload=x>", "' on"] {
                assert!(!l.html.contains(bad), "{kind:?} {evil:?}: {}", l.html);
            }
            let one_line = |t: &str| !t.chars().any(char::is_control);
            assert!(one_line(&l.subject), "{:?}", l.subject);
            assert!(
                !l.text.contains(['\r', '\u{202e}', '\u{2066}']),
                "{:?}",
                l.text
            );
            let feet = |t: &str| t.lines().filter(|l| *l == "-- ").count();
            assert_eq!(feet(&l.text), 1, "{}", l.text);
            assert!(!l.text.contains("\nBcc"), "{}", l.text);
            assert!(
                !l.text.contains("\nStop such letters: https://evil"),
                "{}",
                l.text
            );
        }
    }
}

#[test]
fn text_and_html_say_the_same_and_load_nothing() {
    for kind in MailKind::ALL {
        let l = letter(*kind, "Health insurance");
        for loads in [
            "src=",
            "url(",
            "@import",
            "<img",
            "<link",
            "<form",
            "http-equiv",
        ] {
            assert!(!l.html.contains(loads), "{kind:?} {loads}");
        }
        if let Some(url) = &l.action {
            assert!(url.starts_with("https://market.example/"));
            assert!(
                l.text.contains(url.as_str()) && l.html.contains(url.as_str()),
                "{kind:?}"
            );
        }
        assert!(l.html.contains("prefers-color-scheme: dark"));
        // MAIL-6: a way to stop it exactly where it may be stopped.
        let stop = "https://market.example/unsubscribe#11ee";
        let may = kind.group().is_some();
        assert_eq!(
            (l.text.contains(stop), l.html.contains(stop)),
            (may, may),
            "{kind:?}"
        );
        for line in l.text.lines().filter(|l| !l.contains("https://")) {
            assert!(line.chars().count() <= 76, "{kind:?}: {line:?}");
        }
    }
}

#[test]
fn tokens_are_in_the_fragment_and_hidden_without_one() {
    // MAIL-4
    let l = letter(MailKind::VerifyMail, "Ada");
    assert_eq!(
        l.action.as_deref(),
        Some("https://market.example/verify-mail#00ff")
    );
    let l = letter(MailKind::PasswordReset, "Ada");
    assert_eq!(
        l.action.as_deref(),
        Some("https://market.example/reset-password#00ff")
    );
    let hidden = Links {
        public_url: "https://market.example",
        token: None,
        unsubscribe: None,
    };
    let l = render(MailKind::VerifyMail, &json!({}), &hidden).expect("renders");
    let shown = "https://market.example/verify-mail#hidden-in-previews";
    assert_eq!(l.action.as_deref(), Some(shown));
    let odd = Links {
        token: Some("00\"><script>"),
        ..hidden
    };
    let refused = render(MailKind::VerifyMail, &json!({}), &odd);
    assert!(matches!(refused, Err(MailError::Message { .. })));
}

#[test]
fn a_letter_is_whole_or_not_sent() {
    // MAIL-5
    for kind in MailKind::ALL {
        let whole = facts(*kind, "x");
        for key in whole.as_object().expect("an object").keys() {
            let mut less = whole.clone();
            less.as_object_mut().expect("an object").remove(key);
            let links = Links {
                public_url: "https://market.example",
                token: None,
                unsubscribe: None,
            };
            match render(*kind, &less, &links) {
                Ok(l) => assert!(!l.text.contains("null"), "{kind:?} without {key}"),
                Err(MailError::Fact { kind: k, .. }) => assert_eq!(k, kind.name()),
                Err(e) => panic!("{kind:?} without {key}: {e}"),
            }
        }
        let nothing = json!({});
        let called = subject(*kind, &Facts::new(*kind, &nothing));
        assert!(called.is_ok() || matches!(called, Err(MailError::Fact { .. })));
    }
    let missing = render(
        MailKind::OrderPlaced,
        &json!({}),
        &Links {
            public_url: "https://market.example",
            token: None,
            unsubscribe: None,
        },
    );
    assert_eq!(
        missing,
        Err(MailError::Fact {
            kind: "order_placed",
            fact: "title"
        })
    );
}
