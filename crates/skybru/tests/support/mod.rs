//! A lab as a process of its own, and the program as a user runs it.

#![expect(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod agent;
pub(crate) mod aws;
pub(crate) mod clouds;
pub(crate) mod dam;
pub(crate) mod server;
pub(crate) mod site;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_skybru");
pub(crate) const SCOPE: &str = "fjordbuss:timetables.read";
pub(crate) const RESOURCE: &str = "https://skyporten.example.no";
pub(crate) const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/skyporten-timetables";
pub(crate) const SUBJECT: &str = "0192:310702641;fjordbuss:timetables.read";

/// Starts what prints one JSON object when it is ready, and reads that.
fn ready(command: &mut Command) -> (Child, Value) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
        let line = line.unwrap();
        text.push_str(&line);
        if line == "}" {
            break;
        }
    }
    let Ok(info) = serde_json::from_str(&text) else {
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("{command:?} did not start: {errors}");
    };
    (child, info)
}

/// `skybru up`, killed when dropped.
pub(crate) struct Lab {
    child: Child,
    pub(crate) info: Value,
    pub(crate) folder: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Lab {
    /// In a folder of its own, on ports that are free.
    pub(crate) fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut lab = Self::start_in(temporary.path(), 0);
        lab.temporary = Some(temporary);
        lab
    }

    /// The same, with flags of `up`.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut lab = Self::run(temporary.path(), 0, flags);
        lab.temporary = Some(temporary);
        lab
    }

    /// In `folder`, from `port_base` on.
    pub(crate) fn start_in(folder: &Path, port_base: u16) -> Self {
        Self::run(folder, port_base, &[])
    }

    fn run(folder: &Path, port_base: u16, flags: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["up", "--json", "--data"]).arg(folder).args(["--port-base", &port_base.to_string()]).args(flags);
        let (child, info) = ready(&mut command);
        Self { child, info, folder: folder.to_path_buf(), temporary: None }
    }

    /// A member of what `up --json` printed, such as `/issuers/skyporten`.
    pub(crate) fn get(&self, pointer: &str) -> &str {
        self.info.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {}", self.info))
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) -> Option<tempfile::TempDir> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.temporary.take()
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> i32 {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// The program with the lab's settings and nothing of this machine's environment that could matter.
    pub(crate) fn skybru(&self, arguments: &[&str]) -> Command {
        let mut command = program(&self.folder, arguments);
        command.env("SKYBRU_CONFIG", self.get("/demo/config_file"));
        command
    }

    /// A token of the demonstration's consumer.
    pub(crate) fn token(&self, arguments: &[&str]) -> String {
        let output = self.skybru(&[&["token", "demo"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let token = stdout(&output);
        assert_eq!(token.trim(), token, "A-90: a pipe gets the token alone");
        token
    }

    /// An HTTP client that trusts the lab.
    pub(crate) fn http(&self) -> reqwest::Client {
        let ca = reqwest::Certificate::from_pem(&std::fs::read(self.get("/ca_file")).unwrap()).unwrap();
        let timeout = std::time::Duration::from_secs(30);
        reqwest::Client::builder().tls_certs_only([ca]).no_proxy().timeout(timeout).build().unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program in `folder`, its environment emptied of settings.
pub(crate) fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(folder).env("HOME", folder).env_remove("XDG_CONFIG_HOME").env_remove("NO_COLOR");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["SKYBRU_", "AWS_", "MASKINPORTEN_", "GOOGLE_", "CLOUDSDK_", "AZURE_", "IDENTITY_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command
}

/// The first of the lab's seventeen ports, which nobody has. They lie below those that the system gives to connections.
pub(crate) fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 10_000 + u16::try_from(std::process::id() % 1_000).unwrap() * 20;
    loop {
        let base = start + NEXT.fetch_add(20, Ordering::Relaxed);
        if (base..base + 17).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return base;
        }
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
