//! Private keys that sign.

use std::fmt;

use serde::Serialize;
use skybru_core::KeyId;
use zeroize::Zeroizing;

use super::pair::{Pair, PrivateJwk};
use super::{Algorithm, Jwk};
use crate::base64url;

/// A private key with its key id and algorithm. Its `Debug` shows the key id only.
pub struct SigningKey {
    kid: KeyId,
    algorithm: Algorithm,
    pair: Pair,
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Neither PEM nor JWK.
    #[error("the key is neither a PEM file (-----BEGIN PRIVATE KEY-----) nor a JWK (a JSON object)")]
    Format,
    /// A PEM file under a passphrase.
    #[error(
        "the key is a PEM file under a passphrase; use a PKCS#12 file, or `openssl pkey -in FILE` to take the passphrase off"
    )]
    Encrypted,
    /// A public key where a private one is needed.
    #[error("this is a public key; the private key is needed to sign")]
    Public,
    /// A JWK member is absent or wrong.
    #[error("the JWK's member {0:?} is missing or wrong")]
    Member(&'static str),
    /// Not RSA.
    #[error("the key is not an RSA key: Maskinporten and Skyporten take RS256, RS384 and RS512 only")]
    NotRsa,
    /// Of no family that skybru signs with.
    #[error("the key is neither an RSA key nor one on the curve P-256")]
    Family,
    /// The algorithm does not belong to this type of key.
    #[error("the key cannot sign with {0}")]
    Algorithm(Algorithm),
    /// The key id is absent or has a wrong character.
    #[error("the key id is wrong: {0}")]
    KeyId(String),
    /// The library refuses the numbers (size, consistency).
    #[error("the key's numbers do not fit together, or it is smaller than 2048 bits")]
    Numbers,
    /// Generating or signing failed.
    #[error("the cryptographic library failed")]
    Library,
}

/// Size of a new RSA key, in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RsaSize {
    Bits2048,
    Bits3072,
    Bits4096,
}

impl SigningKey {
    /// Makes a new RSA key. The key id is the key's thumbprint, as Maskinporten's own are. Takes from 50 ms to seconds.
    pub fn generate(size: RsaSize, algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        Self::named(Pair::generate_rsa(size)?, algorithm, None)
    }

    /// Makes a new key on P-256 for ES256: for private verifiers. Entra and the national services refuse its tokens (P-1).
    pub fn generate_p256() -> Result<Self, SigningKeyError> {
        Self::named(Pair::generate_p256()?, Algorithm::ES256, None)
    }

    /// Without `kid` the key is named by its thumbprint.
    fn named(pair: Pair, algorithm: Algorithm, kid: Option<KeyId>) -> Result<Self, SigningKeyError> {
        if !pair.takes(algorithm) {
            return Err(SigningKeyError::Algorithm(algorithm));
        }
        let kid = if let Some(kid) = kid {
            kid
        } else {
            let thumbprint = pair.public_jwk("", algorithm).thumbprint().map_err(|_| SigningKeyError::Numbers)?;
            thumbprint.parse().map_err(|_| SigningKeyError::Numbers)?
        };
        Ok(Self { kid, algorithm, pair })
    }

    /// Reads an RSA key, which is what the national services take: JWK (JSON) or PEM (PKCS#8 or PKCS#1).
    ///
    /// `kid` overrules the JWK's own; a PEM without one gets its thumbprint as key id.
    pub fn from_text(text: &str, kid: Option<&KeyId>) -> Result<Self, SigningKeyError> {
        match Self::from_any_text(text, kid) {
            Ok(key) if key.pair.is_rsa() => Ok(key),
            Ok(_) | Err(SigningKeyError::Family) => Err(SigningKeyError::NotRsa),
            Err(error) => Err(error),
        }
    }

    /// Reads a key of either family, RSA or P-256 (PKCS#8 or SEC1), otherwise like [`SigningKey::from_text`].
    pub fn from_any_text(text: &str, kid: Option<&KeyId>) -> Result<Self, SigningKeyError> {
        let text = text.trim().trim_start_matches('\u{feff}');
        if text.starts_with('{') {
            Self::from_jwk(text, kid)
        } else if text.contains("-----BEGIN") {
            Self::default_algorithm(Pair::from_pem(text)?, kid.cloned())
        } else {
            Err(SigningKeyError::Format)
        }
    }

