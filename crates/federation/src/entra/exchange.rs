//! Whether Entra gives an access token for an assertion, and if not, in which words.
//!
//! The order is that of E-28: parameters, tenant, the assertion's header and claims, the client, its credentials, the issuer, the
//! issuer's documents, the key, the signature, the subject, the audience, the times, the resource. It is an inference: where the
//! signature and the times stand in it has not been seen.

use serde_json::{Value, json};
use skybru_protocol::jose::{Algorithm, Jwk, JwkSet, VerifyingKey};
use skybru_protocol::metadata::DiscoveryDocument;

use super::assertion::PresentedAssertion;
use super::credential::{FederatedCredential, Identity, Matching, Tenant};
use super::error::EntraError;
use super::expression::ClaimsExpression;
use super::request::{Resource, TokenRequest};
use super::{Rules, Wording};
use crate::documents::{DocumentProblem, Documents};

/// E-23: no more keys than this are kept of a key set.
pub const MOST_KEYS: usize = 100;

/// E-6: the issuers whose tokens may be matched by an expression.
const FLEXIBLE_ISSUERS: [&str; 3] =
    ["https://token.actions.githubusercontent.com", "https://gitlab.com", "https://app.terraform.io"];

/// Why it was refused, where Entra's words do not say it.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The error's text says it.
    AsTold,
    /// The issuer's documents or keys (E-45, E-46).
    Documents(DocumentProblem),
    /// The signature does not hold (E-47).
    Signature,
}

/// A refusal: what Entra says, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Entra's words.
    pub error: EntraError,
    /// The reason behind them.
    pub reason: Box<Reason>,
}

impl From<EntraError> for Decision {
    fn from(error: EntraError) -> Self {
        Self { error, reason: Box::new(Reason::AsTold) }
    }
}

/// What is registered in the directory that the request names.
#[derive(Debug, Clone, Copy)]
pub struct Directory<'a> {
    /// The directory.
    pub tenant: &'a Tenant,
    /// Everything in it that a token can be had for.
    pub identities: &'a [Identity],
}

/// What an access token is given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The identity.
    pub identity: &'a Identity,
    /// The credential that matched.
    pub credential: &'a FederatedCredential,
    /// The resource, as it was asked for.
    pub resource: String,
    /// Seconds that the access token lives, whatever the assertion's `exp` (E-12).
    pub lifetime_seconds: u32,
}

impl Accepted<'_> {
    /// The claims of the access token (E-14).
    pub fn claims(&self, tenant: &Tenant, now: i64) -> Value {
        json!({
            "aud": self.resource,
            "iss": format!("https://sts.windows.net/{}/", tenant.id),
            "iat": now,
            "nbf": now,
            "exp": now.saturating_add(i64::from(self.lifetime_seconds)),
            "appid": self.identity.client_id,
            "appidacr": "2",
            "idp": format!("https://sts.windows.net/{}/", tenant.id),
            "idtyp": "app",
            "oid": self.identity.principal_id,
            "sub": self.identity.principal_id,
            "tid": tenant.id,
            "ver": "1.0",
        })
    }
}

/// The first half: everything that needs no network. Gives the identity whose credentials name the assertion's issuer.
pub fn before_fetch<'a>(
    request: &TokenRequest,
    directory: Option<Directory<'a>>,
    rules: Rules,
) -> Result<(PresentedAssertion, &'a Identity), Decision> {
    let given = &request.tenant;
    let directory = directory.filter(|directory| directory.tenant.is_called(given)).ok_or_else(|| {
        let text = format!(
            "Tenant '{given}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. \
             Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
        );
        EntraError::invalid_request("E-38", 90002, text)
    })?;
    let assertion = PresentedAssertion::parse(&request.assertion, rules.wording)?;
    let id = &request.client_id;
    let identity = directory.identities.iter().find(|identity| identity.client_id.eq_ignore_ascii_case(id)).ok_or_else(|| {
        let text = format!(
            "Application with identifier '{id}' was not found in the directory '{}'. This can happen if the application has not \
             been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your \
             authentication request to the wrong tenant.",
            directory.tenant.name
        );
        EntraError::of("E-37", 700_016, "unauthorized_client", text)
    })?;
    if identity.credentials.is_empty() {
        let text =
            format!("The client '{}'({}) has no configured federated identity credentials.", identity.client_id, identity.name);
        return Err(EntraError::invalid_client("E-35", 70025, text).into());
    }
    if is_entra(&assertion.issuer) {
        return Err(entra_issued(&assertion.issuer, rules).into());
    }
    if !identity.credentials.iter().any(|credential| credential.issuer == assertion.issuer) {
        return Err(no_match("E-31", &assertion, rules).into());
    }
    Ok((assertion, identity))
}

