//! `AssumeRoleWithWebIdentity`: whether AWS gives credentials for a token, and if not, in which words.
//!
//! The order is that of A-64: parameters, the token's shape and times, the role, its longest session, the provider, the issuer's
//! documents, the key, the signature, the audience, tags, the trust policy, the session policy. That the key comes before the audience
//! is known from the guide that ended in a key error although its audience was wrong too.

use super::AwsError;
use super::keys::{NOT_VALIDATED, check_discovery, document_error, select_key};
use super::policy::{MissReason, Outcome, Request, Verdict, check_identity_policy, evaluate};
use super::provider::{OidcProvider, is_local};
use super::role::Role;
use super::session::{SessionClaims, is_session_name};
use super::token::PresentedToken;
use super::trust::{TrustContext, trust_context};
use crate::documents::{DocumentProblem, Documents};

/// Which of AWS's texts are used where they have changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wording {
    /// Seen in September 2026.
    #[default]
    Current,
    /// Seen until 2024.
    Legacy,
}

/// Switches of what is not certain about AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    ///
    pub wording: Wording,
    /// Whether discovery must have the three lists of A-50.
    pub strict_discovery: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { wording: Wording::Current, strict_discovery: true }
    }
}

/// The call's parameters, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// The role asked for.
    pub role_arn: String,
    /// The session's name.
    pub session_name: String,
    /// The token, as it came.
    pub token: String,
    /// Seconds; 3600 when absent.
    pub duration_seconds: u32,
    /// An inline session policy.
    pub policy: Option<String>,
    /// ARNs of managed session policies.
    pub policy_arns: Vec<String>,
    /// Only for the two providers that are no OIDC.
    pub provider_id: Option<String>,
}

impl Parameters {
    /// Checks the parameters; `get` gives each by its name on the wire.
    pub fn read(get: impl Fn(&str) -> Option<String>, policy_arns: Vec<String>) -> Result<Self, AwsError> {
        let text = |wire: &str, name: &str, least: usize, most: usize| {
            let value = get(wire).ok_or_else(|| AwsError::constraint(name, None, "not be null"))?;
            if value.len() < least {
                return Err(AwsError::constraint(name, None, &format!("have length greater than or equal to {least}")));
            }
            if value.len() > most {
                return Err(AwsError::constraint(name, None, &format!("have length less than or equal to {most}")));
            }
            Ok(value)
        };
        let role_arn = text("RoleArn", "roleArn", 20, 2048)?;
        let session_name = text("RoleSessionName", "roleSessionName", 2, 64)?;
        if !is_session_name(&session_name) {
            let pattern = "satisfy regular expression pattern: [\\w+=,.@-]*";
            return Err(AwsError::constraint("roleSessionName", Some(&session_name), pattern));
        }
        let token = text("WebIdentityToken", "webIdentityToken", 4, 20_000)?;
        let duration_seconds = match get("DurationSeconds") {
            None => 3600,
            Some(given) => {
                let bound = |bound: &str| AwsError::constraint("durationSeconds", Some(&given), &format!("have value {bound}"));
                match given.parse::<i64>() {
                    Ok(seconds @ 900..=43200) => u32::try_from(seconds).unwrap_or(3600),
                    Ok(seconds) if seconds < 900 => return Err(bound("greater than or equal to 900")),
                    Ok(_) => return Err(bound("less than or equal to 43200")),
                    Err(_) => {
                        return Err(AwsError::new(
                            "A-60",
                            "MalformedInput",
                            400,
                            "Top level element may not be treated as a list",
                        ));
                    }
                }
            }
        };
        let policy = get("Policy");
        if policy.as_ref().is_some_and(|policy| policy.is_empty() || policy.len() > 2048) {
            return Err(AwsError::constraint("policy", None, "have length less than or equal to 2048"));
        }
        if policy_arns.len() > 10 {
            return Err(AwsError::constraint("policyArns", None, "have length less than or equal to 10"));
        }
        Ok(Self { role_arn, session_name, token, duration_seconds, policy, policy_arns, provider_id: get("ProviderId") })
    }
}

