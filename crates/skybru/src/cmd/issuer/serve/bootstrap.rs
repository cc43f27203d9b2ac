//! The operator, set up at every start.

use anyhow::{Context as _, Result};
use serde_json::json;
use skybru_core::OrgNumber;
use skybru_issuer::Issuer;
use skybru_issuer::selfservice::{Caller, SelfService};
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};
use skybru_store::LiveRegistry;

use super::Server;
use crate::administration;
use crate::lab::files;

impl Server {
    /// The operator's organisation, its client, and a settings file to use it with.
    pub(super) async fn bootstrap(
        &self,
        service: &SelfService,
        registry: &LiveRegistry,
        issuer: &Issuer,
        api: &str,
    ) -> Result<()> {
        let number: OrgNumber = self.options.operator.parse().context("setting server.operator")?;
        let operator = Caller::operator(number);
        let name = &self.options.operator_name;
        administration::organisation(service, registry, &operator, number, name, &administration::PREFIXES).await?;
        administration::scopes(service, &operator).await?;
        let file = self.data.join("operator.jwk");
        let key = if file.is_file() {
            SigningKey::from_text(&files::read(&file)?, None).with_context(|| format!("cannot use {}", file.display()))?
        } else {
            let key = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256)?;
            files::write_private(&file, key.private_jwk()?.as_bytes())?;
            key
        };
        let description = "skybru: the operator";
        let id = administration::client(service, &operator, name, description, &administration::SCOPES, &key).await?;
        let mut client = json!({"issuer": issuer.url(), "client-id": id, "key": {"file": "operator.jwk"}});
        if let Some(ca_file) = &self.options.ca_file {
            client["ca-file"] = json!(std::path::absolute(ca_file).unwrap_or_else(|_| ca_file.into()));
        }
        let settings = json!({"clients": {"operator": client}, "registry": {"api": api, "client": "operator"}});
        let text = format!(
            "# Written by `skybru issuer serve` at every start: the operator's own client.\n\n{}",
            toml::to_string(&settings).context("the operator's settings cannot be written")?
        );
        files::write(&self.data.join("operator.toml"), text.as_bytes())
    }
}
