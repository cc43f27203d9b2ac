//! Asking Google and Azure what they have been told, as an administrator whose access token is at hand.
//!
//! A bearer token is the right itself, so it goes to the cloud's own address or to this machine, and to nobody else that a settings file
//! may name.

use http::Method;
use serde_json::Value;
use skybru_client::http::Http;
use skybru_core::Secret;

use super::report::Report;

/// An API with the token that it is called with.
pub(super) struct Api<'a> {
    pub(super) http: &'a Http,
    pub(super) bearer: Secret,
    /// How findings and notes call it.
    pub(super) name: &'static str,
}

/// What an API says of one thing.
pub(super) enum Said {
    /// What it is.
    Yes(Value),
    /// It is not there.
    Absent,
    /// The token may not look, or nobody answered; a note says so.
    Unknown,
}

impl Api<'_> {
    /// Asks for `what`, which is how a note calls it.
    pub(super) async fn ask(&self, method: Method, url: &str, body: Option<&Value>, what: &str, report: &mut Report) -> Said {
        let answer = match self.http.call(method, url, &self.bearer, body).await {
            Ok(answer) => answer,
            Err(error) => {
                report.note(format!("{} does not say what it knows of {what}: {error}", self.name));
                return Said::Unknown;
            }
        };
        match answer.status.as_u16() {
            200 => match answer.json() {
                Ok(value) => Said::Yes(value),
                Err(error) => {
                    report.note(format!("{} answers something else than {what}: {error}", self.name));
                    Said::Unknown
                }
            },
            404 => Said::Absent,
            status => {
                let error: Value = answer.json().unwrap_or_default();
                let words = ["/error/message", "/error/code"].iter().find_map(|place| error.pointer(place)?.as_str());
                let words = words.map_or_else(|| format!("status {status}"), str::to_owned);
                report.note(format!(
                    "{} does not show {what} to the token at hand ({words}); what needs it is not looked at",
                    self.name
                ));
                Said::Unknown
            }
        }
    }
}

/// Whether a bearer token may be sent there: to one of the cloud's own hosts, or to this machine.
pub(super) fn may_have_the_token(url: &str, own: &[&str]) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let is_own = |host: &str| url.scheme() == "https" && own.iter().any(|own| host == *own || host.ends_with(&format!(".{own}")));
    match url.host() {
        Some(url::Host::Domain(host)) => host == "localhost" || is_own(host),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrators_token_goes_to_the_cloud_and_to_this_machine_alone() {
        let may = |url| may_have_the_token(url, &["googleapis.com"]);
        assert!(may("https://iam.googleapis.com/v1") && may("http://localhost:7412") && may("http://127.0.0.1:7412"));
        for other in [
            "https://googleapis.com.example.no",
            "https://evilgoogleapis.com",
            "http://iam.googleapis.com",
            "https://10.0.0.1",
            "x",
        ] {
            assert!(!may(other), "{other}");
        }
    }
}
