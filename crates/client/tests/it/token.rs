//! The token source.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::SignedDuration;
use skybru_client::token::{ClientIdentity, TokenError, TokenRequest, TokenSource};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::issuer::{Step, TestIssuer, ctx, request};
use crate::{NOW, http};

#[tokio::test]
async fn a_hundred_who_ask_at_once_cause_one_request() {
    let issuer = TestIssuer::start([]).await;
    let (ctx, _) = ctx();
    let source = issuer.source(&ctx);
    let request = request();
    let tokens = join_all((0..100).map(|_| source.token(&request))).await;
    let first = tokens[0].as_ref().unwrap();
    assert!(tokens.iter().all(|token| Arc::ptr_eq(token.as_ref().unwrap(), first)));
    assert_eq!(issuer.count(), 1);
    assert_eq!(issuer.seen.lock().unwrap().metadata_requests, 1);
}

#[tokio::test]
async fn a_hundred_who_ask_at_once_share_one_refusal() {
    let issuer = TestIssuer::start([Step::Refuse(Some("MP-250"), "Consumer has not been granted access")]).await;
    let (ctx, _) = ctx();
    let source = issuer.source(&ctx);
    let request = request();
    let outcomes = join_all((0..100).map(|_| source.token(&request))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(TokenError::Refused { .. }))));
    assert_eq!(issuer.count(), 1);
    assert!(source.token(&request).await.is_ok(), "who asks later asks anew");
}

#[tokio::test]
async fn requests_that_differ_are_fetched_apart() {
    let issuer = TestIssuer::start([]).await;
    let (ctx, _) = ctx();
    let source = issuer.source(&ctx);
    source.token(&request()).await.unwrap();
    source.token(&TokenRequest { consumer_org: Some("917422575".parse().unwrap()), ..request() }).await.unwrap();
    source.token(&request().with_resource("https://other.example.no")).await.unwrap();
    source.token(&request()).await.unwrap();
    assert_eq!(issuer.count(), 3);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let issuer = TestIssuer::start([]).await;
    let (ctx, clock) = ctx();
    let source = issuer.source(&ctx);
    let first = source.token(&request()).await.unwrap();
    assert_eq!(first.expires_in(ctx.clock.now()), 120);
    clock.advance(SignedDuration::from_secs(60));
    assert!(Arc::ptr_eq(&first, &source.token(&request()).await.unwrap()), "half of its life is not over");
    clock.advance(SignedDuration::from_secs(30));
    let second = source.token(&request()).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second), "30 seconds are left");
    assert_eq!(issuer.count(), 2);
}

#[tokio::test]
async fn while_one_renews_the_others_go_on_with_the_old_token() {
    let issuer = TestIssuer::start([]).await;
    let (ctx, clock) = ctx();
    let source = issuer.source(&ctx);
    let first = source.token(&request()).await.unwrap();
    clock.advance(SignedDuration::from_secs(110));
    let request = request();
    let tokens = join_all((0..10).map(|_| source.token(&request))).await;
    let old = tokens.iter().filter(|token| Arc::ptr_eq(token.as_ref().unwrap(), &first)).count();
    assert_eq!((old, issuer.count()), (9, 2));
}

#[tokio::test]
async fn a_failed_renewal_leaves_the_old_token_until_it_expires() {
    let fail = || Step::Fail(503, None);
    let issuer = TestIssuer::start([Step::Token(120), fail(), fail(), fail()]).await;
    let (ctx, clock) = ctx();
    let source = issuer.source(&ctx);
    let first = source.token(&request()).await.unwrap();
    clock.advance(SignedDuration::from_secs(105));
    assert!(Arc::ptr_eq(&first, &source.token(&request()).await.unwrap()));
    assert_eq!(issuer.count(), 4, "one that succeeded, three that failed");
    assert!(Arc::ptr_eq(&first, &source.token(&request()).await.unwrap()));
    assert_eq!(issuer.count(), 4, "not asked again at once");
    for _ in 0..3 {
        issuer.then(fail());
    }
    clock.advance(SignedDuration::from_secs(15));
    let expired = source.token(&request()).await;
    assert!(matches!(expired, Err(TokenError::Unavailable { status: 503, .. })), "an expired token serves nobody");
}

