//! Poseidon in the circuit; equal to `veilbourse_verifier::poseidon` (tested).

use super::builder::{Builder, Lc};
use ark_bls12_381::Fr;
use veilbourse_verifier::poseidon::{Parameters, RATE, Tag, WIDTH, parameters};

/// A state element is given a variable of its own when its combination is
/// longer: partial rounds would otherwise make dense rows.
const LONGEST: usize = 22;

/// Hashes a fixed-length input.
pub(super) fn hash(b: &mut Builder, tag: Tag, input: &[Lc]) -> Lc {
    let mut state: Vec<Lc> = vec![Lc::default(); WIDTH];
    state[0] = Lc::constant(tag.capacity(input.len()));
    for block in input.chunks(RATE) {
        for (s, x) in state.iter_mut().skip(1).zip(block) {
            *s = s.plus(Fr::from(1u64), x);
        }
        permute(b, &mut state);
    }
    state[1].clone()
}

fn permute(b: &mut Builder, state: &mut [Lc]) {
    let p = parameters();
    for (round, constants) in p.round_constants.iter().enumerate() {
        let boxes = if Parameters::is_full(round) { WIDTH } else { 1 };
        for (i, (s, c)) in state.iter_mut().zip(constants).enumerate() {
            *s = s.plus(*c, &Lc::constant(Fr::from(1u64)));
            if i < boxes {
                // x, x^2, x^4, x^5, each a variable.
                let x = b.witness(b.value(s));
                b.equal(s, &x.into());
                let x: Lc = x.into();
                let x2: Lc = b.product(&x, &x).into();
                let x4: Lc = b.product(&x2, &x2).into();
                *s = b.product(&x4, &x).into();
            } else if s.len() > LONGEST {
                let v = b.witness(b.value(s));
                b.equal(s, &v.into());
                *s = v.into();
            }
        }
        let next: Vec<Lc> = p
            .mds
            .iter()
            .map(|row| {
                row.iter()
                    .zip(state.iter())
                    .fold(Lc::default(), |sum, (m, s)| sum.plus(*m, s))
            })
            .collect();
        state.clone_from_slice(&next);
    }
}
