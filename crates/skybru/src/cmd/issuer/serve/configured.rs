//! From settings to what the issuers run with.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::SignedDuration;
use skybru_issuer::keys::{EVERYWHERE, Lifetimes, RotationRules};
use skybru_issuer::{IssuerSettings, LONGEST_TOKEN_SECONDS, Profile};
use skybru_protocol::assertion::TimeRules;

use super::super::certificate::Certificate;
use crate::settings::{IssuerOptions, ServerOptions, Settings};

/// How often keys are looked at, and how old the registry in memory may be, where the settings do not say.
const PACE: Duration = Duration::from_secs(5);

/// How long caches and tokens live here.
fn lifetimes(options: &ServerOptions) -> Lifetimes {
    let lives = options.lifetimes;
    let hours = || SignedDuration::from_hours(options.key_set_cache_hours.into());
    let longest = || SignedDuration::from_secs(LONGEST_TOKEN_SECONDS.into());
    Lifetimes { cache: lives.key_set_cache.unwrap_or_else(hours), token: lives.longest_token.unwrap_or_else(longest) }
}

/// How often keys are looked at.
pub(super) fn pace(options: &ServerOptions) -> Duration {
    options.lifetimes.pace.map_or(PACE, SignedDuration::unsigned_abs)
}

/// When keys change here.
pub(in super::super) fn rules(options: &ServerOptions) -> Result<RotationRules> {
    let lives = options.lifetimes;
    let named = [
        ("key-set-cache", lives.key_set_cache, SignedDuration::ZERO),
        ("longest-token", lives.longest_token, SignedDuration::from_secs(1)),
        ("rotate", lives.rotate, SignedDuration::from_secs(1)),
        ("rotate-wait", lives.rotate_wait, SignedDuration::ZERO),
        ("pace", lives.pace, SignedDuration::from_millis(100)),
    ];
    for (name, value, least) in named {
        if let Some(value) = value.filter(|value| *value < least) {
            bail!("setting server.lifetimes.{name}: expected at least {least:#}, found {value:#}");
        }
    }
    let lifetimes = lifetimes(options);
    let wait = || options.rotate_wait_hours.map_or(lifetimes.cache, |hours| SignedDuration::from_hours(hours.into()));
    let every = lives.rotate.or(options.rotate_days.map(|days| SignedDuration::from_hours(24 * i64::from(days))));
    let everywhere = SignedDuration::try_from(pace(options) * 3).unwrap_or(EVERYWHERE);
    Ok(RotationRules { lifetimes, every, patience: lives.rotate_wait.unwrap_or_else(wait), everywhere })
}

pub(super) fn issuer_settings(name: &str, options: &IssuerOptions) -> Result<IssuerSettings> {
    let url: skybru_core::IssuerUrl = options.url.parse().with_context(|| format!("setting issuers.{name}.url"))?;
    let profile = match options.profile.as_str() {
        "maskinporten" => Profile::Maskinporten,
        "skyporten" => Profile::Skyporten { cloud_metadata: true },
        other => bail!("setting issuers.{name}.profile: expected maskinporten or skyporten, found {other:?}"),
    };
    if profile == Profile::Maskinporten && !url.ends_in_slash() {
        bail!("setting issuers.{name}.url: {url} must end in a slash, as Maskinporten's does: known clients add one");
    }
    if profile != Profile::Maskinporten && url.ends_in_slash() {
        bail!("setting issuers.{name}.url: {url} must not end in a slash: clouds take that for another issuer (P-4)");
    }
    if !(1..=LONGEST_TOKEN_SECONDS).contains(&options.token_lifetime_seconds) {
        let found = options.token_lifetime_seconds;
        bail!("setting issuers.{name}.token-lifetime-seconds: expected 1 to {LONGEST_TOKEN_SECONDS}, found {found}");
    }
    Ok(IssuerSettings { url, profile, token_lifetime_seconds: options.token_lifetime_seconds, time_rules: TimeRules::default() })
}

pub(super) fn certificate(settings: &Settings, options: &ServerOptions) -> Result<Option<Arc<Certificate>>> {
    match (&options.tls_cert, &options.tls_key) {
        (Some(chain), Some(key)) => Ok(Some(Arc::new(
            Certificate::read(settings.beside(chain), settings.beside(key)).context("setting server.tls-cert")?,
        ))),
        (None, None) => Ok(None),
        _ => bail!("settings server.tls-cert and server.tls-key: give both, or neither"),
    }
}
