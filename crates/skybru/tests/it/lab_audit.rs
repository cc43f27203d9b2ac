//! The lab keeps an audit log as a server does: the API and `issuer audit` can be tried against it.

use serde_json::Value;

use crate::support::{Lab, stderr, stdout};

#[test]
fn the_lab_writes_down_what_it_issues_and_changes_and_its_log_verifies() {
    let lab = Lab::start();
    lab.token(&[]);
    let run = |arguments: &[&str]| {
        let output = lab.skybru(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    };
    let entries: Vec<Value> =
        run(&["issuer", "audit", "export"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str| entries.iter().filter(|entry| entry["event"] == event).count();
    assert!(of("token_issued") > 0 && of("registry_changed") > 0, "{entries:?}");
    let verified: Value = serde_json::from_str(&run(&["issuer", "audit", "verify", "--json"])).unwrap();
    assert_eq!(verified["holds"], true, "{verified}");

    // The provider reads over HTTP what concerns it: tokens for its scopes among them.
    let settings = std::fs::read_to_string(lab.get("/demo/config_file")).unwrap();
    let target = "[targets.api]\nclient = \"provider\"\nscope = \"idporten:scopes.write\"\n";
    std::fs::write(lab.folder.join("api.toml"), format!("{settings}\n{target}")).unwrap();
    let token = lab.skybru(&["token", "api"]).env("SKYBRU_CONFIG", lab.folder.join("api.toml")).output().unwrap();
    assert!(token.status.success(), "{}", stderr(&token));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = format!("{}/audit", lab.get("/selfservice"));
    let page: Value = runtime.block_on(async {
        let answer = lab.http().get(url).bearer_auth(stdout(&token)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        answer.json().await.unwrap()
    });
    let seen = page["entries"].as_array().unwrap();
    assert!(seen.iter().any(|entry| entry["event"] == "token_issued" && entry["consumer"] == "310702641"), "{page}");
}
