//! What each of the doctor's rules means, in one sentence, for when nothing but an error text is at hand.

use crate::finding::Who;

/// A rule of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its id, such as `D-22`.
    pub rule: &'static str,
    /// Who can mend it.
    pub who: Who,
    /// What is probably wrong.
    pub what: &'static str,
    /// How to find out, or to mend it.
    pub fix: &'static str,
}

const fn entry_of(rule: &'static str, who: Who, what: &'static str, fix: &'static str) -> Entry {
    Entry { rule, who, what, fix }
}

use Who::{Consumer, Issuer, Provider};

const CATALOGUE: [Entry; 33] = [
    entry_of(
        "D-01",
        Issuer,
        "the issuer's discovery document lacks fields that AWS needs",
        "add response_types_supported, subject_types_supported and id_token_signing_alg_values_supported",
    ),
    entry_of("D-02", Issuer, "the discovery document names another issuer than the token", "make both the same, byte for byte"),
    entry_of(
        "D-03",
        Issuer,
        "the discovery document or the key set cannot be fetched from the internet within five seconds",
        "fetch both with curl from outside: status 200, JSON, no redirect",
    ),
    entry_of(
        "D-04",
        Issuer,
        "the issuer's TLS chain is incomplete, in wrong order, expired or private",
        "check it with: openssl s_client -connect HOST:443 -showcerts",
    ),
    entry_of(
        "D-05",
        Issuer,
        "the token's kid is missing, or not in the key set",
        "compare the token's header with the document behind jwks_uri; publish a key before it signs",
    ),
    entry_of("D-06", Issuer, "two keys have one kid, or a kid was used again for a new key", "give every key a kid of its own"),
    entry_of(
        "D-07",
        Issuer,
        "the key set has over 100 keys, or members that AWS refuses (key_ops, use=enc, x5c that disagrees)",
        "publish kty, use, alg, kid, n and e only",
    ),
    entry_of("D-08", Issuer, "the signature algorithm is not accepted", "sign with RS256"),
    entry_of("D-09", Issuer, "the token's typ is not JWT; Entra refuses it", "write typ JWT"),
    entry_of("D-10", Consumer, "the token has several audiences, or an azp beside them", "ask for one resource a token"),
    entry_of("D-11", Issuer, "a time in the token is missing, a fraction or a word", "write iat and exp as integers"),
    entry_of(
        "D-12",
        Consumer,
        "the token lives too long, or not long enough for the exchange",
        "use tokens of some minutes, and exchange them at once",
    ),
    entry_of("D-13", Consumer, "a clock is wrong", "compare the clocks of issuer and client with an outside one"),
    entry_of("D-14", Consumer, "the subject is too long for a cloud", "ask for one scope a token"),
    entry_of(
        "D-15",
        Consumer,
        "the token carries several scopes, so its subject matches no policy that names one",
        "ask for one scope a token",
    ),
    entry_of(
        "D-16",
        Consumer,
        "the token is from another environment (test or production) than the provider",
        "compare the token's iss with the provider's URL",
    ),
    entry_of("D-17", Consumer, "the issuer refused the request for the token", "see the issuer's own code, MP-…"),
    entry_of(
        "D-18",
        Consumer,
        "the token has no audience, because no resource was asked for",
        "set resource to what the provider registered as client id",
    ),
    entry_of(
        "D-19",
        Consumer,
        "what was sent is not a token alone: a whole JSON answer, the word Bearer, quotes or a line feed",
        "send the access_token member and nothing else",
    ),
    entry_of(
        "D-20",
        Provider,
        "the provider's URL differs from the token's iss: a slash, a path, upper case",
        "read it with: aws iam list-open-id-connect-providers",
    ),
    entry_of("D-21", Provider, "provider and role stand in different accounts", "create the provider in the role's account"),
    entry_of(
        "D-22",
        Provider,
        "the token's audience is not among the provider's client ids",
        "aws iam add-client-id-to-open-id-connect-provider …",
    ),
    entry_of(
        "D-23",
        Provider,
        "the trust policy looks at a claim that AWS does not show, such as scope",
        "compare HOST:sub, which carries consumer and scope",
    ),
    entry_of(
        "D-24",
        Provider,
        "a condition key lacks the issuer's path or slash, or has https:// in front",
        "use the provider's URL without https:// as prefix",
    ),
    entry_of(
        "D-25",
        Provider,
        "a condition's value is not what the token says, or has a star where it is compared literally",
        "compare it with the token's sub and aud: skybru doctor --token … --aws-trust-policy …",
    ),
    entry_of(
        "D-27",
        Provider,
        "the principal or the action of the trust policy is wrong",
        "Principal Federated = the provider's ARN, Action = sts:AssumeRoleWithWebIdentity",
    ),
    entry_of(
        "D-28",
        Consumer,
        "the session name has characters that AWS refuses, such as a colon",
        "use letters, digits and +=,.@-",
    ),
    entry_of(
        "D-29",
        Consumer,
        "the duration is below 900 seconds, or above the role's maximum",
        "ask for less, or raise the role's MaxSessionDuration",
    ),
    entry_of(
        "D-30",
        Provider,
        "the provider's thumbprint is stale, and the issuer's chain is not publicly trusted",
        "aws iam update-open-id-connect-provider-thumbprint …",
    ),
    entry_of(
        "D-31",
        Provider,
        "the token carries session tags, and the trust policy does not allow sts:TagSession",
        "add sts:TagSession to the statement's actions",
    ),
    entry_of(
        "D-32",
        Provider,
        "the role was assumed, but its policies (or the bucket's) do not allow this",
        "add the action and the resource that the text names to the role's policy",
    ),
    entry_of("D-33", Provider, "role or provider were made seconds ago", "wait a quarter of a minute and try again"),
    entry_of(
        "D-34",
        Consumer,
        "the STS endpoint of this region is off, or of another partition",
        "use another region's endpoint",
    ),
];

/// The rule of this id.
///
/// ```
/// assert!(skybru_federation::aws::catalogue_entry("D-23").unwrap().what.contains("scope"));
/// ```
pub fn catalogue_entry(rule: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.rule == rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_stands_once_and_in_order() {
        assert!(CATALOGUE.windows(2).all(|pair| pair[0].rule < pair[1].rule));
    }
}
