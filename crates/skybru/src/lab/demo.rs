//! What is set up in a lab: the cast, the provider's share, the consumer's client, and the settings file to use it with.
//!
//! Repeating it changes nothing, so a lab that is started again finds itself as it was.

use anyhow::{Context as _, Result};
use serde_json::json;
use skybru_core::OrgNumber;
use skybru_issuer::selfservice::Caller;
use skybru_store::registry::AccessState;

use super::organisations::{
    BUCKET, CONSUMER, OPEN_SCOPE, OPERATOR, OUTSIDER, Organisation, PAYROLL, PREFIX, PRIVATE_FILE, PROVIDER, RESOURCE, ROLE,
    SCOPE, SHARED_FILE, SHARED_PREFIX, TIMETABLE,
};
use super::{ACCOUNT, Lab, files, signing_key};
use crate::administration;

/// Client ids of the cast.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demo {
    pub(crate) consumer: String,
    pub(crate) outsider: String,
    pub(crate) provider: String,
    pub(crate) operator: String,
}

impl Lab {
    /// Sets everything up that is not there yet.
    pub(super) async fn set_up(&mut self) -> Result<()> {
        self.register_organisations().await?;
        self.register_scopes().await?;
        let administration = &administration::OWN;
        self.demo = Demo {
            consumer: self.register_client(CONSUMER, "demo", "client.jwk", &[SCOPE, OPEN_SCOPE]).await?,
            outsider: self.register_client(OUTSIDER, "outsider", "outsider.jwk", &[OPEN_SCOPE]).await?,
            provider: self.register_client(PROVIDER, "provider", "provider.jwk", administration).await?,
            operator: self.register_client(OPERATOR, "operator", "operator.jwk", &administration::SCOPES).await?,
        };
        self.info.demo.client_id.clone_from(&self.demo.consumer);
        self.share_the_bucket().await?;
        self.share_at_google().await?;
        self.share_at_azure().await?;
        self.write_settings()
    }

    async fn register_organisations(&self) -> Result<()> {
        let operator = caller(OPERATOR)?;
        let cast: [(Organisation, &[&str]); 4] =
            [(OPERATOR, &administration::PREFIXES), (PROVIDER, &[PREFIX]), (CONSUMER, &[]), (OUTSIDER, &[])];
        for (one, prefixes) in cast {
            let number: OrgNumber = one.number.parse()?;
            administration::organisation(&self.service, &self.registry, &operator, number, one.name, prefixes).await?;
        }
        Ok(())
    }

    async fn register_scopes(&self) -> Result<()> {
        let (operator, provider) = (caller(OPERATOR)?, caller(PROVIDER)?);
        administration::scopes(&self.service, &operator).await?;
        administration::scope(&self.service, &provider, OPEN_SCOPE, "News for everybody", true).await?;
        if administration::scope(&self.service, &provider, SCOPE, "Timetables, read", false).await? {
            self.service.set_access(&provider, SCOPE, CONSUMER.number, AccessState::Approved).await?;
        }
        Ok(())
    }

    /// The client of this description, made if it is not there; its key is in `file`.
    async fn register_client(&self, organisation: Organisation, name: &str, file: &str, scopes: &[&str]) -> Result<String> {
        let key = signing_key(&self.info.data_dir, file)?;
        let description = format!("skybru lab: {name}");
        administration::client(&self.service, &caller(organisation)?, organisation.name, &description, scopes, &key).await
    }

    /// What organisation A does in its AWS account: trust the issuer, make a role for B, say what it may read, put the data there.
    async fn share_the_bucket(&self) -> Result<()> {
        let admin = self.admin();
        let issuer = self.skyporten.url();
        let parameters = [
            ("Url", issuer.as_str()),
            ("ClientIDList.member.1", RESOURCE),
            ("ThumbprintList.member.1", self.tls.thumbprint.as_str()),
        ];
        admin.iam("CreateOpenIDConnectProvider", &parameters).await?;
        let trust = trust_policy(issuer.without_scheme(), &format!("{};{SCOPE}", CONSUMER.id()));
        admin.iam("CreateRole", &[("RoleName", ROLE), ("AssumeRolePolicyDocument", &trust)]).await?;
        let permissions = permissions();
        let parameters = [("RoleName", ROLE), ("PolicyName", "read-timetables"), ("PolicyDocument", permissions.as_str())];
        admin.iam("PutRolePolicy", &parameters).await?;
        admin.put(&format!("/{BUCKET}"), b"").await?;
        admin.put(&format!("/{BUCKET}/{SHARED_FILE}"), TIMETABLE.as_bytes()).await?;
        admin.put(&format!("/{BUCKET}/{PRIVATE_FILE}"), PAYROLL.as_bytes()).await
    }

