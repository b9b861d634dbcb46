//! The market over HTTP, each test with a server of its own; one binary, so
//! that what it links is linked once.

mod abuse;
mod accounts;
mod common;
mod faults;
mod limits;
mod money;
mod orders;
mod uploads;
