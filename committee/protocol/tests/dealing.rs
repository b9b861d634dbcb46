//! Dealings: good ones pass, each thing that may be wrong with one is found.

mod support;

use rand_chacha::ChaCha20Rng;
use support::{Dealt, class, rng};
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::*;
use zeroize::Zeroizing;

const CONTEXT: Digest = Digest([5; 32]);

/// Changes what a party holds.
type Spoil = dyn Fn(u8, &mut Vec<TicketShare>, &mut Vec<Share>);

/// What a dishonest dealer does before it deals and proves.
struct Batch {
    dealt: Dealt,
    values: Vec<Zeroizing<Vec<Fq>>>,
    key: Vec<Fq>,
}

impl Batch {
    fn new(parties: u8, tickets: u64, rng: &mut ChaCha20Rng) -> Self {
        let mechanism = Mechanism::gaussian(50, 1).unwrap();
        let dealt = Dealt::new(class(26, mechanism), parties, tickets, rng);
        Self {
            values: dealt.tickets.iter().map(|t| t.values.clone()).collect(),
            key: dealt.key.to_vec(),
            dealt,
        }
    }

    /// Every party checks; `spoil` changes what a party holds.
    fn check(&self, proof: &BatchProof, spoil: &Spoil) -> Vec<Result<(), ProtocolError>> {
        let parties = self.dealt.parties();
        let shape = self.dealt.dealer.shape();
        let mut checks = Vec::new();
        for party in 0..parties {
            let mut tickets: Vec<_> = (0..self.values.len())
                .map(|i| self.dealt.ticket(party, i))
                .collect();
            let mut key = self.dealt.key_share(party).shares.clone();
            spoil(party, &mut tickets, &mut key);
            let package = Package {
                first: 0,
                seed: &self.dealt.dealer.seeds()[usize::from(party)],
                tickets: &tickets,
                data_key: &key,
                levels: &proof.levels,
                explicit: (party + 1 == parties).then_some(&proof.explicit[..]),
            };
            let live = self.dealt.live(party);
            match BatchCheck::new(shape, &CONTEXT, live, &package, [party; 32]) {
                Ok(c) => checks.push(c),
                Err((e, _)) => return vec![Err(e)],
            }
        }
        let openings: Vec<_> = checks.iter().map(BatchCheck::opening).collect();
        let mut messages = Vec::new();
        for c in &mut checks {
            match c.commitment(&openings) {
                Ok(m) => messages.push(m),
                Err(e) => return vec![Err(e)],
            }
        }
        let reveals: Vec<_> = checks
            .iter_mut()
            .map(|c| c.reveal(&messages).unwrap().bytes)
            .collect();
        let ends = checks.into_iter().map(|c| c.finish(&reveals));
        ends.map(|e| e.map(drop)).collect()
    }

    fn prove(&self) -> BatchProof {
        self.dealt
            .dealer
            .prove(&CONTEXT, 0, &self.values, &self.key)
    }
}

fn accepted(ends: &[Result<(), ProtocolError>]) -> bool {
    ends.iter().all(Result::is_ok)
}

#[test]
fn good_dealings_are_accepted() {
    // TKT-4
    let mut rng = rng(1);
    for (parties, tickets) in [(2, 1), (2, 9), (3, 4), (5, 2)] {
        let batch = Batch::new(parties, tickets, &mut rng);
        let proof = batch.prove();
        assert!(accepted(&batch.check(&proof, &|_, _, _| {})));
    }
}

