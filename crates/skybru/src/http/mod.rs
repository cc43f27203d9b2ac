//! HTTP that the binary itself serves.

pub(crate) mod container;
