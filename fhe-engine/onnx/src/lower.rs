//! From a graph to its one score (PRG-14): a walk in which every tensor is an
//! affine function of the features or of the last hidden layer, or a stage of
//! the usual endings of classifiers.

use crate::{
    constant::{Constant, Elements},
    error::OnnxError,
    evaluate::{Value, check_width, flat},
    graph::{Graph, MAX_WEIGHTS, Node},
    model::{Affine, Body, Dense, Meaning, Model, ScoreNode, ScoreTree},
    ops::{Activation, Arithmetic, Linear, Op},
    trees::{Ensemble, Rule, TreeNode},
};
use std::collections::HashMap;

/// Most units of all hidden layers.
pub const MAX_UNITS: usize = 1_024;

/// A score before it is known what becomes of it.
#[derive(Debug, Clone)]
enum Core {
    Affine {
        depth: usize,
        row: Affine,
    },
    Trees {
        trees: Vec<ScoreTree>,
        constant: f64,
    },
}

/// What a tensor is.
#[derive(Debug, Clone)]
enum Symbol {
    /// Rows over the features (depth 0) or over hidden layer `depth`.
    Affine { depth: usize, rows: Vec<Affine> },
    /// An activation of such rows, not yet a hidden layer.
    Activated {
        depth: usize,
        rows: Vec<Affine>,
        f: Activation,
    },
    /// One minus the logistic function of a score.
    Complement(Core),
    /// Scores of two classes, or probabilities in their order.
    Pair(Core),
    /// Index of the class.
    Index(Core),
    /// Label of the class.
    Label(Core, [String; 2]),
    /// A regression by trees.
    Trees(Core),
    /// Something that no score can be made of, and why.
    Other(&'static str),
    /// A node that was refused: it counts only if no output does without it.
    Refused(OnnxError),
}

struct Walk<'a> {
    graph: &'a Graph,
    symbols: HashMap<&'a str, Symbol>,
    hidden: Vec<Dense>,
    /// Which activated tensor became which hidden layer.
    layers: HashMap<&'a str, usize>,
}

impl Graph {
    /// The graph's one score.
    pub fn model(&self) -> Result<Model, OnnxError> {
        let features = self.features();
        let mut walk = Walk {
            graph: self,
            symbols: HashMap::new(),
            hidden: Vec::new(),
            layers: HashMap::new(),
        };
        let mut first = 0;
        for (name, width) in &self.inputs {
            let rows = (first..first + width).map(|i| unit(features, i)).collect();
            first += width;
            walk.symbols.insert(name, Symbol::Affine { depth: 0, rows });
        }
        let mut held = 0;
        for node in &self.nodes {
            let made = walk
                .refused(node)
                .map_or_else(|| walk.node(node), Err)
                .unwrap_or_else(|e| vec![Symbol::Refused(e); node.outputs.len()]);
            held += made.iter().map(weights).sum::<usize>();
            if held > MAX_WEIGHTS {
                return Err(OnnxError::TooLarge {
                    field: "weights of all tensors",
                    limit: MAX_WEIGHTS as u64,
                    value: held as u64,
                });
            }
            for (name, s) in node.outputs.iter().zip(made) {
                walk.symbols.insert(name, s);
            }
        }
        walk.finish(features)
    }
}

/// Weights that a symbol holds.
fn weights(s: &Symbol) -> usize {
    match s {
        Symbol::Affine { rows, .. } | Symbol::Activated { rows, .. } => {
            rows.iter().map(|r| r.weights.len()).sum()
        }
        Symbol::Complement(c)
        | Symbol::Pair(c)
        | Symbol::Index(c)
        | Symbol::Label(c, _)
        | Symbol::Trees(c) => match c {
            Core::Affine { row, .. } => row.weights.len(),
            Core::Trees { trees, .. } => trees.iter().map(|t| t.nodes.len()).sum(),
        },
        Symbol::Other(_) | Symbol::Refused(_) => 0,
    }
}

