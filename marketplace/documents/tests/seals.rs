//! Sealed models and results (DOC-6, DOC-10): what opens them, and that nothing
//! else does.

mod support;

use hpke::{
    Deserializable, Kem, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::XWing, single_shot_seal_with_rng,
};
use support::*;
use veilbourse_core::digest::Digest;
use veilbourse_documents::*;

/// Bytes of X-Wing's encapsulated key: ML-KEM-768's ciphertext, then X25519.
const ENCAPSULATED: usize = 1088 + 32;
/// Bytes of the authentication tag.
const TAG: usize = 16;

fn model() -> Model {
    Model {
        vectors: vec![
            ModelVector {
                vector: 1,
                weights: vec![123_456, -7, 0, i64::MAX],
                blinder: [9; 32],
            },
            ModelVector {
                vector: 4,
                weights: vec![],
                blinder: [0; 32],
            },
        ],
    }
}

fn result() -> OpenedResult {
    OpenedResult {
        outputs: vec![
            OpenedOutput {
                values: vec![i64::MIN, -1, 0, 1, i64::MAX],
            },
            OpenedOutput { values: vec![42] },
        ],
    }
}

fn context() -> ResultContext {
    ResultContext {
        order: digest(1),
        grant: digest(2),
        node_key: key(&signer(NODE)),
    }
}

fn refused<T>(what: &'static str, got: Result<T, DocumentError>) -> bool {
    matches!(got, Err(DocumentError::Seal { what: w }) if w == what)
}

/// What a model is bound to.
struct Bound {
    dataset: Digest,
    program: Digest,
    pod: Id,
    buyer: Key,
    result_key: Vec<u8>,
    nonce: Nonce,
}

impl Bound {
    fn good() -> Self {
        Self {
            dataset: digest(1),
            program: digest(2),
            pod: id(3),
            buyer: key(&signer(BUYER)),
            result_key: sealing_key(5).0,
            nonce: Nonce([6; 32]),
        }
    }
    fn context(&self) -> ModelContext<'_> {
        ModelContext {
            dataset: &self.dataset,
            program: &self.program,
            pod: &self.pod,
            buyer: &self.buyer,
            result_key: &self.result_key,
            nonce: &self.nonce,
        }
    }
}

#[test]
fn a_model_opens_for_its_pod_and_order() {
    // DOC-6.
    let secret = SealingSecret::generate(&mut rng(1));
    let public = secret.public().unwrap();
    assert_eq!(public.len(), SEALING_KEY_BYTES);
    let good = Bound::good();
    let sealed = seal_model(&model(), &public, &good.context(), &mut rng(2)).unwrap();
    let opened = open_model(&sealed, &secret, &good.context()).unwrap();
    assert_eq!(opened, model());
    // From the bytes of a key file.
    let again = SealingSecret::from_bytes(*secret.as_bytes());
    assert_eq!(
        open_model(&sealed, &again, &good.context()).unwrap(),
        model()
    );
    // Another key; another part of the context, one at a time.
    let other = SealingSecret::generate(&mut rng(3));
    assert!(refused(
        "model",
        open_model(&sealed, &other, &good.context())
    ));
    let changes: [&dyn Fn(&mut Bound); 8] = [
        &|b| b.dataset = digest(9),
        &|b| b.program = digest(9),
        &|b| std::mem::swap(&mut b.dataset, &mut b.program),
        &|b| b.pod = id(4),
        &|b| b.buyer = key(&signer(STRANGER)),
        &|b| b.result_key = sealing_key(6).0,
        &|b| {
            b.result_key.pop();
        },
        &|b| b.nonce = Nonce([7; 32]),
    ];
    for (change, index) in changes.iter().zip(0..) {
        let mut bound = Bound::good();
        change(&mut bound);
        assert!(
            refused("model", open_model(&sealed, &secret, &bound.context())),
            "change {index}"
        );
    }
    // Sealed twice, it is never the same; no secret shows in debug output.
    let twice = seal_model(&model(), &public, &good.context(), &mut rng(4)).unwrap();
    assert_ne!(sealed, twice);
    assert_eq!(format!("{secret:?}"), "SealingSecret(..)");
}

#[test]
fn a_result_opens_for_its_order_grant_and_node() {
    // DOC-10.
    let secret = SealingSecret::generate(&mut rng(1));
    let public = secret.public().unwrap();
    let good = context();
    let sealed = seal_result(&result(), &public, &good, &mut rng(2)).unwrap();
    assert_eq!(open_result(&sealed, &secret, &good).unwrap(), result());
    let other = SealingSecret::generate(&mut rng(3));
    assert!(refused("result", open_result(&sealed, &other, &good)));
    for wrong in [
        ResultContext {
            order: digest(9),
            ..good
        },
        ResultContext {
            grant: digest(9),
            ..good
        },
        ResultContext {
            node_key: key(&signer(STRANGER)),
            ..good
        },
        ResultContext {
            order: good.grant,
            grant: good.order,
            ..good
        },
    ] {
        assert_ne!(wrong.session(), good.session());
        assert!(refused("result", open_result(&sealed, &secret, &wrong)));
    }
}

