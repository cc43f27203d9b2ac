//! schemathesis, which reads the API's description and sends what it allows and what it does not.

use std::process::Command;

use serde_json::json;

use crate::aws::present;
use crate::support::{Lab, stderr, stdout};
use crate::tokens::{claims, issuer_key, token};

#[test]
fn the_self_service_api_does_what_its_description_says() {
    if !present("schemathesis", &["--version"]) {
        return;
    }
    let lab = Lab::start();
    let provider = lab.get("/demo/provider_org");
    let now = claims(&lab)["iat"].as_i64().unwrap();
    let bearer = token(
        &issuer_key(&lab),
        claims(&lab),
        &json!({
            "iss": lab.get("/issuers/maskinporten"), "aud": null, "sub": null, "exp": now + 3600,
            "client_amr": "private_key_jwt", "token_type": "Bearer", "client_id": "judge",
            "scope": "idporten:dcr.write idporten:dcr/onbehalfof:write idporten:scopes.write",
            "consumer": {"authority": "iso6523-actorid-upis", "ID": provider}
        }),
    );
    let api = lab.get("/selfservice");
    let home = tempfile::tempdir().unwrap();
    let output = Command::new("schemathesis")
        .args(["run", &format!("{api}/openapi.json"), "--url", api])
        .args(["--header", &format!("Authorization: Bearer {bearer}")])
        // It sends requests that close their connection, and then goes on with that connection.
        .args([
            "--tls-verify",
            lab.get("/ca_file"),
            "--seed",
            "20261125",
            "--max-examples",
            "20",
            "--workers",
            "1",
            "--request-retries",
            "2",
        ])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
        .args(["--phases", "examples,coverage,fuzzing", "--generation-deterministic"])
        .current_dir(home.path())
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}
