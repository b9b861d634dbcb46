//! One contribution: what tau and gamma became, the proofs of knowledge of both
//! factors, the digest of the string after it, and the contributor's signature
//! (CER-2, CER-4, CER-5).

use super::{CeremonyRefusal, MAX_NAME_BYTES};
use crate::{
    field::{fr_bytes, fr_from_bytes},
    marlin::{canonical, point_bytes, scalar_from_wide},
};
use ark_bls12_381::{Fr, G1Affine};
use ark_ec::AffineRepr;
use veilbourse_core::{
    digest::Digest,
    wire::{Reader, WireError, Writer},
};

/// What the proofs of knowledge and the signature are about: everything but
/// their own answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Who, by their own word; 1 to 64 bytes.
    pub name: String,
    /// Ed25519 key that signs.
    pub key: [u8; 32],
    /// tau g after it.
    pub tau: G1Affine,
    /// gamma g after it.
    pub gamma: G1Affine,
    /// Digest of all points of the string after it.
    pub points: Digest,
    /// k (tau before) g: Schnorr's first message for the factor of tau.
    pub tau_nonce: G1Affine,
    /// k' (gamma before) g.
    pub gamma_nonce: G1Affine,
}

/// A contribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// What it says.
    pub statement: Statement,
    /// k + c x, x the factor of tau.
    pub tau_answer: Fr,
    /// k' + c y, y the factor of gamma.
    pub gamma_answer: Fr,
    /// Ed25519 over all of it and everything before it.
    pub signature: [u8; 64],
}

impl Statement {
    fn write(&self, w: &mut Writer) {
        let Self {
            name,
            key,
            tau,
            gamma,
            points,
            tau_nonce,
            gamma_nonce,
        } = self;
        w.str(name).raw(key);
        w.raw(&point_bytes(tau)).raw(&point_bytes(gamma));
        w.raw(&points.0);
        w.raw(&point_bytes(tau_nonce))
            .raw(&point_bytes(gamma_nonce));
    }

    /// The four points by name.
    pub(super) fn named(&self) -> [(&'static str, &G1Affine); 4] {
        [
            ("tau", &self.tau),
            ("gamma", &self.gamma),
            ("tau_nonce", &self.tau_nonce),
            ("gamma_nonce", &self.gamma_nonce),
        ]
    }

    /// Nothing that is zero (CER-2).
    pub(super) fn check_points(&self, number: u32) -> Result<(), CeremonyRefusal> {
        match self.named().into_iter().find(|(_, p)| p.is_zero()) {
            Some((field, _)) => Err(CeremonyRefusal::Identity { number, field }),
            None => Ok(()),
        }
    }
}

impl Contribution {
    fn write_unsigned(&self, w: &mut Writer) {
        self.statement.write(w);
        w.raw(&fr_bytes(&self.tau_answer))
            .raw(&fr_bytes(&self.gamma_answer));
    }

    pub(super) fn write(&self, w: &mut Writer) {
        self.write_unsigned(w);
        w.raw(&self.signature);
    }

    /// What the contributor signs, after `head` (CER-5).
    pub fn message(&self, head: &Digest) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(b"veilbourse v1 ceremony contribution\n").raw(&head.0);
        self.write_unsigned(&mut w);
        w.finish()
    }

    pub(super) fn read(r: &mut Reader<'_>, number: u32) -> Result<Self, CeremonyRefusal> {
        let name = r.str("contribution.name", MAX_NAME_BYTES)?;
        let key = r.array("contribution.key")?;
        let tau = point(r, number, "tau")?;
        let gamma = point(r, number, "gamma")?;
        let points = Digest(r.array("contribution.points")?);
        let tau_nonce = point(r, number, "tau_nonce")?;
        let gamma_nonce = point(r, number, "gamma_nonce")?;
        Ok(Self {
            statement: Statement {
                name,
                key,
                tau,
                gamma,
                points,
                tau_nonce,
                gamma_nonce,
            },
            tau_answer: scalar(r, number, "tau_answer")?,
            gamma_answer: scalar(r, number, "gamma_answer")?,
            signature: r.array("contribution.signature")?,
        })
    }
}

fn point(
    r: &mut Reader<'_>,
    number: u32,
    field: &'static str,
) -> Result<G1Affine, CeremonyRefusal> {
    let bytes = r.take("contribution.point", 48)?;
    canonical(bytes, field).map_err(|_| CeremonyRefusal::Point { number, field })
}

fn scalar(r: &mut Reader<'_>, number: u32, field: &'static str) -> Result<Fr, CeremonyRefusal> {
    let bytes = r.array("contribution.scalar")?;
    fr_from_bytes(&bytes).ok_or(CeremonyRefusal::Scalar { number, field })
}

/// The challenge of both proofs of knowledge, after `head` and over the bases
/// `tau` and `gamma` that `head` ends with (CER-4): 512 bits of BLAKE3 reduced
/// modulo r, so that its bias is below 2^-255.
pub fn challenge(head: &Digest, tau: &G1Affine, gamma: &G1Affine, s: &Statement) -> Fr {
    let mut w = Writer::new();
    w.raw(&head.0)
        .raw(&point_bytes(tau))
        .raw(&point_bytes(gamma));
    s.write(&mut w);
    let mut wide = [0u8; 64];
    blake3::Hasher::new_derive_key("veilbourse v1 ceremony challenge")
        .update(&w.finish())
        .finalize_xof()
        .fill(&mut wide);
    scalar_from_wide(&wide)
}

/// A short line of text: names and purposes (CER-1).
pub(super) fn line(field: &'static str, text: &str, limit: u32) -> Result<(), CeremonyRefusal> {
    let refuse = |reason: &str| {
        Err(CeremonyRefusal::Text {
            field,
            reason: reason.into(),
        })
    };
    if text.len() as u64 > u64::from(limit) {
        return Err(WireError::TooLarge {
            field,
            limit: u64::from(limit),
            value: text.len() as u64,
        }
        .into());
    }
    if text.is_empty() || text.trim() != text {
        return refuse("empty, or with space around it");
    }
    if text.chars().any(char::is_control) {
        return refuse("has a control character");
    }
    Ok(())
}
