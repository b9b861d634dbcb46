//! Constants of a graph: shape and numbers, or texts.

use crate::{error::OnnxError, proto::TensorProto};

/// Most elements of a constant.
pub const MAX_ELEMENTS: usize = 1 << 20;

/// Elements of a constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// Numbers of any type, as doubles.
    Numbers(Vec<f64>),
    /// Texts.
    Texts(Vec<String>),
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// Shape; empty for a scalar.
    pub dims: Vec<usize>,
    /// Elements, last dimension fastest.
    pub elements: Elements,
}

impl Constant {
    /// Its numbers.
    pub fn numbers(&self) -> Option<&[f64]> {
        match &self.elements {
            Elements::Numbers(n) => Some(n),
            Elements::Texts(_) => None,
        }
    }

    /// Rows and columns, where it is a matrix.
    pub fn matrix(&self) -> Option<(usize, usize, &[f64])> {
        match self.dims.as_slice() {
            [rows, columns] => Some((*rows, *columns, self.numbers()?)),
            _ => None,
        }
    }

    /// Reads a tensor, refusing external data and unknown types (PRG-13).
    pub fn read(t: &TensorProto) -> Result<Self, OnnxError> {
        let refuse = |reason: String| OnnxError::Constant {
            name: t.name.clone(),
            reason,
        };
        if t.data_location != 0 {
            return Err(refuse("its data are in another file".into()));
        }
        let dims = t
            .dims
            .iter()
            .map(|d| usize::try_from(*d).ok().filter(|d| *d <= MAX_ELEMENTS))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| refuse(format!("shape {:?}", t.dims)))?;
        let size = dims
            .iter()
            .try_fold(1usize, |n, d| n.checked_mul(*d))
            .filter(|n| *n <= MAX_ELEMENTS)
            .ok_or_else(|| {
                refuse(format!(
                    "shape {:?} has over {MAX_ELEMENTS} elements",
                    t.dims
                ))
            })?;
        let raw = &t.raw_data;
        let elements = match (t.data_type, raw.is_empty()) {
            (1, true) => numbers(t.float_data.iter().map(|v| f64::from(*v))),
            (1, false) => numbers(
                raw.as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f64::from(f32::from_le_bytes(*b))),
            ),
            (11, true) => numbers(t.double_data.iter().copied()),
            (11, false) => numbers(
                raw.as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| f64::from_le_bytes(*b)),
            ),
            (7, true) => numbers(t.int64_data.iter().map(|v| *v as f64)),
            (7, false) => numbers(
                raw.as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| i64::from_le_bytes(*b) as f64),
            ),
            (6, true) => numbers(t.int32_data.iter().map(|v| f64::from(*v))),
            (6, false) => numbers(
                raw.as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f64::from(i32::from_le_bytes(*b))),
            ),
            (8, _) => Elements::Texts(
                t.string_data
                    .iter()
                    .map(|s| String::from_utf8_lossy(s).into_owned())
                    .collect(),
            ),
            (other, _) => return Err(refuse(format!("element type {other} is not supported"))),
        };
        let found = match &elements {
            Elements::Numbers(n) => n.len(),
            Elements::Texts(s) => s.len(),
        };
        let wide = if matches!(t.data_type, 7 | 11) { 8 } else { 4 };
        if !raw.is_empty() && t.data_type != 8 && raw.len() != size * wide {
            return Err(refuse(format!("{} bytes for shape {dims:?}", raw.len())));
        }
        if found != size {
            return Err(refuse(format!("{found} elements for shape {dims:?}")));
        }
        if let Elements::Numbers(n) = &elements
            && n.iter().any(|v| !v.is_finite())
        {
            return Err(OnnxError::NotFinite {
                place: format!("constant {:?}", t.name),
            });
        }
        Ok(Self { dims, elements })
    }
}

fn numbers(values: impl Iterator<Item = f64>) -> Elements {
    Elements::Numbers(values.collect())
}
