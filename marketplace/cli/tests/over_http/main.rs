//! The market over HTTP, each test with a server of its own; one binary, so
//! that what it links is linked once.

mod abuse;
mod accounts;
mod command_line;
mod committee;
mod common;
mod faults;
mod guide_partner;
mod hostile;
mod limits;
mod metrics;
mod money;
mod orders;
mod partners;
mod processes;
mod training;
mod uploads;
