//! D-16: a token of one environment and a set-up for another.

use crate::finding::{Finding, Who};

/// Labels of a host that tell environments apart.
const LABELS: [&str; 9] = ["test", "dev", "ver", "ver2", "systest", "staging", "atest", "prod", "preprod"];

/// Last labels that stand for a whole environment: an issuer's `.dev` twin.
const TWIN_ENDINGS: [&str; 2] = ["no", "dev"];

/// D-16, when the token's issuer and the one that the cloud has (with or without `https://`) are the same service in two environments.
///
/// ```
/// use skybru_federation::lint::other_environment;
/// assert_eq!(other_environment("https://test.sky.maskinporten.no", "sky.maskinporten.no").unwrap().rule, "D-16");
/// assert!(other_environment("https://sky.maskinporten.no", "sky.maskinporten.no/").is_none());
/// assert!(other_environment("https://a.no", "https://b.no").is_none());
/// ```
pub fn other_environment(token_issuer: &str, configured: &str) -> Option<Finding> {
    let (ours, theirs) = (host(token_issuer), host(configured));
    if ours.eq_ignore_ascii_case(theirs) || service(ours) != service(theirs) {
        return None;
    }
    let what = format!("the token is of another environment than the cloud trusts{}", super::at(configured, token_issuer));
    let fix = format!("fetch the token from {theirs}, or register {token_issuer} with the cloud");
    Some(Finding::new("D-16", Who::Consumer, what, fix).compared(configured, token_issuer))
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or_default()
}

/// The host's labels without those that name an environment.
fn service(host: &str) -> Vec<String> {
    let mut labels: Vec<String> = host.to_lowercase().split('.').map(str::to_owned).collect();
    labels.retain(|label| !LABELS.contains(&label.as_str()));
    labels.pop_if(|last| TWIN_ENDINGS.contains(&last.as_str()));
    labels
}
