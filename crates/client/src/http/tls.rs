//! Whom to trust: the machine's roots, and perhaps one more CA.
//!
//! The machine's roots are read and parsed only when a server presents a certificate that the extra CA did not issue. Reading 144 of
//! them was measured at 2 ms with a warm file cache and 6 to 9 ms with a cold one, which a command-line call against the lab, or one
//! that needs no network, does not pay.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Why the extra CA cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// Not PEM, or PEM of something else.
    #[error("the CA file holds no certificate: expected -----BEGIN CERTIFICATE-----")]
    Empty,
    /// One of the certificates is broken.
    #[error("a certificate in the CA file cannot be read")]
    Broken(#[source] rustls::Error),
    /// The TLS library refuses.
    #[error("TLS cannot be set up")]
    Library(#[source] rustls::Error),
}

/// The TLS settings of every client.
pub fn config(ca_pem: Option<&str>) -> Result<ClientConfig, CaError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let extra = ca_pem.map(|pem| extra_roots(pem, &provider)).transpose()?;
    let verifier = Arc::new(Verifier { extra, machine: OnceLock::new(), provider: provider.clone() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(CaError::Library)?
        // "Dangerous" because a verifier could accept anything; this one only chooses between two strict ones.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn extra_roots(pem: &str, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, CaError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| CaError::Empty)?;
        roots.add(certificate).map_err(CaError::Broken)?;
    }
    if roots.is_empty() {
        return Err(CaError::Empty);
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| CaError::Library(rustls::Error::General(error.to_string())))
}

#[derive(Debug)]
struct Verifier {
    extra: Option<Arc<WebPkiServerVerifier>>,
    machine: OnceLock<Result<rustls_platform_verifier::Verifier, rustls::Error>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn machine(&self) -> Result<&rustls_platform_verifier::Verifier, &rustls::Error> {
        let load = || rustls_platform_verifier::Verifier::new(self.provider.clone());
        self.machine.get_or_init(load).as_ref()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(extra) = &self.extra {
            match extra.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                // Not issued by the extra CA, or by another one of the same name, as after a lab was made anew: the machine's roots
                // decide.
                Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {}
                // Issued by it, or wrong in a way that more roots cannot mend.
                decided => return decided,
            }
        }
        match self.machine() {
            Ok(machine) => machine.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            // A container without any roots: the remedy is the same as for an issuer that is not among them.
            Err(error) => {
                tracing::warn!(%error, "this machine trusts no certificate issuers");
                Err(CertificateError::UnknownIssuer.into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
