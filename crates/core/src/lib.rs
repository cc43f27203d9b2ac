//! Words that every part of skybru shares.
//!
//! This crate does no I/O, has no async and reads no clock: whoever needs the time or randomness takes a
//! [`Clock`] or a [`Randomness`] as an argument. Text becomes one of these types once, at the
//! edge; inside, no bare string carries meaning.
//!
//! * [`org`]: Norwegian organisation numbers and their ISO 6523 form, `0192:NNNNNNNNN`
//! * [`person`]: person numbers, checked and never printed
//! * [`scope`]: scopes, prefixes and sets of scopes
//! * [`issuer`]: the exact URL of an issuer
//! * [`id`]: identifiers that cannot be swapped
//! * [`ctx`]: clock and randomness as arguments
//! * [`secret`]: text that cannot be printed or compared by accident
//! * [`text`]: what every checked text has in common

pub mod ctx;
pub mod id;
pub mod issuer;
pub mod org;
pub mod person;
pub mod scope;
pub mod secret;
pub mod text;

pub use ctx::{Clock, Ctx, Randomness};
pub use id::{ClientId, KeyId};
pub use issuer::IssuerUrl;
pub use org::{OrgId, OrgNumber};
pub use person::PersonNumber;
pub use scope::{Prefix, ScopeName, ScopeSet};
pub use secret::Secret;
