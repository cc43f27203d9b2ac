//! The token: D-05, D-08 to D-15, D-18, D-19. Also one that no cloud would read, which is when the doctor is needed most.

use serde_json::{Map, Value};
use skybru_protocol::jose::{Jws, JwsError};

use super::effect::{self, judged};
use crate::catalogue::Cloud;
use crate::finding::{Finding, Severity, Who};

/// Why a text is no token at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not a JWS.
    #[error("this is no signed token: {0}")]
    Shape(#[from] JwsError),
    /// The payload is no JSON object.
    #[error("the token's payload is no JSON object")]
    Payload,
}

/// A token as far as it can be seen without believing anything: no cloud may take it, and all the same it is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenToken {
    /// The algorithm's name as it stands in the header.
    pub alg: String,
    /// The key id.
    pub kid: Option<String>,
    /// The kind of token.
    pub typ: Option<String>,
    /// Whether the header has `crit`.
    pub has_crit: bool,
    /// The claims.
    pub claims: Map<String, Value>,
}

impl SeenToken {
    /// Reads a bare token.
    ///
    /// # Errors
    /// It is no JWS with claims.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let jws = Jws::parse(text)?;
        let claims = serde_json::from_slice(jws.payload()).map_err(|_| Unreadable::Payload)?;
        let header = jws.header();
        Ok(Self {
            alg: header.alg.clone(),
            kid: header.kid.clone(),
            typ: header.typ.clone(),
            has_crit: header.crit.is_some(),
            claims,
        })
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// The audiences that are texts, however the claim is written.
    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one],
            _ => Vec::new(),
        }
    }

    /// A time in whole seconds, however written.
    #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest integer or the largest")]
    pub fn seconds(&self, name: &str) -> Option<i64> {
        match self.claims.get(name)? {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// D-19: takes away what people put around a token, and says so.
pub(super) fn clean(text: &str, scope: &[Cloud], findings: &mut Vec<Finding>) -> String {
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
        let what = format!("the token has {} around it; the clouds take the bare token only", around.join(" and "));
        let fix = "write the bare token, for example: skybru token TARGET | tr -d '\\n' > token.jwt";
        findings.push(judged(Finding::new("D-19", Who::Consumer, what, fix), effect::NOT_A_TOKEN, scope));
    }
    token
}

/// D-19: what is no token.
pub(super) fn lint_unreadable(error: &Unreadable, scope: &[Cloud], findings: &mut Vec<Finding>) {
    let (who, fix) = match error {
        Unreadable::Shape(_) => {
            (Who::Consumer, "give the access token that the issuer answered with: three base64url parts with dots between")
        }
        Unreadable::Payload => (Who::Issuer, "sign a JSON object"),
    };
    findings.push(judged(Finding::new("D-19", who, error.to_string(), fix), effect::NOT_A_TOKEN, scope));
}

/// What is looked at, and for whom.
struct Look<'a> {
    token: &'a SeenToken,
    scope: &'a [Cloud],
    findings: &'a mut Vec<Finding>,
}

impl Look<'_> {
    fn push(&mut self, finding: Finding, effects: effect::Effects) {
        self.findings.push(judged(finding, effects, self.scope));
    }

    fn push_as(&mut self, severity: Severity, finding: Finding, effects: effect::Effects) {
        self.findings.push(judged(finding, effects, self.scope).severity(severity));
    }
}

pub(super) fn lint(token: &SeenToken, now: Option<i64>, scope: &[Cloud], findings: &mut Vec<Finding>) {
    let mut look = Look { token, scope, findings };
    lint_header(&mut look);
    lint_audience(&mut look);
    lint_subject(&mut look);
    lint_times(&mut look);
    if let Some(now) = now {
        lint_clock(&mut look, now);
    }
    lint_issuer(&mut look);
}

fn lint_issuer(look: &mut Look<'_>) {
    let Some(issuer) = look.token.text("iss") else { return };
    if !issuer.starts_with("https://") {
        let what = "the issuer does not begin with https://, which the clouds demand";
        let finding = Finding::new("D-02", Who::Issuer, what, "write the issuer with https://").compared("https://…", issuer);
        look.push(finding, effect::NO_SCHEME);
    } else if issuer.ends_with('/') {
        let what = "the issuer ends in a slash; the clouds differ in what they make of it (P-4)";
        let fix = "use an issuer without a slash at its end, or take care to write it everywhere";
        look.push_as(Severity::Advice, Finding::new("D-02", Who::Issuer, what, fix), effect::OTHER_ISSUER);
    }
}

fn lint_header(look: &mut Look<'_>) {
    let token = look.token;
    if token.kid.as_deref().is_none_or(str::is_empty) {
        let what = "the token's header has no kid; a cloud then needs a key set with exactly one usable key, or refuses";
        let finding = Finding::new("D-05", Who::Issuer, what, "sign with a kid that stands in the key set");
        look.push(finding, effect::NO_KID);
    }
    if token.alg != "RS256" {
        let what = format!("the token is signed with {}; RS256 is what every cloud takes", token.alg);
        let finding = Finding::new("D-08", Who::Issuer, what, "sign with RS256").compared("RS256", &token.alg);
        look.push(finding, effect::of_algorithm(&token.alg));
    }
    // The full name stands in Entra's own text (E-42).
    let typ = token.typ.as_deref().filter(|typ| !matches!(*typ, "JWT" | "http://openid.net/specs/jwt/1.0"));
    if let Some(typ) = typ {
        let what = "the token's typ is not JWT; Entra refuses it";
        let finding = Finding::new("D-09", Who::Issuer, what, "write \"typ\":\"JWT\"").compared("JWT", typ);
        look.push(finding, effect::TYP);
    }
}

