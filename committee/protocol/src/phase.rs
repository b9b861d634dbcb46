//! Shares of an output's phases (OPN-1): linear in the key, so local.

use crate::{
    dealer::DataKeyShare,
    error::ProtocolError,
    fq2::Fq2,
    share::{PartyKey, Share},
};
use veilbourse_core::{
    ciphertext::OutputCiphertext, field::Fq, params::DATA_RING_DIMENSION as N, ring::Poly,
};
use zeroize::{Zeroize, Zeroizing};

/// The components of a key share as polynomials, transformed products by which
/// give value and MAC of the phase.
fn component(share: &DataKeyShare, part: impl Fn(&Share) -> Fq) -> Zeroizing<Poly> {
    let words: Vec<Fq> = share.shares.iter().map(part).collect();
    Zeroizing::new(Poly::from_coefficients(words).unwrap_or_default())
}

/// This party's shares of the phases b - a S that an output opens, one for each
/// of its values (padding rows are never extracted).
pub fn phases(
    key: &DataKeyShare,
    party: &PartyKey,
    output: &OutputCiphertext,
) -> Result<Vec<Share>, ProtocolError> {
    if key.shares.len() != N {
        return Err(ProtocolError::Length {
            what: "shares of the data key",
            found: key.shares.len() as u64,
            expected: N as u64,
        });
    }
    let parts = [
        component(key, |s| s.value),
        component(key, |s| s.mac.0[0]),
        component(key, |s| s.mac.0[1]),
    ];
    match output {
        OutputCiphertext::Traced(lwe) => {
            let [value, first, second] = parts.map(|p| constant_term(&lwe.t, &p));
            let product = Share {
                value,
                mac: Fq2([first, second]),
            };
            Ok(vec![party.constant(lwe.b) - product])
        }
        OutputCiphertext::Rows { glwe, rows } => {
            let mut mask = glwe.a.transform();
            let products = parts.map(|p| {
                let mut t = p.transform();
                t.mul_pointwise(&mask);
                Zeroizing::new(t.inverse())
            });
            mask.zeroize();
            let [value, first, second] = &products;
            let terms = value.iter().zip(first.iter()).zip(second.iter());
            let shares = glwe.b.iter().zip(terms).take(*rows as usize);
            Ok(shares
                .map(|(b, ((value, first), second))| {
                    party.constant(*b)
                        - Share {
                            value: *value,
                            mac: Fq2([*first, *second]),
                        }
                })
                .collect())
        }
    }
}

/// Coefficient 0 of t S in R_N: t_0 S_0 - sum_{j>0} t_{N-j} S_j.
fn constant_term(t: &Poly, s: &Poly) -> Fq {
    let tail = t.iter().skip(1).rev().zip(s.iter().skip(1));
    let tail = tail.fold(Fq::ZERO, |sum, (t, s)| sum + *t * *s);
    let head = t.first().zip(s.first()).map_or(Fq::ZERO, |(t, s)| *t * *s);
    head - tail
}
