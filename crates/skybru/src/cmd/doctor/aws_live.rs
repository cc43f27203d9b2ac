//! What AWS itself says of role and provider, when the environment has keys that may read it.

use anyhow::Result;
use serde::Deserialize;
use skybru_core::Secret;
use skybru_federation::aws::account_of_arn;
use skybru_federation::lint::SeenToken;
use skybru_federation::{Finding, Severity, Who, difference};

use super::Call;
use super::aws::Files;
use super::report::Report;
use crate::lab::AwsAdmin;

const REAL_IAM: &str = "https://iam.amazonaws.com";
const LIVE: &str = "AWS IAM";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleAnswer {
    get_role_result: RoleResult,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleResult {
    role: RoleXml,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleXml {
    arn: String,
    /// Percent-encoded JSON.
    assume_role_policy_document: String,
    max_session_duration: Option<u32>,
    create_date: Option<jiff::Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RolesAnswer {
    list_roles_result: RolesResult,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RolesResult {
    #[serde(default)]
    roles: RoleMembers,
    #[serde(default)]
    is_truncated: bool,
    marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct RoleMembers {
    #[serde(default)]
    member: Vec<RoleXml>,
}

#[derive(Debug, Deserialize)]
struct ProviderAnswer {
    #[serde(rename = "GetOpenIDConnectProviderResult")]
    result: ProviderXml,
}

#[derive(Debug, Deserialize)]
struct ProviderXml {
    #[serde(rename = "Url")]
    url: String,
    #[serde(rename = "ClientIDList", default)]
    client_ids: Members,
    #[serde(rename = "ThumbprintList", default)]
    thumbprints: Members,
}

#[derive(Debug, Default, Deserialize)]
struct Members {
    #[serde(default)]
    member: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct ListAnswer {
    #[serde(rename = "ListOpenIDConnectProvidersResult")]
    result: ListResult,
}

#[derive(Debug, Deserialize)]
struct ListResult {
    #[serde(rename = "OpenIDConnectProviderList", default)]
    list: ProviderList,
}

#[derive(Debug, Default, Deserialize)]
struct ProviderList {
    #[serde(default)]
    member: Vec<ProviderEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProviderEntry {
    arn: String,
}

/// A list that goes on longer than this is not read to its end.
const MOST_PAGES: usize = 20;

/// a role is known everywhere after some seconds.
const FRESH_SECONDS: i64 = 60;

/// Fills in what no file said. Without keys, or without the right to read, nothing is filled in, and a note says so.
pub(super) async fn fetch(call: &Call, files: &mut Files, token: Option<&SeenToken>, report: &mut Report) -> Result<()> {
    let Some(role_arn) = files.role_arn.clone() else { return Ok(()) };
    let Some(admin) = admin(call, files.endpoint.clone()) else { return Ok(()) };
    if files.role.is_none() {
        role(&admin, &role_arn, files, report).await?;
    }
    let issuer = token.and_then(|token| token.text("iss"));
    if let (None, Some(issuer), Some(account)) = (&files.provider, issuer, account_of_arn(&role_arn)) {
        provider(&admin, account, issuer, files, report).await?;
    }
    Ok(())
}

/// Percent-encoding undone.
fn decoded(text: &str) -> String {
    let decoded = url::form_urlencoded::parse(format!("p={text}").as_bytes()).next().map(|(_, value)| value.into_owned());
    decoded.unwrap_or_default()
}

/// Every role of the account, with its trust policy; `None` when the keys may not see them, which a note says.
pub(super) async fn roles(admin: &AwsAdmin, report: &mut Report) -> Result<Option<Vec<(String, String)>>> {
    let mut roles = Vec::new();
    let mut marker = None::<String>;
    for _ in 0..MOST_PAGES {
        let parameters: Vec<(&str, &str)> = marker.iter().map(|marker| ("Marker", marker.as_str())).collect();
        let (_, text) = admin.iam_answer("ListRoles", &parameters).await?;
        let Ok(RolesAnswer { list_roles_result: page }) = quick_xml::de::from_str::<RolesAnswer>(&text) else {
            report.note(cannot_read("the roles", &text));
            return Ok(None);
        };
        roles.extend(page.roles.member.into_iter().map(|role| (role.arn, decoded(&role.assume_role_policy_document))));
        match page.marker {
            Some(next) if page.is_truncated => marker = Some(next),
            _ => break,
        }
    }
    Ok(Some(roles))
}

/// Static keys of the environment: those that the aws CLI would take first.
pub(super) fn admin(call: &Call, endpoint: Option<String>) -> Option<AwsAdmin> {
    let var = |name: &str| call.system.var(name).map(str::to_owned);
    let endpoint = var("AWS_ENDPOINT_URL_IAM").or_else(|| var("AWS_ENDPOINT_URL")).or(endpoint);
    Some(AwsAdmin {
        endpoint: endpoint.unwrap_or_else(|| REAL_IAM.to_owned()).trim_end_matches('/').to_owned(),
        // The real IAM is signed for in one region.
        region: "us-east-1".to_owned(),
        access_key_id: var("AWS_ACCESS_KEY_ID")?,
        secret_access_key: Secret::from(var("AWS_SECRET_ACCESS_KEY")?),
        session_token: var("AWS_SESSION_TOKEN").map(Secret::from),
        ctx: call.system.ctx.clone(),
    })
}

async fn role(admin: &AwsAdmin, arn: &str, files: &mut Files, report: &mut Report) -> Result<()> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let (status, text) = admin.iam_answer("GetRole", &[("RoleName", name)]).await?;
    if text.contains("NoSuchEntity") {
        let what = format!("there is no role {name} in this account; AWS answers AccessDenied to whoever assumes it (A-62)");
        report.push(LIVE, Finding::new("A-62", Who::Provider, what, "compare the target's role-arn with: aws iam list-roles"));
        return Ok(());
    }
    match quick_xml::de::from_str::<RoleAnswer>(&text) {
        Ok(answer) if status == 200 => {
            let role = answer.get_role_result.role;
            let policy = decoded(&role.assume_role_policy_document);
            if role.arn != arn {
                let what = "the keys in the environment are of another account than the role".to_owned();
                report.note(format!("{what}: {} is not {arn}", role.arn));
                return Ok(());
            }
            let age = role.create_date.map(|created| admin.ctx.clock.unix_seconds().saturating_sub(created.as_second()));
            if let Some(age) = age.filter(|age| (0..FRESH_SECONDS).contains(age)) {
                let what = format!("the role was made {age} seconds ago; until AWS knows it everywhere it answers AccessDenied");
                let finding = Finding::new("D-33", Who::Provider, what, "wait a quarter of a minute and try again");
                report.push(LIVE, finding.severity(Severity::Advice));
            }
            files.take_role(&role.arn, policy, role.max_session_duration, LIVE, report)
        }
        _ => {
            report.note(cannot_read("the role", &text));
            Ok(())
        }
    }
}

async fn provider(admin: &AwsAdmin, account: &str, issuer: &str, files: &mut Files, report: &mut Report) -> Result<()> {
    let arn = format!("arn:aws:iam::{account}:oidc-provider/{}", issuer.trim_start_matches("https://"));
    let (_, text) = admin.iam_answer("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn)]).await?;
    if text.contains("NoSuchEntity") {
        return nearest(admin, issuer, report).await;
    }
    match quick_xml::de::from_str::<ProviderAnswer>(&text) {
        Ok(ProviderAnswer { result }) => {
            let url = format!("https://{}", result.url);
            files.take_provider_parts(account, url, result.client_ids.member, result.thumbprints.member, LIVE, report);
        }
        Err(_) => report.note(cannot_read("the provider", &text)),
    }
    Ok(())
}

/// D-20: there is no provider of this URL. One that almost has it is the likely cause.
async fn nearest(admin: &AwsAdmin, issuer: &str, report: &mut Report) -> Result<()> {
    let (_, text) = admin.iam_answer("ListOpenIDConnectProviders", &[]).await?;
    let Ok(ListAnswer { result }) = quick_xml::de::from_str::<ListAnswer>(&text) else {
        report.note(cannot_read("the providers", &text));
        return Ok(());
    };
    let urls =
        result.list.member.iter().filter_map(|entry| entry.arn.split_once("oidc-provider/").map(|(_, url)| url.to_owned()));
    let wanted = issuer.trim_start_matches("https://");
    let alike = |url: &String| difference(url, wanted).unwrap_or(usize::MAX);
    let nearest = urls.max_by_key(alike).filter(|url| alike(url) >= wanted.len() / 2);
    let what = "the account has no provider whose URL is the token's issuer";
    let fix = format!("aws iam create-open-id-connect-provider --url {issuer} --client-id-list AUDIENCE");
    let finding = Finding::new("D-20", Who::Provider, what, fix);
    report.push(LIVE, finding.compared(wanted, nearest.unwrap_or_else(|| "no provider like it".to_owned())));
    Ok(())
}

fn cannot_read(what: &str, answer: &str) -> String {
    let code = answer.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("no answer", |(code, _)| code);
    format!("AWS does not show {what} to the keys in the environment ({code}); what needs it is not looked at")
}
