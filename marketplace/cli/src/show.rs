//! What people look at in a terminal: tables and bar plots.

use std::fmt::Write;
use veilbourse_verify::terminal::printable;

/// A table with a header, columns as wide as they need to be; numbers
/// (cells that start with a digit or sign) are right-aligned.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    // Cells may come from a server: each is one line.
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|r| r.iter().map(|c| printable(c)).collect())
        .collect();
    let columns = header.len();
    let mut width: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in &rows {
        for (w, cell) in width.iter_mut().zip(row) {
            *w = (*w).max(cell.chars().count());
        }
    }
    let numeric = |cell: &str| {
        let mut c = cell.trim_start_matches(['-', '+', '±', '<']).chars();
        c.next().is_some_and(|c| c.is_ascii_digit())
    };
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (i, (cell, w)) in cells.zip(&width).enumerate() {
            let pad = w.saturating_sub(cell.chars().count());
            let (left, right) = if numeric(cell) { (pad, 0) } else { (0, pad) };
            let gap = if i + 1 < columns { "  " } else { "" };
            let _ = write!(text, "{:left$}{cell}{:right$}{gap}", "", "");
        }
        let _ = writeln!(out, "  {}", text.trim_end());
    };
    line(&mut header.iter().copied());
    let rules: Vec<String> = width.iter().map(|w| "─".repeat(*w)).collect();
    line(&mut rules.iter().map(String::as_str));
    for row in &rows {
        line(&mut row.iter().map(String::as_str));
    }
    out
}

/// Horizontal bars: label, value, and a second mark `│` at the reference, so
/// that agreement is seen at a glance.
pub fn bars(title: &str, items: &[(String, f64, f64)]) -> String {
    const WIDTH: usize = 44;
    let most = items
        .iter()
        .flat_map(|(_, a, b)| [a.abs(), b.abs()])
        .fold(0.0_f64, f64::max);
    let cells = |v: f64| {
        if most > 0.0 {
            ((v.abs() / most) * WIDTH as f64).round() as usize
        } else {
            0
        }
    };
    let label = items
        .iter()
        .map(|(l, ..)| l.chars().count())
        .max()
        .unwrap_or(0);
    let mut out = format!("  {title}   (█ decrypted, │ plaintext reference)\n");
    for (name, value, reference) in items {
        let name = printable(name);
        let (n, at) = (cells(*value), cells(*reference).min(WIDTH));
        let bar: String = (0..=WIDTH)
            .map(|i| match (i == at, i < n) {
                (true, _) => '│',
                (false, true) => '█',
                (false, false) => ' ',
            })
            .collect();
        let pad = label.saturating_sub(name.chars().count());
        let _ = writeln!(out, "  {name}{:pad$} {} {value:.4}", "", bar.trim_end());
    }
    out
}

/// Minor units as credits: 1234 -> "12.34".
pub fn money(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let v = minor.unsigned_abs();
    format!("{sign}{}.{:02}", v / 100, v % 100)
}

/// Credits as minor units: "12.34" -> 1234.
pub fn credits(text: &str) -> Option<i64> {
    let (whole, cents) = text.split_once('.').unwrap_or((text, "00"));
    let cents = match cents.len() {
        1 => format!("{cents}0"),
        2 => cents.to_owned(),
        _ => return None,
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(&cents) {
        return None;
    }
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(100)?
        .checked_add(cents.parse().ok()?)
}

/// 1234567 -> "1.18 MiB".
pub fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB"];
    let mut v = n as f64;
    let mut unit = 0;
    while v >= 1024.0 && unit + 1 < units.len() {
        v /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n} B")
    } else {
        format!("{v:.2} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_bars_mark_the_reference() {
        let t = table(&["stage", "s"], &[vec!["keygen".into(), "0.1".into()]]);
        assert_eq!(t, "  stage   s\n  ──────  ───\n  keygen  0.1\n");
        let t = table(&["a"], &[vec!["x\n\u{1b}[2Jy".into()]]);
        assert_eq!(t.lines().count(), 3, "{t:?}");
        assert!(t.contains("x\\u000a\\u001b[2Jy"), "{t:?}");
        let b = bars("x", &[("a".into(), 2.0, 2.0), ("bb".into(), 1.0, 2.0)]);
        assert!(
            b.lines().nth(1).is_some_and(|l| l.contains("█│ 2.0000")),
            "{b}"
        );
        assert_eq!(bytes(1_234_567), "1.18 MiB");
        assert_eq!((money(1234), money(-5)), ("12.34".into(), "-0.05".into()));
        assert_eq!(
            (credits("12.34"), credits("7"), credits("7.5")),
            (Some(1234), Some(700), Some(750))
        );
        assert_eq!(
            (credits(""), credits("-1"), credits("1.234"), credits("x")),
            (None, None, None, None)
        );
    }
}
