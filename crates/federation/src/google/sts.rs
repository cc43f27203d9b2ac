//! The token exchange: whether Google gives an access token for a subject token, and if not, in which words (G-20 to G-47).
//!
//! Which fault Google names first when there are several is not published. Here the order is that of cost: parameters, provider, the
//! token's shape, issuer, audience and times; then what needs the issuer's keys; then mapping and condition.

use serde_json::Value;
use skybru_protocol::jose::{Jwk, JwkSet, VerifyingKey};

use super::mapping::{Attributes, Mapping, MappingRefusal};
use super::names::ProviderName;
use super::principal::FederatedIdentity;
use super::provider::{Pool, Provider};
use super::token::PresentedToken;
use super::{StsError, Wording};
use crate::documents::{DocumentProblem, Documents};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What an exchange gives (G-27, G-29).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECT_TYPES: [&str; 2] = ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];
/// G-26: characters of `options`.
const MAX_OPTIONS: usize = 4096;

/// The call's parameters, checked (G-27).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRequest {
    /// The provider.
    pub provider: ProviderName,
    /// What the access token shall be good for.
    pub scopes: Vec<String>,
    /// The token, as it came.
    pub subject_token: String,
    /// Workforce: the project that pays (G-68).
    pub user_project: Option<String>,
}

impl ExchangeRequest {
    /// Checks the parameters; `get` gives each by its name in a form. `client_authenticated` tells whether the caller sent client
    /// credentials, which a workforce exchange may have instead of a project (G-47, G-68).
    pub fn read(get: impl Fn(&str) -> Option<String>, client_authenticated: bool) -> Result<Self, StsError> {
        let invalid = |rule, description: &str| StsError::new(rule, "invalid_request", description);
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        match get("grant_type").as_deref() {
            Some(EXCHANGE) => {}
            // Not observed: RFC 6749 names the code, and the text is ours.
            Some(_) => return Err(StsError::new("G-27", "unsupported_grant_type", "Unsupported grant type.")),
            None => return Err(invalid("G-27", "Missing required parameter: grant_type")),
        }
        let audience = get("audience").ok_or_else(|| invalid("G-34", "Missing required parameter: audience"))?;
        let provider = ProviderName::from_audience(&audience)?;
        if get("requested_token_type").as_deref() != Some(ACCESS_TOKEN_TYPE) {
            return Err(invalid("G-35", "Invalid value of requested_token_type in request."));
        }
        if !get("subject_token_type").is_some_and(|kind| SUBJECT_TYPES.contains(&kind.as_str())) {
            return Err(invalid("G-27", "Invalid value of subject_token_type in request."));
        }
        let subject_token = get("subject_token").ok_or_else(|| invalid("G-27", "Missing required parameter: subject_token"))?;
        // G-44: which of two codes it is, and the text, are unconfirmed.
        let scopes: Vec<String> = get("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        if scopes.is_empty() {
            return Err(invalid("G-44", "Missing required parameter: scope"));
        }
        let user_project = get("options").map(|options| read_options(&options)).transpose()?.flatten();
        if provider.pool.is_workforce() && user_project.is_none() && !client_authenticated {
            // G-68: the words are ours.
            let missing = "The userProject option is required to exchange a workforce credential without client authentication.";
            return Err(invalid("G-68", missing));
        }
        Ok(Self { provider, scopes, subject_token, user_project })
    }
}

/// `options` is JSON, and Google's Python library encodes it once more than a form needs (G-28).
fn read_options(text: &str) -> Result<Option<String>, StsError> {
    let invalid = || StsError::new("G-28", "invalid_request", "Invalid value of options in request.");
    if text.len() > MAX_OPTIONS {
        return Err(invalid());
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    let parsed = serde_json::from_str::<Value>(text).or_else(|_| serde_json::from_str(&decoded));
    let options = parsed.map_err(|_| invalid())?;
    if !options.is_object() {
        return Err(invalid());
    }
    Ok(options.get("userProject").and_then(Value::as_str).map(str::to_owned))
}

/// Why it was refused, for the doctor; Google's own words often do not say.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The error's text says it.
    AsTold,
    /// Pool or provider is not there, deleted or disabled (G-33); the text is one of these.
    NotUsable(&'static str),
    /// The issuer is another (G-37).
    Issuer {
        /// The token's.
        found: String,
        /// The provider's.
        expected: String,
    },
    /// The audience is not taken (G-36).
    Audience {
        /// The token's.
        found: Vec<String>,
        /// The provider's.
        allowed: Vec<String>,
    },
    /// The issuer's documents or keys (G-40).
    Documents(DocumentProblem),
    /// No uploaded key has the token's kid (G-45).
    UploadedKeys {
        /// The token's.
        kid: Option<String>,
        /// Those that were uploaded.
        available: Vec<String>,
    },
    /// The signature does not hold, or is of an algorithm that Google does not take (G-20, G-39).
    Signature,
    /// Mapping or condition.
    Mapping(MappingRefusal),
}

/// A refusal: what Google says, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Google's words.
    pub error: StsError,
    /// The reason behind them.
    pub reason: Box<Reason>,
}

