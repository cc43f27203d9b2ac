//! Exchanging a token for credentials: the happy path, and every refusal in AWS's words.

use serde_json::json;
use skybru_core::Clock as _;
use skybru_federation::aws::{Rules, Wording};
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};
use skybru_sim::FetchFault;

use super::issuer::TestIssuer;
use super::sim::{AUDIENCE, NOW, TestSim, provider_arn};

const NO_KEY: &str = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";
const NOT_VALIDATED: &str =
    "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.";

async fn ready(issuer: &TestIssuer) -> TestSim {
    let t = TestSim::start().await;
    t.set_up(issuer).await;
    t
}

fn refused(status: u16, code: &str, text: &str) -> (u16, String, String) {
    (status, code.to_owned(), text.to_owned())
}

/// A-10, A-11, A-24, A-25: the chain is not publicly trusted, but its last certificate is pinned.
#[tokio::test]
async fn a_token_opens_what_the_role_may_read() {
    let issuer = TestIssuer::tls().await;
    let t = ready(&issuer).await;
    let answer = t.exchange(&issuer.token(NOW, &json!({}))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.text("SubjectFromWebIdentityToken"), "0192:917422575;entur:demo");
    assert_eq!(answer.text("Audience"), AUDIENCE);
    assert_eq!(answer.text("Provider"), provider_arn(&issuer));
    assert_eq!(answer.text("Arn"), "arn:aws:sts::123456789012:assumed-role/skyporten-role/917422575");
    assert_eq!(answer.text("Expiration"), "2026-09-21T15:13:20Z", "an hour from now, whatever the token's exp (A-26)");
    assert!(answer.text("AccessKeyId").starts_with("ASIA"));
    assert!(answer.body.starts_with("<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"));

    let keys = t.keys(&issuer).await;
    let object = t.s3(Some(&keys), "GET", "/shared/in/a.csv", b"").await;
    assert_eq!((object.status, object.body.as_str()), (200, "hello"));
}

/// A-41, both wordings.
#[tokio::test]
async fn a_wrong_audience_is_refused() {
    let issuer = TestIssuer::http().await;
    let t = ready(&issuer).await;
    let token = issuer.token(NOW, &json!({"aud": "https://entur.org"}));
    assert_eq!(t.exchange(&token).await.refusal(), refused(400, "InvalidIdentityToken", NOT_VALIDATED));

    let old = TestSim::start_with(|o| o.settings.rules = Rules { wording: Wording::Legacy, ..Rules::default() }).await;
    old.set_up(&issuer).await;
    assert_eq!(old.exchange(&token).await.refusal(), refused(400, "InvalidIdentityToken", "Incorrect token audience"));
}

/// A-62: AWS never says why.
#[tokio::test]
async fn another_organisation_is_refused() {
    let issuer = TestIssuer::http().await;
    let t = ready(&issuer).await;
    let token = issuer.token(NOW, &json!({"sub": "0192:889640782;entur:demo"}));
    let expected = refused(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    assert_eq!(t.exchange(&token).await.refusal(), expected);
}

/// A-42: five minutes are allowed, not one second more.
#[tokio::test]
async fn an_expired_token_is_refused() {
    let issuer = TestIssuer::http().await;
    let t = ready(&issuer).await;
    let at = |exp: i64| issuer.token(NOW, &json!({"exp": exp, "iat": exp - 60}));
    assert_eq!(t.exchange(&at(NOW - 299)).await.status, 200);
    let text = format!("Token expired: current date/time {} must be before the expiration date/time {}", NOW - 300, NOW - 301);
    assert_eq!(t.exchange(&at(NOW - 301)).await.refusal(), refused(400, "ExpiredTokenException", &text));
}

/// A-32, A-36.
#[tokio::test]
async fn an_unknown_key_and_a_forged_signature_are_refused() {
    let issuer = TestIssuer::http().await;
    let t = ready(&issuer).await;
    let unknown = issuer.key.sign_with_header(&json!({"alg": "RS256", "kid": "another"}), &issuer.claims(NOW)).unwrap();
    assert_eq!(t.exchange(&unknown).await.refusal(), refused(400, "InvalidIdentityToken", NO_KEY));

    let stranger = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256).unwrap();
    let forged =
        stranger.sign_with_header(&json!({"alg": "RS256", "kid": issuer.key.kid().as_str()}), &issuer.claims(NOW)).unwrap();
    assert_eq!(t.exchange(&forged).await.refusal(), refused(400, "InvalidIdentityToken", NOT_VALIDATED));
}

