//! `skybru issuer publish`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;
use skybru_client::http::Http;
use skybru_client::storage::{Bucket, Location, with_variables};
use skybru_core::IssuerUrl;
use skybru_federation::Severity;
use skybru_federation::aws::{LintInput, lint};
use skybru_issuer::keys::{KeySetProfile, key_set};
use skybru_issuer::private::{DISCOVERY_PATH, KEY_SET_PATH, discovery};
use skybru_protocol::jose::{Algorithm, JwkSet};
use skybru_protocol::metadata::DiscoveryDocument;

use super::super::place::Place as Storage;
use super::super::{Call, Outcome};
use super::folder::Folder;
use super::{Place, Reach};
use crate::lab::files;

/// Arguments of `issuer publish`.
#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// A folder that a web server serves, or `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `az://ACCOUNT/CONTAINER/PATH`, `TARGET:PATH`; without it the site is only looked at
    dest: Option<String>,
    /// Whose credentials write to the bucket: a target of the settings; without it the variables of the cloud's own tools count
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    reach: Reach,
    /// How long to wait for the site to show the new documents
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
    /// Another form of the key set than `issuer.toml` says
    #[arg(long, value_enum)]
    profile: Option<super::Profile>,
}

pub(super) async fn run(call: &Call, args: PublishArgs) -> Result<Outcome> {
    let mut folder = Folder::open(call, &args.place.dir)?;
    let url = folder.settings.url.clone();
    let profile = args.profile.map_or(folder.settings.key_set, Into::into);
    if profile == KeySetProfile::Ceph {
        folder.keys.certify().await?;
    }
    let published = folder.keys.book.published();
    let algorithm = published.first().and_then(|key| key.jwk.alg.as_deref()?.parse().ok()).unwrap_or(Algorithm::RS256);
    let (document, keys) = (discovery(&url, algorithm), key_set(profile, &published));
    if keys.keys.is_empty() {
        bail!("there is no key to publish: make one with `skybru issuer keys rotate`");
    }
    let http = args.reach.http(call)?;
    if let Some(dest) = &args.dest {
        let files =
            vec![(DISCOVERY_PATH, serde_json::to_vec_pretty(&document)?), (KEY_SET_PATH, serde_json::to_vec_pretty(&keys)?)];
        write(call, &args, &http, dest, files).await.with_context(|| format!("cannot publish to {dest}"))?;
        call.printer.say(&format!("written to {dest}: {DISCOVERY_PATH} and {KEY_SET_PATH}"));
    }
    let seen = look(&http, &url, &document, &keys, Duration::from_secs(args.wait))
        .await
        .with_context(|| format!("{url} does not show the documents, so no new key may sign"))?;
    let kids: Vec<&str> = seen.keys.iter().filter_map(|key| key.kid.as_deref()).collect();
    let before = folder.keys.book.keys.signer().is_ok();
    folder.keys.book.keys.seen(kids.iter().copied(), call.system.ctx.clock.now());
    folder.keys.save()?;
    let signer = folder.keys.book.keys.signer().ok().map(|record| record.kid.to_string());
    if call.printer.json {
        call.printer.object(&json!({"url": url, "published": kids, "active": signer}))?;
        return Ok(Outcome::Done);
    }
    call.printer.data(&format!("{url} shows both documents and {} key(s)", kids.len()))?;
    if let (false, Some(signer)) = (before, signer) {
        call.printer.data(&format!("{signer} may sign: skybru issuer mint --subject … --audience …"))?;
    }
    Ok(Outcome::Done)
}

/// Writes to a folder or a bucket. The key set comes first: a discovery document must not point to nothing.
async fn write(call: &Call, args: &PublishArgs, http: &Http, dest: &str, files: Vec<(&str, Vec<u8>)>) -> Result<()> {
    let location: Location = dest.parse()?;
    if let (Location::Local(_), None) = (&location, &args.target) {
        for (name, bytes) in files.into_iter().rev() {
            let path = call.system.folder.join(dest).join(name);
            let folder = path.parent().unwrap_or_else(|| Path::new("."));
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            files::write(&path, &bytes)?;
        }
        return Ok(());
    }
    let (bucket, prefix) = bucket(call, args, http, &location)?;
    let prefix = prefix.trim_end_matches('/');
    for (name, bytes) in files.into_iter().rev() {
        let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        // Short at the edge: how long verifiers keep it is for them to say.
        bucket.put_document(&key, bytes, "application/json", "public, max-age=300").await?;
    }
    Ok(())
}

/// The bucket that is meant, with a target's credentials or with what the variables of the cloud's own tools say.
fn bucket(call: &Call, args: &PublishArgs, http: &Http, location: &Location) -> Result<(Bucket, String)> {
    if args.target.is_none() && !matches!(location, Location::Target { .. }) {
        let (ctx, variables) = (call.system.ctx.clone(), call.system.env.iter());
        let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
        return Ok(with_variables(ctx, http, location, variables)?);
    }
    match Storage::open(location, args.target.as_deref(), &call.settings()?, call)? {
        Storage::Bucket(bucket, prefix) => Ok((bucket, prefix)),
        Storage::Local(_) | Storage::Stdio => {
            bail!("--target says whose credentials open a bucket: expected s3://, gs://, az:// or TARGET:path")
        }
    }
}

/// Fetches both documents as a cloud would, until they are what was published or the time is up.
async fn look(http: &Http, issuer: &IssuerUrl, document: &DiscoveryDocument, keys: &JwkSet, wait: Duration) -> Result<JwkSet> {
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let found = compare(http, issuer, document, keys).await;
        if found.is_ok() || tokio::time::Instant::now() >= deadline {
            return found;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn compare(http: &Http, issuer: &IssuerUrl, document: &DiscoveryDocument, keys: &JwkSet) -> Result<JwkSet> {
    // Certificates were asked for: that some cloud refuses them is known.
    let plain = keys.keys.iter().all(|key| key.other.is_empty());
    let found: DiscoveryDocument = http.get_json(&issuer.endpoint(DISCOVERY_PATH)).await?;
    let seen: JwkSet = http.get_json(document.jwks_uri.as_deref().unwrap_or_default()).await?;
    let findings = lint(LintInput { discovery: Some(&found), keys: Some(&seen), ..LintInput::default() });
    if let Some(finding) =
        findings.iter().find(|finding| finding.severity == Severity::Error && (plain || finding.rule != "D-07"))
    {
        bail!("{}: {}; mend: {}", finding.rule, finding.what, finding.fix);
    }
    if found.issuer != document.issuer || found.jwks_uri != document.jwks_uri {
        bail!("the discovery document is not the one of this folder: its issuer is {:?}", found.issuer.unwrap_or_default());
    }
    if seen != *keys {
        bail!("the key set is not the one of this folder (yet): a cache between may still hold the old one");
    }
    Ok(seen)
}
