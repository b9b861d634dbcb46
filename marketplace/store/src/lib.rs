//! sea-orm repositories, named transactions, leases, ledger postings, object storage.
//!
//! [`SqlStore`] implements every port of the domain on SQLite and PostgreSQL
//! with the same text of SQL; [`FileObjects`] keeps uploaded objects on disk.

mod apikeys;
mod audit;
mod db;
mod dealings;
mod events;
mod identities;
mod insight;
mod jobs;
mod ledger;
mod listings;
mod notices;
mod objects;
mod orders;
mod outbox;
mod people;
mod quorums;
mod requests;
mod reviews;
mod rows;
mod webhooks;
mod websessions;

pub use db::{FailPoint, FailPoints, SqlStore};
pub use objects::FileObjects;
