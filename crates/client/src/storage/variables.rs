//! Buckets opened with what the variables of the clouds' own tools say: for somebody who is no consumer of a share.
//!
//! The variables are an argument. What they say of the network (proxies, certificates) is ours to say, and is passed over. Keys of Azure
//! accounts and of Google's service accounts do not expire, and are refused: each cloud has tokens that do. AWS's access keys are taken
//! as they are, since much that speaks S3 knows nothing else.

use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use reqwest::Url;
use skybru_core::Ctx;

use super::azure_blob::AzureBlob;
use super::bucket::{Bucket, azure_headers, retries};
use super::cloud::Cloud;
use super::google::Google;
use super::location::Location;
use super::rest::{Rest, below};
use super::s3::S3;
use super::service::Connector;
use crate::http::{self as web, Http, HttpError};

/// Why the variables open nothing.
#[derive(Debug, thiserror::Error)]
pub enum VariablesError {
    /// A place of this machine.
    #[error("this is no bucket: expected s3://BUCKET/PATH, gs://BUCKET/PATH or az://ACCOUNT/CONTAINER/PATH")]
    NoBucket,
    /// A key that opens the account until somebody takes it away.
    #[error("{0} holds a key that never expires")]
    LongLived(&'static str),
    /// Nothing that opens it.
    #[error("no variable says who you are at {0}")]
    Nothing(Cloud),
    /// The address in a variable.
    #[error("{name} is no address that may be asked")]
    Endpoint {
        /// Which variable.
        name: &'static str,
        /// Why not.
        #[source]
        source: HttpError,
    },
    /// What the variables say does not fit together.
    #[error("the variables of the cloud's tools cannot be used")]
    Setup(#[from] object_store::Error),
}

impl VariablesError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::LongLived(name) if name.starts_with("GOOGLE") => {
                "unset it and set CLOUDSDK_AUTH_ACCESS_TOKEN=\"$(gcloud auth print-access-token)\", or name a target with --target"
            }
            Self::LongLived(_) | Self::Nothing(Cloud::AzureBlob) => {
                "set AZURE_STORAGE_TOKEN=\"$(az account get-access-token --resource https://storage.azure.com/ --query accessToken -o tsv)\" \
                 (and unset any account key), or name a target with --target"
            }
            Self::Nothing(_) => {
                "set CLOUDSDK_AUTH_ACCESS_TOKEN=\"$(gcloud auth print-access-token)\", or name a target with --target"
            }
            Self::NoBucket | Self::Endpoint { .. } | Self::Setup(_) => return None,
        };
        Some(text.to_owned())
    }
}

/// What must not open Google's or Azure's storage.
const LONG_LIVED: [(Cloud, &str); 7] = [
    (Cloud::Google, "GOOGLE_SERVICE_ACCOUNT"),
    (Cloud::Google, "GOOGLE_SERVICE_ACCOUNT_PATH"),
    (Cloud::Google, "GOOGLE_SERVICE_ACCOUNT_KEY"),
    (Cloud::AzureBlob, "AZURE_STORAGE_KEY"),
    (Cloud::AzureBlob, "AZURE_STORAGE_ACCOUNT_KEY"),
    (Cloud::AzureBlob, "AZURE_STORAGE_ACCESS_KEY"),
    (Cloud::AzureBlob, "AZURE_STORAGE_CONNECTION_STRING"),
];

/// The variables, looked up by name.
struct Variables<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Variables<'a> {
    /// The first that is there and not empty.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
        names.iter().find_map(|name| {
            let found = self.0.iter().find(|(other, value)| other == name && !value.is_empty())?;
            Some((*name, found.1))
        })
    }

    /// An address, which must be https or this machine's.
    fn endpoint(&self, names: &[&'static str]) -> Result<Option<Url>, VariablesError> {
        let Some((name, text)) = self.first(names) else { return Ok(None) };
        web::checked(text.trim_end_matches('/')).map(Some).map_err(|source| VariablesError::Endpoint { name, source })
    }

    fn refuse_long_lived(&self, cloud: Cloud) -> Result<(), VariablesError> {
        match LONG_LIVED.iter().find(|(of, name)| *of == cloud && self.first(&[name]).is_some()) {
            Some((_, name)) => Err(VariablesError::LongLived(name)),
            None => Ok(()),
        }
    }

    /// Those with this prefix that the library knows. Others must not count: `TOKEN` or `BUCKET` may mean anything.
    fn known<K: std::str::FromStr>(&self, prefix: &str) -> impl Iterator<Item = (K, &'a str)> {
        let mine = self.0.iter().filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty());
        mine.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, *value)))
    }
}

fn trimmed(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// The bucket that `location` means, and the key in it.
///
/// # Errors
///
/// [`VariablesError`]. Nothing is asked yet.
pub fn with_variables<'a>(
    ctx: Ctx,
    http: &Http,
    location: &Location,
    variables: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(Bucket, String), VariablesError> {
    let variables = Variables(variables.collect());
    match location {
        Location::S3 { bucket, key } => Ok((s3(ctx, http, bucket, &variables)?, key.clone())),
        Location::Google { bucket, key } => Ok((google(ctx, http, bucket, &variables)?, key.clone())),
        Location::Azure { account, container, key } => Ok((azure(ctx, http, (account, container), &variables)?, key.clone())),
        Location::Target { .. } | Location::Local(_) | Location::Stdio => Err(VariablesError::NoBucket),
    }
}

/// For the requests of our own, which none of what is done with these buckets needs.
fn rest(ctx: &Ctx, http: &Http, name: &'static str) -> Rest {
    Rest { ctx: ctx.clone(), client: http.for_transfer(), bearer: None, headers: azure_headers(false), name }
}

fn s3(ctx: Ctx, http: &Http, name: &str, variables: &Variables<'_>) -> Result<Bucket, VariablesError> {
    let mut builder = AmazonS3Builder::new();
    for (option, value) in variables.known("AWS_") {
        builder = builder.with_config(option, value);
    }
    builder = builder
        .with_bucket_name(name)
        .with_http_connector(Connector { client: http.for_transfer(), cloud: Cloud::S3 })
        .with_retry(retries());
    if let Some(url) = variables.endpoint(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])? {
        builder = builder.with_allow_http(url.scheme() == "http").with_endpoint(trimmed(&url));
    }
    let rest = rest(&ctx, http, "S3");
    Ok(Bucket::over(ctx, Cloud::S3, S3 { store: builder.build()?, rest }, name, "variables"))
}

