//! Blobs in blocks: staged one by one, in any order, and put together by a list of their ids.

use std::fmt::Write as _;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::events::Event;
use skybru_federation::azure::{AzureError, BlobOperation};

use super::blobs::{may_write, new_item, written};
use super::conditions::{Wish, check};
use super::items::Bytes;
use super::{Answered, Call, broken};
use crate::azure::wire::Answer;

/// Azure's own limit.
const MOST_BLOCKS: usize = 50_000;

/// A block's draft; its name holds the id, so that the same id staged again replaces it.
fn draft(call: &Call<'_>, container: &str, name: &str, id: &str) -> std::path::PathBuf {
    call.sim.items.draft(&call.space(container), name, &format!("block\n{id}"))
}

pub(super) fn stage(call: &Call<'_>, container: &str, name: &str) -> Answered {
    let old = call.sim.items.get(&call.space(container), name);
    let operation = if old.is_some() { BlobOperation::WriteBlob } else { BlobOperation::CreateBlob };
    call.authorize_path(operation, container, name)?;
    call.container(container)?;
    let id = call.request.query("blockid").unwrap_or_default();
    // Parameters come decoded, so a plus that was not encoded is a blank by now.
    let id = id.replace(' ', "+");
    if STANDARD.decode(&id).ok().is_none_or(|bytes| bytes.is_empty() || bytes.len() > 64) {
        let text = "Value for one of the query parameters specified in the request URI is invalid.";
        return Err(AzureError::new("E-65", "InvalidQueryParameterValue", 400, text));
    }
    call.request.body.become_file(&draft(call, container, name, &id)).map_err(broken)?;
    Ok(Answer::empty(201).with("x-ms-request-server-encrypted", "true"))
}

pub(super) fn commit(call: &Call<'_>, container: &str, name: &str) -> Answered {
    let old = may_write(call, container, name)?;
    let wanted = read_list(call.request.body.document())?;
    let invalid = || AzureError::new("E-65", "InvalidBlockList", 400, "The specified block list is invalid.");
    if wanted.len() > MOST_BLOCKS {
        return Err(invalid());
    }
    let space = call.space(container);
    let committed = old.as_ref().map(|old| old.blocks.clone()).unwrap_or_default();
    let offset = |id: &str| {
        let place = committed.iter().position(|(known, _)| known == id)?;
        Some((committed[..place].iter().map(|(_, size)| size).sum::<u64>(), committed[place].1))
    };
    let whole = call.sim.items.draft(&space, name, "whole");
    let mut file = std::fs::File::create(&whole).map_err(broken)?;
    let (mut blocks, mut size) = (Vec::new(), 0);
    for (kind, id) in &wanted {
        let staged = draft(call, container, name, id);
        let part = if kind != "Committed" && staged.is_file() {
            let mut part = std::fs::File::open(&staged).map_err(broken)?;
            std::io::copy(&mut part, &mut file).map_err(broken)?
        } else if kind != "Uncommitted"
            && let Some((start, length)) = offset(id)
        {
            let mut part = std::fs::File::open(call.sim.items.bytes_of(&space, name)).map_err(broken)?;
            part.seek(SeekFrom::Start(start)).map_err(broken)?;
            std::io::copy(&mut part.take(length), &mut file).map_err(broken)?
        } else {
            return Err(invalid());
        };
        blocks.push((id.clone(), part));
        size += part;
    }
    file.flush().map_err(broken)?;
    let mut item = new_item(call, container, name, old.as_deref(), size);
    item.blocks = blocks;
    item.headers.entry("content-type".to_owned()).or_insert_with(|| "application/octet-stream".to_owned());
    super::paths::make_parents(call, container, name)?;
    let answer = written(&item, 201);
    call.sim.items.put(&space, name, item, Bytes::Draft(&whole)).map_err(broken)?;
    for (_, id) in wanted {
        let _ = std::fs::remove_file(draft(call, container, name, &id));
    }
    Ok(answer)
}

/// The committed blocks; staged ones are not listed.
pub(super) fn list(call: &Call<'_>, container: &str, name: &str) -> Answered {
    call.authorize_path(BlobOperation::ReadBlob, container, name)?;
    let item = super::blobs::find(call, container, name)?;
    check(call.request, Some(&item), Wish::Read)?;
    let mut text = "<BlockList><CommittedBlocks>".to_owned();
    for (id, size) in &item.blocks {
        let _ = write!(text, "<Block><Name>{id}</Name><Size>{size}</Size></Block>");
    }
    text.push_str("</CommittedBlocks><UncommittedBlocks /></BlockList>");
    Ok(Answer::xml(200, &text).with("etag", &item.etag).with("x-ms-blob-content-length", item.size.to_string()))
}

/// `Latest`, `Committed` or `Uncommitted`, and the id.
fn read_list(body: &[u8]) -> Result<Vec<(String, String)>, AzureError> {
    let invalid = || AzureError::new("E-65", "InvalidXmlDocument", 400, "XML specified is not syntactically valid.");
    let text = std::str::from_utf8(body).map_err(|_| invalid())?;
    let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut list, mut kind) = (Vec::new(), None);
    loop {
        match reader.read_event().map_err(|_| invalid())? {
            Event::Start(start) => {
                let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                kind = ["Latest", "Committed", "Uncommitted"].contains(&name.as_str()).then_some(name);
            }
            Event::Text(id) => {
                if let Some(kind) = &kind {
                    list.push((kind.clone(), id.decode().map_err(|_| invalid())?.trim().to_owned()));
                }
            }
            Event::End(_) => kind = None,
            Event::Eof => return Ok(list),
            _ => {}
        }
    }
}
