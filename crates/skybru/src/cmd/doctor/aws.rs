//! What AWS has been told: from files, from the target, and from AWS itself.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use skybru_federation::aws::{OidcProvider, PresentedToken, ProviderInput, Role, RoleInput, account_of_arn};
use skybru_federation::{Finding, Who};

use super::report::Report;
use super::road::AwsExpectation;
use super::{Call, given};

/// The account of a role whose ARN nobody gave.
const UNKNOWN_ROLE: &str = "arn:aws:iam::000000000000:role/unknown";

/// Provider and role as far as they are known, and how they are called.
#[derive(Default)]
pub(super) struct Files {
    pub(super) provider: Option<OidcProvider>,
    pub(super) provider_place: Option<String>,
    pub(super) role: Option<Role>,
    pub(super) role_place: Option<String>,
    /// The role's ARN, if somebody named it.
    pub(super) role_arn: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    pub(super) session_name: Option<String>,
    pub(super) duration_seconds: Option<u32>,
}

impl Files {
    /// Reads the files that the flags name.
    pub(super) fn read(
        call: &Call,
        trust_policy: Option<&Path>,
        role_arn: Option<&str>,
        provider: Option<&Path>,
        report: &mut Report,
    ) -> Result<Self> {
        let mut files = Self { role_arn: role_arn.map(str::to_owned), ..Self::default() };
        if let Some(path) = trust_policy {
            let file = given(call, path)?;
            files.take_trust_policy(&file.text, &file.place, report)?;
        }
        if let Some(path) = provider {
            let file = given(call, path)?;
            let value: Value =
                serde_json::from_str(&file.text).with_context(|| format!("{} is not the JSON that it should be", file.place))?;
            files.take_provider(&value, &file.place, report)?;
        }
        Ok(files)
    }

    /// What a target says, unless a flag said otherwise.
    pub(super) fn expect(&mut self, expectation: Option<AwsExpectation>) {
        let Some(expectation) = expectation else { return };
        self.role_arn.get_or_insert(expectation.role_arn);
        self.endpoint = expectation.endpoint;
        self.region = Some(expectation.region);
        self.session_name = expectation.session_name;
        self.duration_seconds = expectation.duration_seconds;
    }

    /// Whether there is anything about AWS to look at.
    pub(super) fn is_asked(&self) -> bool {
        self.provider.is_some() || self.role.is_some() || self.role_arn.is_some()
    }

    /// The provider that this token needs beside this role. The account's own is not known; what a trust policy must say follows from
    /// this one.
    pub(super) fn assumed_provider(&self, token: Option<&PresentedToken>) -> Option<OidcProvider> {
        let (token, role) = token.zip(self.role.as_ref())?;
        let input = ProviderInput { url: token.iss.clone(), client_ids: token.audience.all.clone(), ..ProviderInput::default() };
        OidcProvider::create(account_of_arn(&role.arn)?, input, 0).ok()
    }

    /// Where a rule's fault lies.
    pub(super) fn place_of(&self, rule: &str) -> Option<&str> {
        match rule {
            "D-20" | "D-22" | "D-30" => self.provider_place.as_deref(),
            "D-21" | "D-23" | "D-24" | "D-25" | "D-26" | "D-27" | "D-31" => self.role_place.as_deref(),
            "D-28" | "D-29" => Some("the call"),
            _ => None,
        }
    }

    /// A trust policy alone, or a role as `aws iam get-role` prints it. One that AWS would not take is a finding.
    fn take_trust_policy(&mut self, text: &str, place: &str, report: &mut Report) -> Result<()> {
        let printed = serde_json::from_str::<Value>(text).ok();
        let printed = printed.as_ref().and_then(|value| value.get("Role"));
        let member = |name: &str| printed.and_then(|role| role.get(name));
        let policy = match member("AssumeRolePolicyDocument") {
            Some(Value::String(encoded)) => encoded.clone(),
            Some(document) => document.to_string(),
            None => text.to_owned(),
        };
        let printed_arn = member("Arn").and_then(Value::as_str).map(str::to_owned);
        let arn = self.role_arn.clone().or(printed_arn).unwrap_or_else(|| UNKNOWN_ROLE.to_owned());
        let seconds = member("MaxSessionDuration").and_then(Value::as_u64).and_then(|seconds| u32::try_from(seconds).ok());
        self.take_role(&arn, policy, seconds, place, report)
    }

    /// A role by its parts.
    pub(super) fn take_role(
        &mut self,
        arn: &str,
        trust_policy: String,
        max_session_duration: Option<u32>,
        place: &str,
        report: &mut Report,
    ) -> Result<()> {
        let Some((account, name)) = account_of_arn(arn).zip(arn.rsplit('/').next()) else {
            bail!("{arn:?} is no role: expected arn:aws:iam::ACCOUNT:role/NAME");
        };
        let input = RoleInput { name: name.to_owned(), trust_policy, max_session_duration, ..RoleInput::default() };
        match Role::create(account, String::new(), input, 0, |_| true) {
            Ok(role) => self.role = Some(role),
            Err(error) => {
                let what = format!("AWS would not take this trust policy: {error} ({})", error.rule);
                report
                    .push(place, Finding::new("D-27", Who::Provider, what, "mend the policy; aws iam update-assume-role-policy"));
            }
        }
        self.role_place = Some(place.to_owned());
        Ok(())
    }

    /// A provider as `get-open-id-connect-provider` prints it, or as `create-open-id-connect-provider` takes it.
    fn take_provider(&mut self, value: &Value, place: &str, report: &mut Report) -> Result<()> {
        let Some(url) = value.get("Url").and_then(Value::as_str) else {
            bail!("{place}: expected an object with Url, ClientIDList and ThumbprintList");
        };
        let texts = |name: &str| -> Vec<String> {
            let list = value.get(name).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let arn = value.get("OpenIDConnectProviderArn").and_then(Value::as_str);
        let account =
            arn.or(self.role_arn.as_deref()).or(self.role.as_ref().map(|role| role.arn.as_str())).and_then(account_of_arn);
        let account = account.unwrap_or("000000000000").to_owned();
        // What is printed has no scheme, what is given has one.
        let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
        self.take_provider_parts(&account, url, texts("ClientIDList"), texts("ThumbprintList"), place, report);
        Ok(())
    }

    /// A provider by its parts.
    pub(super) fn take_provider_parts(
        &mut self,
        account: &str,
        url: String,
        client_ids: Vec<String>,
        thumbprints: Vec<String>,
        place: &str,
        report: &mut Report,
    ) {
        let thumbprints = Some(thumbprints).filter(|list| !list.is_empty());
        let input = ProviderInput { url, client_ids, thumbprints, ..ProviderInput::default() };
        match OidcProvider::create(account, input, 0) {
            Ok(provider) => self.provider = Some(provider),
            Err(error) => {
                let what = format!("AWS would not take this provider: {error} ({})", error.rule);
                let fix = "write the token's iss as Url: https://, no port, no query";
                report.push(place, Finding::new("D-20", Who::Provider, what, fix));
            }
        }
        self.provider_place = Some(place.to_owned());
    }
}
