//! Traces of a running server, as a collector receives them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::Value;

use crate::support::server::{Server, onboard, run, settings};
use crate::support::{program, stderr};

type Received = Arc<Mutex<Vec<u8>>>;

/// A collector that keeps everything.
fn collector(runtime: &tokio::runtime::Runtime) -> (String, Received) {
    let received = Received::default();
    let take = async |State(received): State<Received>, body: Bytes| received.lock().unwrap().extend_from_slice(&body);
    let router = Router::new().route("/v1/traces", post(take)).with_state(received.clone());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value?;
    Some(match value {
        Attribute::StringValue(text) => text,
        Attribute::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_collector_gets_the_steps_of_each_request_in_the_callers_trace_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (url, received) = collector(&runtime);
    let port = settings(folder.path(), "");
    let file = folder.path().join("skybru.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}[telemetry]\notlp-endpoint = \"{url}\"\n")).unwrap();
    let server = Server::start(folder.path());
    onboard(folder.path(), port);
    let token = run(program(folder.path(), &["--config", "reader.toml", "token"]));

    // A caller with a trace of its own, and something secret where it does not belong.
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = runtime.block_on(async {
        let request = http.post(format!("http://localhost:{}/token?assertion=geheim", port + 2));
        let request = request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-01")).body("grant_type=geheim2");
        request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap()
    });
    assert_eq!((answer.status().as_u16(), answer.headers()["x-trace-id"].to_str().unwrap()), (400, trace));
    let log = server.stop();

    let bytes = received.lock().unwrap().clone();
    // Messages of one type, one behind the other, are one message with all that they hold.
    let message = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
    let spans: Vec<&Span> = message.resource_spans.iter().flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans).collect();
    let named = |name: &str| -> Vec<&&Span> { spans.iter().filter(|span| span.name == name).collect() };
    let signed = named("issuer.token.sign");
    let last = signed.iter().find(|span| attribute(span, "consumer.org").as_deref() == Some("0192:310702641")).unwrap();
    let jws = skybru_protocol::jose::Jws::parse(token.trim()).unwrap();
    let claims: Value = serde_json::from_slice(jws.payload()).unwrap();
    assert!(signed.iter().any(|span| attribute(span, "jti").as_deref() == claims["jti"].as_str()));
    let parent = |span: &Span| spans.iter().find(|other| other.span_id == span.parent_span_id).map(|other| other.name.as_str());
    assert_eq!(parent(last), Some("issuer.token.grant"));
    assert_eq!(parent(named("issuer.assertion.use_up")[0]), Some("issuer.token.grant"));
    assert_eq!(parent(named("issuer.token.grant")[0]), Some("issuer.request.answer"));

    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let of_caller: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id) == trace).collect();
    let outer = of_caller.iter().find(|span| span.name == "issuer.request.answer").unwrap();
    assert_eq!(hex(&outer.parent_span_id), "b7ad6b7169203331");
    assert_eq!(attribute(outer, "url.path").as_deref(), Some("/token"));
    assert_eq!(attribute(outer, "http.response.status_code").as_deref(), Some("400"));
    let inner = of_caller.iter().find(|span| span.name == "issuer.token.grant").unwrap();
    assert_eq!(attribute(inner, "oauth.code").as_deref(), Some("unsupported_grant_type"));

    let key: Value = serde_json::from_str(&std::fs::read_to_string(folder.path().join("reader.jwk")).unwrap()).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for secret in ["geheim", "eyJ", token.trim(), key["d"].as_str().unwrap(), "AGE-SECRET-KEY"] {
        assert!(!text.contains(secret) && !log.contains(secret), "{secret}");
    }
}

#[test]
fn a_collector_that_is_away_keeps_nobody_from_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let port = settings(folder.path(), "");
    let file = folder.path().join("skybru.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}[telemetry]\notlp-endpoint = \"http://127.0.0.1:1\"\n")).unwrap();
    let server = Server::start(folder.path());
    onboard(folder.path(), port);
    server.stop();
    for (more, expected) in [
        ("otlp-endpoint = \"localhost:4318\"", "expected an http or https URL"),
        ("otlp-endpoint = \"http://a:geheim@localhost\"", "without credentials"),
        ("otlp-endpoint = \"http://localhost\"\nsample-ratio = 7.0", "expected 0 to 1, found 7"),
    ] {
        std::fs::write(&file, format!("{text}[telemetry]\n{more}\n")).unwrap();
        let output = program(folder.path(), &["issuer", "serve"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(expected) && !stderr(&output).contains("geheim"), "{more}: {}", stderr(&output));
    }
}