/// The second half: with the issuer's documents, or with the reason why they could not be had.
pub fn after_fetch<'a>(
    request: &TokenRequest,
    assertion: &PresentedAssertion,
    identity: &'a Identity,
    documents: Result<Documents, DocumentProblem>,
    now: i64,
    rules: Rules,
) -> Result<Accepted<'a>, Decision> {
    check_proof(assertion, documents, rules)?;
    let credential = matching(assertion, identity, rules)?;
    assertion.check_times(now)?;
    if Resource::of_audience(&request.resource).is_none() {
        let text = format!(
            "The resource principal named {} was not found in the tenant named {}. This can happen if the application has not been \
             installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your \
             authentication request to the wrong tenant.",
            request.resource, request.tenant
        );
        return Err(EntraError::of("E-52", 500_011, "invalid_resource", text).into());
    }
    let lifetime_seconds = identity.kind.token_lifetime_seconds();
    Ok(Accepted { identity, credential, resource: request.resource.clone(), lifetime_seconds })
}

/// Both halves at once, for whoever has the documents already: the doctor, a plan, tests.
pub fn exchange<'a>(
    request: &TokenRequest,
    directory: Option<Directory<'a>>,
    documents: Result<Documents, DocumentProblem>,
    now: i64,
    rules: Rules,
) -> Result<Accepted<'a>, Decision> {
    let (assertion, identity) = before_fetch(request, directory, rules)?;
    after_fetch(request, &assertion, identity, documents, now, rules)
}

/// E-7: whether Entra itself is the issuer.
pub(super) fn is_entra(issuer: &str) -> bool {
    let hosts = ["https://login.microsoftonline.com/", "https://sts.windows.net/", "https://login.microsoftonline.us/"];
    hosts.iter().any(|host| issuer.starts_with(host)) || issuer.starts_with("https://login.partner.microsoftonline.cn/")
}

/// E-7, E-50. Both texts are reported. A managed identity's own token, which an application may trust, is not told apart.
fn entra_issued(issuer: &str, rules: Rules) -> EntraError {
    match rules.wording {
        Wording::Legacy => {
            EntraError::invalid_client("E-7", 700_222, "AAD-issued tokens may not be used for federated identity flows.")
        }
        Wording::Current => EntraError::invalid_client(
            "E-7",
            700_236,
            format!(
                "Entra ID tokens issued by issuer '{issuer}' may not be used for federated identity credential flows for \
                 applications or managed identities registered in this tenant."
            ),
        ),
    }
}

/// E-3, E-6, E-30 to E-33: which credential the assertion fits, byte for byte.
///
/// With several credentials of one issuer, the subject decides before the audience does (E-28, an inference).
fn matching<'a>(
    assertion: &PresentedAssertion,
    identity: &'a Identity,
    rules: Rules,
) -> Result<&'a FederatedCredential, Decision> {
    let of_issuer: Vec<_> = identity.credentials.iter().filter(|credential| credential.issuer == assertion.issuer).collect();
    let of_subject: Vec<_> = of_issuer.iter().filter(|credential| credential.subject() == Some(&assertion.subject)).collect();
    if let Some(found) = of_subject.iter().find(|credential| credential.audience == assertion.audience) {
        return Ok(found);
    }
    if of_issuer.iter().any(|credential| matches!(credential.matching, Matching::Expression(_))) {
        return by_expression(assertion, &of_issuer, !of_subject.is_empty()).map_err(Decision::from);
    }
    Err(no_match(if of_subject.is_empty() { "E-33" } else { "E-32" }, assertion, rules).into())
}

/// E-6, E-34, E-51: three issuers may be matched by expression, any other may not. The texts behind 700233 and E-34 are known in part.
fn by_expression<'a>(
    assertion: &PresentedAssertion,
    of_issuer: &[&'a FederatedCredential],
    subject_fits: bool,
) -> Result<&'a FederatedCredential, EntraError> {
    let PresentedAssertion { issuer, subject, audience, .. } = assertion;
    if !FLEXIBLE_ISSUERS.contains(&issuer.as_str()) {
        let text = format!("Issuer '{issuer}' may not use credentials matching via expression.");
        return Err(EntraError::invalid_client("E-51", 7_002_241, text));
    }
    let mut fits_but_audience = subject_fits;
    for credential in of_issuer {
        let Matching::Expression(text) = &credential.matching else { continue };
        let expression = ClaimsExpression::parse(text).map_err(|_| {
            EntraError::invalid_client("E-51", 700_233, "The federated identity credential expression could not be parsed.")
        })?;
        if expression.holds(&assertion.claims) {
            if credential.audience == *audience {
                return Ok(credential);
            }
            fits_but_audience = true;
        }
    }
    let found_for = "No matching federated identity record found for presented assertion";
    let or = "or no federated identity credential expression matched the presented assertion.";
    Err(if fits_but_audience {
        EntraError::invalid_client("E-34", 7_002_121, format!("{found_for} audience '{audience}' {or}"))
    } else {
        EntraError::invalid_client("E-34", 7_002_131, format!("{found_for} subject '{subject}' {or}"))
    })
}

