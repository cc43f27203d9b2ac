//! `skybru man`: manual pages, made from the same words as `--help`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, CommandFactory as _};

use super::{Call, Outcome};

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command to describe, such as: issuer keys [default: skybru itself]
    command: Vec<String>,
    /// Write the pages of all commands into this folder, one file each
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(call: &Call, args: &ManArgs) -> Result<Outcome> {
    let mut root = crate::cli::Cli::command();
    root.build();
    if let Some(folder) = &args.dir {
        let folder = call.system.folder.join(folder);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        clap_mangen::generate_to(root, &folder).with_context(|| format!("cannot write into {}", folder.display()))?;
        call.printer.say(&format!("read one with: man {}/skybru.1", folder.display()));
        return Ok(Outcome::Done);
    }
    let mut found = &root;
    for name in &args.command {
        let Some(next) = found.find_subcommand(name) else {
            let names: Vec<&str> =
                found.get_subcommands().filter(|one| !one.is_hide_set()).map(clap::Command::get_name).collect();
            bail!("{} has no command {name:?}; it has: {}", found.get_name(), names.join(", "));
        };
        found = next;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(found.clone()).render(&mut page).context("cannot make the page")?;
    call.printer.raw(&page)?;
    Ok(Outcome::Done)
}
