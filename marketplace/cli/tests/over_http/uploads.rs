//! Uploads over HTTP (UP-1..5): cut anywhere and resumed, wrong offsets and
//! lengths, and everything that a submission must not let through.

use crate::common::{bare, built, policy, settings};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use std::sync::atomic::Ordering;
use veilbourse::{
    custodian::encrypt_to,
    demo::world::{Person, World},
    progress::Bars,
};
use veilbourse_client::{
    dataset::{self, DatasetFolder},
    http::Silent,
};
use veilbourse_documents::{Id, Key, Signed};

struct Draft {
    _dir: tempfile::TempDir,
    world: World,
    custodian: Person,
    folder: DatasetFolder,
    node_key: Key,
    now: u64,
}

async fn draft() -> Draft {
    let (dir, world, time) = bare(settings()).await;
    let table = built(3);
    let (folder, _) = tokio::task::block_in_place(|| {
        encrypt_to(&table, 10, &dir.path().join("dataset"), &Bars::new(true))
    })
    .expect("encrypts");
    let custodian = world
        .person("custodian@test.example", "c", "CUSTODIAN")
        .await
        .expect("registers");
    let (_, node_key) = world
        .new_node(&custodian, &folder)
        .await
        .expect("registers");
    let now = time.load(Ordering::SeqCst);
    Draft {
        _dir: dir,
        world,
        custodian,
        folder,
        node_key,
        now,
    }
}

impl Draft {
    fn path(&self, listing: &Id, name: &str) -> String {
        format!("{}/v1/listings/{listing}/objects/{name}", self.world.url)
    }

    /// A PATCH by hand: status and code.
    async fn patch(&self, url: &str, offset: u64, length: u64, body: Vec<u8>) -> (u16, String) {
        let token = self.custodian.session.server.token().expect("signed in");
        let r = reqwest::Client::new()
            .patch(url)
            .bearer_auth(token)
            .header("content-type", "application/offset+octet-stream")
            .header("upload-offset", offset.to_string())
            .header("upload-length", length.to_string())
            .body(body)
            .send()
            .await
            .expect("answers");
        let status = r.status().as_u16();
        let text = r.text().await.expect("a body");
        let v: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        (status, v["code"].as_str().unwrap_or_default().to_owned())
    }

    async fn offset(&self, url: &str) -> u64 {
        let token = self.custodian.session.server.token().expect("signed in");
        let r = reqwest::Client::new()
            .head(url)
            .bearer_auth(token)
            .send()
            .await
            .expect("answers");
        r.headers()["upload-offset"]
            .to_str()
            .expect("text")
            .parse()
            .expect("a number")
    }

    async fn new_listing(&self) -> Id {
        // The folder notes the draft's id; another draft of the same data is
        // another listing.
        let name = format!("../listing-{}.id", self.custodian.session.account);
        let note = self.folder.object(&name);
        let _ = std::fs::remove_file(note);
        dataset::draft(&self.custodian.session, &self.folder, "t", "")
            .await
            .expect("a draft")
    }

