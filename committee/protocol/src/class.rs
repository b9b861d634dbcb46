//! Ticket classes (TKT-1): what a ticket may open, and how its shares lie.

use crate::{
    error::ProtocolError,
    plan::{DIGITS, INDICATORS, Plan},
};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, Writer},
};
use veilbourse_privacy::{Mechanism, Sensitivity};

/// Least k: noise of fresh encryptions (at most 8) stays far below a half step.
pub const K_MIN: u8 = 8;
/// Greatest k: a uniform phase rounds to 0 with 2^(k - 64), so eight wrong
/// coefficients of a public key pass TKT-4's opening with at most 2^-128.
pub const K_MAX: u8 = 48;

/// What every ticket of a dealing is good for. One ticket opens one value, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketClass {
    k: u8,
    sensitivity: Sensitivity,
    mechanism: Mechanism,
}

impl TicketClass {
    /// A class for messages at 2^`k` whose values move by at most `sensitivity`
    /// with a row, with noise of the law `mechanism` in each ticket.
    pub fn new(
        k: u8,
        sensitivity: Sensitivity,
        mechanism: Mechanism,
    ) -> Result<Self, ProtocolError> {
        if !(K_MIN..=K_MAX).contains(&k) {
            return Err(ProtocolError::Class {
                field: "k",
                value: k.into(),
                min: K_MIN.into(),
                max: K_MAX.into(),
            });
        }
        Ok(Self {
            k,
            sensitivity,
            mechanism,
        })
    }
    /// k.
    pub fn k(&self) -> u8 {
        self.k
    }
    /// Greatest sensitivity admitted.
    pub fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }
    /// The law of the noise.
    pub fn mechanism(&self) -> &Mechanism {
        &self.mechanism
    }
    /// B = 2^(62 - k): the greatest magnitude of a message (OPN-1).
    pub fn message_bound(&self) -> u64 {
        1 << (62 - self.k)
    }
    /// Greatest magnitude of what is opened: message and noise.
    pub fn value_bound(&self) -> u64 {
        self.message_bound() + self.mechanism.noise_bound()
    }
    /// The comparison circuit.
    pub fn plan(&self) -> Plan {
        Plan::new(self.k.into())
    }
    /// Whether a ticket holds noise.
    pub fn noisy(&self) -> bool {
        !matches!(self.mechanism, Mechanism::None)
    }
    /// Where a ticket's values lie.
    pub fn layout(&self, plan: &Plan) -> Layout {
        let wires = DIGITS * INDICATORS;
        let products = wires + plan.wires.len();
        let noise = products + plan.products.len();
        Layout {
            wires,
            products,
            noise,
            values: noise + usize::from(self.noisy()),
        }
    }
    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Writer) {
        let Self {
            k,
            sensitivity,
            mechanism,
        } = self;
        out.u8(*k);
        out.u64(sensitivity.value());
        mechanism.encode(out);
    }
    /// Reads one.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let k = input.u8("ticket class k")?;
        let sensitivity = input.u64("ticket class sensitivity")?;
        let sensitivity = Sensitivity::new(sensitivity.into())?;
        let mechanism = Mechanism::decode(input)?;
        Self::new(k, sensitivity, mechanism)
    }
    /// Bits that hold noise + T and T - noise, T the noise's bound (TKT-4); 0
    /// without noise.
    pub fn noise_bits(&self) -> u32 {
        if self.noisy() {
            u64::BITS - (2 * self.mechanism.noise_bound()).leading_zeros()
        } else {
            0
        }
    }
    /// Names the class.
    pub fn digest(&self) -> Digest {
        let mut out = Writer::new();
        self.encode(&mut out);
        Digest::of(Domain::Other("veilbourse v1 ticket class"), &out.finish())
    }
}

/// Places of a ticket's authenticated values: indicators from 0 (digit i, value
/// j at 15 i + j - 1), then masks of wires, products of masks, the noise. The
/// output mask comes after all and has a MAC share alone: its value is public
/// to its party (TKT-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// First mask.
    pub wires: usize,
    /// First product.
    pub products: usize,
    /// The noise, where there is one.
    pub noise: usize,
    /// How many there are.
    pub values: usize,
}

impl Layout {
    /// Bytes that the last party stores of a ticket: value and MAC of each, and
    /// the MAC of the output mask.
    pub fn explicit_bytes(&self) -> usize {
        self.values * SHARE_BYTES + MAC_BYTES
    }
}

/// A share on the wire.
pub const SHARE_BYTES: usize = 24;
/// A MAC share on the wire.
pub const MAC_BYTES: usize = 16;
