//! What the simulated project holds: pools, providers, service accounts, policies, buckets, datasets, access tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use skybru_federation::google::org_policy::IssuerRule;
use skybru_federation::google::policy::{Binding, Policy};
use skybru_federation::google::service_account::ServiceAccount;
use skybru_federation::google::{ApiError, Caller, Pool, Provider, StsError};

use super::datasets::Dataset;
use crate::kept::{Kept, NotKept};

/// The state of the project.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By name.
    pub(crate) pools: BTreeMap<String, Pool>,
    /// By name.
    pub(crate) providers: BTreeMap<String, Provider>,
    /// By address.
    pub(crate) service_accounts: BTreeMap<String, ServiceAccount>,
    /// By resource: `projects/NUMBER`, `buckets/NAME`, `serviceAccounts/ADDRESS`.
    pub(crate) policies: BTreeMap<String, ChangedPolicy>,
    /// By name.
    pub(crate) buckets: BTreeMap<String, Bucket>,
    /// By id.
    pub(crate) datasets: BTreeMap<String, Dataset>,
    /// By the SHA-256 of the token: the tokens themselves are kept nowhere.
    pub(crate) tokens: BTreeMap<String, AccessToken>,
    /// Services that somebody switched off (G-55).
    #[serde(default)]
    pub(crate) disabled_services: BTreeSet<String>,
    /// What the organisation says of issuers, if it says anything (G-5).
    #[serde(default)]
    pub(crate) issuer_rules: Option<Vec<IssuerRule>>,
    /// Counts changes of policies, for their etags, and new accounts, for their numbers.
    pub(crate) counter: u64,
}

/// A policy, and the one before it for as long as the change is not in force everywhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ChangedPolicy {
    pub(crate) policy: Policy,
    /// Seconds since 1970.
    changed: i64,
    before: Policy,
}

/// A bucket, beside its objects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) location: String,
    pub(crate) storage_class: String,
    pub(crate) created: i64,
    pub(crate) metageneration: u64,
    pub(crate) labels: BTreeMap<String, String>,
}

/// An access token: whom it stands for, and for what it is good.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccessToken {
    pub(crate) caller: Caller,
    pub(crate) scopes: Vec<String>,
    /// Seconds since 1970.
    pub(crate) issued: i64,
    /// Seconds since 1970.
    pub(crate) expires: i64,
}

/// The state and where it is kept.
pub(crate) type StateStore = Kept<State>;

impl From<NotKept> for ApiError {
    fn from(_: NotKept) -> Self {
        Self::new("S-21", 500, "INTERNAL", "Internal error encountered.")
    }
}

impl From<NotKept> for StsError {
    fn from(_: NotKept) -> Self {
        Self { status: 500, ..Self::new("S-21", "internal_error", "Internal error encountered.") }
    }
}

/// How a token is found again.
pub(crate) fn fingerprint(token: &str) -> String {
    crate::hex::hex(digest(&SHA256, token.as_bytes()).as_ref())
}

impl State {
    /// A new project with its owner.
    pub(crate) fn of_project(number: &str, owner: &str) -> Self {
        let binding = Binding { role: "roles/owner".to_owned(), members: vec![format!("user:{owner}")], condition: None };
        let mut state = Self::default();
        let policy = Policy { version: 1, bindings: vec![binding], etag: None };
        state.set_policy(&format!("projects/{number}"), policy, 0);
        state
    }

    /// The policy of a resource as everybody sees it when it is read back.
    pub(crate) fn policy(&self, resource: &str) -> Policy {
        self.policies.get(resource).map(|changed| changed.policy.clone()).unwrap_or_default()
    }

    /// The policy that is in force: a change counts only after the delay (G-53).
    pub(crate) fn policy_in_force(&self, resource: &str, now: i64, delay: Duration) -> Policy {
        let Some(changed) = self.policies.get(resource) else { return Policy::default() };
        let delay = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
        if now < changed.changed.saturating_add(delay) { changed.before.clone() } else { changed.policy.clone() }
    }

    /// Sets a policy, whatever it was before.
    pub(crate) fn set_policy(&mut self, resource: &str, mut policy: Policy, now: i64) -> Policy {
        self.counter += 1;
        policy.etag = Some(skybru_protocol::base64url::encode(self.counter.to_be_bytes()) + "=");
        policy.version = policy.version.max(1);
        let before = self.policy(resource);
        let changed = ChangedPolicy { policy: policy.clone(), changed: now, before };
        self.policies.insert(resource.to_owned(), changed);
        policy
    }

    /// Sets a policy that somebody read, changed and sends back: not if it was changed in between.
    pub(crate) fn replace_policy(&mut self, resource: &str, policy: Policy, now: i64) -> Result<Policy, ApiError> {
        policy.check()?;
        let known = self.policy(resource).etag;
        if policy.etag.as_ref().is_some_and(|etag| !etag.is_empty() && known.as_ref().is_some_and(|known| known != etag)) {
            let message =
                "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.";
            return Err(ApiError::new("G-14", 409, "ABORTED", message));
        }
        Ok(self.set_policy(resource, policy, now))
    }

    /// Remembers a token, and forgets those that have expired.
    pub(crate) fn remember(&mut self, token: &str, given: AccessToken, now: i64) {
        self.tokens.retain(|_, old| now < old.expires.saturating_add(3600));
        self.tokens.insert(fingerprint(token), given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(member: &str, etag: Option<String>) -> Policy {
        let binding = Binding { role: "roles/storage.admin".to_owned(), members: vec![member.to_owned()], condition: None };
        Policy { version: 1, bindings: vec![binding], etag }
    }

    #[test]
    fn a_policy_that_changed_in_between_is_not_overwritten() {
        let mut state = State::of_project("1", "owner@example.no");
        let first = state.replace_policy("buckets/b", policy("user:a@b.no", None), 10).unwrap();
        let second = state.replace_policy("buckets/b", policy("user:c@d.no", first.etag.clone()), 10).unwrap();
        assert_ne!(first.etag, second.etag);
        assert_eq!(state.replace_policy("buckets/b", policy("user:e@f.no", first.etag), 10).unwrap_err().status, "ABORTED");
        assert_eq!(state.policy("buckets/b").bindings[0].members, ["user:c@d.no"]);
    }

    /// G-53.
    #[test]
    fn a_change_is_in_force_after_the_delay() {
        let mut state = State::of_project("1", "owner@example.no");
        state.set_policy("buckets/b", policy("user:a@b.no", None), 100);
        let in_force = |now| state.policy_in_force("buckets/b", now, Duration::from_secs(70)).bindings.len();
        assert_eq!((in_force(169), in_force(170)), (0, 1));
        assert_eq!(state.policy_in_force("buckets/b", 100, Duration::ZERO).bindings.len(), 1);
    }
}
