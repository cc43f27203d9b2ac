//! The token: D-05, D-08 to D-15, D-18, D-19. Also one that AWS would not read, which is when the doctor is needed most.

use serde_json::{Map, Value};
use skybru_protocol::jose::{Algorithm, Jws};

use super::has_errors;
use crate::aws::token::{PresentedToken, SKEW_SECONDS};
use crate::finding::{Finding, Severity, Who};

/// A token as far as it can be seen without believing anything.
pub(super) struct Seen<'a> {
    alg: &'a str,
    kid: Option<&'a str>,
    typ: Option<&'a str>,
    claims: &'a Map<String, Value>,
}

impl<'a> Seen<'a> {
    pub(super) fn of(token: &'a PresentedToken) -> Self {
        Self { alg: token.algorithm().name(), kid: token.kid(), typ: token.typ(), claims: &token.claims }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// A time in whole seconds, however written.
    #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest integer or the largest")]
    fn seconds(&self, name: &str) -> Option<i64> {
        match self.claims.get(name)? {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// D-19: takes away what people put around a token, and says so.
pub(super) fn clean(text: &str, findings: &mut Vec<Finding>) -> String {
    let mut around: Vec<&str> = Vec::new();
    let mut rest = text;
    if let Some(after) = rest.strip_prefix('\u{feff}') {
        around.push("a byte order mark");
        rest = after;
    }
    if rest.trim() != rest {
        around.push("a newline or blanks");
        rest = rest.trim();
    }
    let mut token = rest.to_owned();
    if let Ok(Value::Object(answer)) = serde_json::from_str(rest) {
        around.push("the whole JSON answer");
        if let Some(inside) = answer.get("access_token").or_else(|| answer.get("id_token")).and_then(Value::as_str) {
            inside.clone_into(&mut token);
        }
    }
    if let Some(inside) = token.strip_prefix(['"', '\'']).and_then(|inside| inside.strip_suffix(['"', '\''])) {
        around.push("quotation marks");
        token = inside.to_owned();
    }
    if let Some(after) = token.get(..7).filter(|start| start.eq_ignore_ascii_case("bearer ")).map(|_| token[7..].to_owned()) {
        around.push("the word Bearer");
        after.trim().clone_into(&mut token);
    }
    if !around.is_empty() {
        let what = format!("the token has {} around it; AWS takes the bare token only", around.join(" and "));
        let fix = "write the bare token, for example: skybru token TARGET | tr -d '\\n' > token.jwt";
        findings.push(Finding::new("D-19", Who::Consumer, what, fix));
    }
    token
}

/// A token that AWS does not read.
pub(super) fn lint_unreadable(text: &str, now: Option<i64>, findings: &mut Vec<Finding>) {
    let Err(error) = PresentedToken::parse(text) else { return };
    let (before, seen) = (findings.len(), Jws::parse(text));
    match &seen {
        Err(error) => {
            let fix = "give the access token that the issuer answered with: three base64url parts with dots between";
            findings.push(Finding::new("D-19", Who::Consumer, format!("this is no signed token: {error}"), fix));
        }
        Ok(jws) => match serde_json::from_slice::<Map<String, Value>>(jws.payload()) {
            Err(_) => {
                findings.push(Finding::new("D-19", Who::Issuer, "the token's payload is no JSON object", "sign a JSON object"));
            }
            Ok(claims) => {
                let header = jws.header();
                if header.crit.is_some() {
                    let what = "the token's header has crit, which AWS refuses";
                    findings.push(Finding::new("A-31", Who::Issuer, what, "sign without crit"));
                }
                let seen = Seen { alg: &header.alg, kid: header.kid.as_deref(), typ: header.typ.as_deref(), claims: &claims };
                lint(&seen, now, findings);
            }
        },
    }
    if !has_errors(&findings[before..]) {
        let what = format!("AWS does not read the token: {}", error.message);
        findings.push(Finding::new(error.rule, Who::Issuer, what, "compare the token's claims with the rule"));
    }
}

pub(super) fn lint(token: &Seen<'_>, now: Option<i64>, findings: &mut Vec<Finding>) {
    lint_header(token, findings);
    lint_audience(token, findings);
    lint_subject(token, findings);
    lint_times(token, now, findings);
    if let Some(issuer) = token.text("iss") {
        if !issuer.starts_with("https://") {
            let what = "the issuer does not begin with https://, which AWS demands";
            findings
                .push(Finding::new("D-02", Who::Issuer, what, "write the issuer with https://").compared("https://…", issuer));
        } else if issuer.ends_with('/') {
            let what = "the issuer ends in a slash; the clouds differ in what they make of it (P-4)";
            let fix = "use an issuer without a slash at its end, or take care to write it everywhere";
            findings.push(Finding::new("D-20", Who::Issuer, what, fix).severity(Severity::Advice));
        }
    }
}

fn lint_header(token: &Seen<'_>, findings: &mut Vec<Finding>) {
    if token.kid.is_none_or(str::is_empty) {
        let what = "the token's header has no kid; AWS then needs a key set with exactly one usable key";
        findings.push(Finding::new("D-05", Who::Issuer, what, "sign with a kid that stands in the key set"));
    }
    let taken_by_aws = token.alg.parse::<Algorithm>().is_ok_and(|algorithm| !algorithm.is_ps());
    if !taken_by_aws {
        let what = format!("the token's alg is {:?}; AWS takes RS256, RS384, RS512, ES256, ES384 and ES512", token.alg);
        findings.push(Finding::new("D-08", Who::Issuer, what, "sign with RS256").compared("RS256", token.alg));
    } else if token.alg != "RS256" {
        let what = format!("the token is signed with {}; Entra takes RS256 only", token.alg);
        let finding = Finding::new("D-08", Who::Issuer, what, "sign with RS256").severity(Severity::Warning);
        findings.push(finding.compared("RS256", token.alg));
    }
    if let Some(typ) = token.typ.filter(|typ| *typ != "JWT") {
        let what = "the token's typ is not JWT; Entra refuses it";
        let finding = Finding::new("D-09", Who::Issuer, what, "write \"typ\":\"JWT\"").severity(Severity::Warning);
        findings.push(finding.compared("JWT", typ));
    }
}

/// D-10, D-18.
fn lint_audience(token: &Seen<'_>, findings: &mut Vec<Finding>) {
    let resource = "send the provider's audience as resource in the assertion, for example: skybru token --resource https://…";
    let audiences: Vec<&Value> = match token.claims.get("aud") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(several)) => several.iter().collect(),
        Some(one) => vec![one],
    };
    if audiences.iter().all(|audience| audience.as_str().is_some_and(str::is_empty)) {
        findings.push(Finding::new("D-18", Who::Consumer, "the token has no audience: the resource was not asked for", resource));
        return;
    }
    let azp = token.claims.get("azp");
    if audiences.len() > 1 && azp.is_none() {
        let what = format!("the token has {} audiences; AWS refuses more than one, registered or not", audiences.len());
        findings.push(Finding::new("D-10", Who::Consumer, what, "ask for one resource a token"));
    } else if let Some(azp) = azp.filter(|azp| audiences != [*azp]) {
        let what = "the token has an azp beside its aud; AWS compares azp alone, the other clouds aud";
        let finding = Finding::new("D-10", Who::Issuer, what, "leave azp out, or let it be the only audience");
        let audiences = audiences.iter().filter_map(|audience| audience.as_str()).collect::<Vec<_>>().join(", ");
        findings.push(finding.severity(Severity::Warning).compared(audiences, azp.as_str().unwrap_or_default()));
    }
}

/// D-14, D-15.
fn lint_subject(token: &Seen<'_>, findings: &mut Vec<Finding>) {
    let Some(subject) = token.text("sub") else { return };
    let limits = [(600, "Entra takes 600"), (255, "AWS documents 255"), (127, "Google takes 127")];
    if let Some((_, limit)) = limits.iter().find(|(most, _)| subject.len() > *most) {
        let what = format!("the subject has {} bytes; {limit}", subject.len());
        findings.push(Finding::new("D-14", Who::Consumer, what, "ask for one scope a token").severity(Severity::Warning));
    }
    let in_subject = subject.split_once(';').is_some_and(|(_, scopes)| scopes.contains(' '));
    if in_subject || token.text("scope").is_some_and(|scopes| scopes.trim().contains(' ')) {
        let what = "the token carries several scopes, so its subject matches no policy that names one";
        let finding = Finding::new("D-15", Who::Consumer, what, "ask for one scope a token");
        findings.push(finding.compared("0192:NNNNNNNNN;prefix:scope", subject));
    }
}

/// D-11 to D-13.
fn lint_times(token: &Seen<'_>, now: Option<i64>, findings: &mut Vec<Finding>) {
    for name in ["iat", "exp", "nbf"] {
        let (what, severity) = match token.claims.get(name) {
            None if name == "nbf" => continue,
            None => (format!("the token has no {name}, which AWS demands"), Severity::Error),
            Some(Value::Number(number)) if number.is_i64() => continue,
            Some(Value::String(text)) if text.parse::<i64>().is_ok() => {
                (format!("{name} is a string; AWS takes it, Google does not"), Severity::Warning)
            }
            Some(wrong) => (format!("{name} is {wrong}; AWS takes whole seconds only"), Severity::Error),
        };
        let finding = Finding::new("D-11", Who::Issuer, what, format!("write {name} as an integer of seconds since 1970"));
        findings.push(finding.severity(severity));
    }
    if let (Some(iat), Some(exp)) = (token.seconds("iat"), token.seconds("exp")) {
        if exp <= iat {
            let what = format!("the token expires {} seconds before it was issued", iat.saturating_sub(exp));
            findings
                .push(Finding::new("D-12", Who::Issuer, what, "let exp be iat plus the lifetime").severity(Severity::Warning));
        } else if exp.saturating_sub(iat) > 3600 {
            let what = format!("the token lives {} seconds; minutes are enough to exchange it", exp.saturating_sub(iat));
            findings.push(Finding::new("D-12", Who::Issuer, what, "issue for at most an hour").severity(Severity::Advice));
        }
    }
    if let Some(now) = now {
        lint_clock(token, now, findings);
    }
}

/// D-13. AWS forgives five minutes, Google one.
fn lint_clock(token: &Seen<'_>, now: i64, findings: &mut Vec<Finding>) {
    for name in ["iat", "nbf"] {
        let ahead = token.seconds(name).map_or(0, |start| start.saturating_sub(now));
        if ahead > 60 {
            let severity = if ahead > SKEW_SECONDS { Severity::Error } else { Severity::Warning };
            let what = format!("{name} lies {ahead} seconds in the future; AWS forgives {SKEW_SECONDS}, Google 60");
            findings.push(Finding::new("D-13", Who::Issuer, what, "set the clock of the issuer (NTP)").severity(severity));
        }
    }
    let past = token.seconds("exp").map_or(0, |exp| now.saturating_sub(exp));
    if past > 0 {
        let severity = if past > SKEW_SECONDS { Severity::Error } else { Severity::Warning };
        let what = format!("the token expired {past} seconds ago; AWS forgives {SKEW_SECONDS}, Google 60");
        let fix = "fetch a new token (skybru token --fresh); if this one is new, set the clocks (NTP)";
        findings.push(Finding::new("D-13", Who::Consumer, what, fix).severity(severity));
    }
}
