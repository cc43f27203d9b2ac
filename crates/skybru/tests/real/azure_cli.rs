//! The `az` CLI, as PyPI has it, at the lab's own cloud: it must be told the endpoints, and to leave Microsoft's instance discovery alone
//! (E-73, E-75).

use std::path::Path;
use std::process::{Command, Output};

use crate::aws::present;
use crate::support::agent::Agent;
use crate::support::{Lab, stderr, stdout};

/// `az ARGUMENTS` with its settings and its token cache in `home`.
fn az(lab: &Lab, home: &Path, arguments: &[&str]) -> Output {
    command(lab, home, arguments).output().unwrap()
}

fn command(lab: &Lab, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("az");
    command
        .args(arguments)
        .env("HOME", home)
        .env("AZURE_CONFIG_DIR", home.join(".azure"))
        .env("AZURE_CORE_INSTANCE_DISCOVERY", "false")
        .env("AZURE_CORE_COLLECT_TELEMETRY", "false")
        .env("REQUESTS_CA_BUNDLE", lab.get("/ca_file"));
    command
}

/// What a pod or a virtual machine of Azure's would have, the agent is.
#[test]
fn az_logs_in_with_the_agent_as_its_managed_identity() {
    if !present("az", &["version"]) {
        return;
    }
    let lab = Lab::start();
    let login = |agent: &Agent, home: &Path| {
        let mut command = command(&lab, home, &["login", "--identity", "--allow-no-subscriptions"]);
        command.env("IDENTITY_ENDPOINT", agent.url("/azure/demo-azure/msi")).env("IDENTITY_HEADER", agent.authorization());
        command.output().unwrap()
    };
    let (own, other, agent) = (home(&lab), home(&lab), Agent::of(&lab, &[]));
    let output = login(&agent, own.path());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains(lab.get("/clouds/azure/tenant_id")), "{}", stdout(&output));

    let mut start = lab.skybru(&["agent", "--listen", "127.0.0.1:0", "--json"]);
    start.env("SKYBRU_TARGETS__DEMO_AZURE__CLIENT", "outsider");
    is_refused(&login(&Agent::start(start), other.path()), "add the scope to the client in self-service (D-17)");
}

/// A home in which `az` knows the lab's cloud. MSAL keeps access tokens by client, not by assertion: each identity needs a home of its own.
fn home(lab: &Lab) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    // Everything else is found by asking Resource Manager.
    let register = ["cloud", "register", "--name", "lab", "--endpoint-resource-manager", lab.get("/clouds/azure/arm")];
    for arguments in [&register[..], &["cloud", "set", "--name", "lab"]] {
        let output = az(lab, home.path(), arguments);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    home
}

fn login(lab: &Lab, home: &Path, token: &str, more: &[&str]) -> Output {
    let (client, tenant) = (lab.get("/clouds/azure/client_id"), lab.get("/clouds/azure/tenant_id"));
    let base = ["login", "--service-principal", "--username", client, "--tenant", tenant, "--federated-token", token];
    az(lab, home, &[&base[..], more].concat())
}

fn list(lab: &Lab, home: &Path, container: &str) -> Output {
    let endpoint = format!("{}{}", lab.get("/clouds/azure/blob"), lab.get("/clouds/azure/account"));
    let base = ["storage", "blob", "list", "--auth-mode", "login", "--blob-endpoint", &endpoint, "--container-name", container];
    az(lab, home, &[&base[..], &["--query", "[].name", "--output", "tsv"]].concat())
}

/// Fails, and shows the cloud's own words.
#[track_caller]
fn is_refused(output: &Output, words: &str) {
    assert!(!output.status.success(), "{}", stdout(output));
    assert!(stderr(output).contains(words), "{}", stderr(output));
}

#[test]
fn az_logs_in_with_the_token_and_lists_what_is_shared() {
    if !present("az", &["version"]) {
        return;
    }
    let lab = Lab::start();
    let own = home(&lab);
    let flag = ["--allow-no-subscriptions"];
    // E-74, D-71: an identity that sees only data must say so.
    is_refused(&login(&lab, own.path(), &lab.token(&[]), &[]), "No subscriptions found for");
    let output = login(&lab, own.path(), &lab.token(&[]), &flag);
    assert!(output.status.success(), "{}", stderr(&output));
    let output = list(&lab, own.path(), lab.get("/clouds/azure/container"));
    assert_eq!(stdout(&output).trim(), "timetables/line-1.csv", "{}", stderr(&output));
    is_refused(
        &list(&lab, own.path(), lab.get("/clouds/azure/private_container")),
        "You do not have the required permissions needed to perform this operation.",
    );
    let other = home(&lab);
    let elsewhere = lab.token(&["--resource", "https://somebody.else.example"]);
    is_refused(&login(&lab, other.path(), &elsewhere, &flag), "AADSTS700212: No matching federated identity record found");
    is_refused(&login(&lab, other.path(), "no.token", &flag), "AADSTS50027: JWT token is invalid or malformed.");

    // As somebody who may look at the subscription, `az` shows who has which role.
    let (subscription, principal) = (lab.get("/clouds/azure/subscription_id"), lab.get("/clouds/azure/principal_id"));
    let scope = format!("/subscriptions/{subscription}");
    let assignment = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/5b0c3a52-0000-4000-8000-0000000000aa");
    let reader = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7");
    let properties =
        serde_json::json!({"roleDefinitionId": reader, "principalId": principal, "principalType": "ServicePrincipal"});
    let request = lab.http().put(format!("{}{assignment}?api-version=2022-04-01", lab.get("/clouds/azure/arm")));
    let request = request.bearer_auth(lab.get("/clouds/azure/access_token")).json(&serde_json::json!({"properties": properties}));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert!(runtime.block_on(async { request.send().await.unwrap().status().is_success() }));
    let looker = home(&lab);
    let output = login(&lab, looker.path(), &lab.token(&[]), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let arguments = ["role", "assignment", "list", "--scope", &scope, "--fill-principal-name", "false", "--output", "json"];
    let output = az(&lab, looker.path(), &arguments);
    let listed: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    let roles: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|one| one["roleDefinitionName"].as_str()).collect();
    assert!(roles.contains(&"Reader"), "{listed}");
}
