//! The stream that a dealing's check reads (QRM-6): for every batch of
//! [`MAX_CHECKED`] tickets the public digests, then the last party's shares.
//!
//! | bytes | |
//! |---|---|
//! | 4 | digests |
//! | 32 each | the digests |
//! | 4 | bytes of shares: none but for the last party |
//! | those | the shares |

use crate::error::QuorumError;
use veilbourse_core::{
    digest::Digest,
    wire::{Reader, WireError, Writer},
};
use veilbourse_protocol::{BatchProof, MAX_CHECKED};
use veilbourse_ticket_store::{Disk, MAX_PROOF, Store};
use zeroize::Zeroizing;

/// Most digests of a batch.
const MAX_LEVELS: u32 = 64;

/// A batch as the party, last or not, is sent it.
pub fn encode_proof(proof: &BatchProof, last: bool) -> Vec<u8> {
    let mut out = Writer::new();
    out.len(proof.levels.len());
    for d in &proof.levels {
        out.raw(&d.0);
    }
    out.bytes(if last { &proof.explicit } else { &[] });
    out.finish()
}

/// Reads a proof batch by batch from the store.
#[derive(Debug, Clone, Copy)]
pub struct ProofReader {
    dealing: Digest,
    at: u64,
}

/// One batch: digests and the last party's shares.
pub type ProofPart = (Vec<Digest>, Zeroizing<Vec<u8>>);

impl ProofReader {
    /// From the beginning.
    pub fn new(dealing: Digest) -> Self {
        Self { dealing, at: 0 }
    }

    fn take<D: Disk>(
        &mut self,
        store: &mut Store<D>,
        n: u64,
    ) -> Result<Zeroizing<Vec<u8>>, QuorumError> {
        let mut bytes = Zeroizing::new(vec![0; n as usize]);
        store.proof(&self.dealing, self.at, &mut bytes)?;
        self.at += n;
        Ok(bytes)
    }

    fn length<D: Disk>(
        &mut self,
        store: &mut Store<D>,
        field: &'static str,
        limit: u64,
    ) -> Result<u64, QuorumError> {
        let bytes = self.take(store, 4)?;
        let value = u64::from(Reader::new(&bytes).u32(field).map_err(wire)?);
        if value > limit {
            return Err(wire(WireError::TooLarge {
                field,
                limit,
                value,
            }));
        }
        Ok(value)
    }

    /// The next batch.
    pub fn next<D: Disk>(&mut self, store: &mut Store<D>) -> Result<ProofPart, QuorumError> {
        let n = self.length(store, "digests of a proof", MAX_LEVELS.into())?;
        let bytes = self.take(store, 32 * n)?;
        let levels = bytes.as_chunks::<32>().0.iter().map(|d| Digest(*d));
        let levels = levels.collect();
        let (fixed, each) = MAX_PROOF;
        let limit = fixed + each * MAX_CHECKED as u64;
        let n = self.length(store, "shares of a proof", limit)?;
        Ok((levels, self.take(store, n)?))
    }
}

fn wire(e: WireError) -> QuorumError {
    QuorumError::Store(e.into())
}
