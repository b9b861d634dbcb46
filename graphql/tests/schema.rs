//! The schema against its checked-in text and against the policy table.

use std::{collections::BTreeSet, fs, path::Path};
use veilbourse_domain::access::{POLICY, Surface};

/// The checked-in SDL is the schema's (drift test). On purpose changed? Write
/// what the test prints the path of.
#[test]
fn the_checked_in_sdl_is_the_schemas() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql");
    let held = fs::read_to_string(&file).unwrap_or_default();
    let now = veilbourse_graphql::sdl();
    if held != now {
        let next = std::env::temp_dir().join("schema.graphql");
        fs::write(&next, &now).expect("writable");
        panic!(
            "{} differs from the schema; the new text is in {}",
            file.display(),
            next.display()
        );
    }
}

fn fields(sdl: &str, root: &str) -> BTreeSet<String> {
    let start = sdl
        .find(&format!("type {root} {{"))
        .expect("the root is there");
    let body = &sdl[start..];
    let body = &body[..body.find("\n}").expect("it ends")];
    body.lines()
        .skip(1)
        .filter_map(|l| l.strip_prefix('\t'))
        .filter_map(|l| {
            let name: String = l.chars().take_while(char::is_ascii_alphanumeric).collect();
            let field = name.starts_with(|c: char| c.is_ascii_lowercase())
                && l[name.len()..].starts_with(['(', ':']);
            field.then_some(name)
        })
        .collect()
}

/// ACC-1: each root field has its entry in the table, and no entry is without
/// its field.
#[test]
fn the_policy_table_covers_every_root_field() {
    let sdl = veilbourse_graphql::sdl();
    for (surface, root) in [
        (Surface::Query, "Query"),
        (Surface::Mutation, "Mutation"),
        (Surface::Subscription, "Subscription"),
    ] {
        let table: BTreeSet<String> = POLICY
            .iter()
            .filter(|(s, ..)| *s == surface)
            .map(|(_, name, _)| (*name).to_owned())
            .collect();
        assert_eq!(fields(&sdl, root), table, "{root}");
    }
}

/// GQL-3: the schema is public, every root field says what it does.
#[test]
fn every_root_field_is_described() {
    let sdl = veilbourse_graphql::sdl();
    for root in ["Query", "Mutation", "Subscription"] {
        for f in fields(&sdl, root) {
            let at = [format!("\t{f}("), format!("\t{f}:")]
                .iter()
                .filter_map(|n| sdl.find(&format!("\"\"\"\n{n}")))
                .next();
            assert!(at.is_some(), "{root}.{f} has no description");
        }
    }
}
