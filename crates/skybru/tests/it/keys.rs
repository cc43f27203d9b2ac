//! A client whose key is in a cloud's key service: registered without ever being a key file, then used.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};

use crate::support::{Lab, stderr};

const ARN: &str = "arn:aws:kms:eu-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const GOOGLE: &str = "projects/p/locations/europe-north1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";

/// The key services of AWS and Google on one address, with one key. Who asks is checked as they do: AWS's signature is made again with
/// the secret, Google's bearer token compared.
struct KeyServices {
    key: RsaKeyPair,
    spki: Vec<u8>,
}

struct Asked {
    line: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl KeyServices {
    fn start() -> String {
        let key = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256).unwrap();
        let key = RsaKeyPair::from_pkcs8(key.pkcs8_der().unwrap().as_slice()).unwrap();
        // An RSA key's SubjectPublicKeyInfo is its PKCS#1 form behind a fixed head, for 2048 bits.
        let mut spki =
            b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x0f\x00".to_vec();
        spki.extend_from_slice(key.public_key().as_ref());
        let services = Arc::new(Self { key, spki });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let host = address.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let asked = Asked::read(&stream);
                let (status, answer) = services.answer(&host, &asked);
                let answer = answer.to_string();
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", answer.len());
                let _ = write!(stream, "{head}connection: close\r\n\r\n{answer}");
            }
        });
        address
    }

    fn signed(&self, digest: &str) -> String {
        let digest = Digest::import_less_safe(&STANDARD.decode(digest).unwrap(), &SHA256).unwrap();
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).unwrap();
        STANDARD.encode(signature)
    }

    fn answer(&self, host: &str, asked: &Asked) -> (u16, Value) {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        if asked.line.starts_with("POST / ") {
            if !asked.has_aws_signature(host) || body["KeyId"] != ARN {
                return (400, json!({"__type": "AccessDeniedException", "Message": "no"}));
            }
            return match asked.headers["x-amz-target"].as_str() {
                "TrentService.GetPublicKey" => {
                    let algorithms = ["RSASSA_PKCS1_V1_5_SHA_256"];
                    let key = STANDARD.encode(&self.spki);
                    (200, json!({"PublicKey": key, "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": algorithms}))
                }
                _ => (200, json!({"Signature": self.signed(body["Message"].as_str().unwrap())})),
            };
        }
        if asked.headers.get("authorization").map(String::as_str) != Some("Bearer the-token") {
            return (401, json!({"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}}));
        }
        if asked.line.starts_with(&format!("GET /v1/{GOOGLE}/publicKey ")) {
            let lines = STANDARD.encode(&self.spki);
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n");
            return (200, json!({"pem": pem, "algorithm": "RSA_SIGN_PKCS1_2048_SHA256", "name": GOOGLE}));
        }
        if asked.line.starts_with(&format!("POST /v1/{GOOGLE}:asymmetricSign ")) {
            return (200, json!({"signature": self.signed(body["digest"]["sha256"].as_str().unwrap()), "name": GOOGLE}));
        }
        (404, json!({"error": {"code": 404, "message": asked.line, "status": "NOT_FOUND"}}))
    }
}

impl Asked {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let (mut line, mut headers) = (String::new(), HashMap::new());
        reader.read_line(&mut line).unwrap();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        Self { line, headers, body }
    }

    fn has_aws_signature(&self, host: &str) -> bool {
        let time: jiff::civil::DateTime = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &self.headers["x-amz-date"]).unwrap();
        let time = time.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        let key = Credentials::new("AKIAEXAMPLE", "the-secret", None, None, "test").into();
        let params = SigningParams::builder().identity(&key).region("eu-north-1").name("kms").time(SystemTime::from(time));
        let params = params.settings(SigningSettings::default()).build().unwrap().into();
        let headers = ["content-type", "x-amz-target"].map(|name| (name, self.headers[name].as_str()));
        let url = format!("{host}/");
        let request = SignableRequest::new("POST", &url, headers.into_iter(), SignableBody::Bytes(&self.body)).unwrap();
        let (instructions, _) = sign(request, &params).unwrap().into_parts();
        instructions.headers().any(|(name, value)| name == "authorization" && value == self.headers["authorization"])
    }
}

