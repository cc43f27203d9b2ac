//! `[server.limits]`, over real sockets: callers who say nothing, too much, or say it too slowly.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::server::{Server, settings};
use crate::support::{program, stderr};

/// A server that is quick to lose patience, and its first port.
fn impatient(folder: &Path, limits: &str) -> (Server, u16) {
    let port = settings(folder, &format!("[server.limits]\n{limits}"));
    (Server::start(folder), port)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

/// Everything until the other end hangs up. A caller that is cut off while it speaks may hear nothing.
fn until_closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection stays open: {error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether the other end says nothing for so long, and does not hang up either.
fn is_silent(stream: &mut TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    let heard = stream.peek(&mut [0]);
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    heard.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn is_well(port: u16) {
    let mut stream = connect(port);
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    assert!(until_closed(&mut stream).starts_with("HTTP/1.1 200"));
}

#[test]
fn silence_and_unfinished_headers_end_after_the_time_for_headers() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, port) = impatient(folder.path(), "header-seconds = 1");
    // Nothing; too little to tell HTTP/1.1 from HTTP/2; an unfinished HTTP/2 preface; unfinished headers.
    for said in ["", "P", "PRI * HTTP/2.0\r\n", "POST /token HTTP/1.1\r\nhost: localhost\r\nx-a"] {
        let begun = Instant::now();
        let mut stream = connect(port + 2);
        stream.write_all(said.as_bytes()).unwrap();
        until_closed(&mut stream);
        let lasted = begun.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_secs(20)).contains(&lasted), "{said:?}: {lasted:?}");
    }
    // One header a moment, for ever: that the headers go on does not help.
    let mut stream = connect(port + 2);
    stream.write_all(b"POST /token HTTP/1.1\r\n").unwrap();
    let begun = Instant::now();
    while stream.write_all(b"x-a: b\r\n").is_ok() && is_silent(&mut stream, Duration::from_millis(50)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "headers that never end are taken for ever");
    }
    // After an answer the connection may be used again, and is closed when it is not.
    let mut stream = connect(port + 2);
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert!(until_closed(&mut stream).starts_with("HTTP/1.1 200"));
    is_well(port + 2);
}

#[test]
fn a_body_that_comes_byte_by_byte_is_cut_off_with_408() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, port) = impatient(folder.path(), "request-seconds = 2");
    for (port, path) in [(port + 2, "/token"), (port, "/api/v1/clients")] {
        let mut stream = connect(port);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let begun = Instant::now();
        while stream.write_all(b"a").is_ok() && is_silent(&mut stream, Duration::from_millis(20)) {
            assert!(begun.elapsed() < Duration::from_secs(12), "{path}: bytes are taken for ever");
        }
        let answer = until_closed(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 408") || answer.is_empty(), "{path}: {answer}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{path}: {:?}", begun.elapsed());
    }
    // Who stops in the middle hears why.
    let mut stream = connect(port + 2);
    stream.write_all(b"POST /token HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\ngrant").unwrap();
    assert!(until_closed(&mut stream).starts_with("HTTP/1.1 408"));
    is_well(port + 2);
}

#[test]
fn bodies_and_heads_that_are_too_large_are_refused_before_they_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, port) = impatient(folder.path(), "");
    let form = "content-type: application/x-www-form-urlencoded";
    // Of what is announced, some megabytes lie in the buffers of both ends before anybody is told to stop.
    let much = 40_000_000;
    for (port, path) in [(port + 2, "/token"), (port, "/api/v1/altinn/admin/clients")] {
        for head in [format!("content-length: {}", 100_000_000), "transfer-encoding: chunked".to_owned()] {
            let mut stream = connect(port);
            let text = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{form}\r\n{head}\r\n\r\n");
            stream.write_all(text.as_bytes()).unwrap();
            let piece = if head.starts_with("content") { "a".repeat(1000) } else { format!("3e8\r\n{}\r\n", "a".repeat(1000)) };
            let mut sent = 0;
            while sent < much && stream.write_all(piece.as_bytes()).is_ok() {
                sent += 1000;
            }
            let answer = until_closed(&mut stream);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{path} {head}: {answer}");
            assert!(sent < much, "{path} {head}: {sent} bytes were taken");
        }
    }
    // What is just too large is told so.
    let mut stream = connect(port + 2);
    let body = "a".repeat(33 * 1024);
    let text = format!(
        "POST /token HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{form}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).unwrap();
    let answer = until_closed(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("larger than 32 KiB"), "{answer}");

    for head in [format!("x-a: {}", "a".repeat(70_000)), "x-a: b\r\n".repeat(10_000)] {
        let mut stream = connect(port + 2);
        let text = format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n");
        let _ = stream.write_all(text.as_bytes());
        let answer = until_closed(&mut stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    // A known client puts everything into the address.
    let mut stream = connect(port + 2);
    let text = format!(
        "POST /token?assertion={} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        "a".repeat(31_000)
    );
    stream.write_all(text.as_bytes()).unwrap();
    assert!(until_closed(&mut stream).starts_with("HTTP/1.1 400"));
    is_well(port + 2);
}

#[test]
fn who_comes_when_all_connections_are_taken_waits_and_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, port) = impatient(folder.path(), "connections = 3\nheader-seconds = 3");
    let mut silent: Vec<TcpStream> = (0..3).map(|_| connect(port + 2)).collect();
    // They are accepted in turn, so a fourth finds all places taken.
    assert!(is_silent(&mut silent[2], Duration::from_millis(300)));
    let mut fourth = connect(port + 2);
    fourth.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    assert!(is_silent(&mut fourth, Duration::from_millis(500)), "nobody answers while all places are taken");
    assert!(until_closed(&mut fourth).starts_with("HTTP/1.1 200"), "the silent ones have been left behind");
    drop(silent);
}

#[test]
fn limits_that_would_let_nobody_in_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (limits, expected) in [
        ("connections = 0", "must be at least 1"),
        ("request-seconds = 0", "must be at least 1"),
        ("request-seconds = -1", "request-seconds"),
        ("body-bytes = 1", "unknown field `body-bytes`"),
    ] {
        settings(folder.path(), &format!("[server.limits]\n{limits}"));
        let output = program(folder.path(), &["issuer", "serve"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{limits}");
        assert!(stderr(&output).contains(expected), "{limits}: {}", stderr(&output));
    }
}