    /// Takes a PKCS#8 key (DER).
    pub fn from_pkcs8_der(der: &[u8], kid: Option<&KeyId>) -> Result<Self, SigningKeyError> {
        Self::default_algorithm(Pair::from_pkcs8(der)?, kid.cloned())
    }

    fn default_algorithm(pair: Pair, kid: Option<KeyId>) -> Result<Self, SigningKeyError> {
        let algorithm = if pair.is_rsa() { Algorithm::RS256 } else { Algorithm::ES256 };
        Self::named(pair, algorithm, kid)
    }

    fn from_jwk(text: &str, kid: Option<&KeyId>) -> Result<Self, SigningKeyError> {
        let jwk: PrivateJwk = serde_json::from_str(text).map_err(|_| SigningKeyError::Format)?;
        let pair = Pair::from_jwk(&jwk)?;
        let kid = match (kid, jwk.kid.as_deref()) {
            (Some(kid), _) => Some(kid.clone()),
            (None, Some(kid)) => Some(kid.parse().map_err(|e: skybru_core::id::IdError| SigningKeyError::KeyId(e.to_string()))?),
            (None, None) => None,
        };
        match jwk.alg.as_deref() {
            None => Self::default_algorithm(pair, kid),
            Some(name) => match name.parse() {
                Ok(algorithm) if pair.takes(algorithm) => Self::named(pair, algorithm, kid),
                _ => Err(SigningKeyError::Member("alg")),
            },
        }
    }

    /// The same key, signing with another algorithm of its family.
    pub fn with_algorithm(self, algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        Self::named(self.pair, algorithm, Some(self.kid))
    }

    /// The key id.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half; of an RSA key with the six members that every cloud takes (P-9).
    pub fn public_jwk(&self) -> Jwk {
        self.pair.public_jwk(self.kid.as_str(), self.algorithm)
    }

    /// The private key as JWK text. Printing it is the caller's purpose, or a mistake.
    pub fn private_jwk(&self) -> Result<Zeroizing<String>, SigningKeyError> {
        let jwk = self.pair.private_jwk(self.kid.as_str(), self.algorithm)?;
        serde_json::to_string(&jwk).map(Zeroizing::new).map_err(|_| SigningKeyError::Library)
    }

    /// The private key as PKCS#8 DER.
    pub fn pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        self.pair.pkcs8_der()
    }

    /// Signs `claims` as a compact JWS with the header `{"kid":…,"alg":…}` and, when given, `typ`.
    pub fn sign(&self, typ: Option<&str>, claims: &impl Serialize) -> Result<String, SigningKeyError> {
        self.finish(signing_input(&self.kid, self.algorithm, typ, claims)?)
    }

    /// Signs with any header: for tests and for issuers that imitate others' mistakes. The header is not checked against the key.
    pub fn sign_with_header(&self, header: &impl Serialize, claims: &impl Serialize) -> Result<String, SigningKeyError> {
        self.finish(joined(header, claims)?)
    }

    fn finish(&self, mut compact: String) -> Result<String, SigningKeyError> {
        let signature = self.sign_bytes(compact.as_bytes())?;
        compact.push('.');
        compact.push_str(&base64url::encode(signature));
        Ok(compact)
    }

    /// The signature over `message`, as a JWS carries it before it is encoded.
    pub fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        self.pair.sign(self.algorithm, message)
    }
}

/// What is signed of a compact JWS: header `{"kid":…,"alg":…}`, and `typ` when given, a dot, and the claims.
pub fn signing_input(
    kid: &KeyId,
    algorithm: Algorithm,
    typ: Option<&str>,
    claims: &impl Serialize,
) -> Result<String, SigningKeyError> {
    #[derive(Serialize)]
    struct Header<'a> {
        kid: &'a str,
        alg: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        typ: Option<&'a str>,
    }
    joined(&Header { kid: kid.as_str(), alg: algorithm.name(), typ }, claims)
}

