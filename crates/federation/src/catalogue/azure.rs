//! Rules of Entra and Azure: federated credentials, sign-in, data roles.

use super::Cloud::Azure;
use super::Entry;
use crate::finding::Who::{Consumer, Provider};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        rule: "D-60",
        who: &[Provider],
        what: "the federated credential's issuer lacks https://, has a slash too many or is of another environment",
        fix: "az identity federated-credential update --issuer ISS … with the token's iss to the letter",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-61",
        who: &[Provider],
        what: "the federated credential's subject is not the token's sub, to the letter and the case",
        fix: "az identity federated-credential update --subject SUB …",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-62",
        who: &[Provider, Consumer],
        what: "the federated credential's audience is not the token's aud",
        fix: "az identity federated-credential update --audiences AUD … or ask for that resource",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-63",
        who: &[Consumer, Provider],
        what: "principalId and clientId are mixed up",
        fix: "sign in with the clientId; give roles and ACLs to the principalId",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-64",
        who: &[Consumer],
        what: "the tenant is not the identity's own",
        fix: "az identity show --query tenantId",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-65",
        who: &[Provider],
        what: "the federated credential was made minutes ago, or several at once",
        fix: "wait some minutes and try again; write to one identity one at a time",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-66",
        who: &[Provider],
        what: "a wildcard or a flexible credential is expected for an issuer that has none",
        fix: "write one federated credential for each subject",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-67",
        who: &[Provider],
        what: "more than 20 federated credentials on one identity",
        fix: "spread the consumers over several identities",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-68",
        who: &[Provider],
        what: "Contributor was granted where a data role is needed",
        fix: "grant Storage Blob Data Reader, and take Contributor away",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-69",
        who: &[Consumer],
        what: "the file share was asked without backup intent, with an old API version, or with account keys",
        fix: "add --auth-mode login --enable-file-backup-request-intent",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-70",
        who: &[Consumer],
        what: "az replays the assertion that it stored at login",
        fix: "az login again with a fresh token",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-71",
        who: &[Consumer],
        what: "the identity has no role on a subscription, only on data",
        fix: "az login … --allow-no-subscriptions",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-72",
        who: &[Consumer],
        what: "the scope lacks /.default, or names another resource",
        fix: "ask for https://storage.azure.com/.default",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-73",
        who: &[Provider],
        what: "the storage account blocks the public network or this way of signing in",
        fix: "az storage account show --query '[publicNetworkAccess,networkRuleSet.defaultAction]'",
        clouds: &[Azure],
    },
    Entry {
        rule: "D-74",
        who: &[Provider],
        what: "the ACL is on the file but not on the folders above it",
        fix: "give execute (--x) on every folder above",
        clouds: &[Azure],
    },
];
