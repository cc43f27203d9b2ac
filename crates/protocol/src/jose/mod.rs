//! Signed tokens and the keys that sign and verify them.

mod algorithm;
mod jwk;
mod jws;
mod pair;
mod roca;
mod signing;
mod verifying;

pub use algorithm::Algorithm;
pub use jwk::{Jwk, JwkError, JwkSet};
pub use jws::{Header, Jws, JwsError, MAX_COMPACT_LENGTH};
pub use signing::{RsaSize, SigningKey, SigningKeyError, signing_input};
pub use verifying::{VerifyingKey, VerifyingKeyError};
