//! DOC-13: masked results and sealed masks, read back or refused.

use super::*;
use crate::DOCUMENT_VERSION;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use veilbourse_core::field::MODULUS;
use veilbourse_protocol::{Tree, leaf};

const DEALING: Digest = Digest([2; 32]);
const TICKETS: u64 = 13;

fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

fn mask(party: u8, ticket: u64) -> MaskShare {
    MaskShare::of_ticket(&[party; 32], &DEALING, ticket)
}

fn paths(parties: u8) -> (Signed, Vec<TicketPath>) {
    let commitments = |t| -> Vec<[u8; 32]> {
        let all = 0..parties;
        all.map(|p| mask(p, t).commit().compress().0).collect()
    };
    let leaves = (0..TICKETS).map(|t| leaf(&DEALING, t, &commitments(t)));
    let tree = Tree::new(leaves.collect());
    let path = |ticket| TicketPath {
        ticket,
        commitments: commitments(ticket),
        path: tree.path(ticket),
    };
    let signed = Signed {
        dealing: DEALING,
        tickets: TICKETS,
        root: tree.root(),
    };
    (signed, (0..TICKETS).map(path).collect())
}

fn words(n: u64) -> Vec<Fq> {
    (0..n).map(|i| Fq::new(MODULUS - 1 - i).unwrap()).collect()
}

/// Tickets 5 to 9, of two parties.
fn good() -> (Signed, MaskedResult) {
    let (signed, paths) = paths(2);
    (signed, MaskedResult::new(&words(5), &paths[5..10]).unwrap())
}

#[test]
fn a_masked_result_comes_back_with_its_commitments_under_the_root() {
    // DOC-13, TKT-5, WIRE-1: of every quorum's size.
    for parties in 2..=MAX_NODES {
        let (signed, paths) = paths(parties);
        for (first, end) in [(0, 1), (0, 13), (5, 10), (12, 13)] {
            let y = words(end as u64 - first as u64);
            let result = MaskedResult::new(&y, &paths[first..end]).unwrap();
            let read = MaskedResult::decode(&result.encode()).unwrap();
            assert_eq!(read, result);
            assert_eq!(read.y().unwrap(), y);
            let points = read.points(&signed, parties.into()).unwrap();
            for (t, points) in (first as u64..).zip(points) {
                let own: Vec<_> = (0..parties).map(|p| mask(p, t).commit()).collect();
                assert_eq!(points, own);
            }
        }
    }
}

#[test]
fn commitments_of_other_tickets_or_parties_are_refused() {
    // TKT-5.
    let (signed, result) = good();
    let member = Err(ProtocolError::Membership { ticket: 5 });
    for parties in [0, 1, 3] {
        let e = result.points(&signed, parties).unwrap_err();
        assert!(matches!(e, ProtocolError::Length { found: 2, .. }), "{e}");
    }
    for at in 0..result.siblings.len() {
        let mut r = result.clone();
        r.siblings[at].0[0] ^= 1;
        assert_eq!(r.points(&signed, 2), member);
    }
    let mut r = result.clone();
    r.commitments.swap(0, 1);
    assert_eq!(r.points(&signed, 2), member);
    let mut r = result.clone();
    r.commitments[3].swap(0, 1);
    assert_eq!(r.points(&signed, 2), member);
    let mut r = result.clone();
    r.first_ticket += 1;
    let member = Err(ProtocolError::Membership { ticket: 6 });
    assert_eq!(r.points(&signed, 2), member);
}

#[test]
fn a_masked_result_is_made_of_tickets_without_gaps() {
    // DOC-13.
    let (_, paths) = paths(2);
    let new = |y: u64, paths: &[TicketPath]| MaskedResult::new(&words(y), paths);
    assert!(new(0, &[]).is_none());
    assert!(new(4, &paths[5..10]).is_none());
    assert!(new(6, &paths[5..10]).is_none());
    let mut changed = paths[5..10].to_vec();
    changed.swap(1, 2);
    assert!(new(5, &changed).is_none());
    let mut changed = paths[5..10].to_vec();
    changed.remove(2);
    assert!(new(4, &changed).is_none());
    // Every ticket of as many parties.
    let mut changed = paths[5..10].to_vec();
    changed[4].commitments.pop();
    assert!(new(5, &changed).is_none());
    changed.iter_mut().for_each(|p| p.commitments.clear());
    assert!(new(5, &changed).is_none());
}

