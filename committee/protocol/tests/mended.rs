//! Attacks that worked on an earlier draft of the protocol, and what stands
//! against each.

mod support;

use support::{Dealt, attack::*, class, rng, started};
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::*;
use zeroize::Zeroizing;

const CONTEXT: Digest = Digest([5; 32]);
/// Values dealt beside a ticket without noise.
const CHAIN: usize = 7;

/// Both parties of a quorum of two at the start of a dealing's check.
fn checks(
    dealt: &Dealt,
    proof: &BatchProof,
    spoil: &dyn Fn(&mut Vec<TicketShare>),
) -> Result<Vec<BatchCheck>, ProtocolError> {
    (0u8..2)
        .map(|party| {
            let count = dealt.tickets.len();
            let mut tickets: Vec<_> = (0..count).map(|i| dealt.ticket(party, i)).collect();
            if party == 1 {
                spoil(&mut tickets);
            }
            let key = dealt.key_share(party);
            let package = Package {
                seed: &dealt.dealer.seeds()[usize::from(party)],
                first: 0,
                tickets: &tickets,
                data_key: &key.shares,
                levels: &proof.levels,
                explicit: (party == 1).then_some(&proof.explicit[..]),
            };
            let shape = dealt.dealer.shape();
            BatchCheck::new(shape, &CONTEXT, dealt.live(party), &package, [party; 32])
                .map_err(|(e, _)| e)
        })
        .collect()
}

/// Runs the check to its end, all messages honest.
fn finish(checks: Result<Vec<BatchCheck>, ProtocolError>) -> Result<(), ProtocolError> {
    let mut checks = checks?;
    let openings: Vec<_> = checks.iter().map(BatchCheck::opening).collect();
    let commitments = checks.iter_mut().map(|c| c.commitment(&openings));
    let commitments: Vec<_> = commitments.collect::<Result<_, _>>()?;
    let reveals = checks.iter_mut().map(|c| c.reveal(&commitments));
    let reveals = reveals.map(|r| r.map(|m| m.bytes));
    let reveals: Vec<_> = reveals.collect::<Result<_, _>>()?;
    let mut ends = checks.into_iter().map(|c| c.finish(&reveals));
    ends.try_for_each(|e| e.map(drop))
}

fn values(dealt: &Dealt) -> Vec<Zeroizing<Vec<Fq>>> {
    dealt.tickets.iter().map(|t| t.values.clone()).collect()
}

/// The digest of what is dealt before any challenge.
fn base(proof: &BatchProof, tickets: usize) -> Digest {
    let bytes = 8 * tickets * CHAIN + 5 * 16;
    hash(
        "veilbourse v1 dealing proof base",
        &[&proof.explicit[..bytes]],
    )
}

#[test]
fn a_dealer_cannot_fit_the_mask_of_its_proof_to_a_false_relation() {
    // TKT-4: gamma = alpha beta could take up the error of a relation, if chi
    // were known before it is named.
    let mut rng = rng(1);
    let mut dealt = Dealt::new(class(26, Mechanism::None), 2, 2, &mut rng);
    dealt.key[99] = Fq::reduce(2);
    dealt.explicit_key = dealt.dealer.data_key(&dealt.key);
    let mut proof = dealt
        .dealer
        .prove(&CONTEXT, 0, &values(&dealt), &dealt.key[..]);
    assert_eq!(base(&proof, 2), proof.levels[0]);
    let refused = |proof: &BatchProof| {
        let end = finish(checks(&dealt, proof, &|_| {}));
        assert!(matches!(end, Err(ProtocolError::Dealing(_))), "{end:?}");
    };
    refused(&proof);
    let start = transcript(&dealt, &CONTEXT, dealt.key.len(), &proof.levels[..1]);
    let mut chi = Words::new(&start, CHALLENGE, 0);
    let chi = (0..100).map(|_| chi.fq2()).last().unwrap();
    // x y - z = 2 (2 - 1).
    let gamma = 8 * dealt.tickets.len() * CHAIN + 2 * 16;
    add_at(&mut proof.explicit, gamma, chi.scale(Fq::reduce(2)));
    refused(&proof);
    proof.levels[0] = base(&proof, 2);
    refused(&proof);
}

