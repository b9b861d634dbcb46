//! What a document may be before anything walks it (GQL-1). Fragments make a
//! short text stand for a tree of any size, and the library walks the tree: so
//! its size is computed here first, each fragment once.

use crate::{
    federation::{MAX_ENTITIES, MAX_MANIFESTS},
    to_graphql,
};
use async_graphql::{
    Name, Pos, Positioned, Request, ServerError, ServerResult, Value, Variables,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest},
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition,
        OperationType, Selection, SelectionSet,
    },
};
use std::{collections::HashMap, fmt::Display, sync::Arc};
use veilbourse_domain::DomainError;

/// Deepest nesting.
pub const MAX_DEPTH: usize = 12;
/// Greatest complexity: one a field, times the length asked for in lists.
pub const MAX_COMPLEXITY: usize = 2_000;
/// Most fields at the root of an operation, aliases and fragments counted.
pub const MAX_ROOT_FIELDS: usize = 10;
/// Most fields and fragments of a document, each fragment as often as it is
/// spread.
pub const MAX_SELECTIONS: usize = 4_000;
/// Most bytes of arguments and directives, counted the same way.
pub const MAX_ARGUMENTS: usize = 1 << 20;
/// Most bytes of a document's text; what is larger belongs into variables.
pub const MAX_DOCUMENT: usize = 64 << 10;
/// Deepest nesting of selections with their fragments: what the library's own
/// walks allow.
const MAX_NESTING: usize = 32;
/// Root fields whose variables may be large.
const LARGE: [&str; 2] = ["placeOrder", "createListing"];

/// Session data of a websocket: only subscriptions are served there.
#[derive(Debug, Clone, Copy)]
pub struct SubscriptionsOnly;

/// Refuses documents over the limits before the library looks at them, over
/// every transport.
#[derive(Debug)]
pub(crate) struct DocumentLimits;

impl ExtensionFactory for DocumentLimits {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for DocumentLimits {
    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        let mut request = request;
        let name = request.operation_name.clone();
        // Parsed once: the request keeps the document.
        let variables = request.variables.clone();
        let document = parsed(&mut request)?;
        check(document).map_err(server_error)?;
        entities(document, &variables).map_err(server_error)?;
        let kind = selected(document, name.as_deref()).map(|o| o.node.ty);
        if ctx.data_opt::<SubscriptionsOnly>().is_some()
            && kind.is_some_and(|k| k != OperationType::Subscription)
        {
            return Err(server_error(DomainError::invalid(
                "operation",
                "the websocket serves subscriptions; queries and mutations go to POST /graphql",
            )));
        }
        next.run(ctx, request).await
    }
}

/// Whether the operation asked for may bring more than a plain request: by its
/// root fields, not by its text.
pub fn may_be_large(request: &mut Request) -> bool {
    let name = request.operation_name.clone();
    let Ok(document) = parsed(request) else {
        return false;
    };
    let Some(operation) = selected(document, name.as_deref()) else {
        return false;
    };
    let items = &operation.node.selection_set.node.items;
    operation.node.ty == OperationType::Mutation
        && items.iter().all(|item| match &item.node {
            Selection::Field(f) => LARGE.contains(&f.node.name.node.as_str()),
            _ => false,
        })
}

/// The kind and name of an operation's one root field; nothing where there are
/// several, or fragments.
pub fn single_root(request: &mut Request) -> Option<(OperationType, String)> {
    let name = request.operation_name.clone();
    let operation = selected(parsed(request).ok()?, name.as_deref())?;
    match operation.node.selection_set.node.items.as_slice() {
        [one] => match &one.node {
            Selection::Field(f) => Some((operation.node.ty, f.node.name.node.to_string())),
            _ => None,
        },
        _ => None,
    }
}

/// PAR-15: representations cost a look-up each, which complexity does not count.
/// In operations only, where each is written once.
fn entities(document: &ExecutableDocument, variables: &Variables) -> Result<(), DomainError> {
    let mut manifests = false;
    for f in document.fragments.values() {
        if !of_entities(&f.node.selection_set.node, &mut manifests).is_empty() {
            return Err(DomainError::invalid(
                "document",
                "_entities belongs into the operation, not into a fragment",
            ));
        }
    }
    let mut asked = 0usize;
    for (_, operation) in document.operations.iter() {
        let definitions = &operation.node.variable_definitions;
        for f in of_entities(&operation.node.selection_set.node, &mut manifests) {
            let given = |name: Name| {
                let stated = definitions.iter().find(|d| d.node.name.node == name);
                let stated = stated.and_then(|d| d.node.default_value.as_ref());
                let found = variables.get(&name).or(stated.map(|v| &v.node));
                found.cloned().ok_or(())
            };
            let argument = f.get_argument("representations");
            let all = argument.and_then(|a| a.node.clone().into_const_with(given).ok());
            asked = asked.saturating_add(match all {
                Some(Value::List(all)) => all.len(),
                _ => 1,
            });
        }
    }
    match (asked, manifests) {
        (0, _) => Ok(()),
        (n, true) => at_most("representations with manifests", MAX_MANIFESTS, n),
        (n, false) => at_most("representations", MAX_ENTITIES, n),
    }
}

