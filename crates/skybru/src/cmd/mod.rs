//! One file a command: its arguments and what it does.

pub(crate) mod agent;
pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod cp;
pub(crate) mod credentials;
pub(crate) mod delta;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod inspect;
pub(crate) mod issuer;
pub(crate) mod kit;
pub(crate) mod ls;
pub(crate) mod man;
mod place;
mod progress;
pub(crate) mod registry;
pub(crate) mod rm;
pub(crate) mod rotate;
pub(crate) mod sync;
pub(crate) mod token;
mod tree;
pub(crate) mod try_it;
pub(crate) mod up;

use crate::print::Printer;
use crate::settings::Settings;
use crate::system::System;

/// What every command gets.
pub(crate) struct Call {
    /// The real world.
    pub(crate) system: System,
    /// How to print.
    pub(crate) printer: Printer,
    /// The file that `--config` names.
    pub(crate) config: Option<std::path::PathBuf>,
}

impl Call {
    /// Reads the settings.
    pub(crate) fn settings(&self) -> Result<Settings, crate::settings::SettingsError> {
        Settings::load(self.config.as_deref(), &self.system)
    }
}

/// How a command ended, when it did what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0.
    Done,
    /// 1: the answer is no.
    No,
    /// Another program's own code.
    Code(i32),
}
