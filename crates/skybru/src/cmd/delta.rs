//! `skybru delta-profile`: a profile for Delta Sharing clients, of the type that signs assertions with a private key
//! ([profile file format](https://github.com/delta-io/delta-sharing/blob/main/PROTOCOL.md#profile-file-format)).
//!
//! The profile names the key file and holds no secret itself. The clients read PEM only, so a JWK has to be written anew for them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde::Serialize;
use skybru_client::token::IssuerMetadata;
use skybru_protocol::jose::SigningKey;
use url::Url;

use super::{Call, Outcome};
use crate::lab::files;
use crate::settings::Settings;
use crate::wire;

/// Arguments of `delta-profile`.
#[derive(Debug, Args)]
pub(crate) struct DeltaArgs {
    /// One of `targets` in the settings; may be left out when there is only one
    target: Option<String>,
    /// The sharing server, as the provider tells it
    #[arg(long, value_name = "URL")]
    endpoint: Url,
    /// Where to write the client's key as PEM, for it lies here as JWK
    #[arg(long, value_name = "FILE")]
    pem_file: Option<PathBuf>,
}

/// The profile, member for member.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    share_credentials_version: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    endpoint: String,
    auth: Auth,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Auth {
    token_endpoint: String,
    issuer: String,
    client_id: String,
    private_key: PrivateKey,
    audience: Option<String>,
    scope: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PrivateKey {
    #[serde(rename = "privateKeyFile")]
    file: String,
    key_id: String,
    algorithm: String,
}

pub(crate) async fn run(call: &Call, args: DeltaArgs) -> Result<Outcome> {
    let settings = call.settings()?;
    let (name, target) = settings.target(args.target.as_deref())?;
    let request = settings.request(name, target, &[], &[])?;
    if args.endpoint.scheme() != "https" && args.endpoint.host_str() != Some("localhost") {
        bail!("--endpoint {}: expected an address that begins with https://", args.endpoint);
    }
    let wired = wire::client(&settings, &target.client, &call.system)?;
    let identity = wired.tokens.identity();
    let metadata = IssuerMetadata::fetch(&wired.http, &identity.issuer).await?;
    let key_file = key_for_delta(call, &settings, &target.client, args.pem_file.as_deref())?;
    let profile = Profile {
        share_credentials_version: 2,
        kind: "oauth_jwt_bearer_private_key_jwt",
        endpoint: args.endpoint.to_string(),
        auth: Auth {
            token_endpoint: metadata.token_endpoint.clone(),
            issuer: identity.issuer.to_string(),
            client_id: identity.client_id.to_string(),
            private_key: PrivateKey {
                file: key_file.to_str().context("the key file's path is not text")?.to_owned(),
                key_id: identity.key.kid().to_string(),
                algorithm: identity.key.algorithm().to_string(),
            },
            // These clients send it as the assertion's `resource`.
            audience: request.resources.first().cloned(),
            scope: request.scopes.to_string(),
        },
    };
    if request.resources.len() > 1 {
        bail!("a Delta Sharing profile takes one audience: set targets.{name}.resource to one");
    }
    call.printer.object(&profile)?;
    Ok(Outcome::Done)
}

/// The client's key as a PEM file that such clients can read.
fn key_for_delta(call: &Call, settings: &Settings, client: &str, pem_file: Option<&Path>) -> Result<PathBuf> {
    let options = &settings.client(client)?.key;
    let file = options.file.as_ref().with_context(|| {
        format!(
            "the key of client {client:?} is no file, and Delta Sharing clients can sign with a file only; through the agent's \
                 /oauth/token they need no key (a profile of type oauth_client_credentials)"
        )
    })?;
    let path = settings.beside(file);
    let text = files::read(&path)?;
    if text.contains("-----BEGIN PRIVATE KEY-----") && pem_file.is_none() {
        return Ok(std::path::absolute(path)?);
    }
    let Some(pem_file) = pem_file else {
        bail!(
            "{} is no PKCS#8 PEM, which is all that Delta Sharing clients read: say with --pem-file FILE where to write it as one",
            path.display()
        );
    };
    let der = SigningKey::from_text(&text, None)?.pkcs8_der()?;
    let to = std::path::absolute(call.system.folder.join(pem_file))?;
    files::write_private(&to, pem(&PrivatePkcs8KeyDer::from(&der[..])).as_bytes())?;
    call.printer.say(&format!("wrote the private key to {}: it must stay on this machine", to.display()));
    Ok(to)
}

fn pem(key: &PrivatePkcs8KeyDer<'_>) -> String {
    use base64::Engine as _;
    let body = base64::prelude::BASE64_STANDARD.encode(key.secret_pkcs8_der());
    let lines: Vec<&str> = body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}