/// Why it was refused, for the doctor; AWS's own words often do not say.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The error's text says it.
    AsTold,
    /// No role of this ARN.
    NoRole,
    /// No provider for the token's issuer in the role's account.
    NoProvider {
        /// The token's issuer.
        issuer: String,
    },
    /// The issuer's documents or keys.
    Documents(DocumentProblem),
    /// The signature does not hold.
    Signature,
    /// The audience is not registered.
    Audience {
        /// The token's.
        found: String,
        /// The provider's.
        registered: Vec<String>,
    },
    /// The trust policy does not let it in. What stood in the way of each statement.
    Trust {
        /// The action that was not allowed: the call itself, or `sts:TagSession`, or `sts:SetSourceIdentity`.
        action: &'static str,
        /// Whether a statement denied it.
        denied: bool,
        /// For each allow, why it did not match.
        misses: Vec<MissReason>,
    },
}

/// A refusal: what AWS says, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// AWS's words.
    pub error: AwsError,
    /// The reason behind them.
    pub reason: Box<Reason>,
}

impl From<AwsError> for Decision {
    fn from(error: AwsError) -> Self {
        Self { error, reason: Box::new(Reason::AsTold) }
    }
}

/// What credentials are given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// `SubjectFromWebIdentityToken`.
    pub subject: String,
    /// `Audience`: `azp` if present, else `aud`.
    pub audience: String,
    /// `Provider`: its ARN.
    pub provider: String,
    /// Percent of the room for policies and tags; never 0.
    pub packed_policy_size: u32,
    /// Session tags.
    pub tags: Vec<(String, String)>,
    /// Keys of the tags that go on to further roles.
    pub transitive_tag_keys: Vec<String>,
    /// `SourceIdentity`.
    pub source_identity: Option<String>,
    /// Seconds that the credentials live, whatever the token's `exp`.
    pub duration_seconds: u32,
    /// The session's policies, if any were given.
    pub session_policy: Option<String>,
}

impl Accepted {
    /// When the credentials expire, in seconds since 1970, if they are given at `now`. The token's own `exp` does not matter.
    pub fn expires(&self, now: i64) -> i64 {
        now.saturating_add(i64::from(self.duration_seconds))
    }
}

/// What is registered, and what the issuer answers, as far as the decision needs it.
pub struct Registered<'a> {
    /// The role of the ARN asked for.
    pub role: Option<&'a Role>,
    /// The providers of the role's account.
    pub providers: &'a [OidcProvider],
}

/// The first half: everything that needs no network. Gives the provider whose issuer must be asked, and the token.
pub fn before_fetch<'a>(
    parameters: &Parameters,
    registered: &Registered<'a>,
    now: i64,
) -> Result<(PresentedToken, &'a Role, &'a OidcProvider), Decision> {
    if let Some(id) = &parameters.provider_id {
        //
        return Err(Decision::from(match id.as_str() {
            "www.amazon.com" => AwsError::identity("A-55", "Provided Token is not a Login With Amazon token"),
            "graph.facebook.com" => AwsError::new("A-55", "IDPRejectedClaim", 403, "The identity provider rejected the token"),
            _ => AwsError::not_authorized(),
        }));
    }
    let token = PresentedToken::read(&parameters.token, now)?;
    let not_there = || Decision { error: AwsError::not_authorized(), reason: Box::new(Reason::NoRole) };
    let role = registered.role.ok_or_else(not_there)?;
    if parameters.duration_seconds > role.max_session_duration {
        let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(AwsError::validation("A-61", message).into());
    }
    let provider = registered.providers.iter().find(|provider| vouches(provider, &token.iss));
    let provider = provider.ok_or_else(|| Decision {
        error: AwsError::identity("A-48", format!("No OpenIDConnect provider found in your account for {}", token.iss)),
        reason: Box::new(Reason::NoProvider { issuer: token.iss.clone() }),
    })?;
    Ok((token, role, provider))
}

/// the issuer is the provider's URL, byte for byte. Plain http counts on this machine only, where a lab may have no TLS.
fn vouches(provider: &OidcProvider, iss: &str) -> bool {
    let local = is_local(&provider.url);
    iss.strip_prefix("https://").or_else(|| iss.strip_prefix("http://").filter(|_| local)) == Some(provider.url.as_str())
}

/// The second half: with the issuer's documents, or with the reason why they could not be had.
pub fn after_fetch(
    parameters: &Parameters,
    token: &PresentedToken,
    role: &Role,
    provider: &OidcProvider,
    documents: Result<Documents, DocumentProblem>,
    rules: Rules,
) -> Result<Accepted, Decision> {
    check_proof(token, documents, rules)?;
    check_audience(token, provider, rules)?;
    let session = SessionClaims::read(&token.claims, &parameters.role_arn)?;
    check_trust(role, TrustContext { provider, token, session: &session, session_name: &parameters.session_name })?;
    if let Some(policy) = &parameters.policy {
        check_identity_policy(policy)?;
    }
    let packed_policy_size = packed_size(parameters, token, &session)?;
    Ok(Accepted {
        subject: token.sub.clone(),
        audience: token.audience.value.clone(),
        provider: provider.arn.clone(),
        packed_policy_size,
        tags: session.tags,
        transitive_tag_keys: session.transitive,
        source_identity: session.source_identity,
        duration_seconds: parameters.duration_seconds,
        session_policy: parameters.policy.clone(),
    })
}

