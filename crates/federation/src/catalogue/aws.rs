//! Rules of AWS: provider, trust policy, call, environment.

use super::Cloud::Aws;
use super::Entry;
use crate::finding::Who::{Consumer, Issuer, Provider};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        rule: "D-20",
        who: &[Provider],
        what: "the provider's URL differs from the token's iss: a slash, a path, upper case",
        fix: "read it with: aws iam list-open-id-connect-providers",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-21",
        who: &[Provider],
        what: "provider and role stand in different accounts",
        fix: "create the provider in the role's account",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-22",
        who: &[Provider],
        what: "the token's audience is not among the provider's client ids",
        fix: "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn ARN --client-id AUDIENCE",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-23",
        who: &[Provider],
        what: "the trust policy looks at a claim that AWS does not show, such as scope",
        fix: "compare HOST:sub, which carries consumer and scope",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-24",
        who: &[Provider],
        what: "a condition key lacks the issuer's path or slash, or has https:// in front",
        fix: "use the provider's URL without https:// as prefix",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-25",
        who: &[Provider],
        what: "a condition's value is not what the token says, or has a star where it is compared literally",
        fix: "compare it with the token's sub and aud: skybru doctor --token FILE --aws-trust-policy FILE",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-26",
        who: &[Provider],
        what: "the trust policy does not bind the subject, so every consumer of the issuer gets in",
        fix: "add \"StringEquals\": {\"HOST:sub\": \"0192:NNNNNNNNN;prefix:scope\"}",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-27",
        who: &[Provider],
        what: "the principal or the action of the trust policy is wrong",
        fix: "Principal Federated = the provider's ARN, Action = sts:AssumeRoleWithWebIdentity",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-28",
        who: &[Consumer],
        what: "the session name has characters that AWS refuses, such as a colon",
        fix: "use letters, digits and _+=,.@-",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-29",
        who: &[Consumer],
        what: "the duration is below 900 seconds, or above the role's maximum",
        fix: "ask for less, or raise the role's MaxSessionDuration",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-30",
        who: &[Provider],
        what: "the provider's thumbprint is stale, and the issuer's chain is not publicly trusted",
        fix: "aws iam update-open-id-connect-provider-thumbprint --open-id-connect-provider-arn ARN --thumbprint-list SHA1",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-31",
        who: &[Provider, Issuer],
        what: "the token carries session tags, and the trust policy does not allow sts:TagSession",
        fix: "add sts:TagSession to the statement's actions",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-32",
        who: &[Provider],
        what: "the role was assumed, but its policies (or the bucket's, or the key's) do not allow this",
        fix: "add the action and the resource that the text names to the role's policy",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-33",
        who: &[Provider],
        what: "role or provider were made seconds ago",
        fix: "wait a quarter of a minute and try again",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-34",
        who: &[Consumer],
        what: "the STS endpoint of this region is off, or of another partition",
        fix: "use the endpoint of another region",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-35",
        who: &[Consumer],
        what: "the environment names several sources of credentials, and the wrong one wins",
        fix: "unset all but the one that is meant; skybru doctor --environment shows their order",
        clouds: &[Aws],
    },
    Entry {
        rule: "D-36",
        who: &[Consumer],
        what: "a static access key was left in the environment",
        fix: "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN",
        clouds: &[Aws],
    },
];
