//! How long keys, key sets and tokens live, where it is not days; and how much a listener puts up with.

use jiff::SignedDuration;
use serde::Deserialize;

/// `[server.lifetimes]`: durations such as `1s500ms` or `PT24H`. No cloud keeps a key set for less than hours, whatever it is told: with
/// these an issuer is for verifiers that do as `Cache-Control` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct LifetimeOptions {
    /// How long verifiers may keep the key set, instead of `key-set-cache-hours`.
    pub(crate) key_set_cache: Option<SignedDuration>,
    /// The longest life of a token: two hours when absent.
    pub(crate) longest_token: Option<SignedDuration>,
    /// After how long another key signs, instead of `rotate-days`.
    pub(crate) rotate: Option<SignedDuration>,
    /// How much longer than the cache time a switch waits for known verifiers, instead of `rotate-wait-hours`.
    pub(crate) rotate_wait: Option<SignedDuration>,
    /// How often keys are looked at, and how old the registry in memory may be: five seconds when absent. A new key is everywhere after
    /// three times this.
    pub(crate) pace: Option<SignedDuration>,
}

/// `[server.limits]`: how much each listener puts up with.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ListenerOptions {
    /// Connections at once; further callers wait.
    pub(crate) connections: usize,
    /// Seconds from the first byte to the end of the TLS handshake, and from there to the end of the headers; and how long a connection
    /// may say nothing.
    pub(crate) header_seconds: u32,
    /// Seconds from the headers to the answer, the body's arrival included.
    pub(crate) request_seconds: u32,
    /// Seconds that running requests may go on after the stop.
    pub(crate) drain_seconds: u32,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self { connections: 10_000, header_seconds: 10, request_seconds: 15, drain_seconds: 10 }
    }
}
