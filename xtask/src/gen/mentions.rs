//! Where rule ids stand in the sources: in which tests, and in which code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Groups of ids, longest first so that `MP-` is no `P-`.
const GROUPS: [&str; 7] = ["MP", "A", "G", "E", "D", "P", "W"];

/// Where an id stands.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    /// Tests that name it, as `crate: test`.
    pub(crate) tests: BTreeSet<String>,
    /// Files of code that name it, by path below `crates`.
    pub(crate) code: BTreeSet<String>,
}

/// Looks through every source below `crates`.
pub(crate) fn scan(root: &Path) -> Result<BTreeMap<String, Mentions>> {
    let mut found = BTreeMap::<String, Mentions>::new();
    let mut folders = vec![root.join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)?;
                let shown = path.strip_prefix(root.join("crates"))?.display().to_string().replace('\\', "/");
                scan_file(&shown, &text, &mut found);
            }
        }
    }
    Ok(found)
}

/// A test begins at its attribute or the comment above it, and ends at the closing brace of its own indentation.
fn scan_file(path: &str, text: &str, found: &mut BTreeMap<String, Mentions>) {
    let krate = path.split('/').next().unwrap_or_default();
    let is_test_file = path.contains("/tests/");
    let (mut comment, mut pending, mut inside) = (Vec::new(), false, None::<(String, String)>);
    for line in text.lines() {
        let trimmed = line.trim_start();
        let indent = &line[..line.len() - trimmed.len()];
        if let Some((name, closing)) = &inside {
            add_all(ids(line), |mentions| &mut mentions.tests, &format!("{krate}: {name}"), found);
            if line == closing {
                inside = None;
            }
            continue;
        }
        if trimmed.starts_with("///") {
            comment.extend(ids(trimmed));
            continue;
        }
        if trimmed.starts_with("#[") {
            pending |= trimmed.starts_with("#[test]") || trimmed.starts_with("#[tokio::test");
            continue;
        }
        if let Some(name) = pending.then(|| name_of(trimmed)).flatten() {
            let of_test = std::mem::take(&mut comment).into_iter().chain(ids_of_name(name)).chain(ids(trimmed));
            add_all(of_test, |mentions| &mut mentions.tests, &format!("{krate}: {name}"), found);
            inside = Some((name.to_owned(), format!("{indent}}}")));
            pending = false;
            continue;
        }
        let outside = std::mem::take(&mut comment).into_iter().chain(ids(line));
        if is_test_file {
            let file = path.rsplit('/').next().unwrap_or_default();
            add_all(outside, |mentions| &mut mentions.tests, &format!("{krate}: rows of {file}"), found);
        } else {
            add_all(outside, |mentions| &mut mentions.code, path, found);
        }
    }
}

fn add_all(
    ids: impl IntoIterator<Item = String>,
    kind: fn(&mut Mentions) -> &mut BTreeSet<String>,
    place: &str,
    found: &mut BTreeMap<String, Mentions>,
) {
    for id in ids {
        kind(found.entry(id).or_default()).insert(place.to_owned());
    }
}

fn name_of(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

/// `d_08_algorithms` begins with D-08; `w_2_w_3_the_guide` with two ids.
fn ids_of_name(name: &str) -> Vec<String> {
    let mut parts = name.split('_').peekable();
    let mut ids = Vec::new();
    while let Some(group) = parts.next().map(str::to_uppercase) {
        let is_id = GROUPS.contains(&group.as_str()) && parts.peek().is_some_and(|part| is_number(part));
        match parts.next().filter(|_| is_id) {
            Some(number) => ids.push(format!("{group}-{number}")),
            None => break,
        }
    }
    ids
}

/// Ids in a line: `A-41`, and the ends of `A-32 to A-35` but not what lies between.
fn ids(line: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for (place, _) in line.match_indices('-') {
        let before: String = line[..place].chars().rev().take_while(char::is_ascii_uppercase).collect();
        let group: String = before.chars().rev().collect();
        let word_before = line[..place - group.len()].chars().next_back();
        let rest = &line[place + 1..];
        let number = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        let after = rest[number.len()..].chars().next();
        let stands_alone = !word_before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric);
        if GROUPS.contains(&group.as_str()) && is_number(number) && stands_alone && !is_curve(&group, number) {
            ids.push(format!("{group}-{number}"));
        }
    }
    ids
}

/// P-256, P-384 and P-521 are the curves of NIST, no rules.
fn is_curve(group: &str, number: &str) -> bool {
    group == "P" && ["256", "384", "521"].contains(&number)
}

fn is_number(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_where_they_stand_alone() {
        assert_eq!(
            ids("A-41 and (D-23), not AB-1, RFC-7515, A-1x, SHA-256 or P-256; MP-121, P-2."),
            ["A-41", "D-23", "MP-121", "P-2"]
        );
    }

    #[test]
    fn the_name_of_a_test_begins_with_its_ids() {
        assert_eq!(ids_of_name("w_2_w_3_the_guide"), ["W-2", "W-3"]);
        assert_eq!(ids_of_name("a_token_with_2_parts"), [""; 0]);
        assert_eq!(ids_of_name("d_08_algorithms"), ["D-08"]);
    }

    #[test]
    fn what_stands_in_a_test_belongs_to_it_and_what_stands_outside_does_not() {
        let text = "/// A-1.\nfn f() {}\n\n/// A-2.\n#[test]\nfn a_3_one() {\n    x(\"A-4\");\n}\n// A-5\n";
        let mut found = BTreeMap::new();
        scan_file("federation/src/x.rs", text, &mut found);
        let tests: Vec<&String> = found.iter().filter(|(_, mentions)| !mentions.tests.is_empty()).map(|(id, _)| id).collect();
        assert_eq!(tests, ["A-2", "A-3", "A-4"]);
        assert!(found["A-1"].code.contains("federation/src/x.rs") && found["A-5"].tests.is_empty());
    }
}
