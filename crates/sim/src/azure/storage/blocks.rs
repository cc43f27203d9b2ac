//! Blobs in blocks: staged one by one, in any order, and put together by a list of their ids.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use skybru_federation::azure::{AzureError, BlobOperation};

use super::blobs::{check_md5, may_write, new_item, written};
use super::conditions::{Wish, check};
use super::items::Bytes;
use super::{Answered, Call, broken};
use crate::azure::wire::Answer;
use crate::hex::hex;

/// Azure's own limit.
const MOST_BLOCKS: usize = 50_000;

/// A staged block's file; its name is the id, so that the same id staged again replaces it.
fn staged(call: &Call<'_>, container: &str, name: &str, id: &str) -> PathBuf {
    call.sim.items.staged(&call.space(container), name).join(hex(id.as_bytes()))
}

/// The blocks that are staged for a blob: ids in order, each with its size. None when there are none.
fn all_staged(call: &Call<'_>, container: &str, name: &str) -> Result<BTreeMap<String, u64>, AzureError> {
    let mut blocks = BTreeMap::new();
    let entries = match std::fs::read_dir(call.sim.items.staged(&call.space(container), name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(blocks),
        entries => entries.map_err(broken)?,
    };
    for entry in entries {
        let entry = entry.map_err(broken)?;
        if let Some(id) = entry.file_name().to_str().and_then(unhex) {
            blocks.insert(id, entry.metadata().map_err(broken)?.len());
        }
    }
    Ok(blocks)
}

/// The text that [`hex`] wrote down.
fn unhex(text: &str) -> Option<String> {
    let digits = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(digits.collect::<Option<Vec<u8>>>()?).ok()
}

/// A blob that is written whole, or from a list, keeps no staged blocks.
pub(super) fn forget_staged(call: &Call<'_>, container: &str, name: &str) {
    // There mostly are none; and if some stay, the next list merely names them again.
    let _ = std::fs::remove_dir_all(call.sim.items.staged(&call.space(container), name));
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
    let md5 = check_md5(call)?;
    let file = staged(call, container, name, &id);
    if let Some(folder) = file.parent() {
        crate::files::create_private_folder(folder).map_err(broken)?;
    }
    call.request.body.become_file(&file).map_err(broken)?;
    Ok(Answer::empty(201).with("content-md5", md5).with("x-ms-request-server-encrypted", "true"))
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
    for listed in &wanted {
        let (id, in_staged, in_blob) = match listed {
            Listed::Latest(id) => (id, true, true),
            Listed::Committed(id) => (id, false, true),
            Listed::Uncommitted(id) => (id, true, false),
        };
        let staged = staged(call, container, name, id);
        let part = if in_staged && staged.is_file() {
            let mut part = std::fs::File::open(&staged).map_err(broken)?;
            std::io::copy(&mut part, &mut file).map_err(broken)?
        } else if in_blob && let Some((start, length)) = offset(id) {
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
    forget_staged(call, container, name);
    Ok(answer)
}

/// The blocks that make the blob, those that are staged, or both. A blob of which there are staged blocks only is there for this request,
/// and for no other.
pub(super) fn list(call: &Call<'_>, container: &str, name: &str) -> Answered {
    call.authorize_path(BlobOperation::ReadBlob, container, name)?;
    let staged = all_staged(call, container, name)?;
    let item = match super::blobs::find(call, container, name) {
        Err(error) if staged.is_empty() => return Err(error),
        found => found.ok(),
    };
    check(call.request, item.as_deref(), Wish::Read)?;
    let (committed, uncommitted) = match call.request.query("blocklisttype").unwrap_or("committed") {
        "committed" => (true, false),
        "uncommitted" => (false, true),
        "all" => (true, true),
        _ => {
            let text = "Value for one of the query parameters specified in the request URI is invalid.";
            return Err(AzureError::new("E-65", "InvalidQueryParameterValue", 400, text));
        }
    };
    let mut text = "<BlockList>".to_owned();
    let mut part = |name: &str, blocks: &mut dyn Iterator<Item = (&String, &u64)>| {
        let _ = write!(text, "<{name}>");
        for (id, size) in blocks {
            let _ = write!(text, "<Block><Name>{id}</Name><Size>{size}</Size></Block>");
        }
        let _ = write!(text, "</{name}>");
    };
    if committed {
        let blocks = item.as_ref().map(|item| item.blocks.as_slice()).unwrap_or_default();
        part("CommittedBlocks", &mut blocks.iter().map(|(id, size)| (id, size)));
    }
    if uncommitted {
        part("UncommittedBlocks", &mut staged.iter());
    }
    text.push_str("</BlockList>");
    let size = item.as_ref().map_or(0, |item| item.size);
    let answer = Answer::xml(200, &text).with("x-ms-blob-content-length", size.to_string());
    Ok(match item {
        Some(item) => answer.with("etag", &item.etag),
        None => answer,
    })
}

/// One entry of a block list: where to look for the block, and its id.
#[derive(Deserialize)]
enum Listed {
    Latest(String),
    Committed(String),
    Uncommitted(String),
}

#[derive(Deserialize)]
#[serde(rename = "BlockList")]
struct BlockList {
    #[serde(rename = "$value", default)]
    blocks: Vec<Listed>,
}

/// The entries in their order. Whatever else the document holds, or lacks, makes it none.
fn read_list(body: &[u8]) -> Result<Vec<Listed>, AzureError> {
    let invalid = || AzureError::new("E-65", "InvalidXmlDocument", 400, "XML specified is not syntactically valid.");
    let text = std::str::from_utf8(body).map_err(|_| invalid())?;
    let list: BlockList = quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| invalid())?;
    Ok(list.blocks)
}
