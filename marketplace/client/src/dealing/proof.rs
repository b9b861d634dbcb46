//! The form of the stream `proof` (CST-3): for each batch of at most 4,096
//! tickets the digests of its proof, then the last party's shares (none for
//! others). S_D is proven with the first batch of the dealing that carries it.

use super::DealingError;
use veilbourse_core::{
    digest::Digest,
    wire::{Reader, WireError, Writer},
};
use veilbourse_protocol::{BatchProof, MAX_CHECKED};

/// Most digests of a batch: 12 folds serve 4,096 tickets and the key.
const MAX_LEVELS: u32 = 16;
/// Most bytes of a batch's explicit shares.
const MAX_EXPLICIT: u32 = 16 << 20;

/// The batches of tickets `first..first + count`: first number and length.
pub(super) fn batches(first: u64, count: u64) -> impl Iterator<Item = (u64, u64)> {
    let size = MAX_CHECKED as u64;
    let end = first.saturating_add(count);
    let starts = (0..count.div_ceil(size)).map(move |i| first + i * size);
    starts.map(move |at| (at, size.min(end - at)))
}

/// One batch, for the last party or another.
pub(super) fn encode(proof: &BatchProof, last: bool) -> Vec<u8> {
    let mut out = Writer::new();
    out.len(proof.levels.len());
    for d in &proof.levels {
        out.raw(&d.0);
    }
    out.bytes(if last { &proof.explicit } else { &[] });
    out.finish()
}

/// Reads a stream batch by batch.
pub struct ProofReader<'a>(Reader<'a>);

impl<'a> ProofReader<'a> {
    /// Of a stream's bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Reader::new(bytes))
    }
    /// The next batch.
    pub fn batch(&mut self) -> Result<BatchProof, DealingError> {
        let mut read = || {
            let n = self.0.len("proof digests", MAX_LEVELS)?;
            let levels = (0..n).map(|_| self.0.array("proof digest").map(Digest));
            let levels = levels.collect::<Result<_, _>>()?;
            let n = self.0.len("proof shares", MAX_EXPLICIT)?;
            let explicit = self.0.take("proof shares", n)?.to_vec();
            Ok(BatchProof { levels, explicit })
        };
        read().map_err(form)
    }
    /// Nothing follows.
    pub fn finish(self) -> Result<(), DealingError> {
        self.0.finish("proof").map_err(form)
    }
}

fn form(cause: WireError) -> DealingError {
    DealingError::Form {
        what: "proof",
        cause,
    }
}

/// A whole stream of a dealing with so many tickets.
pub fn read_proofs(bytes: &[u8], first: u64, count: u64) -> Result<Vec<BatchProof>, DealingError> {
    let mut input = ProofReader::new(bytes);
    let all = batches(first, count).map(|_| input.batch());
    let all = all.collect::<Result<_, _>>()?;
    input.finish()?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_every_ticket_once() {
        // TKT-4
        let of = |first, count| batches(first, count).collect::<Vec<_>>();
        assert_eq!(of(0, 1), [(0, 1)]);
        assert_eq!(of(7, 4096), [(7, 4096)]);
        assert_eq!(of(7, 4097), [(7, 4096), (4103, 1)]);
        assert_eq!(of(7, 0), []);
    }

    #[test]
    fn a_proof_reads_back_whole() {
        // CST-3
        let proof = |n: u8| BatchProof {
            levels: (0..n).map(|i| Digest([i; 32])).collect(),
            explicit: vec![n; 40],
        };
        let all = [proof(3), proof(5)];
        let bytes: Vec<u8> = all.iter().flat_map(|p| encode(p, true)).collect();
        assert_eq!(read_proofs(&bytes, 0, 5000).expect("reads"), all);
        let others: Vec<u8> = all.iter().flat_map(|p| encode(p, false)).collect();
        let read = read_proofs(&others, 0, 5000).expect("reads");
        assert!(read.iter().zip(&all).all(|(a, b)| a.levels == b.levels));
        assert!(read.iter().all(|p| p.explicit.is_empty()));
        for (bad, count) in [
            (&bytes[..bytes.len() - 1], 5000),
            (&[&bytes[..], &[0]].concat()[..], 5000),
            (&bytes[..], 4096),
            (&bytes[..], 9000),
        ] {
            let e = read_proofs(bad, 0, count).expect_err("refused");
            assert!(matches!(e, DealingError::Form { what: "proof", .. }), "{e}");
        }
    }
}
