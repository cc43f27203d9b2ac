//! How AWS trusts the TLS of an identity provider: public roots first, else the pinned thumbprints.
//!
//! A thumbprint is the SHA-1 of the *last* certificate that the server sends. When it is pinned, the chain must really lead up to
//! that certificate, for that host name; a pin is a private root, not a licence to skip verification.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use subtle::ConstantTimeEq;

use crate::hex::hex;

/// The SHA-1 of a certificate in lower-case hexadecimal, as IAM keeps it.
pub(crate) fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref())
}

/// What became of the certificate check, for whoever reads the failed request.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// No public root and no pinned thumbprint vouches for the chain.
    pub(crate) untrusted: bool,
    /// The thumbprint of the last certificate that the server sent.
    pub(crate) last_thumbprint: Option<String>,
}

/// A verifier for one fetch.
#[derive(Debug)]
struct PinningVerifier {
    public: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    pins: Pins,
    outcome: Arc<Mutex<Outcome>>,
}

/// Which chains without a public root are trusted.
#[derive(Debug, Clone)]
pub(crate) enum Pins {
    /// Those whose last certificate has one of these thumbprints.
    Thumbprints(Vec<String>),
    /// Any, because the thumbprint itself is being asked for.
    Any,
}

/// A client configuration that trusts as AWS does, and the place where it says what it saw.
pub(crate) fn client_config(roots: &Arc<RootCertStore>, pins: Pins) -> Result<(ClientConfig, Arc<Mutex<Outcome>>), Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let public = if roots.is_empty() {
        None
    } else {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider));
        Some(builder.build().map_err(|error| Error::General(error.to_string()))?)
    };
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let verifier = PinningVerifier { public, provider: Arc::clone(&provider), pins, outcome: Arc::clone(&outcome) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok((config, outcome))
}

impl PinningVerifier {
    /// Does the chain lead up to its own last certificate, for this host, today?
    fn leads_to_last(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let last = intermediates.last().unwrap_or(end_entity);
        let mut roots = RootCertStore::empty();
        roots.add(last.clone().into_owned())?;
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
        let verifier = builder.build().map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, &[], now)
    }
}

impl ServerCertVerifier for PinningVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let last = thumbprint(intermediates.last().unwrap_or(end_entity));
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.last_thumbprint = Some(last.clone());
        let public = self.public.as_ref();
        if public
            .is_some_and(|public| public.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).is_ok())
        {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.pins {
            Pins::Any => Ok(ServerCertVerified::assertion()),
            Pins::Thumbprints(pins) if pins.iter().any(|pin| pin.as_bytes().ct_eq(last.as_bytes()).into()) => {
                self.leads_to_last(end_entity, intermediates, server_name, now).inspect_err(|_| outcome.untrusted = true)
            }
            Pins::Thumbprints(_) => {
                outcome.untrusted = true;
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
