//! What S3 and Google tell, in the same XML, of uploads that were begun and not completed
//! ([ListMultipartUploads](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html),
//! [ListParts](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html)).

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::rest::generic;
use super::store::{Answer, LeftOver, LeftPart};

#[derive(Debug, Deserialize)]
struct Uploads {
    #[serde(rename = "Upload", default)]
    uploads: Vec<Upload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    #[serde(rename = "UploadId")]
    id: String,
    /// In RFC 3339, so the latest is the greatest.
    #[serde(default)]
    initiated: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parts {
    #[serde(rename = "Part", default)]
    page: Vec<Part>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_part_number_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Part {
    #[serde(rename = "PartNumber")]
    number: usize,
    #[serde(rename = "ETag")]
    e_tag: String,
    size: u64,
}

/// The query that lists the uploads of `key`, and others that begin so.
pub(super) fn uploads_query(key: &str) -> Vec<(String, String)> {
    vec![("uploads".to_owned(), String::new()), ("prefix".to_owned(), key.to_owned())]
}

/// The latest upload of exactly this key.
pub(super) fn latest_upload(store: &'static str, body: &Bytes, key: &str) -> Answer<Option<String>> {
    let listed: Uploads = parse(store, body)?;
    let mine = listed.uploads.into_iter().filter(|upload| upload.key == key);
    Ok(mine.max_by(|a, b| a.initiated.cmp(&b.initiated)).map(|upload| upload.id))
}

/// The query for the parts after `marker`.
pub(super) fn parts_query(upload: &str, marker: Option<&str>) -> Vec<(String, String)> {
    let mut query = vec![("uploadId".to_owned(), upload.to_owned())];
    query.extend(marker.map(|marker| ("part-number-marker".to_owned(), marker.to_owned())));
    query
}

/// Adds a page of parts; gives the marker of the next page.
pub(super) fn add_parts(store: &'static str, body: &Bytes, left: &mut LeftOver) -> Answer<Option<String>> {
    let page: Parts = parse(store, body)?;
    for part in page.page {
        let md5 = part.e_tag.trim_matches('"').to_ascii_lowercase();
        if let Some(number) = part.number.checked_sub(1) {
            left.parts.insert(number, LeftPart { id: part.e_tag, size: part.size, md5 });
        }
    }
    Ok(page.next_part_number_marker.filter(|marker| page.is_truncated && !marker.is_empty()))
}

pub(super) fn parse<T: DeserializeOwned>(store: &'static str, body: &Bytes) -> Answer<T> {
    quick_xml::de::from_reader(body.as_ref()).map_err(|error| generic(store, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_upload_of_the_very_key_is_found() {
        let body = "<ListMultipartUploadsResult><Bucket>b</Bucket>\
            <Upload><Key>a</Key><UploadId>1</UploadId><Initiated>2026-01-01T00:00:00Z</Initiated></Upload>\
            <Upload><Key>ab</Key><UploadId>2</UploadId><Initiated>2026-01-09T00:00:00Z</Initiated></Upload>\
            <Upload><Key>a</Key><UploadId>3</UploadId><Initiated>2026-01-02T00:00:00Z</Initiated></Upload>\
            </ListMultipartUploadsResult>";
        assert_eq!(latest_upload("S3", &body.into(), "a").unwrap().as_deref(), Some("3"));
        assert_eq!(latest_upload("S3", &"<ListMultipartUploadsResult/>".into(), "a").unwrap(), None);
        assert!(latest_upload("S3", &"no xml".into(), "a").is_err());
    }

    #[test]
    fn parts_are_numbered_from_zero_here_and_pages_follow_each_other() {
        let body = "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>\
            <Part><PartNumber>1</PartNumber><ETag>&quot;AB&quot;</ETag><Size>5</Size></Part></ListPartsResult>";
        let mut left = LeftOver::default();
        assert_eq!(add_parts("S3", &body.into(), &mut left).unwrap().as_deref(), Some("1"));
        assert_eq!(left.parts[&0], LeftPart { id: "\"AB\"".to_owned(), size: 5, md5: "ab".to_owned() });
        let last =
            "<ListPartsResult><IsTruncated>false</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker></ListPartsResult>";
        assert_eq!(add_parts("S3", &last.into(), &mut left).unwrap(), None);
    }
}
