//! Listing proofs end to end: honest datasets verify; aggregates that are not
//! the sums, roots that are not theirs and tampered proofs are refused, each
//! by its rule (DS-3, DS-4).

mod support;

use proptest::prelude::*;
use std::sync::OnceLock;
use support::{Dataset, root, slices};
use veilbourse_core::{
    ciphertext::SumData, digest::Digest, field::Fq, manifest::Manifest, wire::WireError,
};
use veilbourse_prover::{ProverError, listing::prove_listing};
use veilbourse_verifier::{
    Evidence, Refusal, Statement,
    commitment::{CommitmentError, glwe_columns, traced_columns},
    listing::{ListingStatement, verify_listing},
};

/// Two segments: one of three chunks, one of a single chunk.
fn dataset() -> &'static (Dataset, Vec<u8>) {
    static DATASET: OnceLock<(Dataset, Vec<u8>)> = OnceLock::new();
    DATASET.get_or_init(|| {
        let d = Dataset::new(2, &[9000, 700], 5);
        let envelope = prove(&d).unwrap();
        (d, envelope)
    })
}

fn prove(d: &Dataset) -> Result<Vec<u8>, ProverError> {
    let chunks: Vec<Vec<Vec<&[u64]>>> = d
        .chunk_columns
        .iter()
        .map(|s| s.iter().map(|c| slices(c)).collect())
        .collect();
    prove_listing(&d.manifest, &chunks)
}

fn verify(manifest: &Manifest, sums: &[SumData], envelope: &[u8]) -> Result<(), Refusal> {
    verify_listing(manifest, sums, envelope).map(|v| {
        assert_eq!(v.statement().dataset, manifest.root());
    })
}

/// The envelope with the digest of this manifest's statement written into it.
fn retitled(envelope: &[u8], manifest: &Manifest) -> Vec<u8> {
    let statement = ListingStatement {
        dataset: manifest.root(),
    };
    let mut out = envelope.to_vec();
    out[3..35].copy_from_slice(&statement.digest().0);
    out
}

/// A manifest whose sums, traced roots and bodies are those of `sums`.
fn adapt(manifest: &Manifest, sums: &[SumData]) -> Manifest {
    let mut out = manifest.clone();
    for (segment, sum) in out.segments.iter_mut().zip(sums) {
        let forms = sum.trace();
        segment.sum = root(&glwe_columns(&sum.columns));
        segment.traced = root(&traced_columns(&forms));
        segment.traced_bodies = forms.iter().map(|f| f.b.word()).collect();
    }
    out
}

#[test]
fn honest_listings_verify() {
    let (d, envelope) = dataset();
    verify(&d.manifest, &d.sums, envelope).unwrap();
}

#[test]
fn a_dataset_of_single_chunks_needs_no_opening() {
    let d = Dataset::new(1, &[10, 4096], 6);
    let envelope = prove(&d).unwrap();
    assert_eq!(envelope.len(), 39);
    verify(&d.manifest, &d.sums, &envelope).unwrap();
    let mut long = envelope;
    long.push(0);
    assert!(matches!(
        verify(&d.manifest, &d.sums, &long).unwrap_err(),
        Refusal::Wire(WireError::TooLarge { .. })
    ));
}

#[test]
fn aggregates_that_are_not_the_sums_are_refused() {
    let (d, envelope) = dataset();
    // Words changed after the manifest was signed.
    let mut sums = d.sums.clone();
    sums[0].columns[0].b[7] += Fq::ONE;
    assert!(matches!(
        verify(&d.manifest, &sums, envelope).unwrap_err(),
        Refusal::SumRoot { segment: 0, .. }
    ));
    // A custodian who signs false sums, consistently: the old proof is another
    // statement's; retitled, its challenges differ; made afresh for the false
    // manifest, the values do not add up.
    let false_manifest = adapt(&d.manifest, &sums);
    assert!(matches!(
        verify(&false_manifest, &sums, envelope).unwrap_err(),
        Refusal::Statement { .. }
    ));
    assert!(matches!(
        verify(&false_manifest, &sums, &retitled(envelope, &false_manifest)).unwrap_err(),
        Refusal::Opening(CommitmentError::Fri(_))
    ));
    let chunks: Vec<Vec<Vec<&[u64]>>> = d
        .chunk_columns
        .iter()
        .map(|s| s.iter().map(|c| slices(c)).collect())
        .collect();
    let forged = prove_listing(&false_manifest, &chunks).unwrap();
    assert_eq!(
        verify(&false_manifest, &sums, &forged).unwrap_err(),
        Refusal::SumOfChunks {
            segment: 0,
            column: 1
        }
    );
    // The only chunk of a segment is its own sum.
    let mut sums = d.sums.clone();
    sums[1].columns[1].a[0] += Fq::ONE;
    let false_manifest = adapt(&d.manifest, &sums);
    let forged = prove_listing(&false_manifest, &chunks).unwrap();
    assert!(matches!(
        verify(&false_manifest, &sums, &forged).unwrap_err(),
        Refusal::SumOfOneChunk { segment: 1, .. }
    ));
}

