//! What Google itself says of pool, provider, service account and bucket, when the environment has a token that may read it.
//!
//! The token: `GOOGLE_OAUTH_ACCESS_TOKEN`, gcloud's `CLOUDSDK_AUTH_ACCESS_TOKEN` or `…_FILE`; else the application default credentials
//! of a person or of a service account, which are for the real Google alone. Those of the consumer (`external_account`) are no
//! administrator's and are left aside.

use anyhow::{Context as _, Result};
use http::Method;
use serde_json::{Value, json};
use skybru_client::http::Http;
use skybru_core::Secret;
use skybru_federation::google::RESOURCE_HOST;
use skybru_federation::{Finding, Who};
use skybru_protocol::jose::SigningKey;

use super::google::Files;
use super::live::{Api, Said, may_have_the_token};
use super::report::Report;
use super::{Call, given};

const LIVE: &str = "Google IAM";
const REAL_IAM: &str = "https://iam.googleapis.com";
const REAL_STORAGE: &str = "https://storage.googleapis.com";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
const READ_ALL: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Fills in what no file said. Without a token, or without the right to read, nothing is filled in, and a note says so.
pub(super) async fn fetch(call: &Call, http: &Http, files: &mut Files, report: &mut Report) -> Result<()> {
    let Some(provider) = files.provider_name() else { return Ok(()) };
    let lab = files.endpoint.clone();
    let base = |real: &str| lab.as_deref().unwrap_or(real).trim_end_matches('/').to_owned();
    if !may_have_the_token(&base(REAL_IAM), &["googleapis.com"]) {
        report.note(format!("the token at hand is not sent to {}: it is neither Google nor this machine", base(REAL_IAM)));
        return Ok(());
    }
    let Some(bearer) = bearer(call, http, lab.is_none(), report).await? else { return Ok(()) };
    let api = Api { http, bearer, name: "Google" };
    if files.wants_provider() {
        self::provider(&api, &base(REAL_IAM), &provider, files, report).await;
    }
    if let Some(account) = files.service_account.clone().filter(|_| files.account_policy.is_none()) {
        account_policy(&api, &base(REAL_IAM), &account, files, report).await;
    }
    if let Some(bucket) = files.bucket.clone().filter(|_| files.resource_policy.is_none()) {
        bucket_policy(&api, &base(REAL_STORAGE), &bucket, files, report).await;
    }
    Ok(())
}

/// The provider and its pool (D-41).
async fn provider(api: &Api<'_>, base: &str, name: &str, files: &mut Files, report: &mut Report) {
    let url = format!("{base}/v1/{name}");
    match api.ask(Method::GET, &url, None, "the provider", report).await {
        Said::Yes(value) => match serde_json::from_value(value) {
            Ok(provider) => files.take_provider(provider, LIVE),
            Err(error) => report.note(format!("Google's answer about the provider cannot be read: {error}")),
        },
        Said::Absent => {
            let what =
                format!("there is no provider {RESOURCE_HOST}{name}; Google answers invalid_target to whoever names it (G-33)");
            let fix = "compare the target's provider, which has the project's number in it, with: gcloud iam workload-identity-pools \
                       providers list";
            report.push(LIVE, Finding::new("D-41", Who::Provider, what, fix));
        }
        Said::Unknown => {}
    }
    let Some((pool, _)) = name.rsplit_once("/providers/") else { return };
    if let Said::Yes(value) = api.ask(Method::GET, &format!("{base}/v1/{pool}"), None, "the pool", report).await {
        files.pool = serde_json::from_value(value).ok();
    }
}

/// Who may use the service account (D-47).
async fn account_policy(api: &Api<'_>, base: &str, account: &str, files: &mut Files, report: &mut Report) {
    let url = format!("{base}/v1/projects/-/serviceAccounts/{account}:getIamPolicy?options.requestedPolicyVersion=3");
    match api.ask(Method::POST, &url, Some(&json!({})), "the service account's policy", report).await {
        Said::Yes(value) => files.account_policy = serde_json::from_value(value).ok(),
        Said::Absent => {
            let what = format!("there is no service account {account}");
            let fix = "compare the target's service-account with: gcloud iam service-accounts list";
            report.push(LIVE, Finding::new("D-47", Who::Provider, what, fix));
        }
        Said::Unknown => {}
    }
}

