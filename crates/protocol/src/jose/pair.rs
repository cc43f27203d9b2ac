//! The numbers of a private key, RSA or P-256, and how they are written.

use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use pkcs1::RsaPrivateKeyRef;
use pkcs1::der::Decode as _;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Algorithm, Jwk, RsaSize, SigningKeyError};
use crate::base64url;

/// A private key that the library has taken in.
pub(super) enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

/// A private key as JSON ([RFC 7518, sections 6.2 and 6.3](https://www.rfc-editor.org/rfc/rfc7518#section-6.2)). Members of the other
/// family are empty.
#[derive(Default, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct PrivateJwk {
    pub(super) kty: String,
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) alg: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kid: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    n: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    e: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    crv: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    x: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    y: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    d: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    p: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    q: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    dp: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    dq: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    qi: String,
}

impl Pair {
    pub(super) fn generate_rsa(size: RsaSize) -> Result<Self, SigningKeyError> {
        let size = match size {
            RsaSize::Bits2048 => KeySize::Rsa2048,
            RsaSize::Bits3072 => KeySize::Rsa3072,
            RsaSize::Bits4096 => KeySize::Rsa4096,
        };
        RsaKeyPair::generate(size).map(Self::Rsa).map_err(|_| SigningKeyError::Library)
    }

