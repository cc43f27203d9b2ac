//! Which business certificates are trusted, and whether they still count.
//!
//! An environment is told apart from another by its anchors: a test issuer trusts test authorities only, so that a production certificate
//! means nothing to it, and the other way round.
//!
//! Clients mostly send their own certificate alone, so the way to an anchor is completed from configured intermediates. The way itself is
//! checked by `rustls-webpki`; what the certificate says is read by [`skybru_protocol::certificate`].

mod links;
mod ocsp;
mod revocation;

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use skybru_protocol::certificate::{BusinessCertificate, CertificateChain, CertificateError, ClientAmr};
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};

use crate::fetch::Fetch;
use links::Link;
use revocation::Cache;

/// How authorities may sign certificates: RSA and ECDSA as they are in use, and nothing with SHA-1.
static SUPPORTED: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
];

/// An authority that is trusted.
#[derive(Debug, Clone)]
pub struct Anchor {
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// What `client_amr` says of its certificates, whatever they say of themselves.
    pub client_amr: Option<ClientAmr>,
}

/// What happens when nobody can tell whether a certificate is revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Revocation {
    /// It is refused.
    #[default]
    Required,
    /// It is accepted, and the log says so.
    IfAvailable,
    /// Nobody is asked. For tests and closed networks.
    Off,
}

/// Why a certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// It cannot be read, or is none of an organisation.
    #[error(transparent)]
    Contents(#[from] CertificateError),
    /// No way to an anchor, expired, or signed wrongly.
    #[error("no trusted authority vouches for the certificate: {0}")]
    Path(String),
    /// No authority is trusted here at all.
    #[error("this issuer trusts no certificate authority")]
    NoAnchors,
    /// Revoked.
    #[error("the certificate is revoked")]
    Revoked,
    /// An authority on the way to the anchor is.
    #[error("the certificate of an authority between it and its anchor is revoked")]
    AuthorityRevoked,
    /// Nobody could tell.
    #[error("nobody could tell whether the certificate is revoked: {0}")]
    Unknown(String),
    /// A registered key is locked to a certificate of another key.
    #[error("the certificate is not that of the registered key")]
    OtherKey,
}

/// Why the settings' certificates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// An anchor cannot be read.
    #[error("anchor {0} is no certificate")]
    Anchor(usize),
    /// An intermediate cannot be read.
    #[error("intermediate {0} is no certificate")]
    Intermediate(usize),
}

/// The trusted authorities of one environment.
pub struct Certificates {
    anchors: Vec<(TrustAnchor<'static>, Option<ClientAmr>)>,
    intermediates: Vec<CertificateDer<'static>>,
    revocation: Revocation,
    fetch: Arc<dyn Fetch>,
    /// How long an answer about revocation is believed at most, in seconds.
    cache_seconds: i64,
    cache: Cache,
}

/// A certificate that leads to an anchor. Whether it is revoked is another question.
#[derive(Debug)]
pub struct TrustedCertificate {
    /// What it says.
    pub contents: BusinessCertificate,
    /// How its holder is said to have authenticated.
    pub amr: ClientAmr,
    chain: CertificateChain,
    /// From the anchor's side down to the certificate itself.
    links: Vec<Link>,
}

/// Seals are made for all kinds of purposes; which ones a certificate names does not matter here.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

impl Certificates {
    /// Trusts `anchors`. `intermediates`, DER, lead from certificates to them. What is fetched about revocation is believed for
    /// `cache_seconds` at most.
    pub fn new(
        anchors: &[Anchor],
        intermediates: &[Vec<u8>],
        revocation: Revocation,
        cache_seconds: u32,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self, AnchorError> {
        let read = |(place, anchor): (usize, &Anchor)| {
            let der = CertificateDer::from(anchor.certificate.as_slice());
            let read = anchor_from_trusted_cert(&der).map_err(|_| AnchorError::Anchor(place))?;
            Ok((read.to_owned(), anchor.client_amr))
        };
        let anchors = (1..).zip(anchors).map(read).collect::<Result<_, _>>()?;
        let intermediates: Vec<CertificateDer<'static>> = intermediates.iter().cloned().map(CertificateDer::from).collect();
        for (place, intermediate) in (1..).zip(&intermediates) {
            anchor_from_trusted_cert(intermediate).map_err(|_| AnchorError::Intermediate(place))?;
        }
        Ok(Self { anchors, intermediates, revocation, fetch, cache_seconds: cache_seconds.into(), cache: Cache::default() })
    }

    /// Checks a chain: its first certificate is an organisation's, valid at `now` (seconds since 1970), and leads to an anchor.
    pub fn check(&self, chain: CertificateChain, now: i64) -> Result<TrustedCertificate, CertificateProblem> {
        if self.anchors.is_empty() {
            return Err(CertificateProblem::NoAnchors);
        }
        let contents = BusinessCertificate::from_der(chain.leaf())?;
        let anchors: Vec<TrustAnchor<'_>> = self.anchors.iter().map(|(anchor, _)| anchor.clone()).collect();
        let along = self.along(&chain);
        let leaf = CertificateDer::from(chain.leaf());
        let path_problem = |error: webpki::Error| CertificateProblem::Path(format!("{error:?}"));
        let certificate = EndEntityCert::try_from(&leaf).map_err(path_problem)?;
        let path =
            certificate.verify_for_usage(SUPPORTED, &anchors, &along, unix(now), AnyPurpose, None, None).map_err(path_problem)?;
        let found = path.anchor();
        let overridden = self.anchors.iter().find(|(anchor, _)| anchor == found).and_then(|(_, amr)| *amr);
        let links = Link::along(&path, &contents).ok_or_else(|| CertificateProblem::Path("UnreadableAuthority".to_owned()))?;
        let amr = overridden.unwrap_or(contents.amr);
        Ok(TrustedCertificate { contents, amr, chain, links })
    }

    /// The certificates between: those that were sent along, and our own.
    fn along<'a>(&'a self, chain: &'a CertificateChain) -> Vec<CertificateDer<'a>> {
        let sent = chain.intermediates().iter().map(|der| CertificateDer::from(der.as_slice()));
        let ours = self.intermediates.iter().map(|der| CertificateDer::from(der.as_ref()));
        sent.chain(ours).collect()
    }
}

fn unix(now: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)))
}