#[test]
fn traced_forms_that_are_not_those_of_the_sums_are_refused() {
    let (d, _) = dataset();
    let mut bad = d.manifest.clone();
    bad.segments[0].traced_bodies[1] ^= 1;
    let forged = {
        let chunks: Vec<Vec<Vec<&[u64]>>> = d
            .chunk_columns
            .iter()
            .map(|s| s.iter().map(|c| slices(c)).collect())
            .collect();
        prove_listing(&bad, &chunks).unwrap()
    };
    assert!(matches!(
        verify(&bad, &d.sums, &forged).unwrap_err(),
        Refusal::TracedBody {
            segment: 0,
            column: 1,
            ..
        }
    ));
    let mut bad = d.manifest.clone();
    bad.segments[1].traced = Digest([9; 32]);
    let forged = retitled(&dataset().1, &bad);
    assert!(matches!(
        verify(&bad, &d.sums, &forged).unwrap_err(),
        Refusal::TracedRoot { segment: 1, .. }
    ));
}

#[test]
fn sums_of_the_wrong_shape_are_refused() {
    let (d, envelope) = dataset();
    let refuse = |edit: &dyn Fn(&mut Vec<SumData>)| {
        let mut sums = d.sums.clone();
        edit(&mut sums);
        verify(&d.manifest, &sums, envelope).unwrap_err()
    };
    let shape = |segment, found| Refusal::SumShape {
        segment,
        expected: 2,
        found,
    };
    assert_eq!(
        refuse(&|s| {
            s[0].columns.pop();
        }),
        shape(0, 1)
    );
    assert_eq!(
        refuse(&|s| {
            s.pop();
        }),
        shape(1, 0)
    );
    assert_eq!(refuse(&|s| s.push(s[0].clone())), shape(2, 2));
    assert!(matches!(
        refuse(&|s| s.swap(0, 1)),
        Refusal::SumRoot { segment: 0, .. }
    ));
}

#[test]
fn the_one_gate_takes_listings() {
    let (d, envelope) = dataset();
    let statement = Statement::Listing(ListingStatement {
        dataset: d.manifest.root(),
    });
    let evidence = Evidence {
        manifest: &d.manifest,
        sums: Some(&d.sums),
        private: None,
    };
    let verified = veilbourse_verifier::verify(statement.clone(), &evidence, envelope).unwrap();
    assert_eq!(verified.statement(), &statement);
    assert_eq!(
        veilbourse_verifier::verify(
            statement.clone(),
            &Evidence {
                sums: None,
                ..evidence
            },
            envelope
        )
        .unwrap_err(),
        Refusal::Missing("published sums")
    );
    let other = Statement::Listing(ListingStatement {
        dataset: Digest([1; 32]),
    });
    assert!(matches!(
        veilbourse_verifier::verify(other, &evidence, envelope).unwrap_err(),
        Refusal::Dataset { .. }
    ));
    // A listing's envelope is no linear statement's.
    assert_eq!(envelope[2], statement.kind().tag());
}

#[test]
fn another_dataset_is_refused() {
    let (d, envelope) = dataset();
    let other = Dataset::new(2, &[9000, 700], 55);
    assert!(matches!(
        verify(&other.manifest, &other.sums, envelope).unwrap_err(),
        Refusal::Statement { .. }
    ));
    assert!(matches!(
        verify(
            &other.manifest,
            &other.sums,
            &retitled(envelope, &other.manifest)
        )
        .unwrap_err(),
        Refusal::Opening(CommitmentError::Fri(_))
    ));
    // Every other field of the manifest is under D as well.
    let mut renamed = d.manifest.clone();
    renamed.nonce = Digest([77; 32]);
    assert!(matches!(
        verify(&renamed, &d.sums, &retitled(envelope, &renamed)).unwrap_err(),
        Refusal::Opening(CommitmentError::Fri(_))
    ));
    // Words that the manifest does not commit to are not proven about.
    let chunks: Vec<Vec<Vec<&[u64]>>> = other
        .chunk_columns
        .iter()
        .map(|s| s.iter().map(|c| slices(c)).collect())
        .collect();
    assert!(matches!(
        prove_listing(&d.manifest, &chunks).unwrap_err(),
        ProverError::Root { .. }
    ));
    assert!(prove_listing(&d.manifest, &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(48)
    })]
    #[test]
    fn any_flipped_byte_is_refused(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let (d, envelope) = dataset();
        let mut bad = envelope.clone();
        let at = at.index(bad.len());
        bad[at] ^= 1 << bit;
        prop_assert!(verify(&d.manifest, &d.sums, &bad).is_err());
    }

    #[test]
    fn any_truncation_is_refused(at in any::<prop::sample::Index>()) {
        let (d, envelope) = dataset();
        let cut = at.index(envelope.len());
        prop_assert!(matches!(
            verify(&d.manifest, &d.sums, &envelope[..cut]),
            Err(Refusal::Wire(_) | Refusal::Opening(CommitmentError::Wire(_)))
        ));
    }
}