fn joined(header: &impl Serialize, claims: &impl Serialize) -> Result<String, SigningKeyError> {
    let part = |bytes: Result<Vec<u8>, serde_json::Error>| bytes.map(base64url::encode).map_err(|_| SigningKeyError::Library);
    let mut text = part(serde_json::to_vec(header))?;
    text.push('.');
    text.push_str(&part(serde_json::to_vec(claims))?);
    Ok(text)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Jws, VerifyingKey};
    use serde_json::{Value, json};

    fn key() -> SigningKey {
        SigningKey::from_text(include_str!("../../testdata/rsa2048.jwk"), None).unwrap()
    }

    #[test]
    fn what_is_signed_verifies_with_the_published_key_and_with_nothing_else() {
        let key = key();
        let token = key.sign(Some("JWT"), &json!({"sub": "0192:917422575"})).unwrap();
        let jws = Jws::parse(&token).unwrap();
        let public = VerifyingKey::from_jwk(&key.public_jwk()).unwrap();
        assert!(public.verify(Algorithm::RS256, jws.signing_input().as_bytes(), jws.signature()).is_ok());
        assert!(public.verify(Algorithm::RS512, jws.signing_input().as_bytes(), jws.signature()).is_err());
        assert!(public.verify(Algorithm::PS256, jws.signing_input().as_bytes(), jws.signature()).is_err());
        assert!(public.verify(Algorithm::ES256, jws.signing_input().as_bytes(), jws.signature()).is_err());
        assert!(public.verify(Algorithm::RS256, b"other", jws.signature()).is_err());
    }

    #[test]
    fn another_library_accepts_our_signature() {
        let key = key();
        let token = key.sign(Some("JWT"), &json!({"aud": "me", "exp": 4_000_000_000_u64})).unwrap();
        let public = key.public_jwk();
        let judge =
            jsonwebtoken::DecodingKey::from_rsa_components(public.n.as_ref().unwrap(), public.e.as_ref().unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        rules.set_audience(&["me"]);
        assert!(jsonwebtoken::decode::<Value>(&token, &judge, &rules).is_ok());
    }

    #[test]
    fn jwk_and_pem_of_one_key_are_the_same_key() {
        let key = key();
        let again = SigningKey::from_text(&key.private_jwk().unwrap(), None).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        let pem = SigningKey::from_text(include_str!("../../testdata/rsa2048.pem"), Some(key.kid())).unwrap();
        assert_eq!(pem.public_jwk(), key.public_jwk());
    }

    #[test]
    fn a_wrong_key_file_says_what_is_wrong() {
        let error = |text: &str| SigningKey::from_text(text, None).unwrap_err();
        assert_eq!(error(""), SigningKeyError::Format);
        assert_eq!(error("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"), SigningKeyError::Public);
        assert_eq!(error("{\"kty\":\"EC\",\"d\":\"AQAB\"}"), SigningKeyError::NotRsa);
        assert_eq!(error("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), SigningKeyError::Public);
        let broken = include_str!("../../testdata/rsa2048.jwk").replace("\"qi\":\"", "\"qi\":\"AAAB");
        assert_eq!(error(&broken), SigningKeyError::Numbers);
    }

    #[test]
    fn a_key_on_p256_signs_es256_for_those_who_want_it() {
        let key = SigningKey::generate_p256().unwrap();
        assert_eq!(key.kid().as_str().len(), 43, "named by its thumbprint");
        let token = key.sign(Some("JWT"), &json!({"aud": "me", "exp": 4_000_000_000_u64})).unwrap();
        let public = key.public_jwk();
        let judge =
            jsonwebtoken::DecodingKey::from_ec_components(public.x.as_ref().unwrap(), public.y.as_ref().unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        rules.set_audience(&["me"]);
        assert!(jsonwebtoken::decode::<Value>(&token, &judge, &rules).is_ok());
        let text = key.private_jwk().unwrap();
        assert_eq!(SigningKey::from_any_text(&text, None).unwrap().public_jwk(), public);
        assert_eq!(SigningKey::from_pkcs8_der(&key.pkcs8_der().unwrap(), Some(key.kid())).unwrap().public_jwk(), public);
        assert_eq!(
            SigningKey::from_text(&text, None).unwrap_err(),
            SigningKeyError::NotRsa,
            "the national services take RSA only"
        );
        assert_eq!(key.with_algorithm(Algorithm::RS256).unwrap_err(), SigningKeyError::Algorithm(Algorithm::RS256));
    }

    #[test]
    fn a_signing_key_does_not_print_itself() {
        let key = key();
        let shown = format!("{key:?}");
        let private: Value = serde_json::from_str(&key.private_jwk().unwrap()).unwrap();
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            assert!(!shown.contains(private[member].as_str().unwrap()));
        }
    }
}
