//! What the simulated account holds: identity providers, roles, policies, temporary credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use skybru_core::Secret;
use skybru_federation::aws::{AwsError, OidcProvider, Role};

use super::errors;
use super::iam::ManagedPolicy;
use crate::kept::{Kept, NotKept};

/// The state of the account.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By ARN.
    pub(crate) providers: BTreeMap<String, OidcProvider>,
    /// By name.
    pub(crate) roles: BTreeMap<String, Role>,
    /// By ARN.
    pub(crate) policies: BTreeMap<String, ManagedPolicy>,
    /// Policies of buckets as JSON text, by bucket.
    #[serde(default)]
    pub(crate) bucket_policies: BTreeMap<String, String>,
    /// Tags of buckets, by bucket.
    #[serde(default)]
    pub(crate) bucket_tags: BTreeMap<String, BTreeMap<String, String>>,
    /// By access key id.
    pub(crate) sessions: BTreeMap<String, Arc<Session>>,
}

/// Temporary credentials and whom they stand for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) access_key_id: String,
    #[serde(serialize_with = "exposed")]
    pub(crate) secret_access_key: Secret,
    #[serde(serialize_with = "exposed")]
    pub(crate) token: Secret,
    pub(crate) role_name: String,
    /// The role that was assumed, and not a later one of the same name.
    pub(crate) role_id: String,
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME`.
    pub(crate) arn: String,
    /// `AROA…:NAME`.
    pub(crate) user_id: String,
    /// Credentials of the account itself (`GetSessionToken`); then there is no role.
    #[serde(default)]
    pub(crate) is_root: bool,
    /// Seconds since 1970.
    pub(crate) expires: i64,
    /// Policies given when the role was assumed: what they do not allow too is refused.
    pub(crate) policies: Vec<String>,
    /// What policies can look at for as long as the session lives (A-80).
    pub(crate) context: BTreeMap<String, Vec<String>>,
}

/// The state file holds secrets; it is written for its owner only.
fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

impl Session {
    /// Do they still count?
    pub(crate) fn is_expired(&self, now: i64) -> bool {
        now >= self.expires
    }
}

/// The account and where it is kept.
pub(crate) type StateStore = Kept<State>;

impl From<NotKept> for AwsError {
    fn from(_: NotKept) -> Self {
        errors::internal_failure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_change_leaves_no_trace_and_a_made_one_survives() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("aws.json");
        let store = StateStore::open(Some(file.clone()), State::default).unwrap();
        let session = |id: &str| Session {
            access_key_id: id.to_owned(),
            secret_access_key: Secret::from("s3cr3t".to_owned()),
            token: Secret::from("t0k3n".to_owned()),
            role_name: "r".to_owned(),
            role_id: "AROA".to_owned(),
            arn: String::new(),
            user_id: String::new(),
            is_root: false,
            expires: 10,
            policies: Vec::new(),
            context: BTreeMap::new(),
        };
        let refused: Result<(), _> = store.change(|state| {
            state.sessions.insert("ASIA1".to_owned(), Arc::new(session("ASIA1")));
            Err(errors::internal_failure())
        });
        assert!(refused.is_err() && store.get().sessions.is_empty());
        store.change(|state| Ok::<_, AwsError>(state.sessions.insert("ASIA2".to_owned(), Arc::new(session("ASIA2"))))).unwrap();

        let again = StateStore::open(Some(file.clone()), State::default).unwrap().get();
        assert!(again.sessions["ASIA2"].secret_access_key.matches("s3cr3t"));
        assert!(again.sessions["ASIA2"].is_expired(10) && !again.sessions["ASIA2"].is_expired(9));
        assert!(!format!("{again:?}").contains("s3cr3t") && !format!("{again:?}").contains("t0k3n"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
