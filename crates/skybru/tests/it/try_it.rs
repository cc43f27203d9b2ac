//! `skybru try`.

use serde_json::Value;

use crate::support::{program, stdout};

#[test]
fn try_shows_the_file_and_the_refusals_in_under_forty_lines() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path(), &["try"]).output().unwrap();
    let text = stdout(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Bergen,07:10"), "{text}");
    assert!(text.contains("Not authorized to perform sts:AssumeRoleWithWebIdentity"), "in the service's own words: {text}");
    assert!(text.lines().count() < 40, "{} lines", text.lines().count());
    assert!(!text.contains("!!"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn try_as_json_is_the_same_as_data() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path(), &["try", "--json", "--keep", "kept"]).output().unwrap();
    let story: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(story["went_well"], true);
    assert_eq!(story["road"]["subject"], "0192:310702641;fjordbuss:timetables.read");
    let codes: Vec<&str> = story["refusals"].as_array().unwrap().iter().filter_map(|refusal| refusal["code"].as_str()).collect();
    let expected = [
        "MP-012",
        "MP-200",
        "AccessDenied",
        "InvalidIdentityToken",
        "InvalidIdentityToken",
        "ExpiredTokenException",
        "AccessDenied",
        "AccessDenied",
        "MP-250",
    ];
    assert_eq!(codes, expected);
    // the two blanks are AWS's.
    let seed = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";
    assert_eq!(story["unexplained_error"]["refusal"]["text"], seed);
    assert!(story["unexplained_error"]["what"].as_str().unwrap().starts_with("D-01"));
    assert!(folder.path().join("kept/skybru.db").is_file(), "--keep keeps everything");
}

#[test]
fn try_walks_to_google_and_meets_googles_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path(), &["try", "--cloud", "gcp", "--json"]).output().unwrap();
    let lived: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&lived["went_well"], &lived["aws"]), (&Value::Bool(true), &Value::Null), "{lived}");
    let refusals = lived["google"]["refusals"].as_array().unwrap();
    let codes: Vec<&str> = refusals.iter().filter_map(|refusal| refusal["code"].as_str()).collect();
    let (iam, sts) = ("PERMISSION_DENIED", "invalid_grant");
    assert_eq!(codes, [iam, sts, iam, sts, "unauthorized_client", iam, "AccessDenied"]);
    let text = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
    assert_eq!(refusals[0]["text"], text);
    assert!(lived["google"]["content"].as_str().unwrap().contains("Bergen,07:10"));
}
