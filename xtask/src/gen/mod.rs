//! `cargo xtask gen`: files in `docs/reference` that are made from the sources. With `--check` it only says which are out of date.

mod mentions;
mod mutations;
mod openapi;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// What is made: a name in `docs/reference`, and how.
type Page = (&'static str, fn(&Path) -> Result<String>);

const PAGES: [Page; 3] = [("rules.md", rules::page), ("mutations.md", mutations::page), ("openapi.json", openapi::page)];

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Makes the pages, or says which would change.
#[expect(clippy::print_stderr, reason = "this is its purpose")]
pub(crate) fn run(check: bool) -> Result<()> {
    let root = root();
    let mut stale = Vec::new();
    for (name, make) in PAGES {
        let path = root.join("docs/reference").join(name);
        let page = make(&root).with_context(|| format!("cannot make {name}"))?;
        if fs::read_to_string(&path).ok().as_deref() == Some(page.as_str()) {
            continue;
        }
        if check {
            stale.push(name);
        } else {
            fs::create_dir_all(root.join("docs/reference"))?;
            fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("made docs/reference/{name}");
        }
    }
    if !stale.is_empty() {
        bail!("out of date in docs/reference: {}; run cargo xtask gen and commit what it made", stale.join(", "));
    }
    Ok(())
}
