//! Tokens and set-ups that judges are asked about, each with one thing changed.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use skybru_protocol::base64url;
use skybru_protocol::jose::SigningKey;

use super::issuer::{AUDIENCE, SUBJECT, TestIssuer};

/// What a case is made of.
pub(super) struct Made {
    pub(super) header: Value,
    pub(super) claims: Value,
    pub(super) discovery: Value,
    pub(super) keys: Vec<Value>,
    /// Of the role's trust policy.
    pub(super) condition: Value,
    pub(super) actions: Value,
    /// Instead of the issuer's provider.
    pub(super) principal: Option<&'static str>,
    /// Instead of the role that is set up.
    pub(super) role: Option<&'static str>,
    pub(super) duration: u32,
    /// The token itself, instead of header and claims signed by the issuer's key.
    pub(super) token: Option<String>,
}

/// A case: what it is called, what is changed, and why a judge differs from the simulator (nothing when none does).
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) change: fn(&mut Made, &TestIssuer),
    pub(super) why: &'static str,
}

const fn case(name: &'static str, why: &'static str, change: fn(&mut Made, &TestIssuer)) -> Case {
    Case { name, change, why }
}

#[expect(clippy::disallowed_methods, reason = "the judges run by the real clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl Made {
    /// Everything as it should be.
    pub(super) fn good(issuer: &TestIssuer) -> Self {
        let (url, host) = (&issuer.site.url, issuer.host());
        Self {
            header: json!({"alg": "RS256", "kid": issuer.key.public_jwk().kid, "typ": "JWT"}),
            claims: json!({"iss": url, "sub": SUBJECT, "aud": AUDIENCE, "iat": now(), "exp": now() + 300, "jti": now().to_string()}),
            discovery: json!({
                "issuer": url,
                "jwks_uri": format!("{url}/jwks"),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
            keys: vec![issuer.jwk.clone()],
            condition: json!({"StringEquals": {format!("{host}:sub"): SUBJECT}}),
            actions: json!("sts:AssumeRoleWithWebIdentity"),
            principal: None,
            role: None,
            duration: 900,
            token: None,
        }
    }

    /// The token.
    pub(super) fn token(&self, issuer: &TestIssuer) -> String {
        self.token.clone().unwrap_or_else(|| sign(&issuer.key, &self.header, &self.claims))
    }

    fn without(&mut self, claim: &str) {
        self.claims.as_object_mut().unwrap().remove(claim);
    }
}

/// Signs with the key, in the way that the header names.
fn sign(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let alg = header["alg"].as_str().filter(|alg| alg.starts_with("RS")).unwrap_or("RS256");
    if alg == "RS256" {
        return key.sign_with_header(header, claims).unwrap();
    }
    let text = include_str!("../../../../protocol/testdata/rsa2048.jwk").replace("RS256", alg);
    SigningKey::from_text(&text, None).unwrap().sign_with_header(header, claims).unwrap()
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url::encode(header.to_string()), base64url::encode(claims.to_string()))
}

fn host_key(issuer: &TestIssuer, claim: &str) -> String {
    format!("{}:{claim}", issuer.host())
}

/// The key set's second entry.
fn with_kid(key: &Value, kid: &str) -> Value {
    let mut key = key.clone();
    key["kid"] = kid.into();
    key
}

const AUDIENCE_LIST: &str = "AWS takes one audience unless azp says which; Ceph looks for any that is registered";
const NO_LEEWAY: &str = "AWS forgives five minutes; Ceph forgives nothing";
const FIRST_KEY: &str = "Ceph 16 looks at the certificate of the first key and at nothing else: neither kid nor numbers";
const ANY_CLAIM: &str = "Ceph makes a condition key of every claim; AWS of five (A-72, A-73)";

