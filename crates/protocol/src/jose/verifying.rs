//! Verifying signatures.

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};

use super::{Algorithm, Jwk, JwkError, roca};

/// A public key that can verify. RSA keys are parsed on first use and kept: parsing costs as much as verifying.
pub struct VerifyingKey(Kind);

enum Kind {
    Rsa { n: Box<[u8]>, e: Box<[u8]>, rs256: OnceLock<Option<ParsedPublicKey>> },
    Ec { curve: Curve, point: Box<[u8]> },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Curve {
    P256,
    P384,
    P521,
}

/// Why a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyingKeyError {
    /// The algorithm does not belong to this type of key.
    #[error("the algorithm does not fit the key")]
    WrongAlgorithm,
    /// The signature is not that of this key over this text.
    #[error("the signature does not hold")]
    BadSignature,
}

impl VerifyingKey {
    /// Takes the numbers out of a JWK. Only `kty` and the numbers are looked at: `use`, `alg`, `key_ops` mean different things to
    /// different verifiers, which check them themselves.
    ///
    /// RSA moduli of 2048 to 8192 bits, curves P-256, P-384 and P-521.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, JwkError> {
        match jwk.kty.as_str() {
            "RSA" => {
                let n = Jwk::bytes(jwk.n.as_ref(), "n")?;
                let e = Jwk::bytes(jwk.e.as_ref(), "e")?;
                let significant = n.iter().skip_while(|byte| **byte == 0).count();
                if !(256..=1024).contains(&significant) {
                    return Err(JwkError::Wrong { member: "n", expected: "expected a modulus of 2048 to 8192 bits" });
                }
                // With the exponent 1 every text is its own signature.
                if strip(&e) == [1] || e.len() > 8 || e.last().is_none_or(|last| last % 2 == 0) {
                    return Err(JwkError::Wrong { member: "e", expected: "expected an odd exponent such as AQAB" });
                }
                Ok(Self(Kind::Rsa { n: strip(&n).into(), e: strip(&e).into(), rs256: OnceLock::new() }))
            }
            "EC" => {
                let (curve, size) = match jwk.crv.as_deref() {
                    Some("P-256") => (Curve::P256, 32),
                    Some("P-384") => (Curve::P384, 48),
                    Some("P-521") => (Curve::P521, 66),
                    Some(_) => return Err(JwkError::Wrong { member: "crv", expected: "expected P-256, P-384 or P-521" }),
                    None => return Err(JwkError::Missing("crv")),
                };
                let x = Jwk::bytes(jwk.x.as_ref(), "x")?;
                let y = Jwk::bytes(jwk.y.as_ref(), "y")?;
                if x.len() != size || y.len() != size {
                    return Err(JwkError::Wrong { member: "x", expected: "expected coordinates of the curve's length" });
                }
                let mut point = vec![4];
                point.extend_from_slice(&x);
                point.extend_from_slice(&y);
                Ok(Self(Kind::Ec { curve, point: point.into() }))
            }
            _ => Err(JwkError::Wrong { member: "kty", expected: "expected RSA or EC" }),
        }
    }

    /// Looks at the numbers as closely as can be done once, where a key is registered: whether the library takes them, whether a point lies
    /// on its curve, whether an RSA key is one of those that can be factored. [`VerifyingKey::from_jwk`] does not, since it is called for
    /// each of a million keys at the start.
    pub fn examine(&self) -> Result<(), JwkError> {
        let parsed = match &self.0 {
            Kind::Rsa { n, .. } if roca::is_affected(n) => return Err(JwkError::Roca),
            Kind::Rsa { n, e, .. } => {
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256).is_ok()
            }
            Kind::Ec { curve, point } => {
                let algorithm: &'static signature::EcdsaVerificationAlgorithm = match curve {
                    Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED,
                    Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED,
                    Curve::P521 => &signature::ECDSA_P521_SHA512_FIXED,
                };
                ParsedPublicKey::new(algorithm, point.as_ref()).is_ok()
            }
        };
        if parsed { Ok(()) } else { Err(JwkError::Numbers) }
    }

    /// Whether this is an RSA key.
    pub fn is_rsa(&self) -> bool {
        matches!(self.0, Kind::Rsa { .. })
    }

    /// Checks `signature` over `message`.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), VerifyingKeyError> {
        let held = match &self.0 {
            Kind::Rsa { n, e, rs256 } if algorithm == Algorithm::RS256 => {
                let parse = || RsaPublicKeyComponents { n, e }.to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256).ok();
                rs256.get_or_init(parse).as_ref().is_some_and(|key| key.verify_sig(message, signature).is_ok())
            }
            Kind::Rsa { n, e, .. } => {
                let parameters = match algorithm {
                    Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return Err(VerifyingKeyError::WrongAlgorithm),
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            Kind::Ec { curve, point } => {
                let parameters: &dyn VerificationAlgorithm = match (algorithm, curve) {
                    (Algorithm::ES256, Curve::P256) => &signature::ECDSA_P256_SHA256_FIXED,
                    (Algorithm::ES384, Curve::P384) => &signature::ECDSA_P384_SHA384_FIXED,
                    (Algorithm::ES512, Curve::P521) => &signature::ECDSA_P521_SHA512_FIXED,
                    _ => return Err(VerifyingKeyError::WrongAlgorithm),
                };
                parameters.verify_sig(point, message, signature).is_ok()
            }
        };
        if held { Ok(()) } else { Err(VerifyingKeyError::BadSignature) }
    }
}

fn strip(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

impl PartialEq for VerifyingKey {
    /// Whether it is the same key, however it was written.
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Rsa { n, e, .. }, Kind::Rsa { n: other_n, e: other_e, .. }) => n == other_n && e == other_e,
            (Kind::Ec { curve, point }, Kind::Ec { curve: other_curve, point: other_point }) => {
                curve == other_curve && point == other_point
            }
            _ => false,
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Rsa { n, .. } => write!(f, "VerifyingKey(RSA-{})", n.len() * 8),
            Kind::Ec { curve, .. } => write!(f, "VerifyingKey({curve:?})"),
        }
    }
}
