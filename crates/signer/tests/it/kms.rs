//! Key services: each is simulated by a transport that checks who asks, verifies AWS's request signature, and signs with its own key.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response};
use serde_json::{Value, json};
use skybru_core::Secret;
use skybru_core::ctx::ManualClock;
use skybru_protocol::base64url;
use skybru_protocol::jose::{Jws, SigningKey, VerifyingKey};
use skybru_signer::kms::{AwsKey, AwsKeySource, BearerSource, Cause, KmsError, KmsKeyName, KmsSigner, Transport};
use skybru_signer::{SignError, Signer, sign_token};

const NOW: i64 = 1_800_000_000;
const ARN: &str = "arn:aws:kms:eu-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const GOOGLE: &str = "projects/p/locations/europe-north1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";

/// Which mistake the service makes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Good,
    Busy,
    Forbidden,
    OtherKey,
}

struct Simulated {
    rsa: rcgen::KeyPair,
    other: rcgen::KeyPair,
    mood: Mutex<Mood>,
    sent: Mutex<Vec<String>>,
}

fn pair(text: &str) -> rcgen::KeyPair {
    rcgen::KeyPair::from_pem(text).unwrap()
}

impl Simulated {
    fn new(pem: &str) -> Arc<Self> {
        let other = if pem.contains("EC PRIVATE") {
            rcgen::KeyPair::generate().unwrap()
        } else {
            pair(include_str!("../../testdata/other.pem"))
        };
        let rsa = if pem.contains("EC PRIVATE") {
            let key = SigningKey::from_any_text(pem, None).unwrap();
            rcgen::KeyPair::try_from(&**key.pkcs8_der().unwrap()).unwrap()
        } else {
            pair(pem)
        };
        Arc::new(Self { rsa, other, mood: Mutex::new(Mood::Good), sent: Mutex::default() })
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Signs a digest with the key, by another library: as DER for an elliptic curve.
    fn sign(&self, digest: &[u8]) -> Vec<u8> {
        use aws_lc_rs::rand::SystemRandom;
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
        let key = if *self.mood.lock().unwrap() == Mood::OtherKey { &self.other } else { &self.rsa };
        let der = key.serialize_der();
        let digest = aws_lc_rs::digest::Digest::import_less_safe(digest, &aws_lc_rs::digest::SHA256).unwrap();
        if let Ok(pair) = RsaKeyPair::from_pkcs8(&der) {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).unwrap();
            return signature;
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).unwrap();
        let _ = SystemRandom::new();
        pair.sign_digest(&digest).unwrap().as_ref().to_vec()
    }

    fn spki(&self) -> Vec<u8> {
        use rcgen::PublicKeyData as _;
        self.rsa.subject_public_key_info()
    }

    fn is_rsa(&self) -> bool {
        self.rsa.algorithm() == &rcgen::PKCS_RSA_SHA256
    }
}

fn answer(status: u16, body: &Value) -> Response<Vec<u8>> {
    Response::builder().status(status).body(body.to_string().into_bytes()).unwrap()
}

fn header<'a>(request: &'a Request<Vec<u8>>, name: &str) -> &'a str {
    request.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// As AWS does: the request is signed again with the secret of the access key, and must come out the same.
fn aws_signature_holds(request: &Request<Vec<u8>>) -> bool {
    let key = Credentials::new("ASIAEXAMPLE", "the-secret", Some("the-session".to_owned()), None, "test").into();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
    let params = SigningParams::builder().identity(&key).region("eu-north-1").name("kms").time(time);
    let params = params.settings(SigningSettings::default()).build().unwrap().into();
    let headers = [("content-type", header(request, "content-type")), ("x-amz-target", header(request, "x-amz-target"))];
    let url = request.uri().to_string();
    let signable = SignableRequest::new("POST", &url, headers.into_iter(), SignableBody::Bytes(request.body())).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let expected = instructions.headers().find(|(name, _)| *name == "authorization").unwrap().1.to_owned();
    header(request, "authorization") == expected && header(request, "x-amz-security-token") == "the-session"
}

