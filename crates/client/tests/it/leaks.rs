//! Nothing that prints may print a secret.

use std::fmt::Debug;
use std::sync::Arc;

use skybru_client::aws::{AwsCredentialSource, AwsExchange};
use skybru_client::clean::clean_token;
use skybru_client::format::{aws_environment, aws_json, aws_process, aws_shell};
use skybru_client::http::HttpOptions;
use skybru_client::inspect::Inspection;
use skybru_client::storage::Bucket;
use skybru_client::token::{TokenRequest, sign_assertion};

use crate::exchange::{source, target};
use crate::issuer::{TestIssuer, ctx, key, request};
use crate::sts::{SECRET, SESSION_TOKEN, TestSts};
use crate::{NOW, at_once, http};

#[tokio::test]
async fn no_public_type_prints_a_token_a_secret_or_a_key() {
    let (issuer, sts) = (TestIssuer::start([]).await, TestSts::start([]).await);
    let (ctx, clock) = ctx();
    let tokens = issuer.source(&ctx);
    let token = tokens.token(&request()).await.unwrap();
    let credentials_source: Arc<AwsCredentialSource> = source(&ctx, &issuer, target(&sts));
    let credentials = credentials_source.credentials().await.unwrap();
    let target = target(&sts);
    let assertion = sign_assertion(&issuer.identity(), &request(), NOW, &*ctx.randomness).await.unwrap();
    let pid = TokenRequest { pid: Some("17912099997".to_owned()), ..request() };

    let things: Vec<&dyn Debug> = vec![&*tokens, &*token, &*credentials_source, &*credentials, &assertion, &pid];
    let mut shown: Vec<String> = things.iter().map(|thing| format!("{thing:?} {thing:#?}")).collect();
    shown.push(format!("{:?}", issuer.identity()));
    shown.push(format!("{:?}", token.answer(ctx.clock.now())));
    shown.push(format!("{:?}", clean_token(token.token.expose()).unwrap()));
    shown.push(format!("{:?}", aws_environment(&credentials, &target)));
    let formats = [aws_process(&credentials), aws_json(&credentials, &target), aws_shell(&credentials, &target)];
    shown.push(format!("{formats:?}"));
    shown.push(format!("{:?}", Inspection::offline(token.token.expose(), &*clock).unwrap()));
    shown.push(format!("{:?}", AwsExchange::new(ctx.clone(), http()).with_retry(at_once())));
    shown.push(format!("{:?}", Bucket::open(ctx.clone(), &http(), credentials_source.clone(), "bucket").unwrap()));
    shown.push(format!("{:?}", HttpOptions { web_proxy: Some("http://me:hunter2@proxy".to_owned()), ..HttpOptions::default() }));

    let private: serde_json::Value = serde_json::from_str(&key().private_jwk().unwrap()).unwrap();
    let signature = |jwt: &str| jwt.rsplit('.').next().unwrap().to_owned();
    let mut secrets = vec![SECRET.to_owned(), SESSION_TOKEN.to_owned(), "17912099997".to_owned(), "hunter2".to_owned()];
    secrets.extend(["d", "p", "q"].map(|member| private[member].as_str().unwrap().to_owned()));
    secrets.push(signature(token.token.expose()));
    secrets.push(signature(assertion.jwt.expose()));
    for text in &shown {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{text}");
        }
    }
}