/// Each `_entities` of a selection; notes whether `manifest` is in it.
fn of_entities<'a>(set: &'a SelectionSet, manifests: &mut bool) -> Vec<&'a Field> {
    let (mut found, mut waiting) = (Vec::new(), vec![set]);
    while let Some(set) = waiting.pop() {
        for item in &set.items {
            match &item.node {
                Selection::Field(f) => {
                    *manifests |= f.node.name.node == "manifest";
                    if f.node.name.node == "_entities" {
                        found.push(&f.node);
                    }
                    waiting.push(&f.node.selection_set.node);
                }
                Selection::InlineFragment(f) => waiting.push(&f.node.selection_set.node),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    found
}

fn server_error(e: DomainError) -> ServerError {
    to_graphql(&e, |_| String::new()).into_server_error(Pos::default())
}

/// The document, parsed within its limit; nesting is the parser's to limit.
fn parsed(request: &mut Request) -> ServerResult<&ExecutableDocument> {
    at_most("document", MAX_DOCUMENT, request.query.len()).map_err(server_error)?;
    request.parsed_query()
}

fn selected<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Option<&'a Positioned<OperationDefinition>> {
    match (&document.operations, name) {
        (DocumentOperations::Single(o), None) => Some(o),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(all), Some(n)) => all.get(n),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => all.values().next(),
        (DocumentOperations::Multiple(_), None) => None,
    }
}

fn at_most(field: &'static str, limit: usize, value: usize) -> Result<(), DomainError> {
    if value <= limit {
        return Ok(());
    }
    Err(DomainError::TooLarge {
        field,
        limit: limit as u64,
        value: value as u64,
    })
}

/// What a selection stands for with its fragments written out.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    roots: usize,
    selections: usize,
    arguments: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.roots = self.roots.saturating_add(other.roots);
        self.selections = self.selections.saturating_add(other.selections);
        self.arguments = self.arguments.saturating_add(other.arguments);
    }
}

fn check(document: &ExecutableDocument) -> Result<(), DomainError> {
    let mut sizes = Sizes {
        document,
        known: HashMap::new(),
        unknown: None,
    };
    let mut total = Size::default();
    for (_, operation) in document.operations.iter() {
        let mut size = sizes.set(&operation.node.selection_set.node, 0)?;
        size.arguments = size
            .arguments
            .saturating_add(directives(&operation.node.directives))
            .saturating_add(operation.node.variable_definitions.len());
        at_most("root fields", MAX_ROOT_FIELDS, size.roots)?;
        total.add(size);
    }
    // Those that no operation reaches are walked, too.
    for name in document.fragments.keys() {
        total.add(sizes.fragment(name, 0)?);
    }
    at_most("selections", MAX_SELECTIONS, total.selections)?;
    at_most("arguments", MAX_ARGUMENTS, total.arguments)?;
    match sizes.unknown {
        Some(name) => Err(DomainError::invalid(
            "document",
            format!("fragment {name} is not defined"),
        )),
        None => Ok(()),
    }
}

/// The sizes of the fragments, each computed once.
struct Sizes<'a> {
    document: &'a ExecutableDocument,
    /// `None` while being computed: to meet it again is a cycle.
    known: HashMap<&'a Name, Option<Size>>,
    unknown: Option<&'a Name>,
}

impl<'a> Sizes<'a> {
    fn set(&mut self, set: &'a SelectionSet, nesting: usize) -> Result<Size, DomainError> {
        at_most("nesting", MAX_NESTING, nesting)?;
        let mut size = Size::default();
        for item in &set.items {
            size.selections = size.selections.saturating_add(1);
            size.add(match &item.node {
                Selection::Field(f) => self.field(&f.node, nesting)?,
                Selection::InlineFragment(f) => {
                    let mut inner = self.set(&f.node.selection_set.node, nesting + 1)?;
                    inner.arguments = inner
                        .arguments
                        .saturating_add(directives(&f.node.directives));
                    inner
                }
                Selection::FragmentSpread(f) => {
                    let mut inner = self.fragment(&f.node.fragment_name.node, nesting + 1)?;
                    inner.arguments = inner
                        .arguments
                        .saturating_add(directives(&f.node.directives));
                    inner
                }
            });
        }
        Ok(size)
    }

