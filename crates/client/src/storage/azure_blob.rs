//! Azure Blob Storage, which is Azure Data Lake Storage too.
//!
//! Blocks are sent by requests of our own: their names carry number and MD5, so that an interrupted upload finds out what has arrived
//! ([Put Block](https://learn.microsoft.com/en-us/rest/api/storageservices/put-block)).

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method};
use md5::{Digest as _, Md5};
use object_store::azure::MicrosoftAzure;
use object_store::path::Path;
use object_store::{Attributes, GetRange};
use reqwest::Url;
use serde::Deserialize;

use super::checksum::hex;
use super::listing::{blobs_page, blobs_query};
use super::rest::{Ask, Rest, below, generic};
use super::store::{self, Answer, LeftOver, LeftPart, Opened, Page, Store};
use super::xml_parts::parse;
use super::{Depth, ObjectInfo};

/// The version of the protocol, for requests of our own: the first with everything that they need, Azure Files' included.
pub(super) const VERSION: &str = "2024-11-04";

/// How often the state of a long copy is asked for, and how long at most.
const COPY_PAUSE: Duration = Duration::from_secs(1);
const COPY_POLLS: u32 = 3600;

/// One container.
pub(super) struct AzureBlob {
    pub(super) store: MicrosoftAzure,
    pub(super) rest: Rest,
    /// The container's own address.
    pub(super) base: Url,
}

#[derive(Debug, Deserialize)]
struct BlockList {
    #[serde(rename = "UncommittedBlocks", default)]
    uncommitted: Blocks,
}

#[derive(Debug, Default, Deserialize)]
struct Blocks {
    #[serde(rename = "Block", default)]
    blocks: Vec<Block>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Block {
    name: String,
    size: u64,
}

impl AzureBlob {
    fn address(&self, key: &Path) -> Url {
        below(&self.base, key.as_ref().split('/'))
    }

    fn with_query(&self, key: &Path, query: &[(&str, &str)]) -> Url {
        let mut url = self.address(key);
        url.query_pairs_mut().extend_pairs(query);
        url
    }
}

/// A block's name: all have the same length, as Azure wants it.
fn block_name(number: usize, md5: &str) -> String {
    BASE64_STANDARD.encode(format!("{number:06}-{md5}"))
}

/// Number and MD5 in a name of ours.
fn parse_block_name(name: &str) -> Option<(usize, String)> {
    let text = String::from_utf8(BASE64_STANDARD.decode(name).ok()?).ok()?;
    let (number, md5) = text.split_once('-')?;
    (number.len() == 6 && md5.len() == 32).then_some(())?;
    Some((number.parse().ok()?, md5.to_owned()))
}

/// Waits until a copy within the account is done: Azure may go on with it after its answer.
pub(super) async fn await_copy(rest: &Rest, to: &Url, mut headers: HeaderMap) -> Answer<()> {
    for _ in 0..COPY_POLLS {
        match headers.get("x-ms-copy-status").and_then(|state| state.to_str().ok()) {
            Some("pending") => {}
            Some("success") | None => return Ok(()),
            Some(state) => return Err(generic(rest.name, std::io::Error::other(format!("the copy ended as {state}")))),
        }
        tokio::time::sleep(COPY_PAUSE).await;
        headers = rest.send(&Ask::new(Method::HEAD, to.clone())).await?.headers;
    }
    Err(generic(rest.name, std::io::Error::other("the copy did not end within an hour")))
}

#[async_trait]
impl Store for AzureBlob {
    async fn page(&self, prefix: &str, depth: Depth, next: Option<String>) -> Answer<Page> {
        let mut url = self.base.clone();
        url.query_pairs_mut().extend_pairs(blobs_query(prefix, depth, next));
        let told = self.rest.send(&Ask::new(Method::GET, url)).await?;
        blobs_page(self.rest.name, &told.body)
    }

    async fn head(&self, key: &Path) -> Answer<(ObjectInfo, HeaderMap)> {
        store::head(&self.store, key).await
    }

