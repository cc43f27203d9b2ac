//! The environment of AWS's tools: D-28, D-35, D-36, A-90 to A-95.
//!
//! Their order is: static keys, web identity, the configuration files, the container's endpoint. The first that is set wins, also when it
//! then fails.

use super::{Variables, is_local};
use crate::aws::session::is_session_name;
use crate::finding::{Finding, Severity, Who};

const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SESSION: &str = "AWS_SESSION_TOKEN";
const WEB_IDENTITY: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const CONTAINER: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const UNSET: &str = "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN";

pub(super) fn lint(variables: Variables<'_>, findings: &mut Vec<Finding>) {
    let mut push = |rule, what: String, fix: &str, severity| {
        findings.push(Finding::new(rule, Who::Consumer, what, fix).severity(severity));
    };
    if let Some(key) = variables.get(KEY_ID) {
        let losers: Vec<&str> = [WEB_IDENTITY, "AWS_PROFILE", CONTAINER].into_iter().filter(|name| variables.has(name)).collect();
        if !losers.is_empty() {
            let what =
                format!("{KEY_ID} is set beside {}; the static key wins, and the others are not looked at", losers.join(" and "));
            push("D-35", what, UNSET, Severity::Error);
        }
        match (key.starts_with("ASIA"), variables.has(SESSION)) {
            (true, false) => {
                let what = "AWS_ACCESS_KEY_ID is a temporary key (ASIA…), and AWS_SESSION_TOKEN is not set; AWS answers InvalidClientTokenId";
                push("D-36", what.to_owned(), UNSET, Severity::Error);
            }
            (false, true) => {
                let what = "AWS_SESSION_TOKEN is set beside a key that is not temporary (ASIA…); they do not belong together";
                push("D-36", what.to_owned(), UNSET, Severity::Error);
            }
            (false, false) => {
                let what = "a long-lived access key is in the environment; calls are made as its user, not as the role";
                push("D-36", what.to_owned(), UNSET, Severity::Warning);
            }
            (true, true) => {}
        }
        if !variables.has("AWS_SECRET_ACCESS_KEY") {
            let what = "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not; the tools stop there (partial credentials)";
            push("D-36", what.to_owned(), UNSET, Severity::Error);
        }
    }
    if variables.has(WEB_IDENTITY) && !variables.has("AWS_ROLE_ARN") {
        let what = format!("{WEB_IDENTITY} is set and AWS_ROLE_ARN is not; the tools stop there");
        push("D-35", what, "set AWS_ROLE_ARN to the role that the provider gave you", Severity::Error);
    }
    if variables.has(WEB_IDENTITY) && variables.has(CONTAINER) {
        let what = format!("{WEB_IDENTITY} is set beside {CONTAINER}; the token file wins (A-91)");
        push("D-35", what, "unset AWS_WEB_IDENTITY_TOKEN_FILE, or AWS_CONTAINER_CREDENTIALS_FULL_URI", Severity::Warning);
    }
    if let Some(name) = variables.get("AWS_ROLE_SESSION_NAME").filter(|name| !is_session_name(name)) {
        let what = format!("AWS_ROLE_SESSION_NAME is {name:?}; AWS takes 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -");
        push("D-28", what, "export AWS_ROLE_SESSION_NAME=0192-NNNNNNNNN", Severity::Error);
    }
    if let Some(url) = variables.get(CONTAINER) {
        lint_container(url, variables, &mut push);
    }
    if variables.has("AWS_REGION") && !variables.has("AWS_DEFAULT_REGION") {
        let what = "AWS_REGION is set and AWS_DEFAULT_REGION is not; version 1 of the aws CLI reads the latter only (A-95)";
        push("A-95", what.to_owned(), "export AWS_DEFAULT_REGION=\"$AWS_REGION\"", Severity::Advice);
    }
    let endpoints = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    for name in endpoints {
        if let Some(url) = variables.get(name).filter(|_| variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") != Some("true")) {
            let what = format!("{name} sends calls to {url}, not to AWS (A-94)");
            push("A-94", what, "unset it when the real AWS is meant", Severity::Advice);
        }
    }
}

///
fn lint_container(url: &str, variables: Variables<'_>, push: &mut impl FnMut(&'static str, String, &str, Severity)) {
    let known = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];
    let allowed =
        url.starts_with("https://") || is_local(url) || known.iter().any(|host| url.starts_with(&format!("http://{host}")));
    if !allowed {
        let what = format!("{CONTAINER} is http on another machine; the tools refuse that (A-93)");
        push("D-35", what, "use https, or an agent on this machine", Severity::Error);
    }
    let token = variables.has("AWS_CONTAINER_AUTHORIZATION_TOKEN") || variables.has("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    if is_local(url) && !token {
        let what = format!("{CONTAINER} is set without an authorization token; an agent refuses such calls");
        push("D-35", what, "set AWS_CONTAINER_AUTHORIZATION_TOKEN to what the agent printed", Severity::Warning);
    }
    if variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").is_some_and(|token| token.contains(['\n', '\r'])) {
        let what = "AWS_CONTAINER_AUTHORIZATION_TOKEN has a line feed; the tools stop at it (A-93)";
        push("D-19", what.to_owned(), "set it without the line feed", Severity::Error);
    }
}
