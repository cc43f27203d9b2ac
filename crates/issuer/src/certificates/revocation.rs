//! Whether a trusted certificate has been revoked: OCSP first, lists then. Answers are kept for a while, so that a client that asks for
//! tokens all day is looked up now and then only. Every certificate on the way is looked up, each where it says itself; only the anchor,
//! which the settings name, is not.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use tokio::sync::Mutex;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_cert::der::{AnyRef, Decode};
use x509_cert::ext::pkix::crl::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

use super::links::Link;
use super::ocsp::{Status, Subject};
use super::{AnyPurpose, CertificateProblem, Certificates, Revocation, SUPPORTED, TrustedCertificate, unix};

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long it is remembered that nobody could tell, in seconds: short, but long enough to spare a responder that is down.
const UNKNOWN_SECONDS: i64 = 10;

/// The most answers, and the most lists, that are kept.
const KEPT: u64 = 10_000;
const KEPT_LISTS: u64 = 32;

/// A turn that nobody waits for is forgotten after this.
const TURN: Duration = Duration::from_mins(1);

type Fingerprint = [u8; 32];

/// Answers about certificates, and lists. Entries carry their own end: the clock is an argument here.
pub(super) struct Cache {
    answers: moka::sync::Cache<Fingerprint, (i64, Result<(), CertificateProblem>)>,
    lists: moka::sync::Cache<String, (i64, Arc<Vec<u8>>)>,
    /// Who asks about a certificate, or for a list. The others wait for the answer.
    turns: moka::sync::Cache<Fingerprint, Arc<Mutex<()>>>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            answers: moka::sync::Cache::new(KEPT),
            lists: moka::sync::Cache::new(KEPT_LISTS),
            turns: moka::sync::Cache::builder().max_capacity(KEPT).time_to_idle(TURN).build(),
        }
    }
}

impl Cache {
    /// One turn for each certificate, and for each list.
    fn turn(&self, of: Fingerprint) -> Arc<Mutex<()>> {
        self.turns.get_with(of, Arc::default)
    }
}

impl Certificates {
    /// Refuses a revoked certificate, one that a revoked authority issued, and one of which nobody can tell when that is asked for.
    /// `now` is in seconds since 1970.
    pub async fn check_revocation(&self, trusted: &TrustedCertificate, now: i64) -> Result<(), CertificateProblem> {
        if self.revocation == Revocation::Off {
            return Ok(());
        }
        for link in &trusted.links {
            self.check_link(trusted, link, now).await?;
        }
        Ok(())
    }

    async fn check_link(&self, trusted: &TrustedCertificate, link: &Link, now: i64) -> Result<(), CertificateProblem> {
        let fingerprint = fingerprint(&link.certificate);
        if let Some((until, known)) = self.cache.answers.get(&fingerprint).filter(|(until, _)| *until > now) {
            tracing::trace!(until, "revocation is known");
            return self.judge(known);
        }
        let turn = self.cache.turn(fingerprint);
        let _turn = turn.lock().await;
        if let Some((_, known)) = self.cache.answers.get(&fingerprint).filter(|(until, _)| *until > now) {
            return self.judge(known);
        }
        let (until, answer) = match self.ask(trusted, link, now).await {
            Ok(Status::Good { until }) => (until.min(now + self.cache_seconds), Ok(())),
            Ok(Status::Revoked) => (now + self.cache_seconds, Err(link.revoked())),
            Err(problem) => (now + UNKNOWN_SECONDS.min(self.cache_seconds), Err(CertificateProblem::Unknown(problem))),
        };
        self.cache.answers.insert(fingerprint, (until, answer.clone()));
        self.judge(answer)
    }

    fn judge(&self, answer: Result<(), CertificateProblem>) -> Result<(), CertificateProblem> {
        match answer {
            Err(CertificateProblem::Unknown(problem)) if self.revocation == Revocation::IfAvailable => {
                tracing::warn!(problem, "a certificate is accepted, though nobody could tell whether it is revoked");
                Ok(())
            }
            answer => answer,
        }
    }

