//! PRG-4, PRG-5, PRG-8, PRG-11: phases in F_q, with noise at the edge of what
//! the inference admits, follow the integer simulation through every reading.

use super::*;
use crate::field::Fq;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

const MODEL: NoiseModel = NoiseModel::BASE11_L3;

/// 2^e as an element of F_q.
fn pow2(e: u32) -> Fq {
    Fq::from_i64(2).pow(u64::from(e))
}

fn int(v: i128) -> Fq {
    Fq::from_i128(v)
}

struct Machine {
    rng: ChaCha20Rng,
}

impl Machine {
    /// Noise of a bootstrap's output, up to six deviations.
    fn bootstrap_noise(&mut self) -> Fq {
        let most = (6.0 * 2f64.powf(38.6)) as i64;
        int(i128::from(self.rng.random_range(-most..=most)))
    }

    /// The low `bits` bits under a phase that holds them at the top, read
    /// through a modulus switch with up to 12.7 deviations of noise; with what
    /// the bootstraps add it fills nearly the whole box.
    fn read(&mut self, phase: Fq, bits: u32) -> u32 {
        let most = (12.7 * 64.0 / 13.5 * 2f64.powi(52)) as i64;
        let seen = phase + int(i128::from(self.rng.random_range(-most..=most)));
        let boxes = 1u128 << (64 - bits);
        (((u128::from(seen.word()) + boxes / 2) / boxes) & ((1 << bits) - 1)) as u32
    }

    /// PRG-4 on a phase x 2^(64-p): the digits go in order.
    fn requantise(&mut self, mut phase: Fq, p: u32, digit_log2: u32) -> Fq {
        let mut p = p;
        for d in digits(p, digit_log2) {
            let top = |phase: Fq| phase * pow2(p - d);
            // The top bit of the digit, by its sign: a negacyclic table.
            let bit = self.read(top(phase), d) >> (d - 1);
            phase = phase - int(i128::from(bit)) * pow2(64 - p + d - 1) + self.bootstrap_noise();
            if d > 1 {
                // The rest has a padding bit.
                let rest = self.read(top(phase), d);
                assert!(rest < 1 << (d - 1), "the padding bit is set");
                phase = phase - int(i128::from(rest)) * pow2(64 - p) + self.bootstrap_noise();
            }
            p -= d;
        }
        phase
    }
}

#[test]
fn readings_are_exact_at_the_edge_of_the_noise() {
    let m = manifest();
    let mut machine = Machine {
        rng: ChaCha20Rng::seed_from_u64(30),
    };
    for (p, digit_log2) in [(6, 5), (9, 5), (10, 5), (13, 4), (15, 5), (17, 5), (19, 4)] {
        let mut program = decision(&m);
        let Layer::Linear {
            modulus_log2,
            cells,
        } = &mut program.layers[0]
        else {
            unreachable!()
        };
        *modulus_log2 = p;
        cells[0].wraps = true;
        program.layers[1] = Layer::Requantise {
            digit_log2,
            cells: vec![1],
        };
        // Multiples that fill, and overfill, the modulus.
        let scale = (1i64 << p) / 256;
        program.first[0] = vector(&[3 * scale + 1, 1 - 2 * scale, 11]);
        program.tables[0] = Table::odd(std::array::from_fn(|i| (i * i) as i32 - 7));
        program.layers.truncate(3);
        program.outputs.remove(0);
        program.analyse(&m, &MODEL).unwrap();
        let expected = simulate_layered(&m, &table(), &program, &[]).unwrap();
        let columns = &table().segments[0];
        for i in 0..800 {
            let x =
                i128::from(columns[0][i] * (3 * scale + 1) + columns[1][i] * (1 - 2 * scale) + 11);
            // 2^26 x with fresh noise, brought to 2^(64-p).
            let fresh = i128::from(machine.rng.random_range(-50_000i64..=50_000));
            let phase = (int(x) * pow2(26) + int(fresh)) * pow2(64 - p - 26);
            let five = machine.requantise(phase, p, digit_log2);
            let m = machine.read(five, 5);
            let value = program.tables[0].value(i128::from(m));
            assert_eq!(
                value,
                i128::from(expected[0][0][i]),
                "p {p}, row {i}, x {x}"
            );
        }
    }
}
