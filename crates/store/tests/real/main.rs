//! The backends against real servers.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests; helpers count as such too")]

#[expect(dead_code, reason = "one set of helpers for several tests")]
#[path = "../support/mod.rs"]
mod support;

mod postgres;
