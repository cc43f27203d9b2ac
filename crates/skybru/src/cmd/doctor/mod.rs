//! `skybru doctor`: what is wrong, where, who can mend it, and how.
//!
//! It tries the road of a target and looks at everything it meets; or it looks at what it is given: files, the environment, an error
//! text. What is wrong is decided by the rules in `federation`; here inputs are gathered, one file a kind. It prints no token unless
//! asked to.

mod aws;
mod aws_live;
mod azure;
mod azure_live;
mod data;
mod google;
mod google_live;
mod issuer;
mod live;
mod report;
mod road;
mod served_chain;
mod share_file;
mod share_live;
mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use skybru_client::http::{Http, HttpOptions};
use skybru_core::IssuerUrl;
use skybru_federation::aws::{PresentedToken, Setup};
use skybru_federation::lint::{LintInput, SeenToken, bare_token, lint};
use skybru_federation::reach::{Told, reach};
use skybru_federation::{Severity, catalogue, explain_error};

use self::report::Report;
use super::{Call, Outcome};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// One of `targets` in the settings: try its whole road. Or a share file (.yaml)
    #[arg(value_name = "TARGET|SHARE-FILE")]
    subject: Option<String>,
    /// A file with a token, or what was taken for one (- for standard input)
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// A file with the trust policy of an AWS role, or what `aws iam get-role` printed
    #[arg(long, value_name = "FILE")]
    aws_trust_policy: Option<PathBuf>,
    /// The ARN of that role
    #[arg(long, value_name = "ARN")]
    aws_role: Option<String>,
    /// What `aws iam get-open-id-connect-provider` printed, or what `create-open-id-connect-provider` is given
    #[arg(long, value_name = "FILE")]
    aws_provider: Option<PathBuf>,
    /// What `gcloud … providers describe --format json` printed
    #[arg(long, value_name = "FILE")]
    google_provider: Option<PathBuf>,
    /// What `gcloud … get-iam-policy --format json` printed: of the service account, or of the bucket when none is impersonated
    #[arg(long, value_name = "FILE")]
    google_policy: Option<PathBuf>,
    /// A credential file of Google's, type `external_account`
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
    /// What `az identity federated-credential list` or `show` printed, or `az ad app federated-credential list`
    #[arg(long, value_name = "FILE")]
    entra_credential: Option<PathBuf>,
    /// What `az identity show` printed, or `az ad app show`, or `az ad sp show`
    #[arg(long, value_name = "FILE")]
    entra_identity: Option<PathBuf>,
    /// What `az storage fs access show` printed: of a path, or as an array of the root, each folder on the way, and the path
    #[arg(long, value_name = "FILE", requires = "entra_identity")]
    azure_lists: Option<PathBuf>,
    /// An AWS configuration file [default when given without a value: ~/.aws/config]
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = tools::USUAL_CONFIG)]
    aws_config: Option<PathBuf>,
    /// Look at one profile of it only
    #[arg(long, value_name = "NAME", requires = "aws_config")]
    aws_profile: Option<String>,
    /// Look at the variables that the clouds' tools read, and at the files that they name
    #[arg(long)]
    environment: bool,
    /// An error text, as a cloud or a tool printed it (- for standard input)
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Trust these certificates (PEM) too when the issuer's documents are fetched
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Ask nobody: neither the issuer nor a cloud
    #[arg(long)]
    offline: bool,
    /// Print the token that was looked at
    #[arg(long)]
    show_token: bool,
}

impl DoctorArgs {
    fn is_empty(&self) -> bool {
        let files = [
            &self.token,
            &self.aws_trust_policy,
            &self.aws_provider,
            &self.aws_config,
            &self.google_provider,
            &self.google_policy,
            &self.credential_file,
            &self.entra_credential,
            &self.entra_identity,
            &self.azure_lists,
        ];
        self.subject.is_none() && self.error.is_none() && !self.environment && files.into_iter().all(Option::is_none)
    }
}

/// What the clouds have been told.
struct Clouds {
    aws: aws::Files,
    google: google::Files,
    azure: azure::Files,
}

