//! The credential file and the audience of the exchange: D-40, D-51 to D-53.

use serde_json::Value;

use super::Setup;
use crate::finding::{Finding, Severity, Who};
use crate::google::names::{ProviderName, RESOURCE_HOST};

pub(super) fn lint(setup: &Setup<'_>, token_text: Option<&str>, findings: &mut Vec<Finding>) {
    let text = |name: &str| setup.file.and_then(|file| file.get(name)).and_then(Value::as_str);
    if let Some(audience) = setup.audience.or_else(|| text("audience")) {
        lint_audience(audience, setup, findings);
    } else if setup.file.is_some() {
        let what = "the credential file has no audience";
        let fix = "write \"audience\": \"//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER\"";
        findings.push(Finding::new("D-40", Who::Consumer, what, fix));
    }
    let Some(file) = setup.file else { return };
    lint_kind(file, findings);
    if let Some(source) = file.get("credential_source") {
        lint_source(source, setup, token_text, findings);
    }
}

/// D-40.
fn lint_audience(audience: &str, setup: &Setup<'_>, findings: &mut Vec<Finding>) {
    let expected = setup.provider.map_or_else(
        || format!("{RESOURCE_HOST}projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"),
        |provider| provider.name.audience(),
    );
    let fix = format!("use the audience {expected}");
    let mut push = |who, what: String| {
        findings.push(Finding::new("D-40", who, what, fix.as_str()).compared(&expected, audience));
    };
    match ProviderName::from_audience(audience) {
        Err(error) if error.rule == "G-33" => {
            push(Who::Consumer, "the audience of the exchange has the project's id; Google takes its number".to_owned());
        }
        Err(_) => {
            push(
                Who::Consumer,
                "the audience of the exchange is not the provider's full resource name, beginning with //iam.googleapis.com/"
                    .to_owned(),
            );
        }
        Ok(name) => {
            if let Some(provider) = setup.provider.filter(|provider| provider.name != name) {
                let what = format!("the exchange names another provider{}", super::at(&provider.name.audience(), audience));
                push(Who::Consumer, what);
            }
        }
    }
}

/// The file's type and its members: D-53.
fn lint_kind(file: &Value, findings: &mut Vec<Finding>) {
    let text = |name: &str| file.get(name).and_then(Value::as_str);
    if let Some(kind) = text("type").filter(|kind| !["external_account", "external_account_authorized_user"].contains(kind)) {
        let what = "the credential file is of another type than external_account";
        let fix = "write it with: skybru credentials TARGET --format google-executable";
        findings.push(Finding::new("G-60", Who::Consumer, what, fix).compared("external_account", kind));
    }
    let workforce = text("audience").is_some_and(|audience| audience.contains("/workforcePools/"));
    match (text("workforce_pool_user_project"), workforce) {
        (Some(_), false) => {
            let what = "workforce_pool_user_project is set for a workload pool; Google's libraries refuse the file";
            findings.push(Finding::new("D-53", Who::Consumer, what, "remove workforce_pool_user_project from the file"));
        }
        (None, true) if text("type") == Some("external_account") => {
            let what = "the file is for a workforce pool and names no project that pays for the exchange";
            let fix = "add \"workforce_pool_user_project\": \"PROJECT\" with a project where you have serviceusage.services.use";
            findings.push(Finding::new("D-53", Who::Consumer, what, fix));
        }
        _ => {}
    }
}

/// D-51, D-52.
fn lint_source(source: &Value, setup: &Setup<'_>, token_text: Option<&str>, findings: &mut Vec<Finding>) {
    let format = source.get("format");
    let kind = format.and_then(|format| format.get("type")).and_then(Value::as_str).unwrap_or("text");
    let field = format.and_then(|format| format.get("subject_token_field_name")).and_then(Value::as_str);
    let mut push = |rule, what: String, fix: String| findings.push(Finding::new(rule, Who::Consumer, what, fix));
    match (kind, field) {
        ("json", None) => push(
            "D-51",
            "the source's format is json, and no field of it is named".to_owned(),
            "add \"subject_token_field_name\": \"access_token\" to the format".to_owned(),
        ),
        ("json" | "text", _) => {}
        (other, _) => {
            push("D-51", format!("the source's format is {other:?}; it is text or json"), "write text or json".to_owned());
        }
    }
    // What lies in the file, if that is what was given as token.
    if let (Some(held), true) = (token_text, source.get("file").is_some()) {
        let answer: Option<Value> = serde_json::from_str(held).ok().filter(Value::is_object);
        match (kind, &answer, field) {
            ("text", Some(_), _) => push(
                "D-51",
                "the token file holds JSON, and the source's format is text".to_owned(),
                "add \"format\": {\"type\": \"json\", \"subject_token_field_name\": \"access_token\"} to credential_source"
                    .to_owned(),
            ),
            ("json", None, _) => push(
                "D-51",
                "the token file holds a bare token, and the source's format is json".to_owned(),
                "remove format from credential_source".to_owned(),
            ),
            ("json", Some(answer), Some(field)) if answer.get(field).and_then(Value::as_str).is_none() => push(
                "D-51",
                format!("the token file has no field {field:?} with a text in it"),
                "name the field that holds the token; in Maskinporten's answer that is access_token".to_owned(),
            ),
            _ => {}
        }
    }
    if let Some(executable) = source.get("executable") {
        lint_executable(executable, setup.executables_allowed, findings);
    }
}

/// D-52.
fn lint_executable(executable: &Value, allowed: Option<bool>, findings: &mut Vec<Finding>) {
    if allowed == Some(false) {
        let what = "the source is an executable, and executables are not allowed here";
        let fix = "export GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1";
        findings.push(Finding::new("D-52", Who::Consumer, what, fix));
    }
    let command = executable.get("command").and_then(Value::as_str).unwrap_or_default();
    if command.is_empty() {
        findings.push(Finding::new("D-52", Who::Consumer, "the executable source has no command", "write the command to run"));
    } else if command.contains(['"', '\'', '\\']) {
        // G-66: it is split at blanks, and quotes stay in it.
        let what = "the executable's command is quoted; Google's Python library splits it at every blank and keeps the quotes";
        let finding = Finding::new("D-52", Who::Consumer, what, "use a path without blanks, and no quotes");
        findings.push(Finding { found: Some(command.to_owned()), ..finding });
    }
    let timeout = executable.get("timeout_millis").and_then(Value::as_i64);
    if let Some(timeout) = timeout.filter(|timeout| !(5_000..=120_000).contains(timeout)) {
        let what = "the executable's timeout must be 5 to 120 seconds";
        let finding = Finding::new("D-52", Who::Consumer, what, "write \"timeout_millis\": 30000");
        findings.push(finding.severity(Severity::Error).compared("5000 to 120000", timeout.to_string()));
    }
}
