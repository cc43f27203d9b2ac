//! The same mistakes through every command and through the agent as an SDK meets it: one message, with the fix and the doctor's rule.

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::{Lab, RESOURCE, SCOPE, stderr, stdout};

/// One thing that is set wrong.
struct Mistake {
    what: &'static str,
    target: &'static str,
    variables: Vec<(&'static str, String)>,
    /// What the message must have: the fix, and the rule.
    words: [&'static str; 2],
    /// The exit code: no, or failure.
    code: i32,
    /// Whether the token cannot even be had.
    at_the_issuer: bool,
}

const ISSUER: &str = "SKYBRU_CLIENTS__DEMO__ISSUER";
const NOWHERE: &str = "8a6f1b1e-0c2d-4f63-9a53-7c5d2f1e0b11";

fn mistakes(lab: &Lab) -> Vec<Mistake> {
    let at_issuer = |what, target, variables: &[(&'static str, &str)], words, code| Mistake {
        what,
        target,
        variables: variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        words,
        code,
        at_the_issuer: true,
    };
    let at_cloud = |what, target, variable, value: &str, words| Mistake {
        what,
        target,
        variables: vec![(variable, value.to_owned())],
        words,
        code: 1,
        at_the_issuer: false,
    };
    vec![
        at_issuer(
            "wrong key",
            "demo",
            &[("SKYBRU_CLIENTS__DEMO__KEY__FILE", "outsider.jwk")],
            ["does not know this key", "D-17"],
            1,
        ),
        at_issuer(
            "wrong scope",
            "demo-google",
            &[("SKYBRU_TARGETS__DEMO_GOOGLE__SCOPE", "fjordbuss:nothing")],
            ["add the scope to the client", "D-17"],
            1,
        ),
        at_issuer(
            "no access yet",
            "demo-azure",
            &[("SKYBRU_TARGETS__DEMO_AZURE__CLIENT", "outsider")],
            ["the API's owner must give your organisation access first", "D-17"],
            1,
        ),
        at_issuer(
            "an issuer that is not there",
            "demo",
            &[(ISSUER, "https://localhost:1")],
            ["check the name localhost:1", "D-03"],
            2,
        ),
        at_issuer(
            "an unreachable proxy",
            "demo",
            &[(ISSUER, "https://sky.example.no"), ("SKYBRU_CLIENTS__DEMO__WEB_PROXY", "http://127.0.0.1:1")],
            ["check the proxy's address", "D-03"],
            2,
        ),
        at_cloud("Maskinporten instead of Skyporten", "demo", ISSUER, lab.get("/issuers/maskinporten"), ["Skyporten", "D-16"]),
        at_cloud("Maskinporten at Google", "demo-google", ISSUER, lab.get("/issuers/maskinporten"), ["another issuer", "D-16"]),
        at_cloud("Maskinporten at Azure", "demo-azure", ISSUER, lab.get("/issuers/maskinporten"), ["Skyporten", "D-16"]),
        at_cloud(
            "wrong role",
            "demo",
            "SKYBRU_TARGETS__DEMO__AWS__ROLE_ARN",
            "arn:aws:iam::123456789012:role/skyporten-timetable",
            ["the role does not exist", "D-25"],
        ),
        at_cloud(
            "wrong tenant",
            "demo-azure",
            "SKYBRU_TARGETS__DEMO_AZURE__AZURE__TENANT_ID",
            NOWHERE,
            ["there is no such directory", "D-64"],
        ),
        at_cloud(
            "wrong application",
            "demo-azure",
            "SKYBRU_TARGETS__DEMO_AZURE__AZURE__CLIENT_ID",
            NOWHERE,
            ["must be the client id", "D-63"],
        ),
        at_cloud(
            "wrong provider",
            "demo-google",
            "SKYBRU_TARGETS__DEMO_GOOGLE__GOOGLE__PROVIDER",
            "projects/100000000001/locations/global/workloadIdentityPools/skyporten/providers/skyport",
            ["compare provider", "D-41"],
        ),
        at_cloud(
            "wrong service account",
            "demo-google",
            "SKYBRU_TARGETS__DEMO_GOOGLE__GOOGLE__SERVICE_ACCOUNT",
            "nobody@skybru-lab.iam.gserviceaccount.com",
            ["roles/iam.workloadIdentityUser", "D-47"],
        ),
        at_cloud(
            "wrong audience",
            "demo-azure",
            "SKYBRU_TARGETS__DEMO_AZURE__RESOURCE",
            "https://other.example.no",
            ["resource", "D-62"],
        ),
    ]
}

#[test]
fn each_mistake_is_told_alike_by_every_command() {
    let lab = Lab::start();
    for Mistake { what, target, variables, words, code, at_the_issuer } in mistakes(&lab) {
        let place = format!("{target}:timetables/line-1.csv");
        let commands = [
            vec!["token", target],
            vec!["credentials", target],
            vec!["exec", target, "--", "touch", "was-run"],
            vec!["cp", &place, "copy.csv"],
        ];
        for command in &commands[usize::from(!at_the_issuer)..] {
            let output = lab.skybru(command).envs(variables.iter().cloned()).output().unwrap();
            let text = stderr(&output);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{what}, {command:?}: {text}");
            let hints: Vec<&str> = text.lines().filter(|line| line.starts_with("hint: ")).collect();
            assert_eq!(
                (hints.len(), text.lines().filter(|line| line.starts_with("error: ")).count()),
                (1, 1),
                "{what}, {command:?}: {text}"
            );
            assert!(words.iter().all(|word| hints[0].contains(word)), "{what}, {command:?}: {text}");
        }
        assert!(!lab.folder.join("was-run").exists() && !lab.folder.join("copy.csv").exists(), "{what}");
    }
}

/// What an SDK shows its user is what the agent answers, on one line.
#[test]
fn each_mistake_is_told_to_every_sdk_by_the_agent() {
    let lab = Lab::start();
    for Mistake { what, target, variables, words, at_the_issuer, .. } in mistakes(&lab) {
        let mut start = lab.skybru(&["agent", "--listen", "127.0.0.1:0", "--json"]);
        start.envs(variables.iter().cloned());
        let agent = Agent::start(start);
        let mut answers = vec![match target {
            "demo" => agent.text("/aws/demo", &[("authorization", agent.authorization())]),
            "demo-google" => {
                agent.text("/computeMetadata/v1/instance/service-accounts/default/token", &[("metadata-flavor", "Google")])
            }
            _ => {
                let path = format!("/azure/{target}/msi?api-version=2019-08-01&resource=https://storage.azure.com");
                agent.text(&path, &[("x-identity-header", agent.authorization())])
            }
        }];
        if target == "demo-google" && at_the_issuer {
            answers.push(agent.text("/google/demo-google/subject-token", &[("metadata-flavor", "Google")]));
        }
        if target == "demo" && at_the_issuer {
            let form = json!({"identity_provider": "demo", "target": SCOPE, "resource": RESOURCE});
            let (status, answer) = agent.post("/api/v1/token", &form, &[]);
            answers.push((status, answer["error_description"].as_str().unwrap_or_default().to_owned()));
        }
        for (status, text) in answers {
            assert!((400..600).contains(&status), "{what}: {status} {text}");
            assert!(words.iter().all(|word| text.contains(word)), "{what}: {status} {text}");
            assert!(!text.contains('\n') || serde_json::from_str::<Value>(&text).is_ok(), "{what}: on one line: {text}");
        }
    }
}

/// A client that its organisation has taken out of use.
#[test]
fn a_client_that_is_no_more_is_told_so() {
    let lab = Lab::start();
    let add = ["registry", "client", "add", "--name", "gone", "--scope", SCOPE, "--new-key", "gone.jwk", "--json"];
    let added = lab.skybru(&add).output().unwrap();
    assert!(added.status.success(), "{}", stderr(&added));
    let id = serde_json::from_str::<Value>(&stdout(&added)).unwrap()["client_id"].as_str().unwrap().to_owned();
    let token = || {
        let mut command = lab.skybru(&["token", "demo"]);
        command.env("SKYBRU_CLIENTS__DEMO__CLIENT_ID", &id).env("SKYBRU_CLIENTS__DEMO__KEY__FILE", "gone.jwk").output().unwrap()
    };
    let before = token();
    assert!(before.status.success(), "{}", stderr(&before));
    let removed = lab.skybru(&["registry", "client", "remove", &id]).output().unwrap();
    assert!(removed.status.success(), "{}", stderr(&removed));
    let after = token();
    assert_eq!(after.status.code(), Some(1), "{}", stderr(&after));
    assert!(stderr(&after).contains("check client-id") && stderr(&after).contains("D-16"), "{}", stderr(&after));
}

/// A slip of the finger in a name, in every command that takes one.
#[test]
fn a_name_that_is_nearly_one_is_named() {
    let lab = Lab::start();
    for command in [
        vec!["token", "demoo"],
        vec!["credentials", "dem"],
        vec!["exec", "demo-gogle", "--", "true"],
        vec!["cp", "demo-azur:a", "b"],
        vec!["ls", "dmeo:"],
    ] {
        let output = lab.skybru(&command).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(stderr(&output).contains("hint: did you mean \"demo"), "{command:?}: {}", stderr(&output));
    }
    let far = lab.skybru(&["token", "something-else"]).output().unwrap();
    assert!(stderr(&far).contains("there are: demo") && !stderr(&far).contains("hint: "), "{}", stderr(&far));
}
