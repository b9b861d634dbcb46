//! Attacks that do not work, kept so that they go on not working.

mod support;

use rand_core::Rng;
use support::{Dealt, attack::*, class, rng, run, started};
use veilbourse_core::{
    digest::Digest,
    field::{Fq, MODULUS},
    wire::Reader,
};
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::*;
use zeroize::Zeroizing;

const SESSION: Digest = Digest([9; 32]);

#[test]
fn masks_and_phases_at_every_edge_round_alike() {
    // OPN-1, OPN-2: c at 0, at q - 1 and around r; r at its ends and at digits'.
    let mut rng = rng(1);
    for k in [8u8, 9, 11, 12, 13, 31, 32, 33, 47, 48] {
        let bound = 1i64 << (62 - k);
        let half = 1i64 << (k - 1);
        let cases: Vec<(i64, i64)> = [bound, 1 - bound, -bound, 0, -1]
            .into_iter()
            .flat_map(|m| [half - 1, 1 - half, 0].map(|e| (m, e)))
            .collect();
        let phase = |(m, e): (i64, i64)| (i128::from(m) << k) + i128::from(e);
        let q = i128::from(MODULUS);
        let mut words = Vec::new();
        let mut masks = Vec::new();
        let mut expected = Vec::new();
        for case in cases {
            let shifted = phase(case) + (1 << 62) + (1 << (k - 1));
            let edges = [0, 1, q - 1, (1 << 32) - 1, 1 << 32, (1 << k) - 1, 1 << k];
            let around = [q - shifted - 1, q - shifted, q - shifted + 1];
            for r in edges.into_iter().chain(around) {
                words.push(Fq::from_i128(phase(case)));
                masks.push(r as u64);
                expected.push(Ok(case.0));
            }
        }
        let count = words.len() as u64;
        let mut dealt = Dealt::new(class(k, Mechanism::None), 2, count, &mut rng);
        for (i, r) in masks.iter().enumerate() {
            let mut values = dealt.tickets[i].values.clone();
            for d in 0..plan::DIGITS {
                for j in 1..=plan::INDICATORS {
                    let set = plan::digit(*r, d) as usize == j;
                    values[d * plan::INDICATORS + j - 1] = Fq::reduce(u64::from(set));
                }
            }
            dealt.tickets[i] = dealt.dealer.deal_values(i as u64, &values);
        }
        let output = dealt.encrypt(&words, &mut rng);
        let jobs = (0..2).map(|p| dealt.job(p, 0, &output, SESSION)).collect();
        let opened: Vec<_> = run(jobs, &mut |_, _, _, _| {})
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(dealt.unmask(0, &opened), expected, "k = {k}");
    }
}

#[test]
fn a_lie_under_a_guessed_key_is_refused() {
    // OPN-4: the liar's own key share, zero, and anything are no D.
    let mut rng = rng(2);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 3, &mut rng);
    let output = dealt.encrypt(&[phase(7, 1)], &mut rng);
    let guesses = [
        Fq2::ZERO,
        dealt.party_key(1).mac_key,
        Fq2([Fq::reduce(rng.next_u64()), Fq::reduce(rng.next_u64())]),
    ];
    for (i, d) in guesses.into_iter().enumerate() {
        let lie = Lie::new(&dealt, i, &output, i as u8, Fq::reduce(1 << (K - 1)));
        let end = lie.pass(d).err();
        assert_eq!(end, Some(ProtocolError::MacCheck));
    }
}

#[test]
fn what_is_told_to_two_parties_differently_ends_before_sigma() {
    // OPN-4, three parties: in every round of openings.
    let mut rng = rng(3);
    let dealt = Dealt::new(class(K, Mechanism::None), 3, 1, &mut rng);
    let output = dealt.encrypt(&[phase(7, 1)], &mut rng);
    let rounds = dealt.dealer.shape().plan.rounds as u8;
    for at in 1..=2 + rounds {
        let jobs = (0..3).map(|p| dealt.job(p, 0, &output, SESSION)).collect();
        let mut checks = 0;
        let ends = run(jobs, &mut |from, to, round, bytes| {
            if (from, to, round) == (2, 1, at) {
                let word = u64::from_le_bytes(bytes[34..42].try_into().unwrap());
                let other = Fq::reduce(word) + Fq::ONE;
                bytes[34..42].copy_from_slice(&other.word().to_le_bytes());
            }
            checks += usize::from(from < 2 && round > 3 + rounds);
        });
        for end in &ends[..2] {
            assert!(matches!(end, Err(ProtocolError::Equivocation { .. })));
        }
        assert_eq!(checks, 0, "round {at}");
    }
}

#[test]
fn two_coins_told_to_two_parties_end_without_a_result() {
    // OPN-4: coin commitments are not compared; the honest parties then check
    // under different coefficients, which no sigma of the liar makes up for.
    let mut rng = rng(4);
    let dealt = Dealt::new(class(K, Mechanism::None), 3, 1, &mut rng);
    let output = dealt.encrypt(&[phase(7, 1)], &mut rng);
    let rounds = dealt.dealer.shape().plan.rounds as u8;
    let coin = [0x33; 32];
    let name = "coin";
    let bound = [&SESSION.0[..], &[2, name.len() as u8], name.as_bytes()].concat();
    let other = hash("veilbourse v1 committee commitment", &[&bound, &coin]);
    let jobs = (0..3).map(|p| dealt.job(p, 0, &output, SESSION)).collect();
    let ends = run(jobs, &mut |from, to, round, bytes| {
        if (from, to) == (2, 1) && round == 0 {
            bytes[34..].copy_from_slice(&other.0);
        }
        if (from, to) == (2, 1) && round == 3 + rounds {
            bytes[34..66].copy_from_slice(&coin);
        }
    });
    for end in &ends[..2] {
        assert_eq!(end.as_ref().err(), Some(&ProtocolError::MacCheck));
    }
}

