//! Attacks that work today. Each test states what should hold, and fails until
//! the protocol is mended.

mod support;

use rand_core::Rng;
use support::{Dealt, attack::*, class, rng};
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::*;
use zeroize::Zeroizing;

const CONTEXT: Digest = Digest([5; 32]);
/// Values of a ticket's chain in the dealing's proof.
const CHAIN: usize = 7;
/// Both parties of a quorum of two at the start of a dealing's check.
fn checks(
    dealt: &Dealt,
    proof: &BatchProof,
    spoil: &dyn Fn(&mut Vec<TicketShare>),
) -> Vec<BatchCheck> {
    (0u8..2)
        .map(|party| {
            let count = dealt.tickets.len();
            let mut tickets: Vec<_> = (0..count).map(|i| dealt.ticket(party, i)).collect();
            if party == 1 {
                spoil(&mut tickets);
            }
            let key = dealt.key_share(party);
            let package = Package {
                party,
                key: dealt.party_key(party),
                seed: &dealt.dealer.seeds()[usize::from(party)],
                tickets: &tickets,
                data_key: &key.shares,
                levels: &proof.levels,
                explicit: (party == 1).then_some(&proof.explicit[..]),
            };
            let shape = dealt.dealer.shape();
            BatchCheck::new(shape, &CONTEXT, 0, &package, [party; 32]).unwrap()
        })
        .collect()
}

/// Runs the check to its end, all messages honest.
fn finish(mut checks: Vec<BatchCheck>) -> Result<(), ProtocolError> {
    let openings: Vec<_> = checks.iter().map(BatchCheck::opening).collect();
    let commitments = checks.iter_mut().map(|c| c.commitment(&openings));
    let commitments: Vec<_> = commitments.collect::<Result<_, _>>()?;
    let reveals = checks.iter_mut().map(|c| c.reveal(&commitments));
    let reveals: Vec<_> = reveals.collect::<Result<_, _>>()?;
    checks.into_iter().try_for_each(|c| c.finish(&reveals))
}

fn values(dealt: &Dealt) -> Vec<Zeroizing<Vec<Fq>>> {
    dealt.tickets.iter().map(|t| t.values.clone()).collect()
}

#[test]
fn a_dealer_cannot_fit_the_mask_of_its_proof_to_a_false_relation() {
    // TKT-4. chi is a hash of the context; the last party's shares of alpha,
    // beta, gamma come after it and enter no challenge. gamma takes the error.
    let mut rng = rng(1);
    let mut dealt = Dealt::new(class(26, Mechanism::None), 2, 2, &mut rng);
    dealt.key[99] = Fq::reduce(2);
    dealt.explicit_key = dealt.dealer.data_key(&dealt.key);
    let mut proof = dealt
        .dealer
        .prove(&CONTEXT, 0, &values(&dealt), &dealt.key[..]);
    assert!(finish(checks(&dealt, &proof, &|_| {})).is_err());

    let mut chi = Words::new(&transcript(&CONTEXT, &[]).0, CHALLENGE, 0);
    let chi = (0..100).map(|_| chi.fq2()).last().unwrap();
    // x y - z = 2 (2 - 1).
    let gamma = 8 * dealt.tickets.len() * CHAIN + 2 * 16;
    add_at(&mut proof.explicit, gamma, chi.scale(Fq::reduce(2)));
    let end = finish(checks(&dealt, &proof, &|_| {}));
    assert!(
        matches!(end, Err(ProtocolError::Dealing(_))),
        "a key with a coefficient 2 was accepted: {end:?}"
    );
}

#[test]
fn a_dealer_cannot_fit_the_mask_of_its_proof_to_a_wrong_mac() {
    // TKT-4: nor is the mask of the random sum bound before its coefficients.
    let mut rng = rng(2);
    let dealt = Dealt::new(class(26, Mechanism::None), 2, 2, &mut rng);
    let mut proof = dealt
        .dealer
        .prove(&CONTEXT, 0, &values(&dealt), &dealt.key[..]);
    let off = Fq2([Fq::reduce(3), Fq::reduce(4)]);
    let spoil = |t: &mut Vec<TicketShare>| t[0].values[11].mac += off;
    assert!(finish(checks(&dealt, &proof, &spoil)).is_err());

    let mut psi = Words::new(&transcript(&CONTEXT, &proof.levels).1, CHALLENGE, 2);
    let psi = (0..12).map(|_| psi.fq()).last().unwrap();
    let mac = 8 * dealt.tickets.len() * CHAIN + 3 * 16 + 8;
    add_at(&mut proof.explicit, mac, -off.scale(psi));
    let end = finish(checks(&dealt, &proof, &spoil));
    assert_eq!(
        end,
        Err(ProtocolError::MacCheck),
        "a wrong MAC was accepted"
    );
}

