//! Authorization details: whether what is asked for is so, by a registry that knows systems and consents.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use skybru_core::{ClientId, OrgNumber};
use skybru_protocol::details::{ConsentDetail, Detail, SystemUserDetail, consent_answer, system_user_answer};
use skybru_store::LiveRegistry;
use skybru_store::records::{Consent, SystemUser};

/// Why a registry of systems and consents does not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the registry of systems and consents did not answer: {0}")]
pub struct DetailsFault(pub String);

/// Knows systems, system users and consents.
#[async_trait]
pub trait DetailsRegistry: Send + Sync {
    /// The system users of a party with the system that is bound to `client`.
    async fn system_users(&self, client: &ClientId, asked: &SystemUserDetail) -> Result<Vec<SystemUser>, DetailsFault>;

    /// A consent.
    async fn consent(&self, asked: &ConsentDetail) -> Result<Option<Consent>, DetailsFault>;
}

/// The issuer's own registry, administered through the self-service API.
pub struct RegistryDetails(pub Arc<LiveRegistry>);

#[async_trait]
impl DetailsRegistry for RegistryDetails {
    async fn system_users(&self, client: &ClientId, asked: &SystemUserDetail) -> Result<Vec<SystemUser>, DetailsFault> {
        let wanted = |user: &&SystemUser| user.active && user.external_ref == asked.external_ref;
        Ok(self.0.read(|registry| registry.records().system_users_of(client, asked.org).filter(wanted).cloned().collect()))
    }

    async fn consent(&self, asked: &ConsentDetail) -> Result<Option<Consent>, DetailsFault> {
        Ok(self.0.read(|registry| registry.records().consent(&asked.id).cloned()))
    }
}

/// What stands in the token for a detail; `None` when it is not so. `consumer` is the token's consumer, `now` in seconds since 1970.
pub(crate) async fn answer(
    registry: &dyn DetailsRegistry,
    asked: &Detail,
    client: &ClientId,
    consumer: OrgNumber,
    now: i64,
) -> Result<Option<Value>, DetailsFault> {
    match asked {
        Detail::SystemUser(asked) => {
            let found = registry.system_users(client, asked).await?;
            let ids: Vec<String> = found.iter().map(|user| user.id.clone()).collect();
            Ok(found.first().map(|user| system_user_answer(asked, &user.system_id, &ids)))
        }
        Detail::Consent(asked) => {
            let holds = |consent: &Consent| {
                let alive = consent.consented.as_second() <= now && now < consent.valid_to.as_second();
                consent.active && alive && consent.from == asked.from && consent.to == consumer
            };
            let found = registry.consent(asked).await?.filter(holds);
            Ok(found.map(|consent| {
                let (since, until) = (consent.consented.to_string(), consent.valid_to.to_string());
                consent_answer(asked, consent.to, &since, &until, &consent.rights)
            }))
        }
    }
}
