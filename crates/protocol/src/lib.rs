//! Wire formats. Every byte that comes from outside becomes a type here.
//!
//! This crate does no I/O and reads no clock.
//!
//! * [`jose`]: JWS ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)), JWK ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), RSA and EC
//!   signatures ([RFC 7518](https://www.rfc-editor.org/rfc/rfc7518)). No encryption, no HMAC, no `none`.
//! * [`oauth`]: the token endpoint's form, answer and errors ([RFC 6749, section 5](https://www.rfc-editor.org/rfc/rfc6749#section-5)).
//! * [`metadata`]: discovery documents of OpenID Connect and [RFC 8414](https://www.rfc-editor.org/rfc/rfc8414).
//! * [`assertion`]: what a client signs and presents ([RFC 7523](https://www.rfc-editor.org/rfc/rfc7523)), in stages of trust.
//! * [`certificate`]: business certificates, as they come in `x5c`.
//! * [`details`]: rich authorization details ([RFC 9396](https://www.rfc-editor.org/rfc/rfc9396)) of Altinn's two types.
//! * [`claims`]: what stands in access tokens of Maskinporten and Skyporten.
//! * [`json`]: JSON that must not repeat a member.

pub mod assertion;
pub mod base64url;
pub mod certificate;
pub mod claims;
pub mod details;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod jose;
pub mod json;
pub mod metadata;
pub mod oauth;
