//! Mapping and condition on a token: D-14, D-45, D-46, D-54.

use serde_json::Value;

use super::{has_several_scopes, update};
use crate::finding::{Finding, Severity, Who};
use crate::google::mapping::{Attributes, Mapping, MappingRefusal};
use crate::google::provider::Provider;
use crate::google::token::PresentedToken;

/// Names what is wrong; gives what the token becomes, when it becomes something.
pub(super) fn lint(provider: &Provider, token: Option<&PresentedToken>, findings: &mut Vec<Finding>) -> Option<Attributes> {
    // What cannot be read has been said with the provider.
    let mapping = Mapping::compile(provider).ok()?;
    let subject = provider.attribute_mapping.get("google.subject").map_or("", String::as_str);
    if subject.contains("assertion.pid") {
        findings.push(private("google.subject is made from pid, the person's national identity number; it shows in every log"));
    }
    let token = token?;
    let attributes = match mapping.apply(&token.claims) {
        Ok(attributes) => attributes,
        Err(refusal) => {
            findings.push(refused(provider, token, &refusal));
            return None;
        }
    };
    if !subject.contains("assertion.pid") && is_personal(&attributes.subject, token) {
        findings.push(private("google.subject is the person's national identity number; it shows in every log"));
    }
    if let Err(refusal) = mapping.check_condition(&token.claims, &attributes) {
        findings.push(refused(provider, token, &refusal));
        return None;
    }
    Some(attributes)
}

/// D-54.
fn private(what: &str) -> Finding {
    let fix = "map google.subject from assertion.sub instead";
    Finding::new("D-54", Who::Provider, what, fix).severity(Severity::Warning)
}

fn is_personal(subject: &str, token: &PresentedToken) -> bool {
    token.claims.get("pid").and_then(Value::as_str) == Some(subject)
}

fn refused(provider: &Provider, token: &PresentedToken, refusal: &MappingRefusal) -> Finding {
    match refusal {
        MappingRefusal::Unmappable { key, expression, problem } => {
            let what = format!("the mapping of {key} gives nothing usable on this token: {problem}");
            let fix = update(provider, &format!("--attribute-mapping={key}=EXPRESSION,… with a claim that the token has"));
            let claims = token.claims.as_object().map(|claims| claims.keys().cloned().collect::<Vec<_>>().join(", "));
            let finding = Finding::new("D-46", Who::Provider, what, fix);
            finding.compared(format!("a text made from: {}", claims.unwrap_or_default()), expression)
        }
        MappingRefusal::TooLarge { key, size } if key == "google.subject" => {
            let what = format!("google.subject has {size} bytes; Google takes 127");
            let fix = "ask for one scope a token, or map google.subject from assertion.consumer.ID";
            Finding::new("D-14", Who::Consumer, what, fix)
        }
        MappingRefusal::TooLarge { key, size } => {
            let name = if key.is_empty() { "all mapped attributes together" } else { key.as_str() };
            let what = format!("{name}: {size} is more than Google takes");
            Finding::new("G-9", Who::Provider, what, update(provider, "--attribute-mapping=…"))
        }
        MappingRefusal::Condition { expression, problem } => {
            let what = match problem {
                Some(problem) => format!("the attribute condition cannot be evaluated on this token: {problem}"),
                None => "the attribute condition is false for this token".to_owned(),
            };
            let who = if has_several_scopes(token) { Who::Consumer } else { Who::Provider };
            let fix = update(provider, "--attribute-condition=EXPRESSION");
            let claims = format!("true, on {}", shown(&token.claims));
            Finding::new("D-45", who, what, fix).compared(claims, expression)
        }
    }
}

/// The claims that conditions are about; times and ids of the token are left out.
fn shown(claims: &Value) -> String {
    let Some(claims) = claims.as_object() else { return String::new() };
    let told = claims.iter().filter(|(name, _)| !["iat", "exp", "nbf", "jti", "pid"].contains(&name.as_str()));
    let text: Vec<String> = told.map(|(name, value)| format!("{name}={value}")).collect();
    text.join(" ").chars().take(400).collect()
}
