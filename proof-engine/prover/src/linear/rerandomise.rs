//! The re-randomisation that hides private weights: A gets
//! (r p_0 + e_0, r p_1 + e_1), r = 2c - 1 (docs/spec/linear.md, LES-5, LES-10).

use super::reference::{add, signed};
use veilbourse_core::field::MODULUS;
use veilbourse_verifier::{
    commitment::ROWS,
    field::{Fr, fr_from_bytes},
    linear::{MatrixKind, OutputCiphertext, PrfContext, PublicKey},
};
use zeroize::{Zeroize, ZeroizeOnDrop};

const KEY_CONTEXT: &str = "veilbourse v1 rerandomisation key";

/// The pod's PRF secret (LES-10, POD-4).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PodSecret([u8; 32]);

impl PodSecret {
    /// Wraps 32 secret bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for PodSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PodSecret(..)")
    }
}

/// c, e and the blinder of h of one output.
#[derive(Debug, Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Rerandomisation {
    /// N bits: r_i = 2 c_i - 1.
    pub c: Vec<bool>,
    /// The coefficients of e(X): e_0 (N), then e_1 (one when traced, N for a
    /// chunk); each -1, 0 or 1, centred binomial of width 1.
    pub e: Vec<i8>,
    /// blinder_h, uniform in Fr.
    pub blinder: Fr,
}

impl Rerandomisation {
    /// Draws them from a PRF keyed by the pod's secret, over the whole
    /// statement before h and the weights (LES-10): the same output of the
    /// same order always gets the same, another one never.
    pub fn derive(
        secret: &PodSecret,
        context: PrfContext,
        kind: MatrixKind,
        weights: &[i64],
    ) -> Self {
        let mut key = blake3::derive_key(KEY_CONTEXT, &secret.0);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        key.zeroize();
        hasher.update(&context.0);
        hasher.update(&(weights.len() as u64).to_le_bytes());
        for w in weights {
            hasher.update(&w.to_le_bytes());
        }
        let mut xof = hasher.finalize_xof();
        let mut bits = Bits::new(|buffer: &mut [u8]| xof.fill(buffer));
        let c = (0..ROWS).map(|_| bits.next() == 1).collect();
        let errors = ROWS + OutputCiphertext::body_len(kind);
        let e = (0..errors)
            .map(|_| bits.next() as i8 - bits.next() as i8)
            .collect();
        let blinder = loop {
            let mut bytes = [0u8; 32];
            xof.fill(&mut bytes);
            bytes[31] &= 0x7f;
            if let Some(x) = fr_from_bytes(&bytes) {
                break x;
            }
        };
        Self { c, e, blinder }
    }

    /// A + (r p_0 + e_0, r p_1 + e_1); when traced, only coefficient 0 of the
    /// second component.
    pub fn apply(
        &self,
        kind: MatrixKind,
        key: &PublicKey,
        output: &OutputCiphertext,
    ) -> OutputCiphertext {
        let (e0, e1) = self.e.split_at(ROWS.min(self.e.len()));
        let mask = self.times(key.mask());
        let body = match kind {
            MatrixKind::Chunk => self.times(key.body()),
            MatrixKind::Traced => vec![self.constant_term(key.body())],
        };
        OutputCiphertext {
            mask: sum(&output.mask, &mask, e0),
            body: sum(&output.body, &body, e1),
        }
    }

    /// r p in R_N. Coefficient i is sum_{j <= i} r_j p_{i-j} minus
    /// sum_{j > i} r_j p_{N+i-j}; sums of N words fit an i128 with room.
    fn times(&self, p: &[u64]) -> Vec<u64> {
        let mut wide = vec![0i128; ROWS];
        for (j, c) in self.c.iter().enumerate() {
            let (head, tail) = wide.split_at_mut(j);
            // tail[i - j] += r_j p[i - j]; head[i] -= r_j p[N + i - j].
            let wrapped = p.get(ROWS - j..).unwrap_or_default();
            if *c {
                tail.iter_mut()
                    .zip(p)
                    .for_each(|(o, x)| *o += i128::from(*x));
                head.iter_mut()
                    .zip(wrapped)
                    .for_each(|(o, x)| *o -= i128::from(*x));
            } else {
                tail.iter_mut()
                    .zip(p)
                    .for_each(|(o, x)| *o -= i128::from(*x));
                head.iter_mut()
                    .zip(wrapped)
                    .for_each(|(o, x)| *o += i128::from(*x));
            }
        }
        wide.into_iter().map(reduce).collect()
    }

    /// Coefficient 0 of r p: r_0 p_0 - sum_{j > 0} r_j p_{N-j}.
    fn constant_term(&self, p: &[u64]) -> u64 {
        let first = p.iter().take(1).map(|x| i128::from(*x));
        let rest = p.iter().skip(1).rev().map(|x| -i128::from(*x));
        reduce(
            self.c
                .iter()
                .zip(first.chain(rest))
                .map(|(c, x)| if *c { x } else { -x })
                .sum(),
        )
    }
}

fn reduce(x: i128) -> u64 {
    x.rem_euclid(i128::from(MODULUS)) as u64
}

fn sum(x: &[u64], y: &[u64], e: &[i8]) -> Vec<u64> {
    x.iter()
        .zip(y)
        .zip(e)
        .map(|((x, y), e)| add(add(*x, *y), signed(i64::from(*e))))
        .collect()
}

/// Bits of a byte stream, least significant first.
struct Bits<F> {
    fill: F,
    byte: u8,
    left: u8,
}

impl<F: FnMut(&mut [u8])> Bits<F> {
    fn new(fill: F) -> Self {
        Self {
            fill,
            byte: 0,
            left: 0,
        }
    }

    fn next(&mut self) -> u8 {
        if self.left == 0 {
            let mut buffer = [0u8; 1];
            (self.fill)(&mut buffer);
            self.byte = buffer[0];
            self.left = 8;
        }
        let bit = self.byte & 1;
        self.byte >>= 1;
        self.left -= 1;
        bit
    }
}
