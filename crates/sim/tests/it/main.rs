//! The simulated AWS over real sockets: an account with a provider, a role and a bucket, and an issuer that the tests can break.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod account;
mod credentials;
mod issuer;
mod refusals;
mod state;
