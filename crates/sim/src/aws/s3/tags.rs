//! Tags of objects and buckets.

use std::collections::BTreeMap;

use s3s::dto::Tag;
use s3s::{S3Error, S3ErrorCode, S3Result};

/// Tags by key.
pub(super) type Tags = BTreeMap<String, String>;

/// S3's own limits.
pub(super) const MOST_OF_AN_OBJECT: usize = 10;
pub(super) const MOST_OF_A_BUCKET: usize = 50;

/// Tags as the wire types have them.
pub(super) fn wire(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

/// Tags of a request, within S3's limits: each key once, 1 to 128 characters, values of at most 256.
pub(super) fn checked(given: Vec<Tag>, most: usize) -> S3Result<Tags> {
    let invalid = |text: &str| S3Error::with_message(S3ErrorCode::InvalidTag, text.to_owned());
    if given.len() > most {
        let kind = if most == MOST_OF_AN_OBJECT { "Object" } else { "Bucket" };
        let text = format!("{kind} tags cannot be greater than {most}");
        let mut error = S3Error::with_message(S3ErrorCode::Custom("BadRequest".into()), text);
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return Err(error);
    }
    let mut tags = Tags::new();
    for Tag { key, value } in given {
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        if key.is_empty() || key.chars().count() > 128 {
            return Err(invalid("The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(invalid("The TagValue you have provided is invalid"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("System tags cannot be added/updated by requester"));
        }
        if tags.insert(key, value).is_some() {
            return Err(invalid("Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}

/// Tags as the header `x-amz-tagging` of an upload has them: a query string.
pub(super) fn of_header(header: &str) -> S3Result<Tags> {
    let given: Vec<Tag> = form_urlencoded::parse(header.as_bytes())
        .map(|(key, value)| Tag { key: Some(key.into_owned()), value: Some(value.into_owned()) })
        .collect();
    let (count, tags) = (given.len(), checked(given, MOST_OF_AN_OBJECT));
    tags.map_err(|error| {
        if count > MOST_OF_AN_OBJECT {
            return error;
        }
        let text = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.";
        S3Error::with_message(S3ErrorCode::InvalidArgument, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_a_header_are_a_query_string_with_each_key_once() {
        let tags = of_header("org=917422575&name=a%20b").unwrap();
        assert_eq!(tags, Tags::from([("org".to_owned(), "917422575".to_owned()), ("name".to_owned(), "a b".to_owned())]));
        assert_eq!(of_header("a=1&a=2").unwrap_err().code().as_str(), "InvalidArgument");
        let eleven: Vec<String> = (0..11).map(|number| format!("k{number}=v")).collect();
        assert_eq!(of_header(&eleven.join("&")).unwrap_err().message(), Some("Object tags cannot be greater than 10"));
        assert!(of_header("aws:x=1").is_err() && of_header("=1").is_err());
    }
}
