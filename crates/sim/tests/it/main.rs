//! The simulators over real sockets: who gets in, who does not, and in which words.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod azure;
mod calls;
mod google;
mod issuer;
mod mutations;
mod objects;
mod settings;
mod sim;
mod tally;
mod web_identity;