#[test]
fn a_dealer_cannot_fit_the_mask_of_its_proof_to_a_wrong_mac() {
    // TKT-4: nor the mask of the random sum.
    let mut rng = rng(2);
    let dealt = Dealt::new(class(26, Mechanism::None), 2, 2, &mut rng);
    let mut proof = dealt
        .dealer
        .prove(&CONTEXT, 0, &values(&dealt), &dealt.key[..]);
    let off = Fq2([Fq::reduce(3), Fq::reduce(4)]);
    let spoil = |t: &mut Vec<TicketShare>| t[0].values[11].mac += off;
    let end = finish(checks(&dealt, &proof, &spoil));
    assert_eq!(end, Err(ProtocolError::MacCheck));
    let all = transcript(&dealt, &CONTEXT, dealt.key.len(), &proof.levels);
    let mut psi = Words::new(&all, CHALLENGE, 2);
    let psi = (0..12).map(|_| psi.fq2()).last().unwrap();
    let mac = 8 * dealt.tickets.len() * CHAIN + 4 * 16;
    add_at(&mut proof.explicit, mac, -(off * psi));
    let end = finish(checks(&dealt, &proof, &spoil));
    assert!(matches!(end, Err(ProtocolError::Dealing(_))));
    proof.levels[0] = base(&proof, 2);
    assert!(finish(checks(&dealt, &proof, &spoil)).is_err());
}

#[test]
fn a_second_dealing_under_the_same_seeds_shows_nothing_of_the_masks() {
    // SHR-3, TKT-1: every stream belongs to one dealing.
    let mut rng = rng(3);
    let first = Dealt::new(class(26, Mechanism::None), 2, 1, &mut rng);
    let quorum = first.dealer.shape().quorum;
    for (mechanism, serial) in [
        (Mechanism::gaussian(1, 1).unwrap(), 0),
        (Mechanism::None, 1),
    ] {
        let shape = Shape::new(class(26, mechanism), quorum, serial);
        let seeds = Zeroizing::new(first.dealer.seeds().to_vec());
        let secret = Zeroizing::new(*first.dealer.secret());
        let second = Dealer::resume(shape, seeds, secret).ticket(0);
        // What the last party has: differences of indicators, if a pad were
        // used twice, would be 0 or +-1.
        let [a, b] = [&first.tickets[0].explicit, &second.explicit];
        for at in 0..plan::DIGITS * plan::INDICATORS {
            let d = word_at(a, 24 * at) - word_at(b, 24 * at);
            assert!(![Fq::ZERO, Fq::ONE, -Fq::ONE].contains(&d));
        }
        // Nor does the output mask of the one open the other.
        assert_ne!(first.tickets[0].commitments, second.commitments);
        let other = &first.tickets[0].values;
        assert_ne!(other[..240], second.values[..240], "another r");
    }
    // The same ticket dealt again is the same ticket: nothing to subtract.
    let again = first.dealer.ticket(0);
    assert_eq!(again.explicit, first.tickets[0].explicit);
}

#[test]
fn keys_that_a_liar_may_know_do_not_come_back() {
    // OPN-4: whoever hears sigma in one session could pass a lie in another. The
    // quorum's keys are in one session at a time, and stay in it from sigma on.
    let mut rng = rng(4);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 2, &mut rng);
    let output = dealt.encrypt(&[phase(1, 0)], &mut rng);
    let lie = Lie::new(&dealt, 0, &output, 1, Fq::ONE);
    let (d, honest) = lie.learn();
    let total = dealt.party_key(0).mac_key + dealt.party_key(1).mac_key;
    assert_eq!(d, total, "the liar knows the MAC key");
    assert!(honest.abandon().is_none(), "so nobody uses it again");
    // With it, had the keys come back:
    let lie = Lie::new(&dealt, 1, &output, 2, Fq::reduce(1 << (K - 1)));
    assert!(lie_with(&dealt, 1, lie, d).is_some());
    // Up to its commitment to sigma an opening gives them back.
    let (opening, _) = started(dealt.job(0, 0, &output, CONTEXT));
    assert_eq!(opening.abandon().map(|l| l.party()), Some(0));
}

#[test]
fn a_check_of_a_dealing_that_is_cut_off_keeps_the_keys() {
    // TKT-4, OPN-4
    let mut rng = rng(5);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
    let proof = dealt
        .dealer
        .prove(&CONTEXT, 0, &values(&dealt), &dealt.key[..]);
    let fresh = || checks(&dealt, &proof, &|_| {}).unwrap();
    let mut parties = fresh();
    let openings: Vec<_> = parties.iter().map(BatchCheck::opening).collect();
    let commitments: Vec<_> = parties
        .iter_mut()
        .map(|p| p.commitment(&openings).unwrap())
        .collect();
    let mut first = parties.remove(0);
    let message = first.reveal(&commitments).unwrap();
    assert_eq!(message.durable, Durable::CheckPending);
    assert!(first.abandon().is_none());
    let second = parties.remove(0);
    assert!(second.abandon().is_some());

    // A check knows how many speak, and what it said itself.
    let mut check = fresh().remove(0);
    for wrong in [vec![], openings[..1].to_vec(), vec![openings[1].clone(); 2]] {
        let e = check.commitment(&wrong).unwrap_err();
        let known = matches!(
            e,
            ProtocolError::Length { .. } | ProtocolError::Misdirected { .. }
        );
        assert!(known, "{e}");
    }
    assert!(matches!(check.finish(&[]), Err(ProtocolError::Ended)));
}

