//! What each cloud accepts, as pure functions.
//!
//! One function decides (1) in a simulator, whether a token is accepted and with which of the cloud's own codes and texts, (2) in the
//! doctor, what is wrong and where, (3) in a plan, whether what is about to be created lets the intended consumer in and nobody else.
//! **If the rules were written twice they would differ.**
//!
//! This crate does no I/O and reads no clock. Rules carry ids: `A-…` for AWS, `G-…` for Google Cloud, `E-…` for Entra and Azure, `D-…`
//! for what the doctor finds ([`catalogue`]). A rule that rests on one public source, or on none, says so where it is implemented.

pub mod aws;
pub mod azure;
pub mod catalogue;
mod documents;
pub mod entra;
mod explain;
mod finding;
pub mod google;
pub mod lint;
mod organisations;
pub mod reach;
pub mod tools;

pub use documents::{DocumentProblem, Documents};
pub use explain::{Explanation, Speaker, explain_error};
pub use finding::{Finding, Severity, Who, difference};
pub use organisations::Organisations;
