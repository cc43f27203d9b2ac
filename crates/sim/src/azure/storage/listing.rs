//! Lists of blobs: prefix, delimiter, pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use quick_xml::escape::escape;
use skybru_federation::azure::{AzureError, BlobOperation};

use super::items::Item;
use super::{Answered, Call};
use crate::azure::wire::{Answer, http_date};

/// The most that one page holds.
const PAGE: usize = 5000;

pub(super) fn answer(call: &Call<'_>, container: &str) -> Answered {
    let request = call.request;
    let prefix = request.query("prefix").unwrap_or_default();
    // In an account with folders, whoever may list the folder may list what begins with it.
    let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
    call.authorize_path(BlobOperation::ListBlobs, container, folder)?;
    call.container(container)?;
    let delimiter = request.query("delimiter").filter(|delimiter| !delimiter.is_empty());
    let page: usize = match request.query("maxresults").map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(page)) if page > 0 => page.min(PAGE),
        Some(_) => {
            let text = "One of the query parameters specified in the request URI is outside the permissible range.";
            return Err(AzureError::new("E-65", "OutOfRangeQueryParameterValue", 400, text));
        }
    };
    let from = request.query("marker").or_else(|| request.query("startFrom")).unwrap_or_default();
    let with_metadata = request.query("include").is_some_and(|include| include.split(',').any(|part| part.trim() == "metadata"));

    let mut text = format!("<EnumerationResults ServiceEndpoint=\"/{}\" ContainerName=\"{container}\">", call.account.name);
    let mut element = |name: &str, value: &str| {
        let _ = write!(text, "<{name}>{}</{name}>", escape(value));
    };
    element("Prefix", prefix);
    element("Marker", from);
    element("MaxResults", &page.to_string());
    element("Delimiter", delimiter.unwrap_or_default());
    text.push_str("<Blobs>");
    let items = call.sim.items.below(&call.space(container), prefix);
    let rows = rows(&items, prefix, delimiter);
    let mut next = None;
    for (count, row) in rows.into_iter().filter(|row| row.name() >= from).enumerate() {
        if count == page {
            next = Some(row.name().to_owned());
            break;
        }
        match row {
            Row::Prefix(name) => {
                let _ = write!(text, "<BlobPrefix><Name>{}</Name></BlobPrefix>", escape(&name));
            }
            Row::Blob(name, item) => blob(&mut text, name, item, with_metadata),
        }
    }
    let _ = write!(text, "</Blobs><NextMarker>{}</NextMarker></EnumerationResults>", escape(next.unwrap_or_default()));
    Ok(Answer::xml(200, &text))
}

enum Row<'a> {
    Prefix(String),
    Blob(&'a str, &'a Item),
}

impl Row<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Prefix(name) => name,
            Self::Blob(name, _) => name,
        }
    }
}

/// Blobs, and what is below a delimiter in one row.
fn rows<'a>(items: &'a [(String, Arc<Item>)], prefix: &str, delimiter: Option<&str>) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for (name, item) in items {
        let below = delimiter.and_then(|delimiter| Some(prefix.len() + name[prefix.len()..].find(delimiter)? + delimiter.len()));
        match below {
            Some(end) if rows.last().is_some_and(|row| matches!(row, Row::Prefix(last) if *last == name[..end])) => {}
            Some(end) => rows.push(Row::Prefix(name[..end].to_owned())),
            // A folder shows as what is below it, when that is asked for.
            None if item.is_folder && delimiter.is_some() => rows.push(Row::Prefix(format!("{name}/"))),
            None => rows.push(Row::Blob(name, item)),
        }
    }
    // A folder `a` and a blob `a.txt` sort otherwise than `a/` and `a.txt`.
    rows.sort_by(|one, other| one.name().cmp(other.name()));
    rows.dedup_by(|one, other| matches!((one, other), (Row::Prefix(one), Row::Prefix(other)) if one == other));
    rows
}

fn blob(text: &mut String, name: &str, item: &Item, with_metadata: bool) {
    let _ = write!(
        text,
        "<Blob><Name>{}</Name><Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified><Etag>{}</Etag>\
         <Content-Length>{}</Content-Length>",
        escape(name),
        http_date(item.created),
        http_date(item.modified),
        // Without its quotation marks, as Azure writes it here.
        item.etag.trim_matches('"'),
        item.size
    );
    for (header, element) in [
        ("content-type", "Content-Type"),
        ("content-encoding", "Content-Encoding"),
        ("content-language", "Content-Language"),
        ("content-md5", "Content-MD5"),
        ("cache-control", "Cache-Control"),
        ("content-disposition", "Content-Disposition"),
    ] {
        if let Some(value) = item.headers.get(header) {
            let _ = write!(text, "<{element}>{}</{element}>", escape(value));
        }
    }
    let folder = if item.is_folder { "<ResourceType>directory</ResourceType>" } else { "" };
    let _ = write!(
        text,
        "<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>\
         <ServerEncrypted>true</ServerEncrypted>{folder}</Properties>{}</Blob>",
        if with_metadata { metadata(&item.metadata) } else { String::new() }
    );
}

pub(super) fn metadata(metadata: &BTreeMap<String, String>) -> String {
    if metadata.is_empty() {
        return String::new();
    }
    let one = |(name, value): (&String, &String)| format!("<{name}>{}</{name}>", escape(value));
    format!("<Metadata>{}</Metadata>", metadata.iter().map(one).collect::<String>())
}
