//! One order that opens exactly the moments of a regression, and their way
//! back from what an order opened (TRN-2, TRN-5, TRN-6).

use super::{
    columns::{Ask, Columns, Origin},
    error::TrainError,
    fit::{Method, check_collinear, check_degrees},
    moments::Moments,
};
use crate::{buyer::Listed, query::Query};
use num_bigint::BigInt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use veilbourse_core::{
    manifest::{Column, ColumnKind, MAX_NAME, Manifest},
    program::{
        MAX_VECTORS, MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights,
    },
};
use veilbourse_documents::{Demand, QueryKind, demand};

/// How a segment's part of one moment follows from an opened sum.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// Zero in every row.
    Zero,
    /// The sum of an encrypted column, or without one the number of rows, times
    /// the segment's values of public columns, times 2^shift.
    Sum {
        column: Option<usize>,
        publics: Vec<usize>,
        shift: u32,
    },
}

/// A regression's columns, and where each moment comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The columns, the target last.
    pub columns: Columns,
    sums: Vec<Term>,
    products: Vec<Vec<Term>>,
}

/// The sums that an order opened, by segment and encrypted column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenedSums(HashMap<(usize, usize), i64>);

impl OpenedSums {
    /// Reads them off an order's outputs: those over a segment's aggregates with
    /// public weights, one on one encrypted column and zero elsewhere.
    pub fn read(manifest: &Manifest, program: &Program, opened: &[Vec<i64>]) -> Self {
        let mut sums = HashMap::new();
        for (o, values) in program.outputs.iter().zip(opened) {
            let vector = program.vectors.get(o.vector as usize);
            if let MatrixRef::Traced { segment } = o.over
                && let Some(Weights::Public { values: weights }) = vector.map(|v| &v.weights)
                && let Some(column) = unit(weights).filter(|c| *c < manifest.columns.len())
                && let [value] = values.as_slice()
            {
                sums.insert((segment as usize, column), *value);
            }
        }
        Self(sums)
    }
}

/// Where the only weight is, if it is one.
fn unit(weights: &[i64]) -> Option<usize> {
    let mut nonzero = weights.iter().enumerate().filter(|(_, w)| **w != 0);
    match (nonzero.next(), nonzero.next()) {
        (Some((i, 1)), None) => Some(i),
        _ => None,
    }
}

impl Plan {
    /// Resolves names and finds every moment among the listing's columns.
    pub fn of(listed: &Listed, ask: &Ask) -> Result<Self, TrainError> {
        let columns = Columns::of(listed, ask)?;
        let finder = Finder::new(listed, &columns, ask);
        let mut missing = BTreeSet::new();
        let sums = columns
            .origins
            .iter()
            .map(|o| match *o {
                Origin::Numeric(c) | Origin::Category(c) => Term::Sum {
                    column: Some(c),
                    publics: Vec::new(),
                    shift: 0,
                },
                Origin::Public(g) => Term::Sum {
                    column: None,
                    publics: vec![g],
                    shift: 0,
                },
            })
            .collect();
        let products = (0..columns.origins.len())
            .map(|i| {
                (0..=i)
                    .map(|j| finder.product(i, j, &mut missing))
                    .collect::<Result<_, _>>()
            })
            .collect::<Result<_, _>>()?;
        if !missing.is_empty() {
            return Err(finder.missing(missing));
        }
        let plan = Self {
            columns,
            sums,
            products,
        };
        plan.check_publics(&listed.manifest)?;
        Ok(plan)
    }

    /// Public columns are known before anything is paid: none may be a
    /// combination of the others (TRN-4).
    fn check_publics(&self, manifest: &Manifest) -> Result<(), TrainError> {
        let public = |o: &Origin| matches!(o, Origin::Public(_));
        let at = self.columns.origins.iter().enumerate();
        let chosen: Vec<usize> = at.filter(|(_, o)| public(o)).map(|(i, _)| i).collect();
        let term = |i: usize, j: usize| self.products.get(i.max(j))?.get(i.min(j));
        let mut m = Moments::none(
            chosen
                .iter()
                .filter_map(|i| self.columns.variables.get(*i).cloned())
                .collect(),
        );
        let none = OpenedSums::default();
        for s in &self.columns.segments {
            let rows = manifest.segments.get(*s).map_or(0, |s| s.rows);
            m.rows = m.rows.saturating_add(rows);
            for (sum, i) in m.sums.iter_mut().zip(&chosen) {
                if let Some(t) = self.sums.get(*i) {
                    *sum += part(manifest, &none, *s, rows, t)?;
                }
            }
            for (line, i) in m.products.iter_mut().zip(&chosen) {
                for (cell, j) in line.iter_mut().zip(&chosen) {
                    if let Some(t) = term(*i, *j) {
                        *cell += part(manifest, &none, *s, rows, t)?;
                    }
                }
            }
        }
        check_collinear(&m)
    }

