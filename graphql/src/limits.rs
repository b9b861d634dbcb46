//! Depth, complexity and root-field limits (GQL-1).

use async_graphql::{
    ServerError, ServerResult, Variables,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery},
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};
use std::sync::Arc;

/// Deepest nesting.
pub const MAX_DEPTH: usize = 12;
/// Greatest complexity: one a field, times the length asked for in lists.
pub const MAX_COMPLEXITY: usize = 2_000;
/// Most fields at the root of an operation, aliases and fragments counted.
pub const MAX_ROOT_FIELDS: usize = 10;

/// Refuses operations with too many root fields.
#[derive(Debug)]
pub struct RootFields;

impl ExtensionFactory for RootFields {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for RootFields {
    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let document = next.run(ctx, query, variables).await?;
        for (_, operation) in document.operations.iter() {
            let n = count(&document, &operation.node.selection_set.node, 0);
            if n > MAX_ROOT_FIELDS {
                let text = format!("{n} root fields exceed the limit {MAX_ROOT_FIELDS}");
                let mut e = ServerError::new(text, Some(operation.pos));
                let mut x = async_graphql::ErrorExtensionValues::default();
                x.set(crate::EXTENSION_CODE, "TOO_LARGE");
                e.extensions = Some(x);
                return Err(e);
            }
        }
        Ok(document)
    }
}

/// Fields of a selection with its fragments; a cycle of fragments, which
/// validation refuses later, is cut at the depth limit.
fn count(document: &ExecutableDocument, set: &SelectionSet, depth: usize) -> usize {
    if depth > MAX_DEPTH {
        return MAX_ROOT_FIELDS + 1;
    }
    let mut n = 0usize;
    for item in &set.items {
        n = n.saturating_add(match &item.node {
            Selection::Field(_) => 1,
            Selection::InlineFragment(f) => {
                count(document, &f.node.selection_set.node, depth + 1)
            }
            Selection::FragmentSpread(f) => document
                .fragments
                .get(&f.node.fragment_name.node)
                .map_or(0, |f| count(document, &f.node.selection_set.node, depth + 1)),
        });
        if n > MAX_ROOT_FIELDS {
            return n;
        }
    }
    n
}
