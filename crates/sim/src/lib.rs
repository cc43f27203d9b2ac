//! Simulators that decide as the clouds do, for tests, demonstrations and people without cloud accounts.
//!
//! A simulator is a library: start it, point an unmodified client at its URL, stop it. What it accepts and refuses, and in which
//! words, is decided by `skybru-federation`, so that the simulator, the doctor and a plan can never disagree. It imitates only what a
//! client of the cloud can see, and above all it refuses what the cloud refuses.
//!
//! * [`aws`]: STS, IAM and S3 on one plain-http endpoint

pub mod aws;
mod fetch;
mod files;
mod hex;

pub use fetch::FetchFault;
