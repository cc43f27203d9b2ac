//! Key files as people have them: JWK, PEM with a chain, PKCS#12 of old and new OpenSSL.

use serde_json::{Value, json};
use skybru_protocol::jose::{Algorithm, Jws, SigningKey, SigningKeyError, VerifyingKey};
use skybru_signer::{
    CertificateError, KeyFileError, LocalSigner, Pkcs12Error, Signer, from_pkcs12, self_signed, sign_token, x5c,
};

const JWK: &str = include_str!("../../../protocol/testdata/rsa2048.jwk");
const PEM: &str = include_str!("../../testdata/chain.pem");

fn passphrase(text: &str) -> skybru_core::Secret {
    text.to_owned().into()
}

/// Signs through the trait alone, and checks with the published key.
async fn works(signer: &dyn Signer) {
    let token = sign_token(signer, Some("JWT"), &json!({"sub": "0192:917422575"})).await.unwrap();
    let jws = Jws::parse(&token).unwrap();
    assert_eq!(jws.header().kid.as_deref(), Some(signer.kid().as_str()));
    let key = VerifyingKey::from_jwk(signer.public_jwk()).unwrap();
    key.verify(signer.algorithm(), jws.signing_input().as_bytes(), jws.signature()).unwrap();
    let signature = signer.sign(b"any bytes").await.unwrap();
    key.verify(signer.algorithm(), b"any bytes", &signature).unwrap();
}

#[tokio::test]
async fn a_jwk_a_pem_and_a_pkcs12_file_of_one_key_sign_alike() {
    let jwk = LocalSigner::from_text(JWK, None).unwrap();
    let pem = LocalSigner::from_text(PEM, Some(jwk.kid())).unwrap();
    let new = include_bytes!("../../testdata/new.p12");
    let old = include_bytes!("../../testdata/old.p12");
    let new = from_pkcs12(new, &passphrase("p12-passphrase"), None, Some(jwk.kid())).unwrap();
    let old = from_pkcs12(old, &passphrase("p12-passphrase"), Some("skybru test"), Some(jwk.kid())).unwrap();
    for signer in [&jwk, &pem, &new, &old] {
        assert_eq!(signer.public_jwk(), jwk.public_jwk());
        works(signer).await;
    }
    assert!(jwk.certificates().is_empty());
    for signer in [&pem, &new, &old] {
        assert_eq!(signer.certificates(), pem.certificates());
        assert_eq!(x5c(signer.certificates()).len(), 1);
    }
}

#[tokio::test]
async fn a_key_on_p256_comes_from_a_file_too() {
    let key = SigningKey::generate_p256().unwrap();
    let signer = LocalSigner::from_text(&key.private_jwk().unwrap(), None).unwrap();
    assert_eq!(signer.algorithm(), Algorithm::ES256);
    works(&signer).await;
    works(&LocalSigner::from_text(include_str!("../../testdata/p256.pem"), None).unwrap()).await;
}

#[test]
fn a_key_can_have_a_certificate_over_itself_that_is_the_same_on_every_node() {
    let signer = LocalSigner::from_text(JWK, None).unwrap();
    let created = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let certificate = self_signed(signer.key(), created).unwrap();
    assert_eq!(certificate, self_signed(signer.key(), created).unwrap());
    let key = LocalSigner::from_text(JWK, None).unwrap();
    let key = SigningKey::from_pkcs8_der(&key.key().pkcs8_der().unwrap(), None).unwrap();
    assert!(LocalSigner::new(key, vec![certificate]).is_ok(), "it is over the key");
}

#[test]
fn a_jwk_may_carry_its_certificates() {
    let pem = LocalSigner::from_text(PEM, None).unwrap();
    let mut jwk: Value = serde_json::from_str(JWK).unwrap();
    jwk["x5c"] = json!(x5c(pem.certificates()));
    assert_eq!(LocalSigner::from_text(&jwk.to_string(), None).unwrap().certificates(), pem.certificates());
}

#[test]
fn a_certificate_over_another_key_is_refused() {
    let chain = PEM.split_inclusive("-----END PRIVATE KEY-----\n").nth(1).unwrap();
    let other = SigningKey::generate_p256().unwrap();
    let other = rcgen::KeyPair::try_from(&**other.pkcs8_der().unwrap()).unwrap().serialize_pem();
    let error = LocalSigner::from_text(&format!("{other}{chain}"), None).unwrap_err();
    assert!(matches!(error, KeyFileError::Certificate(CertificateError::OtherKey { .. })), "{error}");
}

#[test]
fn a_pkcs12_file_says_what_is_wrong_with_it() {
    let file = include_bytes!("../../testdata/new.p12");
    let error = |passphrase_text: &str, alias| from_pkcs12(file, &passphrase(passphrase_text), alias, None).unwrap_err();
    assert_eq!(error("wrong", None), Pkcs12Error::Closed);
    let missing = error("p12-passphrase", Some("other"));
    assert_eq!(missing.to_string(), r#"the PKCS#12 file holds no private key named "other"; it holds skybru test"#);
    assert_eq!(from_pkcs12(b"no file", &passphrase("x"), None, None).unwrap_err(), Pkcs12Error::Closed);
}

#[test]
fn a_pem_file_under_a_passphrase_says_so() {
    let text = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(LocalSigner::from_text(text, None).unwrap_err(), KeyFileError::Key(SigningKeyError::Encrypted));
}

#[test]
fn a_signer_does_not_print_its_key() {
    let signer = LocalSigner::from_text(JWK, None).unwrap();
    let private: Value = serde_json::from_str(JWK).unwrap();
    let shown = format!("{signer:?}");
    for member in ["d", "p", "q", "dp", "dq", "qi"] {
        assert!(!shown.contains(private[member].as_str().unwrap()));
    }
}
