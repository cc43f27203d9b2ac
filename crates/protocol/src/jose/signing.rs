//! Private keys that sign.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{self, KeyPair as _, RsaKeyPair};
use pkcs1::RsaPrivateKeyRef;
use pkcs1::der::Decode as _;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use skybru_core::KeyId;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Algorithm, Jwk};
use crate::base64url;

/// An RSA private key with its key id and algorithm. Its `Debug` shows the key id only.
pub struct SigningKey {
    kid: KeyId,
    algorithm: Algorithm,
    pair: RsaKeyPair,
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Neither PEM nor JWK.
    #[error("the key is neither a PEM file (-----BEGIN PRIVATE KEY-----) nor a JWK (a JSON object)")]
    Format,
    /// A public key where a private one is needed.
    #[error("this is a public key; the private key is needed to sign")]
    Public,
    /// A JWK member is absent or wrong.
    #[error("the JWK's member {0:?} is missing or wrong")]
    Member(&'static str),
    /// Not RSA.
    #[error("the key is not an RSA key: Maskinporten and Skyporten take RS256, RS384 and RS512 only")]
    NotRsa,
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

/// A private RSA key as JSON ([RFC 7518, section 6.3](https://www.rfc-editor.org/rfc/rfc7518#section-6.3)).
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct PrivateJwk {
    kty: String,
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    d: String,
    #[serde(default)]
    p: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    dp: String,
    #[serde(default)]
    dq: String,
    #[serde(default)]
    qi: String,
}

impl SigningKey {
    /// Makes a new key. The key id is the key's thumbprint, as Maskinporten's own are. Takes from 50 ms to seconds.
    pub fn generate(size: RsaSize, algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        let size = match size {
            RsaSize::Bits2048 => KeySize::Rsa2048,
            RsaSize::Bits3072 => KeySize::Rsa3072,
            RsaSize::Bits4096 => KeySize::Rsa4096,
        };
        let pair = RsaKeyPair::generate(size).map_err(|_| SigningKeyError::Library)?;
        Self::named_by_thumbprint(pair, algorithm)
    }

    fn named_by_thumbprint(pair: RsaKeyPair, algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        let (n, e) = public_numbers(&pair);
        let thumbprint = Jwk::rsa("", algorithm.name(), &n, &e).thumbprint().map_err(|_| SigningKeyError::Numbers)?;
        Ok(Self { kid: thumbprint.parse().map_err(|_| SigningKeyError::Numbers)?, algorithm, pair })
    }

    /// Reads a key file: JWK (JSON) or PEM (PKCS#8 or PKCS#1).
    ///
    /// `kid` overrules the JWK's own; a PEM without one gets its thumbprint as key id.
    pub fn from_text(text: &str, kid: Option<&KeyId>) -> Result<Self, SigningKeyError> {
        let text = text.trim().trim_start_matches('\u{feff}');
        if text.starts_with('{') {
            Self::from_jwk(text, kid)
        } else if text.starts_with("-----BEGIN") {
            Self::from_pem(text, kid)
        } else {
            Err(SigningKeyError::Format)
        }
    }

    fn from_pem(text: &str, kid: Option<&KeyId>) -> Result<Self, SigningKeyError> {
        if text.contains("BEGIN PUBLIC KEY") || text.contains("BEGIN RSA PUBLIC KEY") || text.contains("BEGIN CERTIFICATE") {
            return Err(SigningKeyError::Public);
        }
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| SigningKeyError::Format)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| SigningKeyError::Numbers)?,
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                pkcs1_of(der).ok_or(SigningKeyError::NotRsa)?;
                RsaKeyPair::from_pkcs8(der).map_err(|_| SigningKeyError::Numbers)?
            }
            _ => return Err(SigningKeyError::NotRsa),
        };
        let key = Self::named_by_thumbprint(pair, Algorithm::RS256)?;
        Ok(match kid {
            Some(kid) => Self { kid: kid.clone(), ..key },
            None => key,
        })
    }

    fn from_jwk(text: &str, kid: Option<&KeyId>) -> Result<Self, SigningKeyError> {
        let jwk: PrivateJwk = serde_json::from_str(text).map_err(|_| SigningKeyError::Format)?;
        if jwk.kty != "RSA" {
            return Err(SigningKeyError::NotRsa);
        }
        if jwk.d.is_empty() {
            return Err(SigningKeyError::Public);
        }
        let number = |text: &str, member| match base64url::decode(text) {
            Ok(bytes) if !bytes.is_empty() => Ok(Zeroizing::new(bytes)),
            _ => Err(SigningKeyError::Member(member)),
        };
        let pair = RsaKeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n: number(&jwk.n, "n")?, e: number(&jwk.e, "e")? },
            d: number(&jwk.d, "d")?,
            p: number(&jwk.p, "p")?,
            q: number(&jwk.q, "q")?,
            dP: number(&jwk.dp, "dp")?,
            dQ: number(&jwk.dq, "dq")?,
            qInv: number(&jwk.qi, "qi")?,
        })
        .map_err(|_| SigningKeyError::Numbers)?;
        let algorithm = match jwk.alg.as_deref() {
            None => Algorithm::RS256,
            Some(name) => name.parse().ok().filter(|a: &Algorithm| a.is_rs()).ok_or(SigningKeyError::Member("alg"))?,
        };
        let kid = match (kid, jwk.kid.as_deref()) {
            (Some(kid), _) => kid.clone(),
            (None, Some(kid)) => kid.parse().map_err(|e: skybru_core::id::IdError| SigningKeyError::KeyId(e.to_string()))?,
            (None, None) => return Self::named_by_thumbprint(pair, algorithm),
        };
        Ok(Self { kid, algorithm, pair })
    }

    /// The key id.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half, with the six members that every cloud takes (P-9).
    pub fn public_jwk(&self) -> Jwk {
        let (n, e) = public_numbers(&self.pair);
        Jwk::rsa(self.kid.as_str(), self.algorithm.name(), &n, &e)
    }

    /// The private key as JWK text. Printing it is the caller's purpose, or a mistake.
    pub fn private_jwk(&self) -> Result<Zeroizing<String>, SigningKeyError> {
        let pkcs8 = self.pkcs8_der()?;
        let pkcs1 = pkcs1_of(&pkcs8).ok_or(SigningKeyError::Numbers)?;
        let key = RsaPrivateKeyRef::from_der(pkcs1).map_err(|_| SigningKeyError::Numbers)?;
        let jwk = PrivateJwk {
            kty: "RSA".to_owned(),
            usage: Some("sig".to_owned()),
            alg: Some(self.algorithm.name().to_owned()),
            kid: Some(self.kid.to_string()),
            n: base64url::encode(key.modulus.as_bytes()),
            e: base64url::encode(key.public_exponent.as_bytes()),
            d: base64url::encode(key.private_exponent.as_bytes()),
            p: base64url::encode(key.prime1.as_bytes()),
            q: base64url::encode(key.prime2.as_bytes()),
            dp: base64url::encode(key.exponent1.as_bytes()),
            dq: base64url::encode(key.exponent2.as_bytes()),
            qi: base64url::encode(key.coefficient.as_bytes()),
        };
        serde_json::to_string(&jwk).map(Zeroizing::new).map_err(|_| SigningKeyError::Library)
    }

    /// The private key as PKCS#8 DER.
    pub fn pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| SigningKeyError::Library)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// Signs `claims` as a compact JWS with the header `{"kid":…,"alg":…}` and, when given, `typ`.
    pub fn sign(&self, typ: Option<&str>, claims: &impl Serialize) -> Result<String, SigningKeyError> {
        #[derive(Serialize)]
        struct Header<'a> {
            kid: &'a str,
            alg: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            typ: Option<&'a str>,
        }
        self.sign_with_header(&Header { kid: self.kid.as_str(), alg: self.algorithm.name(), typ }, claims)
    }

    /// Signs with any header: for tests and for issuers that imitate others' mistakes. The header is not checked against the key.
    pub fn sign_with_header(&self, header: &impl Serialize, claims: &impl Serialize) -> Result<String, SigningKeyError> {
        let part = |bytes: Result<Vec<u8>, serde_json::Error>| bytes.map(base64url::encode).map_err(|_| SigningKeyError::Library);
        let mut compact = part(serde_json::to_vec(header))?;
        compact.push('.');
        compact.push_str(&part(serde_json::to_vec(claims))?);
        let padding = match self.algorithm {
            Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
            Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
            _ => &signature::RSA_PKCS1_SHA256,
        };
        let mut bytes = vec![0; self.pair.public_modulus_len()];
        // PKCS#1 v1.5 signatures are deterministic: the source of randomness is asked for by the signature only.
        self.pair.sign(padding, &SystemRandom::new(), compact.as_bytes(), &mut bytes).map_err(|_| SigningKeyError::Library)?;
        compact.push('.');
        compact.push_str(&base64url::encode(bytes));
        Ok(compact)
    }
}

fn public_numbers(pair: &RsaKeyPair) -> (Vec<u8>, Vec<u8>) {
    let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    (public.n, public.e)
}

/// The PKCS#1 key inside a PKCS#8 one; `None` when it is no RSA key.
fn pkcs1_of(pkcs8: &[u8]) -> Option<&[u8]> {
    let info = pkcs8::PrivateKeyInfoRef::try_from(pkcs8).ok()?;
    (info.algorithm.oid == pkcs1::ALGORITHM_OID).then(|| info.private_key.as_bytes())
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
    fn a_signing_key_does_not_print_itself() {
        let key = key();
        let shown = format!("{key:?}");
        let private: Value = serde_json::from_str(&key.private_jwk().unwrap()).unwrap();
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            assert!(!shown.contains(private[member].as_str().unwrap()));
        }
    }
}
