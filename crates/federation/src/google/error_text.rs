//! Google's own texts, and those of its tools, old and new wordings (G-37).

use crate::explain::{ErrorText, Explanation, KnownText, Speaker, known};

/// The more special before the more general.
pub(crate) const TEXTS: &[KnownText] = &[
    // The credential file and Google's own libraries.
    known(
        &["executables need to be explicitly allowed"],
        "G-64",
        "Google's library runs an executable only where the environment allows it",
        &["D-52"],
    ),
    known(
        &["unable to parse response returned by executable"],
        "G-66",
        "the executable wrote something else than one JSON object; its standard error counts too",
        &["D-52"],
    ),
    known(&["executable returned unsuccessful response"], "G-65", "the executable said that it has no token", &["D-52", "D-17"]),
    known(&["executable exited with non-zero return code"], "G-65", "the executable failed", &["D-52"]),
    known(&["the executable returned unsupported version"], "G-65", "the executable's answer must have version 1", &["D-52"]),
    known(
        &["unable to parse subject_token from json file"],
        "G-61",
        "the token file is not the JSON that the credential file says it is",
        &["D-51"],
    ),
    known(
        &["unable to parse subject_token from json response"],
        "G-61",
        "the answer of the source is not the JSON that the credential file says it is",
        &["D-51"],
    ),
    known(&["unable to retrieve identity pool subject token"], "G-61", "the source did not answer with status 200", &["D-51"]),
    known(&["' was not found."], "G-61", "the token file is not there", &["D-51"]),
    known(
        &["workforce_pool_user_project"],
        "G-60",
        "the project that pays is for workforce pools only, and there it is needed",
        &["D-53"],
    ),
    known(
        &["userproject option is required"],
        "G-68",
        "a workforce exchange needs a project that pays, or client credentials",
        &["D-53"],
    ),
    known(&["serviceusage.services.use"], "G-68", "the caller may not use the project that pays", &["D-53"]),
    // The exchange: what is asked for.
    known(&["invalid value for \"audience\""], "G-34", "the audience of the exchange is no provider's full name", &["D-40"]),
    known(
        &["the target service indicated by the \"audience\" parameters is invalid"],
        "G-33",
        "pool or provider is absent, deleted or disabled, or the audience has the project's id",
        &["D-41", "D-40"],
    ),
    known(&["invalid value of requested_token_type"], "G-35", "only access tokens are given", &[]),
    known(&["missing required parameter: scope"], "G-44", "the exchange asked for no scope", &[]),
    // The token.
    known(&["unable to parse the id token"], "G-43", "Google does not read this as a token", &["D-19"]),
    known(&["unable to parse the provided jwt"], "G-43", "Google does not read this as a token", &["D-19"]),
    known(
        &["the issuer in id token"],
        "G-37",
        "the token's iss is not the provider's issuer URI, to the letter",
        &["D-43", "D-16", "D-02"],
    ),
    known(
        &["the audience in id token"],
        "G-36",
        "the token's aud is not among the provider's allowed audiences",
        &["D-42", "D-18", "D-10"],
    ),
    known(
        &["is stale to sign-in"],
        "G-38",
        "the token has expired, is from the future, or has no iat or exp; Google forgives a minute",
        &["D-13", "D-11", "D-12"],
    ),
    known(
        &["unable to verify the id token signature"],
        "G-39",
        "the key with the token's kid did not make its signature",
        &["D-06", "D-08"],
    ),
    known(
        &["error connecting to the given credential's issuer"],
        "G-40",
        "no key for the token's kid, or the documents could not be fetched; with uploaded keys nothing is fetched at all",
        &["D-05", "D-03", "D-44", "D-02", "D-04"],
    ),
    // Mapping and condition.
    known(
        &["rejected by the attribute condition"],
        "G-31",
        "the provider's attribute condition is false for this token",
        &["D-45", "D-15"],
    ),
    known(
        &["could not obtain a value for google.subject"],
        "G-32",
        "the mapping of google.subject gives nothing on this token",
        &["D-46"],
    ),
    known(&["could not obtain a value for"], "G-12", "a mapping gives nothing on this token, or no text", &["D-46"]),
    known(&["must be of type string"], "G-12", "a mapping gives a list where a text is needed", &["D-46"]),
    known(
        &["mapped attribute google.subject exceeds the 127 bytes limit"],
        "G-41",
        "google.subject is longer than 127 bytes",
        &["D-14"],
    ),
    known(&["mapped attribute google.groups exceeds"], "G-13", "the token has too many groups", &[]),
    known(&["size of the entire mapped attributes exceeds"], "G-9", "all mapped attributes together are too large", &[]),
    known(&["mapped attribute"], "G-9", "a mapped attribute is too large", &[]),
    known(&["throttled due to rate limit"], "G-42", "too many exchanges; wait and try again", &[]),
    // Service accounts and data.
    known(
        &["iam.serviceaccounts.getaccesstoken"],
        "G-53",
        "no binding lets the principal use the service account, or there is no such account; a new one takes over a minute",
        &["D-47", "D-15", "D-33"],
    ),
    known(&["has not been used in project"], "G-55", "the API is not enabled in the provider's project", &["D-48"]),
    known(&["service_disabled"], "G-55", "the API is not enabled in the provider's project", &["D-48"]),
    known(&["lifetime of access token must be larger"], "G-54", "the lifetime asked for is zero", &[]),
    known(&["can not have lifetimes of more than 1 hour"], "G-54", "the lifetime asked for is above an hour", &[]),
    known(&["insufficient authentication scopes"], "G-27", "the token was asked for with other scopes", &[]),
    known(
        &["request had invalid authentication credentials"],
        "G-56",
        "the token has expired, or this API takes no federated tokens",
        &["D-50"],
    ),
    known(&["does not have storage."], "D-50", "the exchange went well, and the bucket says no", &["D-50", "D-47"]),
    known(&["permission 'storage."], "D-50", "the exchange went well, and the bucket says no", &["D-50", "D-47"]),
    known(&["permission bigquery."], "D-50", "the exchange went well, and the dataset says no", &["D-50", "D-47"]),
    // The set-up.
    known(&["org policy violated"], "G-5", "a policy of the organisation forbids this issuer", &[]),
    known(&["invalid oidc issuer uri"], "G-2", "the issuer URI begins with https://", &[]),
    known(
        &["input jwk is not in a valid json format"],
        "G-4",
        "the uploaded keys have members beside kty, alg, use, kid, n, e, x, y and crv",
        &["D-07"],
    ),
    known(
        &["input jwks contains corrupted key material"],
        "G-4",
        "the uploaded keys are of a type that Google does not take",
        &[],
    ),
    known(
        &["only rsa, ec key types are supported"],
        "G-4",
        "the uploaded keys are of a type that Google does not take",
        &["D-08"],
    ),
];

/// What Google means by a text, if it is one of Google's.
pub(crate) fn explain_text(text: &ErrorText) -> Option<Explanation> {
    text.find(Speaker::Google, TEXTS).or_else(|| {
        // G-24: Google's own fault, for a token with one second left.
        let about_sts = text.contains("sts.googleapis.com") || text.contains("internal_error");
        (about_sts && text.contains("internal error encountered")).then_some(Explanation {
            speaker: Speaker::Google,
            rule: "G-24",
            meaning: "the token had one second left",
            mistakes: &["D-12"],
        })
    })
}
