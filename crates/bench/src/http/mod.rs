//! HTTP that a benchmark itself serves.

pub(crate) mod bare;
