//! `buyer train` from the command line, over HTTP, on a small table: the moments
//! are bought once, proven, and solved from as often as wanted.

use crate::{
    command_line::{MAIL, run},
    common::{Market, settings},
};
use serde_json::Value;
use std::{io::Cursor, path::Path};
use veilbourse_client::market::{self, Decide};
use veilbourse_server::ServerConfig;
use veilbourse_tabular::{Built, SchemaConfig, SecondMoments, build};

/// The common table with all second moments, and a town that too few live in.
fn table() -> Built {
    let config = SchemaConfig {
        second_moments: SecondMoments::All,
        ..crate::common::config()
    };
    let town = |i: usize| match i {
        0 => "town",
        1..=5 => "c",
        i => ["a", "b", "a"][i % 7 % 3],
    };
    let text = crate::common::csv(7);
    let lines = text.lines().enumerate();
    let csv: Vec<String> = lines.map(|(i, l)| format!("{l},{}", town(i))).collect();
    let built = build(Cursor::new(csv.join("\n")), &config).expect("a good table");
    let suppressed = built.report.suppressed();
    assert!(suppressed.contains(&"town=c".to_owned()), "{suppressed:?}");
    built
}

/// Columns of the quantised table in real units, the plan last.
#[allow(clippy::needless_range_loop)] // rows of a table held by columns
fn rows(built: &Built, names: &[&str]) -> Vec<Vec<f64>> {
    let at = |n: &&str| built.columns.iter().position(|c| c.name == *n);
    let at: Vec<usize> = names.iter().map(|n| at(n).expect("a column")).collect();
    let mut out = Vec::new();
    for (s, columns) in built.table.segments.iter().enumerate() {
        for i in 0..columns[0].len() {
            let cell =
                |f: &usize| columns[*f][i] as f64 * f64::from(-built.columns[*f].scale_log2).exp2();
            let mut row: Vec<f64> = at.iter().map(cell).collect();
            row.push(s as f64);
            out.push(row);
        }
    }
    out
}

