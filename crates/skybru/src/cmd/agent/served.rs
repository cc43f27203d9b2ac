//! From the settings to what the agent hands out.

use std::sync::Arc;

use anyhow::{Result, bail};
use skybru_client::introspect::Introspector;

use crate::http::agent::{AgentClient, LocalClient, Served, TargetTokens};
use crate::settings::Settings;
use crate::system::System;
use crate::wire::Wiring;

/// What texas calls Maskinporten.
const MASKINPORTEN: &str = "maskinporten";

/// The targets that stand for the machine's own identity, where the command line names them.
pub(super) struct Chosen {
    pub(super) google: Option<String>,
    pub(super) azure: Option<String>,
}

/// Everything that the settings have.
pub(super) fn of_settings(wiring: &mut Wiring<'_>, settings: &Settings, system: &System, chosen: &Chosen) -> Result<Served> {
    let mut served = Served::default();
    for name in settings.options.clients.keys() {
        let wired = wiring.client(name)?;
        let issuer = wired.tokens.identity().issuer.clone();
        let introspector = Introspector::new(system.ctx.clone(), wired.http, issuer);
        served.clients.insert(name.clone(), Arc::new(AgentClient { tokens: wired.tokens, introspector }));
    }
    // Where there is one only, it is what texas calls `maskinporten` too.
    let only = (served.clients.len() == 1).then(|| served.clients.values().next().cloned()).flatten();
    if let Some(only) = only {
        served.clients.entry(MASKINPORTEN.to_owned()).or_insert(only);
    }
    for name in settings.options.targets.keys() {
        add_target(&mut served, wiring, settings, name)?;
    }
    served.machine_google = machine("--google", chosen.google.as_ref(), served.google.keys())?;
    served.machine_azure = machine("--azure", chosen.azure.as_ref(), served.azure.keys())?;
    for (id, options) in &settings.options.local_clients {
        let (tokens, request) = wiring.tokens(Some(&options.target))?;
        let secret = settings.secret(&format!("local-clients.{id}.secret"), &options.secret, system)?;
        let client = LocalClient { secret, tokens: TargetTokens { tokens, request } };
        served.local_clients.insert(id.clone(), Arc::new(client));
    }
    Ok(served)
}

/// One target alone, in all its clouds, which also stands for the machine: for the command that `exec` runs.
pub(crate) fn of_target(wiring: &mut Wiring<'_>, settings: &Settings, name: &str) -> Result<Served> {
    let mut served = Served::default();
    add_target(&mut served, wiring, settings, name)?;
    served.machine_google = served.google.keys().next().cloned();
    served.machine_azure = served.azure.keys().next().cloned();
    Ok(served)
}

fn add_target(served: &mut Served, wiring: &mut Wiring<'_>, settings: &Settings, name: &str) -> Result<()> {
    let (_, target) = settings.target(Some(name))?;
    if target.aws.is_some() {
        served.aws.insert(name.to_owned(), wiring.aws(Some(name))?.credentials);
    }
    if target.google.is_some() {
        served.google.insert(name.to_owned(), wiring.google(Some(name))?.credentials);
    }
    if target.azure.is_some() {
        served.azure.insert(name.to_owned(), wiring.azure(Some(name))?.credentials);
    }
    Ok(())
}

/// The target that was named, which must be there, or the only one.
fn machine<'a>(flag: &str, chosen: Option<&String>, targets: impl Iterator<Item = &'a String>) -> Result<Option<String>> {
    let targets: Vec<&String> = targets.collect();
    match (chosen, &targets[..]) {
        (Some(chosen), _) if targets.contains(&chosen) => Ok(Some(chosen.clone())),
        (Some(chosen), _) => bail!("{flag} {chosen}: the settings have no such target in that cloud"),
        (None, [only]) => Ok(Some((*only).clone())),
        (None, _) => Ok(None),
    }
}
