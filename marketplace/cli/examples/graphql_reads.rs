//! GraphQL reads on SQLite, load generator on the same machine: the catalogue
//! page of 20 listings and one listing with its policy, beside `/healthz` of
//! the same server in the same run. Each is asked as fast as answers come, for
//! the rate, and 1,000 times a second on a clock, for the latencies at that
//! load (counted from when a request was due, so that a stall counts for all
//! that it delays).
//!
//! `cargo run --release -p veilbourse --example graphql_reads`

#![allow(clippy::print_stdout)] // a measurement for people
#[path = "../tests/over_http/common.rs"]
mod common;

use common::{Market, settings};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use veilbourse_client::{
    dataset,
    http::Silent,
    market::{self, Decide},
};
use veilbourse_documents::Signed;

const CONNECTIONS: u32 = 8;
const SECONDS: u64 = 5;
/// Requests a second on the clock.
const PACE: u32 = 1000;

/// Asks over and over on several connections, at a pace or without pause; rate
/// and latencies.
async fn load(
    url: String,
    body: Option<String>,
    seconds: u64,
    pace: Option<u32>,
) -> (f64, Duration, Duration) {
    let client = reqwest::Client::new();
    let body = Arc::new(body);
    let begin = Instant::now();
    let until = begin + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            let (client, url, body) = (client.clone(), url.clone(), body.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                for turn in 0u32.. {
                    let due = pace.map(|p| {
                        begin + Duration::from_secs(1) / p * (turn * CONNECTIONS + connection)
                    });
                    if let Some(due) = due {
                        tokio::time::sleep_until(due.into()).await;
                    }
                    let start = due.unwrap_or_else(Instant::now);
                    if start >= until {
                        break;
                    }
                    let request = match &*body {
                        Some(b) => client
                            .post(&url)
                            .header("content-type", "application/json")
                            .body(b.clone()),
                        None => client.get(&url),
                    };
                    let text = request
                        .send()
                        .await
                        .expect("answers")
                        .text()
                        .await
                        .expect("text");
                    assert!(!text.contains("\"errors\""), "{text}");
                    times.push(start.elapsed());
                }
                times
            })
        })
        .collect();
    let mut all = Vec::new();
    for t in tasks {
        all.extend(t.await.expect("no panic"));
    }
    all.sort_unstable();
    let at = |q: usize| all[(all.len() * q / 1000).min(all.len() - 1)];
    (all.len() as f64 / seconds as f64, at(500), at(990))
}

#[tokio::main]
async fn main() {
    let m = Market::open(settings()).await;
    // Twenty listings in the catalogue.
    for i in 1..20 {
        let note = m
            .folder
            .object(&format!("../listing-{}.id", m.custodian.session.account));
        std::fs::remove_file(note).expect("noted");
        let session = &m.custodian.session;
        let id = dataset::draft(session, &m.folder, &format!("Visits {i}"), "again")
            .await
            .expect("a draft");
        dataset::upload(&session.server, &id, &m.folder, &Silent)
            .await
            .expect("uploads");
        let body = common::policy(&m.world, m.node_key, &id, &m.folder, m.now());
        let signed = Signed::sign(body, &m.custodian.key).expect("signs");
        dataset::submit(session, &id, &signed)
            .await
            .expect("submits");
        market::decide(&m.world.admin, Decide::Listing, id.as_str(), true, "")
            .await
            .expect("yes");
    }
    let graphql = format!("{}/graphql", m.world.url);
    let page = json!({ "query": "{ listings(first: 20) { nodes { id title state priceOrder createdAt } pageInfo { hasNextPage } } }" });
    let one = json!({ "query": format!("{{ listing(id: \"{}\") {{ id title description policy reveals {{ values valuesLeft }} }} }}", m.listing) });
    load(graphql.clone(), Some(page.to_string()), 1, None).await;
    println!("{CONNECTIONS} connections, {SECONDS} s each, generator on the same machine\n");
    println!("| | a second, at most | at {PACE} a second: median ms | p99 ms |\n|---|---|---|---|");
    for (name, url, body) in [
        (
            "/healthz (reference)",
            format!("{}/healthz", m.world.url),
            None,
        ),
        (
            "catalogue page, 20 listings",
            graphql.clone(),
            Some(page.to_string()),
        ),
        ("one listing with policy", graphql, Some(one.to_string())),
    ] {
        let (rate, _, _) = load(url.clone(), body.clone(), SECONDS, None).await;
        let (_, median, p99) = load(url, body, SECONDS, Some(PACE)).await;
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        println!(
            "| {name} | {rate:.0} | {:.2} | {:.2} |",
            ms(median),
            ms(p99)
        );
    }
    m.world.stop().await.expect("stops");
}
