//! The client against small servers on this machine: real HTTP, but a clock that stands still and randomness from a seed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail tests")]

mod azure;
mod azure_storage;
mod clouds;
mod exchange;
mod google;
mod guardian;
mod http;
mod inspect;
mod issuer;
mod leaks;
mod million;
mod s3;
mod storage;
mod sts;
mod sync;
mod token;

use std::net::SocketAddr;

use axum::Router;
use skybru_client::http::{Http, HttpOptions, RetryPolicy};
use tokio::net::TcpListener;

/// The second that every test begins with.
const NOW: i64 = 1_700_000_000;

/// Serves `app` until the test's runtime ends.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A second as a `Date` header has it.
fn http_date(second: i64) -> String {
    jiff::Timestamp::from_second(second).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn http() -> Http {
    Http::new(&HttpOptions::default()).unwrap()
}

/// Three attempts without waiting.
fn at_once() -> RetryPolicy {
    RetryPolicy { first_wait: std::time::Duration::ZERO, ..RetryPolicy::default() }
}
