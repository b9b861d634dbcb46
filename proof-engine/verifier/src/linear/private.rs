//! Private weights (LES-4..9): the opening, then the argument of knowledge
//! about the equation at zeta, on one transcript.

use super::{LinearStatement, Matrix, PrivateBody, PrivateEquation, check_public_key};
use crate::{Refusal, commitment::verify_opening, transcript::Transcript};
use veilbourse_core::{ciphertext::PublicKey, digest::Digest, manifest::Manifest};

pub(crate) mod sealed {
    /// Implemented in this crate alone: nobody else can supply an argument
    /// that accepts.
    pub trait Sealed {}
}

/// The verifying key of one circuit (kind and column class, LES-8): turns the
/// equation into its exact public inputs and verifies the proof about them.
pub trait PrivateArgument: sealed::Sealed + std::fmt::Debug {
    /// Digest of the verifying key.
    fn digest(&self) -> Digest;
    /// Digest of the structured reference string it was made from.
    fn srs(&self) -> Digest;
    /// Verifies the proof's canonical bytes, continuing the transcript.
    fn verify(
        &self,
        equation: &PrivateEquation,
        proof: &[u8],
        transcript: &mut Transcript,
    ) -> Result<(), Refusal>;
}

/// What private weights are verified with besides manifest and statement.
#[derive(Debug, Clone, Copy)]
pub struct PrivateEvidence<'a> {
    /// The dataset's public key; checked against the manifest.
    pub public_key: &'a PublicKey,
    /// The verifying key; checked against the statement.
    pub argument: &'a dyn PrivateArgument,
}

/// The key given is the one that the statement names (LES-4).
pub(super) fn for_this_key(
    srs: &Digest,
    verifying_key: &Digest,
    evidence: &PrivateEvidence<'_>,
) -> Result<(), Refusal> {
    let found = evidence.argument.srs();
    if found != *srs {
        return Err(Refusal::Srs {
            expected: *srs,
            found,
        });
    }
    let found = evidence.argument.digest();
    if found != *verifying_key {
        return Err(Refusal::VerifyingKey {
            expected: *verifying_key,
            found,
        });
    }
    Ok(())
}

/// LES-4: zeta, the opening, the equation's public terms, the argument.
pub(super) fn verify_private(
    statement: &LinearStatement,
    manifest: &Manifest,
    matrix: &Matrix,
    evidence: &PrivateEvidence<'_>,
    body: &[u8],
) -> Result<(), Refusal> {
    check_public_key(manifest, evidence.public_key)?;
    let PrivateBody {
        binding,
        opening,
        marlin,
    } = PrivateBody::decode(matrix, body)?;
    let (mut t, zeta) = statement.transcript(manifest, matrix, Some(&binding));
    let opened = verify_opening(&mut t, matrix.set, zeta.0, &[matrix.claim], opening)?.into_first();
    let equation = PrivateEquation::new(
        statement,
        matrix,
        evidence.public_key,
        &opened,
        zeta,
        binding,
    )?;
    evidence.argument.verify(&equation, &marlin, &mut t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use veilbourse_core::ring::Poly;

    #[derive(Debug)]
    struct Key;
    impl sealed::Sealed for Key {}
    impl PrivateArgument for Key {
        fn digest(&self) -> Digest {
            Digest([1; 32])
        }
        fn srs(&self) -> Digest {
            Digest([2; 32])
        }
        fn verify(&self, _: &PrivateEquation, _: &[u8], _: &mut Transcript) -> Result<(), Refusal> {
            Err(Refusal::Marlin("a double proves nothing".into()))
        }
    }

    #[test]
    fn keys_of_others_are_refused_by_name() {
        // LES-4: the statement names verifying key and SRS.
        let public_key = PublicKey {
            label: Digest([3; 32]),
            body: Poly::default(),
        };
        let evidence = PrivateEvidence {
            public_key: &public_key,
            argument: &Key,
        };
        let (key, srs, other) = (Digest([1; 32]), Digest([2; 32]), Digest([9; 32]));
        assert_eq!(for_this_key(&srs, &key, &evidence), Ok(()));
        assert_eq!(
            for_this_key(&other, &key, &evidence),
            Err(Refusal::Srs {
                expected: other,
                found: srs
            })
        );
        assert_eq!(
            for_this_key(&srs, &other, &evidence),
            Err(Refusal::VerifyingKey {
                expected: other,
                found: key
            })
        );
    }
}
