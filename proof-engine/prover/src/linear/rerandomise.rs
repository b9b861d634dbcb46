//! The re-randomisation that hides private weights: A gets
//! (r p_0 + e_0, r p_1 + e_1), r = 2c - 1 (docs/spec/linear.md, LES-5, LES-10).

use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext, PublicKey, TracedLwe},
    field::Fq,
    ring::Poly,
};
use veilbourse_verifier::{
    commitment::ROWS,
    field::{Fr, fr_from_bytes},
    linear::{MatrixKind, PrfContext},
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
        let errors = match kind {
            MatrixKind::Traced => ROWS + 1,
            MatrixKind::Chunk => 2 * ROWS,
        };
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
    /// second component. `None` when lengths do not match the output's form.
    pub fn apply(&self, key: &PublicKey, output: &OutputCiphertext) -> Option<OutputCiphertext> {
        let (e0, e1) = self.e.split_at_checked(ROWS)?;
        let sign = |c: &bool| if *c { Fq::ONE } else { -Fq::ONE };
        let r = Poly::from_coefficients(self.c.iter().map(sign).collect())?;
        let mut mask = r.mul(&key.mask());
        mask.add_assign(&small(e0)?);
        let mut body = r.mul(&key.body);
        match output {
            OutputCiphertext::Traced(TracedLwe { t, b }) => {
                mask.add_assign(t);
                let [e1] = e1 else { return None };
                let b = *b + *body.first()? + Fq::from_i64(i64::from(*e1));
                Some(OutputCiphertext::Traced(TracedLwe { t: mask, b }))
            }
            OutputCiphertext::Rows { glwe, rows } => {
                mask.add_assign(&glwe.a);
                body.add_assign(&glwe.b);
                body.add_assign(&small(e1)?);
                let glwe = Glwe { a: mask, b: body };
                Some(OutputCiphertext::Rows { glwe, rows: *rows })
            }
        }
    }
}

fn small(e: &[i8]) -> Option<Poly> {
    Poly::from_coefficients(e.iter().map(|e| Fq::from_i64(i64::from(*e))).collect())
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