/// Normal equations with a leading 1, by Gauss: the last of `rows` is dropped
/// into the features, `y` is the target.
fn plain(rows: &[Vec<f64>], y: &[f64]) -> Vec<f64> {
    let p = rows[0].len() + 1;
    let mut m = vec![vec![0.0; p + 1]; p];
    for (r, y) in rows.iter().zip(y) {
        let x: Vec<f64> = std::iter::once(1.0)
            .chain(r.iter().copied())
            .chain([*y])
            .collect();
        for (i, line) in m.iter_mut().enumerate() {
            for (cell, v) in line.iter_mut().zip(&x) {
                *cell += x[i] * v;
            }
        }
    }
    for k in 0..p {
        let upper = m[k].clone();
        for (i, line) in m.iter_mut().enumerate() {
            if i != k {
                let f = line[k] / upper[k];
                for (cell, u) in line.iter_mut().zip(&upper) {
                    *cell -= f * u;
                }
            }
        }
    }
    (0..p).map(|k| m[k][p] / m[k][k]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_regression_is_bought_once_and_solved_again() {
    // The market's clock stands still, the program's is the machine's.
    let config = ServerConfig {
        order_seconds: u32::MAX,
        ..settings()
    };
    let mut m = Market::open_of(config, table()).await;
    m.start_pod().await;
    m.start_node();
    let dir = m.dir.path().join("buyer");
    std::fs::create_dir(&dir).expect("a folder");
    let url = m.world.url.clone();
    let cli = |arguments: &[&str]| {
        let all = [arguments, &["--server", &url]].concat();
        tokio::task::block_in_place(|| run(&dir, &all))
    };
    cli(&["buyer", "register", "--name", "B"]).expect("registers");
    m.world.verify(MAIL).await.expect("verifies");
    let deposit = cli(&["buyer", "deposit", "1000.00"]).expect("asks");
    let id = deposit["deposit"].as_str().expect("an id");
    market::decide(&m.world.admin, Decide::Deposit, id, true, "")
        .await
        .expect("approves");
    let balance = || cli(&["buyer", "balance"]).expect("a balance")["balance"]["available"].clone();
    let before = balance();

    // TRN-5: what it takes, before anything is paid.
    let train = ["buyer", "train", "ols", "--listing", m.listing.as_str()];
    let ask = ["--target", "visits", "--features", "age,income,town,plan"];
    let quote = cli(&[&train[..], &ask, &["--quote-only"]].concat()).expect("a quote");
    assert_eq!(
        (&quote["moments"], &quote["values"]),
        (&13.into(), &26.into())
    );
    assert_eq!(quote["quote"]["values"], "26");
    let e = cli(&[&train[..], &ask, &["--max-price", "0.01"]].concat()).unwrap_err();
    assert!(e.contains("--max-price"), "{e}");
    let e =
        cli(&[&train[..], &["--target", "visits", "--features", "shoes"]].concat()).unwrap_err();
    assert!(e.contains("shoes"), "{e}");
    // What would be refused in the end is refused at once.
    let beside = ["--model", "training.json"];
    let e = cli(&[&train[..], &ask, &beside].concat()).unwrap_err();
    assert!(e.contains("training.json is written beside it"), "{e}");
    let ridge = [
        "buyer",
        "train",
        "ridge",
        "--lambda",
        "-1",
        "--listing",
        m.listing.as_str(),
    ];
    let e = cli(&[&ridge[..3], &["--lambda=-1"], &ridge[5..], &ask].concat()).unwrap_err();
    assert!(e.contains("lambda"), "{e}");
    assert_eq!(balance(), before, "nothing was paid");

    // TRN-6, TRN-7, TRN-11: bought, proven, opened, solved.
    let done = cli(&[&train[..], &ask].concat()).expect("a regression");
    let fit = &done["training"]["fit"];
    let names = ["age", "income", "town=b"];
    let x = rows(&m.built, &names);
    let y: Vec<f64> = rows(&m.built, &["visits"]).iter().map(|r| r[0]).collect();
    let expected = plain(&x, &y);
    let value = |c: &Value| c["value"].as_f64().expect("a number");
    let found: Vec<f64> = std::iter::once(&fit["intercept"])
        .chain(fit["coefficients"].as_array().expect("a list"))
        .map(value)
        .collect();
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() <= 1e-9 * b.abs(), "{found:?} {expected:?}");
    }
    assert_eq!((found.len(), &fit["rows"]), (5, &600.into()));
    let merged = |t: &Value| t["training"]["references"][0]["merged"].clone();
    assert_eq!(merged(&done), serde_json::json!(["c"]));
    let paid = balance();
    assert_ne!(paid, before);

    // The model is one that an order takes.
    let model = done["model"].as_str().expect("a path");
    let listing = m.listing.as_str();
    let quote = [
        "buyer",
        "quote",
        "--listing",
        listing,
        "--model",
        model,
        "--weights",
        "public",
    ];
    assert!(cli(&quote).is_ok());

    // Again from the folder, with fewer columns and with a penalty, for nothing,
    // and without an account.
    let folder = done["folder"].as_str().expect("a path");
    let offline = |arguments: &[&str]| tokio::task::block_in_place(|| run(&dir, arguments));
    let other = Path::new(folder).join("ridge.json");
    let other = other.to_str().expect("a path");
    let again = [
        "buyer", "train", "ols", "--order", folder, "--target", "income",
    ];
    let again = offline(&[&again[..], &["--features", "age,town"]].concat()).expect("a regression");
    // TRN-3: the ticket keeps what the listing said is suppressed.
    assert_eq!(merged(&again), merged(&done));
    assert_eq!(again["training"]["order"], done["training"]["order"]);
    let with = [
        "buyer",
        "train",
        "ridge",
        "--lambda",
        "50",
        "--standardise",
        "--order",
        folder,
    ];
    let some = [
        "--segments",
        "plan = 1",
        "--target",
        "visits",
        "--model",
        other,
    ];
    let penalised = offline(&[&with[..], &some].concat()).expect("a regression");
    let fit = &penalised["training"]["fit"];
    assert_eq!(
        (&fit["rows"], &fit["method"]["lambda"]),
        (&200.into(), &50.0.into())
    );
    assert_eq!(
        penalised["training"]["left_out"],
        serde_json::json!(["plan"])
    );
    assert!(dir.join(other).exists());
    assert_eq!(balance(), paid);

    // What is kept is held to its ticket.
    let file = dir.join(folder).join("result.json");
    let text = std::fs::read_to_string(&file).expect("reads");
    let mut result: Value = serde_json::from_str(&text).expect("JSON");
    result["outputs"].as_array_mut().expect("outputs").pop();
    std::fs::write(&file, result.to_string()).expect("writes");
    assert!(offline(&[&with[..], &some].concat()).is_err());
    m.world.stop().await.expect("stops");
}