/// D-10, D-18.
fn lint_audience(look: &mut Look<'_>) {
    let audiences: Vec<&Value> = match look.token.claims.get("aud") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(several)) => several.iter().collect(),
        Some(one) => vec![one],
    };
    if audiences.iter().all(|audience| audience.as_str().is_some_and(str::is_empty)) {
        let what = "the token has no audience: the resource was not asked for";
        let fix = "send the provider's audience as resource in the assertion, for example: skybru token --resource https://…";
        look.push(Finding::new("D-18", Who::Consumer, what, fix), effect::NO_AUDIENCE);
        return;
    }
    let azp = look.token.claims.get("azp");
    if audiences.len() > 1 && azp.is_none() {
        let what = format!("the token has {} audiences; AWS refuses more than one, registered or not", audiences.len());
        let finding = Finding::new("D-10", Who::Consumer, what, "ask for one resource a token");
        look.push(finding, effect::SEVERAL_AUDIENCES);
    } else if let Some(azp) = azp.filter(|azp| audiences != [*azp]) {
        let what = "the token has an azp beside its aud; AWS compares azp alone, the other clouds aud";
        let finding = Finding::new("D-10", Who::Issuer, what, "leave azp out, or let it be the only audience");
        let audiences = audiences.iter().filter_map(|audience| audience.as_str()).collect::<Vec<_>>().join(", ");
        look.push(finding.compared(audiences, azp.as_str().unwrap_or_default()), effect::AUTHORIZED_PARTY);
    }
}

/// D-14, D-15.
fn lint_subject(look: &mut Look<'_>) {
    let token = look.token;
    let Some(subject) = token.text("sub") else { return };
    let limits = [(600, "Entra takes 600"), (255, "AWS documents 255"), (127, "Google takes 127")];
    if let Some((_, limit)) = limits.iter().find(|(most, _)| subject.len() > *most) {
        let what = format!("the subject has {} bytes; {limit}", subject.len());
        let finding = Finding::new("D-14", Who::Consumer, what, "ask for one scope a token");
        look.push(finding, effect::of_subject_length(subject.len()));
    }
    let in_subject = subject.split_once(';').is_some_and(|(_, scopes)| scopes.contains(' '));
    if in_subject || token.text("scope").is_some_and(|scopes| scopes.trim().contains(' ')) {
        let what = "the token carries several scopes, so its subject matches no policy that names one";
        let finding = Finding::new("D-15", Who::Consumer, what, "ask for one scope a token");
        look.push(finding.compared("0192:NNNNNNNNN;prefix:scope", subject), effect::SEVERAL_SCOPES);
    }
}

/// D-11, D-12.
fn lint_times(look: &mut Look<'_>) {
    let token = look.token;
    for name in ["iat", "exp", "nbf"] {
        let (what, effects) = match token.claims.get(name) {
            None if name == "nbf" => continue,
            None => (format!("the token has no {name}, which AWS and Google demand"), effect::NO_TIME),
            Some(Value::Number(number)) if number.is_i64() => continue,
            Some(Value::String(text)) if text.parse::<i64>().is_ok() => {
                (format!("{name} is a text; AWS takes it, others may not"), effect::TIME_AS_TEXT)
            }
            Some(wrong) => (format!("{name} is {wrong}; AWS takes whole seconds only"), effect::FRACTION),
        };
        let fix = format!("write {name} as an integer of seconds since 1970");
        look.push(Finding::new("D-11", Who::Issuer, what, fix), effects);
    }
    let Some((iat, exp)) = token.seconds("iat").zip(token.seconds("exp")) else { return };
    let life = exp.saturating_sub(iat);
    let (severity, what, fix) = match life {
        ..=0 => {
            let what = format!("the token expires {} seconds before it was issued", life.saturating_neg());
            (Severity::Warning, what, "let exp be iat plus the lifetime")
        }
        // Google gives credentials no longer than the token (G-24); Azure's library keeps a token file for ten minutes (E-70).
        1..60 => {
            let what = format!("the token lives {life} seconds, which is short for an exchange");
            (Severity::Warning, what, "issue for two minutes at least")
        }
        60..600 if look.scope.contains(&Cloud::Azure) => {
            let what =
                format!("the token lives {life} seconds; Azure's library may present a token file that it read 600 seconds ago");
            (
                Severity::Advice,
                what,
                "let a helper keep the file fresh (skybru agent), or give the library a function that fetches",
            )
        }
        60..=3600 => return,
        _ => {
            let what = format!("the token lives {life} seconds; minutes are enough to exchange it");
            (Severity::Advice, what, "issue for at most an hour")
        }
    };
    look.push_as(severity, Finding::new("D-12", Who::Issuer, what, fix), effect::SHORT_LIFE);
}

/// D-13.
fn lint_clock(look: &mut Look<'_>, now: i64) {
    let token = look.token;
    for name in ["iat", "nbf"] {
        let ahead = token.seconds(name).map_or(0, |start| start.saturating_sub(now));
        if ahead > 60 {
            let what = format!("{name} lies {ahead} seconds in the future; AWS forgives 300, Google 60");
            let finding = Finding::new("D-13", Who::Issuer, what, "set the clock of the issuer (NTP)");
            look.push(finding, effect::of_early(ahead));
        }
    }
    let past = token.seconds("exp").map_or(0, |exp| now.saturating_sub(exp));
    if past > 0 {
        let what = format!("the token expired {past} seconds ago; AWS forgives 300, Google 60");
        let fix = "fetch a new token (skybru token --fresh); if this one is new, set the clocks (NTP)";
        look.push(Finding::new("D-13", Who::Consumer, what, fix), effect::of_late(past));
    }
}