    fn field(&mut self, f: &'a Field, nesting: usize) -> Result<Size, DomainError> {
        let inner = self.set(&f.selection_set.node, nesting + 1)?;
        let own = arguments(&f.arguments).saturating_add(directives(&f.directives));
        Ok(Size {
            roots: 1,
            selections: inner.selections,
            arguments: inner.arguments.saturating_add(own),
        })
    }

    fn fragment(&mut self, name: &'a Name, nesting: usize) -> Result<Size, DomainError> {
        match self.known.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                return Err(DomainError::invalid(
                    "document",
                    format!("fragment {name} contains itself"),
                ));
            }
            None => {}
        }
        let Some(fragment) = self.document.fragments.get(name) else {
            self.unknown = Some(name);
            return Ok(Size::default());
        };
        self.known.insert(name, None);
        let mut size = self.set(&fragment.node.selection_set.node, nesting)?;
        size.arguments = size
            .arguments
            .saturating_add(directives(&fragment.node.directives));
        self.known.insert(name, Some(size));
        Ok(size)
    }
}

fn directives(all: &[Positioned<Directive>]) -> usize {
    all.iter().fold(0, |n, d| {
        n.saturating_add(1)
            .saturating_add(arguments(&d.node.arguments))
    })
}

/// Bytes of the arguments as text: values nest as they like.
fn arguments<V: Display>(all: &[(Positioned<Name>, Positioned<V>)]) -> usize {
    all.iter()
        .fold(0, |n, (_, v)| n.saturating_add(v.node.to_string().len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::{Data, Response};
    use futures::StreamExt;
    use std::{
        fmt::Write,
        time::{Duration, Instant},
    };

    /// Eleven fragments that each spread the next a hundred times.
    fn fan_out(operation: &str, on: &str, last: &str) -> String {
        let mut text = operation.to_owned();
        for i in 0..11 {
            let next = if i < 10 {
                format!("...F{} ", i + 1).repeat(100)
            } else {
                last.to_owned()
            };
            write!(text, " fragment F{i} on {on} {{ {next} }}").expect("a string");
        }
        text
    }

    fn code(r: &Response) -> String {
        let x = r.errors.first().and_then(|e| e.extensions.as_ref());
        let code = x.and_then(|x| x.get("code")).map(ToString::to_string);
        code.unwrap_or_default().trim_matches('"').to_owned()
    }

    /// The codes over both transports, within a second.
    fn refused(text: &str) -> [String; 2] {
        let started = Instant::now();
        let schema = crate::builder().finish();
        let mut session = Data::default();
        session.insert(SubscriptionsOnly);
        let codes = futures::executor::block_on(async {
            let mut stream = schema.execute_stream_with_session_data(text, Arc::new(session));
            [
                code(&schema.execute(text).await),
                code(&stream.next().await.expect("an answer")),
            ]
        });
        assert!(started.elapsed() < Duration::from_secs(1), "{text}");
        codes
    }

    #[test]
    fn fragments_that_fan_out_are_refused_at_once() {
        // GQL-1
        let missing = fan_out("query { ...F0 }", "Query", "...Missing");
        let valid = fan_out("query { marketplace { ...F0 } }", "Marketplace", "id");
        let unused = fan_out("query { marketplace { id } }", "Query", "...Missing");
        for text in [missing, valid, unused] {
            assert_eq!(refused(&text), ["TOO_LARGE", "TOO_LARGE"]);
        }
    }

    #[test]
    fn chains_cycles_and_unknown_fragments() {
        let mut chain = String::from("{ ...F0 }");
        for i in 0..1_500 {
            write!(chain, " fragment F{i} on Query {{ ...F{} }}", i + 1).expect("a string");
        }
        assert_eq!(refused(&chain), ["TOO_LARGE", "TOO_LARGE"]);
        let cycle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
        assert_eq!(refused(cycle), ["INVALID", "INVALID"]);
        assert_eq!(refused("{ ...A }"), ["INVALID", "INVALID"]);
    }

    #[test]
    fn wide_documents() {
        let wide = format!("{{ marketplace {{ {} }} }}", "id ".repeat(MAX_SELECTIONS));
        assert_eq!(refused(&wide)[0], "TOO_LARGE");
        let long = format!("{{ marketplace {{ id }} }} # {}", "x".repeat(MAX_DOCUMENT));
        assert_eq!(refused(&long)[0], "TOO_LARGE");
        // Directives and arguments count as often as their fragment is spread.
        let heavy = format!(
            "{{ marketplace {{ {} }} }} fragment F on Marketplace {{ id {} }}",
            "...F ".repeat(2_000),
            "@include(if: true) ".repeat(500)
        );
        assert_eq!(refused(&heavy)[0], "TOO_LARGE");
    }

    #[test]
    fn the_websocket_serves_subscriptions_only() {
        let [post, socket] = refused("{ __typename }");
        assert_eq!((post.as_str(), socket.as_str()), ("", "INVALID"));
        assert_eq!(refused("mutation { logout }")[1], "INVALID");
    }

    #[test]
    fn large_is_by_the_root_fields() {
        let large = |text: &str| may_be_large(&mut Request::new(text));
        assert!(large(
            "mutation M($o: JSON!) { placeOrder(order: $o) { id } }"
        ));
        assert!(large("mutation { createListing { id } }"));
        for not in [
            "{ marketplace { id } } # placeOrder",
            "{ placeOrder: marketplace { id } }",
            "{ placeOrder { id } }",
            "mutation { login(mail: \"placeOrder\", password: \"\") { access } }",
            "mutation { placeOrder { id } login { access } }",
            "query A { me { id } } mutation B { placeOrder { id } }",
            "{",
        ] {
            assert!(!large(not), "{not}");
        }
    }

    #[test]
    fn representations_are_counted() {
        // PAR-15
        let code_of = |text: &str, n: usize| {
            let one = async_graphql::value!({ "__typename": "Order", "id": "x" });
            let mut request = Request::new(text);
            if n > 0 {
                let all = Value::List(vec![one; n]);
                request.variables.insert(Name::new("r"), all);
            }
            let schema = crate::builder().finish();
            code(&futures::executor::block_on(schema.execute(request)))
        };
        let plain =
            "query($r: [_Any!]!) { _entities(representations: $r) { ... on Order { id } } }";
        assert_eq!(code_of(plain, MAX_ENTITIES + 1), "TOO_LARGE");
        assert_ne!(code_of(plain, MAX_ENTITIES), "TOO_LARGE");
        let twice = "query($r: [_Any!]!) { a: _entities(representations: $r) { __typename }
                     b: _entities(representations: $r) { __typename } }";
        assert_eq!(code_of(twice, MAX_ENTITIES / 2 + 1), "TOO_LARGE");
        let heavy = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Listing { manifest } } }";
        assert_eq!(code_of(heavy, MAX_MANIFESTS + 1), "TOO_LARGE");
        let hidden = "query($r: [_Any!]!) { ...F } fragment F on Query
                      { _entities(representations: $r) { __typename } }";
        assert_eq!(code_of(hidden, 1), "INVALID");
        let list = "{id: \"x\"} ".repeat(MAX_ENTITIES + 1);
        let stated = format!(
            "query($r: [_Any!]! = [{list}]) {{ _entities(representations: $r) {{ __typename }} }}"
        );
        assert_eq!(code_of(&stated, 0), "TOO_LARGE");
        let literal = format!("{{ _entities(representations: [{list}]) {{ __typename }} }}");
        assert_eq!(code_of(&literal, 0), "TOO_LARGE");
    }

    #[test]
    fn one_root_field_is_one() {
        let one = |text: &str| single_root(&mut Request::new(text));
        assert_eq!(
            one("mutation { placeOrder { id } }"),
            Some((OperationType::Mutation, "placeOrder".into()))
        );
        for not in [
            "mutation { a: placeOrder { id } b: placeOrder { id } }",
            "mutation { ...F } fragment F on Mutation { logout }",
            "{",
        ] {
            assert_eq!(one(not), None, "{not}");
        }
    }

    /// What tools ask by default stays far below the limits.
    #[test]
    fn introspection_passes() {
        let text = "query { __schema { types { ...T } } }
            fragment T on __Type { name fields(includeDeprecated: true) { name args { ...I }
                type { ...R } } inputFields { ...I } interfaces { ...R } possibleTypes { ...R } }
            fragment I on __InputValue { name type { ...R } defaultValue }
            fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { name } } } }";
        assert_eq!(refused(text)[0], "");
    }
}
