//! The kept table: one row a case, one column a judge.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::cases::Case;

const HEAD: &str = "# What others make of the same tokens

Kept by the test `each_judge_says_what_the_table_says`, which asks all of them and fails when a verdict changes. `SKYBRU_WRITE_JUDGES=1
cargo test -p skybru --test real each_judge` writes it anew; read the difference before you commit it.

The simulator decides as AWS does. Ceph's RADOS Gateway (16.2, of Debian 12) is an STS that others wrote: it verifies signature, time,
audience and trust policy in its own way. moto (5.2) looks at no token; it judges only that providers and roles can be made with our calls.

";

/// A case and what each judge said: the simulator, Ceph, moto.
pub(super) struct Row<'a> {
    pub(super) case: &'a Case,
    pub(super) verdicts: [String; 3],
}

/// Compares with the kept table, or writes it.
#[expect(clippy::disallowed_methods, reason = "a test program reads its own environment")]
pub(super) fn check(rows: &[Row<'_>]) {
    let unexplained: Vec<String> = rows
        .iter()
        .filter(|Row { case, verdicts: [simulator, ceph, _] }| {
            ((simulator == "takes it") != (ceph == "takes it")) == case.why.is_empty()
        })
        .map(|Row { case, verdicts: [simulator, ceph, _] }| {
            format!("{}: simulator {simulator}, Ceph {ceph}, reason {:?}", case.name, case.why)
        })
        .collect();
    assert!(
        unexplained.is_empty(),
        "a difference without a reason, or a reason without a difference:\n{}",
        unexplained.join("\n")
    );
    let page = page(rows);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/judges.md");
    if std::env::var("SKYBRU_WRITE_JUDGES").is_ok() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, page).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differing: Vec<&str> = page.lines().filter(|line| !kept.contains(line)).collect();
    assert!(kept == page, "the table is another one now:\n{}", differing.join("\n"));
}

fn page(rows: &[Row<'_>]) -> String {
    let same = rows.iter().filter(|row| row.case.why.is_empty()).count();
    let mut page = HEAD.to_owned();
    writeln!(page, "{} cases; simulator and Ceph agree in {same}.\n", rows.len()).unwrap();
    page.push_str("| case | simulator | Ceph | moto | why Ceph differs |\n|---|---|---|---|---|\n");
    for Row { case, verdicts: [simulator, ceph, moto] } in rows {
        writeln!(page, "| {} | {simulator} | {ceph} | {moto} | {} |", case.name, case.why).unwrap();
    }
    page
}
