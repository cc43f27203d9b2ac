//! The real world: the only place that reads the clock, gathers randomness and looks at the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use jiff::Timestamp;
use skybru_core::{Clock, Ctx, Randomness};

/// The machine's clock.
#[derive(Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The operating system's randomness.
#[derive(Debug, Default)]
pub(crate) struct SystemRandomness(SystemRandom);

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness nothing that is signed or named here could be trusted: stopping is the only safe answer.
        self.0.fill(bytes).expect("the operating system gives randomness");
    }
}

/// Everything that a command gets from outside.
#[derive(Clone)]
pub(crate) struct System {
    /// Environment variables whose names and values are text.
    pub(crate) env: BTreeMap<String, String>,
    /// Where relative paths begin.
    pub(crate) folder: PathBuf,
    /// Clock and randomness.
    pub(crate) ctx: Ctx,
}

impl System {
    /// Looks at the real world, once.
    pub(crate) fn real() -> std::io::Result<Self> {
        let text =
            |(name, value): (std::ffi::OsString, std::ffi::OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Ok(Self {
            env: std::env::vars_os().filter_map(text).collect(),
            folder: std::env::current_dir()?,
            ctx: Ctx::new(Arc::new(SystemClock), Arc::new(SystemRandomness::default())),
        })
    }

    /// An environment variable, unless it is empty.
    pub(crate) fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
