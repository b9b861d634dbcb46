//! The actix-web application: authentication, uploads, GraphQL endpoint, settlement.
