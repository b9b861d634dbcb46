//! Operators with their parameters read and checked (PRG-13).

use crate::{
    attributes::Attributes,
    constant::Constant,
    error::{OnnxError, Place},
    proto::NodeProto,
    trees::{self, Ensemble},
};

/// What is done to the scores of a classifier; it never changes their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post {
    /// Nothing.
    None,
    /// The logistic function of each.
    Logistic,
    /// Softmax.
    Softmax,
}

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// -1, 0 or 1.
    Sign,
}

impl Activation {
    /// Its value.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Relu => x.max(0.0),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
            Self::Sign if x == 0.0 => 0.0,
            Self::Sign => x.signum(),
        }
    }
}

/// Arithmetic of two tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// a + b.
    Add,
    /// a - b.
    Sub,
    /// a b.
    Mul,
    /// a / b.
    Div,
}

/// Rows of weights with a constant each; a classifier has labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// One row of weights a score.
    pub rows: Vec<Vec<f64>>,
    /// One constant a score.
    pub constants: Vec<f64>,
    /// Labels of a classifier's classes; empty for a regressor.
    pub labels: Vec<String>,
    /// After the scores.
    pub post: Post,
}

/// An operator.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// A constant.
    Constant(Constant),
    /// Hands its first input on: casts, reshapes of one row, ZipMap.
    Identity,
    /// (x - offset) scale.
    Scaler {
        /// Offsets; one, or one a feature.
        offset: Vec<f64>,
        /// Factors, likewise.
        scale: Vec<f64>,
    },
    /// Linear classifiers and regressors, also as support vectors.
    Linear(Linear),
    /// Trees.
    Trees(Ensemble),
    /// Arithmetic.
    Arithmetic(Arithmetic),
    /// Row times a constant matrix.
    MatMul,
    /// alpha row B + beta C.
    Gemm {
        /// alpha.
        alpha: f64,
        /// beta.
        beta: f64,
        /// Whether B is transposed.
        transposed: bool,
    },
    /// A function of each number.
    Activation(Activation),
    /// Softmax over the row.
    Softmax,
    /// Index of the first greatest.
    ArgMax,
    /// Rows side by side.
    Concat,
    /// Elements of the first input at the indices of the second.
    Pick,
}

