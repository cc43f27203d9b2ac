//! Unmodified clients against the lab, as PyPI has them: the `aws` CLI, boto3, and schemathesis for the self-service API,
//! Google's libraries and Azure's SDKs; gcloud where it is; OAuth libraries and clients of Maskinporten from PyPI, npm
//! and Maven Central.
//!
//! A test whose client is absent says so loudly and passes, unless `REAL_PARTS_REQUIRED` is set, as it is in continuous integration.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

mod agent;
mod analysts;
mod aws;
mod aws_cli;
mod azure;
mod azure_cli;
mod boto3;
mod clock;
mod delta;
mod encrypted;
mod endurance;
mod fault;
mod google;
mod judges;
mod kubernetes;
mod launchd;
mod maskinporten;
mod nodes;
mod oauth;
#[path = "../../../issuer/tests/it/pki.rs"]
#[expect(dead_code, reason = "the issuer's tests use more of it")]
mod pki;
mod schemathesis;
mod sdks;
#[path = "../../../store/tests/support/mod.rs"]
mod services;
mod softhsm;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod units;