/// how full, in percent, the room for policies and tags is.
///
/// Seen were 24 to 26 for short tokens and 34 with a subject of 300 characters; between them a line is drawn. How policies and tags
/// count is unconfirmed, and so is which of the two texts, both of them reported, belongs to which case.
fn packed_size(parameters: &Parameters, token: &PresentedToken, session: &SessionClaims) -> Result<u32, AwsError> {
    let policy = parameters.policy.as_deref().map_or(0, str::len);
    let tags: usize = session.tags.iter().map(|(key, value)| key.len() + value.len()).sum();
    let percent = u32::try_from(24 + (token.sub.len() + policy + tags) / 30).unwrap_or(u32::MAX);
    // A long subject alone was never refused (A-38: 300 characters and more are taken).
    if percent <= 100 || (policy == 0 && tags == 0) {
        return Ok(percent.min(100));
    }
    let message = if policy > 0 {
        format!("Packed policy consumes {percent}% of allotted space, please use smaller policy.")
    } else {
        format!("Packed size of session tags consumes {percent}% of allotted space.")
    };
    Err(AwsError::new("A-63", "PackedPolicyTooLarge", 400, message))
}

fn check_proof(token: &PresentedToken, documents: Result<Documents, DocumentProblem>, rules: Rules) -> Result<(), Decision> {
    let refuse =
        |problem: DocumentProblem| Decision { error: document_error(&problem), reason: Box::new(Reason::Documents(problem)) };
    let documents = documents.map_err(refuse)?;
    check_discovery(&documents.discovery, &token.iss, rules.strict_discovery).map_err(refuse)?;
    let key = select_key(&documents.keys, token).map_err(refuse)?;
    key.verify(token.algorithm, token.jws.signing_input().as_bytes(), token.jws.signature())
        .map_err(|_| Decision { error: AwsError::identity("A-36", NOT_VALIDATED), reason: Box::new(Reason::Signature) })
}

fn check_audience(token: &PresentedToken, provider: &OidcProvider, rules: Rules) -> Result<(), Decision> {
    if provider.client_ids.contains(&token.audience.value) {
        return Ok(());
    }
    let text = match rules.wording {
        Wording::Current => NOT_VALIDATED,
        Wording::Legacy => "Incorrect token audience",
    };
    let reason = Reason::Audience { found: token.audience.value.clone(), registered: provider.client_ids.clone() };
    Err(Decision { error: AwsError::identity("A-41", text), reason: Box::new(reason) })
}

/// the call itself, and what the token asks for beside it.
fn check_trust(role: &Role, given: TrustContext<'_>) -> Result<(), Decision> {
    let mut actions = vec!["sts:AssumeRoleWithWebIdentity"];
    if given.session.has_tags() {
        actions.push("sts:TagSession");
    }
    if given.session.source_identity.is_some() {
        actions.push("sts:SetSourceIdentity");
    }
    let document = role.trust()?;
    let context = trust_context(given);
    for action in actions {
        let principal = Some(("Federated", given.provider.arn.as_str()));
        let verdict = evaluate([&document], &Request { principal, action, resource: None, context: &context });
        if !verdict.is_allowed() {
            return Err(Decision { error: AwsError::not_authorized(), reason: Box::new(trust_reason(action, verdict)) });
        }
    }
    Ok(())
}

fn trust_reason(action: &'static str, verdict: Verdict) -> Reason {
    let misses = verdict.misses.into_iter().map(|miss| miss.reason).collect();
    Reason::Trust { action, denied: verdict.outcome == Outcome::Denied, misses }
}

/// Both halves at once, for whoever has the documents already: the doctor, a plan, tests.
pub fn assume_role_with_web_identity(
    parameters: &Parameters,
    registered: &Registered<'_>,
    documents: Result<Documents, DocumentProblem>,
    now: i64,
    rules: Rules,
) -> Result<Accepted, Decision> {
    let (token, role, provider) = before_fetch(parameters, registered, now)?;
    after_fetch(parameters, &token, role, provider, documents, rules)
}
