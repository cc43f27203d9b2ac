//! In which order AWS meets faults: A-64.

use serde_json::json;
use skybru_protocol::jose::SigningKey;

use crate::case::{Case, NOW, other_jwk, provider, role};

/// Everything is wrong at once. One fault after the other is mended, and each time the next one shows.
#[test]
fn a_64_each_fault_hides_the_ones_after_it() {
    type Mend = fn(&mut Case);
    let mut case = Case::but(|case| {
        case.form.insert("RoleSessionName", "0192:917422575".to_owned());
        case.header["alg"] = "none".into();
        case.claims["exp"] = json!(NOW - 9999);
        case.claims["aud"] = json!(["a", "b"]);
        case.role = None;
        case.form.insert("DurationSeconds", "43200".to_owned());
        case.providers = vec![provider("https://other.no", &["x"])];
        case.discovery = json!({});
        case.keys = vec![];
        case.claims["https://aws.amazon.com/tags"] = json!({"principal_tags": {"k": "no list"}});
        case.form.insert("Policy", "{}".to_owned());
    });
    let stages: [(&str, Mend); 13] = [
        ("A-60", |case| drop(case.form.insert("RoleSessionName", "917422575".to_owned()))),
        ("A-30", |case| case.header["alg"] = "RS256".into()),
        ("A-40", |case| case.claims["aud"] = "https://entur.org".into()),
        ("A-42", |case| case.claims["exp"] = json!(NOW + 60)),
        ("A-62", |case| case.role = Some(role(&json!({"StringEquals": {"sky.example.no:sub": "somebody"}})))),
        ("A-61", |case| drop(case.form.insert("DurationSeconds", "900".to_owned()))),
        ("A-48", |case| case.providers = vec![provider("https://sky.example.no", &["x"])]),
        ("A-50", |case| case.discovery = Case::good().discovery),
        ("A-32", |case| case.keys = vec![other_jwk("test-key-1")]),
        ("A-36", |case| case.keys = Case::good().keys),
        ("A-41", |case| case.providers[0].client_ids.push("https://entur.org".to_owned())),
        ("A-75", |case| drop(case.claims.as_object_mut().unwrap().remove("https://aws.amazon.com/tags"))),
        ("A-62", |case| case.role = Some(role(&json!({"StringLike": {"sky.example.no:sub": "0192:*"}})))),
    ];
    for (rule, mend) in stages {
        assert_eq!(case.refused().3, rule);
        mend(&mut case);
    }
    assert_eq!(case.refused().3, "A-63");
    case.form.remove("Policy");
    case.accepted();
}

/// The guide of 2023 had a wrong audience and a bad discovery document, and got the key error.
#[test]
fn a_64_documents_come_before_the_audience() {
    let case = Case::but(|case| {
        case.claims["aud"] = "https://entur.org".into();
        case.discovery.as_object_mut().unwrap().remove("response_types_supported");
    });
    assert_eq!(case.refused().3, "A-50");
}

#[test]
fn a_53_a_key_that_is_new_counts_at_once() {
    let text = Case::good().token();
    let mut case = Case::but(|case| case.keys = vec![other_jwk("test-key-1")]);
    case.token = Some(text);
    assert_eq!(case.refused().3, "A-36");
    let key = SigningKey::from_text(include_str!("../../../protocol/testdata/rsa2048.jwk"), None).unwrap();
    case.keys = vec![serde_json::to_value(key.public_jwk()).unwrap()];
    case.accepted();
}
