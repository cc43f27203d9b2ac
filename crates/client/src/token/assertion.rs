//! The JWT grant that a client signs and presents.

use serde::Serialize;
use serde_json::Value;
use skybru_core::{OrgNumber, Randomness, Secret, id};
use skybru_protocol::base64url;
use skybru_protocol::claims::Audience;
use skybru_protocol::jose::Algorithm;
use skybru_signer::{SignError, Signer, sign_token, x5c};

use super::{ClientIdentity, KeyProof, TokenRequest};

/// `exp - iat`, in seconds. Maskinporten takes at most 120; what is left allows for clients and issuers that round.
pub const LIFETIME_SECONDS: i64 = 100;

/// A signed assertion. Until it has been used, whoever holds it can get a token.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// The compact JWT.
    pub jwt: Secret,
    /// Its `jti`, which may be logged.
    pub jti: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer_org: Option<OrgNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_details: Option<&'a Value>,
    iat: i64,
    exp: i64,
    jti: &'a str,
}

/// Signs an assertion for `request`. `now` is in seconds since 1970, by the issuer's clock.
///
/// `aud` is the issuer byte for byte (MP-110), `jti` a new UUID every time (MP-012); one resource is a string, several are an array.
///
/// The header names the key by `kid`, or carries its certificates as `x5c` when those are the proof: an issuer that knows keys of the
/// client looks at `kid` alone, and one that knows none at `x5c`.
pub async fn sign_assertion(
    identity: &ClientIdentity,
    request: &TokenRequest,
    now: i64,
    randomness: &dyn Randomness,
) -> Result<Assertion, SignError> {
    let jti = id::uuid(randomness).to_string();
    let claims = Claims {
        aud: identity.issuer.as_str(),
        iss: identity.client_id.as_str(),
        scope: request.scopes.to_string(),
        resource: (!request.resources.is_empty()).then(|| request.resources.clone().into()),
        consumer_org: request.consumer_org,
        pid: request.pid.as_deref(),
        authorization_details: request.authorization_details.as_ref(),
        iat: now,
        exp: now.saturating_add(LIFETIME_SECONDS),
        jti: &jti,
    };
    let jwt = match identity.proof {
        KeyProof::Registered => sign_token(&*identity.key, Some("JWT"), &claims).await?,
        KeyProof::Certificate => sign_with_certificates(&*identity.key, &claims).await?,
    };
    Ok(Assertion { jwt: jwt.into(), jti })
}

#[derive(Serialize)]
struct CertificateHeader {
    x5c: Vec<String>,
    alg: Algorithm,
    typ: &'static str,
}

