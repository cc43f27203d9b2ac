//! The API's description, and answers held against it.

use std::sync::OnceLock;

use axum::http::Method;
use serde_json::{Value, json};
use skybru_issuer::selfservice::openapi;

use crate::harness::{Answer, TestIssuer, get};

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::to_value(openapi::document()).unwrap())
}

/// The description's path that a request's path is an instance of.
fn template(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/api/v1").unwrap_or(path).trim_end_matches('/').replace("/onbehalof", "/onbehalfof");
    let parts: Vec<&str> = path.split('/').collect();
    let matches = |known: &str| {
        let known: Vec<&str> = known.split('/').collect();
        known.len() == parts.len() && known.iter().zip(&parts).all(|(known, part)| known.starts_with('{') || known == part)
    };
    let paths = document()["paths"].as_object().unwrap();
    // A path to the letter wins over one with a parameter: /scopes/access/all.
    paths
        .keys()
        .map(String::as_str)
        .find(|known| **known == path)
        .or_else(|| paths.keys().map(String::as_str).find(|known| matches(known)))
}

/// Panics when an answer is not described, or not as described.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let template = template(path).unwrap_or_else(|| panic!("{path} is not described"));
    let operation = &document()["paths"][template][method.as_str().to_lowercase()];
    assert!(operation.is_object(), "{method} {template} is not described");
    let response = &operation["responses"][answer.0.to_string()];
    assert!(response.is_object(), "{method} {template} answers {}, which is not described: {}", answer.0, answer.1);
    let schema = &response["content"]["application/json"]["schema"];
    if schema.is_null() {
        assert!(answer.1.is_null(), "{method} {template} answers {}, and no body is described", answer.1);
        return;
    }
    let whole = json!({"allOf": [schema], "components": document()["components"]});
    let validator = jsonschema::validator_for(&whole).unwrap();
    let wrong: Vec<String> =
        validator.iter_errors(&answer.1).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{method} {template}: {wrong:#?} in {}", answer.1);
}

#[tokio::test]
async fn the_description_is_served_and_every_reference_in_it_leads_somewhere() {
    let t = TestIssuer::start().await;
    let served = get(&t.api, "/api/v1/openapi.json").await;
    assert_eq!((served.0, &served.1), (200, document()));
    let text = document().to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document()["components"]["schemas"][name].is_object(), "{name} is not described");
    }
}

/// The description in the documentation is what is served.
#[test]
fn the_written_description_is_the_served_one() {
    let written = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");
    let text = serde_json::to_string_pretty(document()).unwrap() + "\n";
    if std::fs::read_to_string(written).unwrap_or_default() != text {
        // Written anew, so that the next run passes when the change was meant.
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference")).unwrap();
        std::fs::write(written, text).unwrap();
        panic!("docs/reference/openapi.json was not up to date; it is now: look at the difference and commit it");
    }
}
