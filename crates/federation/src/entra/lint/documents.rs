//! The issuer's documents as Entra alone reads them: E-23, E-24, and a signature that does not hold (D-06).

use skybru_protocol::jose::{Algorithm, JwkSet};
use skybru_protocol::metadata::DiscoveryDocument;

use crate::documents::DocumentProblem;
use crate::entra::assertion::PresentedAssertion;
use crate::entra::exchange::{MOST_KEYS, check_discovery, select_key};
use crate::finding::{Finding, Severity, Who};

pub(super) fn lint_discovery(document: &DiscoveryDocument, findings: &mut Vec<Finding>) {
    let issuer = document.issuer.clone().unwrap_or_default();
    if let Err(DocumentProblem::MissingFields(wrong)) = check_discovery(document, &issuer)
        && wrong != ["jwks_uri"]
    {
        let what =
            format!("{} in the issuer's discovery document is empty, which Entra refuses (AADSTS501661)", wrong.join(", "));
        let fix = "leave authorization_endpoint out when there is none, and write subject_types_supported as [\"public\"]";
        findings.push(Finding::new("D-01", Who::Issuer, what, fix));
    }
}

pub(super) fn lint_keys(keys: &JwkSet, token: Option<&PresentedAssertion>, findings: &mut Vec<Finding>) {
    if keys.keys.len() > MOST_KEYS {
        let what = format!("the key set has {} keys; Entra keeps the first {MOST_KEYS}", keys.keys.len());
        let found = token.is_none_or(|token| select_key(keys, token).is_err());
        let severity = if found { Severity::Error } else { Severity::Warning };
        findings.push(Finding::new("D-07", Who::Issuer, what, "take retired keys out of the key set").severity(severity));
    }
    if let Some(token) = token
        && let Ok(key) = select_key(keys, token)
        && key.verify(Algorithm::RS256, token.jws.signing_input().as_bytes(), token.jws.signature()).is_err()
    {
        let what = "the key of the token's kid does not verify its signature: a kid was used again for a new key, or the token was \
                    changed on its way";
        findings.push(Finding::new("D-06", Who::Issuer, what, "give every key a kid of its own, and fetch a new token"));
    }
}
