//! Float evaluation of a graph, one row at a time (PRG-14): what the quantised
//! program is compared with, itself compared with ONNX Runtime in tests.

use crate::{
    constant::{Constant, Elements},
    error::OnnxError,
    graph::{Graph, MAX_WIDTH, Node},
    ops::{Arithmetic, Linear, Op, Post},
    trees::Ensemble,
};
use std::collections::HashMap;

/// A row of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Numbers.
    Numbers(Vec<f64>),
    /// Texts: labels.
    Texts(Vec<String>),
}

impl Graph {
    /// The graph's outputs for one row, in order.
    pub fn evaluate(&self, row: &[f32]) -> Result<Vec<Value>, OnnxError> {
        if row.len() != self.features() {
            return Err(OnnxError::Count {
                field: "row",
                expected: self.features(),
                found: row.len(),
            });
        }
        let mut values: HashMap<&str, Value> = HashMap::new();
        let mut rest = row;
        for (name, width) in &self.inputs {
            let (head, tail) = rest.split_at(*width);
            rest = tail;
            values.insert(
                name,
                Value::Numbers(head.iter().map(|v| f64::from(*v)).collect()),
            );
        }
        for node in &self.nodes {
            let made = self.node(node, &values)?;
            for v in &made {
                let width = match v {
                    Value::Numbers(n) => n.len(),
                    Value::Texts(t) => t.len(),
                };
                check_width(width)?;
            }
            for (name, value) in node.outputs.iter().zip(made) {
                values.insert(name, value);
            }
        }
        self.outputs
            .iter()
            .map(|o| {
                values
                    .get(o.as_str())
                    .cloned()
                    .ok_or_else(|| OnnxError::NoScore {
                        output: o.clone(),
                        reason: "no node makes it".into(),
                    })
            })
            .collect()
    }

    fn node(&self, node: &Node, values: &HashMap<&str, Value>) -> Result<Vec<Value>, OnnxError> {
        let refuse = |reason: &str| OnnxError::Shape {
            place: node.place.clone(),
            reason: reason.to_owned(),
        };
        let input = |i: usize| -> Result<Value, OnnxError> {
            let name = node
                .inputs
                .get(i)
                .ok_or_else(|| refuse("an input is missing"))?;
            match (values.get(name.as_str()), self.constants.get(name)) {
                (Some(v), _) => Ok(v.clone()),
                (None, Some(c)) => flat(c).ok_or_else(|| refuse("a constant of several rows")),
                (None, None) => Err(OnnxError::NoTensor {
                    place: node.place.clone(),
                    tensor: name.clone(),
                }),
            }
        };
        let numbers = |i: usize| match input(i)? {
            Value::Numbers(n) => Ok(n),
            Value::Texts(_) => Err(refuse("texts where numbers are expected")),
        };
        let constant = |i: usize| node.inputs.get(i).and_then(|n| self.constants.get(n));
        let one = |n: Vec<f64>| Ok(vec![Value::Numbers(n)]);
        match &node.op {
            Op::Constant(_) => Err(refuse("a constant is not evaluated")),
            Op::Identity => Ok(vec![input(0)?]),
            Op::Scaler { offset, scale } => {
                let x = numbers(0)?;
                let at = |v: &[f64], i: usize, default: f64| match v {
                    [] => Some(default),
                    [one] => Some(*one),
                    v => v.get(i).copied(),
                };
                x.iter()
                    .enumerate()
                    .map(|(i, x)| Some((x - at(offset, i, 0.0)?) * at(scale, i, 1.0)?))
                    .collect::<Option<Vec<f64>>>()
                    .map(|v| vec![Value::Numbers(v)])
                    .ok_or_else(|| refuse("fewer offsets or factors than features"))
            }
            Op::Linear(l) => {
                let x = numbers(0)?;
                if l.rows.iter().any(|r| r.len() != x.len()) {
                    return Err(refuse("weights for another number of features"));
                }
                Ok(linear(l, &x))
            }
            Op::Trees(e) => {
                let x = numbers(0)?;
                if e.greatest_feature().is_some_and(|f| f >= x.len()) {
                    return Err(refuse("a tree compares a feature that is not there"));
                }
                Ok(ensemble(e, &x))
            }
            Op::Arithmetic(op) => {
                let (a, b) = (numbers(0)?, numbers(1)?);
                let n = a.len().max(b.len());
                if (a.len() != n && a.len() != 1) || (b.len() != n && b.len() != 1) {
                    return Err(refuse("widths differ"));
                }
                let pick = |v: &[f64], i: usize| {
                    v.get(if v.len() == 1 { 0 } else { i })
                        .copied()
                        .unwrap_or(0.0)
                };
                one((0..n).map(|i| op.apply(pick(&a, i), pick(&b, i))).collect())
            }
            Op::MatMul => {
                let b = constant(1).and_then(Constant::matrix);
                let b = b.ok_or_else(|| refuse("the right factor is no constant matrix"))?;
                one(times(&numbers(0)?, b, false).ok_or_else(|| refuse("widths differ"))?)
            }
            Op::Gemm {
                alpha,
                beta,
                transposed,
            } => {
                let b = constant(1).and_then(Constant::matrix);
                let b = b.ok_or_else(|| refuse("B is no constant matrix"))?;
                let mut out =
                    times(&numbers(0)?, b, *transposed).ok_or_else(|| refuse("widths differ"))?;
                let c = if node.inputs.len() > 2 {
                    numbers(2)?
                } else {
                    vec![0.0]
                };
                if c.len() != 1 && c.len() != out.len() {
                    return Err(refuse("C has another width"));
                }
                for (i, v) in out.iter_mut().enumerate() {
                    let c = c
                        .get(if c.len() == 1 { 0 } else { i })
                        .copied()
                        .unwrap_or(0.0);
                    *v = alpha * *v + beta * c;
                }
                one(out)
            }
            Op::Activation(f) => one(numbers(0)?.into_iter().map(|x| f.apply(x)).collect()),
            Op::Softmax => one(softmax(&numbers(0)?)),
            Op::ArgMax => one(vec![argmax(&numbers(0)?) as f64]),
            Op::Concat => {
                let mut out = Vec::new();
                for i in 0..node.inputs.len() {
                    out.extend(numbers(i)?);
                    check_width(out.len())?;
                }
                one(out)
            }
            Op::Pick => {
                let at = numbers(1)?;
                let index = |i: &f64| if *i >= 0.0 { Some(*i as usize) } else { None };
                let gone = || refuse("an index beyond what is picked from");
                match input(0)? {
                    Value::Numbers(n) => one(at
                        .iter()
                        .map(|i| n.get(index(i)?).copied())
                        .collect::<Option<_>>()
                        .ok_or_else(gone)?),
                    Value::Texts(t) => Ok(vec![Value::Texts(
                        at.iter()
                            .map(|i| t.get(index(i)?).cloned())
                            .collect::<Option<_>>()
                            .ok_or_else(gone)?,
                    )]),
                }
            }
        }
    }
}

