//! Orders: signed and kept in the vault, then placed; opened, checked, read (DOC-5,
//! ORD-2, REC, TRN).

use crate::{Core, CoreError, File, Reply, core::id, fit::MethodAsk, results::Reading};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use veilbourse_client::{
    buyer::{self, values::Orders},
    http::Progress,
    market,
    train::{self, Ask, OpenedSums, Source, Training},
    vault::OrderEntry,
};
use veilbourse_documents::Id;
use veilbourse_verify::{Trust, verify_receipt};

/// Milliseconds that an order is given where nothing else is said.
const DEADLINE: u64 = 3_600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Sign {
    offer: String,
    max_price: Option<String>,
    deadline_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Digest {
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderArg {
    order: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Train {
    order: String,
    features: Option<Vec<String>>,
    method: Option<MethodAsk>,
}

/// Beside a kept order: what its values are read with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// Of a training.
    ask: Option<Ask>,
    /// And its method.
    method: Option<MethodAsk>,
    /// Worst case of the data's rounding, by vector.
    quantisation: Vec<f64>,
}

fn note(order: &OrderEntry) -> Note {
    let note = order
        .ask
        .clone()
        .and_then(|n| serde_json::from_value(n).ok());
    note.unwrap_or_default()
}

/// As `orders` shows it.
fn kept(o: &OrderEntry) -> Result<Value, CoreError> {
    let body = &o.ticket.order.body;
    Ok(
        json!({ "id": o.ticket.order_id, "digest": o.digest()?, "listing": body.listing,
        "name": o.ticket.manifest.name, "kind": o.kind, "created": o.created,
        "price": body.price.to_string(), "opened": o.opened }),
    )
}

/// What was opened of an order, checked.
struct Read {
    entry: OrderEntry,
    order: Id,
    values: Vec<Vec<i64>>,
    receipt: Vec<u8>,
    report: Value,
}

impl Core {
    /// Signs an order within its price limit and keeps its ticket: the page stores the
    /// vault, then places it by `placeAgain`.
    pub(crate) async fn sign(&mut self, a: Sign) -> Result<Reply, CoreError> {
        let offered = self.fits.offer(&a.offer)?.clone();
        let fitted = self.fits.fit(&offered.fit)?.clone();
        self.secrets()?;
        let price = offered.offer.quote.body.price.total;
        if let Some(limit) = &a.max_price {
            let limit: i64 = limit
                .parse()
                .map_err(|_| CoreError::input("maxPrice", "expected minor units"))?;
            if price > limit {
                return Err(CoreError::new("PRICE", "the price is above the limit")
                    .field("maxPrice")
                    .limit(limit, price));
            }
        }
        let marketplace = self.pinned(false).await?;
        let signing = self.own_signing()?;
        let now = self.environment.now();
        let deadline = a
            .deadline_seconds
            .map_or(DEADLINE, |s| s.saturating_mul(1000));
        let ticket = buyer::prepare(
            &marketplace,
            &offered.offer,
            &fitted.listed,
            &fitted.query,
            &signing,
            now.saturating_add(deadline),
            &mut self.rng,
        )?;
        let note = Note {
            ask: fitted.training.as_ref().map(|(ask, _)| ask.clone()),
            method: fitted.training.as_ref().map(|(_, method)| *method),
            quantisation: fitted.quantisation.clone(),
        };
        let entry = OrderEntry {
            ticket,
            kind: fitted.kind.to_owned(),
            created: now,
            opened: false,
            ask: Some(serde_json::to_value(&note).map_err(|e| CoreError::new("INTERNAL", e))?),
        };
        let digest = entry.digest()?;
        let order =
            serde_json::to_value(&entry.ticket.order).map_err(|e| CoreError::new("INTERNAL", e))?;
        let shown = kept(&entry)?;
        self.change()?.orders.push(entry);
        Ok(json!({ "digest": digest, "order": order, "kept": shown }).into())
    }

    fn find(&self, is: impl Fn(&OrderEntry) -> bool, named: &str) -> Result<usize, CoreError> {
        let found = self.secrets()?.orders.iter().position(is);
        found.ok_or_else(|| {
            CoreError::new("ORDER_UNKNOWN", "its ticket is not in this vault").value(named)
        })
    }

    fn kept(&self, at: usize) -> Result<&OrderEntry, CoreError> {
        let none = || CoreError::new("ORDER_UNKNOWN", "its ticket is not in this vault");
        self.secrets()?.orders.get(at).ok_or_else(none)
    }

    /// ORD-2: the same order again is answered with the same id and costs nothing.
    pub(crate) async fn place_again(&mut self, a: &Digest) -> Result<Reply, CoreError> {
        let is = |o: &OrderEntry| o.digest().is_ok_and(|d| d.to_string() == a.digest);
        let at = self.find(is, &a.digest)?;
        let ticket = self.kept(at)?.ticket.clone();
        let session = self.session(None)?;
        let placed = match &ticket.order_id {
            Some(known) => known.clone(),
            None => buyer::place(&session, &ticket).await?,
        };
        if ticket.order_id.is_none()
            && let Some(o) = self.change()?.orders.get_mut(at)
        {
            o.ticket.order_id = Some(placed.clone());
        }
        let order =
            serde_json::to_value(&ticket.order).map_err(|e| CoreError::new("INTERNAL", e))?;
        let shown = kept(self.kept(at)?)?;
        Ok(json!({ "id": placed, "digest": a.digest, "order": order, "kept": shown }).into())
    }

    pub(crate) fn orders(&mut self) -> Result<Reply, CoreError> {
        let all: Result<Vec<Value>, CoreError> = self.secrets()?.orders.iter().map(kept).collect();
        Ok(Value::Array(all?).into())
    }

    /// Fetches and opens a released order, and checks its receipt.
    async fn read(&mut self, order: &str, progress: &dyn Progress) -> Result<Read, CoreError> {
        let order = id("order", order)?;
        let is = |o: &OrderEntry| o.ticket.order_id.as_ref() == Some(&order);
        let at = self.find(is, order.as_str())?;
        let entry = self.kept(at)?.clone();
        let session = self.session(None)?;
        let standing = buyer::standing(&session, &order).await?;
        if standing.state != "released" {
            let why = standing.refund.map_or_else(
                || "the order is not released yet".to_owned(),
                |(reason, detail)| format!("the order was refunded: {reason} {detail}"),
            );
            return Err(CoreError::new("ORDER_STATE", why)
                .field("state")
                .value(standing.state));
        }
        progress.step("open", 0, 2);
        let opened = buyer::open(&session, &order, &entry.ticket).await?;
        progress.step("open", 1, 2);
        let trust = Trust {
            marketplace: Some(market::marketplace_of(&entry.ticket.marketplace)),
            circuits: None,
        };
        let report = verify_receipt(&opened.receipt, &trust).map_err(|e| {
            CoreError::new(
                "RECEIPT",
                format!("the receipt is refused by {}: {e}", e.rule()),
            )
            .field(e.rule())
        })?;
        progress.step("open", 2, 2);
        let mut said = report.json();
        said["text"] = json!(report.text());
        if !entry.opened
            && let Some(o) = self.change()?.orders.get_mut(at)
        {
            o.opened = true;
        }
        Ok(Read {
            entry,
            order,
            values: opened.values,
            receipt: opened.receipt,
            report: said,
        })
    }

    /// Values with their errors, files, the receipt and what it proves.
    pub(crate) async fn open_order(
        &mut self,
        a: &OrderArg,
        progress: &dyn Progress,
    ) -> Result<Reply, CoreError> {
        let read = self.read(&a.order, progress).await?;
        let ticket = &read.entry.ticket;
        let note = note(&read.entry);
        let tickets = std::slice::from_ref(ticket);
        let orders = Orders {
            tickets,
            joint: false,
        };
        let within = ticket
            .class()
            .filter(|(_, c)| c.noisy())
            .map_or(0.0, |(_, c)| c.mechanism().forecast().half_width_95 as f64);
        let program = &ticket.order.body.program;
        let quantisation = |i: usize| note.quantisation.get(i).copied().unwrap_or(0.0);
        let rounding = ticket.max_error.iter().enumerate();
        let reading = Reading {
            manifest: &ticket.manifest,
            program,
            noise: (orders.noise_deviation(), within),
            rounding: rounding.map(|(i, e)| e + quantisation(i)).collect(),
            logistic: read.entry.kind == "logistic",
        };
        let shown = reading.show(&read.values);
        let result = orders.result(std::slice::from_ref(&read.order), &read.values)?;
        let text =
            serde_json::to_string_pretty(&result).map_err(|e| CoreError::new("INTERNAL", e))?;
        let mut said = json!({ "id": read.order, "listing": ticket.order.body.listing,
            "outputs": shown.outputs, "variances": shown.variances,
            "noiseDeviation": orders.noise_deviation(), "report": read.report,
            "csv": shown.csv, "json": text });
        if let (Some(ask), Some(method)) = (note.ask, note.method) {
            match solved(&read, ask, method) {
                Ok(training) => said["training"] = training,
                // The moments are opened all the same, and can be solved otherwise.
                Err(e) => said["trainingRefusal"] = json!(e.message),
            }
        }
        Ok(Reply {
            value: said,
            files: vec![File {
                name: "receipt.json".into(),
                media: "application/json",
                bytes: read.receipt,
            }],
            vault: None,
        })
    }

    /// TRN-6: from moments that were bought before, by another method or with fewer
    /// features.
    pub(crate) async fn train(
        &mut self,
        a: Train,
        progress: &dyn Progress,
    ) -> Result<Reply, CoreError> {
        let read = self.read(&a.order, progress).await?;
        let note = note(&read.entry);
        let (Some(mut ask), Some(known)) = (note.ask, note.method) else {
            return Err(CoreError::new("TRAINING", "the order is no training's").value(a.order));
        };
        if let Some(features) = a.features {
            ask.features = features;
        }
        Ok(solved(&read, ask, a.method.unwrap_or(known))?.into())
    }
}

/// TRN-7..11: the regression on what an order opened.
fn solved(read: &Read, ask: Ask, method: MethodAsk) -> Result<Value, CoreError> {
    let ticket = &read.entry.ticket;
    let listed = ticket.listed();
    let plan = train::Plan::of(&listed, &ask)?;
    let opened = OpenedSums::read(&ticket.manifest, &ticket.order.body.program, &read.values);
    let moments = plan.moments(&ticket.manifest, &opened)?;
    let fit = train::fit(&moments, method.method()?)?;
    let ids = (ticket.order.body.listing.clone(), read.order.clone());
    let tickets = std::slice::from_ref(ticket);
    let orders = Orders {
        tickets,
        joint: false,
    };
    let training = Training::new(&ticket.manifest, ids, ask, &plan, &moments, fit)
        .opened(Vec::<Source>::new(), orders.noise_deviation());
    let model = training.model();
    Ok(json!({ "model": model, "training": training }))
}