#[async_trait]
impl Transport for Simulated {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Cause> {
        self.sent.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        let host = request.uri().host().unwrap_or_default().to_owned();
        let aws = host.starts_with("kms.");
        if aws && !aws_signature_holds(&request) {
            return Ok(answer(400, &json!({"__type": "IncompleteSignatureException", "message": "no"})));
        }
        if !aws && header(&request, "authorization") != "Bearer the-token" {
            return Ok(answer(401, &json!({"error": {"code": "Unauthorized", "message": "no"}})));
        }
        match *self.mood.lock().unwrap() {
            Mood::Busy if aws => return Ok(answer(400, &json!({"__type": "ThrottlingException", "message": "Rate exceeded"}))),
            Mood::Busy => {
                return Ok(answer(
                    429,
                    &json!({"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}),
                ));
            }
            Mood::Forbidden if aws => {
                let kind = "com.amazonaws.kms#AccessDeniedException";
                return Ok(answer(400, &json!({"__type": kind, "Message": "User is not authorized to perform: kms:Sign"})));
            }
            Mood::Forbidden => {
                return Ok(answer(
                    403,
                    &json!({"error": {"code": 403, "message": "Permission denied", "status": "PERMISSION_DENIED"}}),
                ));
            }
            Mood::Good | Mood::OtherKey => {}
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        Ok(if aws {
            self.aws(&request, &body)
        } else if host == "cloudkms.googleapis.com" {
            self.google(&request, &body)
        } else {
            self.azure(&request, &body)
        })
    }
}

impl Simulated {
    fn aws(&self, request: &Request<Vec<u8>>, body: &Value) -> Response<Vec<u8>> {
        if body["KeyId"] != ARN || request.uri().path() != "/" {
            return answer(400, &json!({"__type": "NotFoundException", "message": "Invalid keyId"}));
        }
        let algorithm = if self.is_rsa() { "RSASSA_PKCS1_V1_5_SHA_256" } else { "ECDSA_SHA_256" };
        match header(request, "x-amz-target") {
            "TrentService.GetPublicKey" => answer(
                200,
                &json!({"KeyId": ARN, "PublicKey": STANDARD.encode(self.spki()), "KeyUsage": "SIGN_VERIFY",
                    "SigningAlgorithms": ["RSASSA_PSS_SHA_256", algorithm]}),
            ),
            "TrentService.Sign" if body["MessageType"] == "DIGEST" && body["SigningAlgorithm"] == algorithm => {
                let digest = STANDARD.decode(body["Message"].as_str().unwrap()).unwrap();
                answer(
                    200,
                    &json!({"KeyId": ARN, "Signature": STANDARD.encode(self.sign(&digest)), "SigningAlgorithm": algorithm}),
                )
            }
            _ => answer(400, &json!({"__type": "ValidationException", "message": "no such operation"})),
        }
    }

    fn google(&self, request: &Request<Vec<u8>>, body: &Value) -> Response<Vec<u8>> {
        let path = request.uri().path().strip_prefix(&format!("/v1/{GOOGLE}"));
        match (request.method().as_str(), path) {
            ("GET", Some("/publicKey")) => {
                let pem = self.rsa.public_key_pem();
                let algorithm = if self.is_rsa() { "RSA_SIGN_PKCS1_2048_SHA256" } else { "EC_SIGN_P256_SHA256" };
                answer(200, &json!({"pem": pem, "algorithm": algorithm, "name": GOOGLE}))
            }
            ("POST", Some(":asymmetricSign")) => {
                let digest = STANDARD.decode(body["digest"]["sha256"].as_str().unwrap()).unwrap();
                answer(200, &json!({"signature": STANDARD.encode(self.sign(&digest)), "name": GOOGLE}))
            }
            _ => answer(404, &json!({"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}})),
        }
    }

    fn azure(&self, request: &Request<Vec<u8>>, body: &Value) -> Response<Vec<u8>> {
        if request.uri().query() != Some("api-version=7.4") {
            return answer(400, &json!({"error": {"code": "BadParameter", "message": "api-version must be specified"}}));
        }
        match (request.method().as_str(), request.uri().path()) {
            ("GET", "/keys/issuer") => {
                let jwk = SigningKey::from_pkcs8_der(&self.rsa.serialize_der(), None).unwrap().public_jwk();
                let kid = "https://skybru.vault.azure.net/keys/issuer/78deebed173b48e48f55abf87ed4cf71";
                let key = json!({"kid": kid, "kty": "RSA-HSM", "key_ops": ["sign", "verify"], "n": jwk.n, "e": jwk.e});
                answer(200, &json!({"key": key, "attributes": {"enabled": true}}))
            }
            ("POST", "/keys/issuer/78deebed173b48e48f55abf87ed4cf71/sign") if body["alg"] == "RS256" => {
                let digest = base64url::decode(body["value"].as_str().unwrap()).unwrap();
                answer(200, &json!({"kid": "…", "value": base64url::encode(self.sign(&digest))}))
            }
            _ => answer(404, &json!({"error": {"code": "KeyNotFound", "message": "not found"}})),
        }
    }
}

/// The right credentials, or none.
struct Known;

#[async_trait]
impl BearerSource for Known {
    async fn bearer(&self) -> Result<Secret, Cause> {
        Ok("the-token".to_owned().into())
    }
}

#[async_trait]
impl AwsKeySource for Known {
    async fn key(&self) -> Result<AwsKey, Cause> {
        let secret = |text: &str| Secret::from(text.to_owned());
        Ok(AwsKey {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: secret("the-secret"),
            session_token: Some(secret("the-session")),
        })
    }
}

async fn aws(service: &Arc<Simulated>) -> Result<KmsSigner, KmsError> {
    let KmsKeyName::Aws { arn, region } = ARN.parse().unwrap() else { panic!("not AWS") };
    KmsSigner::aws((&arn, &region), Arc::new(Known), service.clone(), Arc::new(ManualClock::at(NOW)), None, None).await
}

async fn google(service: &Arc<Simulated>) -> Result<KmsSigner, KmsError> {
    let KmsKeyName::Google(name) = GOOGLE.parse().unwrap() else { panic!("not Google") };
    KmsSigner::google(&name, Arc::new(Known), service.clone(), None, None).await
}

async fn azure(service: &Arc<Simulated>) -> Result<KmsSigner, KmsError> {
    let name = "https://skybru.vault.azure.net/keys/issuer".parse().unwrap();
    let KmsKeyName::Azure { vault, key } = name else { panic!("not Azure") };
    KmsSigner::azure(&vault, &key, Arc::new(Known), service.clone(), None).await
}

async fn works(signer: &KmsSigner) {
    let token = sign_token(signer, Some("JWT"), &json!({"sub": "a"})).await.unwrap();
    let jws = Jws::parse(&token).unwrap();
    assert_eq!(jws.header().kid.as_deref(), Some(signer.kid().as_str()));
    let key = VerifyingKey::from_jwk(signer.public_jwk()).unwrap();
    key.verify(signer.algorithm(), jws.signing_input().as_bytes(), jws.signature()).unwrap();
}

#[tokio::test]
async fn each_cloud_signs_with_a_key_that_it_keeps() {
    let service = Simulated::new(include_str!("../../testdata/chain.pem"));
    let signers = [aws(&service).await.unwrap(), google(&service).await.unwrap(), azure(&service).await.unwrap()];
    for signer in &signers {
        works(signer).await;
        assert_eq!(signer.kid(), signers[0].kid(), "one key has one thumbprint");
    }
    let curve = Simulated::new(include_str!("../../testdata/p256.pem"));
    works(&aws(&curve).await.unwrap()).await;
    works(&google(&curve).await.unwrap()).await;
}

#[tokio::test]
async fn what_a_cloud_says_decides_whether_to_ask_again() {
    let service = Simulated::new(include_str!("../../testdata/chain.pem"));
    let signers = [aws(&service).await.unwrap(), google(&service).await.unwrap(), azure(&service).await.unwrap()];
    for signer in &signers {
        service.set(Mood::Busy);
        assert!(signer.sign(b"x").await.unwrap_err().is_temporary(), "{signer:?}");
        service.set(Mood::Forbidden);
        let error = signer.sign(b"x").await.unwrap_err();
        assert!(!error.is_temporary() && error.to_string().to_lowercase().contains("denied"), "{error}");
        service.set(Mood::OtherKey);
        let error = signer.sign(b"x").await.unwrap_err();
        assert!(matches!(error, SignError::WrongSignature { .. }), "{error}");
        service.set(Mood::Good);
        works(signer).await;
    }
}

/// A vault's key may be replaced under its name; this signer goes on with the version that it was opened with.
#[tokio::test]
async fn a_key_vault_key_is_held_to_its_version() {
    let service = Simulated::new(include_str!("../../testdata/chain.pem"));
    works(&azure(&service).await.unwrap()).await;
    let sent = service.sent.lock().unwrap().clone();
    assert!(sent[1].contains("/keys/issuer/78deebed173b48e48f55abf87ed4cf71/sign?api-version="), "{sent:?}");
}

#[tokio::test]
async fn wrong_credentials_are_refused_by_the_simulated_services_themselves() {
    struct Nobody;
    #[async_trait]
    impl BearerSource for Nobody {
        async fn bearer(&self) -> Result<Secret, Cause> {
            Ok("another-token".to_owned().into())
        }
    }
    #[async_trait]
    impl AwsKeySource for Nobody {
        async fn key(&self) -> Result<AwsKey, Cause> {
            Ok(AwsKey { secret_access_key: "wrong".to_owned().into(), ..Known.key().await? })
        }
    }
    let service = Simulated::new(include_str!("../../testdata/chain.pem"));
    let clock = Arc::new(ManualClock::at(NOW));
    let refused = [
        KmsSigner::aws((ARN, "eu-north-1"), Arc::new(Nobody), service.clone(), clock, None, None).await.unwrap_err(),
        KmsSigner::google(GOOGLE, Arc::new(Nobody), service.clone(), None, None).await.unwrap_err(),
        KmsSigner::azure("https://skybru.vault.azure.net", "issuer", Arc::new(Nobody), service, None).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, KmsError::Service(SignError::Refused { .. })), "{error}");
        assert!(!format!("{error:?}").contains("wrong") && !format!("{error:?}").contains("another-token"));
    }
}

#[test]
fn a_name_of_no_key_says_what_names_look_like() {
    for wrong in [
        "",
        "alias/mine",
        "arn:aws:s3:::bucket",
        "https://example.no/keys/a",
        "projects/p/locations/l",
        "https://a.vault.azure.net/keys/a/b/c",
    ] {
        let error = wrong.parse::<KmsKeyName>().unwrap_err().to_string();
        assert!(error.contains("arn:aws:kms:REGION"), "{wrong}: {error}");
    }
}
