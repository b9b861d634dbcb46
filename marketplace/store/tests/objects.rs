//! Objects on disk: UP-1, UP-2, UP-5, and a process killed while appending.

use std::{path::Path, process::Command, time::Duration};
use veilbourse_domain::{DomainError, id::ListingId, ports::ObjectStorage};
use veilbourse_store::FileObjects;

const NAME: &str = "chunk-0-0";
/// Names the folder to the child that will be killed.
const CHILD: &str = "VEILBOURSE_TEST_APPEND_IN";
const TOTAL: u64 = 1 << 30;

fn listing() -> ListingId {
    ListingId::new(1, [1; 10])
}
/// Byte `i` of the object.
fn byte(i: u64) -> u8 {
    (i.wrapping_mul(0x9e37_79b9) >> 13) as u8
}
fn bytes(from: u64, to: u64) -> Vec<u8> {
    (from..to).map(byte).collect()
}

#[tokio::test]
async fn cut_anywhere_it_resumes() {
    let dir = tempfile::tempdir().expect("a folder");
    let total = 300u64;
    for cut in 0..=total {
        let l = ListingId::new(cut, [2; 10]);
        let o = FileObjects::new(dir.path()).expect("opened");
        assert_eq!(o.append(l, NAME, 0, total, &bytes(0, cut)).await, Ok(cut));
        // A new process finds the offset.
        let o = FileObjects::new(dir.path()).expect("opened");
        assert_eq!(o.offset(l, NAME).await, Ok(cut));
        if cut < total {
            assert_eq!(
                o.append(l, NAME, cut + 1, total, &[0]).await,
                Err(DomainError::UploadOffset {
                    expected: cut,
                    found: cut + 1
                }),
                "UP-1"
            );
            assert_eq!(
                o.read(l, NAME).await,
                Err(DomainError::ObjectIncomplete { name: NAME.into() })
            );
            let over = bytes(cut, total + 1);
            assert_eq!(
                o.append(l, NAME, cut, total, &over).await,
                Err(DomainError::UploadLength {
                    name: NAME.into(),
                    expected: total,
                    found: total + 1
                }),
                "UP-2"
            );
            assert_eq!(
                o.append(l, NAME, cut, total, &bytes(cut, total)).await,
                Ok(total)
            );
        }
        assert_eq!(o.read(l, NAME).await, Ok(bytes(0, total)));
        for offset in [0, total] {
            assert_eq!(
                o.append(l, NAME, offset, total, &[]).await,
                Err(DomainError::ObjectImmutable { name: NAME.into() }),
                "UP-5"
            );
        }
    }
}

#[tokio::test]
async fn whole_but_not_renamed_it_is_finished() {
    // UP-1: the last byte is on disk, then a crash; nothing is left to append.
    let dir = tempfile::tempdir().expect("a folder");
    let staged = dir.path().join("staging").join(listing().to_string());
    let o = FileObjects::new(dir.path()).expect("opened");
    std::fs::create_dir_all(&staged).expect("a folder");
    std::fs::write(staged.join(NAME), bytes(0, 100)).expect("staged");
    // Not whole for another length.
    o.finish_if_whole(listing(), NAME, 101)
        .await
        .expect("nothing to do");
    assert_eq!(
        o.read(listing(), NAME).await,
        Err(DomainError::ObjectIncomplete { name: NAME.into() })
    );
    assert_eq!(o.offset(listing(), NAME).await, Ok(100));
    let digest = o.digest(listing(), NAME).await.expect("finished");
    assert_eq!(o.read(listing(), NAME).await, Ok(bytes(0, 100)));
    assert_eq!(o.digest(listing(), NAME).await, Ok(digest));
    assert!(!staged.join(NAME).exists());
    let missing = o.digest(listing(), "sums").await;
    assert_eq!(
        missing,
        Err(DomainError::ObjectIncomplete {
            name: "sums".into()
        })
    );
}

