//! One call that AWS accepts, with everything that belongs to it. A test changes one thing and sees what AWS says.

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING};
use aws_lc_rs::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _};
use serde_json::{Value, json};
use skybru_federation::aws::{
    Accepted, Decision, OidcProvider, Parameters, ProviderInput, Registered, Role, RoleInput, Rules,
    assume_role_with_web_identity,
};
use skybru_federation::{DocumentProblem, Documents};
use skybru_protocol::base64url;
use skybru_protocol::jose::{Jwk, JwkSet, SigningKey};

pub(crate) const NOW: i64 = 1_757_590_000;
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const ISSUER: &str = "https://sky.example.no";
pub(crate) const AUDIENCE: &str = "https://skyporten.example.no";
pub(crate) const SUBJECT: &str = "0192:917422575;entur:skyporten.demo";
pub(crate) const PROVIDER_ARN: &str = "arn:aws:iam::123456789012:oidc-provider/sky.example.no";
pub(crate) const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/skyporten-role";

/// There are two blanks after the comma.
pub(crate) const NO_KEY: &str = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";
///
pub(crate) const NOT_VALIDATED: &str =
    "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.";
///
pub(crate) const NOT_A_JWT: &str =
    "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
///
pub(crate) const NOT_AUTHORIZED: &str = "Not authorized to perform sts:AssumeRoleWithWebIdentity";

pub(crate) struct Case {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    /// Instead of header and claims.
    pub(crate) token: Option<String>,
    pub(crate) discovery: Value,
    pub(crate) keys: Vec<Value>,
    pub(crate) unavailable: Option<DocumentProblem>,
    pub(crate) providers: Vec<OidcProvider>,
    pub(crate) role: Option<Role>,
    pub(crate) form: BTreeMap<&'static str, String>,
    pub(crate) rules: Rules,
    pub(crate) now: i64,
}

/// What AWS says: code, status, text, and the rule that said it.
pub(crate) type Said = (&'static str, u16, String, &'static str);

impl Case {
    /// Everything as it should be.
    pub(crate) fn good() -> Self {
        let form = [("RoleArn", ROLE_ARN), ("RoleSessionName", "917422575")];
        Self {
            header: json!({"alg": "RS256", "kid": "test-key-1", "typ": "JWT"}),
            claims: json!({"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 120}),
            token: None,
            discovery: json!({
                "issuer": ISSUER,
                "jwks_uri": format!("{ISSUER}/jwk"),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
            keys: vec![public_jwk()],
            unavailable: None,
            providers: vec![provider(ISSUER, &[AUDIENCE])],
            role: Some(role(&json!({"StringEquals": {"sky.example.no:aud": AUDIENCE, "sky.example.no:sub": SUBJECT}}))),
            form: form.map(|(name, value)| (name, value.to_owned())).into(),
            rules: Rules::default(),
            now: NOW,
        }
    }

    /// Everything as it should be but for `change`.
    pub(crate) fn but(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::good();
        change(&mut case);
        case
    }

    /// A good case with these claims replaced, and those that are null here taken away.
    pub(crate) fn claiming(claims: &Value) -> Self {
        Self::but(|case| {
            for (name, value) in claims.as_object().unwrap() {
                case.claims[name] = value.clone();
            }
        })
    }

    pub(crate) fn without_claim(name: &str) -> Self {
        Self::but(|case| drop(case.claims.as_object_mut().unwrap().remove(name)))
    }

    pub(crate) fn token(&self) -> String {
        self.token.clone().unwrap_or_else(|| sign(&self.header, &self.claims))
    }

    pub(crate) fn key_set(&self) -> JwkSet {
        JwkSet { keys: self.keys.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect() }
    }

    pub(crate) fn parameters(&self) -> Result<Parameters, skybru_federation::aws::AwsError> {
        let get = |name: &str| match name {
            "WebIdentityToken" => Some(self.form.get(name).cloned().unwrap_or_else(|| self.token())),
            _ => self.form.get(name).cloned(),
        };
        Parameters::read(get, Vec::new())
    }

    pub(crate) fn run(&self) -> Result<Accepted, Decision> {
        let documents = match &self.unavailable {
            Some(problem) => Err(problem.clone()),
            None => Ok(Documents { discovery: serde_json::from_value(self.discovery.clone()).unwrap(), keys: self.key_set() }),
        };
        let registered = Registered { role: self.role.as_ref(), providers: &self.providers };
        assume_role_with_web_identity(&self.parameters()?, &registered, documents, self.now, self.rules)
    }

    #[track_caller]
    pub(crate) fn accepted(&self) -> Accepted {
        self.run().expect("AWS accepts this")
    }

    #[track_caller]
    pub(crate) fn refused(&self) -> Said {
        let error = self.run().expect_err("AWS refuses this").error;
        (error.code, error.status, error.message, error.rule)
    }

    /// Expects `InvalidIdentityToken` with this rule and text.
    #[track_caller]
    pub(crate) fn is_no_identity(&self, rule: &'static str, text: &str) {
        assert_eq!(self.refused(), ("InvalidIdentityToken", 400, text.to_owned(), rule));
    }

    /// Expects the one answer that AWS has for roles and trust policies.
    #[track_caller]
    pub(crate) fn is_not_authorized(&self) {
        assert_eq!(self.refused(), ("AccessDenied", 403, NOT_AUTHORIZED.to_owned(), "A-62"));
    }
}

pub(crate) fn provider(url: &str, client_ids: &[&str]) -> OidcProvider {
    let client_ids = client_ids.iter().map(|id| (*id).to_owned()).collect();
    OidcProvider::create(ACCOUNT, ProviderInput { url: url.to_owned(), client_ids, ..ProviderInput::default() }, NOW).unwrap()
}

/// A role whose trust policy has this condition, for the good provider.
pub(crate) fn role(condition: &Value) -> Role {
    role_of(&json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": PROVIDER_ARN}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition,
    }]}))
}

