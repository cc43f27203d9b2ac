//! The consumer's side of skybru, usable without a server and small enough for a sidecar.
//!
//! It reads no environment, no clock and no file that a setting names: all of that comes as arguments, with
//! [`Ctx`](skybru_core::Ctx) for time and randomness.
//!
//! * [`http`]: the one place that builds HTTP clients
//! * [`token`]: access tokens, cached and renewed
//! * [`clean`]: a pasted token, cleaned or refused
//! * [`aws`]: exchange of a token for AWS credentials
//! * [`format`](mod@format): credentials in the forms that other tools read
//! * [`selfservice`]: the API with which scopes, accesses, clients and keys are registered
//! * [`storage`]: listing and transfer of objects
//! * [`inspect`](mod@inspect): what a token says, explained
//!
//! Not here yet: Google Cloud, Azure, and the agent's HTTP API.

pub mod aws;
pub mod clean;
pub mod format;
pub mod http;
pub mod inspect;
pub mod introspect;
mod refreshed;
pub mod selfservice;
pub mod storage;
pub mod token;