/// Who may read the bucket (D-50).
async fn bucket_policy(api: &Api<'_>, base: &str, bucket: &str, files: &mut Files, report: &mut Report) {
    let url = format!("{base}/storage/v1/b/{bucket}/iam?optionsRequestedPolicyVersion=3");
    match api.ask(Method::GET, &url, None, "the bucket's policy", report).await {
        Said::Yes(value) => files.resource_policy = serde_json::from_value(value).ok(),
        Said::Absent => {
            let what = format!("there is no bucket {bucket}");
            report.push(
                LIVE,
                Finding::new("D-50", Who::Provider, what, "compare the target's bucket with: gcloud storage buckets list"),
            );
        }
        Said::Unknown => {}
    }
}

/// An access token of an administrator's. Files with lasting credentials are for Google itself, never for a lab.
pub(super) async fn bearer(call: &Call, http: &Http, is_real: bool, report: &mut Report) -> Result<Option<Secret>> {
    let var = |name: &str| call.system.var(name);
    if let Some(token) = var("GOOGLE_OAUTH_ACCESS_TOKEN").or_else(|| var("CLOUDSDK_AUTH_ACCESS_TOKEN")) {
        return Ok(Some(Secret::from(token.trim().to_owned())));
    }
    if let Some(path) = var("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE") {
        return Ok(Some(Secret::from(given(call, path.as_ref())?.text.trim().to_owned())));
    }
    if !is_real {
        return Ok(None);
    }
    let Some(file) = default_credentials(call) else { return Ok(None) };
    let token = match file["type"].as_str() {
        Some("authorized_user") => of_person(http, &file).await,
        Some("service_account") => of_service_account(call, http, &file).await,
        _ => return Ok(None),
    };
    // Somebody may have credentials here and no wish that the doctor uses them: that they do not work is no failure.
    if let Err(error) = &token {
        report.note(format!("Google is not asked what it has been told: {error:#}"));
    }
    Ok(token.ok())
}

/// The file that Google's libraries would take.
fn default_credentials(call: &Call) -> Option<Value> {
    const USUAL: &str = "application_default_credentials.json";
    let named = call.system.var("GOOGLE_APPLICATION_CREDENTIALS").map(std::path::PathBuf::from);
    let folder = || {
        let home = || Some(std::path::Path::new(call.system.var("HOME")?).join(".config/gcloud"));
        call.system.var("CLOUDSDK_CONFIG").map(std::path::PathBuf::from).or_else(home)
    };
    let path = named.or_else(|| Some(folder()?.join(USUAL)))?;
    serde_json::from_str(&given(call, &path).ok()?.text).ok()
}

async fn of_person(http: &Http, file: &Value) -> Result<Secret> {
    let text = |name: &str| file[name].as_str().with_context(|| format!("the application default credentials lack {name}"));
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", text("client_id")?),
        ("client_secret", text("client_secret")?),
        ("refresh_token", text("refresh_token")?),
    ];
    access_token(http, &form).await
}

async fn of_service_account(call: &Call, http: &Http, file: &Value) -> Result<Secret> {
    let text = |name: &str| file[name].as_str().with_context(|| format!("the service account's file lacks {name}"));
    let key_id = text("private_key_id")?.parse().context("the service account's private_key_id")?;
    let key = SigningKey::from_text(text("private_key")?, Some(&key_id)).context("the service account's key cannot be used")?;
    let now = call.system.ctx.clock.unix_seconds();
    let claims = json!({"iss": text("client_email")?, "scope": READ_ALL, "aud": TOKEN_URL, "iat": now, "exp": now + 600});
    let assertion = key.sign(Some("JWT"), &claims)?;
    access_token(http, &[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)]).await
}

async fn access_token(http: &Http, form: &[(&str, &str)]) -> Result<Secret> {
    let answer = http.post_form(TOKEN_URL, "application/json", form).await?;
    let value: Value = answer.json()?;
    let refusal =
        || format!("the application default credentials are refused: {}", value["error"].as_str().unwrap_or("no reason given"));
    Ok(Secret::from(value["access_token"].as_str().with_context(refusal)?.to_owned()))
}
