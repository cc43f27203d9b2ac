//! Which mistakes an error text of AWS points to.
//!
//! After D-99: whitespace is collapsed (A-32 has two blanks on the wire, and one in every terminal), old and new wordings count, and a
//! stable fragment is looked for, never the whole sentence. Where the catalogue has no mistake of its own for a text, the rule that
//! describes it is named.

/// Fragments in lower case, the more special before the more general.
const KNOWN: [(&str, &[&str]); 45] = [
    // Documents and keys.
    ("couldn't retrieve verification key", &["D-01", "D-05", "D-03", "D-07", "D-02", "D-04"]),
    ("doesn't match configured thumbprint", &["D-30", "D-04"]),
    ("could not connect to openid configuration", &["D-03", "D-04"]),
    ("please check .well-known/openid-configuration", &["D-01", "D-03"]),
    ("idpcommunicationerror", &["D-03"]),
    ("openididpcommunicationerror", &["D-03", "D-04"]),
    // The provider and the audience.
    ("no openidconnect provider found", &["D-20", "D-16", "D-21", "D-34"]),
    ("incorrect token audience", &["D-22", "D-18"]),
    ("web identity token provided could not be validated", &["D-22", "D-18", "D-06", "D-07"]),
    // The token.
    ("not a valid jwt", &["D-19", "D-08", "D-35"]),
    ("token expired", &["D-13", "D-12"]),
    ("expiredtokenexception", &["D-13", "D-12"]),
    ("token issued in the future", &["D-13"]),
    ("token not yet valid", &["D-13"]),
    ("missing a required claim: aud", &["D-18"]),
    ("claim is not allowed to be empty: aud", &["D-18"]),
    ("missing a required claim: iat", &["D-11"]),
    ("missing a required claim: exp", &["D-11"]),
    ("missing a required claim", &["A-37"]),
    ("invalid timestamp in token claims", &["D-11"]),
    ("more than one audience", &["D-10"]),
    ("unknown error validating third-party token", &["A-38"]),
    ("not a login with amazon token", &["A-55"]),
    ("idprejectedclaim", &["A-55"]),
    ("principal_tags", &["D-31"]),
    // The call.
    ("rolesessionname", &["D-28"]),
    ("durationseconds", &["D-29"]),
    ("webidentitytoken' failed", &["D-19"]),
    ("rolearn' failed", &["A-60"]),
    ("packedpolicytoolarge", &["A-63"]),
    ("of allotted space", &["A-63"]),
    // The set-up.
    ("invalid principal in policy", &["D-27"]),
    ("malformedpolicydocument", &["D-27"]),
    ("provider with url", &["A-12"]),
    ("openidconnect provider not found for arn", &["A-14"]),
    ("openid connect provider", &["A-14"]),
    ("thumbprint list must contain", &["A-8"]),
    ("cannot exceed quota for", &["A-15"]),
    // Permission, region, other credentials.
    ("not authorized to perform sts:assumerolewithwebidentity", &["D-25", "D-23", "D-24", "D-27", "D-21", "D-31", "D-33"]),
    ("not authorized to perform: s3:", &["D-32"]),
    ("permanentredirect", &["D-32"]),
    ("regiondisabled", &["D-34"]),
    ("security token included in the request is invalid", &["D-36", "D-35"]),
    ("invalidclienttokenid", &["D-36", "D-35"]),
    ("invalid open id connect provider url", &["A-2"]),
];

/// Rules that an error text of AWS points to, the likeliest first; empty when the text is not known.
///
/// ```
/// use skybru_federation::aws::explain_error;
/// assert_eq!(explain_error("An error occurred (InvalidIdentityToken): Incorrect  token\naudience")[0], "D-22");
/// assert!(explain_error("AADSTS700024").is_empty());
/// ```
pub fn explain_error(text: &str) -> &'static [&'static str] {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase().replace('’', "'");
    if let Some((_, rules)) = KNOWN.iter().find(|(fragment, _)| text.contains(fragment)) {
        return rules;
    }
    // S3 says no more than this to old clients.
    let about_s3 = ["getobject", "headobject", "listobjects", "putobject"].iter().any(|operation| text.contains(operation));
    if about_s3 && (text.contains("access denied") || text.contains("forbidden")) { &["D-32"] } else { &[] }
}
