//! Who keeps delegations, and how it is asked.
//!
//! A scope names its source by an issuer URL. The built-in source is the registry, administered through the self-service API; a remote one
//! is asked as Altinn is asked. If a source cannot answer, nothing is issued.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use skybru_core::{OrgNumber, ScopeName, Secret};
use skybru_store::LiveRegistry;

use crate::fetch::{Fetch, FetchError};

/// How long a remote source may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Has `consumer` delegated `scope` to `supplier`?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationQuestion {
    /// What.
    pub scope: ScopeName,
    /// Who would have to have delegated.
    pub consumer: OrgNumber,
    /// To whom.
    pub supplier: OrgNumber,
}

/// Why a source does not answer.
#[derive(Debug, thiserror::Error)]
pub enum DelegationError {
    /// It cannot be reached, or answers with a failure.
    #[error("the source of delegations did not answer")]
    Fetch(#[from] FetchError),
    /// Its answer cannot be read.
    #[error("the answer of the source of delegations cannot be read")]
    Answer(#[source] serde_json::Error),
    /// It took too long.
    #[error("the source of delegations did not answer in time")]
    Timeout,
}

/// Keeps delegations.
#[async_trait]
pub trait DelegationSource: Send + Sync {
    /// Whether it has been delegated, and not withdrawn.
    async fn has_delegated(&self, question: &DelegationQuestion) -> Result<bool, DelegationError>;
}

/// The issuer's own registry.
pub struct RegistryDelegations(pub Arc<LiveRegistry>);

#[async_trait]
impl DelegationSource for RegistryDelegations {
    async fn has_delegated(&self, question: &DelegationQuestion) -> Result<bool, DelegationError> {
        let DelegationQuestion { scope, consumer, supplier } = question;
        Ok(self.0.read(|registry| registry.records().delegation(scope, *consumer, *supplier).is_some_and(|given| given.active)))
    }
}

/// A registry that answers as Altinn's does: `GET …/maskinporten/delegations?scope=…&consumerOrg=…&supplierOrg=…`, a list of what holds.
pub struct AltinnDelegations {
    base: String,
    fetch: Arc<dyn Fetch>,
    bearer: Option<Secret>,
}

/// One line of such a list.
#[derive(Debug, Deserialize)]
struct AltinnDelegation {
    #[serde(alias = "consumerOrg")]
    consumer_org: String,
    #[serde(alias = "supplierOrg")]
    supplier_org: String,
    #[serde(default)]
    scopes: Vec<String>,
}

impl AltinnDelegations {
    /// The registry at `base`, such as `https://platform.tt02.altinn.no/accessmanagement/api/v1`.
    pub fn new(base: &str, fetch: Arc<dyn Fetch>) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), fetch, bearer: None }
    }

    /// The same, asked with a bearer token.
    #[must_use]
    pub fn with_bearer(self, bearer: Secret) -> Self {
        Self { bearer: Some(bearer), ..self }
    }
}

#[async_trait]
impl DelegationSource for AltinnDelegations {
    async fn has_delegated(&self, question: &DelegationQuestion) -> Result<bool, DelegationError> {
        let scope: String = form_urlencoded::byte_serialize(question.scope.as_str().as_bytes()).collect();
        let url = format!(
            "{}/maskinporten/delegations?scope={scope}&consumerOrg={}&supplierOrg={}",
            self.base, question.consumer, question.supplier
        );
        let fetching = async {
            match &self.bearer {
                Some(bearer) => self.fetch.get_as(&url, bearer).await,
                None => self.fetch.get(&url).await,
            }
        };
        let body = tokio::time::timeout(TIMEOUT, fetching).await.map_err(|_| DelegationError::Timeout)??;
        let listed: Vec<AltinnDelegation> = serde_json::from_slice(&body).map_err(DelegationError::Answer)?;
        // What is asked for is compared again: a source that ignores a parameter must not let anybody in.
        Ok(listed.iter().any(|line| {
            line.consumer_org == question.consumer.as_str()
                && line.supplier_org == question.supplier.as_str()
                && line.scopes.iter().any(|scope| scope == question.scope.as_str())
        }))
    }
}

/// All sources of an issuer: remote ones by their issuer URL, the registry for the others.
pub struct Delegations {
    remote: BTreeMap<String, Arc<dyn DelegationSource>>,
    built_in: Arc<dyn DelegationSource>,
}

impl Delegations {
    /// The registry alone.
    pub fn built_in(registry: Arc<LiveRegistry>) -> Self {
        Self { remote: BTreeMap::new(), built_in: Arc::new(RegistryDelegations(registry)) }
    }

    /// Asks `source` about scopes whose `delegation_source` is `issuer`, with or without a slash at the end.
    #[must_use]
    pub fn with_remote(mut self, issuer: &str, source: Arc<dyn DelegationSource>) -> Self {
        self.remote.insert(issuer.trim_end_matches('/').to_owned(), source);
        self
    }

    /// Asks the source that a scope names.
    pub async fn has_delegated(&self, issuer: &str, question: &DelegationQuestion) -> Result<bool, DelegationError> {
        self.remote.get(issuer.trim_end_matches('/')).unwrap_or(&self.built_in).has_delegated(question).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Script(&'static str);

    #[async_trait]
    impl Fetch for Script {
        async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
            assert_eq!(
                url,
                "https://altinn.example.no/api/maskinporten/delegations?scope=a%3Ab%2Fc&consumerOrg=889640782&supplierOrg=310702641"
            );
            Ok(self.0.as_bytes().to_vec())
        }
        async fn get_as(&self, url: &str, bearer: &Secret) -> Result<Vec<u8>, FetchError> {
            assert_eq!(bearer.expose(), "geheim");
            self.get(url).await
        }
        async fn post(&self, url: &str, _: &str, _: Vec<u8>) -> Result<Vec<u8>, FetchError> {
            Err(FetchError { url: url.to_owned(), problem: "not asked for".to_owned() })
        }
    }

    #[tokio::test]
    async fn a_remote_list_is_read_and_compared_again() {
        let number = |text: &str| text.parse().unwrap();
        let question =
            DelegationQuestion { scope: "a:b/c".parse().unwrap(), consumer: number("889640782"), supplier: number("310702641") };
        let ask = async |body| {
            AltinnDelegations::new("https://altinn.example.no/api/", Arc::new(Script(body))).has_delegated(&question).await
        };
        let line = r#"[{"consumer_org":"889640782","supplier_org":"310702641","scopes":["x:y","a:b/c"],"created":"2026-01-01T00:00:00Z"}]"#;
        assert!(ask(line).await.unwrap());
        let source = AltinnDelegations::new("https://altinn.example.no/api/", Arc::new(Script(line)));
        assert!(source.with_bearer(Secret::from("geheim".to_owned())).has_delegated(&question).await.unwrap());
        assert!(!ask("[]").await.unwrap());
        assert!(!ask(r#"[{"consumer_org":"889640782","supplier_org":"310702641","scopes":["x:y"]}]"#).await.unwrap());
        assert!(!ask(r#"[{"consumer_org":"991825827","supplier_org":"310702641","scopes":["a:b/c"]}]"#).await.unwrap());
        assert!(matches!(ask("<html>").await, Err(DelegationError::Answer(_))));
    }
}
