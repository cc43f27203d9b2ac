//! Unmodified clients of AWS against the lab: the `aws` CLI and boto3, as PyPI has them.
//!
//! A test whose client is absent says so loudly and passes, unless `SKYBRU_REAL_REQUIRED` is set, as it is in continuous integration.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

mod aws;
mod aws_cli;
mod boto3;
mod judges;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
