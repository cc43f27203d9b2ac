//! Inspection with the issuer at hand.

use serde_json::json;
use skybru_client::inspect::{Inspection, Signature};
use skybru_core::ctx::ManualClock;

use crate::issuer::{TestIssuer, key};
use crate::{NOW, http};

#[tokio::test]
async fn a_token_is_verified_with_the_issuers_published_key() {
    let issuer = TestIssuer::start([]).await;
    let token = key().sign(None, &json!({"iss": issuer.url, "iat": NOW, "exp": NOW + 120})).unwrap();
    let inspection = Inspection::online(&http(), &token, &ManualClock::at(NOW)).await.unwrap();
    assert!(matches!(inspection.signature, Signature::Verified { .. }), "{}", inspection.signature);
    assert_eq!(inspection.issuer(), Some(issuer.url));
}

#[tokio::test]
async fn an_issuer_that_is_away_leaves_the_rest_readable() {
    let token = key().sign(None, &json!({"iss": "http://127.0.0.1:1", "sub": "x"})).unwrap();
    let inspection = Inspection::online(&http(), &token, &ManualClock::at(NOW)).await.unwrap();
    assert!(matches!(&inspection.signature, Signature::NotChecked { hint: Some(_), .. }), "{}", inspection.signature);
    assert_eq!(inspection.claims["sub"], "x");
}

#[tokio::test]
async fn an_issuer_that_is_no_issuer_is_not_asked() {
    for iss in ["http://169.254.169.254/", "file:///etc/passwd", "sky.maskinporten.no"] {
        let token = key().sign(None, &json!({"iss": iss})).unwrap();
        let inspection = Inspection::online(&http(), &token, &ManualClock::at(NOW)).await.unwrap();
        let Signature::NotChecked { reason, .. } = inspection.signature else { panic!("{iss}") };
        assert!(reason.contains("https://"), "{reason}");
    }
}
