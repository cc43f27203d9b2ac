//! `skybru doctor`: what is wrong, where, who can mend it, and how.
//!
//! It tries the road of a target and looks at everything it meets; or it looks at what it is given: a token, a trust policy, an error text.
//! Today it knows AWS's rules. It never prints a token.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;
use skybru_client::aws::{AwsCredentialError, ExchangeError};
use skybru_client::http::{Http, HttpOptions};
use skybru_client::token::TokenError;
use skybru_core::IssuerUrl;
use skybru_federation::aws::{
    LintInput, OidcProvider, Organisations, PresentedToken, ProviderInput, Reach, Role, RoleInput, Setup, Values, account_of_arn,
    lint, reach,
};
use skybru_federation::{Finding, Severity, Who, catalogue, difference, explain_error};
use skybru_protocol::jose::JwkSet;
use skybru_protocol::metadata::DiscoveryDocument;

use super::{Call, Outcome};
use crate::print::{Printer, Style};
use crate::wire;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// One of `targets` in the settings: try its whole road
    target: Option<String>,
    /// A file with a token, or what was taken for one (- for standard input)
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// A file with the trust policy of an AWS role
    #[arg(long, value_name = "FILE")]
    aws_trust_policy: Option<PathBuf>,
    /// The ARN of that role
    #[arg(long, value_name = "ARN", default_value = "arn:aws:iam::000000000000:role/unknown")]
    aws_role: String,
    /// An error text, as a cloud or a tool printed it
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Do not fetch the issuer's documents
    #[arg(long)]
    offline: bool,
}

pub(crate) async fn run(call: &Call, args: DoctorArgs) -> Result<Outcome> {
    let nothing = args.target.is_none() && args.token.is_none() && args.aws_trust_policy.is_none() && args.error.is_none();
    if nothing {
        bail!("nothing to look at: name a target, or give --token, --aws-trust-policy or --error");
    }
    let mut findings = Vec::new();
    let mut text = args.token.as_ref().map(|path| read(call, path)).transpose()?;
    let mut http = HttpOptions::default();
    if let Some(name) = &args.target {
        let walked = walk(call, name, &mut findings).await?;
        http = walked.http;
        text = text.or(walked.token);
    }
    let presented = text.as_deref().and_then(|text| PresentedToken::parse(text.trim()).ok());
    let documents = match presented.as_ref().map(|token| token.iss.parse::<IssuerUrl>()) {
        Some(Ok(issuer)) if !args.offline => documents(&http, &issuer, &mut findings).await?,
        _ => (None, None),
    };
    let role = args.aws_trust_policy.as_ref().map(|path| role(call, path, &args.aws_role)).transpose()?;
    let provider = presented.as_ref().zip(role.as_ref()).and_then(|(token, role)| provider_for(token, role));
    let input = LintInput {
        discovery: documents.0.as_ref(),
        keys: documents.1.as_ref(),
        token_text: text.as_deref(),
        now: Some(call.system.ctx.clock.unix_seconds()),
        setup: Setup { provider: provider.as_ref(), role: role.as_ref(), ..Setup::default() },
        ..LintInput::default()
    };
    findings.splice(0..0, lint(input));
    if let Some(error) = &args.error {
        from_text(error, &mut findings);
    }
    let reaches = role.as_ref().map(reach).transpose().unwrap_or_default().unwrap_or_default();
    report(&call.printer, &findings, &reaches)?;
    Ok(if findings.iter().any(|finding| finding.severity > Severity::Advice) { Outcome::No } else { Outcome::Done })
}

/// What trying a target gave.
struct Walked {
    token: Option<String>,
    http: HttpOptions,
}