#[test]
fn a_copied_commitment_is_of_no_use() {
    // OPN-4: who speaks last and repeats what it heard.
    let mut rng = rng(5);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
    let output = dealt.encrypt(&[phase(7, 1)], &mut rng);
    let rounds = dealt.dealer.shape().plan.rounds as u8;
    for (copied, what) in [
        ([0, 3 + rounds], "coin"),
        ([4 + rounds, 5 + rounds], "check"),
    ] {
        let start = |p| started(dealt.job(p, 0, &output, SESSION));
        let ((mut honest, mut heard), (mut liar, mut said)) = (start(0), start(1));
        let end = loop {
            if copied.contains(&heard.bytes[32]) {
                said.bytes.truncate(34);
                said.bytes.extend(&heard.bytes[34..]);
            }
            match (
                honest.receive(1, &said.bytes),
                liar.receive(0, &heard.bytes),
            ) {
                (Ok(Progress::Send(a)), Ok(Progress::Send(b))) => (heard, said) = (a, b),
                (end, _) => break end.err(),
            }
        };
        assert_eq!(end, Some(ProtocolError::Commitment { party: 1, what }));
    }
}

#[test]
fn a_commitment_that_cancels_another_dealer_s_fails_its_node_s_check() {
    // OPN-9, TKT-4: Com' = X - Com makes the sum open to what X opens to; the
    // node that holds the seed sees that Com' is not its own.
    let [honest, own, chosen] = [1, 2, 3].map(|i| MaskShare::of_ticket(&[i; 32], &SESSION, 0));
    let rogue = chosen.commit() - honest.commit();
    assert!(chosen.opens(&[honest.commit(), rogue]));
    assert!(!MaskShare::sum([&honest, &own]).opens(&[honest.commit(), rogue]));
    assert!(!check_batch(&[own], &[rogue], &[4; 32]));
}

#[test]
fn neither_padding_nor_an_inner_node_is_a_leaf() {
    // TKT-5
    let leaves: Vec<_> = (0..3u64)
        .map(|i| leaf(&SESSION, i, &[[i as u8; 32]]))
        .collect();
    let tree = Tree::new(leaves.clone());
    let signed = Signed {
        dealing: SESSION,
        tickets: 3,
        root: tree.root(),
    };
    let refused = |ticket, commitments: &[[u8; 32]], path: &[Digest]| {
        let e = check_path(&signed, ticket, commitments, path).unwrap_err();
        assert_eq!(e, ProtocolError::Membership { ticket });
    };
    refused(3, &[], &tree.path(3));
    refused(3, &[[0; 32]], &tree.path(3));
    let above = tree.path(0)[1..].to_vec();
    refused(0, &[leaves[0].0, leaves[1].0], &above);
    refused(0, &[leaves[0].0], &[]);
}

#[test]
fn bytes_of_others_are_refused_and_nothing_worse() {
    // OPN-4, WIRE: any bytes, in any round, to any reader.
    let mut rng = rng(6);
    let dealt = Dealt::new(class(K, Mechanism::None), 2, 1, &mut rng);
    let output = dealt.encrypt(&[phase(7, 1)], &mut rng);
    let shape = dealt.dealer.shape();
    let rounds = shape.plan.rounds as u8 + 6;
    for at in 0..rounds {
        for _ in 0..20 {
            let jobs = (0..2).map(|p| dealt.job(p, 0, &output, SESSION)).collect();
            let ends = run(jobs, &mut |from, _, round, bytes| {
                if (from, round) == (1, at) {
                    bytes[34..]
                        .iter_mut()
                        .for_each(|b| *b = rng.next_u64() as u8);
                    if rng.next_u64() & 1 == 0 {
                        bytes.truncate(rng.next_u64() as usize % bytes.len());
                    }
                }
            });
            assert!(ends[0].is_err(), "round {at}");
        }
    }
    let values = Zeroizing::new(dealt.tickets[0].values.to_vec());
    let proof = dealt.dealer.prove(&SESSION, 0, &[values], &[]);
    for _ in 0..200 {
        let mut bytes = vec![0; rng.next_u64() as usize % 9000];
        bytes.iter_mut().for_each(|b| *b = rng.next_u64() as u8);
        let _ = MaskShare::decode(&mut Reader::new(&bytes));
        let _ = TicketClass::decode(&mut Reader::new(&bytes));
        let _ = TicketShare::from_explicit(shape, &[1; 32], 0, &bytes);
        let package = Package {
            seed: &dealt.dealer.seeds()[1],
            first: 0,
            tickets: &[dealt.ticket(1, 0)],
            data_key: &[],
            levels: &proof.levels,
            explicit: Some(&bytes),
        };
        assert!(BatchCheck::new(shape, &SESSION, dealt.live(1), &package, [0; 32]).is_err());
    }
}
