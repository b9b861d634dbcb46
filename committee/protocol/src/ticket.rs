//! One party's share of an opening ticket (TKT-2, TKT-3).

use crate::{
    class::{Layout, MAC_BYTES, SHARE_BYTES, TicketClass},
    error::ProtocolError,
    fq2::Fq2,
    mask::MaskShare,
    plan::Plan,
    share::Share,
    stream::{Purpose, Stream},
};
use veilbourse_core::{
    digest::{Digest, Domain},
    field::Fq,
    wire::{Reader, WireError, Writer},
};
use zeroize::Zeroize;

/// A dealing of one class to one quorum: its name, and what follows from the
/// class.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The quorum's name ([`quorum_name`]): its keys are shared under it.
    pub quorum: Digest,
    /// The dealing's name: part of every stream and leaf of its tickets.
    pub dealing: Digest,
    /// The class.
    pub class: TicketClass,
    /// Its circuit.
    pub plan: Plan,
    /// Where values lie.
    pub layout: Layout,
}

impl Shape {
    /// The `serial`-th dealing to a quorum, of a class.
    pub fn new(class: TicketClass, quorum: Digest, serial: u32) -> Self {
        let plan = class.plan();
        let layout = class.layout(&plan);
        Self {
            quorum,
            dealing: dealing_name(&quorum, serial, &class),
            class,
            plan,
            layout,
        }
    }
}

/// Names a quorum's keys (SHR-1): the dataset, the members' numbers, ascending
/// ([`crate::Quorum::members`]), the epoch, which
/// counts up whenever the quorum is dealt to anew.
pub fn quorum_name(dataset: &Digest, members: &[u8], epoch: u32) -> Digest {
    let mut out = Writer::new();
    out.raw(&dataset.0).bytes(members).u32(epoch);
    Digest::of(Domain::Other("veilbourse v1 quorum keys"), &out.finish())
}

/// Names a dealing (TKT-1): the quorum's keys, which of their dealings it is, the
/// class. A node accepts a name once, so no seed ever pads two tickets alike.
fn dealing_name(quorum: &Digest, serial: u32, class: &TicketClass) -> Digest {
    let mut out = Writer::new();
    out.raw(&quorum.0).u32(serial).raw(&class.digest().0);
    Digest::of(Domain::Other("veilbourse v1 dealing"), &out.finish())
}

/// One party's share of a ticket.
#[derive(Clone)]
pub struct TicketShare {
    /// The ticket's number in its dealing.
    pub number: u64,
    /// Shares in the order of [`Layout`].
    pub values: Vec<Share>,
    /// Share of the output mask.
    pub omega: Share,
    /// The same, as the dealer committed to it.
    pub mask: MaskShare,
}

impl Drop for TicketShare {
    fn drop(&mut self) {
        self.values.zeroize();
        self.omega.zeroize();
    }
}

impl TicketShare {
    /// The share of a party whose shares follow from its seed.
    pub fn from_seed(shape: &Shape, seed: &[u8; 32], number: u64) -> Self {
        let mut stream = Stream::new(seed, &shape.dealing, Purpose::Ticket, number);
        let values = (0..shape.layout.values).map(|_| stream.share()).collect();
        let mask = MaskShare::of_ticket(seed, &shape.dealing, number);
        let omega = Share {
            value: mask.residue(),
            mac: stream.fq2(),
        };
        Self {
            number,
            values,
            omega,
            mask,
        }
    }

    /// The last party's share: what it stores, and its seed for the mask.
    pub fn from_explicit(
        shape: &Shape,
        seed: &[u8; 32],
        number: u64,
        bytes: &[u8],
    ) -> Result<Self, ProtocolError> {
        let expected = shape.layout.explicit_bytes();
        if bytes.len() != expected {
            return Err(ProtocolError::Length {
                what: "stored ticket share",
                found: bytes.len() as u64,
                expected: expected as u64,
            });
        }
        let mut input = Reader::new(bytes);
        let values = (0..shape.layout.values)
            .map(|_| read_share(&mut input))
            .collect::<Result<_, _>>()?;
        let mac = read_fq2(&mut input, "ticket share")?;
        input.finish("stored ticket share")?;
        let mask = MaskShare::of_ticket(seed, &shape.dealing, number);
        let omega = Share {
            value: mask.residue(),
            mac,
        };
        Ok(Self {
            number,
            values,
            omega,
            mask,
        })
    }

    /// What the last party stores.
    pub fn explicit(&self) -> Vec<u8> {
        let mut out = Writer::new();
        for v in &self.values {
            write_share(&mut out, v);
        }
        write_fq2(&mut out, &self.omega.mac);
        out.finish()
    }
}

const _: () = assert!(SHARE_BYTES == 8 + MAC_BYTES);

/// Appends a share.
pub fn write_share(out: &mut Writer, share: &Share) {
    out.u64(share.value.word());
    write_fq2(out, &share.mac);
}

/// Appends an element of F_q2.
pub fn write_fq2(out: &mut Writer, x: &Fq2) {
    out.u64(x.0[0].word()).u64(x.0[1].word());
}

/// Reads a canonical word.
pub fn read_fq(input: &mut Reader<'_>, field: &'static str) -> Result<Fq, WireError> {
    let word = input.u64(field)?;
    Fq::new(word).ok_or_else(|| WireError::Invalid {
        field,
        reason: format!("word {word} is not below q"),
    })
}

/// Reads an element of F_q2.
pub fn read_fq2(input: &mut Reader<'_>, field: &'static str) -> Result<Fq2, WireError> {
    Ok(Fq2([read_fq(input, field)?, read_fq(input, field)?]))
}

/// Reads a share.
pub fn read_share(input: &mut Reader<'_>) -> Result<Share, WireError> {
    Ok(Share {
        value: read_fq(input, "ticket share")?,
        mac: read_fq2(input, "ticket share")?,
    })
}
