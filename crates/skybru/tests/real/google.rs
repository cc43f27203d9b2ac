//! Google's own clients: the Python libraries from PyPI, and gcloud where a machine has it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::aws::present;
use crate::support::{Lab, stderr, stdout};
use crate::tokens::{claims, issuer_key, other_key, token};

/// Lines that `google_road.py` prints.
const PROVEN: usize = 23;

/// Tokens of the consumer, good and bad.
fn tokens(lab: &Lab) -> serde_json::Value {
    let key = issuer_key(lab);
    let now = claims(lab)["iat"].as_i64().unwrap();
    let made = |changes: serde_json::Value| token(&key, claims(lab), &changes);
    json!({
        "good": lab.token(&[]),
        "wrong_audience": lab.token(&["--resource", "https://somebody.else.example"]),
        "two_scopes": made(json!({
            "scope": "fjordbuss:timetables.read fjordbuss:newsletter",
            "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:310702641"},
        })),
        "other": made(json!({
            "sub": "0192:311046349;fjordbuss:timetables.read",
            "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:311046349"},
        })),
        "expired": made(json!({"iat": now - 1000, "exp": now - 400})),
        "unknown_key": token(&other_key(), claims(lab), &json!({})),
    })
}

/// Runs the script, which checks everything itself and prints a line for each thing proven.
#[test]
fn googles_libraries_walk_the_road_and_meet_the_refusals() {
    if !present("python3", &["-c", "import google.cloud.storage, google.cloud.bigquery"]) {
        return;
    }
    let lab = Lab::start();
    let home = tempfile::tempdir().unwrap();
    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/google_road.py"))
        .env("HOME", home.path())
        .env("LAB", lab.info.to_string())
        .env("TOKENS", tokens(&lab).to_string())
        .env("NO_PROXY", "*")
        .env("NO_GCE_CHECK", "true")
        .env_remove("GOOGLE_APPLICATION_CREDENTIALS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output).lines().count(), PROVEN, "{}", stdout(&output));
}

/// `gcloud ARGUMENTS` with a configuration of its own, pointed at the lab (G-70).
fn gcloud(lab: &Lab, configuration: &Path, arguments: &[&str]) -> Output {
    let endpoint = lab.get("/clouds/google/endpoint");
    Command::new("gcloud")
        .args(arguments)
        .env("CLOUDSDK_CONFIG", configuration)
        .env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1")
        .env("CLOUDSDK_CORE_PROJECT", lab.get("/clouds/google/project"))
        .env("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "1")
        .env("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true")
        .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", format!("{endpoint}/storage/v1/"))
        .env("CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT", format!("{endpoint}/v1/introspect"))
        .env("NO_PROXY", "*")
        .output()
        .unwrap()
}

/// gcloud is in no registry that continuous integration may use: where it is absent this test says so and passes.
#[test]
fn gcloud_logs_in_reads_and_shows_googles_words() {
    if !Command::new("gcloud").arg("version").output().is_ok_and(|output| output.status.success()) {
        use std::io::Write as _;
        let _ =
            writeln!(std::io::stderr(), "\n!!!!!! SKIPPED: gcloud is not on this machine; this test has proven nothing !!!!!!\n");
        return;
    }
    let lab = Lab::start();
    let tokens = tokens(&lab);
    let folder = tempfile::tempdir().unwrap();
    let endpoint = lab.get("/clouds/google/endpoint");
    let pool = "projects/100000000001/locations/global/workloadIdentityPools/skyporten";
    let login = |name: &str, impersonate: bool| {
        let (token, file) = (folder.path().join(format!("{name}.jwt")), folder.path().join(format!("{name}.json")));
        std::fs::write(&token, tokens[name].as_str().unwrap()).unwrap();
        let mut info = json!({
            "universe_domain": "googleapis.com", "type": "external_account",
            "audience": format!("//iam.googleapis.com/{pool}/providers/skyporten"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": format!("{endpoint}/v1/token"),
            "credential_source": {"file": token},
        });
        if impersonate {
            let account = "timetable-reader@skybru-lab.iam.gserviceaccount.com";
            info["service_account_impersonation_url"] =
                format!("{endpoint}/v1/projects/-/serviceAccounts/{account}:generateAccessToken").into();
        } else {
            info["token_info_url"] = format!("{endpoint}/v1/introspect").into();
        }
        std::fs::write(&file, info.to_string()).unwrap();
        let configuration = folder.path().join(format!("config-{name}-{impersonate}"));
        let output = gcloud(&lab, &configuration, &["auth", "login", "--cred-file", file.to_str().unwrap()]);
        (configuration, output)
    };

    let (configuration, output) = login("good", true);
    assert!(output.status.success(), "{}", stderr(&output));
    let listed = gcloud(&lab, &configuration, &["storage", "ls", "gs://fjordbuss-data/timetables/"]);
    assert_eq!(stdout(&listed).trim(), "gs://fjordbuss-data/timetables/line-1.csv", "{}", stderr(&listed));
    let copy = folder.path().join("copy.csv");
    let copied =
        gcloud(&lab, &configuration, &["storage", "cp", "gs://fjordbuss-data/timetables/line-1.csv", copy.to_str().unwrap()]);
    assert!(copied.status.success(), "{}", stderr(&copied));
    assert_eq!(std::fs::read_to_string(copy).unwrap(), "stop,departure\nBergen,07:10\nVoss,08:35\n");

    // Without impersonation gcloud exchanges at once, with its own client credentials, and asks whose token it got (G-62).
    let (_, output) = login("other", false);
    let words = stderr(&output);
    assert!(output.status.success(), "{words}");
    assert!(words.contains("subject/0192:311046349"), "{words}");

    let refused = |arguments: &[&str], configuration: &Path, expected: &str| {
        let output = gcloud(&lab, configuration, arguments);
        // Python shows a pair of texts, in which it escapes apostrophes.
        let said = format!("{}{}", stdout(&output), stderr(&output)).replace("\\'", "'");
        assert!(!output.status.success() && said.contains(expected), "{said}");
    };
    let list = ["storage", "ls", "gs://fjordbuss-data/timetables/"];
    let denied = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
    refused(&list, &login("other", true).0, denied);
    refused(&list, &login("two_scopes", true).0, denied);
    refused(&list, &login("wrong_audience", true).0, "The audience in ID Token [https://somebody.else.example] does not match");
    refused(&list, &login("expired", true).0, "is stale to sign-in.");
    refused(
        &["storage", "cat", "gs://fjordbuss-data/payroll/2026.csv"],
        &configuration,
        "does not have storage.objects.get access",
    );
}