fn unit(features: usize, at: usize) -> Affine {
    let mut weights = vec![0.0; features];
    if let Some(w) = weights.get_mut(at) {
        *w = 1.0;
    }
    Affine {
        weights,
        constant: 0.0,
    }
}

impl<'a> Walk<'a> {
    /// The refusal of an input, if there is one.
    fn refused(&self, node: &Node) -> Option<OnnxError> {
        node.inputs
            .iter()
            .find_map(|i| match self.symbols.get(i.as_str()) {
                Some(Symbol::Refused(e)) => Some(e.clone()),
                _ => None,
            })
    }

    fn finish(self, features: usize) -> Result<Model, OnnxError> {
        let mut refusal = None;
        let mut reason = "no node makes it";
        let mut output = String::new();
        for name in &self.graph.outputs {
            output.clone_from(name);
            let numbers = || ["0".to_owned(), "1".to_owned()];
            let (core, meaning) = match self.symbols.get(name.as_str()) {
                Some(Symbol::Label(c, labels)) => (c.clone(), Meaning::Decision(labels.clone())),
                Some(Symbol::Pair(c) | Symbol::Index(c)) => {
                    (c.clone(), Meaning::Decision(numbers()))
                }
                Some(Symbol::Trees(c)) => (c.clone(), Meaning::Value),
                Some(Symbol::Affine { depth, rows }) => match rows.as_slice() {
                    [row] => (core(*depth, row.clone()), Meaning::Value),
                    [a, b] => (difference(*depth, a, b), Meaning::Decision(numbers())),
                    _ => {
                        reason = "more than two scores";
                        continue;
                    }
                },
                Some(Symbol::Activated { depth, rows, f }) => match (rows.as_slice(), f) {
                    ([row], Activation::Sigmoid) => {
                        (core(*depth, row.clone()), Meaning::Decision(numbers()))
                    }
                    _ => {
                        reason = "it ends in an activation that no decision is made of";
                        continue;
                    }
                },
                Some(Symbol::Complement(_)) => {
                    reason = "only the first class's probability";
                    continue;
                }
                Some(Symbol::Other(why)) => {
                    reason = why;
                    continue;
                }
                Some(Symbol::Refused(e)) => {
                    refusal.get_or_insert_with(|| e.clone());
                    continue;
                }
                None => continue,
            };
            let body = match core {
                Core::Trees { trees, constant } => Body::Trees { trees, constant },
                Core::Affine { depth: 0, row } => Body::Linear(row),
                Core::Affine { depth, row } => {
                    let mut hidden = self.hidden;
                    hidden.truncate(depth);
                    Body::Network { hidden, last: row }
                }
            };
            return Ok(Model {
                features,
                body,
                meaning,
            });
        }
        Err(refusal.unwrap_or_else(|| OnnxError::NoScore {
            output,
            reason: reason.into(),
        }))
    }

