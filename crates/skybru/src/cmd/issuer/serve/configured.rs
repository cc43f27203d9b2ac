//! From settings to what the issuers run with.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use jiff::SignedDuration;
use skybru_issuer::keys::Lifetimes;
use skybru_issuer::{IssuerSettings, Profile};
use skybru_protocol::assertion::TimeRules;

use super::super::certificate::Certificate;
use crate::settings::{IssuerOptions, ServerOptions, Settings};

/// The longest life that a client may ask for its tokens.
const LONGEST_TOKEN_SECONDS: u32 = 7200;

/// How long caches and tokens live here.
pub(super) fn lifetimes(options: &ServerOptions) -> Lifetimes {
    Lifetimes {
        cache: SignedDuration::from_hours(options.key_set_cache_hours.into()),
        token: SignedDuration::from_secs(LONGEST_TOKEN_SECONDS.into()),
    }
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
