//! Pools and providers, G-1 to G-7.

use serde_json::{Value, json};
use skybru_federation::google::{Pool, PoolName, Provider, ProviderName, Wording};

use super::case::{PROVIDER, WORKFORCE, pool, provider, public_jwk, sign_ec, workforce_provider};

fn refused(change: impl FnOnce(&mut Provider)) -> (&'static str, String) {
    let mut given = provider();
    change(&mut given);
    let error = given.check(Wording::Current).unwrap_err();
    assert_eq!(error.code, 400);
    (error.rule, error.message)
}

#[test]
fn g_1_names_are_numbers_pools_and_providers() {
    let name: ProviderName = PROVIDER.parse().unwrap();
    assert_eq!((name.to_string(), name.pool.id()), (PROVIDER.to_owned(), "skyporten"));
    let name: ProviderName = WORKFORCE.parse().unwrap();
    assert_eq!(name.audience(), format!("//iam.googleapis.com/{WORKFORCE}"));
    assert!(name.pool.is_workforce());
    for wrong in [
        "",
        "projects/1",
        "projects/1/locations/eu/workloadIdentityPools/p/providers/q",
        "projects//locations/global/workloadIdentityPools/p/providers/q",
    ] {
        assert!(wrong.parse::<ProviderName>().is_err(), "{wrong}");
    }
    for id in ["abc", "Upper", "gcp-pool", &"x".repeat(33)] {
        let named = Pool { name: PoolName::Workload { project_number: "1".to_owned(), pool: id.to_owned() }, ..pool() };
        assert_eq!(named.check().unwrap_err().rule, "G-1", "{id}");
    }
}

#[test]
fn g_2_the_issuer_is_an_https_url() {
    let issuer = |uri: &str| refused(|provider| provider.oidc.issuer_uri = uri.to_owned());
    assert_eq!(issuer("http://sky.example.no"), ("G-2", "Invalid OIDC issuer URI. The scheme must be https.".to_owned()));
    for wrong in ["sky.example.no", "ftp://sky.example.no", "https://", ""] {
        assert_eq!(issuer(wrong), ("G-2", "Invalid OIDC issuer URI.".to_owned()), "{wrong}");
    }
    for good in ["https://nowhere.invalid", "https://sky.example.no/", "https://localhost:7402", "http://localhost:7402"] {
        let mut given = provider();
        given.oidc.issuer_uri = good.to_owned();
        assert_eq!(given.check(Wording::Current), Ok(()), "{good}");
    }
}

#[test]
fn g_3_audiences_are_ten_of_256_characters() {
    assert_eq!(refused(|provider| provider.oidc.allowed_audiences = vec!["x".to_owned(); 11]).0, "G-3");
    assert_eq!(refused(|provider| provider.oidc.allowed_audiences = vec!["x".repeat(257)]).0, "G-3");
}

#[test]
fn g_4_uploaded_keys_are_rsa_or_p_256() {
    let check = |key: Value, wording| {
        let mut given = provider();
        given.oidc.jwks_json = Some(json!({"keys": [key]}).to_string());
        given.check(wording).map_err(|error| error.message)
    };
    let ec = |alg| serde_json::to_value(sign_ec(alg, "ec", &json!({})).1).unwrap();
    let with_x5c = || {
        let mut key = public_jwk();
        key["x5c"] = json!(["garbage"]);
        key
    };
    assert_eq!(check(public_jwk(), Wording::Current), Ok(()));
    assert_eq!(check(ec("ES256"), Wording::Current), Ok(()));
    assert_eq!(check(with_x5c(), Wording::Current), Ok(()), "measured in 2026");
    assert_eq!(check(with_x5c(), Wording::Legacy), Err("Input JWK is not in a valid json format".to_owned()));
    for alg in ["ES384", "ES512"] {
        let error = check(ec(alg), Wording::Current).unwrap_err();
        assert!(error.starts_with("Invalid JWKs") && error.ends_with("Only RSA, EC key types are supported."), "{error}");
    }
    let okp = json!({"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "o"});
    assert_eq!(check(okp, Wording::Current), Err("Input jwks contains corrupted key material.".to_owned()));
    let mut given = provider();
    given.oidc.jwks_json = Some("no json".to_owned());
    assert_eq!(given.check(Wording::Current).unwrap_err().message, "Input JWK is not in a valid json format");
}

#[test]
fn g_6_names_and_descriptions_have_a_longest() {
    assert_eq!(refused(|provider| provider.display_name = Some("x".repeat(33))).0, "G-6");
    assert_eq!(refused(|provider| provider.description = Some("x".repeat(257))).0, "G-6");
}

#[test]
fn g_16_a_workforce_provider_needs_a_client_id() {
    let mut given = workforce_provider();
    assert_eq!(given.check(Wording::Current), Ok(()));
    given.oidc.client_id = None;
    assert_eq!(given.check(Wording::Current).unwrap_err().rule, "G-16");
}

/// What gcloud prints can be read, and what is written gcloud reads.
#[test]
fn a_description_is_what_gcloud_prints() {
    let text = json!({
        "name": PROVIDER, "state": "ACTIVE", "attributeMapping": {"google.subject": "assertion.sub"},
        "attributeCondition": "assertion.scope == 'a:b'", "oidc": {"issuerUri": "https://h.no", "allowedAudiences": ["x"]},
    });
    let read: Provider = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), text);
}
