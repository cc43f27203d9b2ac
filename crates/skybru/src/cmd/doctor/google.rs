//! What Google has been told, from files as gcloud prints them, and from the target.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;
use skybru_federation::google::policy::Policy;
use skybru_federation::google::{Provider, RESOURCE_HOST, Setup};
use skybru_federation::reach::Told;

use super::{Call, Given, given};

/// Provider, policy and credential file as far as they are known.
#[derive(Default)]
pub(super) struct Files {
    providers: Vec<Provider>,
    policy: Option<Policy>,
    file: Option<Value>,
    audience: Option<String>,
    service_account: Option<String>,
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
    }

    /// Whether there is anything about Google to look at.
    pub(super) fn is_asked(&self) -> bool {
        !self.providers.is_empty() || self.policy.is_some() || self.file.is_some() || self.audience.is_some()
    }

    /// For the rules.
    pub(super) fn setup(&self) -> Setup<'_> {
        let impersonates = self.service_account.is_some();
        Setup {
            file: self.file.as_ref(),
            executables_allowed: Some(self.executables_allowed),
            audience: self.audience.as_deref().filter(|_| self.file.is_none()),
            provider: self.providers.first(),
            service_account: self.service_account.as_deref(),
            account_policy: self.policy.as_ref().filter(|_| impersonates),
            resource_policy: self.policy.as_ref().filter(|_| !impersonates),
            ..Setup::default()
        }
    }

    /// For the proof.
    pub(super) fn told(&self) -> Option<Told<'_>> {
        let permission =
            if self.service_account.is_some() { "iam.serviceAccounts.getAccessToken" } else { "storage.objects.get" };
        let policy = self.policy.as_ref()?;
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
}

/// A file's JSON.
pub(super) fn parsed<T: DeserializeOwned>(call: &Call, path: &Path, expected: &str) -> Result<T> {
    let file = given(call, path)?;
    serde_json::from_str(&file.text).with_context(|| format!("{} is not what it should be: {expected}", file.place))
}
