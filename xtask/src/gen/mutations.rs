//! `docs/reference/mutations.md`: what became of seeded mistakes at each cloud, from the records that the simulators' tests keep.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A kind of mistake, as `crates/sim/tests/it/tally.rs` writes it.
#[derive(Deserialize)]
struct Row {
    mistake: String,
    refused: String,
    rules: Vec<String>,
    cases: usize,
    misses: Vec<String>,
}

const CLOUDS: [(&str, &str); 3] = [("aws", "AWS"), ("google", "Google Cloud"), ("azure", "Azure")];

const HEAD: &str = "# One mistake at a time

Made by `cargo xtask gen` from the records that the simulators' tests keep; do not edit. In a set-up that works one thing is made wrong,
drawn with a fixed seed. The simulator must refuse with this code, and the doctor's first finding must be that mistake. A test fails when
the simulator answers otherwise, when the doctor misses more than one in twenty, or when a record changes
(`SKYBRU_WRITE_MUTATIONS=1 cargo test -p skybru-sim mutations` writes them anew).

";

pub(super) fn page(root: &Path) -> Result<String> {
    let (mut body, mut total, mut missed) = (String::new(), 0, Vec::new());
    for (cloud, name) in CLOUDS {
        let path = root.join(format!("crates/sim/tests/it/mutations/{cloud}.json"));
        if !path.exists() {
            writeln!(body, "## {name}\n\nNo record is kept yet.\n")?;
            continue;
        }
        let rows: Vec<Row> =
            serde_json::from_str(&fs::read_to_string(&path)?).with_context(|| format!("{} is no record", path.display()))?;
        let cases: usize = rows.iter().map(|row| row.cases).sum();
        let not_found: usize = rows.iter().map(|row| row.misses.len()).sum();
        total += cases;
        missed.extend(rows.iter().flat_map(|row| row.misses.iter().map(move |miss| format!("{name}: {miss}"))));
        writeln!(body, "## {name}\n\n{cases} cases of {} kinds; {not_found} missed.\n", rows.len())?;
        body.push_str("| mistake | refused with | the doctor says | cases | missed |\n|---|---|---|---|---|\n");
        for row in rows {
            writeln!(
                body,
                "| {} | {} | {} | {} | {} |",
                row.mistake,
                row.refused,
                row.rules.join(" or "),
                row.cases,
                row.misses.len()
            )?;
        }
        body.push('\n');
    }
    let mut page = HEAD.to_owned();
    writeln!(page, "{total} cases in all, {} missed.\n", missed.len())?;
    page.push_str(&body);
    if !missed.is_empty() {
        page.push_str("## Missed\n\n");
        for miss in missed {
            writeln!(page, "- {miss}")?;
        }
    }
    Ok(page)
}