    pub(super) fn generate_p256() -> Result<Self, SigningKeyError> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::P256).map_err(|_| SigningKeyError::Library)
    }

    pub(super) fn from_pem(text: &str) -> Result<Self, SigningKeyError> {
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes());
        match der {
            Ok(PrivateKeyDer::Pkcs1(der)) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).map(Self::Rsa).map_err(|_| SigningKeyError::Numbers)
            }
            Ok(PrivateKeyDer::Sec1(der)) => {
                p256(EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_sec1_der()))
            }
            Ok(PrivateKeyDer::Pkcs8(der)) => Self::from_pkcs8(der.secret_pkcs8_der()),
            Err(_) if text.contains("BEGIN ENCRYPTED PRIVATE KEY") => Err(SigningKeyError::Encrypted),
            Err(_)
                if ["BEGIN PUBLIC KEY", "BEGIN RSA PUBLIC KEY", "BEGIN CERTIFICATE"].iter().any(|label| text.contains(label)) =>
            {
                Err(SigningKeyError::Public)
            }
            Ok(_) | Err(_) => Err(SigningKeyError::Format),
        }
    }

    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, SigningKeyError> {
        match pkcs1_of(der) {
            Some(_) => RsaKeyPair::from_pkcs8(der).map(Self::Rsa).map_err(|_| SigningKeyError::Numbers),
            None => p256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)),
        }
    }

    pub(super) fn from_jwk(jwk: &PrivateJwk) -> Result<Self, SigningKeyError> {
        if !matches!(jwk.kty.as_str(), "RSA" | "EC") {
            return Err(SigningKeyError::Family);
        }
        if jwk.d.is_empty() {
            return Err(SigningKeyError::Public);
        }
        let number = |text: &str, member| match base64url::decode(text) {
            Ok(bytes) if !bytes.is_empty() => Ok(Zeroizing::new(bytes)),
            _ => Err(SigningKeyError::Member(member)),
        };
        if jwk.kty == "EC" {
            if jwk.crv != "P-256" {
                return Err(SigningKeyError::Family);
            }
            let mut point = vec![4];
            point.extend_from_slice(&number(&jwk.x, "x")?);
            point.extend_from_slice(&number(&jwk.y, "y")?);
            let d = number(&jwk.d, "d")?;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &d, &point);
            return pair.map(Self::P256).map_err(|_| SigningKeyError::Numbers);
        }
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: number(&jwk.n, "n")?, e: number(&jwk.e, "e")? },
            d: number(&jwk.d, "d")?,
            p: number(&jwk.p, "p")?,
            q: number(&jwk.q, "q")?,
            dP: number(&jwk.dp, "dp")?,
            dQ: number(&jwk.dq, "dq")?,
            qInv: number(&jwk.qi, "qi")?,
        };
        RsaKeyPair::from_components(&components).map(Self::Rsa).map_err(|_| SigningKeyError::Numbers)
    }

    pub(super) fn is_rsa(&self) -> bool {
        matches!(self, Self::Rsa(_))
    }

    /// Whether it can sign with `algorithm`.
    pub(super) fn takes(&self, algorithm: Algorithm) -> bool {
        if self.is_rsa() { algorithm.is_rs() } else { algorithm == Algorithm::ES256 }
    }

    pub(super) fn public_jwk(&self, kid: &str, algorithm: Algorithm) -> Jwk {
        match self {
            Self::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                Jwk::rsa(kid, algorithm.name(), &public.n, &public.e)
            }
            // An uncompressed point: 4, x, y.
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
                Jwk::p256(kid, algorithm.name(), x, y)
            }
        }
    }

    pub(super) fn private_jwk(&self, kid: &str, algorithm: Algorithm) -> Result<PrivateJwk, SigningKeyError> {
        let mut jwk = PrivateJwk::default();
        jwk.usage = Some("sig".to_owned());
        jwk.alg = Some(algorithm.name().to_owned());
        jwk.kid = Some(kid.to_owned());
        match self {
            Self::Rsa(_) => {
                let pkcs8 = self.pkcs8_der()?;
                let key = RsaPrivateKeyRef::from_der(pkcs1_of(&pkcs8).ok_or(SigningKeyError::Numbers)?)
                    .map_err(|_| SigningKeyError::Numbers)?;
                "RSA".clone_into(&mut jwk.kty);
                jwk.n = base64url::encode(key.modulus.as_bytes());
                jwk.e = base64url::encode(key.public_exponent.as_bytes());
                jwk.d = base64url::encode(key.private_exponent.as_bytes());
                jwk.p = base64url::encode(key.prime1.as_bytes());
                jwk.q = base64url::encode(key.prime2.as_bytes());
                jwk.dp = base64url::encode(key.exponent1.as_bytes());
                jwk.dq = base64url::encode(key.exponent2.as_bytes());
                jwk.qi = base64url::encode(key.coefficient.as_bytes());
            }
            Self::P256(pair) => {
                let public = self.public_jwk(kid, algorithm);
                let d: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| SigningKeyError::Library)?;
                "EC".clone_into(&mut jwk.kty);
                "P-256".clone_into(&mut jwk.crv);
                jwk.x = public.x.unwrap_or_default();
                jwk.y = public.y.unwrap_or_default();
                jwk.d = base64url::encode(d.as_ref());
            }
        }
        Ok(jwk)
    }

    pub(super) fn pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        match self {
            Self::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| SigningKeyError::Library)?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
            Self::P256(pair) => {
                let der = pair.to_pkcs8v1().map_err(|_| SigningKeyError::Library)?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
        }
    }

    /// Signs with `algorithm`, which must be one that [`Pair::takes`].
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        match self {
            Self::Rsa(pair) => {
                let padding = match algorithm {
                    Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
                    Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut bytes = vec![0; pair.public_modulus_len()];
                // PKCS#1 v1.5 signatures are deterministic: the source of randomness is asked for by the signature only.
                pair.sign(padding, &SystemRandom::new(), message, &mut bytes).map_err(|_| SigningKeyError::Library)?;
                Ok(bytes)
            }
            Self::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| SigningKeyError::Library)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

/// The library does not tell a foreign curve from broken numbers.
fn p256(pair: Result<EcdsaKeyPair, aws_lc_rs::error::KeyRejected>) -> Result<Pair, SigningKeyError> {
    pair.map(Pair::P256).map_err(|_| SigningKeyError::Family)
}

/// The PKCS#1 key inside a PKCS#8 one; `None` when it is no RSA key.
fn pkcs1_of(pkcs8: &[u8]) -> Option<&[u8]> {
    let info = pkcs8::PrivateKeyInfoRef::try_from(pkcs8).ok()?;
    (info.algorithm.oid == pkcs1::ALGORITHM_OID).then(|| info.private_key.as_bytes())
}
