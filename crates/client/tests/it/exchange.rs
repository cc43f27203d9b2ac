//! From a token to AWS credentials.

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::SignedDuration;
use skybru_client::aws::{AwsCredentialError, AwsCredentialSource, AwsExchange, AwsTarget, ExchangeError};
use skybru_core::{Ctx, Secret};

use crate::issuer::{TestIssuer, access_token, ctx, request};
use crate::sts::{SECRET, SESSION_TOKEN, SUBJECT, TestSts, refusal, success};
use crate::{at_once, http};

pub(crate) fn target(sts: &TestSts) -> AwsTarget {
    let role = "arn:aws:iam::123456789012:role/skyporten-role".parse().unwrap();
    AwsTarget { endpoint: Some(sts.url.clone()), ..AwsTarget::new(role, "eu-north-1".parse().unwrap()) }
}

fn exchange(ctx: &Ctx) -> AwsExchange {
    AwsExchange::new(ctx.clone(), http()).with_retry(at_once())
}

pub(crate) fn source(ctx: &Ctx, issuer: &TestIssuer, target: AwsTarget) -> Arc<AwsCredentialSource> {
    Arc::new(AwsCredentialSource::new(ctx.clone(), issuer.source(ctx), request(), exchange(ctx), target))
}

fn token() -> Secret {
    Secret::from(access_token(1))
}

#[tokio::test]
async fn the_request_is_unsigned_and_names_role_session_and_duration() {
    let sts = TestSts::start([]).await;
    let (ctx, _) = ctx();
    let credentials = exchange(&ctx).exchange(&token(), &target(&sts)).await.unwrap();
    let form = sts.seen.lock().unwrap().forms[0].clone();
    assert_eq!(form["Action"], "AssumeRoleWithWebIdentity");
    assert_eq!(form["Version"], "2011-06-15");
    assert_eq!(form["RoleArn"], "arn:aws:iam::123456789012:role/skyporten-role");
    assert_eq!(form["RoleSessionName"], "0192-917422575", "A-23");
    assert_eq!(form["DurationSeconds"], "3600");
    assert_eq!(form["WebIdentityToken"], access_token(1));
    assert_eq!(credentials.access_key_id, "ASIAIOSFODNN7EXAMPLE");
    assert!(credentials.secret_access_key.matches(SECRET) && credentials.session_token.matches(SESSION_TOKEN));
    assert_eq!(credentials.expiration.to_string(), "2023-11-14T23:13:20Z");
    assert_eq!(credentials.account_id, "123456789012");
    assert_eq!(credentials.subject.as_deref(), Some(SUBJECT));
    assert_eq!(credentials.provider.as_deref(), Some("arn:aws:iam::123456789012:oidc-provider/sky.example.no"));
}

#[tokio::test]
async fn a_refusal_reaches_the_user_word_for_word() {
    // A-32, with its two spaces.
    let text = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";
    let sts = TestSts::start([refusal(400, "InvalidIdentityToken", text)]).await;
    let (ctx, _) = ctx();
    let error = exchange(&ctx).exchange(&token(), &target(&sts)).await.unwrap_err();
    let ExchangeError::Refused { code, message, status, request_id } = &error else { panic!("{error:?}") };
    assert_eq!((code.as_str(), message.as_str(), *status, request_id.as_str()), ("InvalidIdentityToken", text, 400, "4e4c4b4a"));
    assert!(error.to_string().contains(text));
    assert_eq!(sts.count(), 1, "a verdict about the token is not asked for twice (A-96)");
}

