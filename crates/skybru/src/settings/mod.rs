//! Settings: environment over file over nothing. Each value knows where it came from; unknown keys are errors.

mod clouds;
mod layers;
mod nais;
mod options;
mod resolve;

pub(crate) use clouds::Cloud;
pub(crate) use layers::{Settings, SettingsError};
pub(crate) use options::{IssuerOptions, ServerOptions};
