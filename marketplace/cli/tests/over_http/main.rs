//! The market over HTTP, each test with a server of its own; one binary, so
//! that what it links is linked once.

mod abuse;
mod accounts;
mod browser;
mod command_line;
mod committee;
mod common;
mod faults;
mod guide_partner;
mod hostile;
mod limits;
mod market;
mod metrics;
mod money;
mod orders;
mod pages;
mod partners;
mod processes;
mod site;
mod training;
mod uploads;
