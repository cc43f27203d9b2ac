//! Addresses of the storage commands, turned into buckets.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use skybru_client::storage::{Bucket, Location};

use super::Call;
use crate::settings::Settings;
use crate::wire;

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
    /// Opens `location`. `target` names the credentials for `s3://` addresses, which name none themselves.
    pub(crate) fn open(location: &Location, target: Option<&str>, settings: &Settings, call: &Call) -> Result<Self> {
        match location {
            Location::Local(path) => Ok(Self::Local(call.system.folder.join(path))),
            Location::Stdio => Ok(Self::Stdio),
            Location::S3 { bucket, key } => {
                let wired = wire::aws(settings, target, &call.system)
                    .context("an s3:// address needs a target's credentials: name one with --target")?;
                let bucket = Bucket::open(call.system.ctx.clone(), &wired.http, wired.credentials, bucket)?;
                Ok(Self::Bucket(bucket, key.clone()))
            }
            Location::Target { target, path } => {
                let wired = wire::aws(settings, Some(target), &call.system)?;
                let Some(bucket) = wired.bucket else {
                    bail!(
                        "target {target:?} names no bucket: set targets.{target}.aws.bucket, or use s3://BUCKET/{path} --target {target}"
                    );
                };
                let bucket = Bucket::open(call.system.ctx.clone(), &wired.http, wired.credentials, &bucket)?;
                Ok(Self::Bucket(bucket, path.clone()))
            }
        }
    }
}

/// The last part of a key: the name of the file that it becomes.
pub(crate) fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Where a file goes: into a folder under its own name, or to the path itself.
pub(crate) fn local_target(path: &Path, typed: &str, name: &str) -> PathBuf {
    if path.is_dir() || typed.ends_with('/') { path.join(name) } else { path.to_path_buf() }
}
