//! Builds a circuit and its assignment in one pass; the shape never depends on
//! the values.

use crate::r1cs::R1cs;
use ark_bls12_381::Fr;
use ark_ff::{One, Zero};

/// A linear combination of variables, sorted by variable, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Lc(Vec<(u32, Fr)>);

impl Lc {
    pub(super) fn constant(c: Fr) -> Self {
        Self(vec![(0, c)])
    }
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
    /// self + scalar * other.
    pub(super) fn plus(&self, scalar: Fr, other: &Self) -> Self {
        let mut out = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            match (a.peek(), b.peek()) {
                (Some((i, x)), Some((j, y))) if i == j => {
                    out.push((*i, *x + scalar * y));
                    a.next();
                    b.next();
                }
                (Some((i, x)), Some((j, _))) if i < j => {
                    out.push((*i, *x));
                    a.next();
                }
                (_, Some((j, y))) => {
                    out.push((*j, scalar * y));
                    b.next();
                }
                (Some((i, x)), None) => {
                    out.push((*i, *x));
                    a.next();
                }
                (None, None) => return Self(out),
            }
        }
    }
    /// Appends a variable younger than all present.
    pub(super) fn push(&mut self, v: Var, scalar: Fr) {
        debug_assert!(self.0.last().is_none_or(|(i, _)| *i < v.0));
        self.0.push((v.0, scalar));
    }
}

/// A variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Var(u32);

impl From<Var> for Lc {
    fn from(v: Var) -> Self {
        Self(vec![(v.0, Fr::one())])
    }
}

/// The constant one.
pub(super) const ONE: Var = Var(0);

/// A circuit under construction.
#[derive(Debug)]
pub(super) struct Builder {
    z: Vec<Fr>,
    public: usize,
    rows: Vec<[Vec<(Fr, u32)>; 3]>,
}

impl Builder {
    /// Starts with all public inputs.
    pub(super) fn new(public: &[Fr]) -> Self {
        let mut z = Vec::with_capacity(1 << 16);
        z.push(Fr::one());
        z.extend_from_slice(public);
        Self {
            z,
            public: public.len(),
            rows: Vec::with_capacity(1 << 16),
        }
    }
    /// Public input i.
    pub(super) fn public(&self, i: usize) -> Var {
        debug_assert!(i < self.public);
        Var(i as u32 + 1)
    }
    /// A new witness.
    pub(super) fn witness(&mut self, value: Fr) -> Var {
        self.z.push(value);
        Var(self.z.len() as u32 - 1)
    }
    pub(super) fn value(&self, lc: &Lc) -> Fr {
        lc.0.iter().map(|(i, c)| self.z[*i as usize] * c).sum()
    }
    /// a b = c.
    pub(super) fn enforce(&mut self, a: &Lc, b: &Lc, c: &Lc) {
        let row = |l: &Lc| {
            l.0.iter()
                .filter(|(_, c)| !c.is_zero())
                .map(|(i, c)| (*c, *i))
                .collect()
        };
        self.rows.push([row(a), row(b), row(c)]);
    }
    /// A new witness equal to a b.
    pub(super) fn product(&mut self, a: &Lc, b: &Lc) -> Var {
        let v = self.witness(self.value(a) * self.value(b));
        self.enforce(a, b, &v.into());
        v
    }
    /// a = b, as a 1 = b.
    pub(super) fn equal(&mut self, a: &Lc, b: &Lc) {
        self.enforce(a, &ONE.into(), b);
    }
    /// A new bit: b b = b.
    pub(super) fn bit(&mut self, value: bool) -> Var {
        let v = self.witness(Fr::from(value));
        let l = v.into();
        self.enforce(&l, &l, &l);
        v
    }
    /// `n` bits, least significant first, and their sum.
    pub(super) fn bits(&mut self, value: u64, n: u32) -> Lc {
        let mut sum = Lc::default();
        let mut power = Fr::one();
        for i in 0..n {
            let b = self.bit(value >> i & 1 == 1);
            sum.push(b, power);
            power += power;
        }
        sum
    }
    /// acc + a b as a new witness.
    pub(super) fn accumulate(&mut self, acc: &Lc, a: &Lc, b: &Lc) -> Lc {
        let v = self.witness(self.value(acc) + self.value(a) * self.value(b));
        let difference = Lc::from(v).plus(-Fr::one(), acc);
        self.enforce(a, b, &difference);
        v.into()
    }
    /// The circuit, and its public inputs and witnesses.
    pub(super) fn finish(self) -> (R1cs, Vec<Fr>, Vec<Fr>) {
        let Self {
            mut z,
            public,
            rows,
        } = self;
        let witness = z.split_off(1 + public);
        z.remove(0);
        (
            R1cs {
                public_inputs: public,
                witnesses: witness.len(),
                rows,
            },
            z,
            witness,
        )
    }
}