#[tokio::test]
async fn every_attempt_is_a_new_assertion() {
    let issuer = TestIssuer::start([Step::Fail(500, None), Step::Fail(429, Some("0"))]).await;
    let (ctx, _) = ctx();
    issuer.source(&ctx).token(&request()).await.unwrap();
    let numbers: HashSet<String> = issuer.claims("jti").iter().map(ToString::to_string).collect();
    assert_eq!(numbers.len(), 3);
}

#[tokio::test]
async fn after_three_attempts_it_gives_up() {
    let issuer = TestIssuer::start((0..4).map(|_| Step::Fail(502, None))).await;
    let (ctx, _) = ctx();
    let error = issuer.source(&ctx).token(&request()).await.unwrap_err();
    assert!(matches!(error, TokenError::Unavailable { status: 502, .. }));
    assert_eq!(issuer.count(), 3);
}

#[tokio::test]
async fn who_asks_for_a_long_pause_is_not_asked_again() {
    let issuer = TestIssuer::start([Step::Fail(503, Some("3600"))]).await;
    let (ctx, _) = ctx();
    assert!(issuer.source(&ctx).token(&request()).await.is_err());
    assert_eq!(issuer.count(), 1);
}

#[tokio::test]
async fn a_refusal_is_final_and_says_what_to_do() {
    for (code, word) in [
        ("MP-012", "twice"),
        ("MP-100", "environment"),
        ("MP-110", "slash"),
        ("MP-120", "not registered"),
        ("MP-121", "rotate"),
        ("MP-124", "key file"),
        ("MP-200", "self-service"),
        ("MP-250", "\"entur\""),
        ("MP-251", "Altinn"),
    ] {
        let issuer = TestIssuer::start([Step::Refuse(Some(code), "No.")]).await;
        let (ctx, _) = ctx();
        let error = issuer.source(&ctx).token(&request()).await.unwrap_err();
        assert_eq!(issuer.count(), 1, "{code}");
        assert_eq!(error.refusal().unwrap().code.as_deref(), Some(code));
        assert_eq!(error.refusal().unwrap().trace_id.as_deref(), Some("356666143081bbec"));
        assert!(error.hint().unwrap().contains(word), "{code}: {:?}", error.hint());
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_corrected_once_and_told() {
    for (code, text, skew) in [(Some("MP-130"), "JWT is expired.", 300), (None, "Issue time is after now.", -300)] {
        let issuer = TestIssuer::start([Step::RefuseAt(code, text, NOW + skew)]).await;
        let (ctx, _) = ctx();
        let source = issuer.source(&ctx);
        let token = source.token(&request()).await.unwrap();
        assert_eq!(issuer.claims("iat"), [NOW, NOW + skew]);
        assert_eq!(source.skew_seconds(), skew);
        assert_eq!(token.expires_in(ctx.clock.now()), 120, "our own clock measures how long it lives");
    }
}

#[tokio::test]
async fn a_corrected_clock_that_is_refused_again_is_the_end() {
    let refuse = || Step::RefuseAt(Some("MP-130"), "JWT is expired.", NOW + 300);
    let issuer = TestIssuer::start([refuse(), refuse(), refuse()]).await;
    let (ctx, _) = ctx();
    let error = issuer.source(&ctx).token(&request()).await.unwrap_err();
    assert_eq!(issuer.count(), 2);
    assert_eq!(error.hint().unwrap(), "this machine's clock is wrong: it is 300 seconds behind the issuer's (D-13)");
}

#[tokio::test]
async fn clocks_that_agree_are_not_corrected() {
    let issuer = TestIssuer::start([Step::RefuseAt(Some("MP-130"), "JWT is expired.", NOW + 9)]).await;
    let (ctx, _) = ctx();
    assert!(issuer.source(&ctx).token(&request()).await.is_err());
    assert_eq!(issuer.count(), 1);
}

#[tokio::test]
async fn an_expired_key_is_not_taken_for_an_expired_assertion() {
    let issuer = TestIssuer::start([Step::RefuseAt(Some("MP-121"), "Expired key.", NOW + 300)]).await;
    let (ctx, _) = ctx();
    assert!(issuer.source(&ctx).token(&request()).await.is_err());
    assert_eq!(issuer.count(), 1);
}

#[tokio::test]
async fn a_fresh_token_is_a_new_one_and_is_kept() {
    let issuer = TestIssuer::start([]).await;
    let (ctx, _) = ctx();
    let source = issuer.source(&ctx);
    let first = source.token(&request()).await.unwrap();
    let fresh = source.fresh(&request()).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &fresh));
    assert!(Arc::ptr_eq(&fresh, &source.token(&request()).await.unwrap()));
}

