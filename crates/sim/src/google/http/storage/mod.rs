//! Cloud Storage: the JSON API, its uploads and downloads, and the XML API.
//!
//! Permission is decided by `skybru-federation`; buckets and objects lie in the store that all simulators share.

mod buckets;
mod objects;
mod resumable;
mod transfer;
mod unfinished;
mod upload;
mod xml;

use axum::body::Body;
use axum::http::{Method, Response};
use skybru_federation::google::access::{scopes_allow, storage_denied, storage_unauthenticated};
use skybru_federation::google::{ApiError, Caller};

use super::answers::listed_error;
use super::{Call, no_such_method};
use crate::google::Sim;
use crate::google::caller::{Asking, On};
use crate::objects::{Object, StoreError};

/// `/storage/v1/…` and `/download/storage/v1/…`.
pub(super) async fn json_api(call: Call<'_>, segments: &[&str]) -> Response<Body> {
    let method = call.parts.method.clone();
    let answer = match (&method, segments) {
        (_, ["b"]) => buckets::all(call).await,
        (_, ["b", bucket]) => buckets::one(call, bucket).await,
        (_, ["b", bucket, "iam"]) => buckets::policy(call, bucket).await,
        (&Method::GET, ["b", bucket, "iam", "testPermissions"]) => buckets::test_permissions(&call, bucket),
        (&Method::GET, ["b", bucket, "storageLayout"]) => buckets::layout(&call, bucket),
        (&Method::GET, ["b", bucket, "managedFolders"]) => buckets::managed_folders(&call, bucket),
        (&Method::GET, ["b", bucket, "o"]) => objects::list(&call, bucket),
        (_, ["b", bucket, "o", object]) => objects::one(call, bucket, object).await,
        (&Method::POST, ["b", bucket, "o", object, "rewriteTo" | "copyTo", "b", to_bucket, "o", to_object]) => {
            objects::copy(call, (bucket, object), (to_bucket, to_object)).await
        }
        (&Method::POST, ["b", bucket, "o", object, "compose"]) => objects::compose(call, bucket, object).await,
        _ => Err(no_such_method()),
    };
    finish(answer)
}

/// `/upload/storage/v1/…`.
pub(super) async fn upload_api(call: Call<'_>, segments: &[&str]) -> Response<Body> {
    let kind = call.query("uploadType").unwrap_or_default().to_owned();
    let upload_id = call.query("upload_id").map(str::to_owned);
    let answer = match (&call.parts.method.clone(), segments, upload_id) {
        (&Method::PUT | &Method::POST, ["b", bucket, "o"], Some(id)) => resumable::go_on(call, bucket, &id).await,
        (&Method::DELETE, ["b", bucket, "o"], Some(id)) => resumable::cancel(&call, bucket, &id),
        (&Method::POST, ["b", bucket, "o"], None) => match kind.as_str() {
            "media" => upload::media(call, bucket).await,
            "multipart" => upload::multipart(call, bucket).await,
            "resumable" => resumable::begin(call, bucket).await,
            _ => Err(ApiError::invalid("S-21", format!("Invalid upload type {kind:?}."))),
        },
        _ => Err(no_such_method()),
    };
    finish(answer)
}

pub(super) async fn xml_api(call: Call<'_>) -> Response<Body> {
    xml::answer(call).await
}

fn finish(answer: Result<Response<Body>, ApiError>) -> Response<Body> {
    answer.unwrap_or_else(|error| {
        tracing::info!(rule = error.rule, code = error.code, message = error.message, "refused");
        listed_error(&error)
    })
}

/// What an operation is about.
#[derive(Clone, Copy)]
enum Thing<'a> {
    Bucket(&'a str),
    Object(&'a str, &'a str),
}

/// Who calls Cloud Storage; it says so in its own words when the token is none.
fn asking(call: &Call<'_>) -> Result<Asking, ApiError> {
    call.asking().map_err(|_| storage_unauthenticated())
}

fn may(sim: &Sim, asking: &Asking, permission: &str, thing: Thing<'_>) -> bool {
    let (bucket, name, kind) = match thing {
        Thing::Bucket(bucket) => (bucket, format!("projects/_/buckets/{bucket}"), "storage.googleapis.com/Bucket"),
        Thing::Object(bucket, object) => {
            (bucket, format!("projects/_/buckets/{bucket}/objects/{object}"), "storage.googleapis.com/Object")
        }
    };
    let policy = format!("buckets/{bucket}");
    asking.may(sim, &sim.state.get(), permission, &On { policy_of: Some(&policy), name: &name, kind })
}

