//! The actix-web application: authentication, uploads, GraphQL endpoint,
//! machines, settlement.
//!
//! [`App`] holds everything; [`run`] serves it. Time and randomness come in at
//! [`App::open`].

mod alarms;
mod app;
mod auth;
mod body;
#[cfg(test)]
mod committee_tests;
mod config;
mod convert;
mod dealings;
mod earnings;
mod exports;
mod http;
mod keys;
mod limits;
mod listings;
mod machines;
mod mail_tokens;
mod nodes;
mod orders;
mod people;
#[cfg(test)]
mod people_tests;
mod quorums;
mod quotes;
mod receipts;
mod run;
mod second_factor;
mod service;
mod sessions;
mod settle;
mod slowdown;
mod socket;
mod tickets;
mod totp;
mod uploads;

pub use app::{App, Clock};
pub use auth::StaffRole;
pub use config::{Limits, ServerConfig};
pub use http::{NO_ROUTE, recorder, routes};
pub use keys::{read_or_make_key, write_secret};
pub use run::{Running, run};
