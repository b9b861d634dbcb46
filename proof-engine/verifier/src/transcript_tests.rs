//! Known answers and laws of the transcript (TR-1..4).

use super::*;
use proptest::prelude::*;

challenge_type!(
    /// An element of Fr.
    InFr, "fr", Fr
);
challenge_type!(
    /// An element of F_q2.
    InFq2, "fq2", Fq2
);
challenge_type!(
    /// 32 bytes.
    InSeed, "seed", [u8; 32]
);
challenge_type!(
    /// A second element of Fr under another label.
    OtherFr, "other", Fr
);

/// TR-1 written out byte by byte, independently of the code above.
fn by_hand(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut input = Vec::new();
    for p in parts {
        input.extend_from_slice(p);
    }
    blake3::derive_key(context, &input)
}

#[test]
fn chain_is_the_specified_one() {
    let mut t = Transcript::new("veilbourse test v1");
    let s0 = by_hand(
        "veilbourse v1 transcript",
        &[&18u64.to_le_bytes(), b"veilbourse test v1"],
    );
    assert_eq!(t.state, s0);
    t.absorb("a", b"xyz");
    let s1 = by_hand(
        "veilbourse v1 absorb",
        &[&s0, &1u64.to_le_bytes(), b"a", &3u64.to_le_bytes(), b"xyz"],
    );
    assert_eq!(t.state, s1);
    let InSeed(seed) = t.challenge();
    assert_eq!(
        seed,
        by_hand(
            "veilbourse v1 challenge",
            &[&s1, &4u64.to_le_bytes(), b"seed"]
        )
    );
    assert_eq!(
        t.state,
        by_hand(
            "veilbourse v1 ratchet",
            &[&s1, &4u64.to_le_bytes(), b"seed"]
        )
    );
}

#[test]
fn known_answers() {
    let mut t = Transcript::new("veilbourse known answers v1");
    t.absorb("message", b"one");
    t.absorb_words("words", &[0, 1, MODULUS - 1]);
    let InFq2(a) = t.challenge();
    let InFr(b) = t.challenge();
    let InSeed(c) = t.challenge();
    let got = format!(
        "{:016x} {:016x}\n{}\n{}",
        fq2_words(&a)[0],
        fq2_words(&a)[1],
        hex::encode(fr_bytes(&b)),
        hex::encode(c)
    );
    assert_eq!(
        got,
        include_str!("../tests/vectors/transcript-v1.txt").trim_end()
    );
}

#[test]
fn helpers_absorb_what_they_say() {
    let mut a = Transcript::new("t");
    let mut b = a.clone();
    a.absorb_words("w", &[1, 2]);
    let mut bytes = 1u64.to_le_bytes().to_vec();
    bytes.extend_from_slice(&2u64.to_le_bytes());
    b.absorb("w", &bytes);
    assert_eq!(a, b);
    a.absorb_fr("f", &[Fr::from(5u64)]);
    let mut five = [0u8; 32];
    five[0] = 5;
    b.absorb("f", &five);
    assert_eq!(a, b);
}

#[test]
fn redrawing_takes_the_next_admitted() {
    let mut a = Transcript::new("t");
    let mut b = a.clone();
    let InSeed(first) = a.challenge();
    let second: InSeed = a.challenge();
    let drawn = b.challenge_where(|c: &InSeed| c.0 != first);
    assert_eq!(drawn, second);
    assert_eq!(a, b);
}

proptest! {
    // TR-4 as a law: whatever differs before a challenge changes the challenge.
    #[test]
    fn any_difference_changes_the_challenge(
        x in proptest::collection::vec(any::<u8>(), 0..64),
        y in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let draw = |m: &[u8]| {
            let mut t = Transcript::new("law");
            t.absorb("m", m);
            let InFr(c) = t.challenge();
            c
        };
        prop_assert_eq!(x == y, draw(&x) == draw(&y));
    }

    // Splitting a message over two absorptions is another message.
    #[test]
    fn boundaries_matter(x in proptest::collection::vec(any::<u8>(), 1..64), cut in 0usize..64) {
        let cut = cut % x.len();
        let mut whole = Transcript::new("law");
        whole.absorb("m", &x);
        let mut split = Transcript::new("law");
        split.absorb("m", &x[..cut]);
        split.absorb("m", &x[cut..]);
        prop_assert_ne!(whole, split);
    }

    #[test]
    fn labels_and_types_separate(seed in any::<u64>()) {
        let mut t = Transcript::new("law");
        t.absorb_u64("seed", seed);
        let mut u = t.clone();
        let InFr(a) = t.challenge();
        let OtherFr(b) = u.challenge();
        prop_assert_ne!(a, b);
        prop_assert_ne!(t, u);
    }

    #[test]
    fn fr_bytes_are_canonical(raw in any::<[u8; 32]>()) {
        match fr_from_bytes(&raw) {
            Some(x) => prop_assert_eq!(fr_bytes(&x), raw),
            None => prop_assert!(raw[31] >= 0x73), // r begins 0x73ed..
        }
    }
}