    fn node(&mut self, node: &'a Node) -> Result<Vec<Symbol>, OnnxError> {
        let refuse = |reason: &str| OnnxError::Shape {
            place: node.place.clone(),
            reason: reason.to_owned(),
        };
        let one = |s: Symbol| Ok(vec![s]);
        match &node.op {
            Op::Constant(_) => Err(refuse("a constant has no score")),
            Op::Identity => match self.symbol(node, 0) {
                Some(s) => one(s),
                None => one(Symbol::Other("a constant")),
            },
            Op::Scaler { offset, scale } => {
                let (depth, rows) = self.affine(node, 0)?;
                let at = |v: &[f64], i: usize, default: f64| match v {
                    [] => Some(default),
                    [one] => Some(*one),
                    v => v.get(i).copied(),
                };
                let rows = rows
                    .iter()
                    .enumerate()
                    .map(|(i, r)| {
                        let (o, s) = (at(offset, i, 0.0)?, at(scale, i, 1.0)?);
                        Some(scaled(&shifted(r, -o), s))
                    })
                    .collect::<Option<_>>()
                    .ok_or_else(|| refuse("fewer offsets or factors than features"))?;
                one(Symbol::Affine { depth, rows })
            }
            Op::Linear(l) => self.linear(node, l),
            Op::Trees(e) => self.trees(node, e),
            Op::Arithmetic(op) => one(self.arithmetic(node, *op)?),
            Op::MatMul | Op::Gemm { .. } => one(self.product(node)?),
            Op::Activation(f) => {
                let (depth, rows) = self.affine(node, 0)?;
                one(Symbol::Activated { depth, rows, f: *f })
            }
            Op::Softmax => match self.symbol(node, 0) {
                Some(Symbol::Affine { depth, rows }) => match rows.as_slice() {
                    [a, b] => one(Symbol::Pair(difference(depth, a, b))),
                    _ => one(Symbol::Other("softmax over other than two scores")),
                },
                _ => one(Symbol::Other("softmax over what is no sum")),
            },
            Op::ArgMax => one(match self.symbol(node, 0) {
                Some(Symbol::Pair(c)) => Symbol::Index(c),
                Some(
                    Symbol::Affine { depth, rows }
                    | Symbol::Activated {
                        depth,
                        rows,
                        f: Activation::Sigmoid | Activation::Tanh,
                    },
                ) => match rows.as_slice() {
                    [a, b] => Symbol::Index(difference(depth, a, b)),
                    _ => Symbol::Other("a decision between more than two classes"),
                },
                _ => Symbol::Other("a decision of what is no pair of scores"),
            }),
            Op::Concat => one(self.concat(node)?),
            Op::Pick => one(self.pick(node)?),
        }
    }

    fn symbol(&self, node: &Node, i: usize) -> Option<Symbol> {
        self.symbols.get(node.inputs.get(i)?.as_str()).cloned()
    }

