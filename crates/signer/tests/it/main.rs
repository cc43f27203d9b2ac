//! Keys in files and in key services, and the sealing of files.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

mod files;
mod kms;
mod seal;
