//! `AssumeRoleWithWebIdentity` refused: the fetching and the wire, on top of the rules that `federation` tests.

use serde_json::json;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};
use skybru_sim::aws::FetchFault;

use crate::account::Account;
use crate::issuer::TestIssuer;

const NO_KEY: &str = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";
const NOT_VALIDATED: &str =
    "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.";

///
#[tokio::test]
async fn a_wrong_token_is_refused_with_awss_code_and_text() {
    let account = Account::with(TestIssuer::http().await).await;
    let now = account.issuer.claims(0)["iat"].as_i64().unwrap();
    assert_eq!(now, 0, "claims are made for the second that is asked for");
    let wrong_audience = account.assume(&account.token(&json!({"aud": "https://else.no"}))).await;
    assert_eq!(wrong_audience.error(), (400, "InvalidIdentityToken", NOT_VALIDATED));
    let wrong_subject = account.assume(&account.token(&json!({"sub": "0192:917422575;entur:other"}))).await;
    assert_eq!(wrong_subject.error(), (403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
    let good = account.token(&json!({}));
    account.clock.advance(jiff::SignedDuration::from_secs(421));
    assert_eq!(account.assume(&good).await.error().1, "ExpiredTokenException");
    let (head, _) = account.token(&json!({})).rsplit_once('.').map(|(head, tail)| (head.to_owned(), tail.to_owned())).unwrap();
    assert_eq!(account.assume(&format!("{head}.AAAA")).await.error(), (400, "InvalidIdentityToken", NOT_VALIDATED));
    let sender = account.assume("nonsense").await;
    assert_eq!(sender.element("Type"), Some("Sender"), "A-27");
}

/// A-50, W-2: what the guide of 2023 ended in. The two blanks are AWS's.
#[tokio::test]
async fn discovery_without_the_three_lists_gives_the_error_that_nobody_could_explain() {
    let account = Account::with(TestIssuer::http().await).await;
    for missing in ["response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"] {
        let before = account.issuer.documents.lock().unwrap().clone();
        account.issuer.documents.lock().unwrap().discovery.as_object_mut().unwrap().remove(missing);
        assert_eq!(account.assume(&account.token(&json!({}))).await.error(), (400, "InvalidIdentityToken", NO_KEY), "{missing}");
        *account.issuer.documents.lock().unwrap() = before;
    }
    assert_eq!(account.assume(&account.token(&json!({}))).await.0, 200, "nothing of it is remembered (A-53)");
}

///
#[tokio::test]
async fn a_key_that_is_not_published_is_not_found_and_one_that_is_works_at_once() {
    let account = Account::with(TestIssuer::http().await).await;
    let new = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256).unwrap();
    let claims = account.issuer.claims(skybru_core::Clock::unix_seconds(&*account.clock));
    let token = new.sign(Some("JWT"), &claims).unwrap();
    assert_eq!(account.assume(&token).await.error(), (400, "InvalidIdentityToken", NO_KEY));
    account.issuer.documents.lock().unwrap().keys = json!({"keys": [new.public_jwk()]});
    assert_eq!(account.assume(&token).await.0, 200);
}

/// a private CA is trusted by its thumbprint, and by nothing else.
#[tokio::test]
async fn a_private_ca_needs_the_right_thumbprint() {
    let account = Account::with(TestIssuer::tls().await).await;
    assert_eq!(account.assume(&account.token(&json!({}))).await.0, 200);
    let arn = format!("arn:aws:iam::123456789012:oidc-provider/{}", account.issuer.host());
    let wrong = "0".repeat(40);
    let parameters = [("OpenIDConnectProviderArn", arn.as_str()), ("ThumbprintList.member.1", wrong.as_str())];
    assert_eq!(account.iam("UpdateOpenIDConnectProviderThumbprint", &parameters).await.0, 200);
    let text = "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint";
    assert_eq!(account.assume(&account.token(&json!({}))).await.error(), (400, "InvalidIdentityToken", text));
}

/// without a thumbprint IAM takes the one that it finds.
#[tokio::test]
async fn a_provider_without_thumbprint_gets_the_one_that_is_served() {
    let account = Account::bare(TestIssuer::tls().await, None).await;
    account.create_provider(None).await;
    let arn = format!("arn:aws:iam::123456789012:oidc-provider/{}", account.issuer.host());
    let provider = account.iam("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn)]).await;
    assert!(provider.1.contains(account.issuer.thumbprint.as_deref().unwrap()), "{}", provider.1);
}

/// A-51, S-21.
#[tokio::test]
async fn an_issuer_that_does_not_answer_gives_the_same_words() {
    let account = Account::with(TestIssuer::http().await).await;
    for fault in [FetchFault::Timeout, FetchFault::ServerError, FetchFault::Html, FetchFault::Redirect] {
        account.sim.inject_fetch_fault(Some(fault));
        assert_eq!(account.assume(&account.token(&json!({}))).await.error().2, NO_KEY, "{fault:?}");
    }
    account.sim.inject_fetch_fault(None);
    assert_eq!(account.assume(&account.token(&json!({}))).await.0, 200);
}

///
#[tokio::test]
async fn without_its_provider_a_token_is_nobodys() {
    let account = Account::with(TestIssuer::http().await).await;
    let arn = format!("arn:aws:iam::123456789012:oidc-provider/{}", account.issuer.host());
    assert_eq!(account.iam("DeleteOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn)]).await.0, 200);
    let text = format!("No OpenIDConnect provider found in your account for {}", account.issuer.url);
    assert_eq!(account.assume(&account.token(&json!({}))).await.error(), (400, "InvalidIdentityToken", text.as_str()));
    assert_eq!(account.iam("DeleteOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn)]).await.error().1, "NoSuchEntity");
}
