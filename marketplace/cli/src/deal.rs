//! `veilbourse custodian deal`: classes said in a line, dealt to files, shown.

use crate::{args::DealArgs, files::existing_key, progress::Bars, show::table};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use veilbourse_client::{
    dataset::DatasetFolder,
    dealing::{
        Asked, DealerFolder, Noise, PersonRows, decimal, exact, noisy, statistics_sensitivity,
        weights_sensitivity,
    },
};
use veilbourse_core::manifest::Manifest;
use veilbourse_documents::Key;
use veilbourse_privacy::{Rational, Rho, Sensitivity, conversion};
use veilbourse_verify::terminal::printable;

/// Tickets a quorum where nothing else is said.
const TICKETS: u64 = 2048;
/// For people: epsilon is said at this delta, as the marketplace says it.
const DELTA: f64 = 1e-9;

/// A limit of rho.
pub fn rho(text: &str) -> Result<Rho> {
    let value = decimal(text).with_context(|| format!("rho {text:?}: expected 0.5 or 1/2"))?;
    Ok(Rho::granting(&value)?)
}

/// A class as `--class` says it, for this dataset.
pub fn class(said: &str, manifest: &Manifest) -> Result<Asked> {
    let k = u8::try_from(manifest.message_log2).context("k")?;
    let (name, rest) = said.split_once(':').unwrap_or((said, ""));
    ensure!(!name.is_empty(), "class {said:?} has no name");
    let (mut tickets, mut noise) = (TICKETS, None);
    let (mut sensitivity, mut bound) = (None, None);
    let (mut columns, mut rows) = (Vec::new(), PersonRows::default());
    for part in rest.split(',').filter(|p| !p.is_empty()) {
        let (key, value) = part
            .split_once('=')
            .with_context(|| format!("class {name:?}: {part:?} is not KEY=VALUE"))?;
        let number = || -> Result<Rational> {
            decimal(value).with_context(|| format!("class {name:?}: {part:?} is no number"))
        };
        let integer = || -> Result<u64> {
            let parsed = value.parse::<u64>();
            parsed.with_context(|| format!("class {name:?}: {part:?} is no whole number"))
        };
        let mut law = |said: Noise| match noise.replace(said) {
            None => Ok(()),
            Some(_) => bail!("class {name:?}: one of rho, epsilon, variance and scale is enough"),
        };
        match key {
            "tickets" => tickets = integer()?,
            "rho" => law(Noise::Rho(number()?))?,
            "epsilon" => law(Noise::Epsilon(number()?))?,
            "variance" => law(Noise::Variance(number()?))?,
            "scale" => law(Noise::Scale(number()?))?,
            "sensitivity" => sensitivity = Some(integer()?),
            "bound" => bound = Some(integer()?),
            "column" => columns.push(value.to_owned()),
            "rows" => rows = PersonRows(u32::try_from(integer()?)?),
            _ => bail!(
                "class {name:?}: {key:?} is none of tickets, rho, epsilon, variance, scale, \
                 sensitivity, bound, column, rows"
            ),
        }
    }
    let Some(noise) = noise else {
        ensure!(
            sensitivity.is_none() && bound.is_none() && columns.is_empty(),
            "class {name:?}: without noise (rho, epsilon, variance or scale) there is no sensitivity"
        );
        let class = exact(name, k);
        return Ok(Asked { class, tickets });
    };
    let sensitivity = match (sensitivity, bound, columns.as_slice()) {
        (Some(s), None, []) => Sensitivity::new(s.into())?.of_group(rows.0)?,
        (None, Some(b), []) => weights_sensitivity(name, b, rows)?,
        (None, None, columns) => statistics_sensitivity(name, manifest, columns, rows)?,
        _ => bail!("class {name:?}: give one of sensitivity, bound and column"),
    };
    let class = noisy(name, k, sensitivity, &noise)?;
    Ok(Asked { class, tickets })
}

/// What a ticket of a class costs and how far its noise moves a value, for people.
fn law(asked: &Asked) -> String {
    let class = &asked.class;
    let Ok(sensitivity) = Sensitivity::new(class.sensitivity.into()) else {
        return String::new();
    };
    let Ok(cost) = class.mechanism.cost(sensitivity) else {
        return "no noise".into();
    };
    let f = class.mechanism.forecast();
    format!(
        "a row moves a value by {} at most; noise of deviation {:.1}, within {} in 95 of 100, {:.2e} rho a ticket",
        class.sensitivity,
        f.standard_deviation,
        f.half_width_95,
        cost.to_f64()
    )
}

