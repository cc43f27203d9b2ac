//! One exchange that Google accepts, with everything that belongs to it. A test changes one thing and sees what Google says.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skybru_federation::google::policy::{Binding, Policy};
use skybru_federation::google::{
    ACCESS_TOKEN_TYPE, Decision, ExchangeRequest, Exchanged, Oidc, Pool, Provider, Registered, State, Wording, exchange,
};
use skybru_federation::{DocumentProblem, Documents};
use skybru_protocol::jose::JwkSet;

pub(crate) use crate::case::{NOW, other_jwk, public_jwk, sign, sign_ec};

pub(crate) const ISSUER: &str = "https://sky.example.no";
pub(crate) const AUDIENCE: &str = "https://skyporten.example.no";
pub(crate) const SCOPE: &str = "entur:skyporten.demo";
pub(crate) const CONSUMER: &str = "0192:917422575";
pub(crate) const POOL: &str = "projects/100000000001/locations/global/workloadIdentityPools/skyporten";
pub(crate) const PROVIDER: &str = "projects/100000000001/locations/global/workloadIdentityPools/skyporten/providers/maskinporten";
pub(crate) const WORKFORCE: &str = "locations/global/workforcePools/ansattporten/providers/ansattporten";
pub(crate) const ACCOUNT: &str = "reader@skybru-lab.iam.gserviceaccount.com";

pub(crate) struct Case {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    /// Instead of header and claims.
    pub(crate) token: Option<String>,
    pub(crate) discovery: Value,
    pub(crate) keys: Vec<Value>,
    pub(crate) unavailable: Option<DocumentProblem>,
    pub(crate) pool: Option<Pool>,
    pub(crate) provider: Option<Provider>,
    pub(crate) form: BTreeMap<&'static str, String>,
    pub(crate) client_authenticated: bool,
    pub(crate) wording: Wording,
    pub(crate) now: i64,
}

impl Case {
    /// Everything as it should be.
    pub(crate) fn good() -> Self {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
            ("audience", format!("//iam.googleapis.com/{PROVIDER}")),
            ("scope", "https://www.googleapis.com/auth/cloud-platform".to_owned()),
            ("requested_token_type", ACCESS_TOKEN_TYPE.to_owned()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt".to_owned()),
        ];
        Self {
            header: json!({"alg": "RS256", "kid": "test-key-1"}),
            claims: json!({
                "iss": ISSUER, "sub": format!("{CONSUMER};{SCOPE}"), "aud": AUDIENCE, "scope": SCOPE, "iat": NOW, "exp": NOW + 120,
                "client_id": "abcd1234", "consumer": {"authority": "iso6523-actorid-upis", "ID": CONSUMER},
            }),
            token: None,
            discovery: json!({
                "issuer": ISSUER, "jwks_uri": format!("{ISSUER}/jwk"), "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
            }),
            keys: vec![public_jwk()],
            unavailable: None,
            pool: Some(pool()),
            provider: Some(provider()),
            form: form.into(),
            client_authenticated: false,
            wording: Wording::Current,
            now: NOW,
        }
    }

    pub(crate) fn but(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::good();
        change(&mut case);
        case
    }

    /// A good case with these claims replaced.
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

    /// A good case with another provider.
    pub(crate) fn with_provider(change: impl FnOnce(&mut Provider)) -> Self {
        Self::but(|case| change(case.provider.as_mut().unwrap()))
    }

    pub(crate) fn token(&self) -> String {
        self.token.clone().unwrap_or_else(|| sign(&self.header, &self.claims))
    }

    pub(crate) fn key_set(&self) -> JwkSet {
        JwkSet { keys: self.keys.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect() }
    }

    pub(crate) fn run(&self) -> Result<Exchanged, Decision> {
        let documents = match &self.unavailable {
            Some(problem) => Err(problem.clone()),
            None => Ok(Documents { discovery: serde_json::from_value(self.discovery.clone()).unwrap(), keys: self.key_set() }),
        };
        let get = |name: &str| match name {
            "subject_token" => Some(self.form.get(name).cloned().unwrap_or_else(|| self.token())),
            _ => self.form.get(name).cloned(),
        };
        let request = ExchangeRequest::read(get, self.client_authenticated)?;
        let registered = Registered { pool: self.pool.as_ref(), provider: self.provider.as_ref() };
        exchange(&request, registered, documents, self.now, self.wording)
    }

    #[track_caller]
    pub(crate) fn accepted(&self) -> Exchanged {
        self.run().expect("Google accepts this")
    }

    /// Expects this rule, code and text.
    #[track_caller]
    pub(crate) fn is_refused(&self, rule: &str, code: &str, text: &str) {
        let error = self.run().expect_err("Google refuses this").error;
        assert_eq!((error.rule, error.error, error.description.as_str()), (rule, code, text));
    }
}

pub(crate) fn pool() -> Pool {
    Pool {
        name: POOL.parse().unwrap(),
        display_name: None,
        description: None,
        state: State::Active,
        disabled: false,
        expire_time: None,
        parent: None,
        session_duration: None,
    }
}

/// Skyporten's own mapping (G-15).
pub(crate) fn provider() -> Provider {
    Provider {
        name: PROVIDER.parse().unwrap(),
        display_name: None,
        description: None,
        state: State::Active,
        disabled: false,
        attribute_mapping: mapping(&[
            ("google.subject", "assertion.consumer.ID"),
            ("attribute.maskinportenscope", "assertion.scope"),
            ("attribute.clientaccess", r#""client::" + assertion.consumer.ID + "::" + assertion.scope"#),
        ]),
        attribute_condition: None,
        oidc: Oidc { issuer_uri: ISSUER.to_owned(), allowed_audiences: vec![AUDIENCE.to_owned()], ..Oidc::default() },
        expire_time: None,
    }
}

/// Ansattporten's (G-16).
pub(crate) fn workforce_provider() -> Provider {
    Provider {
        name: WORKFORCE.parse().unwrap(),
        attribute_mapping: mapping(&[
            ("google.subject", "assertion.sub"),
            ("google.display_name", "assertion.name"),
            ("attribute.orgno", "assertion.authorization_details[0].reportees[0].ID"),
        ]),
        attribute_condition: Some("attribute.orgno=='0192:311046349'".to_owned()),
        oidc: Oidc { issuer_uri: ISSUER.to_owned(), client_id: Some("testclient".to_owned()), ..Oidc::default() },
        ..provider()
    }
}

pub(crate) fn mapping(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, expression)| ((*key).to_owned(), (*expression).to_owned())).collect()
}

pub(crate) fn set(rest: &str) -> String {
    format!("principalSet://iam.googleapis.com/{POOL}/{rest}")
}

pub(crate) fn policy(role: &str, member: &str) -> Policy {
    let binding = Binding { role: role.to_owned(), members: vec![member.to_owned()], condition: None };
    Policy { version: 1, bindings: vec![binding], etag: None }
}
