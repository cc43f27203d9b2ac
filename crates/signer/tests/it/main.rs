//! Keys that lie in files, and their sealing.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

mod files;
mod seal;
