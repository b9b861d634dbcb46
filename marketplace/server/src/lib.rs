//! The actix-web application: authentication, uploads, GraphQL endpoint,
//! machines, settlement.
//!
//! [`App`] holds everything; [`run`] serves it. Time and randomness come in at
//! [`App::open`].

mod app;
mod auth;
mod body;
#[cfg(test)]
mod committee_tests;
mod committees;
mod config;
mod convert;
mod dealings;
mod http;
mod keys;
mod limits;
mod listings;
mod machines;
mod nodes;
mod orders;
mod quorums;
mod quotes;
mod receipts;
mod run;
mod service;
mod settle;
mod site;
mod socket;
mod tickets;
mod uploads;

pub use app::{App, Clock};
pub use auth::StaffRole;
pub use config::{Limits, ServerConfig};
pub use http::{NO_ROUTE, recorder, routes};
pub use keys::{read_or_make_key, write_secret};
pub use run::{Running, run};
