//! Why a transfer failed, in the storage's own words where it has any.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use serde::Deserialize;

use super::cloud::Cloud;
use super::location::LocationError;
use super::service::CredentialError;
use crate::http::hint_of;

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No credentials, so the storage was not even asked.
    #[error("no credentials for {bucket}")]
    Credentials {
        /// For which bucket.
        bucket: String,
        /// Why not.
        #[source]
        source: CredentialError,
    },
    /// The storage said no. Code and message are its own, unchanged.
    #[error("{} refused {} of {}: {}: {}", .0.cloud, .0.operation.noun(), .0.what, .0.code, .0.message)]
    Refused(Box<Refused>),
    /// The storage said no without words (as to `HEAD`), or did not answer.
    #[error("{} of {what} failed", operation.noun())]
    Failed {
        /// Whose storage.
        cloud: Cloud,
        /// What was being done.
        operation: Operation,
        /// With what.
        what: String,
        /// Why.
        #[source]
        source: object_store::Error,
    },
    /// Nothing arrived for half a minute.
    #[error("{what} stopped arriving: nothing for {seconds} seconds")]
    Stalled {
        /// Which object.
        what: String,
        /// How long it was waited.
        seconds: u64,
    },
    /// Fewer or more bytes than announced.
    #[error("{what} has {expected} bytes, but {found} came")]
    Length {
        /// Which object or file.
        what: String,
        /// As announced.
        expected: u64,
        /// As counted.
        found: u64,
    },
    /// Other bytes than the storage holds.
    #[error("{what} was damaged on its way: its checksum is {found}, the storage's is {expected}")]
    Checksum {
        /// Which object.
        what: String,
        /// As the storage told it.
        expected: String,
        /// Of what came.
        found: String,
    },
    /// A file of this machine.
    #[error("{} {}", doing, path.display())]
    Local {
        /// As in "could not read".
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The stream that was to be uploaded broke.
    #[error("could not read what was to be uploaded")]
    Input(#[source] io::Error),
    /// A key that cannot be used.
    #[error("the key cannot be used")]
    Key(#[from] LocationError),
    /// A key that is no file name here, or would lie outside the folder.
    #[error("{0:?} cannot be a file below the folder")]
    FileName(String),
    /// Two keys that would be one file here.
    #[error("{first:?} and {second:?} would be the same file: this folder does not tell upper from lower case")]
    Clash {
        /// Came first.
        first: String,
        /// Is refused.
        second: String,
    },
    /// `--include` or `--exclude` is no pattern.
    #[error("{pattern:?} is not a pattern: {reason}")]
    Pattern {
        /// As typed.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Source and destination are the same, or one lies in the other.
    #[error("{from} and {to} overlap: a copy would read what it writes")]
    Overlap {
        /// Source.
        from: String,
        /// Destination.
        to: String,
    },
    /// Deleting what the source does not have would delete everything.
    #[error("{from} has no files that are meant, so everything in {to} would be deleted")]
    EmptySource {
        /// Source.
        from: String,
        /// Destination.
        to: String,
    },
    /// A listing whose names do not ascend: not usable to compare two sides.
    #[error("the listing is not in order: {second:?} came after {first:?}")]
    Order {
        /// Came first.
        first: String,
        /// Came after it.
        second: String,
    },
    /// Two folders of this machine.
    #[error("one end must be a bucket")]
    NoBucket,
    /// The settings do not fit together.
    #[error("the storage client cannot be set up")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
}

/// A refusal in the storage's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Whose.
    pub cloud: Cloud,
    /// What was being done.
    pub operation: Operation,
    /// With what: `s3://BUCKET/KEY` and the like.
    pub what: String,
    /// Its code, such as `AccessDenied`.
    pub code: String,
    /// Its text, unchanged.
    pub message: String,
    /// For the cloud's support; empty when there is none.
    pub request_id: String,
}

/// What was being done with the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operation {
    List,
    Read,
    Write,
    Delete,
}

impl Operation {
    fn noun(self) -> &'static str {
        match self {
            Self::List => "listing",
            Self::Read => "reading",
            Self::Write => "writing",
            Self::Delete => "deletion",
        }
    }

    /// What the storage said, in the right variant.
    pub(super) fn failed(self, cloud: Cloud, bucket: String, what: String, source: object_store::Error) -> StorageError {
        if let Some(error) = find_credentials(&source) {
            return StorageError::Credentials { bucket, source: error };
        }
        match find_words(&source) {
            Some(words) => {
                let message = words.message();
                let WordsOfStorage { code, request_id, .. } = words;
                StorageError::Refused(Box::new(Refused { cloud, operation: self, what, code, message, request_id }))
            }
            None => StorageError::Failed { cloud, operation: self, what, source },
        }
    }
}

