//! An issuer whose documents change from case to case. Its keys carry certificates, because Ceph 16 reads nothing else of a key.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SubjectPublicKeyInfo};
use serde_json::{Value, json};
use skybru_protocol::base64url;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};

use super::cases::Made;
use crate::support::site::Site;

pub(super) const AUDIENCE: &str = "my-client-id";
pub(super) const SUBJECT: &str = "0192:917422575;entur:demo";

/// A static site, a key that is published and one that is not.
pub(super) struct TestIssuer {
    pub(super) site: Site,
    pub(super) key: SigningKey,
    pub(super) other: SigningKey,
    /// The published key with its certificate.
    pub(super) jwk: Value,
    /// The other key, likewise.
    pub(super) other_jwk: Value,
}

impl TestIssuer {
    pub(super) fn start(folder: &Path) -> Self {
        let site = Site::start(folder);
        let key = SigningKey::from_text(include_str!("../../../../protocol/testdata/rsa2048.jwk"), None).unwrap();
        let other = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256).unwrap();
        let (jwk, other_jwk) = (with_certificate(&key), with_certificate(&other));
        Self { site, key, other, jwk, other_jwk }
    }

    /// The URL without its scheme, as AWS names it.
    pub(super) fn host(&self) -> &str {
        self.site.url.trim_start_matches("https://")
    }

    /// Writes both documents.
    pub(super) fn publish(&self, made: &Made) {
        std::fs::create_dir_all(self.site.folder.join(".well-known")).unwrap();
        std::fs::write(self.site.folder.join(".well-known/openid-configuration"), made.discovery.to_string()).unwrap();
        std::fs::write(self.site.folder.join("jwks"), json!({"keys": made.keys}).to_string()).unwrap();
    }
}

fn with_certificate(key: &SigningKey) -> Value {
    let mut jwk = serde_json::to_value(key.public_jwk()).unwrap();
    jwk["x5c"] = json!([certificate(&jwk)]);
    jwk
}

/// A certificate over a public key, signed by an authority of its own: no private key is needed for that.
pub(super) fn certificate(jwk: &Value) -> String {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "keys");
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "signing key");
    let number = |name: &str| base64url::decode(jwk[name].as_str().unwrap()).unwrap();
    let public = SubjectPublicKeyInfo::from_der(&public_key_info(&number("n"), &number("e"))).unwrap();
    let certificate = params.signed_by(&public, &Issuer::from_params(&authority, &authority_key)).unwrap();
    certificate.pem().lines().filter(|line| !line.starts_with("-----")).collect()
}

/// `SubjectPublicKeyInfo` of an RSA key (RFC 3279, section 2.3.1).
fn public_key_info(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let integer = |bytes: &[u8]| element(0x02, &[if bytes[0] & 0x80 == 0 { &[][..] } else { &[0] }, bytes].concat());
    let key = element(0x30, &[integer(modulus), integer(exponent)].concat());
    element(0x30, &[&RSA_ENCRYPTION[..], &element(0x03, &[&[0][..], &key].concat())].concat())
}

/// Tag, length, content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match length {
        0..128 => vec![tag, u8::try_from(length).unwrap()],
        128..256 => vec![tag, 0x81, u8::try_from(length).unwrap()],
        _ => [&[tag, 0x82][..], &u16::try_from(length).unwrap().to_be_bytes()].concat(),
    };
    [&head[..], content].concat()
}
