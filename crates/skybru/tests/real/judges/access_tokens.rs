//! Access tokens for Azure's storage, each with one thing changed.

use serde_json::{Value, json};
use skybru_protocol::base64url;
use skybru_protocol::jose::SigningKey;

/// What a case is made of.
pub(super) struct Access {
    pub(super) header: Value,
    pub(super) claims: Value,
    /// Before the token in the header.
    pub(super) scheme: &'static str,
    /// `x-ms-version`.
    pub(super) version: &'static str,
    /// The token itself, instead of header and claims signed by Entra's key.
    pub(super) token: Option<String>,
}

/// What may go into a token.
pub(super) struct Around<'a> {
    /// The simulated Entra's key. Azurite looks at no signature.
    pub(super) key: &'a SigningKey,
    /// A key that Entra does not have.
    pub(super) other: &'a SigningKey,
    pub(super) tenant: &'a str,
    /// The account at this judge.
    pub(super) account: &'a str,
    /// Of an identity that may read the container.
    pub(super) principal: &'a str,
}

/// A case: what it is called, why Azurite differs from the simulator (nothing when it does not), and what is changed.
pub(super) struct AccessCase {
    pub(super) name: &'static str,
    pub(super) why: &'static str,
    pub(super) change: fn(&mut Access, &Around<'_>),
}

const fn case(name: &'static str, why: &'static str, change: fn(&mut Access, &Around<'_>)) -> AccessCase {
    AccessCase { name, why, change }
}

#[expect(clippy::disallowed_methods, reason = "the judges run by the real clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl Access {
    /// Everything as Entra makes it (E-14).
    pub(super) fn good(around: &Around<'_>) -> Self {
        let id = around.principal;
        Self {
            header: json!({"alg": "RS256", "kid": around.key.public_jwk().kid, "typ": "JWT"}),
            claims: json!({
                "iss": format!("https://sts.windows.net/{}/", around.tenant), "aud": "https://storage.azure.com",
                "tid": around.tenant, "oid": id, "sub": id, "appid": id, "idtyp": "app", "ver": "1.0",
                "iat": now(), "nbf": now(), "exp": now() + 300,
            }),
            scheme: "Bearer",
            version: "2023-11-03",
            token: None,
        }
    }

    pub(super) fn token(&self, around: &Around<'_>) -> String {
        self.token.clone().unwrap_or_else(|| around.key.sign_with_header(&self.header, &self.claims).unwrap())
    }

    fn without(&mut self, claim: &str) {
        self.claims.as_object_mut().unwrap().remove(claim);
    }

    fn unsigned(&self) -> String {
        format!("{}.{}", base64url::encode(self.header.to_string()), base64url::encode(self.claims.to_string()))
    }
}

const NO_SIGNATURE: &str = "Azurite looks at no signature";
const ANY_PRINCIPAL: &str = "Azurite knows neither directory nor roles: whoever has a token may do everything";

pub(super) const CASES: &[AccessCase] = &[
    case("a good token", "", |_, _| ()),
    // Audience.
    case("the audience with a slash", "", |a, _| a.claims["aud"] = "https://storage.azure.com/".into()),
    case("the audience by storage's application id", "", |a, _| a.claims["aud"] = "e406a681-f3d4-42a8-90b6-c2b029497af1".into()),
    case("the account's own host as audience", "", |a, s| {
        a.claims["aud"] = format!("https://{}.blob.core.windows.net", s.account).into();
    }),
    case("another account's host as audience", "", |a, _| a.claims["aud"] = "https://other.blob.core.windows.net".into()),
    case("Resource Manager's audience", "", |a, _| a.claims["aud"] = "https://management.azure.com/".into()),
    case("Graph's audience", "", |a, _| a.claims["aud"] = "https://graph.microsoft.com".into()),
    case("a list of one audience", "", |a, _| a.claims["aud"] = json!(["https://storage.azure.com"])),
    case("the audience in upper case", "", |a, _| a.claims["aud"] = "HTTPS://STORAGE.AZURE.COM".into()),
    case("no audience", "", |a, _| a.without("aud")),
    // Issuer.
    case("another directory's issuer", "Azurite looks at the beginning of the issuer", |a, _| {
        a.claims["iss"] = "https://sts.windows.net/11111111-2222-4333-8444-555555555555/".into();
    }),
    case("the issuer of the second version's tokens", "", |a, s| {
        a.claims["iss"] = format!("https://login.microsoftonline.com/{}/v2.0", s.tenant).into();
    }),
    case("the issuer with http", "", |a, s| a.claims["iss"] = format!("http://sts.windows.net/{}/", s.tenant).into()),
    case("the issuer without its slash", "Azurite looks at the beginning of the issuer", |a, s| {
        a.claims["iss"] = format!("https://sts.windows.net/{}", s.tenant).into();
    }),
    case("no issuer", "", |a, _| a.without("iss")),
    case("another directory's id", ANY_PRINCIPAL, |a, _| a.claims["tid"] = "11111111-2222-4333-8444-555555555555".into()),
    // Times.
    case("expired two seconds ago", "", |a, _| a.claims["exp"] = json!(now() - 2)),
    case("no exp", "", |a, _| a.without("exp")),
    case("nbf in half a minute", "", |a, _| a.claims["nbf"] = json!(now() + 30)),
    case("no nbf", "", |a, _| a.without("nbf")),
    case("no iat", "Azurite wants it; whether storage does cannot be seen, for Entra's tokens always have it", |a, _| {
        a.without("iat");
    }),
    // Whom it is for.
    case("an identity without a role", ANY_PRINCIPAL, |a, _| a.claims["oid"] = "11111111-2222-4333-8444-555555555555".into()),
    case("no oid", ANY_PRINCIPAL, |a, _| a.without("oid")),
    case("no appid", ANY_PRINCIPAL, |a, _| a.without("appid")),
    // Signature.
    case("signed by another key, under the good one's kid", NO_SIGNATURE, |a, s| {
        a.token = Some(s.other.sign_with_header(&a.header, &a.claims).unwrap());
    }),
    case("an unknown kid", NO_SIGNATURE, |a, _| a.header["kid"] = "nobody".into()),
    case("no kid", NO_SIGNATURE, |a, _| drop(a.header.as_object_mut().unwrap().remove("kid"))),
    case("a changed payload", NO_SIGNATURE, |a, s| {
        let good = a.token(s);
        a.claims["scp"] = "everything".into();
        a.token = Some(format!("{}.{}", a.unsigned(), good.rsplit('.').next().unwrap()));
    }),
    case("alg none, and no signature", NO_SIGNATURE, |a, _| {
        a.header["alg"] = "none".into();
        a.token = Some(format!("{}.", a.unsigned()));
    }),
    case("not a token", "", |a, _| a.token = Some("abc.def.ghi".to_owned())),
    // The request.
    case("the token without a scheme that is known", "", |a, _| a.scheme = "Token"),
    case("a version before bearer tokens", "Azurite is told here to look at no version, or it would refuse today's", |a, _| {
        a.version = "2016-05-31";
    }),
];
