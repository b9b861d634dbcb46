//! Ciphertexts and public keys, with their codecs (WIRE-1..4, DS-1..3, DS-6).

use crate::{
    digest::{Digest, Domain},
    field::Fq,
    manifest::MAX_COLUMNS,
    params::DATA_RING_DIMENSION as N,
    ring::Poly,
    wire::{Reader, WireError, Writer},
    xof::{MaskKind, mask},
};

/// Version of the binary formats of this module.
pub const CIPHERTEXT_VERSION: u16 = 1;
/// Bytes of one ring element.
pub const POLY_BYTES: usize = 8 * N;

/// A GLWE ciphertext (a, b), phase b - a S.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glwe {
    /// The mask.
    pub a: Poly,
    /// The body.
    pub b: Poly,
}

impl Glwe {
    /// self += other.
    pub fn add_assign(&mut self, other: &Self) {
        self.a.add_assign(&other.a);
        self.b.add_assign(&other.b);
    }
}

/// A ciphertext whose mask is the expansion of a seed (DS-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededGlwe {
    /// Fresh for every ciphertext.
    pub seed: [u8; 32],
    /// The body.
    pub body: Poly,
}

impl SeededGlwe {
    /// Expands the mask.
    pub fn expand(&self) -> Glwe {
        Glwe {
            a: mask(MaskKind::Glwe, &self.seed),
            b: self.body.clone(),
        }
    }
}

/// One chunk of a segment: a ciphertext for each column. The unit of upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkData {
    /// Ciphertexts in manifest column order.
    pub columns: Vec<SeededGlwe>,
}

impl ChunkData {
    /// Exact length of the encoding for a number of columns.
    pub const fn encoded_len(columns: usize) -> u64 {
        (2 + 4 + columns * (32 + POLY_BYTES)) as u64
    }
    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u16(CIPHERTEXT_VERSION).len(self.columns.len());
        for c in &self.columns {
            w.raw(&c.seed).raw(&c.body.to_bytes());
        }
        w.finish()
    }
    /// Reads a chunk of exactly `columns` ciphertexts.
    pub fn decode(bytes: &[u8], columns: usize) -> Result<Self, WireError> {
        size("chunk", bytes, Self::encoded_len(columns))?;
        let mut r = Reader::new(bytes);
        version(&mut r, "chunk.version")?;
        let n = r.len("chunk.columns", MAX_COLUMNS)?;
        if n != columns {
            return Err(WireError::Invalid {
                field: "chunk.columns",
                reason: format!("{n} ciphertexts for {columns} columns"),
            });
        }
        let columns = (0..n)
            .map(|_| {
                Ok(SeededGlwe {
                    seed: r.array("chunk.seed")?,
                    body: Poly::from_bytes("chunk.body", r.take("chunk.body", POLY_BYTES)?)?,
                })
            })
            .collect::<Result<_, WireError>>()?;
        r.finish("chunk")?;
        Ok(Self { columns })
    }
}

/// The sums over a segment's chunks, a ciphertext for each column (DS-3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumData {
    /// Sums in manifest column order.
    pub columns: Vec<Glwe>,
}

impl SumData {
    /// Exact length of the encoding of one segment's sums.
    pub const fn encoded_len(columns: usize) -> u64 {
        (2 + 4 + columns * 2 * POLY_BYTES) as u64
    }
    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u16(CIPHERTEXT_VERSION).len(self.columns.len());
        for c in &self.columns {
            w.raw(&c.a.to_bytes()).raw(&c.b.to_bytes());
        }
        w.finish()
    }
    /// Reads one segment's sums of exactly `columns` ciphertexts.
    pub fn decode(bytes: &[u8], columns: usize) -> Result<Self, WireError> {
        size("sums", bytes, Self::encoded_len(columns))?;
        let mut r = Reader::new(bytes);
        version(&mut r, "sums.version")?;
        let n = r.len("sums.columns", MAX_COLUMNS)?;
        if n != columns {
            return Err(WireError::Invalid {
                field: "sums.columns",
                reason: format!("{n} ciphertexts for {columns} columns"),
            });
        }
        let columns = (0..n)
            .map(|_| {
                Ok(Glwe {
                    a: Poly::from_bytes("sums.a", r.take("sums.a", POLY_BYTES)?)?,
                    b: Poly::from_bytes("sums.b", r.take("sums.b", POLY_BYTES)?)?,
                })
            })
            .collect::<Result<_, WireError>>()?;
        r.finish("sums")?;
        Ok(Self { columns })
    }
    /// The traced forms of all columns.
    pub fn trace(&self) -> Vec<TracedLwe> {
        self.columns.iter().map(TracedLwe::of).collect()
    }
}

