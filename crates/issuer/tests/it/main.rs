//! The issuer through its router: what a client on the wire sees.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

mod certificates;
mod clients_in_the_wild;
mod delegation;
mod details;
mod grant;
mod harness;
mod pki;
mod selfservice;