    async fn get(&self, key: &Path, range: Option<GetRange>, e_tag: Option<String>) -> Answer<Opened> {
        store::get(&self.store, key, range, e_tag).await
    }

    async fn put(&self, key: &Path, content: Bytes) -> Answer<()> {
        store::put(&self.store, key, content).await
    }

    async fn put_document(&self, key: &Path, content: Bytes, attributes: Attributes) -> Answer<()> {
        store::put_document(&self.store, key, content, attributes).await
    }

    /// Nothing is begun: blocks belong to the blob that will be.
    async fn begin(&self, _key: &Path, _size: Option<u64>) -> Answer<String> {
        Ok(String::new())
    }

    async fn put_part(&self, key: &Path, _upload: &str, number: usize, _at: Range<u64>, part: Bytes) -> Answer<String> {
        let md5 = Md5::digest(&part);
        let name = block_name(number, &hex(&md5));
        let url = self.with_query(key, &[("comp", "block"), ("blockid", &name)]);
        let ask = Ask::new(Method::PUT, url).header("content-md5", &BASE64_STANDARD.encode(md5))?.body(part);
        self.rest.send(&ask).await.map(|_| name)
    }

    async fn complete(&self, key: &Path, _upload: &str, parts: Vec<String>, md5: Option<[u8; 16]>) -> Answer<()> {
        let mut body = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
        for name in &parts {
            // A name is base64, and so needs no escape.
            let _ = write!(body, "<Latest>{name}</Latest>");
        }
        body.push_str("</BlockList>");
        let mut ask = Ask::new(Method::PUT, self.with_query(key, &[("comp", "blocklist")])).body(body);
        if let Some(md5) = md5 {
            ask = ask.header("x-ms-blob-content-md5", &BASE64_STANDARD.encode(md5))?;
        }
        self.rest.send(&ask).await.map(|_| ())
    }

    /// Blocks that belong to no blob vanish by themselves within a week; there is no request that removes them.
    async fn abort(&self, _key: &Path, _upload: &str) -> Answer<()> {
        Ok(())
    }

    async fn left_over(&self, key: &Path, _size: Option<u64>) -> Answer<Option<LeftOver>> {
        let url = self.with_query(key, &[("comp", "blocklist"), ("blocklisttype", "uncommitted")]);
        let told = match self.rest.send(&Ask::new(Method::GET, url)).await {
            Ok(told) => told,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let listed: BlockList = parse(self.rest.name, &told.body)?;
        let mut left = LeftOver::default();
        for block in listed.uncommitted.blocks {
            if let Some((number, md5)) = parse_block_name(&block.name) {
                left.parts.insert(number, LeftPart { id: block.name, size: block.size, md5 });
            }
        }
        Ok((!left.parts.is_empty()).then_some(left))
    }

    fn wants_md5(&self) -> bool {
        true
    }

    async fn copy(&self, from: &Path, to: &Path) -> Answer<()> {
        let url = self.address(to);
        let ask = Ask::new(Method::PUT, url.clone()).header("x-ms-copy-source", self.address(from).as_str())?;
        let told = self.rest.send(&ask).await?;
        await_copy(&self.rest, &url, told.headers).await
    }

    /// Not by the library, which sends each deletion as a batch.
    async fn delete(&self, key: &Path) -> Answer<()> {
        self.rest.send(&Ask::new(Method::DELETE, self.address(key))).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocks_name_tells_which_it_is_and_what_it_holds() {
        let md5 = "9e107d9d372bb6826bd81d3542a419d6";
        assert_eq!(parse_block_name(&block_name(42, md5)), Some((42, md5.to_owned())));
        assert_eq!(block_name(0, md5).len(), block_name(49_999, md5).len());
        for other in ["", "AAAA", "not base64", &BASE64_STANDARD.encode("0123456789abcdef0123456789abcdef")] {
            assert_eq!(parse_block_name(other), None, "{other}");
        }
    }
}
