//! The folder as a way out (MAIL-2, MAIL-8, MAIL-10).

use veilbourse_domain::id::MailId;
use veilbourse_mail::{Folder, Headers, Message, Rendered, Sender, Transport};

fn message(n: u8) -> Message {
    let sender: Sender = "market@localhost".parse().expect("parses");
    let letter = Rendered {
        subject: "A\tsubject".into(),
        text: "text".into(),
        html: "<p>text</p>".into(),
        action: None,
    };
    let headers = Headers {
        id: MailId::new(1, [n; 10]),
        sender: &sender,
        to: "reader@example.org",
        at: 1,
        one_click: None,
    };
    Message::new(&headers, &letter).expect("made")
}

#[tokio::test]
async fn twice_is_the_same_as_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let mails = dir.path().join("deep/mails");
    let folder = Folder::open(&mails).expect("made");
    let way = Transport::Folder(folder.clone());
    assert!(way.repeatable());
    for n in [1, 2, 1, 1] {
        let mut session = way.open().await.expect("opens");
        session.envelope(&message(n)).await.expect("named");
        session.hand_over(&message(n)).await.expect("written");
        session.close().await;
    }
    let id = MailId::new(1, [1; 10]);
    let file = mails.join(format!("{id}.eml"));
    assert_eq!(std::fs::read(&file).expect("there"), message(1).bytes);
    let index = std::fs::read_to_string(mails.join("index.tsv")).expect("there");
    assert_eq!(index.lines().count(), 2, "{index}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |p: &std::path::Path| {
            let m = std::fs::metadata(p).expect("there").permissions().mode();
            m & 0o777
        };
        // MAIL-10: they hold links that act.
        assert_eq!((mode(&mails), mode(&file)), (0o700, 0o600));
    }
    // MAIL-8
    folder.forget(id).expect("removed");
    folder.forget(id).expect("and gone");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_folder_that_is_gone_is_no_loss() {
    let dir = tempfile::tempdir().expect("a folder");
    let mails = dir.path().join("mails");
    let way = Transport::Folder(Folder::open(&mails).expect("made"));
    std::fs::remove_dir_all(&mails).expect("removed");
    let mut session = way.open().await.expect("opens");
    let e = session.hand_over(&message(1)).await;
    assert!(
        matches!(e, Err(veilbourse_mail::SendError::Later { shut: true, .. })),
        "{e:?}"
    );
}
