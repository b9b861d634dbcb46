//! What was promised to partners holds (PAR-16): what the schema of the last
//! release had is still there, or `docs/schema-changelog.md` says what became of
//! it. `schema.previous.graphql` is that release's text: a release replaces it.

use async_graphql::parser::{
    parse_schema,
    types::{
        FieldDefinition, InputValueDefinition, ServiceDocument, TypeKind, TypeSystemDefinition,
    },
};
use std::collections::{BTreeMap, BTreeSet};

const PREVIOUS: &str = include_str!("../schema.previous.graphql");
const CHANGELOG: &str = include_str!("../../docs/schema-changelog.md");

/// Coordinate (`Type.field`, `Type.field(argument:)`) to what it is.
type Shape = BTreeMap<String, String>;

fn arguments(shape: &mut Shape, at: &str, all: &[InputValueDefinition]) {
    for a in all {
        shape.insert(format!("{at}({}:)", a.name.node), a.ty.node.to_string());
    }
}

fn plain<T: Clone>(all: &[async_graphql::Positioned<T>]) -> Vec<T> {
    all.iter().map(|p| p.node.clone()).collect()
}

fn fields(shape: &mut Shape, ty: &str, all: &[FieldDefinition]) {
    for f in all {
        let at = format!("{ty}.{}", f.name.node);
        arguments(shape, &at, &plain(&f.arguments));
        shape.insert(at, f.ty.node.to_string());
    }
}

fn shape(sdl: &str) -> Shape {
    let document: ServiceDocument = parse_schema(sdl).expect("a schema");
    let mut shape = Shape::new();
    for d in &document.definitions {
        let TypeSystemDefinition::Type(t) = d else {
            continue;
        };
        let name = t.node.name.node.as_str();
        let kind = match &t.node.kind {
            TypeKind::Scalar => "scalar",
            TypeKind::Object(o) => {
                fields(&mut shape, name, &plain(&o.fields));
                "type"
            }
            TypeKind::Interface(i) => {
                fields(&mut shape, name, &plain(&i.fields));
                "interface"
            }
            TypeKind::Union(u) => {
                for m in &u.members {
                    shape.insert(format!("{name}.{}", m.node), "member".into());
                }
                "union"
            }
            TypeKind::Enum(e) => {
                for v in &e.values {
                    shape.insert(format!("{name}.{}", v.node.value.node), "value".into());
                }
                "enum"
            }
            TypeKind::InputObject(i) => {
                for f in &i.fields {
                    let at = format!("{name}.{}", f.node.name.node);
                    shape.insert(at, f.node.ty.node.to_string());
                }
                "input"
            }
        };
        shape.insert(name.to_owned(), kind.to_owned());
    }
    shape
}

/// Arguments and input fields that a request of before does not have.
fn demanded(sdl: &str) -> BTreeSet<String> {
    let document: ServiceDocument = parse_schema(sdl).expect("a schema");
    let mut out = BTreeSet::new();
    let mut look = |at: String, v: &InputValueDefinition| {
        if !v.ty.node.nullable && v.default_value.is_none() {
            out.insert(at);
        }
    };
    for d in &document.definitions {
        let TypeSystemDefinition::Type(t) = d else {
            continue;
        };
        let name = t.node.name.node.as_str();
        match &t.node.kind {
            TypeKind::Object(o) => {
                for f in &o.fields {
                    for a in &f.node.arguments {
                        let at = format!("{name}.{}({}:)", f.node.name.node, a.node.name.node);
                        look(at, &a.node);
                    }
                }
            }
            TypeKind::InputObject(i) => {
                for f in &i.fields {
                    look(format!("{name}.{}", f.node.name.node), &f.node);
                }
            }
            _ => {}
        }
    }
    out
}

/// What a program written against `before` may stumble over in `after`.
fn broken(before: &str, after: &str) -> BTreeSet<String> {
    let (old, new) = (shape(before), shape(after));
    let mut out: BTreeSet<String> = old
        .iter()
        .filter(|(at, is)| new.get(*at) != Some(*is))
        .map(|(at, _)| at.clone())
        .collect();
    for at in demanded(after).difference(&demanded(before)) {
        // Of a field that is new as a whole, nobody's request is broken.
        let owner = at.split('(').next().unwrap_or(at);
        let there = match at.contains('(') {
            true => old.contains_key(owner),
            false => old.contains_key(owner.split('.').next().unwrap_or(owner)),
        };
        if there {
            out.insert(at.clone());
        }
    }
    out
}

/// Coordinates in the changelog's rows: | `Type.field` | ...
fn listed(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|l| l.strip_prefix("| `")?.split_once("` |"))
        .map(|(at, _)| at.to_owned())
        .collect()
}

#[test]
fn what_changed_is_in_the_changelog() {
    // PAR-16
    let listed = listed(CHANGELOG);
    let silent: Vec<_> = broken(PREVIOUS, &veilbourse_graphql::sdl())
        .into_iter()
        .filter(|at| !listed.contains(at))
        .collect();
    assert!(
        silent.is_empty(),
        "removed or changed, and not in docs/schema-changelog.md: {silent:?}"
    );
}

#[test]
fn deprecations_are_in_the_changelog() {
    // PAR-16
    let listed = listed(CHANGELOG);
    let sdl = veilbourse_graphql::sdl();
    let document: ServiceDocument = parse_schema(&sdl).expect("a schema");
    for d in &document.definitions {
        let TypeSystemDefinition::Type(t) = d else {
            continue;
        };
        let TypeKind::Object(o) = &t.node.kind else {
            continue;
        };
        for f in &o.fields {
            let old = f.node.directives.iter();
            if old.clone().any(|d| d.node.name.node == "deprecated") {
                let at = format!("{}.{}", t.node.name.node, f.node.name.node);
                assert!(listed.contains(&at), "{at} is deprecated, and not listed");
            }
        }
    }
}

#[test]
fn every_kind_of_change_is_noticed() {
    let before =
        "type Query { a(x: Int): String! b: E! } enum E { ONE TWO } input I { f: Int } scalar S";
    let same = "type Query { a(x: Int, y: Int): String! b: E! c(z: Int!): Int } enum E { ONE TWO THREE } input I { f: Int g: Int } scalar S input J { h: Int! }";
    assert_eq!(
        broken(before, same),
        BTreeSet::new(),
        "what is added breaks nothing"
    );
    let cases = [
        ("a(x: Int): String!", "a(x: Int): String", "Query.a"),
        ("a(x: Int): String!", "a(x: Int!): String!", "Query.a(x:)"),
        ("a(x: Int): String!", "a: String!", "Query.a(x:)"),
        (
            "a(x: Int): String!",
            "a(x: Int, y: Int!): String!",
            "Query.a(y:)",
        ),
        ("b: E!", "", "Query.b"),
        ("TWO", "", "E.TWO"),
        ("f: Int", "f: String", "I.f"),
        ("f: Int", "f: Int g: Int!", "I.g"),
        ("scalar S", "", "S"),
        ("scalar S", "enum S { X }", "S"),
    ];
    for (from, to, at) in cases {
        let after = before.replacen(from, to, 1);
        assert!(broken(before, &after).contains(at), "{at}: {after}");
    }
    let rows = listed("# x\n| `Query.a` | removed |\n| Query.b | no |\n");
    assert_eq!(rows, BTreeSet::from(["Query.a".to_owned()]));
}
