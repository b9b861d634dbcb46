//! Queries fitted to a listing's budget.

use crate::{Core, CoreError, Reply, core::id, table::kind_of};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use veilbourse_client::{
    buyer::{self, Listed, Offer},
    query::{self, Query, Rows},
    train::{self, Ask, Method},
};
use veilbourse_core::{
    manifest::{ColumnKind, Manifest},
    program::{MatrixRef, Weights},
};
use veilbourse_documents::{Demand, QueryKind, demand};
use veilbourse_tabular::{
    Coverage, LinearModel, ModelKind,
    quantise::{dequantise, exp2},
};

/// Most fits and offers that are remembered.
const MOST: usize = 64;

/// How a regression is solved, as pages say it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum MethodAsk {
    /// Least squares.
    Ols,
    /// With a penalty.
    Ridge {
        /// The penalty.
        lambda: f64,
        /// Over the standard deviation.
        #[serde(default)]
        standardise: bool,
    },
}

impl MethodAsk {
    pub fn method(self) -> Result<Method, CoreError> {
        let method = match self {
            Self::Ols => Method::Ols,
            Self::Ridge {
                lambda,
                standardise,
            } => Method::Ridge {
                lambda,
                standardise,
            },
        };
        method.check()?;
        Ok(method)
    }
}