#[test]
fn a_ticket_has_one_leaf_under_a_root() {
    // TKT-5: how many tickets there are is signed, and fixes the depth.
    let com = |i: u64| {
        let share = MaskShare::of_ticket(&[7; 32], &CONTEXT, i);
        vec![share.commit().compress().0]
    };
    let leaf = |ticket, i| leaf(&CONTEXT, ticket, &com(i));
    let short = leaf(1, 1);
    let deep = Tree::new(vec![leaf(0, 0), leaf(1, 2)]);
    let root = hash("veilbourse v1 ticket node", &[&deep.root().0, &short.0]);
    let accepted = |tickets: u64| {
        let signed = Signed {
            dealing: CONTEXT,
            tickets,
            root,
        };
        let one = check_path(&signed, 1, &com(1), &[deep.root()]);
        let two = check_path(&signed, 1, &com(2), &[leaf(0, 0), short]);
        [one, two].into_iter().filter(Result::is_ok).count()
    };
    for tickets in 0..9 {
        assert!(accepted(tickets) <= 1, "{tickets}");
    }
}

#[test]
fn a_joint_sum_that_wraps_is_refused() {
    // OPN-9
    let class = class(8, Mechanism::None);
    let value = class.message_bound();
    let n = 512;
    let masks: Vec<_> = (0..n)
        .map(|i| MaskShare::of_ticket(&[1; 32], &CONTEXT, i))
        .collect();
    let y: Vec<Fq> = masks
        .iter()
        .map(|m| Fq::reduce(value) + m.residue())
        .collect();
    let points: Vec<_> = masks.iter().map(|m| vec![m.commit()]).collect();
    let end = |n: usize| {
        unmask(
            0,
            &Masked {
                y: &y[..n],
                commitments: &points[..n],
                openings: &[MaskShare::sum(&masks[..n])],
                bound: n as u64 * class.value_bound(),
            },
        )
    };
    assert_eq!(end(511), Ok(511 << 54));
    assert!(matches!(end(512), Err(ProtocolError::Bound { .. })));
}

#[test]
fn the_noise_of_a_ticket_is_within_its_law_s_bound() {
    // TKT-4: noise beyond it would make a result fail or not by its value.
    let mut rng = rng(8);
    let law = Mechanism::gaussian(1, 1).unwrap();
    let mut dealt = Dealt::new(class(K, law), 2, 1, &mut rng);
    let mut values = values(&dealt);
    let noise = dealt.dealer.shape().layout.noise;
    let bound = law.noise_bound() as i64;
    for (n, good) in [
        (bound, true),
        (-bound, true),
        (bound + 1, false),
        (-bound - 1, false),
        (1 << 40, false),
    ] {
        values[0][noise] = Fq::from_i64(n);
        dealt.tickets[0] = dealt.dealer.deal_values(0, &values[0]);
        let proof = dealt.dealer.prove(&CONTEXT, 0, &values, &dealt.key[..]);
        let end = finish(checks(&dealt, &proof, &|_| {}));
        assert_eq!(end.is_ok(), good, "{n}: {end:?}");
    }
}

#[test]
fn two_proofs_share_no_mask() {
    // TKT-4: neither two of one batch, nor one of the key and one of tickets.
    let mut rng = rng(9);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
    let of = |context: u8, tickets: &[Zeroizing<Vec<Fq>>], key: &[Fq]| {
        let context = Digest([context; 32]);
        dealt.dealer.prove(&context, 0, tickets, key).explicit
    };
    let all = [
        of(1, &values(&dealt), &dealt.key),
        of(2, &values(&dealt), &dealt.key),
        of(1, &values(&dealt), &[]),
        of(1, &[], &dealt.key),
    ];
    let mut words: Vec<&[u8; 8]> = all.iter().flat_map(|e| e.as_chunks::<8>().0).collect();
    let count = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), count, "every stored word is padded by its own");
}
