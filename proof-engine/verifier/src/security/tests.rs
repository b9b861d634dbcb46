//! LES-9: every proof reaches the required bits, all terms summed; lattice
//! figures reach 128.

use super::*;

#[test]
fn every_proof_reaches_the_required_bits() {
    for account in accounts() {
        assert!(
            account.sum() >= REQUIRED_BITS,
            "{account}\nreaches {:.2} bits",
            account.sum()
        );
        assert!(account.minimum() >= account.sum());
        assert!(account.terms.len() >= 5);
    }
}

#[test]
fn terms_by_hand() {
    let terms = fri::terms(&FRI_BLAKE3_V1, 512);
    let bits = |name: &str| terms.iter().find(|t| t.name == name).unwrap().bits;
    // 98 queries of agreement (1 + 4097/32768)/2 and 20 bits of work.
    let alpha: f64 = (1.0 + 4097.0 / 32768.0) / 2.0;
    assert!((bits("FRI queries") - (20.0 - 98.0 * alpha.log2())).abs() < 1e-6);
    // 511 * 2^15 / 2^127, 16 bits of work.
    assert!((bits("FRI batching") - (127.0 - 15.0 - 511f64.log2() + 16.0)).abs() < 1e-6);
    // One round of arity 8 on 2^15 words.
    assert!((bits("FRI folding") - (127.0 - (7.0 * 32769.0f64).log2())).abs() < 1e-6);
}

#[test]
fn weaker_parameters_are_noticed() {
    let fewer = FriSet {
        queries: 90,
        ..FRI_BLAKE3_V1
    };
    assert!(linear("", &fewer, 512).sum() < REQUIRED_BITS);
    let no_work = FriSet {
        query_pow_bits: 0,
        ..FRI_BLAKE3_V1
    };
    assert!(linear("", &no_work, 512).sum() < REQUIRED_BITS);
    let no_batch_work = FriSet {
        batch_pow_bits: 0,
        ..FRI_BLAKE3_V1
    };
    assert!(listing(&no_batch_work, MAX_OPENED_COLUMNS).sum() < REQUIRED_BITS);
}

#[test]
fn lattice_record_covers_every_key() {
    let figures = lattice_figures();
    let names: Vec<_> = figures.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "data key",
            "re-randomisation, traced",
            "re-randomisation, chunk"
        ]
    );
    for f in &figures {
        assert_eq!(f.dimension as usize, ROWS);
        assert!(f.classical_bits >= 128.0, "{f:?}");
        assert!(f.quantum_bits >= 128.0, "{f:?}");
    }
}

#[test]
fn prints_every_term() {
    let text = accounts()
        .iter()
        .map(ToString::to_string)
        .collect::<String>();
    for word in [
        "FRI queries",
        "FRI batching",
        "FRI folding",
        "zeta",
        "listing point",
        "Marlin",
        "KZG",
        "hash collisions",
        "Poseidon collisions",
        "summed",
    ] {
        assert!(text.contains(word), "{text}");
    }
}