#[test]
fn a_second_dealing_under_the_same_seeds_shows_nothing_of_the_masks() {
    // SHR-3, TKT-5: streams know the ticket's number, not the dealing or the
    // class; every tree counts from 0. `Dealer::from_seeds` is there for that.
    let mut rng = rng(3);
    let first = Dealt::new(class(26, Mechanism::None), 2, 1, &mut rng);
    let seeds = Zeroizing::new(first.dealer.seeds().to_vec());
    let noisy = Shape::new(class(26, Mechanism::gaussian(1, 1).unwrap()));
    let second = Dealer::from_seeds(noisy, seeds).ticket(0, &mut rng);

    // What the last party has: r of the first ticket, digit by digit, where the
    // two tickets' digits differ.
    let [a, b] = [&first.tickets[0].explicit, &second.explicit];
    let mut found = 0;
    for digit in 0..plan::DIGITS {
        let of = |x: &[Fq]| {
            (1..=15)
                .find(|j| x[15 * digit + j - 1] == Fq::ONE)
                .unwrap_or(0)
        };
        let difference = |j: usize| {
            let at = 24 * (15 * digit + j - 1);
            word_at(a, at) - word_at(b, at)
        };
        let all: Vec<Fq> = (1..=15).map(difference).collect();
        if all.iter().all(|d| *d == Fq::ZERO) {
            continue;
        }
        let read = all.iter().position(|d| *d == Fq::ONE).map_or(0, |p| p + 1);
        found += usize::from(read == of(&first.tickets[0].values));
    }
    assert_eq!(found, 0, "digits of r, of 16, that the last party read");
    // And the output mask of the one opens the other.
    assert_ne!(first.tickets[0].commitments, second.commitments);
}

#[test]
fn a_session_beside_one_with_a_pending_check_does_not_pass_a_lie() {
    // OPN-4: two sessions of a quorum at once. The check of one shows D to the
    // liar before it commits to its sigma in the other.
    let mut rng = rng(4);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 3, &mut rng);
    let half = Fq::reduce(1 << (K - 1));
    let any = dealt.encrypt(&[phase(1, 0)], &mut rng);
    let outputs = [-5, 5].map(|e| dealt.encrypt(&[phase(7, e)], &mut rng));
    let learning = Lie::new(&dealt, 0, &any, 1, Fq::ONE);
    let waiting = [0, 1].map(|i| Lie::new(&dealt, i + 1, &outputs[i], 2 + i as u8, half));
    let d = learning.learn();
    let mut at = 0;
    // The buyer reads the sign of the ciphertext's noise: 7 or 8.
    let seen = waiting.map(|lie| {
        at += 1;
        lie_with(&dealt, at, lie, d)
    });
    assert_eq!(seen, [None, None], "values that tell the noise's sign");
}

#[test]
fn a_check_of_a_dealing_that_is_cut_off_tells_nothing_that_is_used_again() {
    // TKT-4: no mark must be durable before sigma leaves, and only a *failed*
    // check is said to end the keys.
    let mut rng = rng(5);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
    let proof = dealt
        .dealer
        .prove(&CONTEXT, 0, &values(&dealt), &dealt.key[..]);
    let mut parties = checks(&dealt, &proof, &|_| {});
    let mut openings: Vec<_> = parties.iter().map(BatchCheck::opening).collect();
    let word = word_at(&openings[1], 48) + Fq::ONE;
    openings[1][48..].copy_from_slice(&word.word().to_le_bytes());
    let commitments: Vec<_> = parties
        .iter_mut()
        .map(|p| p.commitment(&openings).unwrap())
        .collect();
    // Party 0 says its sigma; party 1 is silent.
    let reveals: Vec<_> = parties
        .iter_mut()
        .map(|p| p.reveal(&commitments).unwrap())
        .collect();
    let sum = fq2_at(&reveals[0], 0) + fq2_at(&reveals[1], 0);
    let chi = Words::new(&transcript(&CONTEXT, &proof.levels).1, CHALLENGE, 0).fq2();
    let d = -(sum * chi.inverse().unwrap());
    // The check is done again, honestly, and the keys are used.
    let again = finish(checks(&dealt, &proof, &|_| {}));
    let output = dealt.encrypt(&[phase(7, -5)], &mut rng);
    let half = Fq::reduce(1 << (K - 1));
    let lie = Lie::new(&dealt, 0, &output, 9, half);
    let seen = lie_with(&dealt, 0, lie, d);
    assert!(
        again.is_err() || seen.is_none(),
        "after a second check a lie passed: {seen:?}"
    );
}

#[test]
fn a_session_does_not_open_two_values_with_one_ticket() {
    // OPN-4, "one ticket opens one value, once".
    let mut rng = rng(6);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 2, &mut rng);
    let output = dealt.encrypt(&[phase(1, 2), phase(3, 4)], &mut rng);
    let mut job = dealt.job(0, 0, &output, Digest([1; 32]));
    job.tickets[1] = job.tickets[0].clone();
    assert!(Opening::start(job).is_err());
}

