//! `docs/reference/rules.md`: each rule, what it says, where it is decided, and which tests hold it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use skybru_federation::catalogue;

use super::mentions::{Mentions, scan};

/// Tests that are named in the table; the others are counted.
const SHOWN: usize = 3;

/// A rule as it goes into the table.
struct Rule {
    id: String,
    status: String,
    says: String,
}

const HEAD: &str = "# Rules, and the tests that hold them

Made by `cargo xtask gen` from the sources, `xtask/rules.list` and `federation::catalogue`; do not edit. `A-…` are AWS's rules, `G-…`
Google Cloud's, `E-…` those of Entra and Azure, `P-…` what an issuer does to be safe at all three, `D-…` what the doctor finds, `W-…` the
older guide. *unconfirmed* rests on one report or on inference. *advice* is nothing that a function could decide.

";

/// Rules of the doctor that no look at a set-up can find, and why: they are named by the error text alone.
const BY_TEXT: [(&str, &str); 4] = [
    ("D-34", "no call tells which regions of another account's STS are switched off; STS says so when it is asked"),
    (
        "D-48",
        "whether the API is on in the provider's project only an administrator of that project may ask; the refusal tells everybody",
    ),
    ("D-70", "the assertion that az replays lies in az's own encrypted cache; Entra's word on its time is all there is to see"),
    ("D-71", "a flag that was not given leaves no trace but what az then says"),
];

const GROUPS: [(&str, &str); 6] = [
    ("P", "The issuer's profile"),
    ("A", "AWS"),
    ("G", "Google Cloud"),
    ("E", "Entra and Azure"),
    ("D", "What the doctor finds"),
    ("W", "The older guide"),
];

pub(super) fn page(root: &Path) -> Result<String> {
    let mentions = scan(root)?;
    let rules = rules(root)?;
    let mut page = HEAD.to_owned();
    for (group, title) in GROUPS {
        let of_group: Vec<&Rule> = rules.iter().filter(|rule| rule.id.split('-').next() == Some(group)).collect();
        write_group(&mut page, title, &of_group, &mentions)?;
        if group == "D" {
            write_by_text(&mut page, root, &of_group)?;
        }
    }
    Ok(page)
}

fn write_group(page: &mut String, title: &str, rules: &[&Rule], mentions: &BTreeMap<String, Mentions>) -> Result<()> {
    let none = Mentions::default();
    let of = |rule: &Rule| mentions.get(&rule.id).unwrap_or(&none);
    let decided: Vec<&&Rule> = rules.iter().filter(|rule| rule.status != "advice").collect();
    let untested: Vec<&str> = decided.iter().filter(|rule| of(rule).tests.is_empty()).map(|rule| rule.id.as_str()).collect();
    writeln!(page, "## {title}\n")?;
    write!(
        page,
        "{} rules, {} that a function can decide, {} of these with tests.",
        rules.len(),
        decided.len(),
        decided.len() - untested.len()
    )?;
    if !untested.is_empty() {
        write!(page, " Without a test of their own: {}.", untested.join(", "))?;
    }
    page.push_str("\n\n| rule | what it says | status | tests | decided in |\n|---|---|---|---|---|\n");
    for rule in rules {
        let Mentions { tests, code } = of(rule);
        let shown: Vec<&str> = tests.iter().take(SHOWN).map(String::as_str).collect();
        let more = if tests.len() > SHOWN { format!(", and {} more", tests.len() - SHOWN) } else { String::new() };
        let code: Vec<&str> = code.iter().take(SHOWN).map(String::as_str).collect();
        let says = rule.says.replace('|', "\\|");
        writeln!(page, "| {} | {says} | {} | {}{more} | {} |", rule.id, rule.status, shown.join(", "), code.join(", "))?;
    }
    page.push('\n');
    Ok(())
}

/// The rules that no look finds; one more or less must be accounted for.
fn write_by_text(page: &mut String, root: &Path, rules: &[&Rule]) -> Result<()> {
    let mut looks = String::new();
    for place in ["aws/lint", "google/lint", "entra/lint", "lint", "tools"].map(|place| format!("crates/federation/src/{place}"))
    {
        read_all(&root.join(place), &mut looks)?;
    }
    read_all(&root.join("crates/skybru/src/cmd/doctor"), &mut looks)?;
    let is_named = |rule: &&&Rule| looks.contains(&format!("\"{}\"", rule.id));
    let of_doctor = rules.iter().filter(|rule| rule.id != "D-99");
    let by_text: Vec<&str> = of_doctor.filter(|rule| !is_named(rule)).map(|rule| rule.id.as_str()).collect();
    if by_text != BY_TEXT.map(|(rule, _)| rule) {
        bail!(
            "rules that the doctor never looks for are {by_text:?}: write into xtask/src/gen/rules.rs why, or take them out there"
        );
    }
    page.push_str(
        "Every rule is looked for in what the doctor is given, but these, which it knows by their error texts alone:\n\n",
    );
    for (rule, why) in BY_TEXT {
        writeln!(page, "- {rule}: {why}.")?;
    }
    page.push('\n');
    Ok(())
}

/// The text of every file in a folder.
fn read_all(folder: &Path, text: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_file() {
            text.push_str(&fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
    }
    Ok(())
}

/// The list, and the catalogue of the doctor.
fn rules(root: &Path) -> Result<Vec<Rule>> {
    let text = fs::read_to_string(root.join("xtask/rules.list")).context("cannot read xtask/rules.list")?;
    let mut rules = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts: Vec<&str> = line.splitn(3, '|').map(str::trim).collect();
        let [id, status, says] = parts[..] else { bail!("xtask/rules.list: expected id | status | text, found {line:?}") };
        if !["confirmed", "unconfirmed", "advice"].contains(&status) {
            bail!("xtask/rules.list: {id} has the status {status:?}");
        }
        rules.push(Rule { id: id.to_owned(), status: status.to_owned(), says: says.to_owned() });
    }
    let entry = |entry: &catalogue::Entry| Rule {
        id: entry.rule.to_owned(),
        status: "confirmed".to_owned(),
        says: entry.what.to_owned(),
    };
    rules.extend(catalogue::all().map(entry));
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::r#gen::root;

    #[test]
    fn each_rule_stands_in_the_list_once() {
        let rules = rules(&root()).unwrap();
        let ids: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(ids.len(), rules.len());
    }

    /// An id that the code cites and nobody has written down is a misprint, or a rule that is missing in the table.
    #[test]
    fn each_id_in_the_sources_is_a_rule() {
        let rules = rules(&root()).unwrap();
        let known: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        let cited = scan(&root()).unwrap();
        let unknown: Vec<&String> = cited
            .iter()
            .filter(|(id, mentions)| !id.starts_with("MP-") && !known.contains(id.as_str()) && !mentions.code.is_empty())
            .map(|(id, _)| id)
            .collect();
        assert_eq!(unknown, [""; 0]);
    }
}
