//! What is known of a key that somebody else holds.

use rustls_pki_types::CertificateDer;
use skybru_core::KeyId;
use skybru_protocol::jose::{Algorithm, Jwk, JwkError, VerifyingKey};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::certificate;
use crate::{CertificateError, SignError};

/// The public half of a key elsewhere, under a name of ours. Every signature that comes back is checked with it: a holder that was
/// pointed to another key must not put tokens into the world that nobody can verify.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) holder: String,
    pub(crate) kid: KeyId,
    pub(crate) algorithm: Algorithm,
    pub(crate) public: Jwk,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    verifying: VerifyingKey,
}

/// Why a key elsewhere cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeldKeyError {
    /// Of no family that skybru signs with.
    #[error("the key is neither an RSA key of 2048 to 8192 bits nor one on the curve P-256")]
    Family,
    /// Its public half cannot be read.
    #[error("the public key that came back cannot be read")]
    PublicKey,
    /// Its numbers.
    #[error("the public key that came back is wrong: {0}")]
    Numbers(#[from] JwkError),
    /// The certificates beside it.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Held {
    /// `public` is an RSA or P-256 key with or without id and algorithm; `certificates` may be empty.
    pub(crate) fn new(
        holder: String,
        mut public: Jwk,
        kid: Option<&KeyId>,
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<Self, HeldKeyError> {
        let algorithm = match (public.kty.as_str(), public.crv.as_deref()) {
            ("RSA", _) => Algorithm::RS256,
            ("EC", Some("P-256")) => Algorithm::ES256,
            _ => return Err(HeldKeyError::Family),
        };
        let verifying = VerifyingKey::from_jwk(&public)?;
        let kid = match kid {
            Some(kid) => kid.clone(),
            None => public.thumbprint()?.parse().map_err(|_| HeldKeyError::PublicKey)?,
        };
        certificate::check(&certificates, &public)?;
        public.kid = Some(kid.to_string());
        public.alg = Some(algorithm.name().to_owned());
        public.usage = Some("sig".to_owned());
        Ok(Self { holder, kid, algorithm, public, certificates, verifying })
    }

    /// Lets a signature pass that belongs to the key.
    pub(crate) fn checked(&self, message: &[u8], signature: Vec<u8>) -> Result<Vec<u8>, SignError> {
        match self.verifying.verify(self.algorithm, message, &signature) {
            Ok(()) => Ok(signature),
            Err(_) => Err(SignError::WrongSignature { holder: self.holder.clone(), kid: self.kid.clone() }),
        }
    }
}

/// A public key in the form of certificates (`SubjectPublicKeyInfo`, DER), without id.
pub(crate) fn jwk_from_spki(der: &[u8]) -> Result<Jwk, HeldKeyError> {
    let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| HeldKeyError::PublicKey)?;
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => Ok(Jwk::rsa("", "", certificate::stripped(rsa.modulus), certificate::stripped(rsa.exponent))),
        Ok(PublicKey::EC(point)) => jwk_from_point(point.data()),
        _ => Err(HeldKeyError::Family),
    }
}

/// A public key on P-256 as an uncompressed point.
pub(crate) fn jwk_from_point(point: &[u8]) -> Result<Jwk, HeldKeyError> {
    match point.split_first() {
        Some((4, numbers)) if numbers.len() == 64 => Ok(Jwk::p256("", "", &numbers[..32], &numbers[32..])),
        _ => Err(HeldKeyError::Family),
    }
}
