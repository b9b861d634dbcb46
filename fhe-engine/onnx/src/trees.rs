//! Tree ensembles: TreeEnsembleClassifier and TreeEnsembleRegressor (PRG-13).

use crate::{
    attributes::Attributes,
    error::OnnxError,
    ops::{Post, labels, post, wide},
};
use std::collections::{HashMap, HashSet};

/// Most trees.
pub const MAX_TREES: usize = 1_024;
/// Most nodes of all trees.
pub const MAX_TREE_NODES: usize = 65_536;
/// Deepest tree.
pub const MAX_DEPTH: usize = 64;

/// How a node compares a feature with its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// x <= t.
    AtMost,
    /// x < t.
    Below,
    /// x >= t.
    AtLeast,
    /// x > t.
    Above,
}

/// A node of a tree; children come after their parent.
#[derive(Debug, Clone, PartialEq)]
pub enum TreeNode {
    /// A comparison.
    Branch {
        /// The feature.
        feature: usize,
        /// How it is compared.
        rule: Rule,
        /// With what.
        threshold: f32,
        /// Where it goes if the comparison holds.
        yes: usize,
        /// Where it goes if not.
        no: usize,
    },
    /// What a leaf adds to which score.
    Leaf(Vec<(usize, f64)>),
}

/// One tree; its root is node 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Nodes.
    pub nodes: Vec<TreeNode>,
}

/// Trees and how their leaves make scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// Trees.
    pub trees: Vec<Tree>,
    /// What is added to each score.
    pub base: Vec<f64>,
    /// Labels of a classifier's classes; empty for a regressor.
    pub labels: Vec<String>,
    /// After the scores.
    pub post: Post,
    /// The score above which a classifier of one score says the second class.
    pub threshold: f64,
}

impl Tree {
    /// The leaf that a row reaches; features are compared as 32-bit floats,
    /// as ONNX does.
    pub fn leaf(&self, row: &[f64]) -> &[(usize, f64)] {
        let mut at = 0;
        loop {
            match self.nodes.get(at) {
                Some(TreeNode::Branch {
                    feature,
                    rule,
                    threshold,
                    yes,
                    no,
                }) => {
                    let x = row.get(*feature).map_or(0.0, |v| *v as f32);
                    let holds = match rule {
                        Rule::AtMost => x <= *threshold,
                        Rule::Below => x < *threshold,
                        Rule::AtLeast => x >= *threshold,
                        Rule::Above => x > *threshold,
                    };
                    at = if holds { *yes } else { *no };
                }
                Some(TreeNode::Leaf(v)) => return v,
                None => return &[],
            }
        }
    }
}

impl Ensemble {
    /// Scores of a row, before the post-transform.
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        let mut out = self.base.clone();
        for t in &self.trees {
            for (score, v) in t.leaf(row) {
                if let Some(s) = out.get_mut(*score) {
                    *s += v;
                }
            }
        }
        out
    }

    /// The greatest feature that a node compares.
    pub fn greatest_feature(&self) -> Option<usize> {
        self.trees
            .iter()
            .flat_map(|t| &t.nodes)
            .filter_map(|n| match n {
                TreeNode::Branch { feature, .. } => Some(*feature),
                TreeNode::Leaf(_) => None,
            })
            .max()
    }
}

