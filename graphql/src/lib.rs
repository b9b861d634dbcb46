//! async-graphql schema: model, query, mutation, subscription; guards, cursors, complexity.