#[test]
fn every_byte_of_a_masked_result_counts() {
    // WIRE-1: what is read is written as it was, or not read.
    let (_, result) = good();
    let bytes = result.encode();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            if let Ok(read) = MaskedResult::decode(&changed) {
                assert_ne!(read, result, "byte {at} bit {bit}");
                assert_eq!(read.encode(), changed, "byte {at} bit {bit}");
            }
        }
        assert!(MaskedResult::decode(&bytes[..at]).is_err(), "{at} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(MaskedResult::decode(&longer).is_err());
}

#[test]
fn what_a_masked_result_may_hold() {
    // DOC-13, WIRE-1, WIRE-3.
    let (_, result) = good();
    let bytes = result.encode();
    // Version, first ticket, parties, count, words with two commitments each.
    let (parties, count, word, step) = (10, 11, 15, 8 + 2 * 32);
    let refused = |at: usize, with: &[u8], named: &str| {
        let mut changed = bytes.clone();
        changed[at..at + with.len()].copy_from_slice(with);
        match MaskedResult::decode(&changed).unwrap_err() {
            DocumentError::Json {
                document: WHAT,
                reason,
            } => assert!(reason.contains(named), "{reason:?} lacks {named:?}"),
            other => panic!("{other}"),
        }
    };
    refused(0, &[2, 0], "masked result");
    for n in [0, 1, 6, 255] {
        refused(parties, &[n], "parties");
    }
    refused(count, &0u32.to_le_bytes(), "must be 1 to");
    let beyond = MAX_BATCH as u32 + 1;
    refused(count, &beyond.to_le_bytes(), "values");
    refused(count, &u32::MAX.to_le_bytes(), "values");
    for n in [0, 4] {
        let at = word + n * step;
        refused(at, &MODULUS.to_le_bytes(), "opened word");
        refused(at, &u64::MAX.to_le_bytes(), "opened word");
    }
    let at = word + 5 * step;
    refused(at, &(MAX_SIBLINGS + 1).to_le_bytes(), "siblings");
    assert_eq!(
        MaskedResult::decode(&vec![0; MAX_MASKED_BYTES + 1]),
        Err(DocumentError::TooLarge {
            document: WHAT,
            limit: MAX_MASKED_BYTES as u64,
            value: MAX_MASKED_BYTES as u64 + 1
        })
    );
    // The largest fits: every value of a session, of every node.
    let largest = MaskedResult {
        first_ticket: 0,
        words: vec![1; MAX_BATCH],
        commitments: vec![vec![[3; 32]; MAX_NODES.into()]; MAX_BATCH],
        siblings: vec![DEALING; MAX_SIBLINGS as usize],
    };
    let bytes = largest.encode();
    assert!(bytes.len() <= MAX_MASKED_BYTES, "{}", bytes.len());
    assert_eq!(MaskedResult::decode(&bytes).unwrap(), largest);
}

#[test]
fn a_masked_result_is_its_openings() {
    // DOC-13: tickets, number and words as the quorum signed them.
    let (_, result) = good();
    let opening = Opening {
        version: DOCUMENT_VERSION,
        marketplace: DEALING,
        order: DEALING,
        grant: DEALING,
        session: DEALING,
        attempt: 0,
        first_ticket: 5,
        values: 5,
        opened: Opening::digest_of_opened(&result.words),
    };
    result.check_opening(&opening).unwrap();
    let refused = |change: &dyn Fn(&mut MaskedResult), named: &str| {
        let mut r = result.clone();
        change(&mut r);
        match r.check_opening(&opening).unwrap_err() {
            DocumentError::Link {
                document: WHAT,
                field,
                other: "opening",
                ..
            } => assert_eq!(field, named),
            other => panic!("{other}"),
        }
    };
    refused(&|r| r.first_ticket = 4, "first_ticket");
    refused(&|r| r.words.truncate(4), "values");
    refused(&|r| r.words.push(0), "values");
    refused(&|r| r.words[4] ^= 1, "words");
    refused(&|r| r.words.swap(0, 1), "words");
}