    async fn submit(
        &self,
        listing: &Id,
    ) -> Result<serde_json::Value, veilbourse_client::ClientError> {
        let body = policy(&self.world, self.node_key, listing, &self.folder, self.now);
        let signed = Signed::sign(body, &self.custodian.key).expect("signs");
        dataset::submit(&self.custodian.session, listing, &signed).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_anywhere_it_resumes() {
    // UP-1: pieces of random lengths, some cut off on the way, some repeated.
    let d = draft().await;
    let listing = d.new_listing().await;
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    for name in d.folder.objects() {
        let bytes = std::fs::read(d.folder.object(&name)).expect("a file");
        let url = d.path(&listing, &name);
        let total = bytes.len() as u64;
        let mut held = 0u64;
        while held < total {
            let n = (1 + rng.next_u64() % (total / 3 + 1)).min(total - held);
            let piece = bytes[held as usize..(held + n) as usize].to_vec();
            match rng.next_u32() % 4 {
                // The connection breaks before the body is whole.
                0 => cut(&d, &url, held, total, &piece).await,
                // A piece at another offset is refused, nothing is stored.
                1 => {
                    let (status, code) = d.patch(&url, held + 1, total, piece).await;
                    assert_eq!((status, code.as_str()), (409, "UPLOAD_OFFSET"), "{name}");
                }
                _ => {
                    let (status, code) = d.patch(&url, held, total, piece).await;
                    assert_eq!((status, code.as_str()), (204, ""), "{name}");
                }
            }
            held = d.offset(&url).await;
        }
        // UP-5: complete is complete.
        let (status, code) = d.patch(&url, total, total, vec![1]).await;
        assert_eq!((status, code.as_str()), (409, "OBJECT_IMMUTABLE"), "{name}");
        // UP-4: the owner reads it back; the public does not find it.
        let path = format!("/v1/listings/{listing}/objects/{name}");
        assert_eq!(
            d.custodian.session.server.get(&path).await.expect("reads"),
            bytes
        );
        assert_eq!(
            d.world.server.get(&path).await.unwrap_err().code(),
            Some("NOT_FOUND")
        );
    }
    d.submit(&listing).await.expect("whole");
    d.world.stop().await.expect("stops");
}

/// Sends a request whose body ends early, and hangs up.
async fn cut(d: &Draft, url: &str, offset: u64, total: u64, piece: &[u8]) {
    use tokio::io::AsyncWriteExt;
    let address = d.world.url.trim_start_matches("http://");
    let path = &url[d.world.url.len()..];
    let token = d.custodian.session.server.token().expect("signed in");
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/offset+octet-stream\r\nupload-offset: {offset}\r\nupload-length: {total}\r\ncontent-length: {}\r\n\r\n",
        piece.len()
    );
    let mut socket = tokio::net::TcpStream::connect(address)
        .await
        .expect("connects");
    socket.write_all(head.as_bytes()).await.expect("writes");
    socket
        .write_all(&piece[..piece.len() / 2])
        .await
        .expect("writes");
    socket.shutdown().await.expect("hangs up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_are_the_manifests() {
    // UP-2: before a byte is stored.
    let d = draft().await;
    let listing = d.new_listing().await;
    let url = d.path(&listing, "sums");
    let total = std::fs::metadata(d.folder.object("sums"))
        .expect("a file")
        .len();
    let (status, code) = d.patch(&url, 0, total + 1, vec![0; 10]).await;
    assert_eq!((status, code.as_str()), (413, "UPLOAD_LENGTH"));
    let (status, code) = d.patch(&url, 0, total, vec![0; total as usize + 1]).await;
    assert_eq!((status, code.as_str()), (413, "UPLOAD_LENGTH"));
    assert_eq!(d.offset(&url).await, 0);
    let (status, code) = d
        .patch(&d.path(&listing, "chunk-9-9"), 0, 10, vec![0; 10])
        .await;
    assert_eq!((status, code.as_str()), (404, "NOT_FOUND"));
    let (status, _) = d
        .patch(&d.path(&listing, "..%2Fmarket"), 0, 10, vec![0; 10])
        .await;
    assert_eq!(status, 404);
    d.world.stop().await.expect("stops");
}

/// One changed object at a time: the listing stays a draft, the error names
/// the object (UP-3, DS-4, DS-5, DS-6).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_match_its_root_is_refused() {
    let d = draft().await;
    let first = d.new_listing().await;
    let missing = d.submit(&first).await.unwrap_err();
    assert_eq!(missing.code(), Some("OBJECT_INCOMPLETE"));

    // (object, byte that changes, how, what the error says)
    type Change = fn(&mut Vec<u8>);
    let flip_last: Change = |b| *b.last_mut().expect("bytes") ^= 1;
    let word_over_q: Change = |b| {
        let n = b.len();
        b[n - 8..].copy_from_slice(&u64::MAX.to_le_bytes());
    };
    let version: Change = |b| b[0] ^= 0xff;
    let cases: [(&str, &str, Change, &str, &str); 9] = [
        (
            "a word of a chunk",
            "chunk-0-0",
            flip_last,
            "OBJECT_DIGEST",
            "chunk-0-0",
        ),
        (
            "a word of q or more",
            "chunk-1-0",
            word_over_q,
            "INVALID",
            "chunk-1-0",
        ),
        (
            "a chunk's version",
            "chunk-0-0",
            version,
            "INVALID",
            "chunk-0-0",
        ),
        ("the sums", "sums", flip_last, "INVALID", "listing-proof"),
        ("a sum of q or more", "sums", word_over_q, "INVALID", "sums"),
        (
            "the public key",
            "public-key",
            flip_last,
            "INVALID",
            "public-key",
        ),
        (
            "the public key's version",
            "public-key",
            version,
            "INVALID",
            "public-key",
        ),
        (
            "the listing proof's end",
            "listing-proof",
            flip_last,
            "INVALID",
            "listing-proof",
        ),
        (
            "the listing proof's version",
            "listing-proof",
            version,
            "INVALID",
            "listing-proof",
        ),
    ];
    for (what, object, change, code, named) in cases {
        let path = d.folder.object(object);
        let good = std::fs::read(&path).expect("a file");
        let mut bad = good.clone();
        change(&mut bad);
        std::fs::write(&path, &bad).expect("writes");
        let listing = d.new_listing().await;
        dataset::upload(&d.custodian.session.server, &listing, &d.folder, &Silent)
            .await
            .expect("bytes are bytes");
        std::fs::write(&path, &good).expect("writes");
        let refused = d.submit(&listing).await.unwrap_err();
        assert_eq!(refused.code(), Some(code), "{what}: {refused}");
        assert!(refused.to_string().contains(named), "{what}: {refused}");
    }

    // A policy of another key, listing, dataset or version (DOC-3).
    let listing = d.new_listing().await;
    dataset::upload(&d.custodian.session.server, &listing, &d.folder, &Silent)
        .await
        .expect("uploads");
    let good = policy(&d.world, d.node_key, &listing, &d.folder, d.now);
    let stranger = veilbourse_client::market::fresh_key(&mut ChaCha20Rng::seed_from_u64(1));
    let signed = Signed::sign(good.clone(), &stranger).expect("signs");
    let refused = dataset::submit(&d.custodian.session, &listing, &signed)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("SIGNING_KEY_UNKNOWN"));
    for (code, change) in [
        (
            "ORDER_LISTING_DIFFERS",
            (|p| p.listing = Id::parse("01900000-0000-7000-8000-000000000000").expect("an id"))
                as fn(&mut veilbourse_documents::Policy),
        ),
        ("ORDER_DATASET_DIFFERS", |p| p.dataset.0[0] ^= 1),
        ("POLICY_VERSION", |p| p.policy_version = 2),
    ] {
        let mut body = good.clone();
        change(&mut body);
        let signed = Signed::sign(body, &d.custodian.key).expect("signs");
        let refused = dataset::submit(&d.custodian.session, &listing, &signed)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Some(code), "{refused}");
    }
    dataset::submit(
        &d.custodian.session,
        &listing,
        &Signed::sign(good, &d.custodian.key).expect("signs"),
    )
    .await
    .expect("all is well");
    d.world.stop().await.expect("stops");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// A manifest of noise is refused, never a panic (WIRE-1, WIRE-5, WIRE-6).
    #[test]
    fn manifests_of_others_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = veilbourse_core::manifest::Manifest::decode(&bytes);
        let _ = serde_json::from_slice::<veilbourse_core::manifest::Manifest>(&bytes);
    }
}
