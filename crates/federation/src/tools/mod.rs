//! What the clouds' own tools read on the consumer's machine, and the traps in the order in which they read it: D-28, D-29, D-35, D-36,
//! and the clouds' rules about variables and files.
//!
//! The environment and the files' texts are arguments; what a variable points to is for the caller to read.

mod aws_config;
mod aws_environment;
mod azure_environment;
mod google_environment;

use std::collections::BTreeMap;

pub use aws_config::{AwsConfigError, lint_aws_config};

use crate::finding::Finding;

/// Variables by name. One that is set to nothing counts as not set, as it does for the tools.
#[derive(Debug, Clone, Copy)]
pub struct Variables<'a>(&'a BTreeMap<String, String>);

impl<'a> Variables<'a> {
    /// The environment of whoever runs the tools.
    pub fn new(all: &'a BTreeMap<String, String>) -> Self {
        Self(all)
    }

    /// The value, unless it is empty.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// Traps in the environment, for AWS's, Google's and Azure's tools. No value of a secret appears in a finding.
pub fn lint_environment(variables: Variables<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    aws_environment::lint(variables, &mut findings);
    google_environment::lint(variables, &mut findings);
    azure_environment::lint(variables, &mut findings);
    findings
}

/// Whether an address is on this machine.
fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_several_names() {
        for ours in ["http://localhost:1/x", "http://127.0.0.2", "http://[::1]:80/", "localhost:1"] {
            assert!(is_local(ours), "{ours}");
        }
        for foreign in ["http://localhost.example.no", "https://sts.amazonaws.com", ""] {
            assert!(!is_local(foreign), "{foreign}");
        }
    }
}
