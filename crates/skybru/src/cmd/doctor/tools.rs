//! The consumer's machine: variables and files that the clouds' tools read.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use skybru_federation::lint::{LintInput, lint};
use skybru_federation::tools::{Variables, lint_aws_config, lint_environment};
use skybru_federation::{Finding, Severity, Who};

use super::report::Report;
use super::{Call, given, google};

/// The configuration file of AWS's tools, when no variable names another.
pub(super) const USUAL_CONFIG: &str = "~/.aws/config";

/// Variables that name a file with a token.
const TOKEN_FILES: [&str; 2] = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_FEDERATED_TOKEN_FILE"];

/// The variables, and the token files that they name.
pub(super) fn environment(call: &Call, report: &mut Report) {
    let variables = Variables::new(&call.system.env);
    for finding in lint_environment(variables) {
        report.push("the environment", finding);
    }
    google_file(call, variables, report);
    for name in TOKEN_FILES {
        let Some(path) = variables.get(name) else { continue };
        match given(call, Path::new(path)) {
            Ok(file) => {
                let place = format!("{path} ({name})");
                let now = Some(call.system.ctx.clock.unix_seconds());
                for finding in lint(LintInput { token_text: Some(&file.text), now, ..LintInput::default() }) {
                    report.push(&place, finding);
                }
            }
            Err(error) => {
                let what = format!("{name} names a file that cannot be read: {error:#}");
                let finding =
                    Finding::new("D-35", Who::Consumer, what, "write the token there: skybru token TARGET | tr -d '\\n' > FILE");
                report.push("the environment", finding);
            }
        }
    }
}

/// The credential file that Google's libraries read.
fn google_file(call: &Call, variables: Variables<'_>, report: &mut Report) {
    let Some(path) = variables.get("GOOGLE_APPLICATION_CREDENTIALS") else { return };
    let Ok(mut files) = google::Files::read(call, None, None, None) else { return };
    if let Err(error) = files.take_credential_file(call, Path::new(path)) {
        let what = format!("GOOGLE_APPLICATION_CREDENTIALS names a file that cannot be used: {error:#}");
        let fix = "write it with: skybru credentials TARGET --format google-file";
        report.push("the environment", Finding::new("D-51", Who::Consumer, what, fix));
        return;
    }
    let token = files.token_file(call);
    let now = Some(call.system.ctx.clock.unix_seconds());
    let token_text = token.as_ref().map(|token| token.text.as_str());
    let place = format!("{path} (GOOGLE_APPLICATION_CREDENTIALS)");
    for finding in lint(LintInput { token_text, now, google: Some(files.setup()), ..LintInput::default() }) {
        report.push(&place, finding);
    }
}

/// The configuration file of AWS's tools; with the usual path also where a variable says so.
pub(super) fn aws_config(call: &Call, path: &Path, profile: Option<&str>, report: &mut Report) -> Result<()> {
    let path = if path.as_os_str() == USUAL_CONFIG { usual_path(call) } else { path.to_path_buf() };
    let file = given(call, &path)?;
    let profile = profile.or_else(|| call.system.var("AWS_PROFILE"));
    let findings = lint_aws_config(&file.text, profile).with_context(|| format!("{} is not usable", file.place))?;
    if findings.iter().all(|finding| finding.severity == Severity::Advice) {
        report.note(format!("{}: the profiles have no traps", file.place));
    }
    for finding in findings {
        report.push(&file.place, finding);
    }
    Ok(())
}

/// `AWS_CONFIG_FILE`, else `~/.aws/config`.
fn usual_path(call: &Call) -> PathBuf {
    match call.system.var("AWS_CONFIG_FILE") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(call.system.var("HOME").unwrap_or(".")).join(".aws/config"),
    }
}
