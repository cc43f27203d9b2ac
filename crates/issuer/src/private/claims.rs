//! The claims of a token that is signed on the spot.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skybru_core::{Ctx, IssuerUrl};
use skybru_protocol::base64url;
use skybru_signer::{SignError, Signer, sign_token};

/// Claims that are the issuer's own: neither template nor caller may set them.
const RESERVED: [&str; 7] = ["iss", "sub", "aud", "iat", "exp", "nbf", "jti"];

/// The longest life of a token, in seconds (P-7: minutes; Google caps at an hour).
pub const MAX_LIFETIME_SECONDS: u32 = 3600;

/// Claims that every token gets. In texts, `{subject}` and `{audience}` stand for the token's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(Map<String, Value>);

/// What one token is asked for.
#[derive(Debug, Clone)]
pub struct MintRequest {
    /// `sub`: who may act.
    pub subject: String,
    /// `aud`: for whom the token is; one value (P-5).
    pub audience: String,
    /// Further claims; they win over the template's.
    pub claims: Map<String, Value>,
    /// Life in seconds.
    pub lifetime_seconds: u32,
}

/// Why no token was signed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// It is the issuer's own.
    #[error("claim {0} cannot be set: the issuer sets it itself")]
    Reserved(String),
    /// A claim has an empty name.
    #[error("a claim has no name")]
    NoName,
    /// A text in the template names something that is not there.
    #[error("claim {claim} of the template: {{{name}}} is not known; use {{subject}} or {{audience}}")]
    Placeholder {
        /// The claim.
        claim: String,
        /// What stands in the brackets.
        name: String,
    },
    /// Empty subject or audience: every cloud refuses them.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// Longer than a cloud takes.
    #[error("the subject has {0} bytes, and Entra takes at most 600")]
    SubjectTooLong(usize),
    /// Too long or no time at all.
    #[error("a token may live 1 to {MAX_LIFETIME_SECONDS} seconds, not {0}")]
    Lifetime(u32),
    /// Signing failed.
    #[error("the token could not be signed")]
    Signing(#[from] SignError),
}

impl Template {
    /// Checks that a template sets nothing that is the issuer's, and names nothing that is not there.
    pub fn check(&self) -> Result<(), ClaimsError> {
        self.fill("", "").map(drop)
    }

    fn fill(&self, subject: &str, audience: &str) -> Result<Map<String, Value>, ClaimsError> {
        self.0
            .iter()
            .map(|(name, value)| {
                check_name(name)?;
                Ok((name.clone(), fill(name, value, subject, audience)?))
            })
            .collect()
    }
}

fn fill(claim: &str, value: &Value, subject: &str, audience: &str) -> Result<Value, ClaimsError> {
    let again = |value| fill(claim, value, subject, audience);
    Ok(match value {
        Value::String(text) => Value::String(fill_text(claim, text, subject, audience)?),
        Value::Array(values) => Value::Array(values.iter().map(again).collect::<Result<_, _>>()?),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| Ok((name.clone(), again(value)?))).collect::<Result<_, ClaimsError>>()?,
        ),
        other => other.clone(),
    })
}

fn fill_text(claim: &str, text: &str, subject: &str, audience: &str) -> Result<String, ClaimsError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(match name {
            "subject" => subject,
            "audience" => audience,
            _ => return Err(ClaimsError::Placeholder { claim: claim.to_owned(), name: name.to_owned() }),
        });
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn check_name(name: &str) -> Result<(), ClaimsError> {
    if name.is_empty() {
        Err(ClaimsError::NoName)
    } else if RESERVED.contains(&name) {
        Err(ClaimsError::Reserved(name.to_owned()))
    } else {
        Ok(())
    }
}

