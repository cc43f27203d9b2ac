//! Switches for where Digdir's documentation is silent, or where the live service has changed: each is a guess that somebody may need the
//! other way round. The defaults are those with which all known clients work.

/// What becomes of a Skyporten token with several scopes. Undocumented; clouds compare the subject to the letter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MultiScope {
    /// The subject carries all of them, with blanks between, in the order asked for.
    #[default]
    Join,
    /// Such a request is refused with `invalid_scope`.
    Reject,
    /// The subject carries the first one; the `scope` claim carries all.
    First,
}

/// How strictly a `pid` is checked.
pub use skybru_core::person::PersonCheck;

/// The switches of one issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Compat {
    /// Several scopes at Skyporten.
    pub multi_scope: MultiScope,
    /// A token without resource gets `aud: "unspecified"`, as before 2025.
    pub legacy_aud: bool,
    /// Tokens carry `client_orgno`, as before 2025.
    pub client_orgno: bool,
    /// Tokens carry `typ: at+jwt` ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)). Entra refuses it (E-21).
    pub at_jwt: bool,
    /// The HTTP status of MP-250 and MP-251: 403, or 400.
    pub forbidden_status: u16,
    /// The owner of a scope may use it without having granted it to itself.
    pub owner_implicit: bool,
    /// Authorization details may be spelled as in an early draft.
    pub rar_aliases: bool,
    /// `iss_onbehalfof` is looked up among the client's entries on behalf of others; otherwise it is refused. The documentation says both.
    pub on_behalf_of: bool,
    /// Which check digits of `pid` must fit.
    pub pid: PersonCheck,
    /// Unregistered European clients with an e-seal may have scopes that say so (a pilot of 2025).
    pub european_seals: bool,
}

impl Default for Compat {
    fn default() -> Self {
        Self {
            multi_scope: MultiScope::Join,
            legacy_aud: false,
            client_orgno: false,
            at_jwt: false,
            forbidden_status: 403,
            owner_implicit: true,
            rar_aliases: false,
            on_behalf_of: false,
            pid: PersonCheck::Both,
            european_seals: false,
        }
    }
}
