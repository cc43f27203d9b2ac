//! The environment of Google's tools: G-64, G-70 to G-73.

use super::{Variables, is_local};
use crate::finding::{Finding, Severity, Who};

pub(super) fn lint(variables: Variables<'_>, findings: &mut Vec<Finding>) {
    let mut push = |rule, what: &str, fix: &str, severity| {
        findings.push(Finding::new(rule, Who::Consumer, what, fix).severity(severity));
    };
    let file = variables.has("GOOGLE_APPLICATION_CREDENTIALS");
    if file && variables.has("GCE_METADATA_HOST") {
        let what = "GOOGLE_APPLICATION_CREDENTIALS is set beside GCE_METADATA_HOST; the libraries take the file and ask no metadata server";
        push("G-73", what, "unset the one that is not meant", Severity::Warning);
    }
    if file && !variables.has("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE") {
        let what = "gcloud does not read GOOGLE_APPLICATION_CREDENTIALS; the libraries do";
        push("G-73", what, "for gcloud: gcloud auth login --cred-file=\"$GOOGLE_APPLICATION_CREDENTIALS\"", Severity::Advice);
    }
    if variables.has("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE") && variables.has("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE") {
        let what = "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE and CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE are both set; gcloud takes the former, which nobody refreshes";
        push("G-70", what, "unset CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", Severity::Warning);
    }
    if variables.has("CLOUDSDK_AUTH_TOKEN_HOST") {
        let what = "CLOUDSDK_AUTH_TOKEN_HOST changes nothing for a credential file of type external_account (G-71)";
        push("G-71", what, "write token_url into the file", Severity::Advice);
    }
    if let Some(host) = variables.get("STORAGE_EMULATOR_HOST") {
        let severity = if is_local(host) { Severity::Advice } else { Severity::Warning };
        let what = "STORAGE_EMULATOR_HOST sends the storage library elsewhere than to Google; gcloud does not read it (G-73)";
        push("G-73", what, "unset it when the real Google is meant", severity);
    }
}
