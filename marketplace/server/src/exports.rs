//! Ledger, audit log and orders as files for staff (ACC-18): read and sent a
//! page at a time.

use crate::{
    App,
    http::{Answer, Site},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Bytes, Data},
};
use serde_json::json;
use std::{fmt::Write, sync::Arc};
use veilbourse_domain::{
    DomainError, Result,
    order::Order,
    ports::OrderFilter,
    records::{MAX_PAGE, Page, PageRequest, Transfer},
};

/// What comes next of an export.
enum Next {
    /// The heading.
    First,
    /// The page after a cursor.
    After(Option<String>),
    /// Nothing.
    Over,
}

/// One export: its heading and its pages as text.
#[derive(Debug, Clone, Copy)]
enum Export {
    Ledger,
    Audit,
    Orders,
}

fn transfer_lines(t: &Transfer, out: &mut String) {
    let order = t.order.map(|o| o.to_string()).unwrap_or_default();
    let ended = t.ended_at.map(|e| e.to_string()).unwrap_or_default();
    for p in &t.postings {
        // No field of ours holds a comma, a quote or a line's end; writing to a
        // string does not fail.
        let _ = writeln!(
            out,
            "{},{},{},{order},{},{ended},{},{}",
            t.id,
            t.kind.name(),
            t.state.name(),
            t.created_at,
            p.account,
            p.amount
        );
    }
}

fn order_line(o: &Order, out: &mut String) {
    let _ = writeln!(
        out,
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
        o.id,
        o.terms.digest,
        o.state.name(),
        o.placed_at,
        o.terms.deadline,
        o.listing,
        o.buyer,
        o.custodian,
        o.pod_operator,
        o.values,
        o.price(),
        o.split.fee,
        o.split.pod,
        o.split.custodian
    );
}

impl Export {
    fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Ledger => ("ledger.csv", "text/csv; charset=utf-8"),
            Self::Audit => ("audit.jsonl", "application/jsonl; charset=utf-8"),
            Self::Orders => ("orders.csv", "text/csv; charset=utf-8"),
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Ledger => "transfer,kind,state,order,created_at,ended_at,account,amount\n",
            Self::Audit => "",
            Self::Orders => {
                "order,digest,state,placed_at,deadline,listing,buyer,custodian,pod_operator,values,price,fee,pod,custodian_part\n"
            }
        }
    }

    async fn page(self, app: &App, after: Option<String>) -> Result<(String, Option<String>)> {
        let request = PageRequest::new(MAX_PAGE, after)?;
        let mut out = String::new();
        let next = match self {
            Self::Ledger => {
                let found = app.store.transfers(None, &request).await?;
                found
                    .items
                    .iter()
                    .for_each(|(_, t)| transfer_lines(t, &mut out));
                last(&found)
            }
            Self::Orders => {
                let found = app.store.orders(&OrderFilter::default(), &request).await?;
                found
                    .items
                    .iter()
                    .for_each(|(_, o)| order_line(o, &mut out));
                last(&found)
            }
            Self::Audit => {
                let found = app.store.audit(&request).await?;
                for (_, r) in &found.items {
                    let line = json!({
                        "sequence": r.sequence,
                        "at": r.at,
                        "actor": r.entry.actor,
                        "action": r.entry.action,
                        "subject": r.entry.subject,
                        // The text that the digest is of.
                        "details": r.entry.details,
                        "previous": r.previous,
                        "digest": r.digest,
                    });
                    let _ = writeln!(out, "{line}");
                }
                last(&found)
            }
        };
        Ok((out, next))
    }
}

/// The cursor of the next page, if there is one.
fn last<T>(page: &Page<T>) -> Option<String> {
    page.items
        .last()
        .filter(|_| page.more)
        .map(|(c, _)| c.clone())
}

fn stream(
    app: Arc<App>,
    export: Export,
) -> impl futures::Stream<Item = Result<Bytes, DomainError>> {
    futures::stream::try_unfold(Next::First, move |next| {
        let app = app.clone();
        async move {
            let after = match next {
                Next::Over => return Ok(None),
                Next::First => {
                    let heading = Bytes::from_static(export.heading().as_bytes());
                    return Ok(Some((heading, Next::After(None))));
                }
                Next::After(a) => a,
            };
            let (text, next) = export
                .page(&app, after)
                .await
                .inspect_err(|e| tracing::error!(error = ?e, "an export"))?;
            let next = next.map_or(Next::Over, |c| Next::After(Some(c)));
            Ok(Some((Bytes::from(text), next)))
        }
    })
}

async fn export(site: &Site, req: &HttpRequest, route: &str, what: Export) -> Answer {
    site.pass(req, route).await?;
    let (name, kind) = what.file();
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ))
        .streaming(Box::pin(stream(site.app.clone(), what))))
}

/// `GET /v1/exports/ledger.csv`: a line a posting, newest transfer first.
pub(crate) async fn ledger(site: Data<Site>, req: HttpRequest) -> Answer {
    export(&site, &req, "GET /v1/exports/ledger.csv", Export::Ledger).await
}

/// `GET /v1/exports/audit.jsonl`: a line a record, oldest first.
pub(crate) async fn audit(site: Data<Site>, req: HttpRequest) -> Answer {
    export(&site, &req, "GET /v1/exports/audit.jsonl", Export::Audit).await
}

/// `GET /v1/exports/orders.csv`: a line an order, newest first.
pub(crate) async fn orders(site: Data<Site>, req: HttpRequest) -> Answer {
    export(&site, &req, "GET /v1/exports/orders.csv", Export::Orders).await
}
