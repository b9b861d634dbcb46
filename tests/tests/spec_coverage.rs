//! Every rule of docs/spec is cited where it is enforced and where it is tested.

use std::collections::{BTreeMap, BTreeSet};
use veilbourse_tests::{files, root};

/// `| LES-4 | ...` at the start of a table row.
fn rules() -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for file in files(&root().join("docs/spec"), "md") {
        let text = std::fs::read_to_string(&file).expect("readable");
        for line in text.lines() {
            let Some(cell) = line.strip_prefix("| ").and_then(|l| l.split(" |").next()) else {
                continue;
            };
            if is_rule(cell) {
                out.insert(cell.to_owned());
            }
        }
    }
    out
}

fn is_rule(s: &str) -> bool {
    s.split_once('-').is_some_and(|(a, n)| {
        (2..=5).contains(&a.len())
            && a.bytes().all(|b| b.is_ascii_uppercase())
            && !n.is_empty()
            && n.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Rule ids in a text, with ranges `OPN-5..7` and lists `OPN-5/6` spelled out.
fn cited(text: &str, prefixes: &BTreeSet<String>) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for p in prefixes {
        let needle = format!("{p}-");
        for (at, _) in text.match_indices(&needle) {
            if text[..at]
                .chars()
                .next_back()
                .is_some_and(|c| c.is_ascii_alphanumeric())
            {
                continue;
            }
            let rest = &text[at + needle.len()..];
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let Ok(first) = digits.parse::<u32>() else {
                continue;
            };
            out.insert(format!("{p}-{first}"));
            if let Some(to) = rest[digits.len()..].strip_prefix("..") {
                let to = to.strip_prefix('=').unwrap_or(to);
                let to = to.strip_prefix(&needle).unwrap_or(to);
                let last: String = to.chars().take_while(char::is_ascii_digit).collect();
                if let Ok(last) = last.parse::<u32>() {
                    out.extend((first..=last.min(first + 20)).map(|n| format!("{p}-{n}")));
                }
            }
        }
    }
    out
}

#[test]
fn every_rule_is_cited_in_code_and_in_a_test() {
    let rules = rules();
    assert!(rules.len() > 80, "only {} rules found", rules.len());
    let prefixes: BTreeSet<String> = rules
        .iter()
        .filter_map(|r| r.split_once('-').map(|(p, _)| p.to_owned()))
        .collect();
    let (mut code, mut tests) = (BTreeSet::new(), BTreeSet::new());
    for file in files(&root(), "rs") {
        let text = std::fs::read_to_string(&file).expect("readable");
        let path = file
            .strip_prefix(root())
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        let stem = file
            .file_stem()
            .map(|s| s.to_string_lossy().into_owned())
            .unwrap_or_default();
        let is_test = path.contains("tests/") || stem == "tests" || stem.ends_with("_tests");
        let (main, test) = if is_test {
            ("", text.as_str())
        } else {
            text.find("#[cfg(test)]")
                .map_or((text.as_str(), ""), |at| text.split_at(at))
        };
        code.extend(cited(main, &prefixes));
        tests.extend(cited(test, &prefixes));
    }
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for r in &rules {
        if !code.contains(r) {
            missing.entry("code").or_default().push(r);
        }
        if !tests.contains(r) {
            missing.entry("tests").or_default().push(r);
        }
    }
    assert!(missing.is_empty(), "rules not cited: {missing:?}");
}