/// A role with this trust policy.
pub(crate) fn role_of(trust_policy: &Value) -> Role {
    let input = RoleInput { name: "skyporten-role".to_owned(), trust_policy: trust_policy.to_string(), ..RoleInput::default() };
    Role::create(ACCOUNT, "AROAEXAMPLE".to_owned(), input, NOW, |_| true).unwrap()
}

/// The private key of the tests, for `RS256`, `RS384` or `RS512`.
pub(crate) fn signing_key(alg: &str) -> SigningKey {
    let text = include_str!("../../../protocol/testdata/rsa2048.jwk");
    SigningKey::from_text(&text.replace("RS256", alg), None).unwrap()
}

pub(crate) fn public_jwk() -> Value {
    serde_json::to_value(signing_key("RS256").public_jwk()).unwrap()
}

/// A good RSA key that has signed nothing here.
pub(crate) fn other_jwk(kid: &str) -> Value {
    let mut key = public_jwk();
    let mut modulus = base64url::decode(key["n"].as_str().unwrap()).unwrap();
    modulus[100] ^= 1;
    key["n"] = base64url::encode(modulus).into();
    key["kid"] = kid.into();
    key
}

pub(crate) fn sign(header: &Value, claims: &Value) -> String {
    let alg = header["alg"].as_str().filter(|alg| alg.starts_with("RS")).unwrap_or("RS256");
    signing_key(alg).sign_with_header(header, claims).unwrap()
}

/// Signs claims given as JSON text, for what [`Value`] cannot hold.
pub(crate) fn sign_text(claims: &str) -> String {
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(claims).unwrap();
    signing_key("RS256").sign_with_header(&Case::good().header, &raw).unwrap()
}

/// Signs with a new EC key; gives the token and the key's public half.
pub(crate) fn sign_ec(alg: &str, kid: &str, claims: &Value) -> (String, Jwk) {
    let (algorithm, curve): (&'static EcdsaSigningAlgorithm, _) = match alg {
        "ES256" => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        "ES384" => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        _ => (&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
    };
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({"kty": "EC", "use": "sig", "kid": kid, "crv": curve, "x": base64url::encode(x), "y": base64url::encode(y)});
    let part = |value: &Value| base64url::encode(value.to_string());
    let input = format!("{}.{}", part(&json!({"alg": alg, "kid": kid})), part(claims));
    let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    (format!("{input}.{}", base64url::encode(signature)), serde_json::from_value(jwk).unwrap())
}