/// With the whole chain: some issuers know the root alone.
async fn sign_with_certificates(key: &dyn Signer, claims: &(impl Serialize + Sync)) -> Result<String, SignError> {
    let json = |value: serde_json::Result<Vec<u8>>| {
        value.map(base64url::encode).map_err(|error| SignError::Refused { holder: "JSON".to_owned(), reason: error.to_string() })
    };
    let header = CertificateHeader { x5c: x5c(key.certificates()), alg: key.algorithm(), typ: "JWT" };
    let mut compact = format!("{}.{}", json(serde_json::to_vec(&header))?, json(serde_json::to_vec(claims))?);
    let signature = key.sign(compact.as_bytes()).await?;
    compact.push('.');
    compact.push_str(&base64url::encode(signature));
    Ok(compact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skybru_core::ctx::SeededRandomness;
    use skybru_protocol::assertion::{TimeRules, UnverifiedAssertion};
    use skybru_protocol::jose::{Jws, SigningKey, VerifyingKey};
    use skybru_signer::LocalSigner;

    fn identity(issuer: &str) -> ClientIdentity {
        let key = SigningKey::from_text(include_str!("../../../protocol/testdata/rsa2048.jwk"), None).unwrap();
        ClientIdentity::new(issuer.parse().unwrap(), "client-1".parse().unwrap(), LocalSigner::from(key))
    }

    async fn payload(identity: &ClientIdentity, request: &TokenRequest) -> Value {
        let assertion = sign_assertion(identity, request, 1_000, &SeededRandomness::new(1)).await.unwrap();
        serde_json::from_slice(Jws::parse(assertion.jwt.expose()).unwrap().payload()).unwrap()
    }

    #[tokio::test]
    async fn the_audience_is_the_issuer_with_or_without_its_slash() {
        let request = TokenRequest::new("a:b".parse().unwrap());
        assert_eq!(payload(&identity("https://maskinporten.no/"), &request).await["aud"], "https://maskinporten.no/");
        assert_eq!(payload(&identity("https://sky.maskinporten.no"), &request).await["aud"], "https://sky.maskinporten.no");
    }

    #[tokio::test]
    async fn one_resource_is_a_string_and_several_are_an_array() {
        let identity = identity("https://sky.maskinporten.no");
        let mut request = TokenRequest::new("a:b".parse().unwrap());
        assert_eq!(payload(&identity, &request).await.get("resource"), None);
        request = request.with_resource("https://one.example.no");
        assert_eq!(payload(&identity, &request).await["resource"], "https://one.example.no");
        request = request.with_resource("https://two.example.no");
        assert_eq!(payload(&identity, &request).await["resource"], json!(["https://one.example.no", "https://two.example.no"]));
    }

    #[tokio::test]
    async fn the_issuers_own_rules_accept_it() {
        let identity = identity("https://sky.maskinporten.no");
        let request = TokenRequest {
            consumer_org: Some("917422575".parse().unwrap()),
            authorization_details: Some(json!([{"type": "urn:altinn:systemuser"}])),
            ..TokenRequest::new("a:b c:d".parse().unwrap()).with_resource("https://one.example.no")
        };
        let assertion = sign_assertion(&identity, &request, 1_000, &SeededRandomness::new(1)).await.unwrap();
        let addressed = UnverifiedAssertion::parse(assertion.jwt.expose()).unwrap().addressed_to(&identity.issuer).unwrap();
        assert_eq!(addressed.header().kid.as_deref(), Some(identity.key.kid().as_str()));
        assert_eq!(addressed.header().typ.as_deref(), Some("JWT"));
        let key = VerifyingKey::from_jwk(identity.key.public_jwk()).unwrap();
        let verified = addressed.verify(&key, 1_000, TimeRules::default()).unwrap();
        let claims = verified.claims();
        assert_eq!(claims.scope.as_deref(), Some("a:b c:d"));
        assert_eq!(claims.consumer_org.as_deref(), Some("917422575"));
        assert_eq!(claims.jti.as_deref(), Some(&*assertion.jti));
        assert!((60..=120).contains(&(claims.exp - claims.iat)));
    }

    #[tokio::test]
    async fn every_assertion_has_another_jti() {
        let (identity, randomness) = (identity("https://sky.maskinporten.no"), SeededRandomness::new(1));
        let request = TokenRequest::new("a:b".parse().unwrap());
        let jti = async || sign_assertion(&identity, &request, 1_000, &randomness).await.unwrap().jti;
        assert_ne!(jti().await, jti().await);
    }

    /// An issuer that knows no keys of the client finds the certificate in the header, and no `kid` beside it.
    #[tokio::test]
    async fn a_certificate_stands_in_the_header_in_place_of_the_key_id() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["virksomhet.example.no".to_owned()]).unwrap().self_signed(&pair);
        let pem = format!("{}{}", pair.serialize_pem(), certificate.unwrap().pem());
        let key = LocalSigner::from_text(&pem, None).unwrap();
        let public = VerifyingKey::from_jwk(key.public_jwk()).unwrap();
        let issuer = "https://maskinporten.no/".parse().unwrap();
        let identity =
            ClientIdentity { proof: KeyProof::Certificate, ..ClientIdentity::new(issuer, "client-1".parse().unwrap(), key) };
        let request = TokenRequest::new("a:b".parse().unwrap());
        let assertion = sign_assertion(&identity, &request, 1_000, &SeededRandomness::new(1)).await.unwrap();
        let compact = assertion.jwt.expose();
        let header: Value = serde_json::from_slice(&base64url::decode(compact.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!(header.get("kid"), None);
        assert_eq!(header["x5c"], json!(x5c(identity.key.certificates())));
        let jws = Jws::parse(compact).unwrap();
        let verified = public.verify(Algorithm::ES256, jws.signing_input().as_bytes(), jws.signature());
        assert!(verified.is_ok());
    }
}
