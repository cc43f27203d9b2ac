//! Whom the clouds themselves let in where a share lies, beside those whom the share names.
//!
//! A share names no addresses. Those of the target that has the same bucket or account count, for whoever works with a lab.

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};
use skybru_client::http::{Http, HttpOptions};
use skybru_federation::aws::{Role, RoleInput};
use skybru_federation::catalogue::Cloud;
use skybru_federation::google::policy::Policy;
use skybru_federation::google::{PoolMember, Provider};
use skybru_federation::lint::SharedResource;
use skybru_federation::reach::{Admission, Told, reach};

use super::live::{Api, Said, may_have_the_token};
use super::report::Report;
use super::share_file::Places;
use super::{Call, aws_live, azure, azure_live, google_live};
use crate::settings::{Settings, TargetOptions};

const GOOGLE_IAM: &str = "https://iam.googleapis.com";
const GOOGLE_STORAGE: &str = "https://storage.googleapis.com";

/// What the clouds let in that could be asked.
#[derive(Default)]
pub(super) struct Live {
    /// Those that could be asked.
    pub(super) clouds: Vec<Cloud>,
    pub(super) admissions: Vec<Admission>,
}

impl Live {
    fn extend(&mut self, cloud: Cloud, found: Option<Vec<Admission>>) {
        let Some(found) = found else { return };
        self.clouds.push(cloud);
        self.admissions.extend(found);
    }
}

/// Asks the clouds where the share lies, as far as credentials are at hand.
pub(super) async fn admissions(
    call: &Call,
    http: &HttpOptions,
    share: &SharedResource<'_>,
    places: &Places,
    report: &mut Report,
) -> Result<Live> {
    let settings = call.settings().ok();
    let target = |is: &dyn Fn(&TargetOptions) -> bool| settings.as_ref().and_then(|settings| settings.target_that(is));
    let mut live = Live::default();
    if let Some(bucket) = &places.aws_bucket {
        let target = target(&|target| target.aws.as_ref().is_some_and(|aws| aws.bucket.as_ref() == Some(bucket)));
        let endpoint = target.and_then(|(_, target)| target.aws.as_ref()?.endpoint.clone());
        live.extend(Cloud::Aws, at_aws(call, share, endpoint, report).await?);
    }
    if let Some((project, bucket)) = &places.google {
        let target = target(&|target| target.google.as_ref().is_some_and(|google| google.bucket.as_ref() == Some(bucket)));
        let lab = target.and_then(|(_, target)| target.google.as_ref()?.endpoint.clone());
        live.extend(Cloud::Google, at_google(call, &Http::new(http)?, share, (project, bucket), lab, report).await?);
    }
    if let Some(account) = &places.azure_account {
        let target = target(&|target| target.azure.as_ref().is_some_and(|azure| azure.account == *account));
        let arm = target.and_then(|(_, target)| target.azure.as_ref()?.arm.clone());
        let options = settings
            .as_ref()
            .zip(target)
            .map(|(settings, (name, target))| azure_http(settings, name, target))
            .transpose()?
            .flatten();
        let http = Http::new(options.as_ref().unwrap_or(http))?;
        live.extend(Cloud::Azure, at_azure(call, &http, share, arm, report).await?);
    }
    Ok(live)
}

fn azure_http(settings: &Settings, name: &str, target: &TargetOptions) -> Result<Option<HttpOptions>> {
    Ok(target.azure.as_ref().map(|azure| settings.azure_http(name, target, azure)).transpose()?)
}

/// Roles that trust the issuer for the share's scope, or for any.
async fn at_aws(
    call: &Call,
    share: &SharedResource<'_>,
    endpoint: Option<String>,
    report: &mut Report,
) -> Result<Option<Vec<Admission>>> {
    let Some(admin) = aws_live::admin(call, endpoint) else { return Ok(None) };
    let Some(roles) = aws_live::roles(&admin, report).await? else { return Ok(None) };
    let provider = format!("oidc-provider/{}", share.issuer.trim_start_matches("https://"));
    let mut admissions = Vec::new();
    for (arn, trust_policy) in roles {
        let Some((account, name)) = skybru_federation::aws::account_of_arn(&arn).zip(arn.rsplit('/').next()) else { continue };
        let input = RoleInput { name: name.to_owned(), trust_policy, ..RoleInput::default() };
        let Ok(role) = Role::create(account, String::new(), input, 0, |_| true) else { continue };
        let reaches = skybru_federation::aws::reach(&role).unwrap_or_default();
        if !reaches.iter().any(|reach| reach.provider == "*" || reach.provider.ends_with(&provider)) {
            continue;
        }
        let of_role = reach(&[Told::Aws(&role)]).unwrap_or_default();
        let named = |admission: Admission| Admission { rule: format!("role {name}, {}", admission.rule), ..admission };
        admissions.extend(of_role.into_iter().filter(|admission| is_about(admission, share)).map(named));
    }
    Ok(Some(admissions))
}