    /// Registers an issuer at AWS beside the good one, for a role of its own. Returns the role's ARN.
    pub(crate) async fn trust_another_issuer(&self, issuer: &skybru_core::IssuerUrl, role: &str) -> Result<String> {
        let admin = self.admin();
        let thumbprint = self.tls.thumbprint.as_str();
        let parameters = [("Url", issuer.as_str()), ("ClientIDList.member.1", RESOURCE), ("ThumbprintList.member.1", thumbprint)];
        admin.iam("CreateOpenIDConnectProvider", &parameters).await?;
        let trust = trust_policy(issuer.without_scheme(), &format!("{};{SCOPE}", CONSUMER.id()));
        admin.iam("CreateRole", &[("RoleName", role), ("AssumeRolePolicyDocument", &trust)]).await?;
        Ok(format!("arn:aws:iam::{ACCOUNT}:role/{role}"))
    }

    fn write_settings(&self) -> Result<()> {
        let (info, demo) = (&self.info, &self.demo);
        let (skyporten, maskinporten) = (&info.issuers.skyporten, &info.issuers.maskinporten);
        let client = |issuer: &str, id: &str, key: &str| json!({"issuer": issuer, "client-id": id, "key": {"file": key}, "ca-file": "ca.pem"});
        let aws = &info.clouds.aws;
        let mut settings = json!({
            "clients": {
                "demo": client(skyporten, &demo.consumer, "client.jwk"),
                "outsider": client(skyporten, &demo.outsider, "outsider.jwk"),
                "provider": client(maskinporten, &demo.provider, "provider.jwk"),
                "operator": client(maskinporten, &demo.operator, "operator.jwk"),
            },
            "targets": {"demo": {
                "client": "demo", "scope": SCOPE, "resource": RESOURCE, "prefix": SHARED_PREFIX,
                "aws": {
                    "role-arn": format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}"), "region": aws.region, "bucket": BUCKET,
                    "endpoint": aws.endpoint,
                },
            }},
            // The provider acts by default; the operator with `skybru registry --as operator`.
            "registry": {"api": info.selfservice, "client": "provider"},
            // For `issuer audit`, which reads the lab's log beside it.
            "server": {"data": ".", "operator": OPERATOR.number, "api-listen": "127.0.0.1:0"},
        });
        if let Some(target) = self.google_target() {
            settings["targets"]["demo-google"] = target;
        }
        if let Some(target) = self.azure_target() {
            settings["targets"]["demo-azure"] = target;
        }
        let text = toml::to_string(&settings).context("the lab's settings cannot be written")?;
        let text =
            format!("# Written by `skybru up` at every start: the lab's demonstration. Change a copy, not this file.\n\n{text}");
        files::write(&info.demo.config_file, text.as_bytes())
    }
}

fn caller(organisation: Organisation) -> Result<Caller> {
    Ok(Caller::operator(organisation.number.parse::<OrgNumber>()?))
}

/// Who may assume the role: B with the scope, for this audience, vouched for by the issuer. `host` is the issuer without its scheme.
fn trust_policy(host: &str, subject: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{host}")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {format!("{host}:aud"): RESOURCE, format!("{host}:sub"): subject}}
        }]
    })
    .to_string()
}

/// What the role may do: list and read below one prefix, and see that the bucket is there.
fn permissions() -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{BUCKET}/{SHARED_PREFIX}*")},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{BUCKET}"),
             "Condition": {"StringLike": {"s3:prefix": [SHARED_PREFIX, format!("{SHARED_PREFIX}*")]}}}
        ]
    })
    .to_string()
}