impl StorageError {
    /// Whether the object is simply not there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Refused(refused) => {
                matches!(refused.code.as_str(), "NoSuchKey" | "NotFound" | "BlobNotFound" | "ResourceNotFound")
            }
            Self::Failed { source, .. } => matches!(source, object_store::Error::NotFound { .. }),
            _ => false,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Credentials { source, .. } => source.hint(),
            Self::Refused(refused) => refused.hint(),
            Self::Failed { source: object_store::Error::PermissionDenied { .. }, cloud, operation, what } => {
                Some(cloud.not_allowed(*operation, what))
            }
            Self::Failed { source, cloud: Cloud::S3, .. } if redirected(source) => Some(WRONG_REGION.to_owned()),
            Self::Failed { source, .. } => hint_of(source),
            Self::FileName(_) | Self::Clash { .. } => Some("leave it out with --exclude".to_owned()),
            Self::EmptySource { .. } => Some("if that is meant, add --delete-all".to_owned()),
            Self::Checksum { .. } | Self::Length { .. } | Self::Stalled { .. } => Some("try again".to_owned()),
            _ => None,
        }
    }
}

const WRONG_REGION: &str = "the bucket lies in another region: set the target's region to the bucket's (D-32)";

impl Refused {
    fn hint(&self) -> Option<String> {
        Some(match (self.cloud, self.code.as_str()) {
            (Cloud::S3, "AccessDenied") if self.operation == Operation::Read && self.message.contains("s3:ListBucket") => {
                format!(
                    "most likely there is no {}: S3 says so only to those who may list, so check the key against a listing of the folder \
                 that was shared",
                    self.what
                )
            }
            (Cloud::S3 | Cloud::Google, "AccessDenied" | "AllAccessDisabled")
            | (_, "AuthorizationPermissionMismatch" | "AuthorizationFailure" | "InsufficientAccountPermissions") => {
                self.cloud.not_allowed(self.operation, &self.what)
            }
            (Cloud::S3, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                WRONG_REGION.to_owned()
            }
            (_, "NoSuchBucket" | "ContainerNotFound" | "ShareNotFound") => {
                "there is no such bucket: check its name, and the endpoint".to_owned()
            }
            (_, "NoSuchKey" | "BlobNotFound" | "ResourceNotFound" | "ParentNotFound") => {
                "there is no such object: list what there is".to_owned()
            }
            (_, "ExpiredToken" | "RequestTimeTooSkewed") => "check this machine's clock (D-13)".to_owned(),
            (Cloud::S3, "InvalidAccessKeyId" | "InvalidToken" | "SignatureDoesNotMatch")
            | (_, "InvalidAuthenticationInfo" | "AuthenticationFailed" | "AuthenticationRequired") => {
                "the credentials are not those of this endpoint: check the target's settings, its endpoint above all".to_owned()
            }
            (_, "SlowDown" | "ServiceUnavailable" | "ServerBusy" | "OperationTimedOut") => {
                "the storage asks for fewer requests: try again in a while".to_owned()
            }
            _ => return None,
        })
    }
}

/// Puts an error of this machine's files into words.
pub(super) fn local(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> StorageError {
    let path = path.into();
    move |source| StorageError::Local { doing, path, source }
}

/// The error body that S3, Google and Azure have in common.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WordsOfStorage {
    code: String,
    #[serde(default)]
    message: String,
    /// Google says here who lacks what.
    #[serde(default)]
    details: String,
    #[serde(default)]
    request_id: String,
}