    /// Refuses what has too few rows for as many features, which row counts tell
    /// before anything is paid (TRN-8).
    pub fn check_rows(&self, manifest: &Manifest, method: Method) -> Result<(), TrainError> {
        let of = |s: &usize| manifest.segments.get(*s).map_or(0, |s| s.rows);
        let rows = self.columns.segments.iter().map(of);
        let rows = rows.fold(0, u64::saturating_add);
        let features = self.columns.variables.len().saturating_sub(1);
        check_degrees(rows, features, method)
    }

    /// The encrypted columns whose sums are opened, without repetition: first
    /// those of the regression, then second moments.
    fn opened_columns(&self) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        self.sums
            .iter()
            .chain(self.products.iter().flatten())
            .filter_map(|t| match t {
                Term::Sum {
                    column: Some(c), ..
                } if seen.insert(*c) => Some(*c),
                _ => None,
            })
            .collect()
    }

    /// The order's program and what it demands of the listing (TRN-5): one
    /// public unit weight a vector, so nothing is rounded and nothing hidden.
    pub fn query(&self, manifest: &Manifest) -> Result<(Query, Demand), TrainError> {
        let columns = self.opened_columns();
        if columns.len() > MAX_VECTORS as usize {
            return Err(TrainError::TooManyMoments {
                variables: self.columns.variables.len(),
                value: columns.len(),
            });
        }
        let width = manifest.columns.len() + manifest.public_columns.len();
        let weights: Vec<Vec<i64>> = columns
            .iter()
            .map(|c| (0..width).map(|i| i64::from(i == *c)).collect())
            .collect();
        let vectors: Vec<WeightVector> = columns
            .iter()
            .filter_map(|c| manifest.columns.get(*c))
            .zip(&weights)
            .map(|(c, w)| WeightVector {
                label: label(&c.name),
                scale_log2: c.scale_log2,
                weights: Weights::Public { values: w.clone() },
            })
            .collect();
        let outputs = self
            .columns
            .segments
            .iter()
            .filter_map(|s| u32::try_from(*s).ok())
            .flat_map(|segment| {
                let over = MatrixRef::Traced { segment };
                (0u32..)
                    .take(vectors.len())
                    .map(move |vector| ProgramOutput { over, vector })
            })
            .collect();
        let program = Program {
            version: PROGRAM_VERSION,
            dataset: manifest.root(),
            vectors,
            outputs,
        };
        let demand = demand(manifest, &program, &[QueryKind::AggregatePublic], 0)?;
        let n = weights.len();
        let query = Query {
            program,
            weights,
            blinders: vec![None; n],
            max_error: vec![0.0; n],
        };
        Ok((query, demand))
    }

    /// The moments over all segments of the plan, from an order's sums (TRN-6).
    pub fn moments(&self, manifest: &Manifest, opened: &OpenedSums) -> Result<Moments, TrainError> {
        let mut m = Moments::none(self.columns.variables.clone());
        for s in &self.columns.segments {
            let rows = manifest.segments.get(*s).map_or(0, |s| s.rows);
            m.rows = m.rows.saturating_add(rows);
            let value = |term: &Term| part(manifest, opened, *s, rows, term);
            for (sum, term) in m.sums.iter_mut().zip(&self.sums) {
                *sum += value(term)?;
            }
            let cells = m.products.iter_mut().flatten();
            for (cell, term) in cells.zip(self.products.iter().flatten()) {
                *cell += value(term)?;
            }
        }
        Ok(m)
    }
}

/// A segment's part of a moment.
fn part(
    manifest: &Manifest,
    opened: &OpenedSums,
    segment: usize,
    rows: u64,
    term: &Term,
) -> Result<BigInt, TrainError> {
    let Term::Sum {
        column,
        publics,
        shift,
    } = term
    else {
        return Ok(BigInt::ZERO);
    };
    let mut value = match column {
        None => BigInt::from(rows),
        Some(c) => match opened.0.get(&(segment, *c)) {
            Some(v) => BigInt::from(*v),
            None => {
                let label = manifest.segments.get(segment).map(|s| s.label.clone());
                let name = manifest.columns.get(*c).map(|c| c.name.clone());
                return Err(TrainError::NotOpened {
                    column: name.unwrap_or_default(),
                    segment: label.unwrap_or_default(),
                });
            }
        },
    };
    for g in publics {
        let values = manifest.public_columns.get(*g).map(|g| &g.values);
        value *= values.and_then(|v| v.get(segment)).copied().unwrap_or(0);
    }
    Ok(value << *shift)
}

/// "sum of NAME", where a label may be that long.
fn label(name: &str) -> String {
    let whole = format!("sum of {name}");
    if whole.len() > MAX_NAME as usize {
        name.to_owned()
    } else {
        whole
    }
}

/// Finds second moments among a manifest's columns.
struct Finder<'a> {
    listed: &'a Listed,
    columns: &'a Columns,
    ask: &'a Ask,
    /// By the names of the factors, sorted.
    moments: BTreeMap<(&'a str, &'a str), usize>,
}

