//! What is claimed, and the transcript up to zeta (LES-1, LES-4).

use crate::{
    Refusal, challenge_type,
    commitment::{Claim, FriSet, ROWS, evaluate},
    field::{Fq2, Fr},
    transcript::Transcript,
};
use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext, PublicKey, TracedLwe},
    digest::{Digest, Domain},
    manifest::{CommitmentParamsId, DataParamsId, Manifest},
    program::{MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
    wire::Writer,
};

challenge_type!(
    /// The evaluation point zeta, outside the base field.
    Zeta, "zeta", Fq2
);
challenge_type!(
    /// What the PRF of LES-10 is keyed over: everything of LES-4 before h.
    PrfContext, "prf context", [u8; 32]
);

/// Which of the two forms of the equation applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatrixKind {
    /// Traced aggregates: one LWE.
    Traced,
    /// One chunk: one GLWE, a score a row.
    Chunk,
}

/// Public or hidden weights, with what each needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visibility {
    /// Weights in the clear: encrypted columns, then public columns.
    Public {
        /// The weights.
        weights: Vec<i64>,
    },
    /// Weights behind a commitment.
    Private {
        /// M, canonical little-endian bytes of Fr.
        commitment: Digest,
        /// B: bound on sum |w_f| range_f + sum |w_g| |c_g|.
        l1_bound: u64,
        /// Q: bound on sum w_f^2 over encrypted columns.
        l2_bound: u64,
        /// Digest of the structured reference string.
        srs: Digest,
        /// Digest of the circuit's verifying key.
        verifying_key: Digest,
    },
}

/// One output of a linear program, with its ciphertext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinearStatement {
    /// D.
    pub dataset: Digest,
    /// What it is evaluated over.
    pub over: MatrixRef,
    /// Digest of the order.
    pub order: Digest,
    /// Index of the output in the program.
    pub output: u32,
    /// The weights or their commitment.
    pub visibility: Visibility,
    /// Digest of the public key's body.
    pub public_key: Digest,
    /// A.
    pub ciphertext: OutputCiphertext,
}

/// What a manifest says about the matrix of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// Traced or chunk.
    pub kind: MatrixKind,
    /// Commitment and number of committed columns.
    pub claim: Claim,
    /// FRI parameters of the commitment.
    pub set: &'static FriSet,
    /// n_s: true rows of the segment.
    pub segment_rows: u64,
    /// True rows under this output: n_s when traced, the chunk's otherwise.
    pub rows: u64,
    /// k of the dataset.
    pub message_log2: u32,
    /// b_tr of each column when traced, empty for a chunk.
    pub traced_bodies: Vec<u64>,
    /// max |X_f| of each encrypted column.
    pub ranges: Vec<u64>,
    /// c_{g,s} of each public column.
    pub public_values: Vec<i64>,
}

impl Matrix {
    /// Looks a matrix up. The manifest must be valid.
    pub fn of(manifest: &Manifest, over: MatrixRef) -> Option<Self> {
        let (index, chunk) = match over {
            MatrixRef::Traced { segment } => (segment as usize, None),
            MatrixRef::Chunk { segment, chunk } => (segment as usize, Some(chunk as usize)),
        };
        let segment = manifest.segments.get(index)?;
        let columns = manifest.columns.len();
        let (kind, claim, rows, traced_bodies) = match chunk {
            None => (
                MatrixKind::Traced,
                Claim {
                    root: segment.traced,
                    width: columns,
                },
                segment.rows,
                segment.traced_bodies.clone(),
            ),
            Some(c) => (
                MatrixKind::Chunk,
                Claim {
                    root: *segment.chunks.get(c)?,
                    width: 2 * columns,
                },
                segment
                    .rows
                    .checked_sub((c as u64).checked_mul(ROWS as u64)?)?
                    .min(ROWS as u64),
                Vec::new(),
            ),
        };
        Some(Self {
            kind,
            claim,
            set: FriSet::of(manifest.commitment),
            segment_rows: segment.rows,
            rows,
            message_log2: manifest.message_log2,
            traced_bodies,
            ranges: manifest.columns.iter().map(|c| c.max_abs()).collect(),
            public_values: manifest
                .public_columns
                .iter()
                .map(|g| g.values.get(index).copied())
                .collect::<Option<_>>()?,
        })
    }
}

impl LinearStatement {
    /// The digest that the envelope names: every field.
    pub fn digest(&self) -> Digest {
        let Self {
            dataset,
            over,
            order,
            output,
            visibility,
            public_key,
            ciphertext,
        } = self;
        let mut w = Writer::new();
        w.raw(&dataset.0);
        write_matrix(&mut w, *over);
        w.raw(&order.0).u32(*output);
        match visibility {
            Visibility::Public { weights } => {
                w.u8(0).len(weights.len());
                for v in weights {
                    w.i64(*v);
                }
            }
            Visibility::Private {
                commitment,
                l1_bound,
                l2_bound,
                srs,
                verifying_key,
            } => {
                w.u8(1).raw(&commitment.0).u64(*l1_bound).u64(*l2_bound);
                w.raw(&srs.0).raw(&verifying_key.0);
            }
        }
        w.raw(&public_key.0).raw(&ciphertext.digest().0);
        Digest::of(Domain::Statement, &w.finish())
    }

