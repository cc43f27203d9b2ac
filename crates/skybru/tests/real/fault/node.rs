//! `skybru issuer serve` on shared stores, killed and started again.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::proxy::Proxy;
use crate::support::{free_ports, program};

pub(crate) struct Node {
    folder: PathBuf,
    child: Option<Child>,
    /// Self-service, Maskinporten's profile and Skyporten's listen from here on.
    pub(crate) port: u16,
    pub(crate) database: Proxy,
    pub(crate) replay: Proxy,
}

/// What all nodes have in common.
pub(crate) struct Shared<'a> {
    pub(crate) folder: &'a Path,
    /// Under this port the issuers' URLs are known.
    pub(crate) port: u16,
    pub(crate) database: u16,
    pub(crate) replay: u16,
    /// More settings of `[server]`.
    pub(crate) more: &'a str,
}

impl Node {
    /// The first node is the one that the URLs mean.
    pub(crate) async fn new(name: &str, shared: &Shared<'_>, is_first: bool) -> Self {
        let port = if is_first { shared.port } else { free_ports() };
        let (database, replay) = (Proxy::to(shared.database).await, Proxy::to(shared.replay).await);
        let folder = shared.folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "[server]\ndata = \"../data\"\nnode = \"{name}\"\noperator = \"312605031\"\napi-listen = \"127.0.0.1:{port}\"\n\
             api-url = \"http://localhost:{}/api/v1\"\nseal = {{ key-file = \"../seal.key\" }}\n{}\n\
             [server.store]\nkind = \"postgres\"\nurl = \"postgresql://skybru@127.0.0.1:{}/postgres\"\n\
             [server.replay]\nkind = \"valkey\"\nurl = \"redis://127.0.0.1:{}/0\"\n\
             [issuers.apis]\nurl = \"http://localhost:{}/\"\nprofile = \"maskinporten\"\nlisten = \"127.0.0.1:{}\"\n\
             [issuers.clouds]\nurl = \"http://localhost:{}\"\nprofile = \"skyporten\"\nlisten = \"127.0.0.1:{}\"\n",
            shared.port,
            shared.more,
            database.port,
            replay.port,
            shared.port + 1,
            port + 1,
            shared.port + 2,
            port + 2,
        );
        std::fs::write(folder.join("skybru.toml"), text).unwrap();
        // What seals the signing keys is the same at every node.
        if is_first {
            let seal = program(&folder, &["issuer", "keys", "seal-key"]).output().unwrap();
            std::fs::write(shared.folder.join("seal.key"), seal.stdout).unwrap();
        }
        Self { folder, child: None, port, database, replay }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut command = program(&self.folder, &["issuer", "serve", "--json"]);
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A node whose database was away when it started has given up: somebody must start it again.
    pub(crate) fn watch_over(&mut self) {
        if self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some()) {
            self.start();
        }
    }

    pub(crate) async fn wait_until_ready(&mut self, http: &reqwest::Client) {
        let url = format!("http://127.0.0.1:{}/health/ready", self.port + 2);
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            let ready = http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
            if ready {
                return;
            }
            assert!(Instant::now() < deadline, "{} is not ready: {}", self.folder.display(), self.log());
            self.watch_over();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn log(&self) -> String {
        let mut text = String::new();
        std::fs::File::open(self.folder.join("log")).unwrap().read_to_string(&mut text).unwrap();
        text.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }

    /// A command of this node's operator.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        program(&self.folder, arguments)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
