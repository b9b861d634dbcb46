//! The dialogue with a real SMTP server (MAIL-2, MAIL-5, MAIL-9): what was taken,
//! what was not, and what nobody knows.

mod support;

use serde_json::json;
use std::net::TcpListener;
use support::{Relay as Server, certificate};
use veilbourse_domain::{id::MailId, mail::MailKind};
use veilbourse_mail::{
    Headers, Links, Message, Relay, SendError, Sender, Session, Transport, render,
};

fn message(n: u8, to: &str) -> Message {
    let sender: Sender = "Veilbourse <market@example.org>".parse().expect("parses");
    let links = Links {
        public_url: "https://market.example",
        token: None,
        unsubscribe: Some("00ff"),
    };
    let facts = json!({
        "listing": "01", "title": "Grüße\n.\nQUIT\r\nBcc: all@example.org", "order": "02",
        "price": "100", "values": 3, "deadline": 1_700_000_000_000u64,
    });
    let letter = render(MailKind::OrderPlaced, &facts, &links).expect("renders");
    let headers = Headers {
        id: MailId::new(1_700_000_000_000, [n; 10]),
        sender: &sender,
        to,
        at: 1_700_000_000_000,
        one_click: Some("https://market.example/v1/unsubscribe?token=00ff"),
    };
    Message::new(&headers, &letter).expect("made")
}

fn relay(url: &str) -> Transport {
    Transport::Relay(Relay::parse(url, "market.example", None).expect("a URL"))
}

async fn send(session: &mut Session, m: &Message) -> Result<(), SendError> {
    session.envelope(m).await?;
    session.hand_over(m).await
}

#[tokio::test]
async fn letters_arrive_as_they_were_made_over_one_dialogue() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(server) = Server::start("letters_arrive", dir.path(), &[]) else {
        return;
    };
    let mut session = relay(&server.url()).open().await.expect("opens");
    let letters: Vec<_> = (0..3u8)
        .map(|n| message(n, &format!("reader{n}@example.org")))
        .collect();
    for m in &letters {
        send(&mut session, m).await.expect("taken");
    }
    session.close().await;
    let taken = server.taken();
    assert_eq!(taken.len(), 3);
    for (t, m) in taken.iter().zip(&letters) {
        assert_eq!(t.from, "market@example.org");
        assert_eq!(t.to.len(), 1, "MAIL-5: nobody was added");
        let sent = String::from_utf8(m.bytes.clone()).expect("ASCII");
        // The server may end the last line in its own way.
        assert_eq!(t.data.trim_end(), sent.trim_end());
        assert!(!t.data.contains("\nBcc"), "{}", t.data);
    }
}

#[tokio::test]
async fn who_says_no_has_not_taken_it_and_the_dialogue_goes_on() {
    // MAIL-2
    let dir = tempfile::tempdir().expect("a folder");
    let Some(server) = Server::start("who_says_no", dir.path(), &[]) else {
        return;
    };
    let mut session = relay(&server.url()).open().await.expect("opens");
    for (n, who) in (0u8..).zip(["unknown", "busy", "spam", "full"]) {
        let e = send(&mut session, &message(n, &format!("{who}@example.org")))
            .await
            .expect_err(who);
        match who {
            "unknown" | "spam" => assert!(matches!(e, SendError::Refused { .. }), "{who}: {e}"),
            _ => assert!(
                matches!(e, SendError::Later { shut: false, .. }),
                "{who}: {e}"
            ),
        }
        assert!(session.usable(), "{who}");
        let next = message(100 + n, "reader@example.org");
        send(&mut session, &next).await.expect("the next one goes");
    }
    assert_eq!(server.taken().len(), 4);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_lost_dialogue_before_is_not() {
    // MAIL-2
    let dir = tempfile::tempdir().expect("a folder");
    let Some(server) = Server::start("a_lost_answer", dir.path(), &[]) else {
        return;
    };
    let way = relay(&server.url());
    let mut session = way.open().await.expect("opens");
    let e = send(&mut session, &message(1, "hangup@example.org")).await;
    assert!(
        matches!(e, Err(SendError::Later { shut: true, .. })),
        "{e:?}"
    );
    assert!(!session.usable());
    let mut session = way.open().await.expect("opens again");
    let e = send(&mut session, &message(2, "lost@example.org")).await;
    assert!(matches!(e, Err(SendError::Unknown { .. })), "{e:?}");
    assert!(!session.usable());
    assert_eq!(server.taken().len(), 1, "it was taken all the same");
}

#[tokio::test]
async fn a_relay_that_is_away_takes_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = port.local_addr().expect("an address").port();
    let e = relay(&format!("smtp://127.0.0.1:{port}")).open().await;
    assert!(
        matches!(e, Err(SendError::Later { shut: true, .. })),
        "{e:?}"
    );
}

#[tokio::test]
async fn tls_is_checked_and_passwords_go_through_it() {
    // MAIL-9
    let dir = tempfile::tempdir().expect("a folder");
    let Some((cert, key)) = certificate("tls_is_checked", dir.path()) else {
        return;
    };
    let (cert_path, key_path) = (cert.display().to_string(), key.display().to_string());
    let pem = std::fs::read(&cert).expect("made");
    for tls in ["starttls", "implicit"] {
        let options = [
            "--tls",
            tls,
            "--cert",
            &cert_path,
            "--key",
            &key_path,
            "--user",
            "me@example.org",
            "--password",
            "geh:eim",
        ];
        let Some(server) = Server::start("tls_is_checked", dir.path(), &options) else {
            return;
        };
        let (scheme, query) = match tls {
            "implicit" => ("smtps", ""),
            _ => ("smtp", "?tls=required"),
        };
        let url = |password: &str| {
            let user = "me%40example.org";
            format!(
                "{scheme}://{user}:{password}@localhost:{}{query}",
                server.port
            )
        };
        let open = async |password: &str, authority: Option<&[u8]>| {
            let r = Relay::parse(&url(password), "market.example", authority).expect("a URL");
            Transport::Relay(r).open().await
        };
        let before = server.taken().len();
        let unknown = open("geh%3Aeim", None)
            .await
            .expect_err("unknown authority");
        assert!(
            matches!(unknown, SendError::Later { shut: true, .. }),
            "{unknown}"
        );
        let wrong = open("other", Some(&pem)).await.expect_err("wrong password");
        assert!(
            matches!(wrong, SendError::Later { shut: true, .. }),
            "{wrong}"
        );
        assert!(!wrong.to_string().contains("other"), "{wrong}");
        let mut session = open("geh%3Aeim", Some(&pem)).await.expect("opens");
        let m = message(9, "reader@example.org");
        send(&mut session, &m).await.expect("taken");
        assert_eq!(server.taken().len(), before + 1);
    }
    // A relay that offers no TLS gets no letter where TLS is demanded.
    let plain = Server::start("tls_is_checked", dir.path(), &[]).expect("it ran before");
    let url = format!("smtp://localhost:{}?tls=required", plain.port);
    let e = relay(&url).open().await;
    assert!(
        matches!(e, Err(SendError::Later { shut: true, .. })),
        "{e:?}"
    );
}
