//! The authenticator of Kubernetes' API server, unmodified as Go's module proxy has it: it reads the issuer's discovery and key set, and judges
//! tokens by OpenID Connect's rules. A cluster that is told of a Skyporten would let an organisation in by its subject.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use skybru_protocol::base64url;
use skybru_protocol::jose::SigningKey;

use crate::aws::present;
use crate::support::{Lab, RESOURCE, SUBJECT, stderr, stdout};
use crate::tokens::{claims, issuer_key, other_key, token};

fn with_header(key: &SigningKey, header: &Value, claims: &Value) -> String {
    key.sign_with_header(header, claims).unwrap()
}

/// What is presented, how it is made, and a word of the refusal; without one it must be taken.
fn cases(lab: &Lab) -> Vec<(&'static str, String, Option<&'static str>)> {
    let (key, good) = (issuer_key(lab), claims(lab));
    let now = good["iat"].as_i64().unwrap();
    let kid = key.public_jwk().kid.unwrap();
    let changed = |changes: Value| token(&key, good.clone(), &changes);
    let without = |claim: &str| {
        let mut less = good.clone();
        less.as_object_mut().unwrap().remove(claim);
        token(&key, less, &json!({}))
    };
    let signed = changed(json!({}));
    let (input, signature) = signed.rsplit_once('.').unwrap();
    let part = |value: &Value| base64url::encode(value.to_string());
    let mut others = good.clone();
    others["sub"] = "root".into();
    let forged = format!("{}.{}.{signature}", input.split('.').next().unwrap(), part(&others));
    vec![
        ("what the issuer signs", signed.clone(), None),
        ("a list that names the audience", changed(json!({"aud": ["https://other.no", RESOURCE]})), None),
        ("at+jwt", with_header(&key, &json!({"alg": "RS256", "kid": kid, "typ": "at+jwt"}), &good), None),
        ("another audience", changed(json!({"aud": "https://other.no"})), Some("expected audience")),
        ("another issuer", changed(json!({"iss": "https://other.no"})), Some("not for this issuer")),
        (
            "a slash after the issuer",
            changed(json!({"iss": format!("{}/", good["iss"].as_str().unwrap())})),
            Some("not for this issuer"),
        ),
        ("too late", changed(json!({"exp": now - 3600})), Some("expired")),
        ("too early", changed(json!({"nbf": now + 3600})), Some("before the nbf")),
        ("no end", without("exp"), Some("expired")),
        ("no subject", without("sub"), Some("claim not present")),
        ("another key of that name", token(&other_key(), good.clone(), &json!({})), Some("signature")),
        (
            "a key id that is not published",
            with_header(&key, &json!({"alg": "RS256", "kid": "another"}), &good),
            Some("signature"),
        ),
        ("other claims under the signature", forged, Some("signature")),
        ("no signature", format!("{}.{}.", part(&json!({"alg": "none"})), part(&good)), Some("none")),
    ]
}

#[test]
fn a_clusters_authenticator_knows_the_issuers_tokens_from_others() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/kubernetes");
    if !present("go", &["version"]) {
        return;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubernetes-authenticator");
    let built = Command::new("go").args(["build", "-o"]).arg(&program).current_dir(&folder).output().unwrap();
    assert!(built.status.success(), "{}", stderr(&built));

    let lab = Lab::start();
    let cases = cases(&lab);
    let mut filter = Command::new(&program);
    filter.env("SKYPORTEN", lab.get("/issuers/skyporten")).env("RESOURCE", RESOURCE).env("CA_FILE", lab.folder.join("ca.pem"));
    let mut filter = filter.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for (_, token, _) in &cases {
        writeln!(filter.stdin.as_mut().unwrap(), "{token}").unwrap();
    }
    let output = filter.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let verdicts = stdout(&output);
    assert_eq!(verdicts.lines().count(), cases.len(), "{verdicts}");
    for ((name, _, refusal), verdict) in cases.iter().zip(verdicts.lines()) {
        match refusal {
            None => assert_eq!(verdict, SUBJECT, "{name}"),
            Some(word) => assert!(verdict.starts_with("refused: ") && verdict.contains(word), "{name}: {verdict}"),
        }
    }
}