#[test]
fn every_byte_of_a_seal_counts() {
    // DOC-6, DOC-10: ML-KEM ciphertext, X25519 key, body and tag, byte by byte.
    let secret = SealingSecret::generate(&mut rng(1));
    let public = secret.public().unwrap();
    let good = context();
    let sealed = seal_result(&result(), &public, &good, &mut rng(2)).unwrap();
    let body = serde_json::to_vec(&result()).unwrap().len();
    assert_eq!(sealed.len(), ENCAPSULATED + body + TAG);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(
            refused("result", open_result(&changed, &secret, &good)),
            "byte {at}"
        );
    }
    // X25519 ignores the highest bit of its key; the combiner does not.
    let mut changed = sealed.clone();
    changed[ENCAPSULATED - 1] ^= 0x80;
    assert!(refused("result", open_result(&changed, &secret, &good)));
    // Cut anywhere, or longer.
    for keep in (0..sealed.len()).step_by(13).chain([
        ENCAPSULATED - 1,
        ENCAPSULATED,
        ENCAPSULATED + TAG - 1,
        ENCAPSULATED + TAG,
        sealed.len() - 1,
    ]) {
        assert!(
            refused("result", open_result(&sealed[..keep], &secret, &good)),
            "{keep} bytes"
        );
    }
    let mut longer = sealed.clone();
    longer.push(0);
    assert!(refused("result", open_result(&longer, &secret, &good)));
}

#[test]
fn a_seal_beyond_the_limit_is_not_opened() {
    let secret = SealingSecret::generate(&mut rng(1));
    let huge = vec![0u8; (64 << 20) + 1];
    assert_eq!(
        open_result(&huge, &secret, &context()),
        Err(DocumentError::TooLarge {
            document: "result",
            limit: 64 << 20,
            value: (64 << 20) + 1
        })
    );
}

#[test]
fn a_key_of_another_length_seals_nothing() {
    for n in [0, 32, SEALING_KEY_BYTES - 1, SEALING_KEY_BYTES + 1] {
        let got = seal_result(&result(), &vec![0; n], &context(), &mut rng(1));
        assert!(refused("result", got), "{n} bytes");
    }
}

/// Seals by hand, as docs/spec/documents.md says, under the info of one's choice.
fn seal_by_hand(public: &[u8], info: &[u8], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let public = <XWing as Kem>::PublicKey::from_bytes(public).unwrap();
    let (encapsulated, body) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &public,
        info,
        plain,
        aad,
        &mut rng(7),
    )
    .unwrap();
    let mut out = encapsulated.to_bytes().to_vec();
    out.extend(body);
    out
}

#[test]
fn a_model_is_no_result_even_with_the_same_context() {
    // DOC-6, DOC-10: the info strings keep them apart, all else being equal.
    let secret = SealingSecret::generate(&mut rng(1));
    let public = secret.public().unwrap();
    let bound = Bound::good();
    let mut aad = [bound.dataset.0, bound.program.0].concat();
    aad.extend(36u32.to_le_bytes());
    aad.extend(bound.pod.as_str().as_bytes());
    aad.extend(bound.buyer.0);
    aad.extend((SEALING_KEY_BYTES as u32).to_le_bytes());
    aad.extend(&bound.result_key);
    aad.extend(bound.nonce.0);
    let plain = serde_json::to_vec(&model()).unwrap();
    let open = |sealed: &[u8]| open_model(sealed, &secret, &bound.context());
    let right = seal_by_hand(&public, b"veilbourse v1 model", &aad, &plain);
    assert_eq!(open(&right).unwrap(), model());
    let wrong = seal_by_hand(&public, b"veilbourse v1 result", &aad, &plain);
    assert!(refused("model", open(&wrong)));

    let good = context();
    let plain = serde_json::to_vec(&result()).unwrap();
    let right = seal_by_hand(&public, b"veilbourse v1 result", &good.session().0, &plain);
    assert_eq!(open_result(&right, &secret, &good).unwrap(), result());
    let wrong = seal_by_hand(&public, b"veilbourse v1 model", &good.session().0, &plain);
    assert!(refused("result", open_result(&wrong, &secret, &good)));
}

#[test]
fn what_is_sealed_is_read_strictly() {
    // DOC-6, DOC-10: a seal shows who may read, not that its content is well formed.
    let secret = SealingSecret::generate(&mut rng(1));
    let public = secret.public().unwrap();
    let good = context();
    for plain in [
        "",
        "{}",
        r#"{"outputs":[{"values":[1]}]}"#,
        r#"{"outputs":[{"values":["01"]}]}"#,
        r#"{"outputs":[],"noise":[]}"#,
    ] {
        let sealed = seal_by_hand(
            &public,
            b"veilbourse v1 result",
            &good.session().0,
            plain.as_bytes(),
        );
        let got = open_result(&sealed, &secret, &good);
        assert!(
            matches!(
                got,
                Err(DocumentError::Json {
                    document: "result",
                    ..
                })
            ),
            "{plain}: {got:?}"
        );
    }
}

#[test]
fn digests_of_sealed_parts_are_of_different_domains() {
    let bytes = b"the same bytes";
    let as_model: Digest = Order::digest_of_sealed_model(bytes);
    assert_ne!(as_model, Delivery::digest_of_sealed_result(bytes));
    assert_ne!(as_model, Order::digest_of_sealed_model(b"other bytes"));
}

#[test]
fn what_passes_as_a_sealing_key_can_be_sealed_to() {
    // ORD-3, DOC-4: a result key that fails only at the seal would have its
    // values opened and counted for nothing.
    let good = sealing_key(3).0;
    check_sealing_key(&good).unwrap();
    assert!(check_sealing_key(&good[1..]).is_err());
    assert!(check_sealing_key(&unusable_key().0).is_err());
    // One coefficient of the modulus, 3329, where ML-KEM packs twelve bits.
    let mut modulus = good.clone();
    modulus[0] = 0x01;
    modulus[1] = modulus[1] & 0xf0 | 0x0d;
    assert!(check_sealing_key(&modulus).is_err());
    // X25519 takes every point, zero too (RFC 7748): the seal still works.
    let mut zero = good;
    zero[SEALING_KEY_BYTES - 32..].fill(0);
    check_sealing_key(&zero).unwrap();
    let c = context();
    seal_result(&result(), &zero, &c, &mut rng(1)).unwrap();
}