fn google(ctx: Ctx, http: &Http, name: &str, variables: &Variables<'_>) -> Result<Bucket, VariablesError> {
    variables.refuse_long_lived(Cloud::Google)?;
    let token = variables.first(&["CLOUDSDK_AUTH_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_BEARER_TOKEN"]);
    let Some((_, token)) = token else { return Err(VariablesError::Nothing(Cloud::Google)) };
    let url = variables.endpoint(&["STORAGE_EMULATOR_HOST", "GOOGLE_BASE_URL"])?;
    let url = match url {
        Some(url) => url,
        None => web::checked("https://storage.googleapis.com")
            .map_err(|source| VariablesError::Endpoint { name: "GOOGLE_BASE_URL", source })?,
    };
    let store = GoogleCloudStorageBuilder::new()
        .with_bucket_name(name)
        .with_base_url(trimmed(&url))
        .with_config(GoogleConfigKey::BearerToken, token)
        .with_http_connector(Connector { client: http.for_transfer(), cloud: Cloud::Google })
        .with_retry(retries())
        .build()?;
    let base = below(&url, [name]);
    let rest = rest(&ctx, http, "GCS");
    Ok(Bucket::over(ctx, Cloud::Google, Google { store, rest, base }, name, "variables"))
}

/// Azure's workload identity (`AZURE_FEDERATED_TOKEN_FILE` and its like) and managed identities are the library's to use.
fn azure(ctx: Ctx, http: &Http, place: (&str, &str), variables: &Variables<'_>) -> Result<Bucket, VariablesError> {
    let (account, container) = place;
    variables.refuse_long_lived(Cloud::AzureBlob)?;
    if variables
        .first(&["AZURE_STORAGE_TOKEN", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_STORAGE_SAS_TOKEN", "IDENTITY_ENDPOINT"])
        .is_none()
    {
        return Err(VariablesError::Nothing(Cloud::AzureBlob));
    }
    let mut builder = MicrosoftAzureBuilder::new();
    for (option, value) in variables.known("AZURE_") {
        builder = builder.with_config(option, value);
    }
    if let Some((_, address)) = variables.first(&["IDENTITY_ENDPOINT"]) {
        builder = builder.with_config(AzureConfigKey::MsiEndpoint, address);
    }
    let url = match variables.endpoint(&["AZURE_STORAGE_ENDPOINT"])? {
        Some(url) => url,
        None => web::checked(&format!("https://{account}.blob.core.windows.net"))
            .map_err(|source| VariablesError::Endpoint { name: "AZURE_STORAGE_ENDPOINT", source })?,
    };
    let store = builder
        .with_account(account)
        .with_container_name(container)
        .with_endpoint(trimmed(&url).to_owned())
        .with_allow_http(url.scheme() == "http")
        .with_http_connector(Connector { client: http.for_transfer(), cloud: Cloud::AzureBlob })
        .with_retry(retries())
        .build()?;
    let base = below(&url, [container]);
    let rest = rest(&ctx, http, "Azure");
    let name = format!("{account}/{container}");
    Ok(Bucket::over(ctx, Cloud::AzureBlob, AzureBlob { store, rest, base }, &name, "variables"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clouds_own_variables_count() {
        let all = Variables(vec![("TOKEN", "x"), ("BUCKET", "y"), ("AWS_REGION", "eu-north-1"), ("AWS_NONSENSE", "z")]);
        let known: Vec<_> = all.known::<object_store::aws::AmazonS3ConfigKey>("AWS_").collect();
        assert_eq!(known, [(object_store::aws::AmazonS3ConfigKey::Region, "eu-north-1")]);
        assert_eq!(all.known::<AzureConfigKey>("AZURE_").count(), 0);
    }

    #[test]
    fn keys_that_never_expire_are_refused_by_name() {
        let all = Variables(vec![("AZURE_STORAGE_KEY", "c2VjcmV0"), ("GOOGLE_SERVICE_ACCOUNT_KEY", "")]);
        let refused = all.refuse_long_lived(Cloud::AzureBlob).unwrap_err();
        assert_eq!(refused.to_string(), "AZURE_STORAGE_KEY holds a key that never expires");
        assert!(refused.hint().unwrap().contains("get-access-token"));
        assert!(all.refuse_long_lived(Cloud::Google).is_ok(), "an empty variable says nothing");
    }

    #[test]
    fn an_address_in_a_variable_must_be_safe_to_ask() {
        let all = Variables(vec![("AWS_ENDPOINT_URL", "http://s3.example.no")]);
        assert!(matches!(all.endpoint(&["AWS_ENDPOINT_URL"]), Err(VariablesError::Endpoint { name: "AWS_ENDPOINT_URL", .. })));
    }
}