/// Reads the attributes of either operator.
pub fn read(a: &Attributes<'_>, classifier: bool) -> Result<Ensemble, OnnxError> {
    a.ignore("nodes_hitrates");
    a.ignore("nodes_missing_value_tracks_true");
    let prefix = if classifier { "class" } else { "target" };
    let field = |s: &str| format!("{prefix}_{s}");
    let weights = wide(a.floats(&field("weights"))?);
    let scores = a.ints(&field("ids"))?;
    let (classes, post) = if classifier {
        (
            labels(a, "classlabels_int64s", "classlabels_strings")?,
            post(a)?,
        )
    } else {
        (Vec::new(), post(a)?)
    };
    if !classifier && post != Post::None {
        return Err(a.refuse("post_transform", "only NONE is supported here"));
    }
    let mut width = if classifier {
        classes.len()
    } else {
        usize::try_from(a.int("n_targets", 1)?).unwrap_or(0)
    };
    if width == 0 || width > 1_024 || (classifier && width < 2) {
        return Err(a.refuse(&field("ids"), &format!("{width} scores")));
    }
    // A classifier of two classes whose leaves name one class has one score.
    let named: HashSet<i64> = scores.iter().copied().collect();
    let single = classifier && width == 2 && named.len() == 1;
    if single {
        width = 1;
    }
    let factor = match (classifier, a.text("aggregate_function", "SUM")?.as_str()) {
        (_, "SUM") => None,
        (false, "AVERAGE") => Some(()),
        (_, other) => {
            return Err(a.refuse("aggregate_function", &format!("{other} is not supported")));
        }
    };
    let mut base = wide(a.floats("base_values")?);
    if base.is_empty() {
        base = vec![0.0; width];
    }
    if base.len() != width {
        return Err(a.refuse("base_values", &format!("{} for {width} scores", base.len())));
    }
    let mut leaves: HashMap<(i64, i64), Vec<(usize, f64)>> = HashMap::new();
    let (of_tree, of_node) = (a.ints(&field("treeids"))?, a.ints(&field("nodeids"))?);
    same(
        a,
        &field("weights"),
        weights.len(),
        &[of_tree.len(), of_node.len(), scores.len()],
    )?;
    for (((tree, node), score), w) in of_tree.iter().zip(of_node).zip(scores).zip(&weights) {
        let score = if single {
            0
        } else {
            usize::try_from(*score).unwrap_or(usize::MAX)
        };
        if score >= width {
            return Err(a.refuse(&field("ids"), &format!("score {score} of {width}")));
        }
        leaves.entry((*tree, *node)).or_default().push((score, *w));
    }
    let mut trees = structure(a, leaves)?;
    if factor.is_some() {
        let n = trees.len() as f64;
        for node in trees.iter_mut().flat_map(|t| &mut t.nodes) {
            if let TreeNode::Leaf(v) = node {
                v.iter_mut().for_each(|(_, w)| *w /= n);
            }
        }
    }
    // ONNX Runtime: one score of weights that are all positive is a
    // probability, else a margin.
    let threshold = if single && weights.iter().all(|w| *w >= 0.0) {
        0.5
    } else {
        0.0
    };
    Ok(Ensemble {
        trees,
        base,
        labels: classes,
        post,
        threshold,
    })
}

fn same(a: &Attributes<'_>, name: &str, n: usize, others: &[usize]) -> Result<(), OnnxError> {
    match others.iter().find(|o| **o != n) {
        Some(other) => Err(a.refuse(name, &format!("{n} entries beside {other}"))),
        None => Ok(()),
    }
}

struct RawNode {
    id: i64,
    leaf: bool,
    feature: i64,
    rule: Rule,
    threshold: f32,
    children: (i64, i64),
}

