//! The backends against real servers.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod logs;
mod postgres;