/// A-48: at once, for new exchanges; credentials that are out live on.
#[tokio::test]
async fn a_deleted_provider_lets_nobody_in() {
    let issuer = TestIssuer::http().await;
    let t = ready(&issuer).await;
    let keys = t.keys(&issuer).await;
    t.iam("DeleteOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &provider_arn(&issuer))]).await;
    let text = format!("No OpenIDConnect provider found in your account for {}", issuer.url);
    let answer = t.exchange(&issuer.token(NOW, &json!({}))).await;
    assert_eq!(answer.refusal(), refused(400, "InvalidIdentityToken", &text));
    assert_eq!(t.s3(Some(&keys), "GET", "/shared/in/a.csv", b"").await.status, 200);
}

/// A-50, W-1: the discovery document that Skyporten's guide printed in 2023, and the error that it ended in, two blanks included.
#[tokio::test]
async fn discovery_without_the_three_lists_ends_in_the_error_of_2023() {
    let issuer = TestIssuer::http().await;
    let t = ready(&issuer).await;
    issuer.documents.lock().unwrap().discovery = json!({"issuer": issuer.url, "jwks_uri": format!("{}/jwk", issuer.url),
        "token_endpoint": format!("{}/token", issuer.url), "grant_types_supported": ["urn:ietf:params:oauth:grant-type:jwt-bearer"]});
    // The guide's audience was wrong too; the key error comes first (A-64).
    let token = issuer.token(NOW, &json!({"aud": "https://entur.org"}));
    assert_eq!(t.exchange(&token).await.refusal(), refused(400, "InvalidIdentityToken", NO_KEY));

    let lenient = TestSim::start_with(|o| o.settings.rules.strict_discovery = false).await;
    lenient.set_up(&issuer).await;
    assert_eq!(lenient.exchange(&issuer.token(NOW, &json!({}))).await.status, 200);
}

/// A-49: neither a public root nor a thumbprint vouches for the chain.
#[tokio::test]
async fn a_thumbprint_that_does_not_match_is_refused() {
    let issuer = TestIssuer::tls().await;
    let t = ready(&issuer).await;
    let (arn, wrong) = (provider_arn(&issuer), "0".repeat(40));
    let update = [("OpenIDConnectProviderArn", arn.as_str()), ("ThumbprintList.member.1", &wrong)];
    t.iam("UpdateOpenIDConnectProviderThumbprint", &update).await;
    let text = "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint";
    let token = issuer.token(NOW, &json!({}));
    assert_eq!(t.exchange(&token).await.refusal(), refused(400, "InvalidIdentityToken", text));
}

/// A-11: a pinned CA vouches for the names it signed, and for no other.
#[tokio::test]
async fn a_pinned_chain_must_be_for_the_host() {
    let issuer = TestIssuer::tls().await;
    let t = ready(&issuer).await;
    let by_address = issuer.url.replace("localhost", "127.0.0.1");
    issuer.documents.lock().unwrap().discovery["jwks_uri"] = json!(format!("{by_address}/jwk"));
    let text = "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint";
    let token = issuer.token(NOW, &json!({}));
    assert_eq!(t.exchange(&token).await.refusal(), refused(400, "InvalidIdentityToken", text));
}

/// A-7: without thumbprints IAM fetches one, so the issuer must be there.
#[tokio::test]
async fn a_provider_without_thumbprints_gets_the_served_one() {
    let issuer = TestIssuer::tls().await;
    let t = TestSim::start().await;
    t.iam("CreateOpenIDConnectProvider", &[("Url", issuer.url.as_str())]).await;
    let provider = t.iam("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &provider_arn(&issuer))]).await;
    assert!(provider.text("ThumbprintList").contains(issuer.thumbprint.as_deref().unwrap()), "{}", provider.body);

    let absent = t.iam_as(&t.root, "CreateOpenIDConnectProvider", &[("Url", "https://localhost:1")]).await;
    assert_eq!((absent.status, absent.text("Code").as_str()), (400, "OpenIdIdpCommunicationError"));
}

/// A-51, S-21.
#[tokio::test]
async fn every_fault_of_the_issuers_documents_has_the_same_text() {
    let issuer = TestIssuer::http().await;
    let t = ready(&issuer).await;
    let token = issuer.token(NOW, &json!({}));
    for fault in [FetchFault::Timeout, FetchFault::ServerError, FetchFault::Html, FetchFault::Redirect] {
        t.sim.inject_fetch_fault(Some(fault));
        assert_eq!(t.exchange(&token).await.refusal(), refused(400, "InvalidIdentityToken", NO_KEY), "{fault:?}");
    }
    t.sim.inject_fetch_fault(None);
    assert_eq!(t.exchange(&token).await.status, 200);
}

/// A-53: nothing is cached, in either direction.
#[tokio::test]
async fn a_replaced_key_set_counts_at_once() {
    let issuer = TestIssuer::http().await;
    let t = ready(&issuer).await;
    let token = issuer.token(NOW, &json!({}));
    let keys = std::mem::replace(&mut issuer.documents.lock().unwrap().keys, json!({"keys": []}));
    assert_eq!(t.exchange(&token).await.refusal().2, NO_KEY);
    issuer.documents.lock().unwrap().keys = keys;
    assert_eq!(t.exchange(&token).await.status, 200);
}

/// A-20.
#[tokio::test]
async fn a_new_role_is_unknown_for_a_while_when_asked_for() {
    let issuer = TestIssuer::http().await;
    let t = TestSim::start_with(|o| o.control.propagation_delay_seconds = 10).await;
    t.set_up(&issuer).await;
    let token = issuer.token(NOW, &json!({}));
    assert_eq!(t.exchange(&token).await.refusal().1, "AccessDenied");
    t.clock.advance(jiff::SignedDuration::from_secs(10));
    assert_eq!(t.exchange(&issuer.token(t.clock.unix_seconds(), &json!({}))).await.status, 200);
}

/// S-21.
#[tokio::test]
async fn s_21_the_accounts_own_key_moves_clock_propagation_and_faults() {
    let issuer = TestIssuer::http().await;
    let t = ready(&issuer).await;
    let path = skybru_sim::control::CONTROL_PATH;
    let put = async |body: &str| t.send(Some((&t.root, "iam")), "PUT", path, &[], body.as_bytes()).await;
    assert_eq!(put(r#"{"clock_shift_seconds": 700}"#).await.status, 200);
    let token = issuer.token(NOW, &json!({}));
    assert_eq!(t.exchange(&token).await.refusal().1, "ExpiredTokenException");
    assert_eq!(put(r#"{"fetch_fault": "timeout"}"#).await.status, 200);
    assert_eq!(t.exchange(&token).await.refusal().1, "InvalidIdentityToken");
    assert_eq!(put(r#"{"propagation_delay_seconds": 10}"#).await.status, 200);
    assert_eq!(t.exchange(&token).await.refusal().1, "AccessDenied");
    assert_eq!(
        put("{}").await.body,
        r#"{"clock_shift_seconds":0,"propagation_delay_seconds":0,"exchanges_per_minute":0,"fetch_fault":null,"credential_seconds":null}"#
    );
    assert_eq!(t.exchange(&token).await.status, 200);
    assert_eq!(
        put(r#"{"clock": 1}"#).await.refusal(),
        (400, "ValidationError".to_owned(), put(r#"{"clock": 1}"#).await.text("Message"))
    );
    assert_eq!(t.send(None, "GET", path, &[], b"").await.refusal().1, "MissingAuthenticationToken");
}

/// A-21: the parameters may stand in the query string, and no signature is asked for.
#[tokio::test]
async fn a_get_request_is_answered_too() {
    let issuer = TestIssuer::http().await;
    let t = ready(&issuer).await;
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("Action", "AssumeRoleWithWebIdentity"), ("Version", "2011-06-15"), ("RoleArn", super::sim::ROLE)])
        .extend_pairs([("RoleSessionName", "917422575"), ("WebIdentityToken", &issuer.token(NOW, &json!({})))])
        .finish();
    assert_eq!(t.send(None, "GET", &format!("/?{query}"), &[], b"").await.status, 200);
}
