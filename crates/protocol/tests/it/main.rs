//! The crate from outside, against vectors of others.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

mod wycheproof;