impl WordsOfStorage {
    /// One line: Azure adds its request id and the time as lines of their own.
    fn message(&self) -> String {
        let first = self.message.lines().next().unwrap_or_default().trim();
        if self.details.is_empty() { first.to_owned() } else { format!("{first} {}", self.details.trim()) }
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

fn find_credentials(error: &object_store::Error) -> Option<CredentialError> {
    chain(error).find_map(|cause| cause.downcast_ref::<CredentialError>()).cloned()
}

/// The storage's answer inside the library's error. The library keeps it only as a part of its text, and its types are private.
fn find_words(error: &object_store::Error) -> Option<WordsOfStorage> {
    chain(error).find_map(|cause| words_in(&cause.to_string()))
}

fn words_in(text: &str) -> Option<WordsOfStorage> {
    let begin = text.find("<Error>").or_else(|| text.find("<Error "))?;
    let end = begin + text[begin..].find("</Error>")? + "</Error>".len();
    quick_xml::de::from_str(&text[begin..end]).ok()
}

fn redirected(error: &object_store::Error) -> bool {
    chain(error).any(|cause| {
        let text = cause.to_string();
        text.contains("redirect without LOCATION") || text.contains("301 Moved") || text.contains("307 Temporary")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_s3_are_taken_out_unchanged() {
        let text = "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code>\
                    <Message>User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:GetObject on resource: &quot;x&quot;</Message>\
                    <RequestId>ABC</RequestId><HostId>h</HostId></Error>";
        let words = words_in(text).unwrap();
        assert_eq!(words.code, "AccessDenied");
        assert_eq!(
            words.message,
            "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:GetObject on resource: \"x\""
        );
        assert_eq!(words.request_id, "ABC");
        assert_eq!(words_in("Forbidden"), None);
    }

    #[test]
    fn google_says_who_lacks_what_and_azure_says_it_in_one_line() {
        let google = "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message>\
                      <Details>sa@x does not have storage.objects.list access to the Google Cloud Storage bucket.</Details></Error>";
        assert_eq!(
            words_in(google).unwrap().message(),
            "Access denied. sa@x does not have storage.objects.list access to the Google Cloud Storage bucket."
        );
        let azure = "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthorizationPermissionMismatch</Code><Message>This request is not \
                     authorized to perform this operation using this permission.\nRequestId:1\nTime:2</Message></Error>";
        let words = words_in(azure).unwrap();
        assert_eq!(words.message(), "This request is not authorized to perform this operation using this permission.");
        let refused = Refused {
            cloud: Cloud::AzureBlob,
            operation: Operation::Write,
            what: "az://a/c/x".to_owned(),
            message: words.message(),
            code: words.code,
            request_id: String::new(),
        };
        assert!(StorageError::Refused(Box::new(refused)).hint().unwrap().contains("Storage Blob Data Contributor"));
    }

    /// D-32.
    #[test]
    fn access_denied_says_that_the_role_works() {
        let refused = Refused {
            cloud: Cloud::S3,
            operation: Operation::List,
            what: "s3://b/x/".to_owned(),
            code: "AccessDenied".to_owned(),
            message: "Access Denied".to_owned(),
            request_id: String::new(),
        };
        let error = StorageError::Refused(Box::new(refused));
        assert_eq!(error.to_string(), "S3 refused listing of s3://b/x/: AccessDenied: Access Denied");
        let hint = error.hint().unwrap();
        assert!(hint.starts_with("the role works, but its policy does not allow s3:ListBucket on s3://b/x/"), "{hint}");
    }

    /// S3 answers a reader who may not list with 403 for a key that is not there.
    #[test]
    fn a_key_that_is_not_there_is_guessed_from_what_is_missing() {
        let refused = |action: &str| Refused {
            cloud: Cloud::S3,
            operation: Operation::Read,
            what: "s3://b/k".to_owned(),
            code: "AccessDenied".to_owned(),
            message: format!("User: x is not authorized to perform: {action} on resource: \"arn:aws:s3:::b\""),
            request_id: String::new(),
        };
        assert!(refused("s3:ListBucket").hint().unwrap().starts_with("most likely there is no s3://b/k"));
        assert!(refused("s3:GetObject").hint().unwrap().contains("does not allow s3:GetObject"));
    }
}