/// E-30 until 2023, E-31 to E-33 since: the presented value is quoted.
fn no_match(rule: &'static str, assertion: &PresentedAssertion, rules: Rules) -> EntraError {
    let PresentedAssertion { issuer, subject, audience, .. } = assertion;
    if rules.wording == Wording::Legacy {
        let text = format!(
            "No matching federated identity record found for presented assertion. Assertion Issuer: '{issuer}'. Assertion Subject: \
             '{subject}'. Assertion Audience: '{audience}'."
        );
        return EntraError::invalid_request("E-30", 70021, text);
    }
    let found_for = "No matching federated identity record found for presented assertion";
    let check = "heck your federated identity credential Subject, Audience and Issuer against the presented assertion.";
    let old_link = "https://docs.microsoft.com/en-us/azure/active-directory/develop/workload-identity-federation";
    let new_link = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation";
    let (number, text) = match rule {
        "E-31" => (700_211, format!("{found_for} issuer '{issuer}'. Please c{check} {new_link}")),
        "E-32" => (700_212, format!("{found_for} audience '{audience}'. Please c{check} {old_link}")),
        _ => (
            700_213,
            format!(
                "{found_for} subject '{subject}'. Please note that the matching is done using a case-sensitive comparison. C{check} \
                 {new_link}"
            ),
        ),
    };
    EntraError::invalid_client(rule, number, text)
}

fn check_proof(
    assertion: &PresentedAssertion,
    documents: Result<Documents, DocumentProblem>,
    rules: Rules,
) -> Result<(), Decision> {
    let refuse = |problem: DocumentProblem| Decision {
        error: document_error(&problem, rules.wording),
        reason: Box::new(Reason::Documents(problem)),
    };
    let documents = documents.map_err(refuse)?;
    check_discovery(&documents.discovery, &assertion.issuer).map_err(refuse)?;
    let key = select_key(&documents.keys, assertion).map_err(refuse)?;
    let held = key.verify(Algorithm::RS256, assertion.jws.signing_input().as_bytes(), assertion.jws.signature());
    held.map_err(|_| Decision {
        // The number is reported, the text is unconfirmed.
        error: EntraError::invalid_client("E-47", 7_000_274, "Client assertion contains an invalid signature."),
        reason: Box::new(Reason::Signature),
    })
}

/// What Entra says of documents that it could not have or use (E-45, E-46).
///
/// That a key that is not found has this number for federated credentials too is unconfirmed: it was seen for certificates.
pub fn document_error(problem: &DocumentProblem, wording: Wording) -> EntraError {
    if matches!(problem, DocumentProblem::NoUsableKey { .. } | DocumentProblem::KeyOperations(_)) {
        let text = match wording {
            Wording::Current => {
                "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The \
                 key was not found.]"
            }
            Wording::Legacy => "Client assertion contains an invalid signature. [Reason - The key was not found.]",
        };
        return EntraError::invalid_client("E-46", 700_027, text);
    }
    let number = match wording {
        Wording::Current => 501_661,
        Wording::Legacy => 50166,
    };
    EntraError::invalid_request("E-45", number, "Request to External OIDC endpoint failed.")
}

/// Whether Entra takes a discovery document: E-24, and that it names the issuer, which is an inference.
pub fn check_discovery(document: &DiscoveryDocument, issuer: &str) -> Result<(), DocumentProblem> {
    if document.issuer.as_deref() != Some(issuer) {
        return Err(DocumentProblem::WrongIssuer { expected: issuer.to_owned(), found: document.issuer.clone() });
    }
    let mut wrong = Vec::new();
    if document.jwks_uri.is_none() {
        wrong.push("jwks_uri");
    }
    if document.authorization_endpoint.as_deref() == Some("") {
        wrong.push("authorization_endpoint");
    }
    if document.subject_types_supported.as_ref().is_some_and(Vec::is_empty) {
        wrong.push("subject_types_supported");
    }
    if wrong.is_empty() { Ok(()) } else { Err(DocumentProblem::MissingFields(wrong)) }
}

/// Chooses the key that must have signed the assertion: an RSA key of its id, among the first hundred (E-23).
///
/// Of several with one id the first is taken; what Entra does is unconfirmed.
pub fn select_key(keys: &JwkSet, assertion: &PresentedAssertion) -> Result<VerifyingKey, DocumentProblem> {
    let kept = &keys.keys[..keys.keys.len().min(MOST_KEYS)];
    let none = |reason| DocumentProblem::NoUsableKey {
        kid: assertion.kid().map(str::to_owned),
        available: kept.iter().filter_map(|key| key.kid.clone()).collect(),
        reason,
    };
    let is_usable = |key: &&Jwk| key.kty == "RSA" && key.kid.as_deref() == assertion.kid() && key.usage.as_deref() != Some("enc");
    let of_kid = kept.iter().find(is_usable);
    let reason = if keys.keys.len() > MOST_KEYS {
        "no key among the first 100 has the token's kid"
    } else {
        "no usable key has the token's kid"
    };
    let chosen = of_kid.ok_or_else(|| none(reason))?;
    if assertion.algorithm() != Some(Algorithm::RS256) {
        return Err(none("the token's algorithm fits no key that is published"));
    }
    VerifyingKey::from_jwk(chosen).map_err(|_| none("the key's numbers cannot be used"))
}
