//! What each cloud accepts, as pure functions.
//!
//! One function decides (1) in a simulator, whether a token is accepted and with which of the cloud's own codes and texts, (2) in the
//! doctor, what is wrong and where, (3) in a plan, whether what is about to be created lets the intended consumer in and nobody else.
//! **If the rules were written twice they would differ.**
//!
//! This crate does no I/O and reads no clock. Rules carry the ids of the project's catalogue: `A-…` for AWS, `D-…` for what the doctor
//! finds. A rule that rests on one public source, or on none, says so where it is implemented.

pub mod aws;
mod documents;
mod finding;

pub use documents::{DocumentProblem, Documents};
pub use finding::{Finding, Severity, Who, difference};