    fn constant(&self, node: &Node, i: usize) -> Option<&'a Constant> {
        self.graph.constants.get(node.inputs.get(i)?)
    }

    /// Rows of an input; an activated tensor becomes the next hidden layer.
    fn affine(&mut self, node: &'a Node, i: usize) -> Result<(usize, Vec<Affine>), OnnxError> {
        let refuse = |reason: &str| OnnxError::Shape {
            place: node.place.clone(),
            reason: reason.to_owned(),
        };
        match self.symbol(node, i) {
            Some(Symbol::Affine { depth, rows }) => Ok((depth, rows)),
            Some(Symbol::Activated { depth, rows, f }) => {
                let name = node.inputs.get(i).map(String::as_str).unwrap_or_default();
                let width = rows.len();
                let at = match self.layers.get(name) {
                    Some(at) => *at,
                    None => {
                        if depth != self.hidden.len() {
                            return Err(refuse("hidden layers that branch are not supported"));
                        }
                        let all: usize = self.hidden.iter().map(|h| h.units.len()).sum();
                        if all + width > MAX_UNITS {
                            return Err(OnnxError::TooLarge {
                                field: "hidden units",
                                limit: MAX_UNITS as u64,
                                value: (all + width) as u64,
                            });
                        }
                        self.hidden.push(Dense {
                            units: rows,
                            activation: f,
                        });
                        self.layers.insert(name, self.hidden.len());
                        self.hidden.len()
                    }
                };
                Ok((at, (0..width).map(|i| unit(width, i)).collect()))
            }
            Some(Symbol::Other(why)) => Err(refuse(why)),
            _ => Err(refuse("its input is no sum of features or units")),
        }
    }

    fn linear(&mut self, node: &'a Node, l: &Linear) -> Result<Vec<Symbol>, OnnxError> {
        let (depth, rows) = self.affine(node, 0)?;
        let composed = l
            .rows
            .iter()
            .zip(&l.constants)
            .map(|(w, c)| compose(&rows, w.iter().copied(), *c))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| OnnxError::Shape {
                place: node.place.clone(),
                reason: "weights for another number of features".into(),
            })?;
        if l.labels.is_empty() {
            return Ok(vec![Symbol::Affine {
                depth,
                rows: composed,
            }]);
        }
        let score = match composed.as_slice() {
            [one] => core(depth, one.clone()),
            [a, b] => difference(depth, a, b),
            _ => return Ok(vec![Symbol::Other(MANY), Symbol::Other(MANY)]),
        };
        Ok(classified(score, &l.labels))
    }

    fn trees(&mut self, node: &'a Node, e: &Ensemble) -> Result<Vec<Symbol>, OnnxError> {
        let refuse = |reason: &str| OnnxError::Shape {
            place: node.place.clone(),
            reason: reason.to_owned(),
        };
        let (depth, rows) = self.affine(node, 0)?;
        if depth != 0 {
            return Err(refuse("trees over hidden layers are not supported"));
        }
        // The score is the difference of the second and the first.
        let weigh = |score: usize| match (e.base.len(), score) {
            (1, _) | (2, 1) => Some(1.0),
            (2, 0) => Some(-1.0),
            _ => None,
        };
        if e.base.len() > 2 || (e.labels.is_empty() && e.base.len() > 1) {
            return Ok(vec![Symbol::Other(MANY), Symbol::Other(MANY)]);
        }
        let constant = e
            .base
            .iter()
            .enumerate()
            .filter_map(|(i, b)| Some(b * weigh(i)?))
            .sum::<f64>()
            - if e.labels.is_empty() {
                0.0
            } else {
                e.threshold
            };
        let mut trees = Vec::new();
        for t in &e.trees {
            let nodes = t
                .nodes
                .iter()
                .map(|n| match n {
                    TreeNode::Leaf(v) => Some(ScoreNode::Leaf(
                        v.iter().filter_map(|(s, w)| Some(w * weigh(*s)?)).sum(),
                    )),
                    TreeNode::Branch {
                        feature,
                        rule,
                        threshold,
                        yes,
                        no,
                    } => branch(rows.get(*feature)?, *rule, f64::from(*threshold), *yes, *no),
                })
                .collect::<Option<Vec<_>>>();
            let nodes = nodes.ok_or_else(|| {
                refuse("a tree compares a feature that is not there, or a sum of several")
            })?;
            trees.push(ScoreTree { nodes });
        }
        let score = Core::Trees { trees, constant };
        if e.labels.is_empty() {
            return Ok(vec![Symbol::Trees(score)]);
        }
        Ok(classified(score, &e.labels))
    }

    fn arithmetic(&mut self, node: &'a Node, op: Arithmetic) -> Result<Symbol, OnnxError> {
        let refuse = |reason: &str| OnnxError::Shape {
            place: node.place.clone(),
            reason: reason.to_owned(),
        };
        let numbers = |c: Option<&Constant>| match c.and_then(flat) {
            Some(Value::Numbers(n)) => Some(n),
            _ => None,
        };
        let (left, right) = (
            numbers(self.constant(node, 0)),
            numbers(self.constant(node, 1)),
        );
        // One minus a probability.
        if let (
            Some(ones),
            Arithmetic::Sub,
            Some(Symbol::Activated {
                depth,
                rows,
                f: Activation::Sigmoid,
            }),
        ) = (&left, op, self.symbol(node, 1))
            && let ([one], [row]) = (ones.as_slice(), rows.as_slice())
            && *one == 1.0
        {
            return Ok(Symbol::Complement(core(depth, row.clone())));
        }
        let (at, c, constant_left) = match (left, right) {
            (Some(c), None) => (1, c, true),
            (None, Some(c)) => (0, c, false),
            (None, None) => return self.sum_of_two(node, op),
            (Some(_), Some(_)) => return Err(refuse("both sides are constants")),
        };
        let (depth, rows) = self.affine(node, at)?;
        let n = rows.len().max(c.len());
        check_width(n)?;
        if (c.len() != n && c.len() != 1) || (rows.len() != n && rows.len() != 1) {
            return Err(refuse("widths differ"));
        }
        let rows = (0..n)
            .map(|i| {
                let c = c.get(if c.len() == 1 { 0 } else { i })?;
                let r = rows.get(if rows.len() == 1 { 0 } else { i })?;
                Some(match (op, constant_left) {
                    (Arithmetic::Add, _) => shifted(r, *c),
                    (Arithmetic::Sub, false) => shifted(r, -c),
                    (Arithmetic::Sub, true) => shifted(&scaled(r, -1.0), *c),
                    (Arithmetic::Mul, _) => scaled(r, *c),
                    (Arithmetic::Div, false) if *c != 0.0 => scaled(r, 1.0 / c),
                    (Arithmetic::Div, _) => return None,
                })
            })
            .collect::<Option<_>>()
            .ok_or_else(|| refuse("a division by zero or by features"))?;
        Ok(Symbol::Affine { depth, rows })
    }

    fn sum_of_two(&mut self, node: &'a Node, op: Arithmetic) -> Result<Symbol, OnnxError> {
        let refuse = |reason: &str| OnnxError::Shape {
            place: node.place.clone(),
            reason: reason.to_owned(),
        };
        let sign = match op {
            Arithmetic::Add => 1.0,
            Arithmetic::Sub => -1.0,
            _ => return Err(refuse("products of features are not supported")),
        };
        let ((depth, a), (other, b)) = (self.affine(node, 0)?, self.affine(node, 1)?);
        if depth != other || a.len() != b.len() {
            return Err(refuse(
                "sums across layers or of other widths are not supported",
            ));
        }
        let rows = a
            .iter()
            .zip(&b)
            .map(|(a, b)| a.combine(1.0, b, sign))
            .collect();
        Ok(Symbol::Affine { depth, rows })
    }

    fn product(&mut self, node: &'a Node) -> Result<Symbol, OnnxError> {
        let refuse = |reason: &str| OnnxError::Shape {
            place: node.place.clone(),
            reason: reason.to_owned(),
        };
        let (alpha, beta, transposed) = match &node.op {
            Op::Gemm {
                alpha,
                beta,
                transposed,
            } => (*alpha, *beta, *transposed),
            _ => (1.0, 0.0, false),
        };
        let (height, width, m) = self
            .constant(node, 1)
            .and_then(Constant::matrix)
            .ok_or_else(|| refuse("the right factor is no constant matrix"))?;
        let (depth, rows) = self.affine(node, 0)?;
        let outer = if transposed { height } else { width };
        check_width(outer)?;
        let bias = match self.constant(node, 2).and_then(flat) {
            Some(Value::Numbers(n)) if n.len() == 1 || n.len() == outer => n,
            None if node.inputs.len() <= 2 => vec![0.0],
            _ => return Err(refuse("C is no constant of this width")),
        };
        let at = |i: usize, j: usize| {
            if transposed {
                j * width + i
            } else {
                i * width + j
            }
        };
        let rows = (0..outer)
            .map(|j| {
                let column =
                    (0..rows.len()).map(|i| m.get(at(i, j)).map_or(f64::NAN, |v| alpha * v));
                let c = bias.get(if bias.len() == 1 { 0 } else { j })?;
                compose(&rows, column, beta * c)
            })
            .collect::<Option<Vec<_>>>()
            .filter(|_| rows.len() == if transposed { width } else { height })
            .ok_or_else(|| refuse("widths differ"))?;
        Ok(Symbol::Affine { depth, rows })
    }

    fn concat(&mut self, node: &'a Node) -> Result<Symbol, OnnxError> {
        // [1 - p, p].
        if let (2, Some(Symbol::Complement(c)), Some(Symbol::Activated { .. })) = (
            node.inputs.len(),
            self.symbol(node, 0),
            self.symbol(node, 1),
        ) {
            return Ok(Symbol::Pair(c));
        }
        let mut all = Vec::new();
        let mut at = None;
        for i in 0..node.inputs.len() {
            let (depth, rows) = self.affine(node, i)?;
            if at.is_some_and(|d| d != depth) {
                return Err(OnnxError::Shape {
                    place: node.place.clone(),
                    reason: "sums of different layers side by side".into(),
                });
            }
            at = Some(depth);
            all.extend(rows);
            check_width(all.len())?;
        }
        Ok(Symbol::Affine {
            depth: at.unwrap_or(0),
            rows: all,
        })
    }

    fn pick(&mut self, node: &'a Node) -> Result<Symbol, OnnxError> {
        let refuse = |reason: &str| OnnxError::Shape {
            place: node.place.clone(),
            reason: reason.to_owned(),
        };
        if let (Some(c), Some(index)) = (self.constant(node, 0), self.symbol(node, 1)) {
            let labels: Vec<String> = match &c.elements {
                Elements::Numbers(n) => n.iter().map(|v| format!("{v}")).collect(),
                Elements::Texts(t) => t.clone(),
            };
            return Ok(match (index, labels.as_slice()) {
                (Symbol::Index(c), [a, b]) => Symbol::Label(c, [a.clone(), b.clone()]),
                _ => Symbol::Other("a label of other than two classes"),
            });
        }
        let Some(Value::Numbers(at)) = self.constant(node, 1).and_then(flat) else {
            return Err(refuse("indices that are no constant"));
        };
        let (depth, rows) = self.affine(node, 0)?;
        let rows = at
            .iter()
            .map(|i| {
                if *i >= 0.0 {
                    rows.get(*i as usize).cloned()
                } else {
                    None
                }
            })
            .collect::<Option<_>>()
            .ok_or_else(|| refuse("an index beyond the features"))?;
        Ok(Symbol::Affine { depth, rows })
    }
}

