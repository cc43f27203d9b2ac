//! A pasted token, cleaned or refused (D-19).
//!
//! Tokens arrive with what surrounds them elsewhere: `Bearer `, quotes, a newline, a byte order mark, the whole JSON answer. What is
//! certainly meant is mended, and said; what is not a token is refused, with a reason that never repeats the text.

use serde_json::Value;
use skybru_core::Secret;
use skybru_protocol::jose::{Jws, JwsError};

/// A token without what surrounded it.
#[derive(Debug, Clone)]
pub struct CleanToken {
    /// The compact token.
    pub token: Secret,
    /// What was taken off, for telling the user.
    pub mended: Vec<&'static str>,
}

/// Why a text is not a token. Never contains the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasteError {
    /// Nothing but whitespace.
    #[error("there is no token: the text is empty")]
    Empty,
    /// An issuer's refusal.
    #[error("this is not a token but an issuer's refusal: {0}")]
    Refusal(String),
    /// JSON without a token.
    #[error("this is JSON, but it has no member access_token")]
    Json,
    /// HTML, most likely of a login or proxy page.
    #[error("this is a web page, not a token")]
    Html,
    /// A key.
    #[error("this is a {0}, not a token: keep it secret")]
    Key(&'static str),
    /// Five parts.
    #[error("the token is encrypted (it has five parts): only who it is meant for can read it")]
    Encrypted,
    /// Anything else.
    #[error("this is not a signed token")]
    NotAToken(#[source] JwsError),
}

/// Cleans a pasted token, or says what it is instead.
///
/// ```
/// use skybru_client::clean::clean_token;
/// let clean = clean_token("Bearer eyJhbGciOiJSUzI1NiJ9.e30.AAAA\n").unwrap();
/// assert_eq!(clean.token.expose(), "eyJhbGciOiJSUzI1NiJ9.e30.AAAA");
/// assert_eq!(clean.mended, ["whitespace around it", "the word Bearer"]);
/// ```
pub fn clean_token(pasted: &str) -> Result<CleanToken, PasteError> {
    let mut mended = Vec::new();
    let mut text = pasted;
    if let Some(rest) = text.strip_prefix('\u{feff}') {
        text = rest;
        mended.push("a byte order mark");
    }
    if text.trim() != text {
        text = text.trim();
        mended.push("whitespace around it");
    }
    if text.is_empty() {
        return Err(PasteError::Empty);
    }
    let from_json;
    if text.starts_with('{') {
        from_json = out_of_json(text)?;
        text = &from_json;
        mended.push("the JSON answer around it");
    }
    let (rest, quotes, bearer) = peel(text);
    text = rest;
    if bearer {
        mended.push("the word Bearer");
    }
    if quotes {
        mended.push("quotes");
    }
    let joined: String;
    if text.contains(char::is_whitespace) && text.matches('.').count() == 2 {
        joined = text.split_whitespace().collect();
        text = &joined;
        mended.push("line breaks inside it");
    }
    match Jws::parse(text) {
        Ok(_) => Ok(CleanToken { token: Secret::from(text.to_owned()), mended }),
        Err(error) => Err(what_it_is(text, error)),
    }
}

/// Takes quotes and `Bearer` off, in any order, as often as they come: `"Authorization: Bearer …"` is pasted too.
fn peel(text: &str) -> (&str, bool, bool) {
    let (mut text, mut quotes, mut bearer) = (text, false, false);
    loop {
        let before = text;
        for quote in ['"', '\'', '`'] {
            if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
                text = inner.trim();
                quotes = true;
            }
        }
        for word in ["authorization:", "bearer "] {
            // `get` because a multi-byte character may stand across the length.
            if text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)) {
                text = text[word.len()..].trim();
                bearer = true;
            }
        }
        if text == before {
            return (text, quotes, bearer);
        }
    }
}

fn out_of_json(text: &str) -> Result<String, PasteError> {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return Err(PasteError::Json) };
    for name in ["access_token", "id_token"] {
        if let Some(Value::String(token)) = members.get(name) {
            return Ok(token.clone());
        }
    }
    if members.contains_key("d") && members.contains_key("kty") {
        return Err(PasteError::Key("private key"));
    }
    match members.get("error") {
        Some(Value::String(error)) => {
            let description = members.get("error_description").and_then(Value::as_str).unwrap_or(error);
            Err(PasteError::Refusal(description.chars().filter(|c| !c.is_control()).take(500).collect()))
        }
        _ => Err(PasteError::Json),
    }
}

fn what_it_is(text: &str, error: JwsError) -> PasteError {
    if text.starts_with("-----BEGIN") {
        let private = text.lines().next().is_some_and(|line| line.contains("PRIVATE"));
        return PasteError::Key(if private { "private key" } else { "key or certificate" });
    }
    if text.starts_with('<') {
        return PasteError::Html;
    }
    if (text.starts_with("AKIA") || text.starts_with("ASIA")) && text.len() == 20 {
        return PasteError::Key("AWS access key id");
    }
    match error {
        JwsError::Parts(5) => PasteError::Encrypted,
        // serde's message may repeat a piece of the header: harmless in a header, but this could be anything.
        JwsError::Header(_) => PasteError::NotAToken(JwsError::Header("not a JSON object with \"alg\"".to_owned())),
        other => PasteError::NotAToken(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA";

    #[test]
    fn what_is_certainly_meant_is_mended() {
        for pasted in [
            TOKEN.to_owned(),
            format!("{TOKEN}\r\n"),
            format!("\u{feff}{TOKEN}"),
            format!("Bearer {TOKEN}"),
            format!("bearer  {TOKEN} "),
            format!("\"{TOKEN}\""),
            format!("'Bearer {TOKEN}'\n"),
            format!("Authorization: Bearer {TOKEN}"),
            "eyJhbGciOiJSUzI1\n  NiJ9.e30.AAAA".to_string(),
            format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":119,"scope":"a:b"}}"#),
        ] {
            let clean = clean_token(&pasted).unwrap_or_else(|error| panic!("{pasted:?}: {error}"));
            assert_eq!(clean.token.expose(), TOKEN, "{pasted:?}");
            assert_eq!(clean.mended.is_empty(), pasted == TOKEN);
        }
    }

    #[test]
    fn what_is_no_token_is_named() {
        let error = |text: &str| clean_token(text).unwrap_err();
        assert_eq!(error(" \n"), PasteError::Empty);
        assert_eq!(error(r#"{"token":"x"}"#), PasteError::Json);
        assert_eq!(error("{not json"), PasteError::Json);
        assert_eq!(
            error(r#"{"error":"invalid_grant","error_description":"Expired key."}"#),
            PasteError::Refusal("Expired key.".to_owned())
        );
        assert_eq!(error("<!doctype html>"), PasteError::Html);
        assert_eq!(error("a.b.c.d.e"), PasteError::Encrypted);
        assert_eq!(error("AKIAIOSFODNN7EXAMPLE"), PasteError::Key("AWS access key id"));
        assert_eq!(error("-----BEGIN PRIVATE KEY-----\nMIIE"), PasteError::Key("private key"));
        assert_eq!(error(r#"{"kty":"RSA","d":"AQAB"}"#), PasteError::Key("private key"));
    }

    #[test]
    fn an_error_never_repeats_the_text() {
        for text in ["sup3rs3cret", "sup3rs3cret.x.y", r#"{"x":"sup3rs3cret"}"#, "sup3rs3cret.b.c.d.e", "æsup3rs3cret"] {
            let error = clean_token(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("sup3rs3cret"), "{error:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn cleaning_never_panics(text in "\\PC*") {
            let _ = clean_token(&text);
        }
    }
}