/// The program, with a client `held` beside the lab's: the provider's, but with another key.
pub(crate) fn with_key(lab: &Lab, key: &str, arguments: &[&str]) -> Command {
    let own = std::fs::read_to_string(lab.get("/demo/config_file")).unwrap();
    let (issuer, ca) = (lab.get("/issuers/maskinporten"), lab.get("/ca_file"));
    let id = provider(&own);
    let client = format!("[clients.held]\nissuer = \"{issuer}\"\nclient-id = \"{id}\"\nca-file = \"{ca}\"\nkey = {key}\n");
    let file = lab.folder.join("held.toml");
    std::fs::write(&file, format!("{own}\n{client}")).unwrap();
    let mut command = lab.skybru(arguments);
    command.env("SKYBRU_CONFIG", file);
    command
}

/// The id of the lab's provider.
fn provider(settings: &str) -> &str {
    let client = settings.split("[clients.provider]").nth(1).unwrap();
    client.split("client-id = \"").nth(1).unwrap().split('"').next().unwrap()
}

#[track_caller]
fn works(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

/// What needs a token for the client `held`.
pub(crate) const USE: [&str; 5] = ["registry", "--as", "held", "client", "list"];

/// Unknown first, then registered by the key that the client has, then good for a token.
pub(crate) fn is_registered_and_used(lab: &Lab, key: &str, environment: &[(&str, &str)]) {
    let run = |arguments: &[&str]| with_key(lab, key, arguments).envs(environment.iter().copied()).output().unwrap();
    let early = run(&USE);
    assert!(!early.status.success() && stderr(&early).contains("does not know this key"), "{}", stderr(&early));
    let settings = std::fs::read_to_string(lab.get("/demo/config_file")).unwrap();
    works(&run(&["registry", "client", "add-key", provider(&settings), "--of", "held"]));
    works(&run(&USE));
}

#[test]
fn a_key_in_aws_kms_signs_for_a_client() {
    let (lab, service) = (Lab::start(), KeyServices::start());
    let key = format!("{{ kms = \"{ARN}\" }}");
    let good =
        [("AWS_ENDPOINT_URL_KMS", &*service), ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "the-secret")];
    is_registered_and_used(&lab, &key, &good);
    let mut bad = with_key(&lab, &key, &USE);
    let bad = bad.envs(good).env("AWS_SECRET_ACCESS_KEY", "another").output().unwrap();
    assert_eq!(bad.status.code(), Some(2));
    assert!(stderr(&bad).contains("AccessDenied") && !stderr(&bad).contains("another"), "{}", stderr(&bad));
    assert!(stderr(&bad).contains("kms:Sign"), "{}", stderr(&bad));
    let none = told(&lab, &key, &[]);
    assert!(none.contains("variable AWS_ACCESS_KEY_ID is not set"), "{none}");
    let elsewhere = told(&lab, &key.replace("1234abcd", "4321abcd"), &good);
    assert!(elsewhere.contains("AccessDenied"), "{elsewhere}");
}

#[test]
fn a_key_in_google_cloud_kms_signs_for_a_client() {
    let (lab, service) = (Lab::start(), KeyServices::start());
    std::fs::write(lab.folder.join("bearer"), "the-token\n").unwrap();
    let environment = [("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", &*service), ("SKYBRU_KMS_TOKEN_FILE", "bearer")];
    is_registered_and_used(&lab, &format!("{{ kms = \"{GOOGLE}\" }}"), &environment);
    std::fs::write(lab.folder.join("bearer"), "an-old-token\n").unwrap();
    let stale = told(&lab, &format!("{{ kms = \"{GOOGLE}\" }}"), &environment);
    assert!(stale.contains("401") && stale.contains("SKYBRU_KMS_TOKEN_FILE"), "{stale}");
    assert!(!stale.contains("an-old-token"), "{stale}");
}

