//! Sums over content, and what each cloud tells of them.
//!
//! * S3: the `ETag` of an object that went up in one piece, unless KMS or the customer's own key encrypts it
//!   ([Object](https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html)); `x-amz-checksum-crc64nvme` over the whole object
//!   ([checking integrity](https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html)).
//! * Google: `x-goog-hash` with `crc32c` always, and `md5` of what was not composed
//!   ([headers](https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash)).
//! * Azure: `Content-MD5` of the whole, `x-ms-blob-content-md5` beside a range, where it was stored
//!   ([Get Blob](https://learn.microsoft.com/en-us/rest/api/storageservices/get-blob)).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use http::HeaderMap;
use md5::{Digest as _, Md5};

use super::cloud::Cloud;

/// A sum over an object's whole content, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sum {
    Md5(String),
    Crc32c(String),
    Crc64Nvme(String),
}

impl Sum {
    /// The sum that the answer's headers tell of the whole object. `e_tag` is S3's; `ranged` says that only a part was asked for.
    pub(super) fn told(cloud: Cloud, headers: &HeaderMap, e_tag: Option<&str>, ranged: bool) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match cloud {
            Cloud::S3 => {
                // Of parts put together, the sum of sums is none over the content: those end in -NUMBER, or are called COMPOSITE.
                let whole = text("x-amz-checksum-type").is_none_or(|kind| kind == "FULL_OBJECT");
                let stored = text("x-amz-checksum-crc64nvme").filter(|_| whole).and_then(hex_of_base64);
                stored.map(Self::Crc64Nvme).or_else(|| md5_of_etag(headers, e_tag?).map(Self::Md5))
            }
            Cloud::Google => {
                let find = |name: &str| {
                    let values = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
                    let mut sums = values.flat_map(|value| value.split(',')).map(str::trim);
                    sums.find_map(|sum| sum.strip_prefix(name)).and_then(hex_of_base64)
                };
                // What is stored compressed may arrive unpacked, and the sums are those of what is stored.
                let unpacked = text("x-guploader-response-body-transformations").is_some_and(|how| how.contains("gunzipped"));
                if unpacked {
                    return None;
                }
                find("crc32c=").map(Self::Crc32c).or_else(|| find("md5=").map(Self::Md5))
            }
            Cloud::AzureBlob | Cloud::AzureFiles => {
                let beside = if cloud == Cloud::AzureBlob { "x-ms-blob-content-md5" } else { "x-ms-content-md5" };
                let whole = if ranged { None } else { text("content-md5") };
                text(beside).or(whole).and_then(hex_of_base64).map(Self::Md5)
            }
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Md5(sum) | Self::Crc32c(sum) | Self::Crc64Nvme(sum) => sum,
        }
    }

    /// A summer of the same kind.
    pub(super) fn summer(&self) -> Summer {
        match self {
            Self::Md5(_) => Summer::Md5(Md5::new()),
            Self::Crc32c(_) => Summer::Crc32c(Crc::new(CrcAlgorithm::Crc32Iscsi)),
            Self::Crc64Nvme(_) => Summer::Crc64Nvme(Crc::new(CrcAlgorithm::Crc64Nvme)),
        }
    }
}

/// Sums up what it is given.
pub(super) enum Summer {
    Md5(Md5),
    Crc32c(Crc),
    Crc64Nvme(Crc),
}

impl Summer {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(md5) => md5.update(bytes),
            Self::Crc32c(crc) | Self::Crc64Nvme(crc) => crc.update(bytes),
        }
    }

    pub(super) fn finish(self) -> String {
        match self {
            Self::Md5(md5) => hex(&md5.finalize()),
            Self::Crc32c(crc) => format!("{:08x}", crc.finalize()),
            Self::Crc64Nvme(crc) => format!("{:016x}", crc.finalize()),
        }
    }
}

/// The header with which the cloud checks a request's body on arrival. S3's signature covers the body already.
pub(super) fn arrival_header(cloud: Cloud, body: &[u8]) -> Option<(&'static str, String)> {
    match cloud {
        Cloud::S3 => None,
        Cloud::Google => {
            let sum = crc_fast::crc32_iscsi(body);
            Some(("x-goog-hash", format!("crc32c={}", BASE64_STANDARD.encode(sum.to_be_bytes()))))
        }
        Cloud::AzureBlob | Cloud::AzureFiles => Some(("content-md5", BASE64_STANDARD.encode(Md5::digest(body)))),
    }
}

