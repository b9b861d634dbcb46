//! A committee of three of which two open, and what a custodian's policy says of
//! its tickets (DOC-12).

use super::{digest, key, signer};
use veilbourse_core::digest::Digest;
use veilbourse_documents::*;
use veilbourse_privacy::Mechanism;

/// The nodes' signing keys, by seed; a node's number is its place.
pub const NODES: [u8; 3] = [5, 6, 7];
/// The granted quorum, by number, and who that is.
pub const QUORUM: [u8; 2] = [0, 2];
pub const SIGNERS: [u8; 2] = [5, 7];
/// First ticket of the granted dealing, and how many it has.
pub const FIRST: u64 = 100;
pub const COUNT: u64 = 1_000;

pub fn openers() -> Openers {
    Openers::Committee {
        nodes: NODES.iter().map(|n| key(&signer(*n))).collect(),
        threshold: 2,
    }
}

pub fn opener() -> Opener {
    Opener::Committee {
        quorum: QUORUM.to_vec(),
        dealing: GRANTED,
    }
}

/// With noise, and offered.
pub fn noisy() -> ClassTerms {
    ClassTerms {
        name: "noisy".into(),
        k: 26,
        sensitivity: 1_000,
        mechanism: Mechanism::gaussian(1_000_000_001, 2).unwrap(),
        offered: true,
    }
}

/// Without noise, and offered.
pub fn exact() -> ClassTerms {
    ClassTerms {
        name: "exact".into(),
        k: 26,
        sensitivity: 1_000,
        mechanism: Mechanism::None,
        offered: true,
    }
}

/// For checks of the public key alone (TKT-4).
pub fn key_check() -> ClassTerms {
    ClassTerms {
        name: "key check".into(),
        k: 26,
        sensitivity: 0,
        mechanism: Mechanism::None,
        offered: false,
    }
}

pub fn digest_of(class: &ClassTerms) -> Digest {
    class.class().unwrap().digest()
}

pub const GRANTED: Digest = Digest([0xa0; 32]);
/// The same quorum and epoch, without noise.
pub const OF_EXACT: Digest = Digest([0xa1; 32]);
/// The granted class, another quorum.
pub const OF_OTHERS: Digest = Digest([0xa2; 32]);

pub fn dealing(
    digest: Digest,
    quorum: [u8; 2],
    epoch: u32,
    class: &ClassTerms,
    (first, count): (u64, u64),
) -> DealingTerms {
    DealingTerms {
        digest,
        quorum: quorum.to_vec(),
        epoch,
        class: digest_of(class),
        first,
        count,
        root: super::digest(0xb0),
    }
}

/// Limited to exactly what they cost.
pub fn tickets() -> Tickets {
    let dealings = vec![
        dealing(GRANTED, QUORUM, 4, &noisy(), (FIRST, COUNT)),
        dealing(OF_EXACT, QUORUM, 4, &exact(), (FIRST + COUNT, 10)),
        dealing(OF_OTHERS, [0, 1], 1, &noisy(), (0, 2_000)),
        // Destroyed since: another epoch, the same numbers.
        dealing(digest(0xa3), QUORUM, 3, &noisy(), (FIRST, COUNT)),
        dealing(digest(0xa4), QUORUM, 4, &key_check(), (0, 8)),
    ];
    let mut tickets = Tickets {
        classes: vec![noisy(), exact(), key_check()],
        dealings,
        rho_limit_units: 0,
    };
    tickets.rho_limit_units = tickets.cost().unwrap().units();
    tickets
}