/// What a command that needs the key says when there is none; the exit code is that of a failure.
#[track_caller]
pub(crate) fn told(lab: &Lab, key: &str, environment: &[(&str, &str)]) -> String {
    let output = with_key(lab, key, &USE).envs(environment.iter().copied()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{key}: {}", stderr(&output));
    stderr(&output)
}

#[test]
fn a_key_in_a_pkcs12_file_signs_for_a_client() {
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../signer/testdata/new.p12");
    let lab = Lab::start();
    std::fs::write(lab.folder.join("password"), "p12-passphrase\n").unwrap();
    let key = |more: &str| format!("{{ pkcs12 = \"{FILE}\", {more} }}");
    is_registered_and_used(&lab, &key("password-file = \"password\", key-id = \"sealed\""), &[]);

    std::fs::write(lab.folder.join("other"), "p12-passwort").unwrap();
    let wrong = told(&lab, &key("password-file = \"other\""), &[]);
    assert!(wrong.contains("the passphrase is wrong") && wrong.contains("key.password-file"), "{wrong}");
    assert!(!wrong.contains("p12-passwort"), "{wrong}");
    let none = told(&lab, &key("password-file = \"nowhere\""), &[]);
    assert!(none.contains("nowhere") && none.contains("cannot read"), "{none}");
    let unsaid = told(&lab, &format!("{{ pkcs12 = \"{FILE}\" }}"), &[]);
    assert!(unsaid.contains("password-file = \"FILE\""), "{unsaid}");
    let alias = told(&lab, &key("password-file = \"password\", alias = \"theirs\""), &[]);
    assert!(alias.contains("theirs") && alias.contains("key.alias"), "{alias}");
    let missing = told(&lab, "{ pkcs12 = \"nowhere.p12\", password-file = \"password\" }", &[]);
    assert!(missing.contains("nowhere.p12"), "{missing}");
}

/// A curve that the issuer does not take, a key that is none, and half of one.
#[test]
fn a_key_that_is_of_no_use_is_told_by_what_is_wrong_with_it() {
    let lab = Lab::start();
    let public = r#"{"kty":"RSA","kid":"k","n":"sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1Wl","e":"AQAB"}"#;
    let curve = r#"{"kty":"EC","crv":"P-521","kid":"k","x":"AA","y":"AA","d":"AA"}"#;
    for (name, text, words) in [
        ("public.jwk", public, "private"),
        ("curve.jwk", curve, "P-256"),
        ("words.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "private key"),
        ("empty.jwk", "", "JWK"),
    ] {
        std::fs::write(lab.folder.join(name), text).unwrap();
        let said = told(&lab, &format!("{{ file = \"{name}\" }}"), &[]);
        assert!(said.contains(name) && said.contains(words), "{name}: {said}");
        assert_eq!(said.lines().filter(|line| line.starts_with("hint: ")).count(), 1, "{said}");
    }
    let unset = told(&lab, "{ env = \"NO_SUCH_KEY\" }", &[]);
    assert!(unset.contains("NO_SUCH_KEY") && unset.contains("not set"), "{unset}");
}

#[test]
fn what_names_no_key_is_told_with_all_that_would() {
    let lab = Lab::start();
    let wrong = |key: &str| {
        let output = with_key(&lab, key, &USE).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{key}");
        stderr(&output)
    };
    let unknown = wrong("{ kms = \"my-key\" }");
    assert!(unknown.contains("clients.held.key.kms") && unknown.contains("arn:aws:kms:"), "{unknown}");
    let both = wrong("{ kms = \"my-key\", file = \"client.jwk\" }");
    assert!(both.contains("expected one of"), "{both}");
    let vault = wrong("{ kms = \"https://keys.example.no/keys/mine\" }");
    assert!(vault.contains("vault.azure.net"), "a bearer token goes to Azure's own names only: {vault}");
}