/// Whether a rule is about tokens with the share's scope: it names it, or leaves it open.
fn is_about(admission: &Admission, share: &SharedResource<'_>) -> bool {
    admission.scopes.as_ref().is_none_or(|scopes| scopes.contains(share.scope))
}

/// Members of the issuer's pools on the bucket, and on the service accounts that may read it.
async fn at_google(
    call: &Call,
    http: &Http,
    share: &SharedResource<'_>,
    (project, bucket): (&str, &str),
    lab: Option<String>,
    report: &mut Report,
) -> Result<Option<Vec<Admission>>> {
    let base = |real: &str| lab.as_deref().unwrap_or(real).trim_end_matches('/').to_owned();
    let (iam, storage) = (base(GOOGLE_IAM), base(GOOGLE_STORAGE));
    if !may_have_the_token(&iam, &["googleapis.com"]) {
        return Ok(None);
    }
    let Some(bearer) = google_live::bearer(call, http, lab.is_none(), report).await? else { return Ok(None) };
    let api = Api { http, bearer, name: "Google" };
    let mut providers: Vec<Provider> = Vec::new();
    let url = format!("{iam}/v1/projects/{project}/locations/global/workloadIdentityPools");
    let Said::Yes(pools) = api.ask(Method::GET, &url, None, "the pools", report).await else { return Ok(None) };
    for pool in pools["workloadIdentityPools"].as_array().into_iter().flatten().filter_map(|pool| pool["name"].as_str()) {
        let Said::Yes(list) = api.ask(Method::GET, &format!("{iam}/v1/{pool}/providers"), None, "the providers", report).await
        else {
            continue;
        };
        let of_pool = list["workloadIdentityPoolProviders"].as_array().into_iter().flatten();
        providers.extend(of_pool.filter_map(|one| serde_json::from_value(one.clone()).ok()));
    }
    providers.retain(|provider| provider.oidc.issuer_uri == share.issuer);
    let url = format!("{storage}/storage/v1/b/{bucket}/iam?optionsRequestedPolicyVersion=3");
    let Said::Yes(policy) = api.ask(Method::GET, &url, None, "the bucket's policy", report).await else { return Ok(None) };
    let Ok(policy) = serde_json::from_value::<Policy>(policy) else { return Ok(None) };
    let readers: Vec<String> = policy
        .members_with("storage.objects.get")
        .filter_map(|(_, member)| member.strip_prefix("serviceAccount:").map(str::to_owned))
        .collect();
    let mut admissions = of_policy(&policy, "storage.objects.get", &providers);
    for account in readers {
        let url = format!("{iam}/v1/projects/-/serviceAccounts/{account}:getIamPolicy?options.requestedPolicyVersion=3");
        let Said::Yes(policy) = api.ask(Method::POST, &url, Some(&json!({})), "a service account's policy", report).await else {
            continue;
        };
        let Ok(policy) = serde_json::from_value::<Policy>(policy) else { continue };
        admissions.extend(of_policy(&policy, "iam.serviceAccounts.getAccessToken", &providers));
    }
    Ok(Some(admissions))
}

/// What a policy says of members of these providers' pools; other members are the provider's own people and programs.
fn of_policy(policy: &Policy, permission: &str, providers: &[Provider]) -> Vec<Admission> {
    let mut ours = policy.clone();
    let pools: Vec<String> = providers.iter().map(|provider| format!("/{}/", provider.name.pool)).collect();
    let is_ours =
        |member: &String| PoolMember::parse(member).is_some() && pools.iter().any(|pool| member.contains(pool.as_str()));
    for binding in &mut ours.bindings {
        binding.members.retain(is_ours);
    }
    reach(&[Told::Google { policy: &ours, permission, providers }]).unwrap_or_default()
}

/// Identities that trust the issuer for the share's scope.
async fn at_azure(
    call: &Call,
    http: &Http,
    share: &SharedResource<'_>,
    arm: Option<String>,
    report: &mut Report,
) -> Result<Option<Vec<Admission>>> {
    let Some(identities) = azure_live::identities(call, http, arm, report).await? else { return Ok(None) };
    let mut admissions = Vec::new();
    for (identity, credentials) in &identities {
        let mut files = azure::Files::default();
        let issued = |one: &&Value| one["properties"]["issuer"].as_str() == Some(share.issuer);
        let ours: Vec<Value> = credentials.iter().filter(issued).cloned().collect();
        files.take_live(identity, &ours, "Azure Resource Manager", report);
        let of_identity = files.told().map(|told| reach(&[told]).unwrap_or_default()).unwrap_or_default();
        admissions.extend(of_identity.into_iter().filter(|admission| is_about(admission, share)));
    }
    Ok(Some(admissions))
}