/// `veilbourse custodian deal`.
pub fn run(a: &DealArgs, json: bool) -> Result<()> {
    let folder = DatasetFolder::open(&a.dataset)?;
    // What is dealt serves policies of this key and no other (DOC-14).
    let custodian = existing_key(&a.key)?;
    let committee = crate::member::committee(&a.committee)?;
    let mut rng = crate::rng(None);
    let mut dealer = DealerFolder::open(&folder, &mut rng)?;
    let unfinished = dealer.plan().unfinished();
    if unfinished > 0 {
        note!(
            "{unfinished} dealings were planned before and not finished: they are gone on with, as \
             they were planned; run the command again for others"
        );
    } else {
        let plain = ["exact".to_owned()];
        let said = match a.class.as_slice() {
            [] => &plain[..],
            said => said,
        };
        let asked: Vec<Asked> = said
            .iter()
            .map(|c| class(c, &folder.manifest))
            .collect::<Result<_>>()?;
        let before = dealer.plan().dealings.len();
        if before > 0 && !a.more && a.anew.is_empty() {
            bail!(
                "{before} dealings are there already: --more deals further tickets (their noise is \
                 paid for when it is dealt), --anew NODES deals a frozen quorum anew"
            );
        }
        let set = |q: &[crate::args::Quorum]| -> BTreeSet<Vec<u8>> {
            q.iter().map(|q| q.0.clone()).collect()
        };
        let (anew, mut only) = (set(&a.anew), set(&a.quorum));
        // A frozen quorum alone, where nothing more is asked for.
        if only.is_empty() && !a.more {
            only.clone_from(&anew);
        }
        let only = (!only.is_empty()).then_some(&only);
        if !json {
            for asked in &asked {
                out!(
                    "class \"{}\", {} tickets a quorum: {}",
                    printable(&asked.class.name),
                    asked.tickets,
                    law(asked)
                );
            }
        }
        dealer.add(&committee, &asked, &anew, only)?;
    }
    let secret = folder.secret()?;
    let bars = Bars::new(json);
    let dealt = tokio::task::block_in_place(|| {
        let by = Key(custodian.verifying_key().to_bytes());
        veilbourse_client::dealing::deal(&mut dealer, &secret, &by, &committee, &mut rng, &bars)
    })?;
    let tickets = dealer.tickets(None)?;
    let cost = tickets.cost()?;
    let noisy = tickets.dealings.iter().filter(|d| {
        let class = tickets.class(&d.class);
        class.is_some_and(|(_, c)| c.noisy())
    });
    let openings: u64 = noisy.map(|d| d.count).sum();
    // So much that no epsilon can be said is still what was dealt.
    let epsilon = conversion::epsilon(cost, DELTA, openings.max(1)).ok();
    if json {
        out!(
            "{}",
            json!({ "dealings": dealt, "rho": cost.to_f64(), "epsilon": epsilon, "delta": DELTA })
        );
        return Ok(());
    }
    let rows: Vec<Vec<String>> = dealt
        .iter()
        .map(|d| {
            let class = tickets.class(&d.class);
            let nodes: Vec<String> = d.quorum.iter().map(ToString::to_string).collect();
            vec![
                nodes.join("+"),
                d.epoch.to_string(),
                class.map_or(String::new(), |(t, _)| t.name.clone()),
                d.count.to_string(),
                d.digest.to_string().chars().take(16).collect(),
            ]
        })
        .collect();
    let header = ["nodes", "epoch", "class", "tickets", "dealing"];
    out!("{}", table(&header, &rows));
    out!(
        "  all tickets together cost {:.4} rho (epsilon {} at delta {DELTA:.0e})",
        cost.to_f64(),
        epsilon.map_or("too great to be said".into(), |e| format!("{e:.3}"))
    );
    out!(
        "  sealed to the nodes in {}; `custodian list` and `custodian policy` with --committee \
         upload them",
        a.dataset.join("dealer").display()
    );
    Ok(())
}