impl Clouds {
    /// Reads the files that the flags name.
    fn read(call: &Call, args: &DoctorArgs, report: &mut Report) -> Result<Self> {
        let (trust_policy, provider) = (args.aws_trust_policy.as_deref(), args.aws_provider.as_deref());
        Ok(Self {
            aws: aws::Files::read(call, trust_policy, args.aws_role.as_deref(), provider, report)?,
            google: google::Files::read(
                call,
                args.google_provider.as_deref(),
                args.google_policy.as_deref(),
                args.credential_file.as_deref(),
            )?,
            azure: azure::Files::read(
                call,
                args.entra_credential.as_deref(),
                args.entra_identity.as_deref(),
                args.azure_lists.as_deref(),
                report,
            )?,
        })
    }

    /// Where a rule's fault lies.
    fn place_of(&self, rule: &str) -> Option<&str> {
        self.aws.place_of(rule).or_else(|| self.google.place_of(rule)).or_else(|| self.azure.place_of(rule))
    }
}

/// A token or a file's text, and where it came from.
pub(crate) struct Given {
    /// A file's name, or a step.
    pub(crate) place: String,
    /// The text.
    pub(crate) text: String,
}

pub(crate) async fn run(call: &Call, args: DoctorArgs) -> Result<Outcome> {
    if args.is_empty() {
        bail!(
            "nothing to look at: name a target or a share file, or give --token, --error, --environment, or a file: \
             skybru doctor --help lists them"
        );
    }
    if [args.subject.as_deref().map(Path::new), args.token.as_deref()].into_iter().flatten().any(|text| is_token(call, text)) {
        bail!(
            "a token stands where a name belongs, and there every program of this machine can read it: give --token a file, or - and the \
             token on standard input: printf %s \"$TOKEN\" | skybru doctor --token -"
        );
    }
    let mut report = Report::default();
    if args.environment {
        tools::environment(call, &mut report);
    }
    if let Some(path) = &args.aws_config {
        tools::aws_config(call, path, args.aws_profile.as_deref(), &mut report)?;
    }
    let mut token = args.token.as_ref().map(|path| given(call, path)).transpose()?;
    let (mut http, mut azure_http) = (HttpOptions::default(), None);
    let mut issuer = None;
    let mut clouds = Clouds::read(call, &args, &mut report)?;
    token = token.or_else(|| clouds.google.token_file(call));
    let share = match &args.subject {
        Some(subject) if share_file::is_one(subject) => Some(share_file::read(call, subject)?),
        Some(name) => {
            let walked = road::walk(call, name, token.is_some() || args.offline, &mut report).await?;
            (http, azure_http, issuer) = (walked.http, walked.azure_http, Some(walked.issuer));
            token = token.or(walked.token);
            clouds.aws.expect(walked.aws);
            clouds.google.expect(walked.google);
            clouds.azure.expect(walked.azure);
            None
        }
        None => None,
    };
    if let Some(share) = &share {
        issuer = share.issuer().parse().ok();
    }
    if let Some(path) = &args.ca_file {
        http.ca_pem = Some(given(call, path)?.text);
    }
    clouds.google.settle();
    look(call, &args, Looked { token, http, azure_http, issuer, clouds, share }, &mut report).await?;
    if let Some(text) = &args.error {
        let text = if text == "-" { given(call, Path::new("-"))?.text } else { text.clone() };
        from_text("the error text", &text, &mut report);
    }
    report.lead_with_what_explains();
    report.print(&call.printer)?;
    let fine = report.worst() <= Some(Severity::Advice) && !report.has_unknown_text;
    Ok(if fine { Outcome::Done } else { Outcome::No })
}

/// What there is to look at, once the road has been walked.
struct Looked {
    token: Option<Given>,
    http: HttpOptions,
    /// Where Azure is reached with certificates of its own.
    azure_http: Option<HttpOptions>,
    issuer: Option<IssuerUrl>,
    clouds: Clouds,
    share: Option<share_file::Share>,
}