/// A model as JSON, or as the text of its file.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum ModelAsk {
    Text(String),
    Object(Value),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RowsAsk {
    #[default]
    Mean,
    Each,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum QueryAsk {
    Statistics {
        columns: Vec<String>,
    },
    Linear {
        model: ModelAsk,
        #[serde(default)]
        rows: RowsAsk,
        private: Option<bool>,
    },
    Logistic {
        model: ModelAsk,
        #[serde(default)]
        rows: RowsAsk,
        private: Option<bool>,
    },
    Train {
        target: String,
        #[serde(default)]
        features: Vec<String>,
        #[serde(default)]
        segments: Vec<String>,
        #[serde(default)]
        references: Vec<(String, String)>,
        #[serde(default)]
        exclusive: Vec<Vec<String>>,
        #[serde(default)]
        exact: Vec<String>,
        method: Option<MethodAsk>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listing {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fit {
    listing: String,
    query: QueryAsk,
}

/// A query of a listing.
#[derive(Clone)]
pub(crate) struct Fitted {
    pub listed: Listed,
    pub query: Query,
    /// statistics, linear, logistic or train.
    pub kind: &'static str,
    /// The model, where there is one.
    pub model: Option<LinearModel>,
    /// Of a training.
    pub training: Option<(Ask, MethodAsk)>,
    /// Worst case of the data's rounding, of each vector, in its own unit.
    pub quantisation: Vec<f64>,
}

/// An offer for a fit.
#[derive(Clone)]
pub(crate) struct Offered {
    pub fit: String,
    pub offer: Offer,
}

/// What this core remembers while it is open.
#[derive(Default)]
pub(crate) struct Fits {
    fits: BTreeMap<u64, Fitted>,
    offers: BTreeMap<u64, Offered>,
    next: u64,
}

impl Fits {
    pub fn forget(&mut self) {
        self.fits.clear();
        self.offers.clear();
    }

    /// An offer's number.
    pub fn keep_offer(&mut self, offered: Offered) -> u64 {
        self.keep(|f| &mut f.offers, offered)
    }

    fn keep<T>(&mut self, of: fn(&mut Self) -> &mut BTreeMap<u64, T>, value: T) -> u64 {
        let number = self.next;
        self.next += 1;
        let all = of(self);
        all.insert(number, value);
        while all.len() > MOST {
            all.pop_first();
        }
        number
    }

    pub fn fit(&self, name: &str) -> Result<&Fitted, CoreError> {
        let number = name.strip_prefix('f').and_then(|n| n.parse().ok());
        let found = number.and_then(|n: u64| self.fits.get(&n));
        found.ok_or_else(|| CoreError::new("FIT_UNKNOWN", "fit the query again").value(name))
    }

    pub fn offer(&self, name: &str) -> Result<&Offered, CoreError> {
        let number = name.strip_prefix('o').and_then(|n| n.parse().ok());
        let found = number.and_then(|n: u64| self.offers.get(&n));
        found.ok_or_else(|| CoreError::new("FIT_UNKNOWN", "ask for the quote again").value(name))
    }
}

/// Half a step of each column, carried through a vector's weights: what rounding the
/// data can move a row by, in the vector's unit. `real` are weights of the integers.
fn data_rounding(manifest: &Manifest, real: impl Fn(usize) -> f64) -> f64 {
    let half = |c: &veilbourse_core::manifest::Column| match c.kind {
        // Held exactly.
        ColumnKind::Category { .. } => (0.0, 0.0),
        _ => (0.5, c.max_abs() as f64),
    };
    let factor = |name: &str| manifest.columns.iter().find(|c| c.name == name).map(half);
    manifest
        .columns
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let step = match &c.kind {
                ColumnKind::Numeric => 0.5,
                ColumnKind::Category { .. } => 0.0,
                ColumnKind::Square { source } => product(factor(source), factor(source)),
                ColumnKind::Product { left, right } => product(factor(left), factor(right)),
            };
            real(i).abs() * step
        })
        .sum()
}

/// (a + e)(b + f) - a b, with halves e and f and magnitudes a and b.
fn product(left: Option<(f64, f64)>, right: Option<(f64, f64)>) -> f64 {
    // A factor that was dropped is not known: of a large column's magnitude.
    let unknown = (0.5, exp2(32));
    let ((e, a), (f, b)) = (left.unwrap_or(unknown), right.unwrap_or(unknown));
    a * f + b * e + e * f
}

fn model_of(ask: &ModelAsk, kind: ModelKind) -> Result<LinearModel, CoreError> {
    let text = match ask {
        ModelAsk::Text(text) => text.clone(),
        ModelAsk::Object(value) => value.to_string(),
    };
    let model = LinearModel::from_json(text.as_bytes())
        .map_err(|e| CoreError::new("MODEL", e).field("model"))?;
    if model.kind != kind {
        return Err(
            CoreError::new("MODEL", "the model is of another kind than the query").field("kind"),
        );
    }
    Ok(model)
}

impl Core {
    /// A listing's columns and segments, held to its root.
    pub(crate) async fn listing(&mut self, a: &Listing) -> Result<Reply, CoreError> {
        let session = self.session(None)?;
        let l = buyer::listing(&session, id("listing", &a.id)?.as_str()).await?;
        let m = &l.manifest;
        let columns: Vec<Value> = m
            .columns
            .iter()
            .map(|c| {
                let (kind, source) = kind_of(c);
                json!({ "name": c.name, "kind": kind, "source": source, "unit": c.unit,
                    "scale_log2": c.scale_log2, "min": dequantise(c.min, c.scale_log2),
                    "max": dequantise(c.max, c.scale_log2) })
            })
            .collect();
        let publics: Vec<Value> = m
            .public_columns
            .iter()
            .map(|c| {
                let real = |x: &i64| dequantise(*x, c.scale_log2);
                json!({ "name": c.name, "values": c.values.iter().map(real).collect::<Vec<_>>() })
            })
            .collect();
        let segments: Vec<Value> = m
            .segments
            .iter()
            .map(|s| json!({ "label": s.label, "rows": s.rows.to_string() }))
            .collect();
        Ok(
            json!({ "id": l.id, "title": l.title, "root": m.root(), "name": m.name,
            "messageLog2": m.message_log2, "segments": segments, "columns": columns,
            "publicColumns": publics, "suppressed": l.suppressed })
            .into(),
        )
    }

    /// The finest program that fits the listing's noise budget (BUD-6).
    pub(crate) async fn fit(&mut self, a: Fit) -> Result<Reply, CoreError> {
        let session = self.session(None)?;
        let listed = buyer::listing(&session, id("listing", &a.listing)?.as_str()).await?;
        let fitted = self.fitted(listed, a.query)?;
        self.shown_fit(fitted)
    }

    fn fitted(&mut self, listed: Listed, ask: QueryAsk) -> Result<Fitted, CoreError> {
        let m = &listed.manifest;
        let (kind, model, rows, private) = match ask {
            QueryAsk::Statistics { columns } => {
                let query = query::statistics_of(m, &columns)?;
                let quantisation = public_rounding(m, &query);
                return Ok(Fitted {
                    listed,
                    query,
                    kind: "statistics",
                    model: None,
                    training: None,
                    quantisation,
                });
            }
            QueryAsk::Train {
                target,
                features,
                segments,
                references,
                exclusive,
                exact,
                method,
            } => {
                let ask = Ask {
                    target,
                    features,
                    segments,
                    references,
                    exclusive,
                    exact,
                };
                let method = method.unwrap_or(MethodAsk::Ols);
                let plan = train::Plan::of(&listed, &ask)?;
                plan.check_rows(m, method.method()?)?;
                let (query, _) = plan.query(m)?;
                let quantisation = public_rounding(m, &query);
                return Ok(Fitted {
                    listed,
                    query,
                    kind: "train",
                    model: None,
                    training: Some((ask, method)),
                    quantisation,
                });
            }
            QueryAsk::Linear {
                model,
                rows,
                private,
            } => (
                "linear",
                model_of(&model, ModelKind::Linear)?,
                rows,
                private,
            ),
            QueryAsk::Logistic {
                model,
                rows,
                private,
            } => (
                "logistic",
                model_of(&model, ModelKind::Logistic)?,
                rows,
                private,
            ),
        };
        let blinder = private
            .unwrap_or(true)
            .then(|| query::blinder(&mut self.rng));
        let rows = match rows {
            RowsAsk::Mean => Rows::Aggregate,
            RowsAsk::Each => Rows::Each,
        };
        let gone = &listed.suppressed;
        let query = query::model(m, &model, gone, Coverage::Any, rows, blinder)?;
        let bound = model
            .bind(&m.columns, &m.public_columns, gone, Coverage::Any)
            .map_err(|e| CoreError::new("MODEL", e))?;
        let weight = |i: usize| bound.weights.get(i).copied().unwrap_or(0.0);
        let quantisation = vec![data_rounding(m, weight)];
        Ok(Fitted {
            listed,
            query,
            kind,
            model: Some(model),
            training: None,
            quantisation,
        })
    }

    fn shown_fit(&mut self, fitted: Fitted) -> Result<Reply, CoreError> {
        let (l, q) = (&fitted.listed, &fitted.query);
        let m = &l.manifest;
        let all = [
            QueryKind::AggregatePublic,
            QueryKind::AggregatePrivate,
            QueryKind::RowsPublic,
            QueryKind::RowsPrivate,
        ];
        let wanted: Demand =
            demand(m, &q.program, &all, 0).map_err(|e| CoreError::new("BUDGET", e))?;
        let mut columns = Vec::new();
        for (v, weights) in q.program.vectors.iter().zip(&q.weights) {
            let encrypted = m.columns.iter().map(|c| (&c.name, c.scale_log2));
            let publics = m.public_columns.iter().map(|c| (&c.name, c.scale_log2));
            for ((name, scale), w) in encrypted.chain(publics).zip(weights) {
                if *w != 0 {
                    let real = dequantise(*w, v.scale_log2 - scale);
                    columns.push(json!({ "vector": v.label, "column": name, "weight": real,
                        "integer": w.to_string() }));
                }
            }
        }
        let accuracy: Vec<Value> = q
            .program
            .vectors
            .iter()
            .zip(&q.max_error)
            .zip(&fitted.quantisation)
            .map(|((v, e), data)| {
                let private = matches!(v.weights, Weights::Private { .. });
                json!({ "vector": v.label, "scale_log2": v.scale_log2, "maxError": e,
                    "dataRounding": data, "private": private })
            })
            .collect();
        let outputs: Vec<Value> = q
            .program
            .outputs
            .iter()
            .filter_map(|o| {
                let (MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. }) = o.over;
                let segment = m.segments.get(segment as usize)?;
                let vector = q.program.vectors.get(o.vector as usize)?;
                let (rows, _, scores) = veilbourse_core::budget::extent(m, o.over)?;
                let (rows, values) = match o.over {
                    MatrixRef::Traced { .. } => (rows, 1),
                    MatrixRef::Chunk { .. } => (u64::from(scores), scores),
                };
                Some(json!({ "label": vector.label, "segment": segment.label,
                    "rows": rows.to_string(), "values": values }))
            })
            .collect();
        let program =
            serde_json::to_value(&q.program).map_err(|e| CoreError::new("INTERNAL", e))?;
        let mut said = json!({ "listing": l.id, "program": program, "columns": columns,
            "accuracy": accuracy, "outputs": outputs, "values": wanted.values.to_string(),
            "bits": wanted.bits.to_string(), "notes": notes(&fitted)?,
            "kinds": wanted.kinds });
        let number = self.fits.keep(|f| &mut f.fits, fitted);
        said["fit"] = json!(format!("f{number}"));
        Ok(said.into())
    }
}

/// Of vectors with public weights.
fn public_rounding(m: &Manifest, query: &Query) -> Vec<f64> {
    query
        .program
        .vectors
        .iter()
        .zip(&query.weights)
        .map(|(v, weights)| {
            let weight = |i: usize| {
                let w = weights.get(i).copied().unwrap_or(0);
                dequantise(w, v.scale_log2)
            };
            data_rounding(m, weight)
        })
        .collect()
}

/// What a training measures against and leaves out.
fn notes(fitted: &Fitted) -> Result<Vec<String>, CoreError> {
    let mut out = Vec::new();
    if let Some((ask, _)) = &fitted.training {
        let plan = train::Plan::of(&fitted.listed, ask)?;
        for r in &plan.columns.references {
            let category = r.category.as_deref().unwrap_or("the categories not listed");
            let mut said = format!("{} is measured against {category}", r.column);
            if !r.merged.is_empty() {
                said += &format!(
                    "; rows of the suppressed {} count with it",
                    r.merged.join(", ")
                );
            }
            out.push(said);
        }
        for name in &plan.columns.left_out {
            out.push(format!(
                "{name} is left out: it has one value in these segments"
            ));
        }
    }
    Ok(out)
}
