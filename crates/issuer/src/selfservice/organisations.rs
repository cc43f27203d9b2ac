//! Organisations and their prefixes. Digdir does this by agreement, not by API; whoever runs an issuer needs it.

use serde::Deserialize;
use skybru_core::{OrgNumber, Prefix};
use skybru_store::Change;
use skybru_store::registry::Organisation;
use utoipa::ToSchema;

use super::{ApiError, Caller, Right, SelfService};

/// What an operator says of an organisation.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = OrganisationRequest)]
#[serde(deny_unknown_fields)]
pub struct OrganisationInput {
    /// Its name.
    pub name: String,
    /// Its prefixes; those it had and are not here become free.
    #[serde(default)]
    pub prefixes: Vec<String>,
}

impl SelfService {
    /// All organisations, by number.
    pub fn organisations(&self, caller: &Caller) -> Result<Vec<Organisation>, ApiError> {
        caller.must(Right::Operate)?;
        Ok(self.registry.read(|registry| registry.organisations().cloned().collect()))
    }

    /// Registers an organisation, or changes it.
    pub async fn put_organisation(
        &self,
        caller: &Caller,
        number: &str,
        input: OrganisationInput,
    ) -> Result<Organisation, ApiError> {
        caller.must(Right::Operate)?;
        let wrong = |field, message: String| ApiError::field("Organisation", field, message);
        let number: OrgNumber = number.parse().map_err(|e: skybru_core::org::OrgNumberError| wrong("orgno", e.to_string()))?;
        if input.name.trim().is_empty() {
            return Err(wrong("name", "name is missing".to_owned()));
        }
        let prefixes = input.prefixes.iter().map(|text| text.parse::<Prefix>()).collect::<Result<Vec<_>, _>>();
        let prefixes = prefixes.map_err(|e| wrong("prefixes", e.to_string()))?;
        let now = self.ctx.clock.now();
        self.change(caller, |registry| {
            for prefix in &prefixes {
                if let Some(owner) = registry.prefix_owner(prefix).filter(|owner| *owner != number) {
                    return Err(ApiError::Conflict(format!("prefix {prefix} belongs to organisation {owner}")));
                }
            }
            let created = registry.organisation(number).map_or(now, |known| known.created);
            let organisation = Organisation { number, name: input.name, prefixes, created, last_updated: now };
            Ok((vec![Change::PutOrganisation(organisation.clone())], organisation))
        })
        .await
    }
}