pub(super) const CASES: &[Case] = &[
    // The good token, and what varies harmlessly.
    case("a good token", "", |_, _| ()),
    case("fifteen thousand characters of other claims", "", |m, _| m.claims["pad"] = "x".repeat(12_000).into()),
    case("exp in ten years", "", |m, _| m.claims["exp"] = json!(now() + 315_360_000)),
    // Audience.
    case("another audience", "", |m, _| m.claims["aud"] = "other".into()),
    case("no audience", "", |m, _| m.without("aud")),
    case("an empty list of audiences", "", |m, _| m.claims["aud"] = json!([])),
    case("a list of one audience", "", |m, _| m.claims["aud"] = json!([AUDIENCE])),
    case("a list with the audience first", AUDIENCE_LIST, |m, _| m.claims["aud"] = json!([AUDIENCE, "b"])),
    case("a list with the audience last", AUDIENCE_LIST, |m, _| m.claims["aud"] = json!(["b", AUDIENCE])),
    case("another audience, and azp that is registered", "", |m, _| {
        (m.claims["aud"], m.claims["azp"]) = ("other".into(), AUDIENCE.into());
    }),
    case(
        "the audience, and azp that is not registered",
        "Ceph takes whichever of aud, client_id and azp is registered",
        |m, _| {
            m.claims["azp"] = "other".into();
        },
    ),
    case(
        "another audience, and client_id that is registered",
        "Ceph takes whichever of aud, client_id and azp is registered",
        |m, _| {
            (m.claims["aud"], m.claims["client_id"]) = ("other".into(), AUDIENCE.into());
        },
    ),
    // Subject.
    case("another subject", "", |m, _| m.claims["sub"] = "0192:889640782;entur:demo".into()),
    case("the subject in upper case", "", |m, _| m.claims["sub"] = SUBJECT.to_uppercase().into()),
    case("no subject, and a role for one", "", |m, _| m.without("sub")),
    // Times.
    case("expired one second ago", NO_LEEWAY, |m, _| m.claims["exp"] = json!(now() - 1)),
    case("expired four minutes ago", NO_LEEWAY, |m, _| m.claims["exp"] = json!(now() - 240)),
    case("expired six minutes ago", "", |m, _| m.claims["exp"] = json!(now() - 360)),
    case("no exp", "Ceph demands no exp", |m, _| m.without("exp")),
    case("exp with a fraction", "", |m, _| m.claims["exp"] = serde_json::from_str(&format!("{}.5", now() + 300)).unwrap()),
    case("nbf in half a minute", NO_LEEWAY, |m, _| m.claims["nbf"] = json!(now() + 30)),
    case("nbf in an hour", "", |m, _| m.claims["nbf"] = json!(now() + 3600)),
    case("iat in half a minute", NO_LEEWAY, |m, _| m.claims["iat"] = json!(now() + 30)),
    case("iat in an hour", "", |m, _| m.claims["iat"] = json!(now() + 3600)),
    case("no iat", "Ceph demands no iat", |m, _| m.without("iat")),
    // Issuer.
    case("an issuer without a provider", "", |m, _| m.claims["iss"] = "https://other.example.no".into()),
    case("the issuer with a slash", "", |m, i| m.claims["iss"] = format!("{}/", i.site.url).into()),
    case("the issuer with http", "", |m, i| m.claims["iss"] = i.site.url.replace("https", "http").into()),
    case("no issuer", "", |m, _| m.without("iss")),
    // Signature.
    case("signed by another key, under the good one's kid", "", |m, i| m.token = Some(sign(&i.other, &m.header, &m.claims))),
    case("a changed payload", "", |m, i| {
        let good = sign(&i.key, &m.header, &m.claims);
        m.claims["scope"] = "entur:other".into();
        m.token = Some(format!("{}.{}", unsigned(&m.header, &m.claims), good.rsplit('.').next().unwrap()));
    }),
    case("alg none, and no signature", "", |m, _| {
        m.header["alg"] = "none".into();
        m.token = Some(format!("{}.", unsigned(&m.header, &m.claims)));
    }),
    case("HS256 with the published certificate as the secret", "", |m, i| {
        m.header["alg"] = "HS256".into();
        let signed = unsigned(&m.header, &m.claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, i.jwk["x5c"][0].as_str().unwrap().as_bytes());
        m.token = Some(format!("{signed}.{}", base64url::encode(hmac::sign(&key, signed.as_bytes()))));
    }),
    case("another key in the token's own header", "", |m, i| {
        m.header["jwk"] = i.other_jwk.clone();
        m.token = Some(sign(&i.other, &m.header, &m.claims));
    }),
    case("RS384", "", |m, _| m.header["alg"] = "RS384".into()),
    case("RS512", "", |m, _| m.header["alg"] = "RS512".into()),
    case("not a token", "", |m, _| m.token = Some("abc.def.ghi".to_owned())),
    case("a line feed after the token", "", |m, i| m.token = Some(format!("{}\n", m.token(i)))),
    // Header.
    case("an unknown kid", FIRST_KEY, |m, _| m.header["kid"] = "nobody".into()),
    case("no kid, and one key", "", |m, _| drop(m.header.as_object_mut().unwrap().remove("kid"))),
    case("no kid, and two keys", FIRST_KEY, |m, i| {
        m.header.as_object_mut().unwrap().remove("kid");
        m.keys.push(with_kid(&i.other_jwk, "next"));
    }),
    case("typ at+jwt", "", |m, _| m.header["typ"] = "at+jwt".into()),
    case("an unknown crit", "Ceph does not look at crit", |m, _| m.header["crit"] = json!(["x"])),
    // Key set.
    case("a key without a certificate", FIRST_KEY, |m, _| drop(m.keys[0].as_object_mut().unwrap().remove("x5c"))),
    case("two keys, ours first", "", |m, i| m.keys.push(with_kid(&i.other_jwk, "next"))),
    case("two keys, ours second", FIRST_KEY, |m, i| m.keys.insert(0, with_kid(&i.other_jwk, "next"))),
    case("a certificate of another key", "", |m, i| m.keys[0]["x5c"] = i.other_jwk["x5c"].clone()),
    case("a key for encryption", "Ceph does not look at use", |m, _| m.keys[0]["use"] = "enc".into()),
    case("a key with key_ops", "Ceph does not look at key_ops", |m, _| m.keys[0]["key_ops"] = json!(["verify"])),
    case("two keys of one kid, the wrong one last", FIRST_KEY, |m, i| {
        let kid = m.keys[0]["kid"].as_str().unwrap().to_owned();
        m.keys.push(with_kid(&i.other_jwk, &kid));
    }),
    case("a hundred and one keys", "Ceph knows no such limit (A-33)", |m, i| {
        m.keys.extend((0..100).map(|number| with_kid(&i.other_jwk, &format!("k{number}"))));
    }),
    // Discovery.
    case("discovery names another issuer", "Ceph does not compare the document's issuer", |m, _| {
        m.discovery["issuer"] = "https://other.example.no".into();
    }),
    case("discovery without jwks_uri", "", |m, _| drop(m.discovery.as_object_mut().unwrap().remove("jwks_uri"))),
    case("discovery without the three lists", "Ceph does not ask for them; that AWS does rests on one report (A-50)", |m, _| {
        for list in ["response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"] {
            m.discovery.as_object_mut().unwrap().remove(list);
        }
    }),
    // Trust policy.
    case("condition on the audience", "", |m, i| m.condition = json!({"StringEquals": {host_key(i, "aud"): AUDIENCE}})),
    case("condition on another audience", "", |m, i| m.condition = json!({"StringEquals": {host_key(i, "aud"): "x"}})),
    case("StringLike on the organisation", "", |m, i| {
        m.condition = json!({"StringLike": {host_key(i, "sub"): "0192:917422575;*"}});
    }),
    case("StringLike on another organisation", "", |m, i| {
        m.condition = json!({"StringLike": {host_key(i, "sub"): "0192:889640782;*"}});
    }),
    case("StringEquals with a star", "", |m, i| m.condition = json!({"StringEquals": {host_key(i, "sub"): "0192:917422575;*"}})),
    case("subject and audience, the audience wrong", "", |m, i| {
        m.condition = json!({"StringEquals": {host_key(i, "sub"): SUBJECT, host_key(i, "aud"): "x"}});
    }),
    case("condition on the scope, as the token has it", ANY_CLAIM, |m, i| {
        m.claims["scope"] = "entur:demo".into();
        m.condition = json!({"StringEquals": {host_key(i, "scope"): "entur:demo"}});
    }),
    case("condition on a claim that is absent", "", |m, i| m.condition = json!({"StringEquals": {host_key(i, "consumer"): "x"}})),
    case("session tags that the policy does not allow", "", |m, _| {
        m.claims["https://aws.amazon.com/tags"] = json!({"principal_tags": {"team": ["blue"]}, "transitive_tag_keys": []});
    }),
    case("session tags that the policy asks for", "", |m, _| {
        m.claims["https://aws.amazon.com/tags"] = json!({"principal_tags": {"team": ["blue"]}, "transitive_tag_keys": []});
        m.actions = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
        m.condition = json!({"StringEquals": {"aws:RequestTag/team": "blue"}});
    }),
    case("session tags with another value", "", |m, _| {
        m.claims["https://aws.amazon.com/tags"] = json!({"principal_tags": {"team": ["red"]}, "transitive_tag_keys": []});
        m.actions = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
        m.condition = json!({"StringEquals": {"aws:RequestTag/team": "blue"}});
    }),
    // Role.
    case("a role that is not there", "", |m, _| m.role = Some("nobody")),
    case("a role for another action", "", |m, _| m.actions = json!("sts:AssumeRole")),
    case("longer than the role allows", "", |m, _| m.duration = 43_200),
];
