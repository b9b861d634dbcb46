//! A listing and its opened sums from a table; nothing is encrypted.

use std::io::Cursor;
use veilbourse_client::{
    buyer::Listed,
    train::{Ask, Fit, Method, Moments, OpenedSums, Plan, TrainError, fit},
};
use veilbourse_core::{
    digest::Digest,
    manifest::{CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest, Segment},
    params::DATA_RING_DIMENSION as N,
    simulation::simulate_program,
};
use veilbourse_documents::Id;
use veilbourse_tabular::{Built, SchemaConfig, build, reference::FloatTable};

pub struct Table {
    pub listed: Listed,
    pub built: Built,
    pub float: FloatTable,
}

pub fn manifest(built: &Built) -> Manifest {
    let rows = built.segments.iter().map(|s| s.rows).max().expect("rows");
    let largest = built
        .columns
        .iter()
        .map(|c| c.max_abs())
        .max()
        .expect("columns");
    // The coarsest message that every single column fits: sums at weight 1.
    let bits = 128 - (u128::from(rows) * u128::from(largest)).leading_zeros();
    Manifest {
        version: MANIFEST_VERSION,
        name: built.name.clone(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: 62 - bits,
        columns: built.columns.clone(),
        public_columns: built.public_columns.clone(),
        segments: built
            .segments
            .iter()
            .map(|s| Segment {
                label: s.label.clone(),
                rows: s.rows,
                chunks: vec![Digest([1; 32]); s.rows.div_ceil(N as u64) as usize],
                sum: Digest([2; 32]),
                traced: Digest([3; 32]),
                traced_bodies: vec![0; built.columns.len()],
            })
            .collect(),
        public_key_label: Digest([4; 32]),
        public_key_body: Digest([5; 32]),
        nonce: Digest([6; 32]),
    }
}

pub fn table(csv: &str, config: &SchemaConfig) -> Table {
    let built = build(Cursor::new(csv), config).expect("a good table");
    Table {
        listed: Listed {
            id: Id::parse("01900000-0000-7000-8000-000000000001").expect("an id"),
            title: built.name.clone(),
            manifest: manifest(&built),
            suppressed: built.report.suppressed(),
        },
        float: FloatTable::read(Cursor::new(csv), config).expect("a good table"),
        built,
    }
}

pub fn rand_csv() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/randhie.csv");
    std::fs::read_to_string(file).expect("the RAND table")
}

pub fn ask(target: &str, features: &[&str]) -> Ask {
    Ask {
        target: target.into(),
        features: features.iter().map(|f| (*f).into()).collect(),
        ..Ask::default()
    }
}

impl Table {
    /// What an order for this plan opens, and the moments read off it.
    pub fn moments(&self, plan: &Plan) -> Result<Moments, TrainError> {
        let m = &self.listed.manifest;
        let (query, demand) = plan.query(m)?;
        let opened = simulate_program(m, &self.built.table, &query.program, &query.weights)
            .expect("they belong together");
        assert_eq!(demand.values, query.program.outputs.len() as u64);
        plan.moments(m, &OpenedSums::read(m, &query.program, &opened))
    }

    pub fn train(&self, ask: &Ask, method: Method) -> Result<Fit, TrainError> {
        let plan = Plan::of(&self.listed, ask)?;
        fit(&self.moments(&plan)?, method)
    }

    /// Rows of the quantised table in real units: the columns named, in order.
    pub fn quantised(&self, names: &[&str]) -> Vec<Vec<f64>> {
        let m = &self.listed.manifest;
        let mut rows = Vec::new();
        for (s, segment) in self.built.table.segments.iter().enumerate() {
            for i in 0..segment[0].len() {
                let value = |name: &&str| {
                    if let Some(f) = m.columns.iter().position(|c| c.name == **name) {
                        segment[f][i] as f64 * f64::from(-m.columns[f].scale_log2).exp2()
                    } else {
                        let g = m.public_columns.iter().find(|g| g.name == **name);
                        let g = g.expect("a column");
                        g.values[s] as f64 * f64::from(-g.scale_log2).exp2()
                    }
                };
                rows.push(names.iter().map(value).collect());
            }
        }
        rows
    }

    /// Rows of the table itself: the columns named, in order.
    pub fn real(&self, names: &[&str]) -> Vec<Vec<f64>> {
        let at = |name: &&str| self.float.names.iter().position(|n| n == *name);
        let at: Vec<usize> = names.iter().map(|n| at(n).expect("a column")).collect();
        let rows = self.float.segments.iter().flat_map(|s| &s.rows);
        rows.map(|r| at.iter().map(|i| r[*i]).collect()).collect()
    }
}

pub fn near(found: f64, expected: f64, relative: f64) -> bool {
    (found - expected).abs() <= relative * expected.abs()
}
