//! Settings of an issuer beyond its address: whom it trusts, whom it asks, and the switches where the contract is silent.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::store::SecretOptions;

/// `[issuers.NAME.compat]`: each switch is a guess about the live services that somebody may need the other way round.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct CompatOptions {
    /// Several scopes in one Skyporten token: `join` them in the subject, `reject` the request, or put the `first` into the subject.
    pub(crate) multi_scope: String,
    /// A token without resource gets `aud: "unspecified"`, as before 2025.
    pub(crate) legacy_aud: bool,
    /// Tokens carry `client_orgno`, as before 2025.
    pub(crate) client_orgno: bool,
    /// Tokens carry `typ: at+jwt`. Entra refuses such tokens (E-21).
    pub(crate) at_jwt: bool,
    /// The HTTP status of MP-250 and MP-251: 403 or 400.
    pub(crate) forbidden_as: u16,
    /// The owner of a scope may use it without having granted it to itself.
    pub(crate) owner_implicit: bool,
    /// Authorization details may be spelled as in an early draft.
    pub(crate) rar_aliases: bool,
    /// `iss_onbehalfof` is looked up among the client's entries on behalf of others; otherwise it is refused.
    pub(crate) on_behalf_of: bool,
    /// The check digits of `pid`: `both`, or those that numbers have `from-2032`.
    pub(crate) pid: String,
    /// The check digit of organisation numbers: `strict`. Another word is refused with the reason: a number names whom a token is for, and
    /// consumers, clouds' policies and this program's own tools would each have to take one that names nobody.
    pub(crate) orgno_checksum: String,
    /// Unregistered European clients with an e-seal may have scopes with `supports_european_businesses`.
    pub(crate) european_seals: bool,
    /// The oldest `iat` that is taken, in seconds. Digdir's documentation, read literally, says 10.
    pub(crate) max_iat_age: u32,
    /// Take `exp - iat` of 121 seconds too: clients that read the clock twice produce it.
    pub(crate) exp_rounding: bool,
    /// Skyporten's metadata has the fields that AWS and strict OpenID libraries need. Without them it is the published document to the letter.
    pub(crate) skyporten_extended: bool,
}

impl Default for CompatOptions {
    fn default() -> Self {
        Self {
            multi_scope: "join".to_owned(),
            legacy_aud: false,
            client_orgno: false,
            at_jwt: false,
            forbidden_as: 403,
            owner_implicit: true,
            rar_aliases: false,
            on_behalf_of: false,
            pid: "both".to_owned(),
            orgno_checksum: "strict".to_owned(),
            european_seals: false,
            max_iat_age: 120,
            exp_rounding: true,
            skyporten_extended: true,
        }
    }
}

/// `[issuers.NAME.certificates]`: business certificates that clients may prove themselves with. Without this section none is taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CertificatesOptions {
    /// PEM files with the authorities that are trusted. A test issuer names test authorities only.
    pub(crate) anchors: Vec<String>,
    /// PEM files with authorities between: most clients send their own certificate alone.
    #[serde(default)]
    pub(crate) intermediates: Vec<String>,
    /// Whether a certificate must be known not to be revoked: `required`, `if-available` or `off`.
    #[serde(default = "required")]
    pub(crate) revocation: String,
    /// Seconds that an answer about revocation is believed at most.
    #[serde(default = "cache_seconds")]
    pub(crate) revocation_cache_seconds: u32,
    /// For an anchor's file, what `client_amr` says of its certificates: `virksomhetssertifikat`, `CForESeal` or `QCForESeal`.
    #[serde(default)]
    pub(crate) client_amr: BTreeMap<String, String>,
}

fn required() -> String {
    "required".to_owned()
}

const fn cache_seconds() -> u32 {
    3600
}

/// Who is asked about delegations.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected an address, or { url = \"…\", token = { file = \"…\" } }")]
pub(crate) enum DelegationSourceOptions {
    /// The address of its API.
    Url(String),
    /// The same, and what it wants to see.
    WithToken(DelegationSourceWithToken),
}

/// A source that wants a bearer token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DelegationSourceWithToken {
    /// The address of its API.
    pub(crate) url: String,
    /// The bearer token, read at start.
    pub(crate) token: SecretOptions,
}

/// `[server.api-compat]`: switches of the self-service API.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ApiCompatOptions {
    /// A client must have scopes. digdirator registers clients without.
    pub(crate) require_scopes: bool,
    /// Members that nobody knows are refused, not ignored.
    pub(crate) strict_unknown_fields: bool,
}
