//! The certificates of a way to an anchor, each with what it takes to ask about it.

use rustls_pki_types::TrustAnchor;
use skybru_protocol::certificate::{BusinessCertificate, RevocationSources};
use webpki::VerifiedPath;
use x509_cert::der::{AnyRef, Encode, Tag};

use super::CertificateProblem;

/// One certificate on the way, and the key of the authority that issued it.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// DER.
    pub(super) certificate: Vec<u8>,
    /// The issuing authority's key, DER.
    pub(super) issuer_key: Vec<u8>,
    pub(super) sources: RevocationSources,
    /// Not the client's own, but an authority's.
    pub(super) is_authority: bool,
}

impl Link {
    /// From the anchor's side down to the client's own certificate: what an authority says counts only while it counts itself. `None`
    /// when one of them cannot be read. The anchor is no link: whether it counts is for the settings to say.
    pub(super) fn along(path: &VerifiedPath<'_>, own: &BusinessCertificate) -> Option<Vec<Self>> {
        let mut links = Vec::new();
        let mut issuer_key = key_of(path.anchor())?;
        for authority in path.intermediate_certificates().rev() {
            let certificate = authority.der().to_vec();
            let sources = RevocationSources::from_der(&certificate)?;
            let own_key = authority.subject_public_key_info().as_ref().to_vec();
            links.push(Self { certificate, issuer_key, sources, is_authority: true });
            issuer_key = own_key;
        }
        let certificate = path.end_entity().der().to_vec();
        links.push(Self { certificate, issuer_key, sources: own.revocation.clone(), is_authority: false });
        Some(links)
    }

    /// What it means that this one is revoked.
    pub(super) fn revoked(&self) -> CertificateProblem {
        if self.is_authority { CertificateProblem::AuthorityRevoked } else { CertificateProblem::Revoked }
    }
}

/// An anchor holds its key without tag and length.
fn key_of(anchor: &TrustAnchor<'_>) -> Option<Vec<u8>> {
    AnyRef::new(Tag::Sequence, &anchor.subject_public_key_info).ok()?.to_der().ok()
}
