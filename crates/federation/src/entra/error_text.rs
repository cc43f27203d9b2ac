//! What Entra, Resource Manager, storage and their tools say, and which mistakes it points to (D-99).
//!
//! The number behind the first `AADSTS` decides; without one a stable fragment is looked for, old and new wordings alike.

use crate::explain::{ErrorText, Explanation, KnownText, Speaker, known};

/// A number behind `AADSTS`, its rule, what it means, and the mistakes that lead to it.
type Number = (u32, &'static str, &'static str, &'static [&'static str]);

const NUMBERS: &[Number] = &[
    (70021, "E-30", "no credential has the token's issuer, subject and audience", &["D-60", "D-61", "D-62", "D-65"]),
    (700_211, "E-31", "no credential has the token's issuer", &["D-60", "D-16", "D-65"]),
    (700_212, "E-32", "no credential has the token's audience", &["D-62", "D-18", "D-10", "D-65"]),
    (700_213, "E-33", "no credential has the token's subject", &["D-61", "D-15", "D-14", "D-65"]),
    (7_002_121, "E-34", "no credential has the token's audience, and no expression fits", &["D-62", "D-66"]),
    (7_002_131, "E-34", "no credential has the token's subject, and no expression fits", &["D-61", "D-66"]),
    (70025, "E-35", "the identity has no federated credential", &["D-63", "D-65"]),
    (7_000_226, "E-36", "the application has no credential policy, as across tenants", &["D-64"]),
    (700_016, "E-37", "the directory has no application of this client id", &["D-63", "D-64"]),
    (90002, "E-38", "there is no such tenant", &["D-64"]),
    (900_023, "E-38", "there is no such tenant", &["D-64"]),
    (700_024, "E-39", "the token is over, or has not begun", &["D-13", "D-70", "D-12"]),
    (50027, "E-40", "what was sent is no token", &["D-19"]),
    (5_002_738, "E-41", "the token's algorithm is not taken", &["D-08"]),
    (5_002_727, "E-42", "the token's typ is not taken", &["D-09"]),
    (5_002_723, "E-43", "the token's header names no key", &["D-05"]),
    (90014, "E-44", "a claim, or a parameter, is missing", &["D-18", "D-11", "D-72"]),
    (501_661, "E-45", "the issuer's documents cannot be had or used", &["D-03", "D-04", "D-01", "D-02"]),
    (50166, "E-45", "the issuer's documents cannot be had or used", &["D-03", "D-04", "D-01", "D-02"]),
    (90061, "E-45", "the issuer's documents cannot be had or used", &["D-03", "D-04", "D-01", "D-02"]),
    (700_027, "E-46", "the key that signed the token was not found", &["D-05", "D-07"]),
    (7_000_274, "E-47", "the token's signature does not hold", &["D-06", "D-05"]),
    (700_021, "E-48", "the assertion names another client than the request", &[]),
    (7_000_218, "E-49", "the request has no assertion", &["D-19"]),
    (7_000_216, "E-49", "the request has no assertion", &["D-19"]),
    (700_222, "E-50", "Entra's own tokens are not taken here", &[]),
    (700_223, "E-50", "the identity may not be used in this way", &[]),
    (700_224, "E-50", "the identity may not be used in this way", &[]),
    (700_225, "E-50", "the identity may not be used in this way", &[]),
    (700_226, "E-50", "a managed identity's token is taken for applications only", &[]),
    (700_227, "E-50", "Entra's own tokens are not taken here", &[]),
    (700_236, "E-50", "Entra's own tokens are not taken here", &[]),
    (700_233, "E-51", "the expression of a flexible credential cannot be read", &["D-66"]),
    (700_234, "E-51", "the expression of a flexible credential could not be evaluated", &["D-66"]),
    (700_235, "E-51", "flexible credentials are not supported here", &["D-66"]),
    (700_237, "E-51", "flexible credentials are not allowed here", &["D-66"]),
    (7_002_241, "E-51", "this issuer's tokens may not be matched by expression", &["D-66"]),
    (1_002_012, "E-52", "the scope lacks /.default", &["D-72"]),
    (70011, "E-52", "the scope is not one", &["D-72"]),
    (500_011, "E-52", "the directory has no service of this name", &["D-72"]),
    (28003, "E-52", "the scope is empty", &["D-72"]),
    (900_144, "E-10", "the request lacks a parameter", &["D-72", "D-19"]),
    (70003, "E-10", "the request has another grant type than client_credentials", &[]),
];