/// Signs a token, safe for all three clouds (P-1 to P-7): RS256 with an RSA key, `typ` JWT, one audience, whole seconds. Tells also when it expires.
pub async fn mint(
    issuer: &IssuerUrl,
    key: &dyn Signer,
    template: &Template,
    request: &MintRequest,
    ctx: &Ctx,
) -> Result<(String, Timestamp), ClaimsError> {
    for (name, value) in [("the subject", &request.subject), ("the audience", &request.audience)] {
        if value.trim().is_empty() {
            return Err(ClaimsError::Empty(name));
        }
    }
    if request.subject.len() > 600 {
        return Err(ClaimsError::SubjectTooLong(request.subject.len()));
    }
    if !(1..=MAX_LIFETIME_SECONDS).contains(&request.lifetime_seconds) {
        return Err(ClaimsError::Lifetime(request.lifetime_seconds));
    }
    let mut claims = template.fill(&request.subject, &request.audience)?;
    for (name, value) in &request.claims {
        check_name(name)?;
        claims.insert(name.clone(), value.clone());
    }
    let mut jti = [0; 16];
    ctx.randomness.fill(&mut jti);
    let now = ctx.clock.unix_seconds();
    let exp = now + i64::from(request.lifetime_seconds);
    for (name, value) in [
        ("iss", Value::from(issuer.as_str())),
        ("sub", request.subject.as_str().into()),
        ("aud", request.audience.as_str().into()),
        ("iat", now.into()),
        ("exp", exp.into()),
        ("jti", base64url::encode(jti).into()),
    ] {
        claims.insert(name.to_owned(), value);
    }
    let token = sign_token(key, Some("JWT"), &claims).await?;
    Ok((token, Timestamp::from_second(exp).unwrap_or(Timestamp::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skybru_protocol::jose::Jws;
    use skybru_signer::LocalSigner;

    fn template(claims: &Value) -> Template {
        serde_json::from_value(claims.clone()).unwrap()
    }

    fn request(claims: &Value) -> MintRequest {
        let claims = claims.as_object().unwrap().clone();
        MintRequest { subject: "ci".to_owned(), audience: "sts.amazonaws.com".to_owned(), claims, lifetime_seconds: 300 }
    }

    async fn sign(template: &Template, request: &MintRequest) -> Result<Value, ClaimsError> {
        let key = LocalSigner::from_text(include_str!("../../../protocol/testdata/rsa2048.jwk"), None).unwrap();
        let (ctx, _) = Ctx::fixed(1_800_000_000, 1);
        let (token, expires) = mint(&"https://id.example.no".parse().unwrap(), &key, template, request, &ctx).await?;
        assert_eq!(expires.as_second(), 1_800_000_300);
        Ok(serde_json::from_slice(Jws::parse(&token).unwrap().payload()).unwrap())
    }

    #[tokio::test]
    async fn a_token_has_what_the_clouds_need_and_what_the_template_adds() {
        let template = template(&json!({"team": "kart", "who": "{subject}@{audience}", "list": ["{subject}"], "n": 1}));
        let claims = sign(&template, &request(&json!({"team": "data"}))).await.unwrap();
        let expected = json!({"iss": "https://id.example.no", "sub": "ci", "aud": "sts.amazonaws.com", "iat": 1_800_000_000,
            "exp": 1_800_000_300, "jti": claims["jti"], "team": "data", "who": "ci@sts.amazonaws.com", "list": ["ci"], "n": 1});
        assert_eq!(claims, expected);
        assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    }

    #[tokio::test]
    async fn what_is_the_issuers_own_cannot_be_set() {
        for name in RESERVED {
            assert!(matches!(template(&json!({name: 1})).check(), Err(ClaimsError::Reserved(found)) if found == name));
            let refused = sign(&Template::default(), &request(&json!({name: 1}))).await;
            assert!(matches!(refused, Err(ClaimsError::Reserved(found)) if found == name));
        }
        let unknown = template(&json!({"a": ["{org}"]})).check().unwrap_err();
        assert_eq!(unknown.to_string(), "claim a of the template: {org} is not known; use {subject} or {audience}");
        assert!(template(&json!({"a": "{ is fine"})).check().is_ok());
    }

    #[tokio::test]
    async fn what_every_cloud_would_refuse_is_refused_here() {
        let with = async |change: fn(&mut MintRequest)| {
            let mut request = request(&json!({}));
            change(&mut request);
            sign(&Template::default(), &request).await.unwrap_err()
        };
        assert!(matches!(with(|r| r.subject = " ".to_owned()).await, ClaimsError::Empty("the subject")));
        assert!(matches!(with(|r| r.audience.clear()).await, ClaimsError::Empty("the audience")));
        assert!(matches!(with(|r| r.lifetime_seconds = 0).await, ClaimsError::Lifetime(0)));
        assert!(matches!(with(|r| r.lifetime_seconds = 3601).await, ClaimsError::Lifetime(3601)));
        assert!(matches!(with(|r| r.subject = "x".repeat(601)).await, ClaimsError::SubjectTooLong(601)));
    }
}