/// Refuses a caller who may not.
fn require(sim: &Sim, asking: &Asking, permission: &str, thing: Thing<'_>) -> Result<(), ApiError> {
    if may(sim, asking, permission, thing) {
        return Ok(());
    }
    if asking.caller != Caller::Anonymous && !scopes_allow(&asking.scopes, permission) {
        return Err(ApiError::insufficient_scope());
    }
    let word = match thing {
        Thing::Bucket(_) => "bucket",
        Thing::Object(..) => "object",
    };
    Err(storage_denied(&asking.caller, permission, word))
}

/// What creating an object needs: permission to create, and to delete what it replaces.
fn require_write(sim: &Sim, asking: &Asking, bucket: &str, object: &str) -> Result<(), ApiError> {
    require(sim, asking, "storage.objects.create", Thing::Object(bucket, object))?;
    if sim.objects.object(bucket, object).is_ok() {
        require(sim, asking, "storage.objects.delete", Thing::Object(bucket, object))?;
    }
    Ok(())
}

/// What goes wrong in the store, in Cloud Storage's words.
fn store_error(error: &StoreError, bucket: &str, object: &str) -> ApiError {
    match error {
        StoreError::NoSuchBucket => ApiError::not_found("D-50", "The specified bucket does not exist."),
        StoreError::NoSuchKey => ApiError::not_found("D-50", format!("No such object: {bucket}/{object}")),
        StoreError::BucketAlreadyOwnedByYou => {
            let message = "Your previous request to create the named bucket succeeded and you already own it.";
            ApiError::already_exists("S-21", message)
        }
        StoreError::BucketNotEmpty => ApiError::new("S-21", 409, "ABORTED", "The bucket you tried to delete is not empty."),
        StoreError::NoSuchUpload => ApiError::not_found("S-21", "The requested upload was not found."),
        StoreError::PreconditionFailed => precondition_failed(),
        StoreError::Files(error) => {
            tracing::error!(%error, "the simulator's files cannot be used");
            ApiError::new("S-21", 500, "INTERNAL", "Internal error encountered.")
        }
    }
}

fn precondition_failed() -> ApiError {
    ApiError::new("S-21", 412, "FAILED_PRECONDITION", "At least one of the pre-conditions you specified did not hold.")
}

/// Preconditions of a request: which state of the object it expects.
#[derive(Debug, Clone, Default)]
struct Conditions {
    generation: Option<u64>,
    not_generation: Option<u64>,
    metageneration: Option<u64>,
    not_metageneration: Option<u64>,
}

impl Conditions {
    /// Those of a query; `prefix` is `if`, or `ifSource` for the other object of a copy.
    fn of_query(call: &Call<'_>, prefix: &str) -> Result<Self, ApiError> {
        let number = |name: &str| -> Result<Option<u64>, ApiError> {
            let Some(text) = call.query(&format!("{prefix}{name}")) else { return Ok(None) };
            text.parse().map(Some).map_err(|_| ApiError::invalid("S-21", format!("Invalid value for {prefix}{name}: {text:?}")))
        };
        Ok(Self {
            generation: number("GenerationMatch")?,
            not_generation: number("GenerationNotMatch")?,
            metageneration: number("MetagenerationMatch")?,
            not_metageneration: number("MetagenerationNotMatch")?,
        })
    }

    /// Those of the XML API.
    fn of_headers(call: &Call<'_>) -> Self {
        let number = |name: &str| call.header(name).and_then(|text| text.parse().ok());
        Self {
            generation: number("x-goog-if-generation-match"),
            metageneration: number("x-goog-if-metageneration-match"),
            ..Self::default()
        }
    }

    /// Whether they hold. An object that is not there has generation 0.
    fn hold(&self, object: Option<&Object>) -> bool {
        let (generation, metageneration) = object.map_or((0, 0), |object| (object.version(), 1 + object.changes));
        self.generation.is_none_or(|expected| expected == generation)
            && self.not_generation.is_none_or(|other| other != generation)
            && self.metageneration.is_none_or(|expected| expected == metageneration)
            && self.not_metageneration.is_none_or(|other| other != metageneration)
    }
}
