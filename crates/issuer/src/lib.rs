//! The authorization server.
//!
//! * [`Issuer`] answers token requests; its rules are in [`grant`], its refusals in [`refusal`]
//! * [`certificates`], [`delegation`], [`details`]: what else a request may have to prove, and who is asked
//! * [`compat`]: switches where the contract is silent
//! * [`profile`] tells Maskinporten from Skyporten: metadata and subject
//! * [`keys`] holds what signs, and lets keys come and go without any verifier noticing
//! * [`private`] is the issuer without a server: static documents, tokens signed on the spot
//! * [`selfservice`] is the API with which organisations register scopes, accesses, clients and keys
//! * [`limits`] says how often one client may ask, [`metrics`] counts
//! * [`http`] puts all of it on the wire; nothing else here knows HTTP
//!
//! How the national services behave is told in the documentation of Digdir; where that is silent, known clients decide, and the
//! comment says so.

pub mod certificates;
pub mod compat;
pub mod delegation;
pub mod details;
pub mod fetch;
pub mod grant;
pub mod health;
pub mod http;
mod issuer;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod private;
pub mod profile;
pub mod refusal;
pub mod selfservice;
mod tally;

pub use compat::Compat;
pub use issuer::{Issuer, IssuerSettings, LONGEST_TOKEN_SECONDS};
pub use keys::KeyRing;
pub use profile::Profile;
pub use refusal::GrantError;
