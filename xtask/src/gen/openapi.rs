//! The self-service API's description, as the server answers it.

use std::path::Path;

use anyhow::{Context as _, Result};
use skybru_issuer::selfservice::openapi;

/// The page. A test of the issuer holds it against what is served, so that a change of the API is seen without this task too.
pub(super) fn page(_: &Path) -> Result<String> {
    Ok(serde_json::to_string_pretty(&openapi::document()).context("the description cannot be written")? + "\n")
}
