//! The self-service API's description, as the server answers it.

use std::path::Path;

use anyhow::{Context as _, Result};
use skybru_issuer::selfservice::openapi;

/// The page. A test of the issuer holds it against what is served, so that a change of the API is seen without this task too.
pub(super) fn page(_: &Path) -> Result<String> {
    let mut document = serde_json::to_value(openapi::document()).context("the description cannot be written")?;
    // Whether members keep their order depends on what else is built; in a page they are sorted.
    document.sort_all_objects();
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
