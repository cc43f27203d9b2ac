//! Whom an identity's credentials could ever let in: a proof before anything is created.
//!
//! Entra compares issuer, subject and audience byte for byte (E-3), so the answer is the list of credentials itself, except where an
//! expression stands in the place of the subject (E-6): that might let in anybody. What an identity may do, each of them may do.

use std::collections::BTreeSet;

use serde::Serialize;
use skybru_core::OrgNumber;

use super::credential::Identity;
use crate::organisations::Organisations;

/// What one credential lets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// The credential's name.
    pub credential: String,
    /// The only issuer.
    pub issuer: String,
    /// The only subject; `None`: an expression decides.
    pub subject: Option<String>,
    /// The only audience.
    pub audience: String,
    /// The organisation that the subject names, if it has Skyporten's form `0192:NNNNNNNNN;scope`.
    pub organisation: Option<OrgNumber>,
    /// The scope that the subject names.
    pub scope: Option<String>,
}

impl Reach {
    /// Whether a token with these three could match.
    pub fn admits(&self, issuer: &str, subject: &str, audience: &str) -> bool {
        self.issuer == issuer && self.audience == audience && self.subject.as_deref().is_none_or(|only| only == subject)
    }
}

/// What each credential of an identity lets in.
pub fn reach(identity: &Identity) -> Vec<Reach> {
    let one = |credential: &super::FederatedCredential| {
        let subject = credential.subject().map(str::to_owned);
        let parts = subject.as_deref().and_then(|subject| subject.strip_prefix("0192:")?.split_once(';'));
        Reach {
            credential: credential.name.clone(),
            issuer: credential.issuer.clone(),
            audience: credential.audience.clone(),
            organisation: parts.and_then(|(number, _)| number.parse().ok()),
            scope: parts.map(|(_, scope)| scope.to_owned()),
            subject,
        }
    };
    identity.credentials.iter().map(one).collect()
}

/// The organisations that could get a token for an identity; with two or more, each may do what the other may.
///
/// Any: a credential has an expression, or a subject that names no organisation.
pub fn organisations(identity: &Identity) -> Organisations {
    let numbers: Option<BTreeSet<OrgNumber>> = reach(identity).into_iter().map(|reach| reach.organisation).collect();
    numbers.map_or(Organisations::Any, Organisations::Only)
}
