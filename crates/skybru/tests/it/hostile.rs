//! Requests that nobody would send by mistake. The server goes on answering others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::StatusCode;

use crate::support::Lab;

async fn is_well(lab: &Lab) {
    let health = lab.http().get(format!("{}/health", lab.get("/issuers/skyporten"))).send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
}

#[tokio::test]
async fn oversized_and_malformed_requests_are_answered_and_forgotten() {
    let lab = Lab::start();
    let http = lab.http();
    let token = format!("{}/token", lab.get("/issuers/skyporten"));
    let form = |body: Vec<u8>| http.post(&token).header("content-type", "application/x-www-form-urlencoded").body(body).send();
    let assertion = |text: &str| format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={text}").into_bytes();
    let deep = format!("{}.{}.x", "eyJhbGciOiJSUzI1NiJ9", skybru_protocol::base64url::encode("[".repeat(8_000)));
    for body in [
        vec![b'a'; 10_000_000],
        vec![0xff; 1_000],
        assertion(&"a".repeat(31_000)),
        assertion("a.b.c.d.e"),
        assertion("%00%ff"),
        assertion(&deep),
        assertion("eyJhbGciOiJub25lIn0.e30."),
    ] {
        // A body that is far too large may also end in a closed connection.
        if let Ok(answer) = form(body).await {
            assert!(answer.status().is_client_error(), "{}", answer.status());
        }
    }
    let api = lab.get("/selfservice");
    let answer =
        http.post(format!("{api}/clients")).header("authorization", "Bearer x.y.z").body("[".repeat(100_000)).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::UNAUTHORIZED, "who is not known is not read");
    let aws = lab.get("/clouds/aws/endpoint");
    let answer =
        http.post(aws).header("content-type", "application/x-www-form-urlencoded").body("Action=%ff&".repeat(1_000)).send().await;
    assert!(answer.unwrap().status().is_client_error());
    is_well(&lab).await;
}

/// A connection that says nothing, or says it slowly, is closed, and holds nobody up.
#[tokio::test]
async fn slow_callers_are_left_behind() {
    let lab = Lab::start();
    let address = lab.get("/clouds/aws/endpoint").replace("http://localhost", "127.0.0.1");
    let mut slow: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Le").unwrap();
    }
    let issuer = lab.get("/issuers/skyporten").replace("https://localhost", "127.0.0.1");
    let silent: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(&issuer).unwrap()).collect();
    is_well(&lab).await;
    let mut answer = Vec::new();
    let first = &mut slow[0];
    first.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let closed = first.read_to_end(&mut answer);
    assert!(closed.is_ok(), "the connection is closed in time: {closed:?}");
    drop(silent);
}
