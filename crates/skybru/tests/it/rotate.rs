//! `skybru registry client rotate-key`: the lab's provider changes its own key, and goes on working.

use crate::support::agent::Agent;
use crate::support::{Lab, stderr, stdout};

fn kids(lab: &Lab, id: &str) -> Vec<String> {
    let output = lab.skybru(&["registry", "client", "keys", id, "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let keys: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_client_changes_its_key_and_never_stands_without_one() {
    let lab = Lab::start();
    let text = std::fs::read_to_string(lab.folder.join("skybru.toml")).unwrap();
    let provider = text.split("[clients.provider]").nth(1).unwrap().split("client-id = \"").nth(1).unwrap();
    let id = provider.split('"').next().unwrap();
    let before = kids(&lab, id);

    let output = lab.skybru(&["registry", "client", "rotate-key", "provider", "--keep-old"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let new = stdout(&output).trim().to_owned();
    assert_eq!(kids(&lab, id).len(), 2, "the new key works already, and the old one still");
    assert!(lab.folder.join("provider.jwk.old").exists());

    let output = lab.skybru(&["registry", "client", "rotate-key", "provider"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("finished"), "{}", stderr(&output));
    assert_eq!(kids(&lab, id), std::slice::from_ref(&new));
    assert!(!before.contains(&new) && !lab.folder.join("provider.jwk.old").exists());
    let noted = std::fs::read_to_string(lab.folder.join("provider.jwk")).unwrap();
    assert!(noted.contains("\"exp\":"), "the end of the registration is noted beside the key");

    // What the tired do: a client that is none, and one whose key is no file.
    let output = lab.skybru(&["registry", "client", "rotate-key", "nobody"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there are: "), "{}", stderr(&output));
    let output = lab
        .skybru(&["registry", "client", "rotate-key", "provider"])
        .env("SKYBRU_CLIENTS__PROVIDER__KEY__KEY_ID", "mine")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("key-id"), "{}", stderr(&output));
}

/// At its start and from then on twice a day the agent looks after the keys that it shall look after.
#[test]
fn the_agent_rotates_a_key_on_its_own_and_goes_on_with_the_new_one() {
    let lab = Lab::start();
    let file = lab.folder.join("provider.jwk");
    let before = std::fs::read_to_string(&file).unwrap();
    let settings = lab.folder.join("skybru.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let key = "file = \"provider.jwk\"";
    assert!(text.contains(key));
    std::fs::write(&settings, text.replace(key, &format!("{key}\nrotate-days = 90"))).unwrap();
    let mut agent = Agent::of(&lab, &[]);
    let mut heard = String::new();
    while !heard.contains("the client's key was rotated") {
        heard = agent.hears();
        assert!(!heard.is_empty(), "the agent ended without a word");
    }
    assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
    assert!(lab.folder.join("provider.jwk.old").exists(), "others may still use the old one, until the next look");
    // Once the settings were read again, tokens are asked for with the new key.
    while !heard.contains("read again") {
        heard = agent.hears();
        assert!(!heard.is_empty(), "the agent ended without a word");
    }
    let form = serde_json::json!({"identity_provider": "provider", "target": "idporten:dcr.write"});
    let (status, answer) = agent.post("/api/v1/token", &form, &[]);
    assert_eq!(status, 200, "{answer}");
}
