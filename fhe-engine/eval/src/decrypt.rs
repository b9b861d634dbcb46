//! Decryption of outputs: phase, rounding, range (BUD, KEY-5).

use crate::{EvalError, SecretKey, encrypt::MAX_MESSAGE_LOG2};
use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext},
    field::Fq,
    ring::Poly,
};
use zeroize::{Zeroize, Zeroizing};

/// A value and what rounding took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Zeroize)]
pub struct Opened {
    /// x, the nearest integer to phase / 2^k.
    pub value: i64,
    /// phase - x 2^k. A function of the secret key: never leaves its holder.
    pub noise: i64,
}

impl SecretKey {
    /// The phase b - a S of a ciphertext. With the ciphertext it gives the key
    /// away, hence erased when dropped.
    pub fn phase(&self, c: &Glwe) -> Zeroizing<Poly> {
        let mut phase = Zeroizing::new(c.b.clone());
        let product = Zeroizing::new(self.times(&c.a));
        phase.sub_assign(&product);
        phase
    }

    /// The values of an output, with their noise: for noise measurements in
    /// tests and for custodians who check their own data.
    pub fn open_with_noise(
        &self,
        output: &OutputCiphertext,
        message_log2: u32,
    ) -> Result<Vec<Opened>, EvalError> {
        if !(1..=MAX_MESSAGE_LOG2).contains(&message_log2) {
            return Err(EvalError::MessageLog2 {
                value: message_log2,
                limit: MAX_MESSAGE_LOG2,
            });
        }
        let phases: Zeroizing<Vec<Fq>> = Zeroizing::new(match output {
            OutputCiphertext::Traced(lwe) => vec![lwe.b - self.constant_term(&lwe.t)],
            // Padding rows are never extracted (protocol section 2).
            OutputCiphertext::Rows { glwe, rows } => self
                .phase(glwe)
                .iter()
                .take(*rows as usize)
                .copied()
                .collect(),
        });
        phases
            .iter()
            .enumerate()
            .map(|(index, phase)| round(index, phase.centred(), message_log2))
            .collect()
    }

    /// The values of an output: rounded integers within |x| <= 2^(62-k), and
    /// nothing else (KEY-5).
    pub fn open(
        &self,
        output: &OutputCiphertext,
        message_log2: u32,
    ) -> Result<Vec<i64>, EvalError> {
        let mut opened = self.open_with_noise(output, message_log2)?;
        let values = opened.iter().map(|o| o.value).collect();
        opened.zeroize();
        Ok(values)
    }
}

fn round(index: usize, phase: i64, message_log2: u32) -> Result<Opened, EvalError> {
    let wide = i128::from(phase);
    // Floor of (phase + half) / 2^k; |phase| < 2^63, so x fits an i64.
    let x = (wide + (1 << (message_log2 - 1))) >> message_log2;
    let value = x as i64;
    let limit = 1i64 << (62 - message_log2);
    if value.unsigned_abs() > limit.unsigned_abs() {
        return Err(EvalError::OutOfRange {
            index,
            value,
            limit,
        });
    }
    Ok(Opened {
        value,
        noise: (wide - (x << message_log2)) as i64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_is_exact_within_the_budget(k in 2u32..61, x: i64, e: i64) {
            // BUD: |x| <= 2^(62-k), |e| < 2^(k-1).
            let limit = 1i64 << (62 - k);
            let x = x.rem_euclid(2 * limit + 1) - limit;
            let half = 1i64 << (k - 1);
            let e = e.rem_euclid(2 * half - 1) - (half - 1);
            let phase = Fq::from_i128((i128::from(x) << k) + i128::from(e)).centred();
            prop_assert_eq!(round(0, phase, k), Ok(Opened { value: x, noise: e }));
        }
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let phase = (1i64 << 62) + (1 << 30);
        assert_eq!(
            round(3, phase, 30),
            Err(EvalError::OutOfRange {
                index: 3,
                value: (1 << 32) + 1,
                limit: 1 << 32
            })
        );
        assert!(matches!(
            round(0, -phase, 30),
            Err(EvalError::OutOfRange { .. })
        ));
        assert!(round(0, 1 << 62, 30).is_ok());
        assert!(round(0, -(1 << 62), 30).is_ok());
    }
}