#[test]
fn one_wrong_value_anywhere_is_found() {
    // TKT-4, SHR-4: in the ticket, in the key, in a MAC, and in the proof.
    let mut rng = rng(2);
    let batch = Batch::new(2, 3, &mut rng);
    let proof = batch.prove();
    let noise = batch.dealt.dealer.shape().layout.noise;
    for at in (0..noise).step_by(7).chain([noise - 1, noise]) {
        let ends = batch.check(&proof, &|party, tickets, _| {
            if party == 1 {
                tickets[1].values[at].value += Fq::ONE;
            }
        });
        assert!(
            matches!(ends[..], [Err(ProtocolError::Dealing(_))]),
            "value {at}"
        );
    }
    // The output mask has no relation, but a MAC as all have.
    for at in 0..4 {
        let ends = batch.check(&proof, &|party, tickets, key| match (party, at) {
            (1, 0) => tickets[2].values[noise].mac.0[0] += Fq::ONE,
            (1, 1) => tickets[2].omega.value += Fq::ONE,
            (1, 2) => tickets[0].values[3].mac.0[1] += Fq::ONE,
            (1, 3) => key[4000].mac.0[0] += Fq::ONE,
            _ => {}
        });
        assert!(
            ends.iter().all(|e| *e == Err(ProtocolError::MacCheck)),
            "{at}"
        );
    }
    let ends = batch.check(&proof, &|party, _, key| {
        if party == 0 {
            key[17].value += Fq::ONE;
        }
    });
    assert!(matches!(ends[..], [Err(ProtocolError::Dealing(_))]));

    let explicit = proof.explicit.len();
    for at in (0..explicit).step_by(8 * 5) {
        let mut other = proof.clone();
        let word = u64::from_le_bytes(other.explicit[at..at + 8].try_into().unwrap());
        let word = (Fq::reduce(word) + Fq::ONE).word();
        other.explicit[at..at + 8].copy_from_slice(&word.to_le_bytes());
        assert!(!accepted(&batch.check(&other, &|_, _, _| {})), "word {at}");
    }
    for level in 0..proof.levels.len() {
        let mut other = proof.clone();
        other.levels[level].0[0] ^= 1;
        let ends = batch.check(&other, &|_, _, _| {});
        assert!(!accepted(&ends));
    }
    let mut other = proof.clone();
    other.levels.pop();
    let ends = batch.check(&other, &|_, _, _| {});
    assert!(matches!(ends[..], [Err(ProtocolError::Length { .. })]));
    let mut other = proof;
    other.explicit.pop();
    let ends = batch.check(&other, &|_, _, _| {});
    assert!(matches!(ends[..], [Err(ProtocolError::Length { .. })]));
}

#[test]
fn a_dealer_cannot_prove_a_bad_ticket() {
    // TKT-4: the dealer deals what it proves, and proves what is not so.
    let mut rng = rng(3);
    let mut batch = Batch::new(2, 2, &mut rng);
    // r = q: sixteen indicators that say 0xffffffff00000001.
    let shape = batch.dealt.dealer.shape().clone();
    let r = veilbourse_core::field::MODULUS;
    for i in 0..plan::DIGITS {
        let d = plan::digit(r, i) as usize;
        for j in 1..=plan::INDICATORS {
            let bit = Fq::reduce(u64::from(j == d));
            batch.values[1][i * plan::INDICATORS + j - 1] = bit;
        }
    }
    let wrong = batch.dealt.dealer.deal_values(1, &batch.values[1]);
    batch.dealt.tickets[1] = wrong;
    let ends = batch.check(&batch.prove(), &|_, _, _| {});
    assert!(matches!(ends[..], [Err(ProtocolError::Dealing(_))]));

    // A product that is none.
    let mut batch = Batch::new(2, 2, &mut rng);
    batch.values[0][shape.layout.products] += Fq::ONE;
    batch.dealt.tickets[0] = batch.dealt.dealer.deal_values(0, &batch.values[0]);
    let ends = batch.check(&batch.prove(), &|_, _, _| {});
    assert!(matches!(ends[..], [Err(ProtocolError::Dealing(_))]));

    // A key that is not binary.
    let mut batch = Batch::new(2, 1, &mut rng);
    batch.key[99] = Fq::reduce(2);
    batch.dealt.explicit_key = batch.dealt.dealer.data_key(&batch.key);
    let ends = batch.check(&batch.prove(), &|_, _, _| {});
    assert!(matches!(ends[..], [Err(ProtocolError::Dealing(_))]));
}
