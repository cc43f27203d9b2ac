//! Addresses of the storage commands, turned into buckets.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use skybru_client::storage::{AzurePlace, Bucket, Cloud as Kind, Location};

use super::Call;
use crate::settings::{Cloud, Settings};
use crate::wire::{self, AzureWired};

/// Where something is, ready to be used.
pub(crate) enum Place {
    /// A key, or the beginning of keys, in a bucket.
    Bucket(Bucket, String),
    /// A file or folder of this machine.
    Local(PathBuf),
    /// Standard input or output.
    Stdio,
}

impl Place {
    /// Opens `location`. `target` names the credentials for `s3://`, `gs://` and `az://` addresses, which name none themselves; without
    /// it the only target at that cloud is meant.
    pub(crate) fn open(location: &Location, target: Option<&str>, settings: &Settings, call: &Call) -> Result<Self> {
        let (system, ctx) = (&call.system, call.system.ctx.clone());
        let whose = |scheme: &str| format!("{scheme}:// needs a target's credentials: name one with --target");
        let named = |cloud| target.or_else(|| settings.only_target_at(cloud));
        match location {
            Location::Local(path) => Ok(Self::Local(system.folder.join(path))),
            Location::Stdio => Ok(Self::Stdio),
            Location::S3 { bucket, key } => {
                let wired = wire::aws(settings, named(Cloud::Aws), system).with_context(|| whose("s3"))?;
                Ok(Self::Bucket(Bucket::open(ctx, &wired.http, wired.credentials, bucket)?, key.clone()))
            }
            Location::Google { bucket, key } => {
                let wired = wire::google(settings, named(Cloud::Google), system).with_context(|| whose("gs"))?;
                Ok(Self::Bucket(Bucket::of_google(ctx, &wired.http, wired.credentials, bucket)?, key.clone()))
            }
            Location::Azure { account, container, key } => {
                let wired = wire::azure(settings, named(Cloud::Azure), system).with_context(|| whose("az"))?;
                Ok(Self::Bucket(azure(call, wired, Kind::AzureBlob, Some(account), container)?, key.clone()))
            }
            Location::Target { target, path } => Ok(Self::Bucket(of_target(target, path, settings, call)?, path.clone())),
        }
    }
}

/// The bucket that a target names: of its only cloud.
fn of_target(name: &str, path: &str, settings: &Settings, call: &Call) -> Result<Bucket> {
    let (system, ctx) = (&call.system, call.system.ctx.clone());
    let (_, options) = settings.target(Some(name))?;
    let unnamed = |member: &str, address: &str| {
        format!("target {name:?} names no bucket: set targets.{name}.{member}, or use {address}/{path} --target {name}")
    };
    if Settings::clouds(options).len() > 1 {
        bail!(
            "target {name:?} is in several clouds: say which with s3://BUCKET/{path}, gs://BUCKET/{path} or az://ACCOUNT/CONTAINER/{path} \
             and --target {name}"
        );
    }
    match settings.cloud(Some(name), None)? {
        Cloud::Aws => {
            let wired = wire::aws(settings, Some(name), system)?;
            let bucket = wired.bucket.with_context(|| unnamed("aws.bucket", "s3://BUCKET"))?;
            Ok(Bucket::open(ctx, &wired.http, wired.credentials, &bucket)?)
        }
        Cloud::Google => {
            let wired = wire::google(settings, Some(name), system)?;
            let bucket = wired.bucket.with_context(|| unnamed("google.bucket", "gs://BUCKET"))?;
            Ok(Bucket::of_google(ctx, &wired.http, wired.credentials, &bucket)?)
        }
        Cloud::Azure => {
            let wired = wire::azure(settings, Some(name), system)?;
            let account = wired.credentials.target().account.to_string();
            match (wired.container.clone(), wired.file_share.clone()) {
                (Some(container), None) => azure(call, wired, Kind::AzureBlob, None, &container),
                (None, Some(share)) => azure(call, wired, Kind::AzureFiles, None, &share),
                (Some(container), Some(_)) => bail!(
                    "target {name:?} names both a container and a file share: use az://{account}/{container}/{path} --target {name}, \
                     or a target of its own for the share"
                ),
                (None, None) => bail!(unnamed("azure.container (or azure.file-share)", &format!("az://{account}/CONTAINER"))),
            }
        }
    }
}

/// `account`: another than the target's.
fn azure(call: &Call, wired: AzureWired, kind: Kind, account: Option<&String>, name: &str) -> Result<Bucket> {
    let target = wired.credentials.target();
    let account = account.cloned().unwrap_or_else(|| target.account.to_string());
    let base = if kind == Kind::AzureFiles { wired.file_endpoint.as_ref() } else { target.endpoint.as_ref() };
    let endpoint = base.map(|base| format!("{}/{account}", base.trim_end_matches('/')));
    let place = AzurePlace { account, name: name.to_owned(), endpoint };
    Ok(Bucket::of_azure(call.system.ctx.clone(), &wired.http, wired.credentials, kind, &place)?)
}

/// The last part of a key: the name of the file that it becomes.
pub(crate) fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Where a file goes: into a folder under its own name, or to the path itself.
pub(crate) fn local_target(path: &Path, typed: &str, name: &str) -> PathBuf {
    if path.is_dir() || typed.ends_with('/') { path.join(name) } else { path.to_path_buf() }
}