impl Decision {
    fn new(error: StsError, reason: Reason) -> Self {
        Self { error, reason: Box::new(reason) }
    }
}

impl From<StsError> for Decision {
    fn from(error: StsError) -> Self {
        Self::new(error, Reason::AsTold)
    }
}

/// What an access token is given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// Who it is, seen from the pool.
    pub identity: FederatedIdentity,
    /// `expires_in`; not said when the token has two seconds left (G-24).
    pub expires_in: Option<u32>,
    /// When the access token expires, in seconds since 1970.
    pub expires: i64,
    /// What it is good for.
    pub scopes: Vec<String>,
}

/// The pool and provider of the name asked for, as far as they are there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registered<'a> {
    /// The pool.
    pub pool: Option<&'a Pool>,
    /// The provider.
    pub provider: Option<&'a Provider>,
}

/// The first half: everything that needs no network.
pub fn before_fetch<'a>(
    request: &ExchangeRequest,
    registered: Registered<'a>,
    now: i64,
    wording: Wording,
) -> Result<(PresentedToken, &'a Provider), Decision> {
    let not_usable = |why| Decision::new(ProviderName::unknown(), Reason::NotUsable(why));
    let pool = registered.pool.ok_or_else(|| not_usable("there is no pool of this name"))?;
    if !pool.is_usable() {
        return Err(not_usable(if pool.disabled { "the pool is disabled" } else { "the pool is deleted" }));
    }
    let provider = registered.provider.ok_or_else(|| not_usable("there is no provider of this name in the pool"))?;
    if !provider.is_usable() {
        return Err(not_usable(if provider.disabled { "the provider is disabled" } else { "the provider is deleted" }));
    }
    let token = PresentedToken::parse(&request.subject_token)?;
    check_issuer(&token, provider, wording)?;
    check_audience(&token, provider)?;
    token.check_times(now)?;
    Ok((token, provider))
}

/// G-21, G-37.
fn check_issuer(token: &PresentedToken, provider: &Provider, wording: Wording) -> Result<(), Decision> {
    let expected = &provider.oidc.issuer_uri;
    if token.iss() == Some(expected) {
        return Ok(());
    }
    let found = token
        .claims
        .get("iss")
        .map_or_else(|| "null".to_owned(), |iss| iss.as_str().map_or_else(|| iss.to_string(), str::to_owned));
    let description = match wording {
        Wording::Current => format!("The issuer in ID Token {found} does not match the expected one in config: {expected}."),
        Wording::Legacy => format!("The issuer in ID Token {found} does not match the expected ones: {expected}"),
    };
    Err(Decision::new(StsError::grant("G-37", description), Reason::Issuer { found, expected: expected.clone() }))
}

/// G-3, G-25, G-36.
fn check_audience(token: &PresentedToken, provider: &Provider) -> Result<(), Decision> {
    let (found, allowed) = (token.audiences(), provider.audiences());
    if found.iter().any(|audience| allowed.iter().any(|taken| taken == audience)) {
        return Ok(());
    }
    let description = format!("The audience in ID Token [{}] does not match the expected audience.", found.join(", "));
    let found = found.into_iter().map(str::to_owned).collect();
    Err(Decision::new(StsError::grant("G-36", description), Reason::Audience { found, allowed }))
}

/// The second half: with the issuer's documents, or with the reason why they could not be had. They are not looked at when the provider
/// has keys of its own (G-4).
pub fn after_fetch(
    request: &ExchangeRequest,
    token: &PresentedToken,
    provider: &Provider,
    documents: Result<Documents, DocumentProblem>,
    now: i64,
) -> Result<Exchanged, Decision> {
    if let Some(keys) = provider.uploaded_keys() {
        check_signature(token, &keys, true)?;
    } else {
        let documents = documents.and_then(|documents| check_discovery(documents, provider));
        let documents = documents.map_err(|problem| Decision::new(cannot_connect(), Reason::Documents(problem)))?;
        check_signature(token, &documents.keys, false)?;
    }
    let attributes = map(token, provider)?;
    let expires_in = token.expires_in(now)?;
    Ok(Exchanged {
        identity: attributes.identity(provider),
        expires_in,
        // A token about which nothing is said lives for what the subject token has left.
        expires: now.saturating_add(i64::from(expires_in.unwrap_or(2))),
        scopes: request.scopes.clone(),
    })
}