    /// Checks the statement against the manifest and returns its matrix: D,
    /// the matrix exists, weights and bounds conform (LES-1), the public key,
    /// the ciphertext's shape and words.
    pub fn conform(&self, manifest: &Manifest) -> Result<Matrix, Refusal> {
        manifest.validate().map_err(Refusal::Manifest)?;
        let root = manifest.root();
        if root != self.dataset {
            return Err(Refusal::Dataset {
                expected: self.dataset,
                found: root,
            });
        }
        let weights = match &self.visibility {
            Visibility::Public { weights } => Weights::Public {
                values: weights.clone(),
            },
            Visibility::Private {
                commitment,
                l1_bound,
                l2_bound,
                ..
            } => Weights::Private {
                commitment: *commitment,
                l1_bound: *l1_bound,
                l2_bound: *l2_bound,
            },
        };
        // The rules of a program apply to each of its outputs (LES-1).
        Program {
            version: PROGRAM_VERSION,
            dataset: root,
            vectors: vec![WeightVector {
                label: String::new(),
                scale_log2: 0,
                weights,
            }],
            outputs: vec![ProgramOutput {
                over: self.over,
                vector: 0,
            }],
        }
        .validate(manifest)
        .map_err(Refusal::Program)?;
        let matrix = Matrix::of(manifest, self.over).ok_or_else(|| {
            Refusal::Program(veilbourse_core::wire::WireError::Invalid {
                field: "statement.over",
                reason: "no such matrix".into(),
            })
        })?;
        if self.public_key != manifest.public_key_body {
            return Err(Refusal::PublicKey {
                expected: manifest.public_key_body,
                found: self.public_key,
            });
        }
        let (expected, found) = (
            (matrix.kind, matrix.rows),
            match &self.ciphertext {
                OutputCiphertext::Traced(_) => (MatrixKind::Traced, matrix.rows),
                OutputCiphertext::Rows { rows, .. } => (MatrixKind::Chunk, u64::from(*rows)),
            },
        );
        if expected != found {
            return Err(Refusal::Ciphertext { expected, found });
        }
        Ok(matrix)
    }

    /// The transcript of LES-4 up to and without h.
    fn begin(&self, manifest: &Manifest, matrix: &Matrix) -> Transcript {
        let mut t = Transcript::new("veilbourse linear v1");
        let DataParamsId::Data4096Tu3V1 = manifest.params;
        t.absorb("data parameters", b"data-4096-tu3-v1");
        let CommitmentParamsId::FriBlake3V1 = manifest.commitment;
        t.absorb("commitment parameters", b"fri-blake3-v1");
        if let Visibility::Private {
            srs, verifying_key, ..
        } = &self.visibility
        {
            t.absorb_digest("srs", srs);
            t.absorb_digest("verifying key", verifying_key);
        }
        t.absorb_digest("dataset", &self.dataset);
        let mut w = Writer::new();
        write_matrix(&mut w, self.over);
        t.absorb("matrix", &w.finish());
        t.absorb_digest("matrix root", &matrix.claim.root);
        t.absorb_u64("segment rows", matrix.segment_rows);
        t.absorb_u64("rows", matrix.rows);
        t.absorb_digest("order", &self.order);
        t.absorb_u64("output", u64::from(self.output));
        match &self.visibility {
            Visibility::Public { weights } => {
                t.absorb("visibility", b"public");
                let bytes: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
                t.absorb("weights", &bytes);
            }
            Visibility::Private {
                commitment,
                l1_bound,
                l2_bound,
                ..
            } => {
                t.absorb("visibility", b"private");
                t.absorb_digest("weight commitment", commitment);
                t.absorb_u64("l1 bound", *l1_bound);
                t.absorb_u64("l2 bound", *l2_bound);
            }
        }
        t
    }

    /// What the PRF of r, e and the blinders is keyed over (LES-10).
    pub fn prf_context(&self, manifest: &Manifest, matrix: &Matrix) -> PrfContext {
        self.begin(manifest, matrix).challenge()
    }

    /// The transcript after all of LES-4 and zeta; `binding` is h, of private
    /// statements only.
    pub fn transcript(
        &self,
        manifest: &Manifest,
        matrix: &Matrix,
        binding: Option<&Fr>,
    ) -> (Transcript, Zeta) {
        let mut t = self.begin(manifest, matrix);
        if let Some(h) = binding {
            t.absorb_fr("binding commitment", std::slice::from_ref(h));
        }
        t.absorb_digest("public key", &self.public_key);
        t.absorb_words("output ciphertext", &output_words(&self.ciphertext));
        // LES-4: never in the base field, which holds every evaluation domain.
        let zeta = t.challenge_where(|z: &Zeta| crate::field::fq2_is_extension(&z.0));
        (t, zeta)
    }

    /// t = A(zeta).
    pub fn target(&self, zeta: Zeta) -> Fq2 {
        evaluate(&output_words(&self.ciphertext), zeta.0)
    }
}

/// The coefficients of A(X): N mask words (t_A when traced), then one body
/// word when traced, N for a chunk.
pub fn output_words(output: &OutputCiphertext) -> Vec<u64> {
    match output {
        OutputCiphertext::Traced(TracedLwe { t, b }) => t
            .iter()
            .chain(std::iter::once(b))
            .map(|w| w.word())
            .collect(),
        OutputCiphertext::Rows {
            glwe: Glwe { a, b },
            ..
        } => a.iter().chain(b.iter()).map(|w| w.word()).collect(),
    }
}

/// Checks a public key against the manifest: label and body (LES-11).
pub fn check_public_key(manifest: &Manifest, key: &PublicKey) -> Result<(), Refusal> {
    for (expected, found) in [
        (manifest.public_key_label, key.label),
        (manifest.public_key_body, key.body_digest()),
    ] {
        if expected != found {
            return Err(Refusal::PublicKey { expected, found });
        }
    }
    Ok(())
}

fn write_matrix(w: &mut Writer, over: MatrixRef) {
    match over {
        MatrixRef::Traced { segment } => w.u8(0).u32(segment).u32(0),
        MatrixRef::Chunk { segment, chunk } => w.u8(1).u32(segment).u32(chunk),
    };
}
