//! The environment of Azure's tools: E-70 to E-76.

use super::Variables;
use crate::finding::{Finding, Severity, Who};

const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

pub(super) fn lint(variables: Variables<'_>, findings: &mut Vec<Finding>) {
    let mut push = |rule, what: String, fix: &str, severity| {
        findings.push(Finding::new(rule, Who::Consumer, what, fix).severity(severity));
    };
    if variables.has(TOKEN_FILE) {
        let missing: Vec<&str> = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID"].into_iter().filter(|name| !variables.has(name)).collect();
        if !missing.is_empty() {
            let what = format!(
                "{TOKEN_FILE} is set and {} is not; the workload identity is then passed over without a word, and a later step fails instead",
                missing.join(" and ")
            );
            push("E-71", what, "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE together", Severity::Error);
        }
        let winners: Vec<&str> = ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME"]
            .into_iter()
            .filter(|name| variables.has(name))
            .collect();
        if !winners.is_empty() {
            let what = format!("{} is set beside {TOKEN_FILE}; DefaultAzureCredential takes it first", winners.join(" and "));
            push("E-71", what, "unset it", Severity::Error);
        }
    } else if variables.has("AZURE_TENANT_ID")
        && variables.has("AZURE_CLIENT_ID")
        && !["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"].iter().any(|name| variables.has(name))
    {
        let what = format!("AZURE_TENANT_ID and AZURE_CLIENT_ID are set, but neither {TOKEN_FILE} nor a secret");
        push("E-71", what, "set AZURE_FEDERATED_TOKEN_FILE to the file with the token", Severity::Warning);
    }
    if variables.get("AZURE_AUTHORITY_HOST").is_some_and(|host| host.starts_with("http://")) {
        let what = "AZURE_AUTHORITY_HOST is plain http; the libraries refuse that (E-72)".to_owned();
        push("E-72", what, "use https, and REQUESTS_CA_BUNDLE for a private authority", Severity::Error);
    }
    if variables.has("IDENTITY_ENDPOINT") && !variables.has("IDENTITY_HEADER") {
        let what =
            "IDENTITY_ENDPOINT is set and IDENTITY_HEADER is not; the managed identity is then asked for elsewhere".to_owned();
        push("E-76", what, "set IDENTITY_HEADER to what the agent printed", Severity::Error);
    }
}
