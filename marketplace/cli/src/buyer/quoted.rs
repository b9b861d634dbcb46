//! From options to quotes: one query over one listing or several, each quote held
//! to the pins.

use super::seen::{offer_json, show_offer};
use crate::{
    args::{PinArgs, Query as QueryArgs, RowsArg, WeightsArg, Who},
    custodian::session,
    files, pins,
    show::{money, table},
};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use veilbourse_client::{
    buyer::{self, Listed, Offer, Wish},
    market::Session,
    query::{self, Query, Rows},
};
use veilbourse_documents::{Id, Key};
use veilbourse_tabular::{Coverage, LinearModel};
use veilbourse_verify::terminal::printable;

/// Builds the queries that the options describe, one a listing; of several
/// listings the same query at the same scales, outputs in the same order.
fn build_queries(listed: &[Listed], q: &QueryArgs) -> Result<Vec<Query>> {
    let joint = listed.len() > 1;
    let made = match (&q.stats, &q.model) {
        (Some(column), None) => {
            let one = |l: &Listed| query::statistics(&l.manifest, column);
            listed.iter().map(one).collect::<Result<Vec<_>, _>>()?
        }
        (None, Some(file)) => {
            let model = LinearModel::from_json(&files::read(file)?)
                .with_context(|| file.display().to_string())?;
            let rows = match q.rows {
                RowsArg::Each if joint => return Err(buyer::JointRefusal::Rows.into()),
                RowsArg::Aggregate => Rows::Aggregate,
                RowsArg::Each => Rows::Each,
            };
            let build = |l: &Listed, finest| {
                let blinder = match q.weights {
                    WeightsArg::Private => Some(query::blinder(&mut crate::rng(None))),
                    WeightsArg::Public => None,
                };
                let (m, gone) = (&l.manifest, &l.suppressed);
                query::model_within(m, &model, gone, Coverage::Any, rows, blinder, finest)
            };
            let all = |finest| {
                let one = |l: &Listed| build(l, finest);
                listed.iter().map(one).collect::<Result<Vec<_>, _>>()
            };
            let first = all(None)?;
            let scales = first.iter().flat_map(|q| &q.program.vectors);
            match scales.map(|v| v.scale_log2).min() {
                // As fine as the tightest of the listings admits.
                Some(finest) if joint => all(Some(finest))?,
                _ => first,
            }
        }
        _ => bail!("give --stats COLUMN or --model FILE"),
    };
    let mut pairs: Vec<(&Listed, Query)> = listed.iter().zip(made).collect();
    if joint {
        buyer::align(&mut pairs)?;
    }
    Ok(pairs.into_iter().map(|(_, q)| q).collect())
}

/// Quotes for one query, by listing.
pub(crate) struct Quoted {
    pub session: Session,
    pub marketplace: Key,
    /// Listing, query and quote.
    pub parts: Vec<(Listed, Query, Offer)>,
}

/// Who must evaluate and open.
pub(crate) struct Pins<'a> {
    pub pod: Option<&'a Key>,
    pub pod_id: Option<&'a Id>,
    pub nodes: &'a [Key],
    /// Name or digest of the class of tickets.
    pub class: Option<&'a str>,
}

/// Quotes every query, and checks each offer against the pins.
pub(crate) async fn offers(
    session: &Session,
    marketplace: &Key,
    listed: Vec<Listed>,
    queries: Vec<Query>,
    pins: &Pins<'_>,
) -> Result<Vec<(Listed, Query, Offer)>> {
    let mut parts = Vec::new();
    for (listed, query) in listed.into_iter().zip(queries) {
        let class = match pins.class {
            None => None,
            Some(named) => {
                let classes = buyer::classes(session, &listed.id).await?;
                Some(buyer::class_named(&classes, named)?)
            }
        };
        let wish = Wish {
            pod: pins.pod_id,
            class: class.as_ref(),
        };
        let offer = buyer::quote_with(session, marketplace, &listed, &query, &wish).await?;
        if let Some(named) = pins.class {
            offer.require_class(named)?;
        }
        if let Some(key) = pins.pod {
            offer.require_pod(key)?;
        }
        if !pins.nodes.is_empty() {
            offer.require_nodes(pins.nodes)?;
        }
        parts.push((listed, query, offer));
    }
    Ok(parts)
}

pub(super) async fn quoted(who: &Who, pin: &PinArgs, args: &QueryArgs) -> Result<Quoted> {
    let wanted = args
        .pod_id
        .as_ref()
        .map(|p| Id::parse(p).with_context(|| format!("--pod-id {p:?}: no pod's id")))
        .transpose()?;
    let session = session(who).await?;
    let marketplace = pins::marketplace(&session.server, pin, false).await?;
    let mut listed = Vec::new();
    for listing in &args.listing {
        listed.push(buyer::listing(&session, listing).await?);
    }
    let queries = build_queries(&listed, args)?;
    let pins = Pins {
        pod: args.pod.as_ref(),
        pod_id: wanted.as_ref(),
        nodes: &args.node,
        class: args.class.as_deref(),
    };
    let parts = offers(&session, &marketplace, listed, queries, &pins).await?;
    Ok(Quoted {
        session,
        marketplace,
        parts,
    })
}

impl Quoted {
    /// Minor units of all orders together.
    pub fn price(&self) -> i64 {
        let prices = self.parts.iter().map(|(_, _, o)| o.quote.body.price.total);
        prices.fold(0i64, i64::saturating_add)
    }

    /// Everything that should be seen before paying. `named`: the buyer said which
    /// pod by key, and this is the one.
    pub fn show(&self, named: bool, json: bool) {
        match self.parts.as_slice() {
            [(_, query, offer)] => show_offer(offer, query, named, json),
            parts if json => {
                let quotes: Vec<Value> = parts
                    .iter()
                    .map(|(_, query, offer)| offer_json(offer, query))
                    .collect();
                let price = self.price().to_string();
                out!("{}", json!({ "joint": quotes, "price": price }));
            }
            parts => {
                for (listed, query, offer) in parts {
                    out!("listing {}  {}", listed.id, printable(&listed.title));
                    show_offer(offer, query, named, false);
                }
                self.show_total();
            }
        }
    }

    /// The total of a joint order, and how it splits.
    pub fn show_total(&self) {
        let row = |(listed, _, offer): &(Listed, Query, Offer)| {
            let p = &offer.quote.body.price;
            let amounts = [p.total, p.custodian, p.pod, p.fee].map(money);
            [vec![listed.title.clone()], amounts.to_vec()].concat()
        };
        let rows: Vec<Vec<String>> = self.parts.iter().map(row).collect();
        let header = ["listing", "price", "custodian", "pod", "fee"];
        out!("{}", table(&header, &rows));
        out!(
            "a joint order of {} listings: {} credits in all; only the sums over the listings are \
             opened, and either all orders are delivered and paid or none",
            self.parts.len(),
            money(self.price())
        );
        let noise = self.parts.iter().filter_map(|(_, _, o)| o.forecast());
        let variance: f64 = noise.map(|f| f.standard_deviation.powi(2)).sum();
        if variance > 0.0 {
            out!(
                "  the noise of all listings together has deviation {:.1} in the opened integers",
                variance.sqrt()
            );
        }
    }
}
