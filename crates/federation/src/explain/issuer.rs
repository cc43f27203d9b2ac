//! Texts of the issuer: Maskinporten's codes `MP-…`, in today's wire format and in the older one that had no codes.
//!
//! They come before any cloud: the doctor must keep them apart from what a cloud says (W-7).

use super::{ErrorText, Explanation, KnownText, Speaker, known};

const GRANT: &[&str] = &["D-17"];

/// The more special before the more general.
pub(super) const TEXTS: &[KnownText] = &[
    known(&["grant is used before"], "MP-012", "the assertion was used before; each one counts once, so sign a new one", GRANT),
    known(
        &["authentication failed. client not found"],
        "MP-100",
        "the client is unknown here: wrong client id, wrong environment, or deactivated",
        &["D-17", "D-16"],
    ),
    known(
        &["invalid jwt claim aud"],
        "MP-110",
        "the assertion's aud is not the issuer, to the letter; Skyporten has no slash at its end, Maskinporten has one",
        GRANT,
    ),
    known(
        &["signed with an invalid certificate"],
        "MP-120",
        "the business certificate is not trusted, expired, revoked, or of the other environment",
        &["D-17", "D-16"],
    ),
    known(
        &["unknown key identifier (kid)"],
        "MP-120",
        "the client has no key of this kid: register it, or sign with one that is registered",
        GRANT,
    ),
    known(
        &["no key identifier (kid) provided"],
        "MP-120",
        "the client has registered keys, and the assertion names none: write kid into its header",
        GRANT,
    ),
    known(
        &["authentication failed. expired key"],
        "MP-121",
        "the key was registered over a year ago: post it, or a new one, again",
        GRANT,
    ),
    known(
        &["invalid organization number for client"],
        "MP-122",
        "the certificate is another organisation's than the client's",
        GRANT,
    ),
    known(&["invalid jwt header x5c"], "MP-123", "x5c is not an array of base64 texts", GRANT),
    known(&["invalid jwt signature"], "MP-124", "the signature does not fit the registered key, or is not RS256", GRANT),
    known(
        &["authentication failed. jwt is expired"],
        "MP-130",
        "the assertion's exp has passed: sign it at the moment of use, and look at the clock",
        &["D-13", "D-17"],
    ),
    known(
        &["issue time is after now"],
        "MP-130",
        "the assertion's iat lies in the future: the client's clock is ahead",
        &["D-13", "D-17"],
    ),
    known(
        &["invalid assertion. invalid parameter value"],
        "MP-011",
        "the assertion cannot be read: line breaks, a wrong type, over 120 seconds between iat and exp, or a resource that is no URI",
        &["D-17", "D-19"],
    ),
    known(
        &["combination consumer_org in claim and delegation scope"],
        "MP-011",
        "consumer_org names the client's own organisation, or the scope cannot be delegated",
        GRANT,
    ),
    known(
        &["invalid scopes for client"],
        "MP-200",
        "the scope is not registered on the client: misspelt, or not added yet",
        GRANT,
    ),
    known(
        &["scopes not allowed for maskinporten"],
        "MP-201",
        "the scope is for other kinds of clients (allowed_integration_types)",
        GRANT,
    ),
    known(
        &["has not been granted access to the scope"],
        "MP-250",
        "the scope's owner has not given your organisation access: ask the provider of the data",
        GRANT,
    ),
    known(
        &["has not delegated access to the scope"],
        "MP-251",
        "the consumer has not delegated the scope to the supplier in Altinn",
        GRANT,
    ),
    known(&["unknown authorization details type"], "MP-301", "no such type of authorization_details", GRANT),
    known(&["unknown fields in the authorization details"], "MP-302", "authorization_details has a field too many", GRANT),
    known(&["invalid authorization details values"], "MP-303", "authorization_details has a value of a wrong kind", GRANT),
    known(&["unsupported grant type"], "MP-011", "grant_type must be urn:ietf:params:oauth:grant-type:jwt-bearer", GRANT),
    known(&["missing parameter: assertion"], "MP-011", "the form has no assertion", GRANT),
];

/// Codes whose text was cut off or is another one.
const CODES: &[(&str, &str)] = &[
    ("011", "MP-011"),
    ("012", "MP-012"),
    ("100", "MP-100"),
    ("110", "MP-110"),
    ("120", "MP-120"),
    ("121", "MP-121"),
    ("122", "MP-122"),
    ("123", "MP-123"),
    ("124", "MP-124"),
    ("130", "MP-130"),
    ("200", "MP-200"),
    ("201", "MP-201"),
    ("250", "MP-250"),
    ("251", "MP-251"),
    ("301", "MP-301"),
    ("302", "MP-302"),
    ("303", "MP-303"),
];

pub(super) fn explain(text: &ErrorText) -> Option<Explanation> {
    // One code stands for several texts, so a known text says more than its code.
    text.find(Speaker::Issuer, TEXTS).or_else(|| {
        let code = text.code_after("mp-")?;
        let (_, rule) = CODES.iter().find(|(known, _)| *known == code)?;
        let line = TEXTS.iter().find(|line| line.rule == *rule)?;
        Some(Explanation { speaker: Speaker::Issuer, rule: line.rule, meaning: line.meaning, mistakes: line.mistakes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_alone_is_enough_and_the_text_alone_too() {
        let by_code = explain(&ErrorText::new("https://maskinporten.no/errors/MP-121")).unwrap();
        let by_text = explain(&ErrorText::new("Client authentication failed. Expired key. (correlation id: 1)")).unwrap();
        assert_eq!((by_code, by_text.rule), (by_text, "MP-121"));
        assert!(explain(&ErrorText::new("MP-999")).is_none());
    }

    #[test]
    fn each_code_has_a_text() {
        for (_, rule) in CODES {
            assert!(TEXTS.iter().any(|line| line.rule == *rule), "{rule}");
        }
    }
}