/// The LWE encryption of the sum of all N coefficients of a GLWE (DS-3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedLwe {
    /// The mask as a ring element: coefficient 0 of t S is <a_tr, s>.
    pub t: Poly,
    /// The body word.
    pub b: Fq,
}

impl TracedLwe {
    /// Traces a ciphertext: b = sum b_i; a_tr,j = sum_{i>=j} a_{i-j} -
    /// sum_{i<j} a_{N+i-j}; t_0 = a_tr,0 and t_{N-j} = -a_tr,j.
    pub fn of(c: &Glwe) -> Self {
        let b = c.b.iter().fold(Fq::ZERO, |s, w| s + *w);
        // a_tr,j = prefix(N - j) - suffix: with P(n) = a_0 + .. + a_{n-1} and
        // the total T, a_tr,j = P(N - j) - (T - P(N - j)) = 2 P(N - j) - T.
        let total = c.a.iter().fold(Fq::ZERO, |s, w| s + *w);
        let mut t = Poly::default();
        let mut prefix = Fq::ZERO;
        for (n, w) in c.a.iter().enumerate() {
            // Here prefix = P(n) and n = N - j, so j = N - n.
            if n > 0 {
                t[n] = total - prefix - prefix;
            }
            prefix += *w;
        }
        t[0] = total;
        Self { t, b }
    }
}

/// An encryption of zero whose mask nobody chose (DS-6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its XOF output is the mask p_0.
    pub label: Digest,
    /// p_1.
    pub body: Poly,
}

impl PublicKey {
    /// The digest that the manifest holds.
    pub fn body_digest(&self) -> Digest {
        Digest::of(Domain::PublicKey, &self.body.to_bytes())
    }
    /// The mask p_0.
    pub fn mask(&self) -> Poly {
        mask(MaskKind::PublicKey, &self.label.0)
    }
    /// Exact length of the encoding.
    pub const ENCODED_LEN: u64 = (2 + 32 + POLY_BYTES) as u64;
    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u16(CIPHERTEXT_VERSION)
            .raw(&self.label.0)
            .raw(&self.body.to_bytes());
        w.finish()
    }
    /// Reads a public key.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        size("public_key", bytes, Self::ENCODED_LEN)?;
        let mut r = Reader::new(bytes);
        version(&mut r, "public_key.version")?;
        let label = Digest(r.array("public_key.label")?);
        let body = Poly::from_bytes("public_key.body", r.take("public_key.body", POLY_BYTES)?)?;
        r.finish("public_key")?;
        Ok(Self { label, body })
    }
}

/// What an evaluation yields: the only ciphertexts that are ever opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputCiphertext {
    /// One value: coefficient 0 of the phase b - t S.
    Traced(TracedLwe),
    /// A value for each of the chunk's rows.
    Rows {
        /// The ciphertext.
        glwe: Glwe,
        /// True rows of the chunk; later coefficients are padding.
        rows: u32,
    },
}

impl OutputCiphertext {
    /// Longest encoding.
    pub const MAX_LEN: u64 = (2 + 1 + 4 + 2 * POLY_BYTES) as u64;
    /// Values it holds.
    pub fn values(&self) -> u32 {
        match self {
            Self::Traced(_) => 1,
            Self::Rows { rows, .. } => *rows,
        }
    }
    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u16(CIPHERTEXT_VERSION);
        match self {
            Self::Traced(TracedLwe { t, b }) => w.u8(0).raw(&t.to_bytes()).u64(b.word()),
            Self::Rows {
                glwe: Glwe { a, b },
                rows,
            } => w.u8(1).u32(*rows).raw(&a.to_bytes()).raw(&b.to_bytes()),
        };
        w.finish()
    }
    /// Reads an output ciphertext.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() as u64 > Self::MAX_LEN {
            return Err(WireError::TooLarge {
                field: "output",
                limit: Self::MAX_LEN,
                value: bytes.len() as u64,
            });
        }
        let mut r = Reader::new(bytes);
        version(&mut r, "output.version")?;
        let out = match r.u8("output.kind")? {
            0 => {
                let t = Poly::from_bytes("output.t", r.take("output.t", POLY_BYTES)?)?;
                let word = r.u64("output.b")?;
                let b = Fq::new(word).ok_or(WireError::TooLarge {
                    field: "output.b",
                    limit: crate::field::MODULUS - 1,
                    value: word,
                })?;
                Self::Traced(TracedLwe { t, b })
            }
            1 => {
                let rows = r.u32("output.rows")?;
                if rows == 0 || rows as usize > N {
                    return Err(WireError::Invalid {
                        field: "output.rows",
                        reason: format!("{rows} is outside 1..={N}"),
                    });
                }
                let a = Poly::from_bytes("output.a", r.take("output.a", POLY_BYTES)?)?;
                let b = Poly::from_bytes("output.b", r.take("output.b", POLY_BYTES)?)?;
                Self::Rows {
                    glwe: Glwe { a, b },
                    rows,
                }
            }
            v => {
                return Err(WireError::Invalid {
                    field: "output.kind",
                    reason: format!("unknown kind {v}"),
                });
            }
        };
        r.finish("output")?;
        Ok(out)
    }
    /// The digest that public records hold.
    pub fn digest(&self) -> Digest {
        Digest::of(Domain::Output, &self.encode())
    }
}

