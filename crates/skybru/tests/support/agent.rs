//! A running agent, and questions to it.

use std::io::Read as _;
use std::process::{Child, Command};

use serde_json::Value;

use super::{Lab, ready};

/// Killed when dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) info: Value,
    runtime: tokio::runtime::Runtime,
    pub(crate) client: reqwest::Client,
}

impl Agent {
    /// Runs `command`, which must print what `agent --json` does.
    pub(crate) fn start(mut command: Command) -> Self {
        let (child, info) = ready(&mut command);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { child, info, runtime: tokio::runtime::Runtime::new().unwrap(), client }
    }

    /// With the lab's settings and more arguments.
    pub(crate) fn of(lab: &Lab, more: &[&str]) -> Self {
        Self::start(lab.skybru(&[&["agent", "--listen", "127.0.0.1:0", "--json"], more].concat()))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.info["address"].as_str().unwrap())
    }

    pub(crate) fn authorization(&self) -> &str {
        self.info["authorization"].as_str().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub(crate) fn hears(&mut self) -> String {
        let mut line = String::new();
        let mut byte = [0];
        let errors = self.child.stderr.as_mut().unwrap();
        while errors.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(char::from(byte[0]));
        }
        line
    }

    /// Posts JSON, with more headers.
    pub(crate) fn post(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> (u16, Value) {
        self.send(with(self.client.post(self.url(path)).json(body), headers))
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        self.send(with(self.client.get(self.url(path)), headers))
    }

    /// Status and text.
    pub(crate) fn text(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        self.runtime.block_on(async {
            let answer = with(self.client.get(self.url(path)), headers).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    pub(crate) fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap_or_default())
        })
    }
}

fn with(mut request: reqwest::RequestBuilder, headers: &[(&str, &str)]) -> reqwest::RequestBuilder {
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
