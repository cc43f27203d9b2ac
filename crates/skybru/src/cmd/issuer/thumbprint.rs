//! `skybru issuer thumbprint`.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use aws_lc_rs::digest;
use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::{Call, Outcome};
use super::Place;
use super::folder::Folder;

/// Arguments of `issuer thumbprint`.
#[derive(Debug, Args)]
pub(super) struct ThumbprintArgs {
    #[command(flatten)]
    place: Place,
    /// Another address than the issuer's own, such as `https://sky.maskinporten.no`
    #[arg(long, value_name = "URL")]
    url: Option<url::Url>,
}

/// of the last certificate that the host of the key set sends. AWS asks for it only where the chain is not publicly trusted.
pub(super) async fn run(call: &Call, args: ThumbprintArgs) -> Result<Outcome> {
    let url = match args.url {
        Some(url) => url,
        None => Folder::open(call, &args.place.dir)?.settings.url.as_str().parse().context("the issuer's URL")?,
    };
    let host = url.host_str().context("the URL has no host")?.to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let chain = chain(&host, port).await.with_context(|| format!("cannot look at the certificates of {host}:{port}"))?;
    let last = chain.last().with_context(|| format!("{host}:{port} sends no certificate"))?;
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, last);
    let thumbprint = sha1.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    if call.printer.json {
        call.printer.object(&json!({"host": host, "port": port, "thumbprint": thumbprint, "certificates": chain.len()}))?;
    } else {
        call.printer.data(&thumbprint)?;
    }
    Ok(Outcome::Done)
}

/// The certificates that a host sends, believed or not: they are only looked at, and nothing is sent to it.
async fn chain(host: &str, port: u16) -> Result<Vec<CertificateDer<'static>>> {
    let looker = Arc::new(Looker { seen: Mutex::default(), provider: Arc::new(provider::default_provider()) });
    let config = ClientConfig::builder_with_provider(looker.provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(looker.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).context("the host is no name")?;
    let handshake = async {
        let stream = TcpStream::connect((host, port)).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), handshake)
        .await
        .context("it does not answer within 10 seconds")??;
    let seen = looker.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(seen)
}

/// Notes the chain instead of judging it.
#[derive(Debug)]
struct Looker {
    seen: Mutex<Vec<CertificateDer<'static>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Looker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|certificate| certificate.clone().into_owned());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
