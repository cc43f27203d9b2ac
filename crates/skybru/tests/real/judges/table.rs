//! The kept tables: one section for each cloud, one row a case, one column a judge.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

const HEAD: &str = "# What others make of the same tokens

Kept by the tests in `crates/skybru/tests/real/judges`, which ask all of them and fail when a verdict changes. `SKYBRU_WRITE_JUDGES=1 cargo
test -p skybru --test real judges` writes it anew; read the difference before you commit it.
";

/// What a judge says of a token that it accepts.
pub(super) const TAKES: &str = "takes it";

/// The sections stand in one file, and are written by tests that run side by side.
static FILE: Mutex<()> = Mutex::new(());

/// The table of one cloud. Its first judge is the simulator, its second the one whose differences have reasons.
pub(super) struct Section {
    title: &'static str,
    head: &'static str,
    judges: &'static [&'static str],
    rows: Vec<Row>,
}

/// A case, what each judge said, and why the second differs from the first.
struct Row {
    name: &'static str,
    verdicts: Vec<String>,
    why: &'static str,
}

impl Row {
    fn judges_agree(&self) -> bool {
        (self.verdicts[0] == TAKES) == (self.verdicts[1] == TAKES)
    }
}

impl Section {
    pub(super) const fn new(title: &'static str, head: &'static str, judges: &'static [&'static str]) -> Self {
        Self { title, head, judges, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, name: &'static str, verdicts: Vec<String>, why: &'static str) {
        self.rows.push(Row { name, verdicts, why });
    }

    /// Compares with the kept table, or writes it.
    #[expect(clippy::disallowed_methods, reason = "a test program reads its own environment")]
    pub(super) fn check(&self) {
        let unexplained: Vec<String> = self
            .rows
            .iter()
            .filter(|row| row.judges_agree() != row.why.is_empty())
            .map(|row| format!("{}: {:?}, reason {:?}", row.name, row.verdicts, row.why))
            .collect();
        assert!(
            unexplained.is_empty(),
            "a difference without a reason, or a reason without a difference:\n{}",
            unexplained.join("\n")
        );
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/judges.md");
        let _one_at_a_time = FILE.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let text = self.text();
        if std::env::var("SKYBRU_WRITE_JUDGES").is_ok() {
            std::fs::write(&path, self.put_into(&kept, &text)).unwrap();
            return;
        }
        let differing: Vec<&str> = text.lines().filter(|line| !kept.contains(line)).collect();
        assert!(kept.contains(&text), "the table is another one now:\n{}", differing.join("\n"));
    }

    fn text(&self) -> String {
        let same = self.rows.iter().filter(|row| row.judges_agree()).count();
        let mut text = format!("\n## {}\n\n{}\n\n", self.title, self.head);
        writeln!(text, "{} cases; {} agree in {same}.\n", self.rows.len(), self.judges[..2].join(" and ")).unwrap();
        writeln!(text, "| case | {} | why {} differs |", self.judges.join(" | "), self.judges[1]).unwrap();
        writeln!(text, "|{}", "---|".repeat(self.judges.len() + 2)).unwrap();
        for row in &self.rows {
            writeln!(text, "| {} | {} | {} |", row.name, row.verdicts.join(" | "), row.why).unwrap();
        }
        text
    }

    /// The page with this section new and the others as they were, in the order of their titles.
    fn put_into(&self, page: &str, text: &str) -> String {
        let mut sections: Vec<String> = page.split("\n## ").skip(1).map(|rest| format!("\n## {}\n", rest.trim_end())).collect();
        sections.retain(|section| !section.starts_with(&format!("\n## {}\n", self.title)));
        sections.push(text.to_owned());
        sections.sort();
        format!("{HEAD}{}", sections.concat())
    }
}