#[tokio::test]
async fn an_answer_that_is_no_token_is_not_repeated_in_the_error() {
    for body in [
        r#""eyJsecret""#,
        "<html>eyJsecret",
        r#"{"access_token":"eyJsecret"}"#,
        r#"{"access_token":"eyJsecret","token_type":"mac","expires_in":1}"#,
    ] {
        let issuer = TestIssuer::start([Step::Body(body)]).await;
        let (ctx, _) = ctx();
        let error = issuer.source(&ctx).token(&request()).await.unwrap_err();
        assert!(matches!(error, TokenError::Answer { .. }), "{body}");
        assert!(!format!("{error} {error:?}").contains("eyJsecret"), "{error:?}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_is_told_from_one_that_refuses() {
    let issuer = TestIssuer::start([]).await;
    let (ctx, _) = ctx();
    // Nothing listens on port 1 of this machine.
    let identity = ClientIdentity { issuer: "http://127.0.0.1:1".parse().unwrap(), ..issuer.identity() };
    let source = Arc::new(TokenSource::new(ctx, http(), identity).with_retry(crate::at_once()));
    let error = source.token(&request()).await.unwrap_err();
    assert!(error.hint().unwrap().contains("web-proxy"), "{:?}", error.hint());
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_given_endpoint_must_lie_below_the_issuer_and_needs_no_metadata() {
    let issuer = TestIssuer::start([]).await;
    let (ctx, _) = ctx();
    let source = || TokenSource::new(ctx.clone(), http(), issuer.identity());
    assert!(source().with_token_endpoint("https://elsewhere.example.no/token").is_err());
    let source = Arc::new(source().with_token_endpoint(issuer.url.endpoint("token")).unwrap());
    source.token(&request()).await.unwrap();
    assert_eq!(issuer.seen.lock().unwrap().metadata_requests, 0);
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again_with_a_new_assertion() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{", GOOD] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            let mut length = 0;
            // The form follows its head, perhaps in another piece.
            while !String::from_utf8_lossy(&request[..length]).contains("assertion=") {
                length += stream.read(&mut request[length..]).await.unwrap();
            }
            requests.push(request);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    let (ctx, _) = ctx();
    let key = skybru_signer::LocalSigner::from(crate::issuer::key());
    let issuer = format!("http://{address}").parse().unwrap();
    let identity = ClientIdentity::new(issuer, "client-1".parse().unwrap(), key);
    let source = TokenSource::new(ctx, http(), identity).with_retry(crate::at_once());
    let source = Arc::new(source.with_token_endpoint(format!("http://{address}/token")).unwrap());
    assert!(source.token(&request()).await.is_ok());
    let requests = server.await.unwrap();
    assert!(requests[0] != requests[1] && requests[1] != requests[2]);
}

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 57\r\nconnection: close\r\n\r\n{\"access_token\":\"x\",\"token_type\":\"Bearer\",\"expires_in\":9}";