    async fn ask(&self, trusted: &TrustedCertificate, link: &Link, now: i64) -> Result<Status, String> {
        let mut problems = Vec::new();
        for url in &link.sources.ocsp {
            match self.ask_ocsp(link, url, now).await {
                Ok(status) => return Ok(status),
                Err(problem) => problems.push(problem),
            }
        }
        for url in &link.sources.crl {
            match self.ask_list(trusted, link, url, now).await {
                Ok(status) => return Ok(status),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            let whose =
                if link.is_authority { "an authority's certificate between it and its anchor" } else { "the certificate" };
            problems.push(format!("{whose} names neither OCSP nor a list"));
        }
        Err(problems.join("; "))
    }

    async fn ask_ocsp(&self, link: &Link, url: &str, now: i64) -> Result<Status, String> {
        let subject =
            Subject { issuer_name: &link.sources.issuer_name, issuer_key: &link.issuer_key, serial: &link.sources.serial };
        let request = subject.request().ok_or("the OCSP question cannot be written")?;
        let fetched = tokio::time::timeout(TIMEOUT, self.fetch.post(url, "application/ocsp-request", request)).await;
        let body = fetched.map_err(|_| format!("{url}: no answer in time"))?.map_err(|error| error.to_string())?;
        subject.read(&body, now).map_err(|problem| format!("{url}: {problem}"))
    }

    async fn fetch_list(&self, url: &str, now: i64) -> Result<(i64, Arc<Vec<u8>>), String> {
        let turn = self.cache.turn(fingerprint(url.as_bytes()));
        let _turn = turn.lock().await;
        if let Some(kept) = self.cache.lists.get(url).filter(|(until, _)| *until > now) {
            return Ok(kept);
        }
        let fetched = tokio::time::timeout(TIMEOUT, self.fetch.get(url)).await;
        let body = fetched.map_err(|_| format!("{url}: no answer in time"))?.map_err(|error| error.to_string())?;
        let fresh = (now + self.cache_seconds, Arc::new(body));
        self.cache.lists.insert(url.to_owned(), fresh.clone());
        Ok(fresh)
    }

    /// Looks for the certificate in a list. The library walks the whole way again with the list in hand; of an authority it would also
    /// pass a list that says nothing about authorities, so that is looked at here.
    async fn ask_list(&self, trusted: &TrustedCertificate, link: &Link, url: &str, now: i64) -> Result<Status, String> {
        let (until, list) = self.fetch_list(url, now).await?;
        let wrong = |error: webpki::Error| format!("{url}: the list cannot be used: {error:?}");
        let list: CertRevocationList<'_> = BorrowedCertRevocationList::from_der(&list).map_err(wrong)?.into();
        let (depth, policy) = if link.is_authority {
            if !is_about_authorities(&list, &link.sources.issuer_name, url) {
                return Err(format!("{url}: the list is not about this authority"));
            }
            (RevocationCheckDepth::Chain, UnknownStatusPolicy::Allow)
        } else {
            (RevocationCheckDepth::EndEntity, UnknownStatusPolicy::Deny)
        };
        let lists = [&list];
        let options = RevocationOptionsBuilder::new(&lists).map_err(|_| "no list".to_owned())?;
        let options =
            options.with_depth(depth).with_status_policy(policy).with_expiration_policy(ExpirationPolicy::Enforce).build();
        let anchors: Vec<TrustAnchor<'_>> = self.anchors.iter().map(|(anchor, _)| anchor.clone()).collect();
        let along = self.along(&trusted.chain);
        let leaf = CertificateDer::from(trusted.chain.leaf());
        let certificate = EndEntityCert::try_from(&leaf).map_err(wrong)?;
        match certificate.verify_for_usage(SUPPORTED, &anchors, &along, unix(now), AnyPurpose, Some(options), None) {
            Ok(_) => Ok(Status::Good { until }),
            Err(webpki::Error::CertRevoked) => Ok(Status::Revoked),
            Err(error) => Err(wrong(error)),
        }
    }
}

/// Whether the list can tell about authorities that `issuer_name` (DER) certified and that name this address: it is that issuer's, and does
/// not restrict itself to other certificates or other addresses
/// ([RFC 5280, section 5.2.5](https://www.rfc-editor.org/rfc/rfc5280#section-5.2.5)).
fn is_about_authorities(list: &CertRevocationList<'_>, issuer_name: &[u8], url: &str) -> bool {
    if AnyRef::from_der(issuer_name).is_ok_and(|name| name.value() != list.issuer()) {
        return false;
    }
    let Some(scope) = list.issuing_distribution_point() else { return true };
    IssuingDistributionPoint::from_der(scope).is_ok_and(|scope| {
        let named = match &scope.distribution_point {
            None => true,
            Some(DistributionPointName::FullName(names)) => names
                .iter()
                .any(|name| matches!(name, GeneralName::UniformResourceIdentifier(address) if address.as_str() == url)),
            Some(DistributionPointName::NameRelativeToCRLIssuer(_)) => false,
        };
        named && !scope.only_contains_user_certs && !scope.only_contains_attribute_certs && !scope.indirect_crl
    })
}

fn fingerprint(der: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, der).as_ref());
    bytes
}