#[tokio::test]
async fn names_stay_in_the_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let o = FileObjects::new(dir.path()).expect("opened");
    for bad in [
        "", ".", "..", "../x", "a/b", "a\\b", "a..b", ".a", "A", "a\0", "ä",
    ] {
        let refused = o.append(listing(), bad, 0, 1, &[1]).await;
        assert!(
            matches!(
                refused,
                Err(DomainError::Invalid {
                    field: "object name",
                    ..
                })
            ),
            "{bad:?} {refused:?}"
        );
    }
    let long = "a".repeat(65);
    let refused = o.offset(listing(), &long).await;
    assert!(matches!(
        refused,
        Err(DomainError::TooLarge {
            limit: 64,
            value: 65,
            ..
        })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_appends_at_one_offset() {
    let dir = tempfile::tempdir().expect("a folder");
    let o = FileObjects::new(dir.path()).expect("opened");
    let tries = futures::future::join_all((0..8u8).map(|i| {
        let o = &o;
        async move { o.append(listing(), NAME, 0, 100, &[i; 10]).await }
    }))
    .await;
    assert_eq!(tries.iter().filter(|r| r.is_ok()).count(), 1);
    assert_eq!(o.offset(listing(), NAME).await, Ok(10));
}

/// Run in a child process: appends without end, in pieces of odd lengths.
#[tokio::test]
async fn child_appends() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let o = FileObjects::new(Path::new(&dir)).expect("opened");
    let mut at = o.offset(listing(), NAME).await.expect("asked");
    for i in 0u64.. {
        let next = at + 1 + (i * 7919) % 50_000;
        at = o
            .append(listing(), NAME, at, TOTAL, &bytes(at, next))
            .await
            .expect("appended");
        std::fs::write(Path::new(&dir).join("answered"), at.to_string()).expect("noted");
    }
}

#[tokio::test]
async fn killed_while_appending() {
    // UP-1: what was answered is there; what is there is a prefix.
    let dir = tempfile::tempdir().expect("a folder");
    let mut last = 0;
    for round in 0..6u64 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "child_appends", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("a child");
        let from = last;
        // At least one piece, then a moment that differs by round.
        let staged = dir
            .path()
            .join("staging")
            .join(listing().to_string())
            .join(NAME);
        for _ in 0..2_000 {
            if std::fs::metadata(&staged).is_ok_and(|m| m.len() > from) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(7 + 13 * round)).await;
        child.kill().expect("killed");
        child.wait().expect("gone");
        let o = FileObjects::new(dir.path()).expect("opened");
        let held = o.offset(listing(), NAME).await.expect("asked");
        let answered = std::fs::read_to_string(dir.path().join("answered")).unwrap_or_default();
        let answered: u64 = answered.parse().unwrap_or(0);
        assert!(
            held >= answered && held > from,
            "{held} held, {answered} answered, {from} before"
        );
        let found = std::fs::read(&staged).expect("readable");
        assert!(
            found.iter().zip(0..).all(|(b, i)| *b == byte(i)),
            "round {round}"
        );
        last = held;
    }
    let o = FileObjects::new(dir.path()).expect("opened");
    let end = last + 100;
    assert_eq!(
        o.append(listing(), NAME, last, end, &bytes(last, end))
            .await,
        Ok(end)
    );
    assert_eq!(o.read(listing(), NAME).await, Ok(bytes(0, end)));
}

#[tokio::test]
async fn whole_objects_are_put_at_once() {
    // DOC-14: a piece's name is of its content; what a crash left is written over.
    let dir = tempfile::tempdir().expect("a folder");
    let o = FileObjects::new(dir.path()).expect("opened");
    let name = "0123456789abcdef".repeat(4);
    assert_eq!(
        o.append(listing(), &name, 0, 300, &bytes(7, 9)).await,
        Ok(2)
    );
    for _ in 0..2 {
        assert_eq!(o.put(listing(), &name, &bytes(0, 100)).await, Ok(()));
        assert_eq!(o.read(listing(), &name).await, Ok(bytes(0, 100)));
    }
    let out = o.put(listing(), "../x", &[]).await;
    assert!(matches!(out, Err(DomainError::Invalid { .. })));
}