#[test]
fn a_check_of_a_dealing_with_no_messages_is_refused() {
    // TKT-4: the check does not know how many parties there are.
    let mut rng = rng(7);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
    let proof = dealt
        .dealer
        .prove(&CONTEXT, 0, &values(&dealt), &dealt.key[..]);
    let mut check = checks(&dealt, &proof, &|_| {}).remove(0);
    let none = check.commitment(&[]).is_ok() && check.reveal(&[]).is_ok();
    assert!(!none || check.finish(&[]).is_err());
}

#[test]
fn a_ticket_has_one_leaf_under_a_root() {
    // TKT-5: the depth is not pinned, so ticket 1 may lie at depth 1 and at 2.
    let com = |i: u64| {
        let share = MaskShare::of_ticket(&[7; 32], i);
        vec![share.commit().compress().0]
    };
    let short = leaf(1, &com(1));
    let deep = Tree::new(vec![leaf(0, &com(0)), leaf(1, &com(2))]);
    let node = |a: &Digest, b: &Digest| hash("veilbourse v1 ticket node", &[&a.0, &b.0]);
    let root = node(&deep.root(), &short);
    let one = check_path(&root, 1, &com(1), &[deep.root()]);
    let two = check_path(&root, 1, &com(2), &[leaf(0, &com(0)), short]);
    assert!(one.is_err() || two.is_err(), "two leaves of one ticket");
}

#[test]
fn a_joint_sum_that_wraps_is_refused() {
    // OPN-9: J B reaches q / 2 within MAX_SUMMANDS for k below 14.
    let class = class(4, Mechanism::None);
    let value = class.message_bound();
    let masks: Vec<_> = (0..32).map(|i| MaskShare::of_ticket(&[1; 32], i)).collect();
    let y: Vec<Fq> = masks
        .iter()
        .map(|m| Fq::reduce(value) + m.residue())
        .collect();
    let points: Vec<_> = masks.iter().map(|m| vec![m.commit()]).collect();
    let end = unmask(
        0,
        &Masked {
            y: &y,
            commitments: &points,
            openings: &[MaskShare::sum(&masks)],
            bound: 32 * class.value_bound(),
        },
    );
    // 2^63 is not a centred residue: a negative number comes out.
    assert!(end.is_err(), "32 times 2^58 is {end:?}");
}

#[test]
fn the_noise_of_a_ticket_is_within_its_law_s_bound() {
    // TKT-4 says nothing of the noise: a dealer adds what it likes, and a result
    // near the bound fails at the buyer or not by its value.
    let mut rng = rng(8);
    let law = Mechanism::gaussian(1, 1).unwrap();
    let mut dealt = Dealt::new(class(K, law), 2, 1, &mut rng);
    let mut values = values(&dealt);
    let noise = dealt.dealer.shape().layout.noise;
    values[0][noise] = Fq::reduce(rng.next_u64() % (1 << 30) + law.noise_bound() + 1);
    dealt.tickets[0] = dealt.dealer.deal_values(0, &values[0]);
    let proof = dealt.dealer.prove(&CONTEXT, 0, &values, &dealt.key[..]);
    assert!(finish(checks(&dealt, &proof, &|_| {})).is_err());
}

#[test]
fn two_proofs_of_a_batch_share_no_mask() {
    // TKT-4: masks follow from seeds and the first ticket alone. Two opened f,
    // alpha known to be the same, give an equation in the secrets.
    let mut rng = rng(9);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
    let of = |context: u8| {
        let context = Digest([context; 32]);
        let proof = dealt
            .dealer
            .prove(&context, 0, &values(&dealt), &dealt.key[..]);
        proof.explicit[8 * CHAIN..8 * CHAIN + 72].to_vec()
    };
    assert_ne!(of(1), of(2));
}

#[test]
fn a_proof_of_the_key_and_one_of_tickets_share_no_pad() {
    // The key proved in a batch of its own, tickets from 0 in another: one stream
    // pads alpha in the first and a chain, nearly always 0, in the second.
    let mut rng = rng(10);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
    let of_key = dealt.dealer.prove(&CONTEXT, 0, &[], &dealt.key[..]);
    let of_tickets = dealt.dealer.prove(&CONTEXT, 0, &values(&dealt), &[]);
    // What the last party computes from what it stores.
    let read = [0, 8].map(|at| word_at(&of_key.explicit, at) - word_at(&of_tickets.explicit, at));
    let secrets = blake3::derive_key(
        "veilbourse v1 dealing proof secrets",
        &dealt.dealer.seeds().concat(),
    );
    let alpha = Words::new(&Digest(secrets), 4, 0).fq2();
    assert_ne!(Fq2(read), alpha, "the last party reads alpha");
}