#[tokio::test]
async fn access_denied_is_not_tried_again() {
    let sts = TestSts::start([refusal(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")]).await;
    let (ctx, _) = ctx();
    let error = exchange(&ctx).exchange(&token(), &target(&sts)).await.unwrap_err();
    assert_eq!(sts.count(), 1);
    assert!(error.hint().unwrap().contains("trust policy"));
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let sts = TestSts::start([
        refusal(400, "IDPCommunicationError", "try later"),
        (500, "<ErrorResponse><Error><Type>Receiver</Type><Code>InternalFailure</Code></Error></ErrorResponse>".to_owned()),
    ])
    .await;
    let (ctx, _) = ctx();
    assert!(exchange(&ctx).exchange(&token(), &target(&sts)).await.is_ok());
    assert_eq!(sts.count(), 3);
}

#[tokio::test]
async fn credentials_of_anybody_else_are_thrown_away() {
    let ours = "arn:aws:sts::123456789012:assumed-role/skyporten-role/0192-917422575";
    let cases = [
        success("arn:aws:sts::123456789012:assumed-role/admin/0192-917422575", SUBJECT),
        success("arn:aws:sts::999999999999:assumed-role/skyporten-role/0192-917422575", SUBJECT),
        success("arn:aws:iam::123456789012:user/somebody", SUBJECT),
        success(ours, "0192:889640782;entur:skyporten.demo"),
        success(ours, ""),
    ];
    for body in cases {
        let sts = TestSts::start([(200, body.clone())]).await;
        let (ctx, _) = ctx();
        let error = exchange(&ctx).exchange(&token(), &target(&sts)).await.unwrap_err();
        let of_another = matches!(error, ExchangeError::OtherRole { .. } | ExchangeError::OtherSubject { .. });
        assert!(of_another, "{error:?}");
        assert!(!format!("{error} {error:?}").contains(SECRET));
    }
}

#[tokio::test]
async fn an_answer_that_is_no_xml_is_not_repeated() {
    for body in [format!("<html>{SECRET}"), format!("{{\"secret\":\"{SECRET}\"}}"), format!("<A><SecretAccessKey>{SECRET}</A>")] {
        let sts = TestSts::start([(200, body)]).await;
        let (ctx, _) = ctx();
        let error = exchange(&ctx).exchange(&token(), &target(&sts)).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Answer { .. }));
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    }
}

#[tokio::test]
async fn limits_of_aws_are_told_before_asking() {
    let sts = TestSts::start([]).await;
    let (ctx, _) = ctx();
    let short = AwsTarget { duration_seconds: Some(60), ..target(&sts) };
    assert!(matches!(exchange(&ctx).exchange(&token(), &short).await, Err(ExchangeError::Duration(60))));
    let opaque = Secret::from("opaque-token".to_owned());
    assert!(matches!(exchange(&ctx).exchange(&opaque, &target(&sts)).await, Err(ExchangeError::Token(_))));
    assert_eq!(sts.count(), 0);
}

#[tokio::test]
async fn credentials_are_fetched_once_and_renewed_before_they_end() {
    let (issuer, sts) = (TestIssuer::start([]).await, TestSts::start([]).await);
    let (ctx, clock) = ctx();
    let source = source(&ctx, &issuer, target(&sts));
    let all = join_all((0..100).map(|_| source.credentials())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!((issuer.count(), sts.count()), (1, 1));
    clock.advance(SignedDuration::from_mins(49));
    source.credentials().await.unwrap();
    assert_eq!(sts.count(), 1);
    clock.advance(SignedDuration::from_mins(6));
    source.credentials().await.unwrap();
    assert_eq!(sts.count(), 2, "five minutes are left, at which SDKs ask");
}

#[tokio::test]
async fn a_token_that_aws_finds_too_old_is_replaced_once() {
    let (issuer, sts) =
        (TestIssuer::start([]).await, TestSts::start([refusal(400, "ExpiredTokenException", "Token expired")]).await);
    let (ctx, _) = ctx();
    source(&ctx, &issuer, target(&sts)).credentials().await.unwrap();
    assert_eq!((issuer.count(), sts.count()), (2, 2));
}

#[tokio::test]
async fn who_refused_stays_visible() {
    let sts = TestSts::start([refusal(403, "AccessDenied", "no")]).await;
    let issuer = TestIssuer::start([]).await;
    let (ctx, _) = ctx();
    let source = source(&ctx, &issuer, target(&sts));
    assert!(matches!(source.credentials().await, Err(AwsCredentialError::Exchange(_))));
}
