//! HTTP that the binary itself serves.

pub(crate) mod agent;
pub(crate) mod trace;
