//! Authenticated additive shares (SHR-2; SPDZ, ePrint 2011/535).
//!
//! A value x of F_q in a quorum of t parties: party i holds x_i and m_i with
//! sum x_i = x and sum m_i = D x, where D = sum D_i in F_q2 is the quorum's MAC
//! key. Everything linear is local.

use crate::fq2::Fq2;
use std::ops::{Add, AddAssign, Mul, Sub, SubAssign};
use veilbourse_core::field::Fq;

/// One party's share of an authenticated value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Share of the value.
    pub value: Fq,
    /// Share of the MAC.
    pub mac: Fq2,
}

impl zeroize::DefaultIsZeroes for Share {}

/// What a party needs to add public constants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PartyKey {
    /// Whether this is party 0, who adds constants to its value.
    pub first: bool,
    /// The party's share of the MAC key.
    pub mac_key: Fq2,
}

impl PartyKey {
    /// The share of a public constant.
    pub fn constant(&self, c: Fq) -> Share {
        Share {
            value: if self.first { c } else { Fq::ZERO },
            mac: self.mac_key.scale(c),
        }
    }
}

impl std::fmt::Debug for PartyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartyKey")
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

impl Add for Share {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            value: self.value + o.value,
            mac: self.mac + o.mac,
        }
    }
}
impl Sub for Share {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self {
            value: self.value - o.value,
            mac: self.mac - o.mac,
        }
    }
}
impl Mul<Fq> for Share {
    type Output = Self;
    fn mul(self, c: Fq) -> Self {
        Self {
            value: self.value * c,
            mac: self.mac.scale(c),
        }
    }
}
impl AddAssign for Share {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}
impl SubAssign for Share {
    fn sub_assign(&mut self, o: Self) {
        *self = *self - o;
    }
}
impl std::iter::Sum for Share {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |a, b| a + b)
    }
}
