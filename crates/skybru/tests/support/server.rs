//! `skybru issuer serve` as a process of its own, and the first registrations in it.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::Value;

use super::{free_ports, program, ready, stderr, stdout};

/// A running server, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) info: Value,
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::begin(program(folder, &["issuer", "serve", "--json"]))
    }

    /// Starts this command and waits until it is ready.
    pub(crate) fn begin(mut command: Command) -> Self {
        let (child, info) = ready(&mut command);
        Self { child, info }
    }

    /// Asks it to stop, and gives what it wrote to stderr.
    pub(crate) fn stop(mut self) -> String {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success(), "{text}");
        text
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Settings for two issuers and the API on free ports of this machine. Gives the first port.
pub(crate) fn settings(folder: &Path, more: &str) -> u16 {
    let port = free_ports();
    let text = format!(
        "[server]\ndata = \"data\"\noperator = \"312605031\"\noperator-name = \"Drift AS\"\napi-listen = \"127.0.0.1:{port}\"\n{more}\n\
         [issuers.apis]\nurl = \"http://localhost:{}/\"\nprofile = \"maskinporten\"\nlisten = \"127.0.0.1:{}\"\n\
         [issuers.clouds]\nurl = \"http://localhost:{}\"\nprofile = \"skyporten\"\nlisten = \"127.0.0.1:{}\"\n",
        port + 1,
        port + 1,
        port + 2,
        port + 2,
    );
    std::fs::write(folder.join("skybru.toml"), text).unwrap();
    port
}

#[track_caller]
pub(crate) fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    stdout(&output)
}

pub(crate) fn registry(folder: &Path, config: &str, arguments: &[&str]) -> Value {
    let text = run(program(folder, &[&["--config", config, "--json", "registry"], arguments].concat()));
    serde_json::from_str(&text).unwrap()
}

/// The settings of a client that is registered there.
pub(crate) fn client_settings(folder: &Path, name: &str, issuer: &str, id: &str, port: u16) {
    let text = format!(
        "[clients.{name}]\nissuer = \"{issuer}\"\nclient-id = \"{id}\"\nkey = {{ file = \"{name}.jwk\" }}\n\
         [targets.data]\nclient = \"{name}\"\nscope = \"fjordbuss:timetables.read\"\nresource = \"https://skyporten.example.no\"\n\
         [registry]\napi = \"http://localhost:{port}/api/v1\"\nclient = \"{name}\"\n"
    );
    std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
}

/// From nothing to a token: the operator registers the organisations and their first clients, they do the rest themselves.
pub(crate) fn onboard(folder: &Path, port: u16) {
    let (apis, clouds) = (format!("http://localhost:{}/", port + 1), format!("http://localhost:{}", port + 2));
    let operator = "data/operator.toml";
    registry(folder, operator, &["org", "put", "314330897", "--name", "Fjordbuss AS", "--prefix", "fjordbuss"]);
    registry(folder, operator, &["org", "put", "310702641", "--name", "Innsikt Data AS"]);
    let rights = ["--scope", "idporten:dcr.write", "--scope", "idporten:scopes.write"];
    let first = |org: &str, name: &str| {
        let key = format!("{name}.jwk");
        let arguments = [&["client", "add", "--org", org, "--name", name, "--new-key", &key], &rights[..]].concat();
        let client = registry(folder, operator, &arguments);
        assert_eq!(client["client_orgno"], org);
        client_settings(folder, name, &apis, client["client_id"].as_str().unwrap(), port);
    };
    first("314330897", "provider");
    first("310702641", "consumer");
    registry(folder, "provider.toml", &["scope", "add", "fjordbuss:timetables.read", "--description", "Timetables"]);
    registry(folder, "provider.toml", &["access", "grant", "fjordbuss:timetables.read", "310702641"]);
    let reader = ["client", "add", "--name", "reader", "--scope", "fjordbuss:timetables.read", "--new-key", "reader.jwk"];
    let reader = registry(folder, "consumer.toml", &reader);
    client_settings(folder, "reader", &clouds, reader["client_id"].as_str().unwrap(), port);
}
