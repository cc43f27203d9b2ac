//! Addresses as people type them.

use std::path::PathBuf;
use std::str::FromStr;

/// Where something is, or shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `TARGET:path`: below what a target of the settings names. The path has no slash in front.
    Target {
        /// The target's name.
        target: String,
        /// The key or prefix, perhaps empty.
        path: String,
    },
    /// `s3://BUCKET/KEY`.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key or prefix, perhaps empty.
        key: String,
    },
    /// `gs://BUCKET/KEY`.
    Google {
        /// The bucket.
        bucket: String,
        /// The key or prefix, perhaps empty.
        key: String,
    },
    /// `az://ACCOUNT/CONTAINER/KEY`, or `abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY` as Spark writes it.
    Azure {
        /// The storage account.
        account: String,
        /// The container.
        container: String,
        /// The key or prefix, perhaps empty.
        key: String,
    },
    /// A file or folder of this machine.
    Local(PathBuf),
    /// `-`: standard input or output.
    Stdio,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Nothing.
    #[error("the address is empty")]
    Empty,
    /// A scheme that skybru does not know.
    #[error(
        "{0:?} is not supported: expected TARGET:path, s3://BUCKET/KEY, gs://BUCKET/KEY, az://ACCOUNT/CONTAINER/KEY, a local path, \
         or - for standard input and output"
    )]
    Scheme(String),
    /// `s3://` or `gs://` with nothing, or something wrong, after it.
    #[error("{0:?} is not a bucket: expected 3 to 63 characters out of a-z 0-9 . - (with gs://, up to 222, and _ too)")]
    Bucket(String),
    /// `az://` with nothing, or something wrong, after it.
    #[error("{0:?} is not an account: expected 3 to 24 characters out of a-z 0-9, as in az://ACCOUNT/CONTAINER/KEY")]
    Account(String),
    /// No container, or something wrong.
    #[error("{0:?} is not a container: expected 3 to 63 characters out of a-z 0-9 -, as in az://ACCOUNT/CONTAINER/KEY")]
    Container(String),
    /// A key that cannot be named.
    #[error("{0:?} is not a key that can be used here: empty parts and the parts . and .. are not possible")]
    Key(String),
}

impl FromStr for Location {
    type Err = LocationError;

    /// Reads an address. What has a `/` before the first colon, or begins with `.`, is a local path; a name before the colon is a
    /// target; a single letter before `:\` or `:/` is a Windows drive.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => return Err(LocationError::Empty),
            "-" => return Ok(Self::Stdio),
            _ => {}
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme {
                "s3" | "gs" => {
                    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                    check_bucket(bucket, scheme == "gs")?;
                    check_key(key)?;
                    let (bucket, key) = (bucket.to_owned(), key.to_owned());
                    Ok(if scheme == "s3" { Self::S3 { bucket, key } } else { Self::Google { bucket, key } })
                }
                "az" => {
                    let (account, rest) = rest.split_once('/').unwrap_or((rest, ""));
                    let (container, key) = rest.split_once('/').unwrap_or((rest, ""));
                    azure(account, container, key)
                }
                "abfss" => {
                    let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
                    let (container, host) = host.split_once('@').unwrap_or(("", host));
                    azure(host.split('.').next().unwrap_or_default(), container, key)
                }
                _ => Err(LocationError::Scheme(format!("{scheme}://"))),
            };
        }
        match text.split_once(':') {
            Some((name, path)) if is_target_name(name) && !is_drive(name, path) => {
                let path = path.trim_start_matches('/');
                check_key(path)?;
                Ok(Self::Target { target: name.to_owned(), path: path.to_owned() })
            }
            _ => Ok(Self::Local(text.into())),
        }
    }
}

fn is_target_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn is_drive(name: &str, path: &str) -> bool {
    name.len() == 1 && (path.starts_with('\\') || path.starts_with('/'))
}

fn check_bucket(bucket: &str, google: bool) -> Result<(), LocationError> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-') || (google && c == '_');
    let longest = if google { 222 } else { 63 };
    if (3..=longest).contains(&bucket.len()) && bucket.chars().all(fine) {
        Ok(())
    } else {
        Err(LocationError::Bucket(bucket.chars().take(80).collect()))
    }
}

/// Checks what will become a part of a host name, above all.
fn azure(account: &str, container: &str, key: &str) -> Result<Location, LocationError> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !(3..=24).contains(&account.len()) || !account.chars().all(fine) {
        return Err(LocationError::Account(account.chars().take(80).collect()));
    }
    if !(3..=63).contains(&container.len()) || !container.chars().all(|c| fine(c) || c == '-') {
        return Err(LocationError::Container(container.chars().take(80).collect()));
    }
    check_key(key)?;
    Ok(Location::Azure { account: account.to_owned(), container: container.to_owned(), key: key.to_owned() })
}

/// One slash may stand at the end, for a prefix.
pub(super) fn check_key(key: &str) -> Result<(), LocationError> {
    let parts = key.strip_suffix('/').unwrap_or(key);
    let wrong = |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
    if !key.is_empty() && parts.split('/').any(wrong) {
        return Err(LocationError::Key(key.chars().take(200).collect()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_people_mean_them() {
        let target = |target: &str, path: &str| Location::Target { target: target.into(), path: path.into() };
        let s3 = |bucket: &str, key: &str| Location::S3 { bucket: bucket.into(), key: key.into() };
        for (text, expected) in [
            ("-", Location::Stdio),
            ("timetables:", target("timetables", "")),
            ("timetables:2026/a.csv", target("timetables", "2026/a.csv")),
            ("timetables:/2026/", target("timetables", "2026/")),
            ("s3://skyporten-test-bucket", s3("skyporten-test-bucket", "")),
            ("s3://skyporten-test-bucket/a b/æ.csv", s3("skyporten-test-bucket", "a b/æ.csv")),
            ("gs://sky_bucket/a", Location::Google { bucket: "sky_bucket".into(), key: "a".into() }),
            ("az://skyportenstorage/files/a/b", azure("skyportenstorage", "files", "a/b").unwrap()),
            ("az://skyportenstorage/files", azure("skyportenstorage", "files", "").unwrap()),
            ("abfss://files@skyportenstorage.dfs.core.windows.net/a", azure("skyportenstorage", "files", "a").unwrap()),
            ("data.csv", Location::Local("data.csv".into())),
            ("./timetables:x", Location::Local("./timetables:x".into())),
            ("/tmp/a:b", Location::Local("/tmp/a:b".into())),
            (r"C:\data\a.csv", Location::Local(r"C:\data\a.csv".into())),
            ("C:/data/a.csv", Location::Local("C:/data/a.csv".into())),
        ] {
            assert_eq!(text.parse::<Location>().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn wrong_addresses_say_what_is_wrong() {
        let error = |text: &str| text.parse::<Location>().unwrap_err();
        assert_eq!(error(""), LocationError::Empty);
        assert_eq!(error("az://skyportenstorage"), LocationError::Container(String::new()));
        assert_eq!(error("az://evil.example.no#/c/x"), LocationError::Account("evil.example.no#".to_owned()));
        assert_eq!(error("https://example.no/x"), LocationError::Scheme("https://".to_owned()));
        assert_eq!(error("s3://"), LocationError::Bucket(String::new()));
        assert_eq!(error("s3://Bucket/x"), LocationError::Bucket("Bucket".to_owned()));
        assert_eq!(error("s3://bucket/a//b"), LocationError::Key("a//b".to_owned()));
        assert_eq!(error("timetables:a/../b"), LocationError::Key("a/../b".to_owned()));
    }
}