/// Lets the rules look at token, documents and what the clouds have been told.
async fn look(call: &Call, args: &DoctorArgs, looked: Looked, report: &mut Report) -> Result<()> {
    let Looked { token, http, azure_http, issuer, mut clouds, share } = looked;
    let seen = token.as_ref().and_then(|token| SeenToken::read(&bare_token(&token.text)).ok());
    let now = call.system.ctx.clock.unix_seconds();
    if let Some(seen) = &seen {
        report.token = Some(report::line_of_token(seen, now));
    }
    if args.show_token {
        report.shown_token = token.as_ref().map(|token| bare_token(&token.text));
    }
    let issuer = issuer.or_else(|| seen.as_ref()?.text("iss")?.parse().ok());
    let probe = match issuer.filter(|_| !args.offline) {
        Some(issuer) => issuer::probe(call, &http, &issuer, report).await?,
        None => issuer::Probe::default(),
    };
    if !args.offline {
        aws_live::fetch(call, &mut clouds.aws, seen.as_ref(), report).await?;
        google_live::fetch(call, &Http::new(&http)?, &mut clouds.google, report).await?;
        azure_live::fetch(call, &Http::new(azure_http.as_ref().unwrap_or(&http))?, &mut clouds.azure, report).await?;
    }
    let presented = token.as_ref().and_then(|token| PresentedToken::parse(&bare_token(&token.text)).ok());
    let aws = &clouds.aws;
    let assumed = aws.assumed_provider(presented.as_ref());
    let setup = Setup {
        provider: aws.provider.as_ref().or(assumed.as_ref()),
        role: aws.role.as_ref(),
        session_name: aws.session_name.as_deref(),
        duration_seconds: aws.duration_seconds,
        private_chain: probe.private_chain.as_deref(),
    };
    let above = clouds.azure.lists_above();
    let input = LintInput {
        discovery: probe.discovery.as_ref(),
        keys: probe.keys.as_ref(),
        token_text: token.as_ref().map(|token| token.text.as_str()),
        now: Some(now),
        aws: aws.is_asked().then_some(setup),
        google: clouds.google.is_asked().then(|| clouds.google.setup()),
        azure: clouds.azure.is_asked().then(|| clouds.azure.setup(&above)),
    };
    let place = token.as_ref().map_or("the set-up", |token| token.place.as_str());
    for finding in lint(input) {
        let place = clouds.place_of(finding.rule).or_else(|| probe.place_of(finding.rule)).unwrap_or(place);
        report.push(place, finding);
    }
    if let Some(share) = &share {
        share.lint(seen.as_ref(), now, report);
        if !args.offline {
            let live = share_live::admissions(call, &http, &share.resource(), &share.places(), report).await?;
            share.lint_live(&live, report);
        }
    }
    let told: Vec<Told<'_>> =
        [aws.role.as_ref().map(Told::Aws), clouds.google.told(), clouds.azure.told()].into_iter().flatten().collect();
    // A policy that cannot be read has a finding of its own.
    report.reaches.extend(reach(&told).unwrap_or_default());
    Ok(())
}

/// What a text of a cloud, of a tool or of the issuer points to. Its mistakes are guesses until something that was looked at confirms
/// them.
pub(crate) fn from_text(place: &str, text: &str, report: &mut Report) {
    let explanations = explain_error(text);
    if explanations.is_empty() {
        report.note(format!("{place} is none that is known"));
        report.has_unknown_text = true;
    }
    for explanation in explanations {
        for entry in explanation.mistakes.iter().filter_map(|rule| catalogue::entry(rule)) {
            report.push_possible(place, entry.possible());
        }
        report.explanations.push(explanation);
    }
}

/// Whether a token itself was given in place of a name, whole or in part. No error may repeat it.
fn is_token(call: &Call, name: &Path) -> bool {
    // What every signed token begins with: `{"`, encoded.
    let looks_so = name.to_string_lossy().split_once("eyJ").is_some_and(|(_, rest)| rest.len() > 40);
    looks_so && !call.system.folder.join(name).exists()
}

/// A file's text, with its name.
pub(crate) fn given(call: &Call, path: &Path) -> Result<Given> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?
    } else {
        std::fs::read_to_string(call.system.folder.join(path)).with_context(|| format!("cannot read {}", path.display()))?
    };
    let place = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    Ok(Given { place, text })
}
