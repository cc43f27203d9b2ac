//! Buckets that are too large to be held in memory.

use std::collections::HashMap;
use std::fmt::Write as _;

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use futures_util::TryStreamExt as _;
use skybru_client::storage::{Bucket, Depth};

use crate::exchange::{source, target};
use crate::issuer::{TestIssuer, ctx};
use crate::s3::BUCKET;
use crate::sts::TestSts;
use crate::{http, serve};

const OBJECTS: usize = 1_000_000;
const PAGE: usize = 1000;

/// A page of a bucket that exists only while it is listed.
async fn page(Query(query): Query<HashMap<String, String>>) -> String {
    let first: usize = query.get("continuation-token").map_or(0, |token| token.parse().unwrap());
    let mut xml = String::from("<ListBucketResult>");
    for n in first..(first + PAGE).min(OBJECTS) {
        write!(
            xml,
            "<Contents><Key>t/{n:07}.csv</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>{n}</Size></Contents>"
        )
        .unwrap();
    }
    if first + PAGE < OBJECTS {
        write!(xml, "<NextContinuationToken>{}</NextContinuationToken>", first + PAGE).unwrap();
    }
    xml + "</ListBucketResult>"
}

/// In KiB. `None` where the system does not tell.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB").parse().ok()
}

/// Held at once, a million entries take some 150 MiB.
#[tokio::test]
async fn a_million_objects_are_listed_in_the_memory_of_one_page() {
    let app = Router::new().route("/{bucket}", get(page)).route("/{bucket}/", get(page));
    let url = format!("http://{}", serve(app).await);
    let (issuer, sts) = (TestIssuer::start([]).await, TestSts::start([]).await);
    let (ctx, _) = ctx();
    let credentials = source(&ctx, &issuer, target(&sts));
    let bucket = Bucket::open_at(ctx, &http(), credentials, BUCKET, Some(&url)).unwrap();
    let mut entries = bucket.list("t/", Depth::All);
    let (mut count, mut after_some) = (0, None);
    while let Some(entry) = entries.try_next().await.unwrap() {
        assert_eq!(entry.key().len(), "t/0000000.csv".len());
        count += 1;
        if count == OBJECTS / 10 {
            after_some = resident();
        }
    }
    assert_eq!(count, OBJECTS);
    if let (Some(before), Some(after)) = (after_some, resident()) {
        // Other tests run in this process too; nine tenths of a million entries would show above them.
        assert!(after < before + 64 * 1024, "{before} KiB after a tenth, {after} KiB after all");
    }
}
