//! Credentials in the forms that other tools read. What these functions return holds secrets in clear.

mod aws;
mod azure;
mod google;

use jiff::Timestamp;
use serde::Serialize;
use skybru_core::Secret;

pub use aws::{AWS_VARIABLES_TO_REMOVE, aws_environment, aws_json, aws_process, aws_shell};
pub use azure::{AZURE_VARIABLES_TO_REMOVE, azure_cli, azure_environment, azure_json, azure_shell};
pub use google::{
    GOOGLE_VARIABLES_TO_REMOVE, GoogleSource, google_endpoints, google_environment, google_executable, google_executable_failure,
    google_file, google_json, google_shell,
};

/// Lines for a POSIX shell: first `unset` of what would outrank the variables, then one `export` per variable.
fn shell(remove: &[&'static str], variables: &[(&'static str, Secret)]) -> Secret {
    let is_set = |name: &str| variables.iter().any(|(set, _)| *set == name);
    let unset: Vec<&str> = remove.iter().copied().filter(|name| !is_set(name)).collect();
    let mut lines = format!("unset {}\n", unset.join(" "));
    for (name, value) in variables {
        lines.push_str("export ");
        lines.push_str(name);
        lines.push('=');
        lines.push_str(&shell_quoted(value.expose()));
        lines.push('\n');
    }
    Secret::from(lines)
}

/// A single word to a POSIX shell, whatever is in it.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The form that every SDK reads: `2026-01-01T00:00:00Z`, without fractions.
fn whole_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn json(value: &impl Serialize) -> Secret {
    // Structs of strings and integers always serialise.
    Secret::from(serde_json::to_string(value).expect("strings serialise"))
}
