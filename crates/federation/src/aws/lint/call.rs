//! The parameters of the call: D-28, D-29.

use super::Setup;
use crate::aws::session::is_session_name;
use crate::finding::{Finding, Who};

pub(super) fn lint(setup: &Setup<'_>, findings: &mut Vec<Finding>) {
    if let Some(name) = setup.session_name.filter(|name| !is_session_name(name)) {
        // the colon of 0192:NNNNNNNNN is not legal.
        let what = "the role session name must be 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -";
        let fix = format!("use --role-session-name {}", legal_session_name(name));
        findings.push(Finding::new("D-28", Who::Consumer, what, fix).compared(legal_session_name(name), name));
    }
    let Some(seconds) = setup.duration_seconds else { return };
    let most = setup.role.map_or(43_200, |role| role.max_session_duration);
    if !(900..=most).contains(&seconds) {
        let what = format!("the credentials' duration must be 900 to {most} seconds for this role");
        let nearest = seconds.clamp(900, most.max(900));
        let fix = match setup.role {
            Some(role) if (most..=43_200).contains(&seconds) => {
                format!(
                    "use --duration-seconds {nearest}, or let the provider run: aws iam update-role --role-name {} --max-session-duration {seconds}",
                    role.name
                )
            }
            _ => format!("use --duration-seconds {nearest}"),
        };
        findings.push(Finding::new("D-29", Who::Consumer, what, fix).compared(nearest.to_string(), seconds.to_string()));
    }
}

/// The nearest name that is legal, such as `0192-917422575`.
fn legal_session_name(name: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-');
    let name: String = name.chars().map(|c| if legal(c) { c } else { '-' }).take(64).collect();
    if name.len() < 2 { "skybru".to_owned() } else { name }
}
