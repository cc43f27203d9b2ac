//! One token request that Entra accepts, with everything that belongs to it. A test changes one thing and sees what Entra says.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skybru_federation::entra::{
    Accepted, CredentialInput, Decision, Directory, EntraError, FederatedCredential, Identity, IdentityKind, Rules, Tenant,
    TokenRequest, exchange,
};
use skybru_federation::{DocumentProblem, Documents};
use skybru_protocol::jose::JwkSet;

use crate::case::{ISSUER, NOW, SUBJECT, public_jwk, sign};

pub(super) const TENANT: &str = "6838ae16-0d6c-4b5c-8a5b-2d1f0c3e4a55";
pub(super) const CLIENT: &str = "0d2b6f0a-3f1c-4d7e-9a66-aaaaaaaaaaaa";
pub(super) const PRINCIPAL: &str = "7b1f8f1e-5d0b-4c7a-8f11-bbbbbbbbbbbb";
pub(super) const AUDIENCE: &str = "api://AzureADTokenExchange";

pub(super) struct Case {
    pub(super) header: Value,
    pub(super) claims: Value,
    pub(super) token: Option<String>,
    pub(super) discovery: Value,
    pub(super) keys: Vec<Value>,
    pub(super) unavailable: Option<DocumentProblem>,
    pub(super) tenant: Tenant,
    pub(super) identities: Vec<Identity>,
    pub(super) path_tenant: String,
    pub(super) form: BTreeMap<&'static str, String>,
    pub(super) rules: Rules,
    pub(super) now: i64,
}

/// What Entra says: number, OAuth's code, status, text, and the rule that said it.
pub(super) type Said = (u32, &'static str, u16, String, &'static str);

impl Case {
    pub(super) fn good() -> Self {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT),
            ("scope", "https://storage.azure.com/.default"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ];
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
            tenant: Tenant { id: TENANT.to_owned(), name: "Fjordbuss AS".to_owned(), domains: vec!["fjordbuss.no".to_owned()] },
            identities: vec![identity(IdentityKind::ManagedIdentity, vec![credential("b-reads", ISSUER, SUBJECT, AUDIENCE)])],
            path_tenant: TENANT.to_owned(),
            form: form.map(|(name, value)| (name, value.to_owned())).into(),
            rules: Rules::default(),
            now: NOW,
        }
    }

    pub(super) fn but(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::good();
        change(&mut case);
        case
    }

    pub(super) fn claiming(claims: &Value) -> Self {
        Self::but(|case| {
            for (name, value) in claims.as_object().unwrap() {
                case.claims[name] = value.clone();
            }
        })
    }

    pub(super) fn credentials(&mut self) -> &mut Vec<FederatedCredential> {
        &mut self.identities[0].credentials
    }

    pub(super) fn token(&self) -> String {
        self.token.clone().unwrap_or_else(|| sign(&self.header, &self.claims))
    }

    pub(super) fn key_set(&self) -> JwkSet {
        JwkSet { keys: self.keys.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect() }
    }

    pub(super) fn request(&self) -> Result<TokenRequest, EntraError> {
        TokenRequest::read(&self.path_tenant, |name| match name {
            "client_assertion" => Some(self.form.get(name).cloned().unwrap_or_else(|| self.token())),
            _ => self.form.get(name).cloned(),
        })
    }

    pub(super) fn run(&self) -> Result<Accepted<'_>, Decision> {
        let documents = match &self.unavailable {
            Some(problem) => Err(problem.clone()),
            None => Ok(Documents { discovery: serde_json::from_value(self.discovery.clone()).unwrap(), keys: self.key_set() }),
        };
        let directory = Directory { tenant: &self.tenant, identities: &self.identities };
        exchange(&self.request()?, Some(directory), documents, self.now, self.rules)
    }

    #[track_caller]
    pub(super) fn accepted(&self) -> Accepted<'_> {
        self.run().expect("Entra accepts this")
    }

    #[track_caller]
    pub(super) fn refused(&self) -> Said {
        let error = self.run().expect_err("Entra refuses this").error;
        (error.number, error.error, error.status, error.message, error.rule)
    }

    /// Number, OAuth's code, status and rule, for where the text is looked at elsewhere.
    #[track_caller]
    pub(super) fn code(&self) -> (u32, &'static str, u16, &'static str) {
        let (number, error, status, _, rule) = self.refused();
        (number, error, status, rule)
    }
}

pub(super) fn identity(kind: IdentityKind, credentials: Vec<FederatedCredential>) -> Identity {
    let (client_id, principal_id) = (CLIENT.to_owned(), PRINCIPAL.to_owned());
    Identity { kind, name: "timetables".to_owned(), client_id, principal_id, credentials }
}

pub(super) fn input(name: &str, issuer: &str, subject: &str, audience: &str) -> CredentialInput {
    CredentialInput {
        name: name.to_owned(),
        issuer: Some(issuer.to_owned()),
        subject: Some(subject.to_owned()),
        audiences: vec![audience.to_owned()],
        ..CredentialInput::default()
    }
}

/// A credential made long ago.
pub(super) fn credential(name: &str, issuer: &str, subject: &str, audience: &str) -> FederatedCredential {
    let long_ago = NOW - 1_000_000;
    FederatedCredential::create(input(name, issuer, subject, audience), &[], IdentityKind::ManagedIdentity, long_ago).unwrap()
}
