//! `skybru issuer …`: an issuer of one's own.
//!
//! The private issuer needs no server: `init --static` makes a folder, `publish` puts two documents on a static site and looks at them
//! from outside, `mint` signs a token. `keys` lets keys come and go without any verifier noticing.

mod audit;
mod backup;
mod certificate;
mod folder;
pub(crate) mod holding;
mod init;
mod key_folder;
mod keys;
mod mint;
mod publish;
mod serve;
mod stores;
mod thumbprint;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use skybru_issuer::keys::KeySetProfile;

use super::{Call, Outcome};

/// Arguments of `issuer`.
#[derive(Debug, Args)]
pub(crate) struct IssuerArgs {
    #[command(subcommand)]
    action: Action,
}

impl IssuerArgs {
    /// Whether it runs a server.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.action, Action::Serve(_))
    }
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run issuers and the self-service API until stopped
    Serve(serve::ServeArgs),
    /// Make the folder of a private issuer: settings and first key
    Init(init::InitArgs),
    /// Write discovery document and key set to a static site, and look at them from outside
    Publish(publish::PublishArgs),
    /// Sign one token
    Mint(mint::MintArgs),
    /// Show, change and take away signing keys
    Keys(keys::KeysArgs),
    /// Write everything that must not be lost into one sealed file; the server may run meanwhile
    Backup(backup::BackupArgs),
    /// Bring a backup back, to a place where nothing is yet
    Restore(backup::RestoreArgs),
    /// Check and read the audit log of `issuer serve`
    Audit(audit::AuditArgs),
    /// Print the thumbprint that AWS asks for: of the site's certificate chain, not of a signing key
    Thumbprint(thumbprint::ThumbprintArgs),
}

/// Where the issuer's folder is.
#[derive(Debug, Args)]
struct Place {
    /// The issuer's folder, as `issuer init --static` made it
    #[arg(long, value_name = "DIR", default_value = ".", env = "SKYBRU_ISSUER_DIR")]
    dir: PathBuf,
}

/// What verifiers can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    /// Six members a key, for AWS, Google and Azure
    Cloud,
    /// Certificates where there are some
    Certificates,
    /// A certificate at every key, for Ceph's RADOS Gateway
    Ceph,
}

impl From<Profile> for KeySetProfile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Cloud => Self::Cloud,
            Profile::Certificates => Self::Certificates,
            Profile::Ceph => Self::Ceph,
        }
    }
}

/// How the issuer's site is reached.
#[derive(Debug, Args)]
struct Reach {
    /// Certificates (PEM) to trust beside the machine's own
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A web proxy on the way
    #[arg(long, value_name = "URL", env = "SKYBRU_WEB_PROXY")]
    web_proxy: Option<String>,
}

impl Reach {
    fn http(&self, call: &Call) -> Result<skybru_client::http::Http> {
        let ca_pem = self.ca_file.as_ref().map(|file| crate::lab::files::read(&call.system.folder.join(file))).transpose()?;
        Ok(skybru_client::http::Http::new(&skybru_client::http::HttpOptions {
            ca_pem,
            web_proxy: self.web_proxy.clone(),
            no_proxy: None,
        })?)
    }
}

pub(crate) async fn run(call: &Call, args: IssuerArgs) -> Result<Outcome> {
    match args.action {
        Action::Serve(args) => serve::run(call, args).await,
        Action::Init(args) => init::run(call, &args),
        Action::Publish(args) => publish::run(call, args).await,
        Action::Mint(args) => mint::run(call, args).await,
        Action::Keys(args) => keys::run(call, args).await,
        Action::Backup(args) => backup::backup(call, &args),
        Action::Restore(args) => backup::restore(call, &args),
        Action::Audit(args) => audit::run(call, args).await,
        Action::Thumbprint(args) => thumbprint::run(call, args).await,
    }
}