fn md5_of_etag(headers: &HeaderMap, e_tag: &str) -> Option<String> {
    let other_key = headers.contains_key("x-amz-server-side-encryption-customer-algorithm")
        || headers.get("x-amz-server-side-encryption").is_some_and(|kind| kind.as_bytes().starts_with(b"aws:"));
    let tag = e_tag.trim_matches('"');
    let is_md5 = tag.len() == 32 && tag.bytes().all(|b| b.is_ascii_hexdigit());
    (is_md5 && !other_key).then(|| tag.to_ascii_lowercase())
}

fn hex_of_base64(text: &str) -> Option<String> {
    BASE64_STANDARD.decode(text.trim()).ok().map(|bytes| hex(&bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    const MD5: &str = "9e107d9d372bb6826bd81d3542a419d6";

    #[test]
    fn an_etag_is_a_checksum_only_where_s3_says_so() {
        let told = |tag: &str, pairs: &[(&'static str, &str)]| Sum::told(Cloud::S3, &headers(pairs), Some(tag), false);
        let tag = "\"9E107D9D372BB6826BD81D3542A419D6\"";
        assert_eq!(told(tag, &[]), Some(Sum::Md5(MD5.to_owned())));
        assert_eq!(told("\"9e107d9d372bb6826bd81d3542a419d6-3\"", &[]), None, "several parts");
        assert!(told(tag, &[("x-amz-server-side-encryption", "AES256")]).is_some());
        assert_eq!(told(tag, &[("x-amz-server-side-encryption", "aws:kms")]), None);
    }

    #[test]
    fn a_checksum_of_checksums_is_none_over_the_content() {
        let told = |kind| {
            let pairs = [("x-amz-checksum-crc64nvme", "AAAAAAAAAAE="), ("x-amz-checksum-type", kind)];
            Sum::told(Cloud::S3, &headers(&pairs), Some("\"x-2\""), false)
        };
        assert_eq!(told("FULL_OBJECT"), Some(Sum::Crc64Nvme("0000000000000001".to_owned())));
        assert_eq!(told("COMPOSITE"), None);
    }

    #[test]
    fn google_tells_two_sums_and_the_cheaper_one_is_taken() {
        let one = headers(&[("x-goog-hash", "crc32c=n03x6A==, md5=nhB9nTcrtoJr2B01QqQZ1g==")]);
        assert_eq!(Sum::told(Cloud::Google, &one, None, false), Some(Sum::Crc32c("9f4df1e8".to_owned())));
        let two = headers(&[("x-goog-hash", "md5=nhB9nTcrtoJr2B01QqQZ1g==")]);
        assert_eq!(Sum::told(Cloud::Google, &two, None, true), Some(Sum::Md5(MD5.to_owned())));
        let unpacked = headers(&[("x-goog-hash", "crc32c=n03x6A=="), ("x-guploader-response-body-transformations", "gunzipped")]);
        assert_eq!(Sum::told(Cloud::Google, &unpacked, None, false), None);
    }

    #[test]
    fn azures_md5_beside_a_range_is_that_of_the_part() {
        let whole = [("content-md5", "nhB9nTcrtoJr2B01QqQZ1g==")];
        assert!(Sum::told(Cloud::AzureBlob, &headers(&whole), None, false).is_some());
        assert_eq!(Sum::told(Cloud::AzureBlob, &headers(&whole), None, true), None);
        let beside = headers(&[("x-ms-blob-content-md5", "nhB9nTcrtoJr2B01QqQZ1g==")]);
        assert_eq!(Sum::told(Cloud::AzureBlob, &beside, None, true), Some(Sum::Md5(MD5.to_owned())));
    }

    /// The check values of the two catalogued CRCs, and MD5's of its own test suite.
    #[test]
    fn the_sums_are_the_standard_ones() {
        let sum = |kind: Sum| {
            let mut summer = kind.summer();
            summer.update(b"1234");
            summer.update(b"56789");
            summer.finish()
        };
        assert_eq!(sum(Sum::Crc32c(String::new())), "e3069283");
        assert_eq!(sum(Sum::Crc64Nvme(String::new())), "ae8b14860a799888");
        assert_eq!(sum(Sum::Md5(String::new())), "25f9e794323b453885f5181f1b624d0b");
    }
}
