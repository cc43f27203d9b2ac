//! Rules of Google Cloud: provider, mapping, bindings, credential files.

use super::Cloud::Google;
use super::Entry;
use crate::finding::Who::{Consumer, Provider};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        rule: "D-40",
        who: &[Consumer, Provider],
        what: "the audience is not the provider's full name with the project's number",
        fix: "write //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER",
        clouds: &[Google],
    },
    Entry {
        rule: "D-41",
        who: &[Provider],
        what: "the pool or the provider is disabled or deleted (a deleted id is taken for 30 days)",
        fix: "gcloud iam workload-identity-pools providers describe PROVIDER --workload-identity-pool POOL --location global",
        clouds: &[Google],
    },
    Entry {
        rule: "D-42",
        who: &[Provider],
        what: "the provider's allowed audiences do not have the token's aud, or were left empty",
        fix: "gcloud iam workload-identity-pools providers update-oidc PROVIDER --workload-identity-pool POOL --location global --allowed-audiences AUDIENCE",
        clouds: &[Google],
    },
    Entry {
        rule: "D-43",
        who: &[Provider],
        what: "the provider's issuer URI differs from the token's iss, often by a slash",
        fix: "gcloud iam workload-identity-pools providers update-oidc PROVIDER --workload-identity-pool POOL --location global --issuer-uri ISS",
        clouds: &[Google],
    },
    Entry {
        rule: "D-44",
        who: &[Provider],
        what: "the key set uploaded to the provider is older than the issuer's keys",
        fix: "upload it again with --jwk-json-path, or let Google fetch it",
        clouds: &[Google],
    },
    Entry {
        rule: "D-45",
        who: &[Provider, Consumer],
        what: "the provider's attribute condition is false for this token",
        fix: "evaluate it on the token: skybru doctor --token FILE --google-provider FILE",
        clouds: &[Google],
    },
    Entry {
        rule: "D-46",
        who: &[Provider],
        what: "the attribute mapping asks for a claim that is absent, or gives a list where a text is needed",
        fix: "map claims that the token has; reach into a list with [0]",
        clouds: &[Google],
    },
    Entry {
        rule: "D-47",
        who: &[Provider],
        what: "no binding fits the principal, or it is on another attribute value; a subject needs principal://, an attribute principalSet://",
        fix: "compare the bindings with the principals of the token: skybru doctor --token FILE --google-provider FILE",
        clouds: &[Google],
    },
    Entry {
        rule: "D-48",
        who: &[Provider],
        what: "the IAM Service Account Credentials API is not enabled",
        fix: "gcloud services enable iamcredentials.googleapis.com",
        clouds: &[Google],
    },
    Entry {
        rule: "D-49",
        who: &[Provider],
        what: "there is no attribute condition and the binding is for the whole pool, so every consumer of the issuer gets in",
        fix: "bind attribute.clientaccess or the subject, or add an attribute condition",
        clouds: &[Google],
    },
    Entry {
        rule: "D-50",
        who: &[Provider, Consumer],
        what: "the service account has no role on the bucket, or the API takes no federated principals",
        fix: "grant the role on the bucket, or impersonate a service account",
        clouds: &[Google],
    },
    Entry {
        rule: "D-51",
        who: &[Consumer],
        what: "the token file's format is not what the credential file says",
        fix: "set credential_source.format to {\"type\":\"json\",\"subject_token_field_name\":\"access_token\"} for a JSON file",
        clouds: &[Google],
    },
    Entry {
        rule: "D-52",
        who: &[Consumer],
        what: "the executable source is not allowed, has blanks in its command, or writes to standard error",
        fix: "set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 and keep the command free of blanks and log lines",
        clouds: &[Google],
    },
    Entry {
        rule: "D-53",
        who: &[Consumer],
        what: "workforce_pool_user_project is missing for a workforce pool, or set for a workload pool",
        fix: "set it for workforce pools only",
        clouds: &[Google],
    },
    Entry {
        rule: "D-54",
        who: &[Provider],
        what: "google.subject is a person's national identity number, which ends up in every log",
        fix: "map another claim",
        clouds: &[Google],
    },
];
