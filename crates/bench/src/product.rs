//! The product itself, as a user runs it: a lab, and commands with the lab's settings.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The program, built beside this one.
pub(crate) fn program() -> Result<PathBuf> {
    let here = std::env::current_exe().context("where is this program?")?;
    let program = here.with_file_name("skybru");
    let build = ["build", "--release", "--locked", "--quiet", "-p", "skybru"];
    let status = Command::new("cargo").args(build).status().context("running cargo")?;
    if !status.success() || !program.is_file() {
        bail!("{} could not be built", program.display());
    }
    Ok(program)
}

/// `skybru up`, killed when dropped.
pub(crate) struct Lab {
    child: Child,
    /// What it printed.
    pub(crate) info: Value,
}

impl Lab {
    /// A lab in `folder`, on free ports.
    pub(crate) fn start(program: &Path, folder: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["up", "--json", "--port-base", "0", "--data"]).arg(folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("starting the lab")?;
        let output = child.stdout.take().context("the lab's output")?;
        let mut text = String::new();
        for line in BufReader::new(output).lines() {
            let line = line?;
            text.push_str(&line);
            if line == "}" {
                break;
            }
        }
        let info = serde_json::from_str(&text).context("what the lab printed")?;
        Ok(Self { child, info })
    }

    /// A member of what it printed.
    pub(crate) fn get(&self, pointer: &str) -> Result<&str> {
        self.info.pointer(pointer).and_then(Value::as_str).with_context(|| format!("the lab printed no {pointer}"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
