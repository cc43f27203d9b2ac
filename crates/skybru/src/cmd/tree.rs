//! What the commands share that work on many files: which ones, and what is told of each.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use skybru_client::storage::{Filter, Item, Skipped, Step, Tree};

use super::Outcome;
use super::place::Place;
use crate::print::Printer;

/// Which files a recursive command takes.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only paths that match, such as *.csv or 2026/*; may be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// No paths that match; stronger than --include; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

impl FilterArgs {
    pub(crate) fn filter(&self) -> Result<Filter> {
        Ok(Filter::new(&self.include, &self.exclude)?)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

impl Place {
    /// Everything below the place.
    pub(crate) fn tree(self) -> Result<Tree> {
        match self {
            Self::Bucket(bucket, prefix) => Ok(Tree::below(bucket, &prefix)),
            Self::Local(folder) => Ok(Tree::Folder(folder)),
            Self::Stdio => bail!("many files cannot go through standard input or output"),
        }
    }
}

/// What is done, a line each: data of a dry run, words otherwise (and only with `loud`).
pub(crate) fn teller<'a>(
    printer: &'a Printer,
    from: &'a Tree,
    to: &'a Tree,
    dry_run: bool,
    loud: bool,
) -> impl Fn(&Step) + Sync + 'a {
    move |step| {
        if !dry_run && !loud {
            return;
        }
        let line = if printer.json { as_json(step, from, to) } else { as_words(step, from, to) };
        if dry_run {
            // Whoever read our output may have seen enough; the walk goes on to its end and its exit code.
            let _ = printer.data(&line);
        } else {
            printer.say(&line);
        }
    }
}

/// Says what was passed over; that some was is an answer of its own.
pub(crate) fn passed_over(printer: &Printer, skipped: &[Skipped]) -> Outcome {
    let mut count = 0;
    for Skipped { names, count: of_these } in skipped {
        count += of_these;
        for name in names {
            printer.say(&format!("passed over {name:?}: this key cannot be used here"));
        }
    }
    if count == 0 {
        return Outcome::Done;
    }
    printer.say(&format!(
        "passed over {count} in all: keys with empty parts, the parts . and .., control characters, or parts that no file here can be called"
    ));
    Outcome::No
}

fn as_json(step: &Step, from: &Tree, to: &Tree) -> String {
    let (action, item): (&str, &Item) = match step {
        Step::Copy(item) => ("copy", item),
        Step::Delete(item) => ("delete", item),
    };
    let from = matches!(step, Step::Copy(_)).then(|| from.address(&item.relative));
    json!({"action": action, "from": from, "to": to.address(&item.relative), "size": item.size}).to_string()
}

fn as_words(step: &Step, from: &Tree, to: &Tree) -> String {
    match step {
        Step::Copy(item) => format!("copy {} to {}", from.address(&item.relative), to.address(&item.relative)),
        Step::Delete(item) => format!("delete {}", to.address(&item.relative)),
    }
}