/// Mapping, sizes, condition (G-31, G-32, G-41). That the condition comes last follows from what it may look at (G-10).
pub fn map(token: &PresentedToken, provider: &Provider) -> Result<Attributes, Decision> {
    let workforce = provider.name.pool.is_workforce();
    let mapping = Mapping::compile(provider).map_err(|error| {
        let refusal = MappingRefusal::Unmappable {
            key: "google.subject".to_owned(),
            expression: String::new(),
            problem: error.to_string(),
        };
        Decision::new(refusal.error(workforce), Reason::Mapping(refusal))
    })?;
    let refuse = |refusal: MappingRefusal| Decision::new(refusal.error(workforce), Reason::Mapping(refusal));
    let attributes = mapping.apply(&token.claims).map_err(refuse)?;
    mapping.check_condition(&token.claims, &attributes).map_err(refuse)?;
    Ok(attributes)
}

/// That Google compares the discovery document's issuer is inferred from OpenID Connect Discovery.
fn check_discovery(documents: Documents, provider: &Provider) -> Result<Documents, DocumentProblem> {
    let expected = &provider.oidc.issuer_uri;
    if documents.discovery.jwks_uri.is_none() {
        return Err(DocumentProblem::MissingFields(vec!["jwks_uri"]));
    }
    if documents.discovery.issuer.as_ref() != Some(expected) {
        return Err(DocumentProblem::WrongIssuer { expected: expected.clone(), found: documents.discovery.issuer });
    }
    Ok(documents)
}

/// G-40, G-45.
fn cannot_connect() -> StsError {
    StsError::grant("G-40", "Error connecting to the given credential's issuer.")
}

/// G-20, G-39, G-40, G-45.
fn check_signature(token: &PresentedToken, keys: &JwkSet, uploaded: bool) -> Result<(), Decision> {
    let bad_signature = || Decision::new(StsError::grant("G-39", "Unable to verify the ID Token signature."), Reason::Signature);
    let key = select_key(token, keys).map_err(|problem| {
        let reason = match problem {
            DocumentProblem::NoUsableKey { kid, available, .. } if uploaded => Reason::UploadedKeys { kid, available },
            problem => Reason::Documents(problem),
        };
        Decision::new(cannot_connect(), reason)
    })?;
    let algorithm = token.algorithm().ok_or_else(bad_signature)?;
    key.verify(algorithm, token.jws().signing_input().as_bytes(), token.jws().signature()).map_err(|_| bad_signature())
}

/// The key that must have signed the token: of its id, and of its algorithm's type (G-20, G-40).
///
/// Of several keys with one id Google is taken to use the first that fits; that is unconfirmed.
pub fn select_key(token: &PresentedToken, keys: &JwkSet) -> Result<VerifyingKey, DocumentProblem> {
    let available: Vec<String> = keys.keys.iter().filter_map(|key| key.kid.clone()).collect();
    let none =
        |reason| DocumentProblem::NoUsableKey { kid: token.kid().map(str::to_owned), available: available.clone(), reason };
    let kid = token.kid().filter(|kid| !kid.is_empty()).ok_or_else(|| none("the token has no kid"))?;
    let of_id: Vec<&Jwk> = keys.keys.iter().filter(|key| key.kid.as_deref() == Some(kid)).collect();
    if of_id.is_empty() {
        return Err(none("no key has the token's kid"));
    }
    let kty = if token.alg().starts_with("ES") { "EC" } else { "RSA" };
    let fitting = of_id.into_iter().find(|key| key.kty == kty && key.usage.as_deref() != Some("enc"));
    let fitting = fitting.ok_or_else(|| none("the key with the token's kid is of another type or use"))?;
    VerifyingKey::from_jwk(fitting).map_err(|_| none("the key's numbers cannot be used"))
}

/// Both halves at once, for whoever has the documents already: the doctor, a plan, tests.
pub fn exchange(
    request: &ExchangeRequest,
    registered: Registered<'_>,
    documents: Result<Documents, DocumentProblem>,
    now: i64,
    wording: Wording,
) -> Result<Exchanged, Decision> {
    let (token, provider) = before_fetch(request, registered, now, wording)?;
    after_fetch(request, &token, provider, documents, now)
}