impl<'a> Finder<'a> {
    fn new(listed: &'a Listed, columns: &'a Columns, ask: &'a Ask) -> Self {
        let mut moments = BTreeMap::new();
        for (i, c) in listed.manifest.columns.iter().enumerate() {
            match &c.kind {
                ColumnKind::Square { source } => {
                    moments.insert((source.as_str(), source.as_str()), i);
                }
                ColumnKind::Product { left, right } => {
                    moments.insert(sorted(left, right), i);
                }
                ColumnKind::Numeric | ColumnKind::Category { .. } => {}
            }
        }
        Self {
            listed,
            columns,
            ask,
            moments,
        }
    }

    fn column(&self, index: usize) -> Option<&'a Column> {
        self.listed.manifest.columns.get(index)
    }

    /// The term of a square or product; what is not listed goes to `missing`.
    fn product(
        &self,
        i: usize,
        j: usize,
        missing: &mut BTreeSet<(usize, usize)>,
    ) -> Result<Term, TrainError> {
        let (Some(a), Some(b)) = (self.columns.origins.get(i), self.columns.origins.get(j)) else {
            return Ok(Term::Zero);
        };
        let sum = |column, publics| Term::Sum {
            column,
            publics,
            shift: 0,
        };
        let (left, right) = match (*a, *b) {
            (Origin::Public(g), Origin::Public(h)) => return Ok(sum(None, vec![g, h])),
            (Origin::Public(g), Origin::Numeric(c) | Origin::Category(c))
            | (Origin::Numeric(c) | Origin::Category(c), Origin::Public(g)) => {
                return Ok(sum(Some(c), vec![g]));
            }
            // X is 0 or 2^scale, so X^2 = 2^scale X.
            (Origin::Category(c), Origin::Category(d)) if c == d => {
                let scale = self.column(c).map_or(0, |c| c.scale_log2);
                return Ok(Term::Sum {
                    column: Some(c),
                    publics: Vec::new(),
                    shift: scale.max(0).unsigned_abs(),
                });
            }
            (
                Origin::Category(c) | Origin::Numeric(c),
                Origin::Category(d) | Origin::Numeric(d),
            ) => (c, d),
        };
        let (Some(left), Some(right)) = (self.column(left), self.column(right)) else {
            return Ok(Term::Zero);
        };
        if i != j && (one_source(left, right) || self.exclude(&left.name, &right.name)) {
            return Ok(Term::Zero);
        }
        let Some(index) = self.moments.get(&sorted(&left.name, &right.name)).copied() else {
            missing.insert((i, j));
            return Ok(Term::Zero);
        };
        let expected = left.scale_log2.saturating_add(right.scale_log2);
        match self.column(index) {
            Some(c) if c.scale_log2 != expected => Err(TrainError::MomentScale {
                name: c.name.clone(),
                expected,
                found: c.scale_log2,
            }),
            _ => Ok(sum(Some(index), Vec::new())),
        }
    }

    /// Whether the buyer says that no row has both.
    fn exclude(&self, a: &str, b: &str) -> bool {
        let holds = |group: &Vec<String>, n: &str| group.iter().any(|g| g == n);
        self.ask
            .exclusive
            .iter()
            .any(|g| holds(g, a) && holds(g, b))
    }

    /// The refusal that names what is not listed and what would list it.
    fn missing(&self, missing: BTreeSet<(usize, usize)>) -> TrainError {
        let name = |i: usize| {
            let v = self.columns.variables.get(i);
            v.map_or("", |v| v.name.as_str())
        };
        let moment = |a: &str, b: &str| match a == b {
            true => format!("{a}^2"),
            false => format!("{a}*{b}"),
        };
        let mut names = Vec::new();
        let mut suppressed = Vec::new();
        for (i, j) in missing.iter().copied() {
            let (a, b) = (name(j), name(i));
            let found = [moment(a, b), moment(b, a)]
                .into_iter()
                .find(|m| self.listed.suppressed.contains(m));
            suppressed.extend(found.clone());
            names.push(found.unwrap_or_else(|| moment(a, b)));
        }
        // The setting lists all products at once: what is there already stays.
        let mut pairs = Vec::new();
        let quoted = |s: &str| serde_json::Value::from(s).to_string();
        for i in 0..self.columns.variables.len() {
            for j in 0..=i {
                let (a, b) = (name(j), name(i));
                let listed = self.moments.contains_key(&sorted(a, b));
                if listed || missing.contains(&(i, j)) {
                    pairs.push(format!("[{}, {}]", quoted(a), quoted(b)));
                }
            }
        }
        TrainError::MissingMoments {
            missing: names,
            suppressed,
            line: format!("second_moments = {{ products = [{}] }}", pairs.join(", ")),
        }
    }
}

/// Two categories of one source: no row has both.
fn one_source(a: &Column, b: &Column) -> bool {
    match (&a.kind, &b.kind) {
        (ColumnKind::Category { source: a, .. }, ColumnKind::Category { source: b, .. }) => a == b,
        _ => false,
    }
}

fn sorted<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    if a <= b { (a, b) } else { (b, a) }
}
