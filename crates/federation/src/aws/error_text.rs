//! AWS's own texts, and those of its tools, old and new wordings.

use crate::explain::{ErrorText, Explanation, KnownText, Speaker, known};

const KEYS: &[&str] = &["D-01", "D-05", "D-03", "D-07", "D-02", "D-04"];
const OPERATOR: &str = "AWS could not get a key that verifies the token: from the documents, for this kid, or in time";
const CLOCK: &[&str] = &["D-13", "D-12"];
const PERMISSION: &[&str] = &["D-32"];

/// The more special before the more general.
pub(crate) const TEXTS: &[KnownText] = &[
    // Documents and keys.
    known(&["couldn't retrieve verification key"], "A-32", OPERATOR, KEYS),
    known(
        &["doesn't match configured thumbprint"],
        "A-49",
        "the issuer's chain is private, and its last certificate is not the provider's thumbprint",
        &["D-30", "D-04"],
    ),
    known(
        &["could not connect to openid configuration"],
        "A-17",
        "the console could not fetch the discovery document, or the served certificates are out of order",
        &["D-03", "D-04"],
    ),
    known(
        &["please check .well-known/openid-configuration"],
        "A-17",
        "the console does not take the discovery document",
        &["D-01", "D-03"],
    ),
    known(
        &["openididpcommunicationerror"],
        "A-7",
        "IAM could not reach the issuer to fetch its thumbprint: give one, or open the way",
        &["D-03", "D-04"],
    ),
    known(&["idpcommunicationerror"], "A-52", "STS could not reach the issuer; often it passes", &["D-03"]),
    // The provider and the audience.
    known(
        &["no openidconnect provider found"],
        "A-48",
        "the role's account has no provider whose URL is the token's iss, to the letter",
        &["D-20", "D-16", "D-21", "D-34"],
    ),
    known(
        &["incorrect token audience"],
        "A-41",
        "the token's audience is not among the provider's client ids (the wording until 2024)",
        &["D-22", "D-18"],
    ),
    known(
        &["web identity token provided could not be validated"],
        "A-36",
        "the signature is wrong, or (since 2026) the audience is not among the provider's client ids",
        &["D-22", "D-18", "D-06", "D-07"],
    ),
    // The token.
    known(&["not a valid jwt"], "A-30", "AWS does not read this as a token it knows", &["D-19", "D-08", "D-35"]),
    known(&["token expired"], "A-42", "the token expired over five minutes ago", CLOCK),
    known(&["expiredtokenexception"], "A-42", "the token expired over five minutes ago", CLOCK),
    known(&["token issued in the future"], "A-43", "iat lies over five minutes ahead", &["D-13"]),
    known(&["token not yet valid"], "A-44", "nbf lies over five minutes ahead", &["D-13"]),
    known(&["missing a required claim: aud"], "A-37", "the token has no aud", &["D-18"]),
    known(&["claim is not allowed to be empty: aud"], "A-39", "aud is an empty list", &["D-18"]),
    known(&["missing a required claim: iat"], "A-37", "the token has no iat", &["D-11"]),
    known(&["missing a required claim: exp"], "A-37", "the token has no exp", &["D-11"]),
    known(&["missing a required claim"], "A-37", "the token lacks one of iss, sub, aud, iat and exp", &[]),
    known(&["invalid timestamp in token claims"], "A-45", "a time is a fraction, null or a word", &["D-11"]),
    known(&["more than one audience"], "A-40", "the token has several audiences and no azp", &["D-10"]),
    known(&["unknown error validating third-party token"], "A-38", "the token's sub is null; the issuer must write a text", &[]),
    known(&["not a login with amazon token"], "A-55", "ProviderId was sent; leave it out for an OpenID Connect token", &[]),
    known(&["idprejectedclaim"], "A-55", "ProviderId was sent, or the roles claim rejects the call", &[]),
    known(&["principal_tags"], "A-75", "the session tags have a wrong shape", &["D-31"]),
    known(&["source identity"], "A-77", "the source identity must be 2 to 64 characters of A-Z a-z 0-9 _ + = , . @ -", &["D-31"]),
    // The call.
    known(&["rolesessionname"], "A-23", "the session name has a character that AWS does not take", &["D-28"]),
    known(&["exceeds the maxsessionduration"], "A-61", "the duration is above what the role allows", &["D-29"]),
    known(&["durationseconds"], "A-60", "the duration must be 900 to 43200 seconds", &["D-29"]),
    known(&["webidentitytoken' failed"], "A-60", "the token is empty or longer than 20000 characters", &["D-19"]),
    known(&["rolearn' failed"], "A-60", "the role's ARN is missing or has a wrong length", &[]),
    known(&["packedpolicytoolarge"], "A-63", "the session policies and tags are too large", &[]),
    known(&["of allotted space"], "A-63", "the session policies and tags are too large", &[]),
    known(&["request must contain the parameter"], "A-65", "a parameter is missing", &[]),
    known(&["could not find operation"], "A-65", "AWS knows no such action in this version", &[]),
    known(&["validation error detected"], "A-60", "a parameter breaks its limits; the text names it", &[]),
    // The set-up.
    known(
        &["invalid principal in policy"],
        "A-18",
        "the provider that the trust policy names does not exist; create it first",
        &["D-27"],
    ),
    known(
        &["malformedpolicydocument"],
        "A-63",
        "the policy cannot be read, or an issuer that many share needs a scoped condition (A-19)",
        &["D-27"],
    ),
    known(&["provider with url"], "A-12", "the account has a provider of this URL already", &[]),
    known(
        &["openidconnect provider not found for arn"],
        "A-14",
        "no provider has this ARN; it ends in the URL without https://, slash and all",
        &["D-20"],
    ),
    known(&["openid connect provider", "cannot be found"], "A-14", "no provider has this ARN", &["D-20"]),
    known(&["thumbprint list must contain at least"], "A-9", "a provider keeps at least one thumbprint", &[]),
    known(&["thumbprint list must contain"], "A-8", "a provider takes five thumbprints", &[]),
    known(&["cannot exceed quota for"], "A-15", "a quota of the account is used up", &[]),
    known(&["duplicate tag keys"], "A-65", "two tags differ in case only", &[]),
    known(&["invalid open id connect provider url"], "A-2", "the URL begins with https:// and has no query", &["D-20"]),
    known(&["invalidinput", "unknown"], "A-3", "the provider's URL has a query or a fragment", &["D-20"]),
    // Permission, region, other credentials.
    known(
        &["not authorized to perform sts:assumerolewithwebidentity"],
        "A-62",
        "no such role, or its trust policy does not let this token in; AWS never says which",
        &["D-25", "D-23", "D-24", "D-27", "D-21", "D-31", "D-33"],
    ),
    known(
        &["not authorized to perform: sts:assumerolewithwebidentity"],
        "A-62",
        "no such role, or its trust policy does not let this token in; AWS never says which",
        &["D-25", "D-23", "D-24", "D-27", "D-21", "D-31", "D-33"],
    ),
    known(&["not authorized to perform: s3:"], "D-32", "the role was assumed, and S3 says no", PERMISSION),
    known(&["not authorized to perform: kms:"], "D-32", "the role was assumed, and the key's policy says no", PERMISSION),
    known(&["permanentredirect"], "D-32", "the bucket is in another region", PERMISSION),
    known(&["must be addressed using the specified endpoint"], "D-32", "the bucket is in another region", PERMISSION),
    known(&["regiondisabled"], "D-34", "STS is not switched on in this region", &["D-34"]),
    known(&["sts is not activated in this region"], "D-34", "STS is not switched on in this region", &["D-34"]),
    known(
        &["request is missing authentication token"],
        "A-65",
        "the call needs a signature, and no credentials were found",
        &["D-35"],
    ),
    known(&["missingauthenticationtoken"], "A-65", "the call needs a signature, and no credentials were found", &["D-35"]),
    known(&["security token included in the request is invalid"], "A-65", "AWS does not know the access key", &["D-36", "D-35"]),
    known(&["invalidclienttokenid"], "A-65", "AWS does not know the access key", &["D-36", "D-35"]),
    known(&["invalidaccesskeyid"], "A-65", "S3 does not know the access key", &["D-36", "D-35"]),
    // AWS's tools.
    known(&["for credential process provider"], "A-92", "the helper's answer must have the integer Version 1", &["D-35"]),
    known(&["credential_process"], "A-92", "the helper failed; its standard error stands in the text", &["D-35"]),
    known(
        &["auth token value is not a legal header value"],
        "A-93",
        "the container's authorization token ends in a line feed",
        &["D-19"],
    ),
    known(&["unable to locate credentials"], "A-90", "no source of credentials is set", &["D-35"]),
];

/// S3 says no more than this to old clients.
const S3_OPERATIONS: [&str; 4] = ["getobject", "headobject", "listobjects", "putobject"];

/// What AWS means by a text, if it is one of AWS's.
pub(crate) fn explain_text(text: &ErrorText) -> Option<Explanation> {
    text.find(Speaker::Aws, TEXTS).or_else(|| {
        let about_s3 = S3_OPERATIONS.iter().any(|operation| text.contains(operation));
        (about_s3 && (text.contains("access denied") || text.contains("forbidden"))).then_some(Explanation {
            speaker: Speaker::Aws,
            rule: "D-32",
            meaning: "the role was assumed, and S3 says no",
            mistakes: PERMISSION,
        })
    })
}