/// Reads a node's operator.
pub fn read(place: &Place, node: &NodeProto, a: &Attributes<'_>) -> Result<Op, OnnxError> {
    let ml = node.domain == "ai.onnx.ml";
    if !ml && !node.domain.is_empty() && node.domain != "ai.onnx" {
        return Err(unsupported(place, "its domain is unknown"));
    }
    let op = match (ml, node.op_type.as_str()) {
        (false, "Constant") => {
            let value = a.tensor("value")?;
            Op::Constant(value.ok_or_else(|| a.refuse("value", "only tensors are supported"))?)
        }
        (false, "Identity" | "Dropout") => Op::Identity,
        (false, "Cast") => {
            a.ignore("to");
            a.ignore("saturate");
            Op::Identity
        }
        (false, "Flatten" | "Squeeze" | "Unsqueeze" | "Reshape") => {
            for name in ["axis", "axes", "allowzero", "shape"] {
                a.ignore(name);
            }
            Op::Identity
        }
        (true, "ZipMap") => {
            a.ignore("classlabels_int64s");
            a.ignore("classlabels_strings");
            Op::Identity
        }
        (true, "Scaler") => Op::Scaler {
            offset: wide(a.floats("offset")?),
            scale: wide(a.floats("scale")?),
        },
        (true, "LinearClassifier") => linear_classifier(a)?,
        (true, "LinearRegressor") => linear_regressor(a)?,
        (true, "SVMClassifier") => svm(a, true)?,
        (true, "SVMRegressor") => svm(a, false)?,
        (true, "TreeEnsembleClassifier") => Op::Trees(trees::read(a, true)?),
        (true, "TreeEnsembleRegressor") => Op::Trees(trees::read(a, false)?),
        (true, "ArrayFeatureExtractor") => Op::Pick,
        (false, "Gather") => {
            a.ignore("axis");
            Op::Pick
        }
        (true, "Normalizer") => {
            return Err(unsupported(
                place,
                "a row's own norm is no linear function of it; scale columns instead",
            ));
        }
        (false, "Add") => Op::Arithmetic(Arithmetic::Add),
        (false, "Sub") => Op::Arithmetic(Arithmetic::Sub),
        (false, "Mul") => Op::Arithmetic(Arithmetic::Mul),
        (false, "Div") => Op::Arithmetic(Arithmetic::Div),
        (false, "MatMul") => Op::MatMul,
        (false, "Gemm") => {
            if a.int("transA", 0)? != 0 {
                return Err(a.refuse("transA", "only 0 is supported"));
            }
            Op::Gemm {
                alpha: a.float("alpha", 1.0)?,
                beta: a.float("beta", 1.0)?,
                transposed: a.int("transB", 0)? != 0,
            }
        }
        (false, "Relu") => Op::Activation(Activation::Relu),
        (false, "Sigmoid") => Op::Activation(Activation::Sigmoid),
        (false, "Tanh") => Op::Activation(Activation::Tanh),
        (false, "Sign") => Op::Activation(Activation::Sign),
        (false, "Softmax") => {
            row_axis(a, -1)?;
            Op::Softmax
        }
        (false, "ArgMax") => {
            row_axis(a, 0)?;
            a.ignore("keepdims");
            if a.int("select_last_index", 0)? != 0 {
                return Err(a.refuse("select_last_index", "only 0 is supported"));
            }
            Op::ArgMax
        }
        (false, "Concat") => {
            row_axis(a, 0)?;
            Op::Concat
        }
        _ => return Err(unsupported(place, "no such operator is supported")),
    };
    a.finish()?;
    Ok(op)
}

fn unsupported(place: &Place, reason: &str) -> OnnxError {
    OnnxError::Operator {
        place: place.clone(),
        reason: reason.to_owned(),
    }
}

/// The axis must be the one along a row.
fn row_axis(a: &Attributes<'_>, default: i64) -> Result<(), OnnxError> {
    match a.int("axis", default)? {
        1 | -1 => Ok(()),
        other => Err(a.refuse("axis", &format!("{other}: only 1 and -1 are supported"))),
    }
}

/// Floats as doubles.
pub fn wide(v: &[f32]) -> Vec<f64> {
    v.iter().map(|x| f64::from(*x)).collect()
}

/// The classifier's labels, of either type.
pub fn labels(a: &Attributes<'_>, ints: &str, texts: &str) -> Result<Vec<String>, OnnxError> {
    let named = a.ints(ints)?;
    if named.is_empty() {
        return a.texts(texts);
    }
    a.ignore(texts);
    Ok(named.iter().map(ToString::to_string).collect())
}

/// `post_transform`, for classifiers.
pub fn post(a: &Attributes<'_>) -> Result<Post, OnnxError> {
    match a.text("post_transform", "NONE")?.as_str() {
        "NONE" => Ok(Post::None),
        "LOGISTIC" => Ok(Post::Logistic),
        "SOFTMAX" => Ok(Post::Softmax),
        other => Err(a.refuse("post_transform", &format!("{other} is not supported"))),
    }
}

fn no_post(a: &Attributes<'_>) -> Result<(), OnnxError> {
    match post(a)? {
        Post::None => Ok(()),
        _ => Err(a.refuse("post_transform", "only NONE is supported here")),
    }
}

