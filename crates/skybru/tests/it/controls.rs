//! `skybru up` with clocks that are wrong, clouds that are slow, and issuers that cannot be reached (S-21).

use serde_json::{Value, json};

use crate::support::{Lab, program, stderr};

/// What a consumer gets to see of each target.
fn refusals(lab: &Lab) -> Vec<String> {
    let ask = |target: &&str| stderr(&lab.skybru(&["credentials", target, "--format", "json"]).output().unwrap());
    ["demo", "demo-google", "demo-azure"].iter().map(ask).collect()
}

#[track_caller]
fn hold(refusals: &[String], words: [&str; 3]) {
    for (refusal, words) in refusals.iter().zip(words) {
        assert!(refusal.contains(words), "{words}: {refusals:#?}");
    }
}

#[test]
fn s_21_the_flags_of_up_move_clocks_and_slow_changes_down() {
    let lab = Lab::start_with(&["--clock-shift", "900"]);
    hold(&refusals(&lab), ["ExpiredTokenException", "is stale to sign-in", "AADSTS700024"]);
    drop(lab);
    let lab = Lab::start_with(&["--propagation-delay", "600"]);
    hold(&refusals(&lab), ["AccessDenied", "getAccessToken", "AADSTS7002"]);
}

/// The faults of the flag can be taken away while the lab runs.
#[test]
fn s_21_faults_of_discovery_come_and_go() {
    let lab = Lab::start_with(&["--fetch-fault", "timeout"]);
    hold(
        &refusals(&lab),
        ["Couldn't retrieve verification key", "Error connecting to the given credential's issuer", "AADSTS501661"],
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (cloud, base) in [
        ("google", lab.get("/clouds/google/endpoint").to_owned()),
        ("azure", lab.get("/clouds/azure/authority").trim_end_matches('/').to_owned()),
    ] {
        let token = lab.get(&format!("/clouds/{cloud}/access_token"));
        let request = lab.http().put(format!("{base}/_skybru/control")).bearer_auth(token).json(&json!({}));
        let answer: Value = runtime.block_on(async { request.send().await.unwrap().json().await.unwrap() });
        assert_eq!(answer["fetch_fault"], Value::Null, "{answer}");
    }
    let after = refusals(&lab);
    assert!(after[0].contains("Couldn't retrieve verification key"), "AWS was left as it was: {after:#?}");
    assert!(after[1].is_empty() && after[2].is_empty(), "{after:#?}");
    let wrong = program(&lab.folder, &["up", "--fetch-fault", "rain"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("expected timeout, server-error, html, redirect or bad-chain"), "{}", stderr(&wrong));
}