fn size(field: &'static str, bytes: &[u8], expected: u64) -> Result<(), WireError> {
    let found = bytes.len() as u64;
    if found > expected {
        return Err(WireError::TooLarge {
            field,
            limit: expected,
            value: found,
        });
    }
    if found < expected {
        return Err(WireError::Truncated {
            field,
            needed: expected,
            available: found,
        });
    }
    Ok(())
}

fn version(r: &mut Reader<'_>, field: &'static str) -> Result<(), WireError> {
    let found = r.u16(field)?;
    if found != CIPHERTEXT_VERSION {
        return Err(WireError::Version {
            field,
            expected: u64::from(CIPHERTEXT_VERSION),
            found: u64::from(found),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng};

    fn poly(rng: &mut impl Rng) -> Poly {
        Poly::from_coefficients((0..N).map(|_| Fq::reduce(rng.random())).collect()).unwrap()
    }

    #[test]
    fn the_trace_is_the_sum_of_the_coefficients() {
        // DS-3: b_tr - (t S)_0 = sum of the coefficients of b - a S.
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(4);
        let c = Glwe {
            a: poly(&mut rng),
            b: poly(&mut rng),
        };
        let s = poly(&mut rng);
        let mut phase = c.b.clone();
        phase.sub_assign(&c.a.mul(&s));
        let sum = phase.iter().fold(Fq::ZERO, |acc, w| acc + *w);
        let traced = TracedLwe::of(&c);
        assert_eq!(traced.b - traced.t.mul(&s)[0], sum);
    }

    #[test]
    fn codecs_round_trip_and_refuse() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(5);
        let chunk = ChunkData {
            columns: (0..2)
                .map(|_| SeededGlwe {
                    seed: rng.random(),
                    body: poly(&mut rng),
                })
                .collect(),
        };
        let bytes = chunk.encode();
        assert_eq!(bytes.len() as u64, ChunkData::encoded_len(2));
        // At most 8.2 bytes a packed slot.
        assert!(bytes.len() as f64 / (2.0 * N as f64) < 8.2);
        assert_eq!(ChunkData::decode(&bytes, 2).unwrap(), chunk);
        // WIRE-2: truncated, trailing, other count, other version.
        for cut in [0, 1, 5, 6, 37, bytes.len() - 1] {
            assert!(matches!(
                ChunkData::decode(&bytes[..cut], 2),
                Err(WireError::Truncated { .. })
            ));
        }
        let mut long = bytes.clone();
        long.push(0);
        assert!(matches!(
            ChunkData::decode(&long, 2),
            Err(WireError::TooLarge { .. })
        ));
        let mut other = bytes.clone();
        other[0] = 2;
        assert!(matches!(
            ChunkData::decode(&other, 2),
            Err(WireError::Version { .. })
        ));
        let mut count = bytes.clone();
        count[2] = 1;
        assert!(matches!(
            ChunkData::decode(&count, 2),
            Err(WireError::Invalid { .. })
        ));
        // WIRE-4: a word of q or more.
        let mut word = bytes;
        word[38..46].fill(0xff);
        assert!(matches!(
            ChunkData::decode(&word, 2),
            Err(WireError::TooLarge { .. })
        ));

        let outputs = [
            OutputCiphertext::Traced(TracedLwe {
                t: poly(&mut rng),
                b: Fq::reduce(5),
            }),
            OutputCiphertext::Rows {
                glwe: Glwe {
                    a: poly(&mut rng),
                    b: poly(&mut rng),
                },
                rows: 569,
            },
        ];
        for o in outputs {
            let bytes = o.encode();
            assert_eq!(OutputCiphertext::decode(&bytes).unwrap(), o);
            for cut in [0, 2, 3, 100, bytes.len() - 1] {
                assert!(OutputCiphertext::decode(&bytes[..cut]).is_err());
            }
            let mut kind = bytes.clone();
            kind[2] = 9;
            assert!(matches!(
                OutputCiphertext::decode(&kind),
                Err(WireError::Invalid { .. })
            ));
        }
        let key = PublicKey {
            label: Digest([1; 32]),
            body: poly(&mut rng),
        };
        assert_eq!(PublicKey::decode(&key.encode()).unwrap(), key);
    }
}
