//! The end of the road: whether the data answers that the target names.

use anyhow::Result;
use futures_util::TryStreamExt as _;
use skybru_client::storage::{Depth, Location, StorageError};
use skybru_federation::catalogue::Cloud;
use skybru_federation::lint::lint_refused_data;

use super::report::Report;
use super::{Call, from_text};
use crate::cmd::place::Place;
use crate::settings::Settings;

/// Lists what the target names at one cloud, below its prefix. Nothing is named: nothing is asked.
pub(super) async fn try_it(call: &Call, settings: &Settings, name: &str, cloud: Cloud, report: &mut Report) -> Result<()> {
    let Some(location) = location(settings, name, cloud)? else { return Ok(()) };
    let Place::Bucket(bucket, prefix) = Place::open(&location, Some(name), settings, call)? else { return Ok(()) };
    let place = address(&location);
    let listed = bucket.list(&prefix, Depth::Folder).try_next().await;
    match listed {
        Ok(_) => report.note(format!("and {} lets the consumer list {place}", cloud.name())),
        Err(StorageError::Refused(refused)) => {
            let text = format!("{}: {}", refused.code, refused.message);
            report.note(format!("{} refuses the data at {place}: {text}", cloud.name()));
            match lint_refused_data(cloud, &refused.code, &refused.message) {
                // What the cloud has been told, when it can be read, says it better.
                Some(finding) => report.push_possible(&place, finding),
                None => from_text(&format!("the data at {place}"), &text, report),
            }
        }
        Err(error) => report.note(format!("the data at {place} was not reached: {error:#}")),
    }
    Ok(())
}

/// What the target names there.
fn location(settings: &Settings, name: &str, cloud: Cloud) -> Result<Option<Location>> {
    let (_, target) = settings.target(Some(name))?;
    let key = target.prefix.clone().unwrap_or_default();
    let files_alone = Settings::clouds(target).len() == 1;
    Ok(match cloud {
        Cloud::Aws => target.aws.as_ref().and_then(|aws| Some(Location::S3 { bucket: aws.bucket.clone()?, key })),
        Cloud::Google => target.google.as_ref().and_then(|google| Some(Location::Google { bucket: google.bucket.clone()?, key })),
        Cloud::Azure => target.azure.as_ref().and_then(|azure| match (&azure.container, &azure.file_share) {
            (Some(container), _) => Some(Location::Azure { account: azure.account.clone(), container: container.clone(), key }),
            // A share has no address of its own; by the target's name it has one.
            (None, Some(_)) if files_alone => Some(Location::Target { target: name.to_owned(), path: key }),
            (None, _) => None,
        }),
    })
}

/// As the storage commands take it.
fn address(location: &Location) -> String {
    match location {
        Location::S3 { bucket, key } => format!("s3://{bucket}/{key}"),
        Location::Google { bucket, key } => format!("gs://{bucket}/{key}"),
        Location::Azure { account, container, key } => format!("az://{account}/{container}/{key}"),
        Location::Target { target, path } => format!("{target}:{path}"),
        Location::Local(path) => path.display().to_string(),
        Location::Stdio => "-".to_owned(),
    }
}