/// Gets a token and exchanges it, as `credentials` would.
async fn walk(call: &Call, name: &str, findings: &mut Vec<Finding>) -> Result<Walked> {
    let settings = call.settings()?;
    let (name, target) = settings.target(Some(name))?;
    let http = settings.http(&target.client)?;
    let request = settings.request(name, target, &[], &[])?;
    let wired = wire::client(&settings, &target.client, &call.system)?;
    let token = match wired.tokens.fresh(&request).await {
        Ok(token) => token.token.expose().to_owned(),
        Err(error) => {
            findings.push(no_token(&error));
            return Ok(Walked { token: None, http });
        }
    };
    if target.aws.is_some() {
        match wire::aws(&settings, Some(name), &call.system)?.credentials.credentials().await {
            Ok(_) => call.printer.say("the issuer gives a token, and AWS gives credentials for it"),
            Err(AwsCredentialError::Exchange(ExchangeError::Refused { code, message, .. })) => {
                call.printer.say(&format!("AWS refuses the token: {code}: {message}"));
                from_text(&format!("{code}: {message}"), findings);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Walked { token: Some(token), http })
}

fn no_token(error: &TokenError) -> Finding {
    let fix = error.hint().unwrap_or_else(|| "see the text".to_owned());
    Finding::new("D-17", Who::Consumer, format!("there is no token: {error}"), fix)
}

async fn documents(
    options: &HttpOptions,
    issuer: &IssuerUrl,
    findings: &mut Vec<Finding>,
) -> Result<(Option<DiscoveryDocument>, Option<JwkSet>)> {
    let http = Http::new(options)?;
    let url = issuer.endpoint(".well-known/openid-configuration");
    let document: DiscoveryDocument = match http.get_json(&url).await {
        Ok(document) => document,
        Err(error) => {
            let fix = error
                .hint()
                .unwrap_or_else(|| "the document must be public: status 200, JSON, no redirect, within five seconds".to_owned());
            findings.push(Finding::new("D-03", Who::Issuer, format!("{url} cannot be fetched: {error}"), fix));
            return Ok((None, None));
        }
    };
    let keys = match &document.jwks_uri {
        None => None,
        Some(url) => match http.get_json(url).await {
            Ok(keys) => Some(keys),
            Err(error) => {
                let fix = "the key set must be public: status 200, JSON, no redirect, within five seconds";
                findings.push(Finding::new("D-03", Who::Issuer, format!("{url} cannot be fetched: {error}"), fix));
                None
            }
        },
    };
    Ok((Some(document), keys))
}

/// Rules that a text points to. They are guesses, so none is an error that was seen; those already found are not repeated.
fn from_text(text: &str, findings: &mut Vec<Finding>) {
    for explanation in explain_error(text) {
        for entry in explanation.mistakes.iter().filter_map(|rule| catalogue::entry(rule)) {
            if !findings.iter().any(|finding| finding.rule == entry.rule) {
                findings.push(entry.possible());
            }
        }
    }
}

fn read(call: &Call, path: &std::path::Path) -> Result<String> {
    if path.as_os_str() == "-" {
        return std::io::read_to_string(std::io::stdin()).context("cannot read standard input");
    }
    std::fs::read_to_string(call.system.folder.join(path)).with_context(|| format!("cannot read {}", path.display()))
}

/// The role that a trust policy would make. Whether its provider exists is not known here.
fn role(call: &Call, path: &std::path::Path, arn: &str) -> Result<Role> {
    let trust_policy = read(call, path)?;
    let Some((account, name)) = arn.split(':').nth(4).zip(arn.rsplit('/').next()) else {
        bail!("--aws-role {arn:?}: expected arn:aws:iam::ACCOUNT:role/NAME");
    };
    let input = RoleInput { name: name.to_owned(), trust_policy, ..RoleInput::default() };
    Role::create(account, String::new(), input, 0, |_| true).with_context(|| format!("AWS would refuse {}", path.display()))
}

/// The provider that this token needs beside this role. The account's own is not known here; what a trust policy must say follows from
/// this one.
fn provider_for(token: &PresentedToken, role: &Role) -> Option<OidcProvider> {
    let input = ProviderInput { url: token.iss.clone(), client_ids: token.audience.all.clone(), ..ProviderInput::default() };
    OidcProvider::create(account_of_arn(&role.arn)?, input, 0).ok()
}

/// ` statement 1 can let in …`: whom the trust policy is about, whatever token was looked at.
fn line_of(reach: &Reach) -> String {
    let who = match &reach.organisations {
        Organisations::Any => "any organisation".to_owned(),
        Organisations::Only(numbers) if numbers.is_empty() => "no organisation".to_owned(),
        Organisations::Only(numbers) => numbers.iter().map(|number| format!("0192:{number}")).collect::<Vec<_>>().join(", "),
    };
    let listed = |values: &Values| values.listed().map(|values| values.into_iter().collect::<Vec<_>>().join(", "));
    let subjects = listed(&reach.subjects).map(|subjects| format!("; subjects: {subjects}")).unwrap_or_default();
    let audiences = listed(&reach.audiences).map(|audiences| format!("; audiences: {audiences}")).unwrap_or_default();
    format!("statement {} can let in {who}{subjects}{audiences}", reach.statement + 1)
}

fn report(printer: &Printer, findings: &[Finding], reaches: &[Reach]) -> std::io::Result<()> {
    if printer.json {
        let mut object = json!({ "findings": findings });
        if !reaches.is_empty() {
            object["reach"] = json!(reaches);
        }
        return printer.object(&object);
    }
    for reach in reaches {
        printer.data(&line_of(reach))?;
    }
    for finding in findings {
        let (style, word) = match finding.severity {
            Severity::Error => (Style::Bad, "error"),
            Severity::Warning => (Style::Heading, "warning"),
            Severity::Advice => (Style::Dim, "advice"),
        };
        let who = match finding.who {
            Who::Issuer => "the issuer's operator",
            Who::Provider => "the data's provider",
            Who::Consumer => "the consumer",
        };
        printer.data(&format!("{} {}: {}", printer.paint(style, word), finding.rule, finding.what))?;
        if let (Some(expected), Some(found)) = (&finding.expected, &finding.found) {
            printer.data(&format!("    expected  {expected}"))?;
            printer.data(&format!("    found     {found}"))?;
            if let Some(place) = difference(expected, found) {
                printer.data(&format!("              {}^ from here", " ".repeat(place)))?;
            }
        }
        printer.data(&format!("    mend ({who}): {}", finding.fix))?;
    }
    if findings.is_empty() {
        printer.data("nothing wrong was found")?;
    }
    Ok(())
}
