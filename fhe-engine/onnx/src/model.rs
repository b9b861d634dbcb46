//! The one score of a graph, in floats: what is left of it once scalers are
//! folded and the labels' bookkeeping is understood (PRG-14).

use crate::ops::Activation;

/// weights . inputs + constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    /// One weight an input.
    pub weights: Vec<f64>,
    /// The constant.
    pub constant: f64,
}

impl Affine {
    /// Its value.
    pub fn apply(&self, x: &[f64]) -> f64 {
        self.constant + self.weights.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()
    }
    /// a self + b other.
    pub(crate) fn combine(&self, a: f64, other: &Self, b: f64) -> Self {
        Self {
            weights: self
                .weights
                .iter()
                .zip(&other.weights)
                .map(|(x, y)| a * x + b * y)
                .collect(),
            constant: a * self.constant + b * other.constant,
        }
    }
}

/// One hidden layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// Its units.
    pub units: Vec<Affine>,
    /// What follows each.
    pub activation: Activation,
}

/// A node of a scored tree.
#[derive(Debug, Clone, PartialEq)]
pub enum ScoreNode {
    /// x <= t, or x < t where strict.
    Branch {
        /// The feature.
        feature: usize,
        /// t.
        threshold: f64,
        /// Whether equality goes the other way.
        strict: bool,
        /// Node index where it holds.
        yes: usize,
        /// Node index where not.
        no: usize,
    },
    /// What it adds to the score.
    Leaf(f64),
}

/// One tree; its root is node 0.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreTree {
    /// Nodes, parents before children.
    pub nodes: Vec<ScoreNode>,
}

impl ScoreTree {
    /// The value of the leaf that a row reaches.
    pub fn apply(&self, row: &[f64]) -> f64 {
        let mut at = 0;
        loop {
            match self.nodes.get(at) {
                Some(ScoreNode::Branch {
                    feature,
                    threshold,
                    strict,
                    yes,
                    no,
                }) => {
                    let x = row.get(*feature).copied().unwrap_or(0.0);
                    let holds = if *strict {
                        x < *threshold
                    } else {
                        x <= *threshold
                    };
                    at = if holds { *yes } else { *no };
                }
                Some(ScoreNode::Leaf(v)) => return *v,
                None => return 0.0,
            }
        }
    }
}

/// How the score comes about.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Of the features, at once.
    Linear(Affine),
    /// Sum of trees and a constant.
    Trees {
        /// The trees.
        trees: Vec<ScoreTree>,
        /// The constant.
        constant: f64,
    },
    /// Hidden layers, then a sum.
    Network {
        /// Hidden layers.
        hidden: Vec<Dense>,
        /// Over the last one's units.
        last: Affine,
    },
}

/// What the score means.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// Above zero the second label, else the first.
    Decision([String; 2]),
    /// The prediction itself.
    Value,
}

/// A model of one score.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Features of a row.
    pub features: usize,
    /// The score.
    pub body: Body,
    /// What it means.
    pub meaning: Meaning,
}

impl Model {
    /// The score of a row.
    pub fn score(&self, row: &[f64]) -> f64 {
        match &self.body {
            Body::Linear(a) => a.apply(row),
            Body::Trees { trees, constant } => {
                constant + trees.iter().map(|t| t.apply(row)).sum::<f64>()
            }
            Body::Network { hidden, last } => {
                let mut x = row.to_vec();
                for layer in hidden {
                    x = layer
                        .units
                        .iter()
                        .map(|u| layer.activation.apply(u.apply(&x)))
                        .collect();
                }
                last.apply(&x)
            }
        }
    }

    /// Whether a row's score says the second label.
    pub fn decide(&self, row: &[f64]) -> bool {
        self.score(row) > 0.0
    }
}
