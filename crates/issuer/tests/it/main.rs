//! The issuer through its router: what a client on the wire sees.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

mod clients_in_the_wild;
mod grant;
mod harness;
mod selfservice;
