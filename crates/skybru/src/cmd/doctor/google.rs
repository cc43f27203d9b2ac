//! What Google has been told, from files as gcloud prints them, and from the target.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;
use skybru_federation::google::policy::Policy;
use skybru_federation::google::{Pool, Provider, ProviderName, RESOURCE_HOST, Setup};
use skybru_federation::reach::Told;

use super::{Call, Given, given};

/// Provider, policy and credential file as far as they are known.
#[derive(Default)]
pub(super) struct Files {
    providers: Vec<Provider>,
    pub(super) pool: Option<Pool>,
    /// The service account's.
    pub(super) account_policy: Option<Policy>,
    /// The bucket's.
    pub(super) resource_policy: Option<Policy>,
    /// As a file had it, before it is known whether a service account is impersonated.
    policy: Option<Policy>,
    file: Option<Value>,
    audience: Option<String>,
    pub(super) service_account: Option<String>,
    pub(super) bucket: Option<String>,
    /// Another address than Google's own: a lab's.
    pub(super) endpoint: Option<String>,
    executables_allowed: bool,
    place: String,
}

impl Files {
    /// Reads the files that the flags name.
    pub(super) fn read(call: &Call, provider: Option<&Path>, policy: Option<&Path>, file: Option<&Path>) -> Result<Self> {
        let mut files = Self {
            // G-64.
            executables_allowed: call.system.var("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES") == Some("1"),
            ..Self::default()
        };
        if let Some(path) = provider {
            files.providers = vec![parsed(call, path, "a provider as gcloud … providers describe --format json prints it")?];
            files.place = path.display().to_string();
        }
        if let Some(path) = policy {
            files.policy = Some(parsed(call, path, "a policy as gcloud … get-iam-policy --format json prints it")?);
        }
        if let Some(path) = file {
            files.take_credential_file(call, path)?;
        }
        Ok(files)
    }

    /// A file of type `external_account`.
    pub(super) fn take_credential_file(&mut self, call: &Call, path: &Path) -> Result<()> {
        let value: Value = parsed(call, path, "a credential file of type external_account")?;
        if !value.is_object() {
            bail!("{} is no credential file: expected a JSON object of type external_account", path.display());
        }
        let url = value.get("service_account_impersonation_url").and_then(Value::as_str);
        self.service_account = url
            .and_then(|url| Some(url.rsplit('/').next()?.split(':').next()?.to_owned()))
            .filter(|account| account.contains('@'));
        self.place = path.display().to_string();
        self.file = Some(value);
        Ok(())
    }

    /// The token file that the credential file names, when it can be read.
    pub(super) fn token_file(&self, call: &Call) -> Option<Given> {
        let path = self.file.as_ref()?.pointer("/credential_source/file")?.as_str()?;
        given(call, &PathBuf::from(path)).ok()
    }

    /// What a target says, unless a file said otherwise.
    pub(super) fn expect(&mut self, expectation: Option<GoogleExpectation>) {
        let Some(expectation) = expectation else { return };
        self.audience = Some(format!("{RESOURCE_HOST}{}", expectation.provider));
        self.service_account = self.service_account.take().or(expectation.service_account);
        (self.bucket, self.endpoint) = (expectation.bucket, expectation.endpoint);
    }

    /// The policy of a file is that of the service account, where one is impersonated, and else the bucket's.
    pub(super) fn settle(&mut self) {
        let place = if self.service_account.is_some() { &mut self.account_policy } else { &mut self.resource_policy };
        if let Some(policy) = self.policy.take() {
            *place = Some(policy);
        }
    }

    /// The name of the provider that is called, if it can be one.
    pub(super) fn provider_name(&self) -> Option<String> {
        let audience = self.audience.as_deref().or_else(|| self.file.as_ref()?.get("audience")?.as_str())?;
        let name = audience.strip_prefix(RESOURCE_HOST)?;
        name.parse::<ProviderName>().is_ok().then(|| name.to_owned())
    }

    /// Whether no file said what the provider is.
    pub(super) fn wants_provider(&self) -> bool {
        self.providers.is_empty()
    }

    /// A provider, and where it was found.
    pub(super) fn take_provider(&mut self, provider: Provider, place: &str) {
        self.providers = vec![provider];
        place.clone_into(&mut self.place);
    }

    /// Whether there is anything about Google to look at.
    pub(super) fn is_asked(&self) -> bool {
        !self.providers.is_empty()
            || self.account_policy.is_some()
            || self.resource_policy.is_some()
            || self.file.is_some()
            || self.audience.is_some()
    }

    /// For the rules.
    pub(super) fn setup(&self) -> Setup<'_> {
        Setup {
            file: self.file.as_ref(),
            executables_allowed: Some(self.executables_allowed),
            audience: self.audience.as_deref().filter(|_| self.file.is_none()),
            pool: self.pool.as_ref(),
            provider: self.providers.first(),
            service_account: self.service_account.as_deref(),
            account_policy: self.account_policy.as_ref(),
            resource_policy: self.resource_policy.as_ref(),
            ..Setup::default()
        }
    }

    /// For the proof.
    pub(super) fn told(&self) -> Option<Told<'_>> {
        let (policy, permission) = match &self.service_account {
            Some(_) => (self.account_policy.as_ref()?, "iam.serviceAccounts.getAccessToken"),
            None => (self.resource_policy.as_ref()?, "storage.objects.get"),
        };
        Some(Told::Google { policy, permission, providers: &self.providers })
    }

    /// Where a rule's fault lies.
    pub(super) fn place_of(&self, rule: &str) -> Option<&str> {
        let number: u32 = rule.strip_prefix("D-")?.parse().ok()?;
        ((40..=54).contains(&number) && !self.place.is_empty()).then_some(self.place.as_str())
    }
}

/// What a target says about Google.
pub(super) struct GoogleExpectation {
    pub(super) provider: String,
    pub(super) service_account: Option<String>,
    pub(super) bucket: Option<String>,
    pub(super) endpoint: Option<String>,
}

/// A file's JSON.
pub(super) fn parsed<T: DeserializeOwned>(call: &Call, path: &Path, expected: &str) -> Result<T> {
    let file = given(call, path)?;
    serde_json::from_str(&file.text).with_context(|| format!("{} is not what it should be: {expected}", file.place))
}