impl Arithmetic {
    /// Its value.
    pub fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
        }
    }
}

/// Rows of tensors are bounded: a few nodes could double one many times.
pub(crate) fn check_width(width: usize) -> Result<(), OnnxError> {
    if width > MAX_WIDTH {
        return Err(OnnxError::TooLarge {
            field: "width of a tensor",
            limit: MAX_WIDTH as u64,
            value: width as u64,
        });
    }
    Ok(())
}

/// A constant of one row.
pub(crate) fn flat(c: &Constant) -> Option<Value> {
    let rows: usize = match c.dims.split_last() {
        Some((_, outer)) => outer.iter().product(),
        None => 1,
    };
    if rows > 1 {
        return None;
    }
    Some(match &c.elements {
        Elements::Numbers(n) => Value::Numbers(n.clone()),
        Elements::Texts(t) => Value::Texts(t.clone()),
    })
}

/// Row times matrix.
pub(crate) fn times(x: &[f64], b: (usize, usize, &[f64]), transposed: bool) -> Option<Vec<f64>> {
    let (rows, columns, m) = b;
    let (inner, outer) = if transposed {
        (columns, rows)
    } else {
        (rows, columns)
    };
    if x.len() != inner {
        return None;
    }
    let at = |i: usize, j: usize| {
        if transposed {
            j * columns + i
        } else {
            i * columns + j
        }
    };
    (0..outer)
        .map(|j| {
            let mut sum = 0.0;
            for (i, v) in x.iter().enumerate() {
                sum += v * m.get(at(i, j))?;
            }
            Some(sum)
        })
        .collect()
}

/// Index of the first greatest number.
pub fn argmax(v: &[f64]) -> usize {
    let mut best = 0;
    for (i, x) in v.iter().enumerate() {
        if v.get(best).is_none_or(|b| x > b) {
            best = i;
        }
    }
    best
}

fn softmax(v: &[f64]) -> Vec<f64> {
    let top = v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = v.iter().map(|x| (x - top).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|x| x / sum).collect()
}

fn transform(post: Post, scores: Vec<f64>) -> Vec<f64> {
    match post {
        Post::None => scores,
        Post::Logistic => scores.iter().map(|s| 1.0 / (1.0 + (-s).exp())).collect(),
        Post::Softmax => softmax(&scores),
    }
}

fn label(labels: &[String], scores: &[f64], threshold: f64) -> Value {
    let at = match scores {
        [one] => usize::from(*one > threshold),
        many => argmax(many),
    };
    Value::Texts(labels.get(at).cloned().into_iter().collect())
}

fn linear(l: &Linear, x: &[f64]) -> Vec<Value> {
    let scores: Vec<f64> = l
        .rows
        .iter()
        .zip(&l.constants)
        .map(|(r, c)| c + r.iter().zip(x).map(|(w, x)| w * x).sum::<f64>())
        .collect();
    if l.labels.is_empty() {
        return vec![Value::Numbers(scores)];
    }
    let said = label(&l.labels, &scores, 0.0);
    vec![said, Value::Numbers(transform(l.post, scores))]
}

fn ensemble(e: &Ensemble, x: &[f64]) -> Vec<Value> {
    let scores = e.scores(x);
    if e.labels.is_empty() {
        return vec![Value::Numbers(scores)];
    }
    let said = label(&e.labels, &scores, e.threshold);
    vec![said, Value::Numbers(transform(e.post, scores))]
}