const MANY: &str = "more than two classes or targets";

fn core(depth: usize, row: Affine) -> Core {
    Core::Affine { depth, row }
}

/// Second score minus the first.
fn difference(depth: usize, a: &Affine, b: &Affine) -> Core {
    core(depth, b.combine(1.0, a, -1.0))
}

fn classified(score: Core, labels: &[String]) -> Vec<Symbol> {
    match labels {
        [a, b] => vec![
            Symbol::Label(score.clone(), [a.clone(), b.clone()]),
            Symbol::Pair(score),
        ],
        _ => vec![Symbol::Other(MANY), Symbol::Other(MANY)],
    }
}

fn shifted(r: &Affine, by: f64) -> Affine {
    Affine {
        weights: r.weights.clone(),
        constant: r.constant + by,
    }
}

fn scaled(r: &Affine, by: f64) -> Affine {
    Affine {
        weights: r.weights.iter().map(|w| w * by).collect(),
        constant: r.constant * by,
    }
}

/// constant + sum of weight times row; nothing if the counts differ.
fn compose(
    rows: &[Affine],
    weights: impl ExactSizeIterator<Item = f64>,
    constant: f64,
) -> Option<Affine> {
    if rows.len() != weights.len() {
        return None;
    }
    let mut out = Affine {
        weights: vec![0.0; rows.first().map_or(0, |r| r.weights.len())],
        constant,
    };
    for (r, w) in rows.iter().zip(weights) {
        out = out.combine(1.0, r, w);
    }
    Some(out)
}

/// A comparison of one scaled feature, as one of the feature itself.
fn branch(row: &Affine, rule: Rule, threshold: f64, yes: usize, no: usize) -> Option<ScoreNode> {
    let mut used = row.weights.iter().enumerate().filter(|(_, w)| **w != 0.0);
    let (feature, a) = used.next()?;
    if used.next().is_some() {
        return None;
    }
    let threshold = (threshold - row.constant) / a;
    // Below zero the comparison turns around.
    let rule = match (rule, *a > 0.0) {
        (r, true) => r,
        (Rule::AtMost, false) => Rule::AtLeast,
        (Rule::Below, false) => Rule::Above,
        (Rule::AtLeast, false) => Rule::AtMost,
        (Rule::Above, false) => Rule::Below,
    };
    let (strict, yes, no) = match rule {
        Rule::AtMost => (false, yes, no),
        Rule::Below => (true, yes, no),
        Rule::AtLeast => (true, no, yes),
        Rule::Above => (false, no, yes),
    };
    Some(ScoreNode::Branch {
        feature,
        threshold,
        strict,
        yes,
        no,
    })
}
