//! What an interrupted upload left in a share: a file of the whole length under another name, in which some ranges are written.
//!
//! A share keeps no sum of a range, so what was written is read back and summed up; parts with a hole in them are not
//! ([List Ranges](https://learn.microsoft.com/en-us/rest/api/storageservices/list-ranges)).

use std::ops::Range;

use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use http::Method;
use md5::{Digest as _, Md5};
use object_store::GetRange;
use object_store::path::Path;
use serde::Deserialize;

use super::azure_files::{AzureFiles, Listed};
use super::checksum::hex;
use super::rest::Ask;
use super::store::{Answer, LeftOver, LeftPart, Store as _};
use super::upload::part_size;
use super::xml_parts::parse;
use crate::http::http_date;

const ENDING: &str = ".skybru-part";

/// Hexadecimal digits between the name and the ending.
const MARK: usize = 12;

/// So many parts are read back at once.
const PARTS_AT_ONCE: usize = 4;

#[derive(Debug, Default, Deserialize)]
struct Ranges {
    #[serde(rename = "Range", default)]
    ranges: Vec<Written>,
}

/// The first byte and the last.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    start: u64,
    end: u64,
}

/// The name, without its folder, under which `name` is written until it is whole.
pub(super) fn unfinished_name(name: &str, mark: [u8; MARK / 2]) -> String {
    format!(".{name}.{}{ENDING}", hex(&mark))
}

/// Whether a file is not whole yet.
pub(super) fn is_unfinished(name: &str) -> bool {
    let mark = name.strip_prefix('.').and_then(|name| name.strip_suffix(ENDING)).and_then(|name| name.rsplit_once('.'));
    mark.is_some_and(|(name, mark)| {
        !name.is_empty() && mark.len() == MARK && mark.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

impl AzureFiles {
    /// The latest unfinished file of this key, at the length that it shall have.
    pub(super) async fn left(&self, key: &Path, size: u64) -> Answer<Option<LeftOver>> {
        let Some((upload, had)) = self.latest_unfinished(key).await? else { return Ok(None) };
        if had != size {
            let ask = Ask::new(Method::PUT, self.with_query(&upload, &[("comp", "properties")]));
            self.rest.send(&ask.header("x-ms-content-length", &size.to_string())?).await?;
        }
        let told = self.rest.send(&Ask::new(Method::GET, self.with_query(&upload, &[("comp", "rangelist")]))).await?;
        let written = joined(parse::<Ranges>(self.rest.name, &told.body)?.ranges);
        let read = futures_util::stream::iter(whole_parts(&written, size))
            .map(|(number, at)| {
                let upload = upload.clone();
                async move {
                    let size = at.end - at.start;
                    let md5 = self.sum_of(&upload, at).await?;
                    Answer::Ok((number, LeftPart { id: number.to_string(), size, md5 }))
                }
            })
            .buffer_unordered(PARTS_AT_ONCE);
        Ok(Some(LeftOver { parts: read.try_collect().await?, upload }))
    }

    async fn latest_unfinished(&self, key: &Path) -> Answer<Option<(String, u64)>> {
        let (folder, name) = key.as_ref().rsplit_once('/').unwrap_or(("", key.as_ref()));
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let begins = format!(".{name}.");
        let (mut latest, mut marker) = (None, None);
        loop {
            let page = self.folder(&folder, &begins, marker.as_deref()).await?;
            for entry in page.entries.all {
                if let Listed::File { name: found, properties } = entry
                    && is_unfinished(&found)
                    && found.len() == begins.len() + MARK + ENDING.len()
                {
                    let found = (http_date(&properties.last_modified), format!("{folder}{found}"), properties.length);
                    latest = latest.max(Some(found));
                }
            }
            if page.next_marker.is_empty() {
                return Ok(latest.map(|(_, name, length)| (name, length)));
            }
            marker = Some(page.next_marker);
        }
    }

    async fn sum_of(&self, name: &str, at: Range<u64>) -> Answer<String> {
        let path = Path::parse(name).map_err(|error| super::rest::generic(self.rest.name, error))?;
        let mut opened = self.get(&path, Some(GetRange::Bounded(at)), None).await?;
        let mut md5 = Md5::new();
        while let Some(chunk) = opened.bytes.try_next().await? {
            md5.update(&chunk);
        }
        Ok(hex(&md5.finalize()))
    }
}

/// Ranges that touch, as one; half open.
fn joined(mut ranges: Vec<Written>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut all: Vec<Range<u64>> = Vec::new();
    for Written { start, end } in ranges {
        let end = end.saturating_add(1);
        match all.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => all.push(start..end),
        }
    }
    all
}

/// Numbers and places of the parts that are written from end to end.
fn whole_parts(written: &[Range<u64>], size: u64) -> Vec<(usize, Range<u64>)> {
    let part = part_size(Some(size)) as u64;
    let parts = (0..size.div_ceil(part)).map(|number| number * part..((number + 1) * part).min(size));
    let is_written = |at: &Range<u64>| written.iter().any(|range| range.start <= at.start && at.end <= range.end);
    parts.enumerate().filter(|(_, at)| is_written(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: u64 = super::super::MULTIPART_FROM;

    #[test]
    fn only_parts_without_a_hole_are_there() {
        let ranges =
            |pairs: &[(u64, u64)]| joined(pairs.iter().map(|(start, end)| Written { start: *start, end: *end }).collect());
        let half = PART / 2;
        // The second part lacks its second half; the last is short.
        let written = ranges(&[(half, PART - 1), (0, half - 1), (PART, PART + half - 1), (2 * PART, 2 * PART + 9)]);
        let found: Vec<usize> = whole_parts(&written, 2 * PART + 10).into_iter().map(|(number, _)| number).collect();
        assert_eq!(found, [0, 2]);
        assert!(whole_parts(&[], PART).is_empty());
        assert!(whole_parts(&ranges(&[(0, u64::MAX)]), 0).is_empty());
    }

    #[test]
    fn an_unfinished_files_name_is_told_from_others() {
        assert!(is_unfinished(&unfinished_name("a.csv", [1, 2, 3, 250, 0, 9])));
        for other in ["a.csv", ".skybru-part", "..0102030405ff.skybru-part", ".a.0102.skybru-part", "a.0102030405ff.skybru-part"]
        {
            assert!(!is_unfinished(other), "{other}");
        }
    }
}
