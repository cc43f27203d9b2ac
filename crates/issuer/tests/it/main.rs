//! The issuer through its router: what a client on the wire sees.

mod clients_in_the_wild;
mod grant;
mod harness;
mod selfservice;
