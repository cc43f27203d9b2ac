//! An organisation reads the audit entries that concern it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skybru_core::OrgNumber;
use skybru_store::StoreError;
use skybru_store::audit::{AuditQuery, Place, Recorded};
use utoipa::ToSchema;

use super::{ApiError, Caller, Right, SelfService};

/// The most entries of one page.
const MOST: usize = 1000;

/// Entries of a page when nobody says how many.
const USUAL: usize = 100;

/// Which entries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuditFilter {
    /// Only those made then or later: a time such as `2026-11-01T00:00:00Z`.
    since: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// How many at most.
    limit: Option<usize>,
    /// Another organisation than the caller's; for the operator.
    orgno: Option<String>,
}

/// A page of entries, by time.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// The entries: what was written, and where in which chain it stands.
    #[schema(value_type = Vec<Object>)]
    pub entries: Vec<Value>,
    /// What to give as `after` for the next page; absent when there is none now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An entry as one JSON object: what was written, its chain, place and hash.
pub fn audit_entry(recorded: &Recorded) -> Value {
    let mut value: Value =
        serde_json::from_str(&recorded.body).unwrap_or_else(|_| serde_json::json!({"unreadable": recorded.body}));
    if let Some(members) = value.as_object_mut() {
        members.insert("chain".to_owned(), recorded.chain.to_string().into());
        members.insert("place".to_owned(), recorded.place.into());
        members.insert("hash".to_owned(), recorded.hash.to_string().into());
    }
    value
}

fn after(text: &str) -> Option<Place> {
    let mut parts = text.split('.');
    let place = Place { at: parts.next()?.parse().ok()?, chain: parts.next()?.parse().ok()?, place: parts.next()?.parse().ok()? };
    parts.next().is_none().then_some(place)
}

impl SelfService {
    /// The entries that concern the caller's organisation; the operator may name another.
    pub async fn audit(&self, caller: &Caller, filter: &AuditFilter) -> Result<AuditPage, ApiError> {
        caller.must(Right::ReadGranted).or_else(|refusal| caller.must(Right::Operate).map_err(|_| refusal))?;
        let wrong = |field, message: &str| ApiError::field("AuditFilter", field, message);
        let org = match &filter.orgno {
            None => caller.org(),
            Some(text) => {
                let org: OrgNumber =
                    text.parse().map_err(|_| wrong("orgno", "expected an organisation number of nine digits"))?;
                if org != caller.org() {
                    caller.must(Right::Operate)?;
                }
                org
            }
        };
        let since = filter.since.as_deref().map(str::parse::<Timestamp>).transpose();
        let since = since.map_err(|_| wrong("since", "expected a time such as 2026-11-01T00:00:00Z"))?;
        let after =
            filter.after.as_deref().map(|text| after(text).ok_or_else(|| wrong("after", "expected next of the page before")));
        let limit = filter.limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(wrong("limit", "expected 1 to 1000"));
        }
        let query = AuditQuery {
            org: Some(org),
            since: since.map_or(i64::MIN, Timestamp::as_millisecond),
            after: after.transpose()?,
            limit,
        };
        let store = self.audit.as_ref().ok_or_else(|| ApiError::NotFound("no audit log is kept here".to_owned()))?;
        let page = store.entries(&query).await.map_err(|source: StoreError| ApiError::Store(source.into()))?;
        let next = page.last().filter(|_| page.len() == limit).map(Recorded::position);
        let next = next.map(|place| format!("{}.{}.{}", place.at, place.chain, place.place));
        Ok(AuditPage { entries: page.iter().map(audit_entry).collect(), next })
    }
}
