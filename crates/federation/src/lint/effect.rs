//! What each cloud makes of a mistake that is not its own: the comparison of the three, one function a question.
//!
//! Where nobody has been seen to try, it says so: [`Verdict::Unconfirmed`].

use serde::Serialize;

use crate::catalogue::Cloud;
use crate::finding::{Finding, Severity};

/// Whether a cloud minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It takes the token all the same.
    Accepts,
    /// It refuses.
    Refuses,
    /// Nobody reachable has tried, or reports differ.
    Unconfirmed,
}

/// What one cloud makes of a mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// The cloud.
    pub cloud: Cloud,
    /// Whether it minds.
    pub verdict: Verdict,
    /// Its own rule, such as `A-40`.
    pub rule: &'static str,
    /// In its own words, or in half a sentence.
    pub says: &'static str,
}

/// The three clouds' verdicts on one mistake: AWS, Google Cloud, Azure.
pub(super) type Effects = [(Verdict, &'static str, &'static str); 3];

use Verdict::{Accepts, Refuses, Unconfirmed};

pub(super) const NO_LISTS: Effects = [
    (Refuses, "A-50", "Couldn't retrieve verification key from your identity provider"),
    (Accepts, "G-40", "it needs issuer and jwks_uri only"),
    (Unconfirmed, "E-24", "an empty subject_types_supported was refused once"),
];

pub(super) const OTHER_ISSUER: Effects = [
    (Refuses, "A-48", "No OpenIDConnect provider found in your account, or no verification key"),
    (Refuses, "G-37", "The issuer in ID Token does not match the expected one in config"),
    (Refuses, "E-31", "AADSTS700211, no matching record for the issuer"),
];

pub(super) const NO_SCHEME: Effects = [
    (Refuses, "A-47", "the issuer must begin with https://"),
    (Refuses, "G-2", "Invalid OIDC issuer URI"),
    (Refuses, "E-31", "AADSTS700211, no matching record for the issuer"),
];

pub(super) const NO_KID: Effects = [
    (Refuses, "A-32", "no verification key, unless exactly one key is usable"),
    (Refuses, "G-40", "Error connecting to the given credential's issuer."),
    (Unconfirmed, "E-43", "AADSTS5002723 is known for certificates"),
];

pub(super) const UNKNOWN_KEY: Effects = [
    (Refuses, "A-32", "Couldn't retrieve verification key from your identity provider"),
    (Refuses, "G-40", "Error connecting to the given credential's issuer."),
    (Refuses, "E-46", "the key was not found (the code is unconfirmed)"),
];

pub(super) const SAME_KID: Effects = [
    (Refuses, "A-35", "the last of them counts; if it is the wrong one, the token could not be validated"),
    (Refuses, "G-39", "Unable to verify the ID Token signature."),
    (Unconfirmed, "E-47", "one of them counts"),
];

pub(super) const MANY_KEYS: Effects = [
    (Refuses, "A-33", "no key of a type counts that has more than 100"),
    (Unconfirmed, "G-4", "no limit is documented"),
    (Unconfirmed, "E-23", "only the first 100 count"),
];

pub(super) const KEY_OPERATIONS: Effects = [
    (Refuses, "A-33", "The web identity token provided could not be validated"),
    (Unconfirmed, "G-4", "refused when it is uploaded"),
    (Unconfirmed, "E-23", "nobody has tried"),
];

pub(super) const KEY_FOR_ENCRYPTION: Effects = [
    (Refuses, "A-33", "Couldn't retrieve verification key from your identity provider"),
    (Unconfirmed, "G-40", "nobody has tried"),
    (Unconfirmed, "E-23", "nobody has tried"),
];

pub(super) const KEY_CERTIFICATE: Effects = [
    (Accepts, "A-33", "if the certificate agrees with the numbers"),
    (Refuses, "G-4", "refused when it is uploaded (reports differ)"),
    (Unconfirmed, "E-23", "nobody has tried"),
];

pub(super) const TYP: Effects = [
    (Accepts, "A-30", "nothing shows that it looks"),
    (Accepts, "G-20", "nothing shows that it looks"),
    (Refuses, "E-42", "AADSTS5002727: Invalid JWT header type specified"),
];

pub(super) const SEVERAL_AUDIENCES: Effects = [
    (Refuses, "A-40", "Token audience contains more than one audience while authorized party is not present"),
    (Unconfirmed, "G-25", "one that is allowed is enough at a sister service"),
    (Unconfirmed, "E-26", "nobody has recorded a try"),
];

pub(super) const AUTHORIZED_PARTY: Effects = [
    (Accepts, "A-40", "compares azp, and aud not at all"),
    (Accepts, "G-36", "compares aud"),
    (Unconfirmed, "E-26", "compares aud"),
];

pub(super) const NO_AUDIENCE: Effects = [
    (Refuses, "A-37", "Missing a required claim: aud"),
    (Refuses, "G-36", "The audience in ID Token [] does not match the expected audience."),
    (Refuses, "E-44", "AADSTS90014: The required field 'aud' is missing from the credential"),
];

