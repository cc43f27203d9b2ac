//! The consumer's side of skybru, usable without a server and small enough for a sidecar.
//!
//! It reads no environment, no clock and no file that a setting names: all of that comes as arguments, with
//! [`Ctx`](skybru_core::Ctx) for time and randomness.
//!
//! * [`http`]: the one place that builds HTTP clients
//! * [`token`]: access tokens, cached and renewed
//! * [`clean`]: a pasted token, cleaned or refused
//! * [`aws`], [`google`], [`azure`]: exchange of a token for a cloud's credentials
//! * [`format`](mod@format): credentials in the forms that other tools read
//! * [`guardian`]: a client's next key, and the end of its old one
//! * [`selfservice`]: the API with which scopes, accesses, clients and keys are registered
//! * [`storage`]: listing and transfer of objects
//! * [`inspect`](mod@inspect): what a token says, explained
//!
//! Not here: the agent's HTTP API, which the binary serves.

pub mod aws;
pub mod azure;
mod cache;
pub mod clean;
pub mod format;
pub mod google;
pub mod guardian;
pub mod http;
pub mod inspect;
pub mod introspect;
mod presented;
mod refreshed;
pub mod selfservice;
pub mod storage;
pub mod token;
