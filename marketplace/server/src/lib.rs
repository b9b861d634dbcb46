//! The actix-web application: authentication, uploads, GraphQL endpoint,
//! machines, settlement.
//!
//! [`App`] holds everything; [`run`] serves it. Time and randomness come in at
//! [`App::open`].

mod alarms;
mod apikeys;
mod app;
mod auth;
mod body;
#[cfg(test)]
mod committee_tests;
mod committees;
mod config;
mod convert;
mod dealings;
mod earnings;
mod exports;
mod http;
mod keys;
mod letters;
mod limits;
mod listings;
mod machines;
#[cfg(test)]
mod mail_tests;
mod mail_tokens;
mod nodes;
mod orders;
#[cfg(test)]
mod partner_tests;
mod partners;
mod people;
#[cfg(test)]
mod people_tests;
mod post;
mod postman;
mod quorums;
mod quotes;
mod receipts;
mod requests;
mod run;
mod second_factor;
mod service;
mod sessions;
mod settle;
mod site;
mod slowdown;
mod socket;
mod tickets;
mod totp;
mod uploads;
mod webhooks;

pub use app::{App, Clock};
pub use auth::StaffRole;
pub use config::{Limits, SecretText, ServerConfig};
pub use http::{NO_ROUTE, recorder, routes};
pub use keys::{read_or_make_key, write_secret};
pub use postman::MailAlarm;
pub use run::{Running, run};
