//! `~/.aws/config` and `~/.aws/credentials`: D-28, D-29, D-35, D-36, A-90 to A-92.

use std::collections::BTreeMap;

use crate::aws::session::is_session_name;
use crate::finding::{Finding, Severity, Who};

/// Why a configuration could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwsConfigError {
    /// A line is neither a section, nor `key = value`, nor a comment.
    #[error("line {line} is neither [a section] nor key = value")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A key stands before the first section.
    #[error("line {line} stands before the first [section]")]
    Homeless {
        /// Counted from 1.
        line: usize,
    },
    /// No such profile.
    #[error("there is no profile {name:?}; there are: {known}")]
    Profile {
        /// The one that was asked for.
        name: String,
        /// Those that are there.
        known: String,
    },
}

type Keys = BTreeMap<String, String>;

/// Traps in the profiles of a configuration file; in one of them if it is named.
///
/// # Errors
/// The file cannot be read as the tools read it, or has no such profile.
pub fn lint_aws_config(text: &str, profile: Option<&str>) -> Result<Vec<Finding>, AwsConfigError> {
    let sections = parse(text)?;
    let mut findings = Vec::new();
    let mut names = Vec::new();
    for (section, keys) in &sections {
        let name = match section.split_once(char::is_whitespace) {
            Some(("profile", name)) => name.trim(),
            Some(_) => continue,
            None if section == "default" => "default",
            None => {
                // In the file of credentials a profile has no prefix.
                if keys.contains_key("role_arn") || keys.contains_key("credential_process") {
                    let what = format!(
                        "section [{section}] is no profile: in the configuration file a profile is called [profile {section}]"
                    );
                    findings.push(Finding::new("D-35", Who::Consumer, what, format!("write [profile {section}]")));
                }
                section
            }
        };
        names.push(name.to_owned());
        if profile.is_none_or(|wanted| wanted == name) {
            lint_profile(name, keys, &mut findings);
        }
    }
    if let Some(wanted) = profile.filter(|wanted| !names.iter().any(|name| name == wanted)) {
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(AwsConfigError::Profile { name: wanted.to_owned(), known });
    }
    Ok(findings)
}

/// Sections in their order, their keys in lower case. Indented lines belong to the key above and are left out: nothing here has them.
fn parse(text: &str) -> Result<Vec<(String, Keys)>, AwsConfigError> {
    let mut sections: Vec<(String, Keys)> = Vec::new();
    for (place, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default().trim();
            sections.push((name.to_owned(), Keys::new()));
            continue;
        }
        let indented = raw.starts_with([' ', '\t']);
        let Some((key, value)) = line.split_once('=') else {
            if indented {
                continue;
            }
            return Err(AwsConfigError::Line { line: place + 1 });
        };
        let Some((_, keys)) = sections.last_mut() else { return Err(AwsConfigError::Homeless { line: place + 1 }) };
        if !indented {
            keys.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    Ok(sections)
}

fn lint_profile(name: &str, keys: &Keys, findings: &mut Vec<Finding>) {
    let has = |key: &str| keys.get(key).is_some_and(|value| !value.is_empty());
    let mut push = |rule, what: String, fix: &str, severity| {
        findings.push(Finding::new(rule, Who::Consumer, format!("profile {name}: {what}"), fix).severity(severity));
    };
    if has("web_identity_token_file") && has("credential_process") {
        let what = "it has web_identity_token_file and credential_process; some tools take the former, some the latter (A-91)";
        push("D-35", what.to_owned(), "take one of them out", Severity::Error);
    }
    if has("aws_access_key_id") && (has("credential_process") || has("web_identity_token_file")) {
        let what = "a static access key stands beside a way to temporary credentials, and may win";
        push("D-36", what.to_owned(), "take aws_access_key_id and aws_secret_access_key out", Severity::Error);
    } else if has("aws_access_key_id") && !has("aws_session_token") {
        let what = "it has a long-lived access key; calls are made as its user, not as the role";
        push("D-36", what.to_owned(), "take it out, and use: credential_process = skybru credentials TARGET", Severity::Advice);
    }
    if has("web_identity_token_file") && !has("role_arn") {
        push("D-35", "it has web_identity_token_file and no role_arn".to_owned(), "add role_arn", Severity::Error);
    }
    if has("web_identity_token_file") && has("source_profile") {
        let what = "it has web_identity_token_file and source_profile; the latter is taken, and the token never sent";
        push("D-35", what.to_owned(), "take source_profile out", Severity::Error);
    }
    if let Some(session) = keys.get("role_session_name").filter(|session| !is_session_name(session)) {
        let what = format!("role_session_name is {session:?}; AWS takes 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -");
        push("D-28", what, "write 0192-NNNNNNNNN", Severity::Error);
    }
    if let Some(seconds) =
        keys.get("duration_seconds").filter(|text| text.parse::<u32>().is_ok_and(|s| !(900..=43_200).contains(&s)))
    {
        push("D-29", format!("duration_seconds is {seconds}; AWS takes 900 to 43200"), "write 3600", Severity::Error);
    }
    if let Some(command) = keys.get("credential_process") {
        lint_process(command, &mut push);
    }
}

/// the command is split as a shell would split it, and run without one.
fn lint_process(command: &str, push: &mut impl FnMut(&'static str, String, &str, Severity)) {
    let shell = [("~", "a home folder"), ("$", "a variable"), ("|", "a pipe"), (">", "a redirection"), ("`", "a command")];
    for (sign, meaning) in shell {
        if command.contains(sign) {
            let what = format!("credential_process has {sign:?}; no shell runs it, so that is {meaning} to nobody (A-92)");
            push("D-35", what, "write the full path, or put the command into a script of its own", Severity::Error);
        }
    }
    if command.is_empty() {
        push(
            "D-35",
            "credential_process is empty".to_owned(),
            "write: credential_process = skybru credentials TARGET",
            Severity::Error,
        );
    }
}