fn structure(
    a: &Attributes<'_>,
    mut leaves: HashMap<(i64, i64), Vec<(usize, f64)>>,
) -> Result<Vec<Tree>, OnnxError> {
    let (tree_ids, ids) = (a.ints("nodes_treeids")?, a.ints("nodes_nodeids")?);
    let (features, thresholds) = (a.ints("nodes_featureids")?, a.floats("nodes_values")?);
    let (yes, no) = (a.ints("nodes_truenodeids")?, a.ints("nodes_falsenodeids")?);
    let modes = a.texts("nodes_modes")?;
    let n = ids.len();
    if n > MAX_TREE_NODES {
        return Err(OnnxError::TooLarge {
            field: "nodes of all trees",
            limit: MAX_TREE_NODES as u64,
            value: n as u64,
        });
    }
    same(
        a,
        "nodes_nodeids",
        n,
        &[
            tree_ids.len(),
            features.len(),
            thresholds.len(),
            yes.len(),
            no.len(),
            modes.len(),
        ],
    )?;
    let mut order = Vec::new();
    let mut raw: HashMap<i64, HashMap<i64, RawNode>> = HashMap::new();
    let rows = tree_ids
        .iter()
        .zip(ids)
        .zip(features)
        .zip(thresholds)
        .zip(yes.iter().zip(no))
        .zip(&modes);
    for (((((tree, id), feature), threshold), children), mode) in rows {
        let (leaf, rule) = match mode.as_str() {
            "LEAF" => (true, Rule::AtMost),
            "BRANCH_LEQ" => (false, Rule::AtMost),
            "BRANCH_LT" => (false, Rule::Below),
            "BRANCH_GTE" => (false, Rule::AtLeast),
            "BRANCH_GT" => (false, Rule::Above),
            other => return Err(a.refuse("nodes_modes", &format!("{other} is not supported"))),
        };
        let nodes = raw.entry(*tree).or_insert_with(|| {
            order.push((*tree, *id));
            HashMap::new()
        });
        let node = RawNode {
            id: *id,
            leaf,
            feature: *feature,
            rule,
            threshold: *threshold,
            children: (*children.0, *children.1),
        };
        if nodes.insert(*id, node).is_some() {
            return Err(a.refuse(
                "nodes_nodeids",
                &format!("node {id} of tree {tree} is there twice"),
            ));
        }
    }
    if order.is_empty() || order.len() > MAX_TREES {
        return Err(a.refuse(
            "nodes_treeids",
            &format!("{} trees, 1 to {MAX_TREES} are supported", order.len()),
        ));
    }
    order
        .into_iter()
        .map(|(tree, root)| {
            let mut nodes = raw.remove(&tree).unwrap_or_default();
            let mut out = Vec::new();
            place(a, tree, root, 0, &mut nodes, &mut leaves, &mut out)?;
            Ok(Tree { nodes: out })
        })
        .collect()
}

/// Puts a node and what is below it at the end of `out`; each node is taken
/// out of `nodes`, so that none is reached twice and a circle ends.
fn place(
    a: &Attributes<'_>,
    tree: i64,
    id: i64,
    depth: usize,
    nodes: &mut HashMap<i64, RawNode>,
    leaves: &mut HashMap<(i64, i64), Vec<(usize, f64)>>,
    out: &mut Vec<TreeNode>,
) -> Result<usize, OnnxError> {
    let Some(raw) = nodes.remove(&id) else {
        return Err(a.refuse(
            "nodes_truenodeids",
            &format!("node {id} of tree {tree} is missing or reached twice"),
        ));
    };
    if depth > MAX_DEPTH {
        return Err(OnnxError::TooLarge {
            field: "depth of a tree",
            limit: MAX_DEPTH as u64,
            value: depth as u64,
        });
    }
    let at = out.len();
    if raw.leaf {
        out.push(TreeNode::Leaf(
            leaves.remove(&(tree, raw.id)).unwrap_or_default(),
        ));
        return Ok(at);
    }
    let feature = usize::try_from(raw.feature)
        .ok()
        .filter(|f| *f < crate::graph::MAX_FEATURES)
        .ok_or_else(|| a.refuse("nodes_featureids", &format!("feature {}", raw.feature)))?;
    out.push(TreeNode::Leaf(Vec::new()));
    let yes = place(a, tree, raw.children.0, depth + 1, nodes, leaves, out)?;
    let no = place(a, tree, raw.children.1, depth + 1, nodes, leaves, out)?;
    if let Some(slot) = out.get_mut(at) {
        *slot = TreeNode::Branch {
            feature,
            rule: raw.rule,
            threshold: raw.threshold,
            yes,
            no,
        };
    }
    Ok(at)
}
