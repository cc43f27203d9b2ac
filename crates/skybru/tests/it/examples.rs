//! The files of docs/examples that other programs read: units, launchd's list, and the Kubernetes sidecar.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::{Lab, free_ports};

const SIDECAR: &str = include_str!("../../../../docs/examples/sidecar.yaml");

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

/// What Kubernetes would make of the manifest: members that it does not know are passed over, and so missing afterwards.
fn forgotten(manifest: &Value) -> Vec<String> {
    let read: Deployment = serde_json::from_value(manifest.clone()).unwrap();
    let mut missing = Vec::new();
    compare("", manifest, &serde_json::to_value(read).unwrap(), &mut missing);
    missing
}

fn compare(place: &str, written: &Value, read: &Value, missing: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (name, value) in written {
                compare(&format!("{place}.{name}"), value, read.get(name).unwrap_or(&Value::Null), missing);
            }
        }
        (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
            for (number, (written, read)) in written.iter().zip(read).enumerate() {
                compare(&format!("{place}[{number}]"), written, read, missing);
            }
        }
        _ if written == read => {}
        _ => missing.push(place.to_owned()),
    }
}

#[test]
fn kubernetes_knows_every_member_of_the_sidecars_manifest() {
    let manifest: Value = serde_saphyr::from_str(SIDECAR).unwrap();
    assert_eq!(forgotten(&manifest), [""; 0]);
    // A member that is nearly right is found.
    let slip: Value = serde_saphyr::from_str(&SIDECAR.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem")).unwrap();
    let place = ".spec.template.spec.initContainers[0].securityContext.readOnlyRootFileSystem";
    assert_eq!(forgotten(&slip), [place]);
}

/// The sidecar's container, started as the manifest says: same arguments, same variables, other ports.
#[test]
fn the_sidecar_starts_as_its_manifest_says_and_answers_its_probes() {
    let manifest: Value = serde_saphyr::from_str(SIDECAR).unwrap();
    assert_eq!((&manifest["apiVersion"], &manifest["kind"]), (&json!("apps/v1"), &json!("Deployment")));
    let pod = &manifest["spec"]["template"];
    assert_eq!(manifest["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"], "the Deployment finds its pods");
    let sidecar = named(&pod["spec"]["initContainers"], "skybru-agent");
    for mount in sidecar["volumeMounts"].as_array().unwrap() {
        named(&pod["spec"]["volumes"], mount["name"].as_str().unwrap());
    }

    let (lab, port) = (Lab::start(), free_ports());
    let ports = [("7500", port), ("7501", port + 1)];
    let moved = |text: &str| ports.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, &to.to_string()));
    let arguments: Vec<&str> = sidecar["args"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let mut command = lab.skybru(&[&arguments[..], &["--json"]].concat());
    for variable in sidecar["env"].as_array().unwrap() {
        let (name, value) = (variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
        if name != "SKYBRU_CONFIG" {
            command.env(name, moved(value));
        }
    }
    let agent = Agent::start(command);
    for probe in ["startupProbe", "livenessProbe"] {
        let (path, port) = (&sidecar[probe]["httpGet"]["path"], &sidecar[probe]["httpGet"]["port"]);
        let url = format!("http://127.0.0.1:{}{}", moved(&port.to_string()), path.as_str().unwrap());
        assert_eq!(agent.send(agent.client.get(&url)).0, 200, "{probe}: {url}");
    }
    // What the application is told leads to the agent.
    let application = named(&pod["spec"]["containers"], "application");
    let endpoint = moved(named(&application["env"], "NAIS_TOKEN_ENDPOINT")["value"].as_str().unwrap());
    let form = json!({"identity_provider": "demo", "target": crate::support::SCOPE, "resource": crate::support::RESOURCE});
    let (status, answer) = agent.send(agent.client.post(&endpoint).json(&form));
    assert_eq!((status, answer["token_type"].as_str()), (200, Some("Bearer")), "{answer}");
}