fn text(v: &Value) -> String {
    match v {
        Value::String(s) => s.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

/// The tickets of a listing: by class, by quorum, and each node's answer.
pub fn show_tickets(listing: &Value) {
    let t = &listing["tickets"];
    if t.is_null() {
        return;
    }
    out!(
        "\n  {}: opening tickets",
        printable(&text(&listing["title"]))
    );
    let number = |v: &Value| v.as_f64().unwrap_or(0.0);
    let classes = t["classes"].as_array();
    let name = |digest: &Value| {
        let mut of = classes.into_iter().flatten();
        of.find(|c| c["digest"] == *digest)
            .map_or_else(|| text(digest), |c| text(&c["name"]))
    };
    let rows: Vec<Vec<String>> = classes
        .into_iter()
        .flatten()
        .map(|c| {
            let fields = ["name", "law", "dealt", "spent", "left"];
            fields.iter().map(|f| text(&c[*f])).collect()
        })
        .collect();
    out!(
        "{}",
        table(&["class", "noise", "dealt", "spent", "left"], &rows)
    );
    let rows: Vec<Vec<String>> = t["dealings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|d| {
            let nodes = d["quorum"].as_array().into_iter().flatten().map(text);
            let nodes: Vec<String> = nodes.collect();
            let answers = d["answers"].as_array().into_iter().flatten().map(|a| {
                let why = match (&a["code"], &a["reason"]) {
                    (Value::String(code), Value::String(reason)) if !code.is_empty() => {
                        format!(" ({code}: {reason})")
                    }
                    _ => String::new(),
                };
                format!("{} {}{why}", text(&a["node"]), text(&a["state"]))
            });
            vec![
                nodes.join("+"),
                text(&d["epoch"]),
                name(&d["class"]),
                text(&d["first"]),
                text(&d["count"]),
                text(&d["next"]),
                text(&d["state"]),
                answers.collect::<Vec<_>>().join("; "),
            ]
        })
        .collect();
    let header = [
        "nodes",
        "epoch",
        "class",
        "first",
        "tickets",
        "next",
        "state",
        "answers by node",
    ];
    out!("{}", table(&header, &rows));
    let (limit, dealt) = (number(&t["rhoLimit"]), number(&t["rhoDealt"]));
    out!(
        "  privacy: {dealt:.4} of {limit:.4} rho is dealt, {:.4} left; {}",
        (limit - dealt).max(0.0),
        match t["epsilonDealt"].as_f64() {
            Some(epsilon) => format!("epsilon {epsilon:.3} at delta {:.0e}", number(&t["delta"])),
            None => format!("no epsilon at delta {:.0e}", number(&t["delta"])),
        }
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use veilbourse_core::digest::Digest;
    use veilbourse_core::manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION,
    };
    use veilbourse_privacy::Mechanism;

    fn manifest() -> Manifest {
        let column = |name: &str, min, max| Column {
            name: name.into(),
            kind: ColumnKind::Numeric,
            unit: String::new(),
            scale_log2: 0,
            min,
            max,
        };
        Manifest {
            version: MANIFEST_VERSION,
            name: "t".into(),
            params: DataParamsId::Data4096Tu3V1,
            commitment: CommitmentParamsId::FriBlake3V1,
            message_log2: 26,
            columns: vec![column("age", 0, 100), column("bmi", -10, 50)],
            public_columns: Vec::new(),
            segments: Vec::new(),
            public_key_label: Digest([4; 32]),
            public_key_body: Digest([5; 32]),
            nonce: Digest([6; 32]),
        }
    }

    #[test]
    fn classes_are_said_in_a_line() {
        let m = manifest();
        let made = class("exact", &m).expect("good");
        assert_eq!((made.tickets, made.class.k), (TICKETS, 26));
        assert_eq!(made.class.mechanism, Mechanism::None);
        let made = class("private:rho=0.001,tickets=500", &m).expect("good");
        assert_eq!((made.tickets, made.class.sensitivity), (500, 100));
        let made = class("p:variance=9,column=bmi,rows=3", &m).expect("good");
        assert_eq!(made.class.sensitivity, 180);
        assert_eq!(
            made.class.mechanism,
            Mechanism::gaussian(9, 1).expect("a law")
        );
        let made = class("p:epsilon=0.5,bound=1000", &m).expect("good");
        assert_eq!(made.class.sensitivity, 2000);
        for (bad, says) in [
            ("", "no name"),
            ("p:rho", "KEY=VALUE"),
            ("p:rho=x", "no number"),
            ("p:tickets=1.5,rho=1", "whole number"),
            ("p:rho=1,scale=2", "one of rho"),
            ("p:colour=red", "none of"),
            ("p:column=age", "there is no sensitivity"),
            ("p:rho=1,bound=4,sensitivity=5", "give one of"),
            ("p:rho=1,column=height", "no column"),
        ] {
            let e = format!("{:#}", class(bad, &m).expect_err(bad));
            assert!(e.contains(says), "{bad}: {e}");
        }
    }

    #[test]
    fn a_limit_of_rho_is_rounded_down() {
        assert_eq!(rho("1/3").expect("good").units(), (1 << 40) / 3);
        assert!(rho("-1").is_err() && rho("all").is_err());
    }
}
