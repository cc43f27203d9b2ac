//! The environment of the command that `exec` runs: what each SDK of each cloud needs to ask again, and nothing that would outrank it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use jiff::SignedDuration;
use skybru_client::format::{
    AWS_VARIABLES_TO_REMOVE, AZURE_VARIABLES_TO_REMOVE, GOOGLE_VARIABLES_TO_REMOVE, GoogleSource, google_endpoints, google_file,
};
use skybru_client::token::{TokenRequest, TokenSource};

use crate::fresh::{Content, FreshFile};
use crate::http::agent::Agent;
use crate::lab::files::{read, write_private};
use crate::system::System;

/// Azure's SDKs read a token file at most every ten minutes (E-70): a token that lives less would be presented expired.
const AZURE_KEEPS_A_FILE: SignedDuration = SignedDuration::from_mins(15);

/// Whose file the command's libraries read instead of their own certificates; Node's beside its own.
const CA_VARIABLES: [&str; 3] = ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"];

/// Those that win over the above where the user has set them.
const CA_VARIABLES_WHEN_SET: [&str; 3] = ["AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"];

/// Where a machine keeps the certificates that it trusts, as one file: Debian, Fedora, Alpine and macOS.
const MACHINE_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/opt/homebrew/etc/ca-certificates/cert.pem",
];

/// What the command gets, what it does not inherit, and which files that needs.
pub(super) struct Environment<'a> {
    system: &'a System,
    agent: &'a Agent,
    address: String,
    folder: &'a Path,
    target: &'a str,
    set: BTreeMap<&'static str, String>,
    removed: Vec<&'static str>,
    files: Vec<FreshFile>,
}

impl<'a> Environment<'a> {
    /// The inherited environment as it is.
    pub(super) fn new(system: &'a System, agent: &'a Agent, folder: &'a Path, target: &'a str) -> Self {
        let address = format!("http://{}", agent.hosts.first().map(String::as_str).unwrap_or_default());
        Self { system, agent, address, folder, target, set: BTreeMap::new(), removed: Vec::new(), files: Vec::new() }
    }

