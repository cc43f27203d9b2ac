//! D-04: the chain that a server presents, judged with public roots only, as the clouds judge it.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use skybru_federation::{Finding, Severity, Who};
use url::Url;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::report::Report;
use crate::presented::{presented_chain, thumbprint};

const PATIENCE: Duration = Duration::from_secs(5);
/// Two weeks: time to renew in.
const SOON_SECONDS: i64 = 14 * 86_400;

/// Looks at the chain behind an address. The SHA-1 of its last certificate, if no public root vouches for it.
pub(super) async fn lint(address: &str, now: i64, report: &mut Report) -> Option<String> {
    let url = Url::parse(address).ok().filter(|url| url.scheme() == "https")?;
    let host = url.host_str()?;
    let chain = match presented_chain(host, url.port_or_known_default()?, PATIENCE).await {
        Ok(chain) if !chain.is_empty() => chain,
        // That the host cannot be reached has been said where its document was fetched.
        _ => return None,
    };
    lint_order(host, &chain, report);
    lint_dates(host, &chain, now, report);
    let reason = vouched_for(host, &chain, now).err()?;
    if is_local(&url) {
        let what = format!("{host} is this machine: its chain is private, and no real cloud can fetch from it");
        let finding = Finding::new(
            "D-04",
            Who::Issuer,
            what,
            "good enough for a lab; publish the documents on the internet for real clouds",
        );
        report.push(host, finding.severity(Severity::Advice));
    } else {
        let what = format!("no public root vouches for the chain of {host}: {reason}");
        let fix = if chain.len() == 1 {
            "serve the intermediate certificates after the server's own, in order"
        } else {
            "use a certificate of a public authority; AWS alone takes a private one, by its thumbprint"
        };
        report.push(host, Finding::new("D-04", Who::Issuer, what, fix));
    }
    chain.last().map(thumbprint)
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Each certificate must be issued by the next; one too many stands in the way of AWS's console.
fn lint_order(host: &str, chain: &[CertificateDer<'_>], report: &mut Report) {
    let parsed: Vec<X509Certificate<'_>> = chain.iter().filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1)).collect();
    let broken = parsed.windows(2).position(|pair| pair[0].issuer().as_raw() != pair[1].subject().as_raw());
    if let Some(place) = broken {
        let what = format!(
            "certificate {} of {host} is not issued by the next one: the chain is out of order, or has one too many",
            place + 1
        );
        let finding = Finding::new("D-04", Who::Issuer, what, "serve the server's own certificate first, then each one's issuer");
        report.push(host, finding.severity(Severity::Warning));
    }
}

fn lint_dates(host: &str, chain: &[CertificateDer<'_>], now: i64, report: &mut Report) {
    for der in chain {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { continue };
        let left = certificate.validity().not_after.timestamp().saturating_sub(now);
        if left < SOON_SECONDS {
            let severity = if left < 0 { Severity::Error } else { Severity::Warning };
            let what = if left < 0 {
                format!("a certificate of {host} expired {} days ago: {}", left.unsigned_abs() / 86_400, certificate.subject())
            } else {
                format!("a certificate of {host} expires in {} days: {}", left / 86_400, certificate.subject())
            };
            report.push(host, Finding::new("D-04", Who::Issuer, what, "renew it").severity(severity));
        }
    }
}

/// Whether this machine's public roots vouch for the chain; else why not.
fn vouched_for(host: &str, chain: &[CertificateDer<'_>], now: i64) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| "this machine has no public roots".to_owned())?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or_default()));
    let (leaf, rest) = chain.split_first().ok_or_else(|| "no certificate".to_owned())?;
    verifier.verify_server_cert(leaf, rest, &name, &[], now).map(|_| ()).map_err(|error| error.to_string())
}
