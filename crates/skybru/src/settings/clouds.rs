//! What a target says about Google and Azure, turned into what the client crate takes.

use std::path::PathBuf;

use skybru_client::azure::AzureTarget;
use skybru_client::google::GoogleTarget;
use skybru_client::http::HttpOptions;
use skybru_core::Secret;

use super::layers::{Settings, SettingsError};
use super::options::{AzureOptions, GoogleOptions, SecretOptions, TargetOptions};
use super::resolve::{missing, parse};
use crate::system::System;

/// A secret shorter than this can be guessed.
const LEAST_SECRET: usize = 20;

/// A cloud that a target may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Cloud {
    /// Amazon Web Services
    Aws,
    /// Google Cloud
    #[value(alias = "gcp")]
    Google,
    /// Microsoft Azure
    Azure,
}

impl Settings {
    /// The clouds that a target is in.
    pub(crate) fn clouds(target: &TargetOptions) -> Vec<Cloud> {
        let has = |there: bool, cloud| there.then_some(cloud);
        let found = [
            has(target.aws.is_some(), Cloud::Aws),
            has(target.google.is_some(), Cloud::Google),
            has(target.azure.is_some(), Cloud::Azure),
        ];
        found.into_iter().flatten().collect()
    }

    /// The only target at this cloud; none if there are several.
    pub(crate) fn only_target_at(&self, cloud: Cloud) -> Option<&str> {
        let mut found = self.options.targets.iter().filter(|(_, target)| Self::clouds(target).contains(&cloud));
        let (name, _) = found.next()?;
        found.next().is_none().then_some(name.as_str())
    }

    /// The cloud that is meant: the one that was named, else the only one.
    pub(crate) fn cloud(&self, name: Option<&str>, cloud: Option<Cloud>) -> Result<Cloud, SettingsError> {
        let (name, target) = self.target(name)?;
        match (cloud, &Self::clouds(target)[..]) {
            (Some(cloud), _) => Ok(cloud),
            (None, [only]) => Ok(*only),
            (None, []) => {
                let expected = "aws = { role-arn = \"…\", region = \"…\" }, google = { provider = \"…\" } or azure = { tenant-id = \"…\", … }";
                Err(missing(format!("targets.{name}"), expected, target))
            }
            (None, _) => Err(SettingsError::Value {
                key: format!("targets.{name}"),
                problem: "the target is in several clouds: say which with --cloud, or with --format".to_owned(),
            }),
        }
    }

    /// The first target that fits, by name.
    pub(crate) fn target_that(&self, fits: impl Fn(&TargetOptions) -> bool) -> Option<(&str, &TargetOptions)> {
        self.options.targets.iter().find(|(_, target)| fits(target)).map(|(name, target)| (name.as_str(), target))
    }

    /// The Google side of a target.
    pub(crate) fn google<'a>(
        &self,
        name: &str,
        target: &'a TargetOptions,
    ) -> Result<(GoogleTarget, &'a GoogleOptions), SettingsError> {
        let key = |member: &str| format!("targets.{name}.google{member}");
        let expected = "{ provider = \"projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER\" }";
        let Some(options) = &target.google else { return Err(missing(key(""), expected, target)) };
        let mut google = GoogleTarget::new(parse(&key(".provider"), &options.provider)?);
        if let Some(account) = &options.service_account {
            google.service_account = Some(parse(&key(".service-account"), account)?);
        }
        if options.user_project.is_some() && !google.provider.is_workforce() {
            let problem = "only a workforce pool's provider takes one (D-53)".to_owned();
            return Err(SettingsError::Value { key: key(".user-project"), problem });
        }
        google.workforce_user_project.clone_from(&options.user_project);
        google.endpoint.clone_from(&options.endpoint);
        Ok((google, options))
    }

    /// The Azure side of a target.
    pub(crate) fn azure<'a>(
        &self,
        name: &str,
        target: &'a TargetOptions,
    ) -> Result<(AzureTarget, &'a AzureOptions), SettingsError> {
        let key = |member: &str| format!("targets.{name}.azure{member}");
        let expected = "{ tenant-id = \"…\", client-id = \"…\", account = \"…\" }";
        let Some(options) = &target.azure else { return Err(missing(key(""), expected, target)) };
        let mut azure = AzureTarget::new(
            parse(&key(".tenant-id"), &options.tenant_id)?,
            parse(&key(".client-id"), &options.client_id)?,
            parse(&key(".account"), &options.account)?,
        );
        azure.authority.clone_from(&options.authority);
        azure.endpoint.clone_from(&options.endpoint);
        Ok((azure, options))
    }

    /// A secret that the setting `key` names.
    pub(crate) fn secret(&self, key: &str, options: &SecretOptions, system: &System) -> Result<Secret, SettingsError> {
        let wrong = |problem: String| SettingsError::Value { key: key.to_owned(), problem };
        let text = match (&options.file, &options.env) {
            (Some(file), None) => {
                let path = self.folder.join(file);
                std::fs::read_to_string(&path).map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))?
            }
            (None, Some(name)) => system.var(name).ok_or_else(|| wrong(format!("the variable {name} is not set")))?.to_owned(),
            _ => return Err(wrong("expected either file = \"…\" or env = \"NAME\"".to_owned())),
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.len() < LEAST_SECRET {
            let expected = "expected at least 20 characters; `openssl rand -base64 30` makes some";
            return Err(wrong(format!("the secret has {} characters: {expected}", text.len())));
        }
        Ok(Secret::from(text.to_owned()))
    }

    /// The file with the certificates that an Azure target's addresses need, when they are a lab's.
    pub(crate) fn azure_ca(&self, target: &TargetOptions) -> Option<PathBuf> {
        target.azure.as_ref().and_then(|azure| azure.ca_file.as_ref()).map(|file| self.folder.join(file))
    }

    /// What HTTP needs for an Azure target: its client's CA and proxy, and its own CA.
    pub(crate) fn azure_http(
        &self,
        name: &str,
        target: &TargetOptions,
        azure: &AzureOptions,
    ) -> Result<HttpOptions, SettingsError> {
        let mut options = self.http(&target.client)?;
        if let Some(file) = &azure.ca_file {
            let path = self.folder.join(file);
            let pem = std::fs::read_to_string(&path).map_err(|error| SettingsError::Value {
                key: format!("targets.{name}.azure.ca-file"),
                problem: format!("cannot read {}: {error}", path.display()),
            })?;
            options.ca_pem = Some(format!("{}\n{pem}", options.ca_pem.unwrap_or_default()));
        }
        Ok(options)
    }
}
