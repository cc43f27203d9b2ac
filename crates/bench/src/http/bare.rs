//! The least that an axum server can do for a token request: read the body, answer with JSON of a token's size.

use std::net::Ipv4Addr;

use anyhow::Result;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;

/// Serves until killed; says `ready ADDRESS` first.
#[expect(clippy::print_stdout, reason = "its parent waits for this line")]
pub(crate) async fn serve(bytes: usize) -> Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("ready {}", listener.local_addr()?);
    let answer = Bytes::from(format!("{{\"access_token\":\"{}\"}}", "x".repeat(bytes)));
    let token = async move |_: Bytes| ([(CONTENT_TYPE, "application/json")], answer.clone()).into_response();
    axum::serve(listener, axum::Router::new().route("/api/v1/token", post(token))).await?;
    Ok(())
}
