//! A share file, read as far as the rules need it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use skybru_core::{OrgNumber, ScopeName};
use skybru_federation::catalogue::Cloud;
use skybru_federation::lint::{SeenToken, SharedResource, SharedSetup, lint_admissions, lint_share};

use super::report::Report;
use super::share_live::Live;
use super::{Call, given};

/// `share.yaml`. What is about creating things is left to those who create them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShareFile {
    api_version: String,
    kind: String,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
struct Spec {
    issuer: String,
    scope: String,
    audience: Option<String>,
    #[serde(default)]
    consumers: Vec<Consumer>,
    aws: Option<Value>,
    azure: Option<Value>,
    google: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Consumer {
    org: String,
    until: Option<String>,
}

/// Buckets and accounts, as far as the file names them.
pub(super) struct Places {
    pub(super) aws_bucket: Option<String>,
    /// Project and bucket.
    pub(super) google: Option<(String, String)>,
    pub(super) azure_account: Option<String>,
}

/// A share file with its name.
pub(super) struct Share {
    place: String,
    spec: Spec,
    until: Vec<Option<i64>>,
}

/// Whether the first argument means a file.
pub(super) fn is_one(subject: &str) -> bool {
    let extension = Path::new(subject).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["yaml", "yml"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads and checks it.
pub(super) fn read(call: &Call, path: &str) -> Result<Share> {
    let file = given(call, Path::new(path))?;
    let parsed: ShareFile = serde_saphyr::from_str(&file.text).with_context(|| format!("{path} is no share file"))?;
    if parsed.api_version != "skybru.dev/v1" || parsed.kind != "Share" {
        bail!("{path}: expected apiVersion: skybru.dev/v1 and kind: Share, found {:?} and {:?}", parsed.api_version, parsed.kind);
    }
    let spec = parsed.spec;
    let _: ScopeName = spec.scope.parse().with_context(|| format!("{path}: spec.scope"))?;
    let mut until = Vec::new();
    for (place, consumer) in spec.consumers.iter().enumerate() {
        let number = consumer.org.strip_prefix("0192:").unwrap_or(&consumer.org);
        let _: OrgNumber = number.parse().with_context(|| format!("{path}: spec.consumers[{place}].org"))?;
        let date = consumer
            .until
            .as_deref()
            .map(|text| end_of_day(text).with_context(|| format!("{path}: spec.consumers[{place}].until")));
        until.push(date.transpose()?);
    }
    Ok(Share { place: file.place, spec, until })
}

/// The last second of a date, in UTC.
fn end_of_day(text: &str) -> Result<i64> {
    let date: jiff::civil::Date = text.parse().with_context(|| format!("{text:?} is no date such as 2027-06-30"))?;
    Ok(date.at(23, 59, 59, 0).to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_second())
}

impl Share {
    /// The issuer as written.
    pub(super) fn issuer(&self) -> &str {
        &self.spec.issuer
    }

    /// As the rules see it.
    pub(super) fn resource(&self) -> SharedResource<'_> {
        let spec = &self.spec;
        let clouds = [(&spec.aws, Cloud::Aws), (&spec.google, Cloud::Google), (&spec.azure, Cloud::Azure)];
        SharedResource {
            issuer: &spec.issuer,
            scope: &spec.scope,
            audience: spec.audience.as_deref(),
            consumers: spec.consumers.iter().map(|consumer| consumer.org.as_str()).zip(self.until.iter().copied()).collect(),
            clouds: clouds.into_iter().filter(|(at, _)| at.is_some()).map(|(_, cloud)| cloud).collect(),
        }
    }

    /// Where it lies.
    pub(super) fn places(&self) -> Places {
        let text =
            |at: &Option<Value>, name: &str| at.as_ref().and_then(|at| at.get(name)).and_then(Value::as_str).map(str::to_owned);
        let spec = &self.spec;
        Places {
            aws_bucket: text(&spec.aws, "bucket"),
            google: text(&spec.google, "project").zip(text(&spec.google, "bucket")),
            azure_account: text(&spec.azure, "account"),
        }
    }

    /// What is wrong with it, with what it would create, and between it and a token.
    pub(super) fn lint(&self, token: Option<&SeenToken>, now: i64, report: &mut Report) {
        let share = self.resource();
        report.note(format!("{}: lets in {}", self.place, share.subjects().into_iter().collect::<Vec<_>>().join(", ")));
        let mut findings = lint_share(&share, token, Some(now));
        let admissions = SharedSetup::of(&share, &mut findings).admissions();
        findings.extend(lint_admissions(&share, &admissions, false));
        report.reaches.extend(admissions);
        for finding in findings {
            report.push(&self.place, finding);
        }
    }

    /// What is wrong with what the clouds let in now.
    pub(super) fn lint_live(&self, live: &Live, report: &mut Report) {
        // A cloud that nobody could ask says nothing about whom it keeps out.
        let mut share = self.resource();
        share.clouds.retain(|cloud| live.clouds.contains(cloud));
        for finding in lint_admissions(&share, &live.admissions, true) {
            report.push("what is there now", finding);
        }
    }
}
