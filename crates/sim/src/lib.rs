//! Simulators that decide as the clouds do, for tests, demonstrations and people without cloud accounts.
//!
//! A simulator is a library: start it, point an unmodified client at its URL, stop it. What it accepts and refuses, and in which
//! words, is decided by `skybru-federation`, so that the simulator, the doctor and a plan can never disagree. It imitates only what a
//! client of the cloud can see, and above all it refuses what the cloud refuses.
//!
//! * [`aws`]: STS, IAM and S3 on one plain-http endpoint
//! * [`azure`]: Entra, Resource Manager, Blob, Data Lake and Files, each on an https endpoint
//! * [`google`]: STS, IAM, Cloud Storage and `BigQuery` on one plain-http endpoint

pub mod aws;
pub mod azure;
pub mod control;
mod fetch;
mod files;
pub mod google;
mod hex;
mod kept;
mod listen;
mod objects;
mod start;

pub use fetch::FetchFault;
pub use start::StartError;