#[test]
fn masks_open_for_their_sessions_and_node_alone() {
    // DOC-13.
    let secret = SealingSecret::generate(&mut rng(1));
    let public = secret.public().unwrap();
    let sessions = [Digest([1; 32]), Digest([2; 32])];
    let node_key = Key([3; 32]);
    let context = SealedMasks {
        sessions: &sessions,
        node_key,
    };
    let masks: Vec<_> = (0..5).map(|t| mask(1, t)).collect();
    let sealed = seal_masks(&masks, &public, &context, &mut rng(2)).unwrap();
    assert_eq!(sealed.len(), sealed_masks_bytes(masks.len()));
    assert_eq!(open_masks(&sealed, &secret, &context).unwrap(), masks);
    let refused = |sealed: &[u8], secret: &SealingSecret, context: &SealedMasks<'_>| {
        let e = open_masks(sealed, secret, context).unwrap_err();
        assert_eq!(e, DocumentError::Seal { what: "masks" });
    };
    refused(&sealed, &SealingSecret::generate(&mut rng(3)), &context);
    let [a, b] = sessions;
    let others: [&[Digest]; 6] = [&[], &[a], &[b], &[b, a], &[a, b, b], &[a, a]];
    for sessions in others {
        let other = SealedMasks {
            sessions,
            ..context
        };
        refused(&sealed, &secret, &other);
    }
    let other = SealedMasks {
        node_key: Key([4; 32]),
        ..context
    };
    refused(&sealed, &secret, &other);
    for at in (0..sealed.len()).step_by(11).chain([sealed.len() - 1]) {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        refused(&changed, &secret, &context);
    }
    for cut in [0, 1119, 1120, sealed.len() - 1] {
        refused(&sealed[..cut], &secret, &context);
    }
    // A sealed result is no mask, though all else is the same.
    let aad = context.context().0;
    let info = b"veilbourse v1 result";
    let result = seal::seal("result", &public, info, &aad, b"x", &mut rng(2)).unwrap();
    refused(&result, &secret, &context);
}

#[test]
fn masks_are_read_strictly() {
    // DOC-13, WIRE-1: whoever has the result key's public part can seal.
    let secret = SealingSecret::generate(&mut rng(1));
    let public = secret.public().unwrap();
    let context = SealedMasks {
        sessions: &[DEALING],
        node_key: Key([3; 32]),
    };
    let aad = context.context().0;
    let mut plain = Writer::new();
    plain.len(1);
    mask(1, 0).encode(&mut plain);
    let plain = plain.finish();
    let opened = |plain: &[u8]| {
        let sealed = seal::seal("masks", &public, MASKS_INFO, &aad, plain, &mut rng(2));
        open_masks(&sealed.unwrap(), &secret, &context)
    };
    assert_eq!(opened(&plain).unwrap(), [mask(1, 0)]);
    let refused = |plain: &[u8]| {
        let e = opened(plain).unwrap_err();
        let shape = matches!(
            e,
            DocumentError::Json {
                document: "masks",
                ..
            }
        );
        assert!(shape, "{e}");
    };
    for cut in 0..plain.len() {
        refused(&plain[..cut]);
    }
    refused(&[&plain[..], &[0]].concat());
    // Not below the order of the group.
    for at in [4, 36] {
        let mut large = plain.clone();
        large[at..at + 32].fill(0xff);
        refused(&large);
    }
    let mut count = plain.clone();
    count[..4].copy_from_slice(&(MAX_BATCH as u32 + 1).to_le_bytes());
    refused(&count);
    // As many as a session's values, and no more.
    let most = vec![mask(1, 0); MAX_BATCH];
    let sealed = seal_masks(&most, &public, &context, &mut rng(2)).unwrap();
    assert_eq!(
        open_masks(&sealed, &secret, &context).unwrap().len(),
        MAX_BATCH
    );
    let more = vec![mask(1, 0); MAX_BATCH + 1];
    assert_eq!(
        seal_masks(&more, &public, &context, &mut rng(2)),
        Err(DocumentError::TooLarge {
            document: "masks",
            limit: MAX_BATCH as u64,
            value: MAX_BATCH as u64 + 1
        })
    );
}
