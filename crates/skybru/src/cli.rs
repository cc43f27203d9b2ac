//! What can be typed. What it means is decided in `cmd`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cmd::{
    agent, cat, completions, config, cp, credentials, delta, doctor, exec, inspect, issuer, kit, ls, man, registry, rm, sync,
    token, try_it, up,
};

/// Share cloud resources between organisations by organisation number, with short-lived tokens only.
///
/// Begin with `skybru try`: it needs no set-up and shows the whole road.
#[derive(Debug, Parser)]
#[command(name = "skybru", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Settings file [default: ./skybru.toml, else skybru/skybru.toml in the XDG configuration folder]
    #[arg(long, global = true, value_name = "FILE", env = "SKYBRU_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub(crate) color: Colour,
    /// Say more on stderr; twice for details
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands. The arguments of each are put together when it is the one that was typed.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Walk the whole road once, on this machine, with no set-up
    Try(try_it::TryArgs),
    /// Run the lab (issuers, self-service API, simulated clouds) until stopped
    Up(up::UpArgs),
    /// Get an access token
    Token(token::TokenArgs),
    /// Decode a token, verify it, explain each claim
    Inspect(inspect::InspectArgs),
    /// Exchange a token for cloud credentials
    Credentials(credentials::CredentialsArgs),
    /// Write a profile for Delta Sharing clients
    DeltaProfile(delta::DeltaArgs),
    /// Run a command with cloud credentials
    Exec(exec::ExecArgs),
    /// Hand tokens and credentials to the programs of this machine
    Agent(agent::AgentArgs),
    /// Make, check and take over what a consumer needs, as one file
    Kit(kit::KitArgs),
    /// List objects
    Ls(ls::LsArgs),
    /// Copy files to, from and between buckets
    Cp(cp::CpArgs),
    /// Make a folder or prefix like another: copies what is new or differs
    Sync(sync::SyncArgs),
    /// Delete objects
    Rm(rm::RmArgs),
    /// Print an object
    Cat(cat::CatArgs),
    /// Run an issuer of your own, on a static site
    Issuer(issuer::IssuerArgs),
    /// Register organisations, scopes, accesses, clients and keys
    Registry(registry::RegistryArgs),
    /// Find out why something is refused, and how to mend it
    Doctor(doctor::DoctorArgs),
    /// Show the settings in effect
    Config(config::ConfigArgs),
    /// Print a manual page
    Man(man::ManArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    /// The command lines in docs/examples are ones that this program takes.
    #[test]
    fn the_units_of_the_examples_start_this_program() {
        for unit in [
            include_str!("../../../docs/examples/skybru-agent.service"),
            include_str!("../../../docs/examples/skybru-issuer.service"),
        ] {
            let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
            Cli::try_parse_from(line.split(' ')).unwrap();
        }
    }

    #[test]
    fn the_arguments_make_sense() {
        Cli::command().debug_assert();
    }
}
