//! The lab's own certificate authority, and the certificate of its servers.
//!
//! The authority lasts as long as the data folder, so that a client which trusts it keeps trusting it; servers get a new certificate at
//! every start. Servers send the authority's certificate too: AWS takes the fingerprint of the *last* certificate in the chain.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use aws_lc_rs::digest;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::files;

/// What the lab serves TLS with.
pub(crate) struct Tls {
    /// For every server of the lab.
    pub(crate) config: Arc<ServerConfig>,
    /// The authority's certificate, PEM.
    pub(crate) ca_pem: String,
    /// SHA-1 of the authority's certificate in lower-case hexadecimal: the thumbprint that AWS asks for.
    pub(crate) thumbprint: String,
}

const CA_CERTIFICATE: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";

impl Tls {
    /// Reads the authority in `folder`, or makes one, and issues a certificate for this machine's own names.
    pub(crate) fn prepare(folder: &Path, now: Timestamp) -> Result<Self> {
        let (ca_pem, ca_key) = authority(folder, now)?;
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, ca_key).context("the lab's CA certificate cannot be used")?;

        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut server = CertificateParams::new(names).context("making the lab's server certificate")?;
        server.distinguished_name.push(DnType::CommonName, "localhost");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        limit(&mut server, now, 300);
        let key = KeyPair::generate().context("making the lab's server key")?;
        let certificate = server.signed_by(&key, &issuer).context("signing the lab's server certificate")?;

        let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).context("the lab's CA certificate cannot be read")?;
        let thumbprint = hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &ca).as_ref());
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let mut config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone(), ca], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), ca_pem, thumbprint })
    }
}

fn authority(folder: &Path, now: Timestamp) -> Result<(String, KeyPair)> {
    let (certificate, key) = (folder.join(CA_CERTIFICATE), folder.join(CA_KEY));
    if certificate.is_file() && key.is_file() {
        let key = KeyPair::from_pem(&files::read(&key)?).context("the lab's CA key cannot be read")?;
        return Ok((files::read(&certificate)?, key));
    }
    let pair = KeyPair::generate().context("making the lab's CA key")?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "skybru lab, for this machine only");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    limit(&mut params, now, 3650);
    let made = params.self_signed(&pair).context("making the lab's CA certificate")?;
    files::write_private(&key, pair.serialize_pem().as_bytes())?;
    files::write(&certificate, made.pem().as_bytes())?;
    Ok((made.pem(), pair))
}

/// Valid from yesterday, because clocks differ, for `days`.
fn limit(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let day = |days: i64| {
        let date = now.to_zoned(TimeZone::UTC).date().saturating_add(days.days());
        date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    (params.not_before, params.not_after) = (day(-1), day(days));
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_stays_and_the_server_certificate_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let (first, second) = (Tls::prepare(folder.path(), now).unwrap(), Tls::prepare(folder.path(), now).unwrap());
        assert_eq!(first.ca_pem, second.ca_pem);
        assert_eq!(first.thumbprint.len(), 40);
    }
}