/// Texts without a number.
pub(crate) const TEXTS: &[KnownText] = &[
    known(&["no subscriptions found for"], "E-74", "the identity sees no subscription, only data", &["D-71"]),
    known(&["must have exactly one audience"], "E-9", "a credential has exactly one audience", &["D-62"]),
    known(&["from http body has empty properties"], "E-9", "a credential lacks its issuer or its subject", &[]),
    known(&["issuer and subject combination already exists"], "E-9", "the identity has such a credential already", &[]),
    known(&["the parent user-assigned identity doesn't exist"], "E-9", "there is no such identity", &[]),
    known(&["support for federated identity credentials not enabled"], "E-9", "this resource cannot have credentials", &[]),
    known(&["limit of 20 federated identity credentials"], "E-1", "the identity is full", &["D-67"]),
    known(&["too many federated identity credentials"], "E-1", "the identity is full", &["D-67"]),
    known(&["federated identity credential name"], "E-9", "the credential's name is not taken", &[]),
    known(
        &["concurrent federated identity credentials writes"],
        "E-8",
        "credentials of one identity are made one after the other",
        &["D-65"],
    ),
    known(&["principalnotfound"], "E-63", "the directory has no such principal", &["D-63", "D-65"]),
    known(&["does not exist in the directory"], "E-63", "the directory has no such principal", &["D-63", "D-65"]),
    known(&["roleassignmentexists"], "E-63", "the principal has this role here already", &[]),
    known(&["role assignment already exists"], "E-63", "the principal has this role here already", &[]),
    known(&["x-ms-file-request-intent"], "E-65", "a call to Files with a token must say its intent", &["D-69"]),
    known(
        &["authorizationpermissionmismatch"],
        "E-66",
        "the identity has no role, and no list lets it in",
        &["D-68", "D-63", "D-74", "D-65"],
    ),
    known(
        &["not authorized to perform this operation using this permission"],
        "E-66",
        "the identity has no role, and no list lets it in",
        &["D-68", "D-63", "D-74", "D-65"],
    ),
    known(&["authorizationfailure"], "E-66", "the account does not answer to this network", &["D-73"]),
    known(&["audience validation failed"], "E-65", "the token is for another service", &["D-72"]),
    known(&["invalidauthenticationtokenaudience"], "E-13", "the token is for another service", &["D-72"]),
    known(&["keybasedauthenticationnotpermitted"], "E-65", "the account takes no keys, and a tool tried one", &["D-69", "D-73"]),
    known(&["invalidauthenticationinfo"], "E-65", "storage does not take the token", &["D-72", "D-69", "D-70"]),
    known(&["expiredauthenticationtoken"], "E-13", "the access token is over", &["D-13"]),
    known(&["the value must be a tls protected (https) url"], "E-72", "the authority must be an https URL", &[]),
];

/// What Azure says in this text, if it is Azure that speaks.
pub(crate) fn explain_text(text: &ErrorText) -> Option<Explanation> {
    let by_number = text.code_after("aadsts").and_then(|digits| {
        let number: u32 = digits.parse().ok()?;
        let (_, rule, meaning, mistakes) = NUMBERS.iter().find(|(known, ..)| *known == number)?;
        Some(Explanation { speaker: Speaker::Azure, rule, meaning, mistakes })
    });
    by_number.or_else(|| text.find(Speaker::Azure, TEXTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_behind_a_number_is_in_the_catalogue() {
        for (number, _, _, mistakes) in NUMBERS {
            for rule in *mistakes {
                assert!(crate::catalogue::entry(rule).is_some(), "{rule} of AADSTS{number}");
            }
        }
    }
}
