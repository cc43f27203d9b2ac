//! The issuer's documents as a cloud fetches them: how fast, by which way, with which chain, and by which clock (D-03, D-04, D-13).

use std::time::Duration;

use anyhow::Result;
use skybru_client::http::{Http, HttpAnswer, HttpError, HttpOptions};
use skybru_core::IssuerUrl;
use skybru_federation::{Finding, Severity, Who};
use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;
use tokio::time::Instant;
use url::Url;

use super::report::Report;
use super::{Call, served_chain};

/// a cloud waits this long.
const PATIENCE: Duration = Duration::from_secs(5);
/// What leaves no room for a bad day.
const SLOW: Duration = Duration::from_secs(2);
/// More hops than this nobody follows.
const MAX_HOPS: usize = 5;
/// Google forgives this many seconds (G-23).
const CLOCK_TOLERANCE: i64 = 60;
/// A key that was published less than this ago may not be everywhere yet (E-22).
const FRESH_KEY_SET: i64 = 3600;

/// What was fetched.
#[derive(Default)]
pub(super) struct Probe {
    pub(super) discovery: Option<DiscoveryDocument>,
    pub(super) keys: Option<JwkSet>,
    /// SHA-1 of the last certificate, if the chain is not publicly trusted.
    pub(super) private_chain: Option<String>,
    discovery_url: String,
    keys_url: String,
}

impl Probe {
    /// Where a rule's fault lies.
    pub(super) fn place_of(&self, rule: &str) -> Option<&str> {
        let place = match rule {
            "D-01" => &self.discovery_url,
            "D-06" | "D-07" => &self.keys_url,
            _ => return None,
        };
        Some(place.as_str()).filter(|place| !place.is_empty())
    }
}

/// An answer, and the way to it.
struct Fetched {
    answer: HttpAnswer,
    hops: Vec<String>,
    took: Duration,
}

/// Fetches discovery and key set, and looks at how they came.
pub(super) async fn probe(call: &Call, options: &HttpOptions, issuer: &IssuerUrl, report: &mut Report) -> Result<Probe> {
    let http = Http::new(options)?;
    let mut probe = Probe { discovery_url: issuer.endpoint(".well-known/openid-configuration"), ..Probe::default() };
    let now = call.system.ctx.clock.unix_seconds();
    if let Some(answer) = document(&http, &probe.discovery_url, report).await {
        lint_clock(&answer, now, &probe.discovery_url, report);
        probe.discovery = parsed(&answer, &probe.discovery_url, report);
    }
    if let Some(url) = probe.discovery.as_ref().and_then(|document| document.jwks_uri.clone()) {
        if let Some(answer) = document(&http, &url, report).await {
            lint_freshness(&answer, now, &url, report);
            probe.keys = parsed(&answer, &url, report);
        }
        // AWS looks at the chain of the host that serves the keys.
        if options.web_proxy.is_some() {
            report.note(format!("the chain of {url} is not looked at: a web proxy stands between"));
        } else {
            probe.private_chain = served_chain::lint(&url, now, report).await;
        }
        probe.keys_url = url;
    }
    Ok(probe)
}

/// D-03. `None` when there is nothing to read.
async fn document(http: &Http, url: &str, report: &mut Report) -> Option<HttpAnswer> {
    let Fetched { answer, hops, took } = match fetch(http, url).await {
        Ok(fetched) => fetched,
        Err(error) => {
            let fix = error
                .hint()
                .unwrap_or_else(|| "the document must be public: status 200, JSON, no redirect, within five seconds".to_owned());
            report.push(url, Finding::new("D-03", Who::Issuer, format!("{url} cannot be fetched: {error}"), fix));
            return None;
        }
    };
    let content_type =
        answer.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("no content type");
    report.note(format!("{url}: {}, {content_type}, {} ms", answer.status.as_u16(), took.as_millis()));
    let mut push = |what: String, fix: &str, severity| {
        report.push(url, Finding::new("D-03", Who::Issuer, what, fix).severity(severity));
    };
    if !hops.is_empty() {
        let what = format!("{url} redirects; clouds follow few redirects or none: {}", hops.join(" -> "));
        push(what, "answer 200 at the address itself", Severity::Error);
    }
    if took > PATIENCE {
        push(
            format!("the answer took {} ms; a cloud waits 5 s for both documents", took.as_millis()),
            "answer faster, for example from a cache",
            Severity::Error,
        );
    } else if took > SLOW {
        push(
            format!("the answer took {} ms; a cloud waits 5 s for both documents", took.as_millis()),
            "answer faster, for example from a cache",
            Severity::Warning,
        );
    }
    if answer.status.as_u16() != 200 {
        push(format!("{url} answers with status {}", answer.status.as_u16()), "answer 200", Severity::Error);
        return None;
    }
    if !content_type.contains("json") {
        push(format!("{url} is served as {content_type}"), "serve it as application/json", Severity::Warning);
    }
    Some(answer)
}

/// Fetches, and follows what points elsewhere to show the way.
async fn fetch(http: &Http, url: &str) -> Result<Fetched, HttpError> {
    let (mut address, mut hops) = (url.to_owned(), Vec::new());
    let start = Instant::now();
    loop {
        let answer = http.get(&address).await?;
        let next = answer.headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
        let next = next.filter(|_| answer.status.is_redirection()).and_then(|next| Url::parse(&address).ok()?.join(next).ok());
        match next {
            Some(next) if hops.len() < MAX_HOPS => {
                address = next.to_string();
                hops.push(address.clone());
            }
            _ => return Ok(Fetched { answer, hops, took: start.elapsed() }),
        }
    }
}

/// D-03: not the JSON that it should be.
fn parsed<T: serde::de::DeserializeOwned>(answer: &HttpAnswer, url: &str, report: &mut Report) -> Option<T> {
    match answer.json() {
        Ok(document) => Some(document),
        Err(error) => {
            let what = format!("{error}");
            report.push(url, Finding::new("D-03", Who::Issuer, what, "serve the JSON document, not a page"));
            None
        }
    }
}

/// D-13: this machine's clock against the issuer's `Date`.
fn lint_clock(answer: &HttpAnswer, now: i64, url: &str, report: &mut Report) {
    let Some(theirs) = date(answer, &http::header::DATE) else { return };
    let ahead = theirs.saturating_sub(now);
    if ahead.abs() > CLOCK_TOLERANCE {
        let seconds = ahead.unsigned_abs();
        let side = if ahead > 0 { "behind" } else { "ahead of" };
        let what = format!("this machine's clock is {seconds} s {side} the issuer's; Google forgives 60, AWS 300");
        let finding = Finding::new("D-13", Who::Consumer, what, "set this machine's clock (NTP); if it is right, the issuer's");
        report.push(url, finding.severity(Severity::Warning));
    }
}

/// D-05: a key set that changed within the hour.
fn lint_freshness(answer: &HttpAnswer, now: i64, url: &str, report: &mut Report) {
    let Some(age) = date(answer, &http::header::LAST_MODIFIED).map(|changed| now.saturating_sub(changed)) else { return };
    if (0..FRESH_KEY_SET).contains(&age) {
        let what = format!("the key set changed {} minutes ago; a cloud may still have the one before", age / 60);
        let finding = Finding::new("D-05", Who::Issuer, what, "let a new key be published for an hour before it signs");
        report.push(url, finding.severity(Severity::Advice));
    }
}

fn date(answer: &HttpAnswer, name: &http::HeaderName) -> Option<i64> {
    let text = answer.headers.get(name)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().as_second())
}