pub(super) const NO_TIME: Effects = [
    (Refuses, "A-37", "Missing a required claim"),
    (Refuses, "G-38", "ID Token issued at null is stale to sign-in."),
    (Unconfirmed, "E-39", "nobody has recorded a try"),
];

pub(super) const FRACTION: Effects = [
    (Refuses, "A-45", "Invalid timestamp in token claims."),
    (Unconfirmed, "G-38", "nobody has recorded a try"),
    (Unconfirmed, "E-39", "nobody has recorded a try"),
];

pub(super) const TIME_AS_TEXT: Effects = [
    (Accepts, "A-45", "whole seconds in a text are taken"),
    (Unconfirmed, "G-38", "nobody has recorded a try"),
    (Unconfirmed, "E-39", "nobody has recorded a try"),
];

pub(super) const SHORT_LIFE: Effects = [
    (Accepts, "A-26", "the credentials last as long as was asked"),
    (Unconfirmed, "G-24", "the credentials last no longer than the token; at 1 s it answers 500"),
    (Unconfirmed, "E-70", "Azure's library reads the token file every 600 s, and may present an old token"),
];

pub(super) const SEVERAL_SCOPES: Effects = [
    (Refuses, "A-62", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
    (Refuses, "G-53", "Permission 'iam.serviceAccounts.getAccessToken' denied"),
    (Refuses, "E-33", "AADSTS700213, no matching record for the subject"),
];

pub(super) const NOT_A_TOKEN: Effects = [
    (Refuses, "A-30", "The ID Token provided is not a valid JWT."),
    (Unconfirmed, "G-43", "refused; the text is unconfirmed"),
    (Refuses, "E-40", "AADSTS50027: JWT token is invalid or malformed."),
];

/// P-1: what each cloud takes.
pub(super) fn of_algorithm(alg: &str) -> Effects {
    let aws = match alg {
        "RS256" | "RS384" | "RS512" | "ES256" | "ES384" | "ES512" => (Accepts, "A-30", "takes RS and ES with 256, 384 and 512"),
        _ => (Refuses, "A-30", "The ID Token provided is not a valid JWT."),
    };
    let google = match alg {
        "RS256" | "ES256" => (Accepts, "G-20", "takes RS256 and ES256"),
        _ => (Refuses, "G-20", "takes RS256 and ES256"),
    };
    let azure = match alg {
        "RS256" => (Accepts, "E-20", "takes RS256"),
        _ => (Refuses, "E-41", "AADSTS5002738: not a supported signature algorithm"),
    };
    [aws, google, azure]
}

/// P-6: a subject of this many bytes.
pub(super) fn of_subject_length(bytes: usize) -> Effects {
    [
        (Accepts, "A-38", "documents 255, takes more"),
        if bytes > 127 {
            (Refuses, "G-41", "The size of mapped attribute google.subject exceeds the 127 bytes limit, if sub is mapped to it")
        } else {
            (Accepts, "G-41", "takes 127")
        },
        if bytes > 600 { (Refuses, "E-2", "a credential's subject has at most 600") } else { (Accepts, "E-2", "takes 600") },
    ]
}

/// A token that is `seconds` too early.
pub(super) fn of_early(seconds: i64) -> Effects {
    [
        if seconds > 300 { (Refuses, "A-43", "forgives 300 s") } else { (Accepts, "A-43", "forgives 300 s") },
        if seconds > 60 { (Refuses, "G-38", "forgives 60 s") } else { (Accepts, "G-38", "forgives 60 s") },
        if seconds > 300 { (Refuses, "E-39", "forgives about 300 s") } else { (Unconfirmed, "E-27", "forgives about 300 s") },
    ]
}

/// A token that expired `seconds` ago.
pub(super) fn of_late(seconds: i64) -> Effects {
    let [aws, google, azure] = of_early(seconds);
    [(aws.0, "A-42", aws.2), google, azure]
}

/// The finding with what each cloud makes of it. How bad it is depends on the clouds in question: an error where one of them refuses, a
/// warning where another would. With none in question it is an error where no cloud is known to take it.
pub(super) fn judged(finding: Finding, effects: Effects, scope: &[Cloud]) -> Finding {
    let clouds: Vec<Effect> =
        Cloud::ALL.into_iter().zip(effects).map(|(cloud, (verdict, rule, says))| Effect { cloud, verdict, rule, says }).collect();
    let refused = |effect: &&Effect| effect.verdict == Refuses && (scope.is_empty() || scope.contains(&effect.cloud));
    let accepted = |effect: &&Effect| effect.verdict == Accepts;
    let error = clouds.iter().any(|effect| refused(&effect)) && !(scope.is_empty() && clouds.iter().any(|e| accepted(&e)));
    let severity = if error {
        Severity::Error
    } else if clouds.iter().all(|effect| accepted(&effect)) {
        Severity::Advice
    } else {
        Severity::Warning
    };
    Finding { clouds, ..finding.severity(severity) }
}