    /// What is set.
    pub(super) fn set(&self) -> &BTreeMap<&'static str, String> {
        &self.set
    }

    /// Variables that are there and shall not be inherited.
    pub(super) fn removed(&self) -> &[&'static str] {
        &self.removed
    }

    /// The files to keep fresh while the command runs.
    pub(super) fn take_files(&mut self) -> Vec<FreshFile> {
        std::mem::take(&mut self.files)
    }

    fn remove(&mut self, names: &[&'static str]) {
        self.removed.extend(names.iter().filter(|name| self.system.env.contains_key(**name)));
    }

    fn put(&mut self, name: &'static str, value: impl Into<String>) {
        self.set.insert(name, value.into());
    }

    /// Unless the user has said otherwise.
    fn offer(&mut self, name: &'static str, value: impl Into<String>) {
        if self.system.var(name).is_none() {
            self.put(name, value);
        }
    }

    /// The container endpoint, which every SDK of AWS's asks again before its credentials expire.
    pub(super) fn add_aws(&mut self) {
        let Some(source) = self.agent.served.load().aws.get(self.target).cloned() else { return };
        let target = source.target();
        self.remove(&AWS_VARIABLES_TO_REMOVE);
        self.put("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/aws/{}", self.address, self.target));
        self.put("AWS_CONTAINER_AUTHORIZATION_TOKEN", self.agent.authorization.expose());
        // Version 1 of the AWS CLI reads the second name only.
        self.put("AWS_REGION", target.region.as_str());
        self.put("AWS_DEFAULT_REGION", target.region.as_str());
        if let Some(endpoint) = &target.endpoint {
            self.put("AWS_ENDPOINT_URL", endpoint);
        }
        // The files may hold a default profile, which some SDKs ask before the container.
        self.put("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        self.put("AWS_CONFIG_FILE", "/dev/null");
    }

    /// A file that Google's libraries read first, so that they find no other identity, and a file with an access token for gcloud.
    pub(super) fn add_google(&mut self) -> Result<()> {
        let Some(source) = self.agent.served.load().google.get(self.target).cloned() else { return Ok(()) };
        let target = source.target();
        self.remove(&GOOGLE_VARIABLES_TO_REMOVE);
        let subject = GoogleSource::Url(format!("{}/google/{}/subject-token", self.address, self.target));
        let file = self.folder.join("google.json");
        write_private(&file, google_file(target, &subject).to_string().as_bytes())?;
        self.put("GOOGLE_APPLICATION_CREDENTIALS", file.display().to_string());
        let token = self.folder.join("google-access-token");
        self.put("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", token.display().to_string());
        // Whatever reads no file asks a metadata server: ours, and never that of the machine beneath.
        let host = self.address.trim_start_matches("http://").to_owned();
        for name in ["GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"] {
            self.put(name, host.as_str());
        }
        for (name, value) in google_endpoints(target) {
            self.put(name, value.expose());
        }
        let project = target.service_account.as_ref().and_then(|account| account.project_id());
        if let Some(project) = project.or_else(|| target.provider.project_number()).map(str::to_owned) {
            self.offer("GOOGLE_CLOUD_PROJECT", project.clone());
            self.offer("CLOUDSDK_CORE_PROJECT", project);
        }
        self.files.push(FreshFile { path: token, content: Content::Google(source) });
        Ok(())
    }

    /// A managed identity, which every SDK of Azure's asks again, and a token file where that is safe.
    pub(super) async fn add_azure(&mut self, tokens: (Arc<TokenSource>, TokenRequest), ca_file: Option<PathBuf>) -> Result<()> {
        let Some(source) = self.agent.served.load().azure.get(self.target).cloned() else { return Ok(()) };
        let target = source.target();
        self.remove(&AZURE_VARIABLES_TO_REMOVE);
        self.put("IDENTITY_ENDPOINT", format!("{}/azure/{}/msi", self.address, self.target));
        self.put("IDENTITY_HEADER", self.agent.authorization.expose());
        self.put("AZURE_POD_IDENTITY_AUTHORITY_HOST", format!("{}/azure/{}", self.address, self.target));
        self.put("AZURE_TENANT_ID", target.tenant_id.to_string());
        self.put("AZURE_CLIENT_ID", target.client_id.to_string());
        self.put("AZURE_STORAGE_ACCOUNT", target.account.to_string());
        self.put("AZURE_STORAGE_BLOB_ENDPOINT", target.blob_url());
        self.put("AZURE_STORAGE_AUTH_MODE", "login");
        self.put("AZCOPY_AUTO_LOGIN_TYPE", "MSI");
        let (tokens, request) = tokens;
        let token = tokens.token(&request).await?;
        if token.expires_at.duration_since(token.fetched_at) >= AZURE_KEEPS_A_FILE {
            let path = self.folder.join("azure-federated-token");
            self.put("AZURE_FEDERATED_TOKEN_FILE", path.display().to_string());
            self.put("AZURE_AUTHORITY_HOST", target.authority());
            self.files.push(FreshFile { path, content: Content::Token(tokens, request) });
        }
        match ca_file {
            Some(file) => self.trust(&file),
            None => Ok(()),
        }
    }

    /// Certificates that the command's libraries trust, beside those that the user named already, or, where the name means "these and no
    /// others", beside the machine's own. Python, Go, Node, curl and gcloud each have their own name for them (E-72).
    fn trust(&mut self, ca_file: &Path) -> Result<()> {
        let ours = read(ca_file)?;
        let others = CA_VARIABLES_WHEN_SET.into_iter().filter(|name| self.system.var(name).is_some());
        for name in CA_VARIABLES.into_iter().chain(others) {
            let theirs = match self.system.var(name) {
                Some(file) => read(&self.system.folder.join(file))?,
                None if name == "NODE_EXTRA_CA_CERTS" => String::new(),
                None => MACHINE_BUNDLES.iter().find_map(|file| read(Path::new(file)).ok()).unwrap_or_default(),
            };
            let file = self.folder.join(format!("{name}.pem"));
            write_private(&file, format!("{theirs}\n{ours}").as_bytes())?;
            self.put(name, file.display().to_string());
        }
        Ok(())
    }
}
