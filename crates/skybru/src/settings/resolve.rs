//! From what the settings say to what the client crate takes. The only parsing of these values.

use std::path::PathBuf;

use skybru_client::aws::{AwsTarget, NameError};
use skybru_client::http::HttpOptions;
use skybru_client::token::{ClientIdentity, TokenRequest};
use skybru_core::ScopeSet;

use super::layers::{Settings, SettingsError};
use super::options::{AwsOptions, ClientOptions, RegistryOptions, ServerOptions, TargetOptions};
use crate::system::System;

impl Settings {
    /// The target of this name; without a name the only one.
    pub(crate) fn target(&self, name: Option<&str>) -> Result<(&str, &TargetOptions), SettingsError> {
        let targets = &self.options.targets;
        let known = || targets.keys().cloned().collect();
        match name {
            Some(name) => match targets.get_key_value(name) {
                Some((name, target)) => Ok((name, target)),
                None => Err(SettingsError::Unknown { kind: "target", name: name.to_owned(), known: known() }),
            },
            None => match targets.iter().next() {
                Some((name, target)) if targets.len() == 1 => Ok((name, target)),
                _ => Err(SettingsError::Unnamed(known())),
            },
        }
    }

    /// The client of this name.
    pub(crate) fn client(&self, name: &str) -> Result<&ClientOptions, SettingsError> {
        let clients = &self.options.clients;
        let unknown =
            || SettingsError::Unknown { kind: "client", name: name.to_owned(), known: clients.keys().cloned().collect() };
        clients.get(name).ok_or_else(unknown)
    }

    /// Where `skybru registry` works.
    pub(crate) fn registry(&self) -> Result<&RegistryOptions, SettingsError> {
        let missing = || SettingsError::Value {
            key: "registry".to_owned(),
            problem: "missing: expected api = \"https://…/api/v1\" and client = \"NAME\" of a client with administrative scopes"
                .to_owned(),
        };
        self.options.registry.as_ref().ok_or_else(missing)
    }

    /// What `skybru issuer serve` runs with.
    pub(crate) fn server(&self) -> Result<&ServerOptions, SettingsError> {
        let missing = || SettingsError::Value {
            key: "server".to_owned(),
            problem: "missing: expected data = \"FOLDER\", operator = \"NNNNNNNNN\" and api-listen = \"127.0.0.1:7400\""
                .to_owned(),
        };
        self.options.server.as_ref().ok_or_else(missing)
    }

    /// A path of the settings: relative to their file.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The identity of a client, its private key read.
    pub(crate) fn identity(&self, name: &str, system: &System) -> Result<ClientIdentity, SettingsError> {
        let client = self.client(name)?;
        let key = |member: &str| format!("clients.{name}.{member}");
        let (signer, proof) = self.signer(name, client, system)?;
        Ok(ClientIdentity {
            issuer: parse(&key("issuer"), &client.issuer)?,
            client_id: parse(&key("client-id"), &client.client_id)?,
            key: signer,
            proof,
        })
    }

    /// What HTTP needs for a client: its CA and its proxy.
    pub(crate) fn http(&self, name: &str) -> Result<HttpOptions, SettingsError> {
        let client = self.client(name)?;
        let ca_pem = client.ca_file.as_ref().map(|file| {
            let path: PathBuf = self.folder.join(file);
            std::fs::read_to_string(&path).map_err(|error| SettingsError::Value {
                key: format!("clients.{name}.ca-file"),
                problem: format!("cannot read {}: {error}", path.display()),
            })
        });
        // What is said here beats what the machine says.
        let web_proxy = client.web_proxy.clone().or_else(|| self.proxy.address.clone());
        Ok(HttpOptions { ca_pem: ca_pem.transpose()?, web_proxy, no_proxy: self.proxy.direct.clone() })
    }

    /// What to ask the issuer for. Scopes and resources of the command line replace those of the target.
    pub(crate) fn request(
        &self,
        name: &str,
        target: &TargetOptions,
        scopes: &[String],
        resources: &[String],
    ) -> Result<TokenRequest, SettingsError> {
        let scope = if scopes.is_empty() { target.scope.clone() } else { scopes.join(" ") };
        let scopes: ScopeSet = parse(&format!("targets.{name}.scope"), &scope)?;
        let mut request = TokenRequest::new(scopes);
        request.resources = if resources.is_empty() { target.resource.iter().cloned().collect() } else { resources.to_vec() };
        Ok(request)
    }

    /// The AWS side of a target.
    pub(crate) fn aws(&self, name: &str, target: &TargetOptions) -> Result<(AwsTarget, &AwsOptions), SettingsError> {
        let key = |member: &str| format!("targets.{name}.aws{member}");
        let Some(options) = self.options.targets.get(name).and_then(|target| target.aws.as_ref()) else {
            let problem = format!(
                "missing: expected {{ role-arn = \"arn:aws:iam::…:role/…\", region = \"…\" }}; client {:?} can still get tokens",
                target.client
            );
            return Err(SettingsError::Value { key: key(""), problem });
        };
        let mut aws = AwsTarget::new(parse(&key(".role-arn"), &options.role_arn)?, parse(&key(".region"), &options.region)?);
        aws.endpoint.clone_from(&options.endpoint);
        if let Some(text) = &options.session_name {
            aws.session_name = Some(text.parse().map_err(|e: NameError| value(&key(".session-name"), &e))?);
        }
        if let Some(seconds) = options.duration_seconds {
            if !(900..=43_200).contains(&seconds) {
                let problem = format!("{seconds} is not within 900 to 43200 seconds (A-22)");
                return Err(SettingsError::Value { key: key(".duration-seconds"), problem });
            }
            aws.duration_seconds = Some(seconds);
        }
        Ok((aws, options))
    }
}

pub(super) fn missing(key: String, expected: &str, target: &TargetOptions) -> SettingsError {
    let problem = format!("missing: expected {expected}; client {:?} can still get tokens", target.client);
    SettingsError::Value { key, problem }
}

pub(super) fn parse<T>(key: &str, text: &str) -> Result<T, SettingsError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| value(key, &error))
}

fn value(key: &str, error: &dyn std::fmt::Display) -> SettingsError {
    SettingsError::Value { key: key.to_owned(), problem: error.to_string() }
}
