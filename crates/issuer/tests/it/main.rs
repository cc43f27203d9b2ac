//! The issuer through its router: what a client on the wire sees.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

mod acting;
mod administrators_in_the_wild;
mod attacks;
mod certificates;
mod clients_in_the_wild;
mod contract;
mod delegation;
mod details;
mod digdirator;
mod grant;
mod harness;
mod listings;
mod matrix;
mod pki;
mod rotation;
mod selfservice;
mod wire;