fn split(
    a: &Attributes<'_>,
    coefficients: &[f32],
    rows: usize,
) -> Result<Vec<Vec<f64>>, OnnxError> {
    if rows == 0 || coefficients.is_empty() || !coefficients.len().is_multiple_of(rows) {
        return Err(a.refuse(
            "coefficients",
            &format!("{} numbers for {rows} rows", coefficients.len()),
        ));
    }
    Ok(coefficients
        .chunks(coefficients.len() / rows)
        .map(wide)
        .collect())
}

fn linear_classifier(a: &Attributes<'_>) -> Result<Op, OnnxError> {
    let constants = wide(a.floats("intercepts")?);
    let rows = split(a, a.floats("coefficients")?, constants.len())?;
    let labels = labels(a, "classlabels_ints", "classlabels_strings")?;
    // One-against-all or not: the classes' scores are the same.
    a.ignore("multi_class");
    if labels.len() < 2
        || (constants.len() != labels.len() && (constants.len(), labels.len()) != (1, 2))
    {
        return Err(a.refuse(
            "intercepts",
            &format!("{} for {} classes", constants.len(), labels.len()),
        ));
    }
    Ok(Op::Linear(Linear {
        rows,
        constants,
        labels,
        post: post(a)?,
    }))
}

fn linear_regressor(a: &Attributes<'_>) -> Result<Op, OnnxError> {
    no_post(a)?;
    let targets = usize::try_from(a.int("targets", 1)?).unwrap_or(0);
    let rows = split(a, a.floats("coefficients")?, targets)?;
    let mut constants = wide(a.floats("intercepts")?);
    if constants.is_empty() {
        constants = vec![0.0; targets];
    }
    if constants.len() != targets {
        return Err(a.refuse(
            "intercepts",
            &format!("{} for {targets} targets", constants.len()),
        ));
    }
    Ok(Op::Linear(Linear {
        rows,
        constants,
        labels: Vec::new(),
        post: Post::None,
    }))
}

/// Support vectors under the linear kernel: their weighted sum.
fn svm(a: &Attributes<'_>, classifier: bool) -> Result<Op, OnnxError> {
    if a.text("kernel_type", "LINEAR")? != "LINEAR" {
        return Err(a.refuse("kernel_type", "only LINEAR is supported"));
    }
    a.ignore("kernel_params");
    no_post(a)?;
    let rho = wide(a.floats("rho")?);
    let [rho] = rho.as_slice() else {
        return Err(a.refuse("rho", &format!("{} numbers, one is supported", rho.len())));
    };
    let coefficients = a.floats("coefficients")?;
    let vectors = a.floats("support_vectors")?;
    let labels = if classifier {
        for name in ["prob_a", "prob_b"] {
            if !a.floats(name)?.is_empty() {
                return Err(a.refuse(name, "probabilities of support vectors are not supported"));
            }
        }
        a.ignore("vectors_per_class");
        let labels = labels(a, "classlabels_ints", "classlabels_strings")?;
        if labels.len() != 2 {
            return Err(a.refuse(
                "classlabels_ints",
                &format!("{} classes, two are supported", labels.len()),
            ));
        }
        labels
    } else {
        a.ignore("n_supports");
        if a.int("one_class", 0)? != 0 {
            return Err(a.refuse("one_class", "only 0 is supported"));
        }
        Vec::new()
    };
    let row = if vectors.is_empty() {
        wide(coefficients)
    } else {
        let each = split(a, vectors, coefficients.len())?;
        let mut sum = vec![0.0; each.first().map_or(0, Vec::len)];
        for (c, v) in coefficients.iter().zip(&each) {
            for (s, x) in sum.iter_mut().zip(v) {
                *s += f64::from(*c) * x;
            }
        }
        sum
    };
    // libsvm's decision is positive for the first class; ours for the second.
    let sign = if classifier && !vectors.is_empty() {
        -1.0
    } else {
        1.0
    };
    Ok(Op::Linear(Linear {
        rows: vec![row.iter().map(|w| w * sign).collect()],
        constants: vec![rho * sign],
        labels,
        post: Post::None,
    }))
}
