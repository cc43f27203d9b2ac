//! What became of seeded mistakes: a kept record for each cloud, of which `cargo xtask gen` makes `docs/reference/mutations.md`.
//!
//! A test fails when its record changes; `SKYBRU_WRITE_MUTATIONS=1 cargo test -p skybru-sim mutations` writes the records anew.

use std::path::PathBuf;

use serde_json::{Value, json};

/// The rows of one cloud, in the order of its mistakes.
pub(crate) struct Tally {
    cloud: &'static str,
    rows: Vec<Value>,
}

impl Tally {
    pub(crate) fn of(cloud: &'static str) -> Self {
        Self { cloud, rows: Vec::new() }
    }

    /// A kind of mistake: the code with which the simulator refuses, the rules that name it, and which rounds the doctor missed.
    pub(crate) fn add(&mut self, kind: &str, code: &str, rules: &[&str], cases: u64, misses: &[String]) {
        self.rows.push(json!({"mistake": kind, "refused": code, "rules": rules, "cases": cases, "misses": misses}));
    }

    /// Compares with the kept record, or writes it.
    #[expect(clippy::disallowed_methods, reason = "a test program reads its own environment")]
    pub(crate) fn keep(self) {
        let mut rows = Value::Array(self.rows);
        // Whether members keep their order depends on what else is built.
        rows.sort_all_objects();
        let text = format!("{rows:#}\n");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/mutations/{}.json", self.cloud));
        if std::env::var("SKYBRU_WRITE_MUTATIONS").is_ok() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            return;
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "{} does not say any more what happens; now it is:\n{text}", path.display());
    }
}
