//! A client as it comes in, and which combinations make sense.

use serde::Deserialize;
use serde_json::{Map, Value};
use skybru_core::{ClientId, OrgNumber, ScopeName};
use skybru_protocol::oauth::JWT_BEARER;
use skybru_store::Registry;
use skybru_store::registry::{Client, IntegrationType, Scope, Visibility};
use utoipa::ToSchema;

use super::{ApiCompat, Problem};

/// A client as it comes in. Members that only the server sets are ignored: clients send back what they read.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = ClientRequest)]
#[serde(default)]
pub struct ClientInput {
    /// Required; shown to people.
    pub client_name: Option<String>,
    /// For people; required by the live service, and digdirator keeps its own mark here.
    pub description: Option<String>,
    /// The caller's own when absent; another's only for suppliers and the issuer's operator.
    pub client_orgno: Option<String>,
    /// Required; cannot be changed later.
    #[schema(value_type = Option<String>, example = "maskinporten")]
    pub integration_type: Option<IntegrationType>,
    /// `web`, `browser` or `native`.
    pub application_type: Option<String>,
    /// `private_key_jwt` for `maskinporten`.
    pub token_endpoint_auth_method: Option<String>,
    /// The JWT grant, in its long or its short name, for `maskinporten`.
    pub grant_types: Option<Vec<String>>,
    /// May be empty: digdirator registers a client whose scopes are not granted yet.
    pub scopes: Option<Vec<String>>,
    /// Seconds; 1 to 7200 for `maskinporten`.
    pub access_token_lifetime: Option<u32>,
    /// Seconds.
    pub refresh_token_lifetime: Option<u32>,
    /// Seconds.
    pub authorization_lifetime: Option<u32>,
    /// `ONETIME` or `REUSE`.
    pub refresh_token_usage: Option<String>,
    /// Where logins return to; required for `idporten`, `api_klient` and `ansattporten`.
    pub redirect_uris: Option<Vec<String>>,
    /// Where logouts return to.
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// Called at logout.
    pub frontchannel_logout_uri: Option<String>,
    /// Whether that call names the session.
    pub frontchannel_logout_session_required: Option<bool>,
    /// Whether each login asks again.
    pub sso_disabled: Option<bool>,
    /// `S256` or `none`.
    pub code_challenge_method: Option<String>,
    /// Where people can read about it.
    pub client_uri: Option<String>,
    /// A picture for people.
    pub logo_uri: Option<String>,
    /// `true` brings a deactivated client back (PUT only).
    pub active: Option<bool>,
    /// What nobody knows.
    #[serde(flatten)]
    #[schema(ignore)]
    pub unknown: Map<String, Value>,
}

/// Members that only the server sets.
const READ_ONLY: [&str; 8] =
    ["client_id", "supplier_orgno", "client_secret", "jwks", "jwks_uri", "onbehalfof", "created", "last_updated"];

/// The short name under which clients register the grant.
const SHORT_GRANT: &str = "jwt_bearer_token";

/// The longest life of a Maskinporten token that may be asked for, in seconds.
const MAX_TOKEN_LIFETIME: u32 = 7200;

const SECRET_METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];
const LOGIN_GRANTS: [&str; 2] = ["authorization_code", "refresh_token"];
const KRR_SCOPES: [&str; 2] = ["krr:global/kontaktinformasjon.read", "krr:global/digitalpost.read"];

/// Whether clients with this method have a secret.
pub(super) fn has_secret(method: &str) -> bool {
    SECRET_METHODS.contains(&method)
}

/// Gathers all that is wrong, so that a client with several faults hears of all of them.
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.push(Problem::field("Client", field, message));
    }
}

/// What a new client keeps of the one it replaces.
pub(super) struct Kept {
    pub(super) client_id: ClientId,
    pub(super) supplier_orgno: Option<OrgNumber>,
    pub(super) created: jiff::Timestamp,
    pub(super) now: jiff::Timestamp,
}

impl ClientInput {
    /// The client that this describes, for the organisation `owner`; or everything that is wrong with it. A scope may stand on it when
    /// `access`, the organisation whose access counts, may have it.
    pub(super) fn to_client(
        &self,
        registry: &Registry,
        owner: Result<OrgNumber, String>,
        access: OrgNumber,
        kept: Kept,
        compat: ApiCompat,
    ) -> Result<Client, Vec<Problem>> {
        let mut problems = Problems(Vec::new());
        let client_orgno = owner.unwrap_or_else(|message| {
            problems.add("client_orgno", message);
            access
        });
        let client_name = self.client_name.clone().unwrap_or_default();
        if client_name.trim().is_empty() {
            problems.add("client_name", "client_name is missing");
        }
        if compat.strict_unknown_fields {
            for name in self.unknown.keys().filter(|name| !READ_ONLY.contains(&name.as_str())) {
                problems.add("body", format!("unknown member {}", name.chars().take(60).collect::<String>()));
            }
        }
        let kind = self.integration_type.unwrap_or(IntegrationType::Maskinporten);
        if self.integration_type.is_none() {
            problems.add("integration_type", "integration_type is missing");
        }
        let (application_type, method) = self.check_methods(kind, &mut problems);
        let grant_types = self.check_grants(kind, &mut problems);
        self.check_lifetimes(kind, &mut problems);
        self.check_addresses(kind, &mut problems);
        let scopes = self.check_scopes(registry, kind, access, compat, &mut problems);
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        Ok(Client {
            client_id: kept.client_id,
            client_name,
            description: self.description.clone().unwrap_or_default(),
            client_orgno,
            supplier_orgno: kept.supplier_orgno,
            integration_type: kind,
            application_type,
            token_endpoint_auth_method: method,
            grant_types,
            scopes,
            access_token_lifetime: self.access_token_lifetime.unwrap_or(0),
            client_uri: self.client_uri.clone(),
            login: self.login(kind),
            secret: None,
            active: self.active.unwrap_or(true),
            created: kept.created,
            last_updated: kept.now,
        })
    }

    /// The table of allowed combinations: kind of integration, of application, and method.
    fn check_methods(&self, kind: IntegrationType, problems: &mut Problems) -> (String, String) {
        let application = self.application_type.clone().unwrap_or_else(|| "web".to_owned());
        let machine = matches!(kind, IntegrationType::Maskinporten | IntegrationType::Krr);
        let applications: &[&str] = if machine { &["web"] } else { &["web", "browser", "native"] };
        let methods: &[&str] = match (machine, application.as_str()) {
            (true, _) => &["private_key_jwt"],
            (false, "web") => &["client_secret_basic", "client_secret_post", "private_key_jwt"],
            (false, _) => &["none"],
        };
        let default = if machine || application == "web" { "private_key_jwt" } else { "none" };
        let method = self.token_endpoint_auth_method.clone().unwrap_or_else(|| default.to_owned());
        let name = kind_name(kind);
        if matches!(kind, IntegrationType::Eformidling | IntegrationType::IdportenSaml2) {
            problems.add("integration_type", format!("integration_type {name} is for the operator of the issuer only"));
        }
        if !applications.contains(&application.as_str()) {
            problems.add("application_type", format!("application_type must be {} for {name}", applications.join(" or ")));
        } else if !methods.contains(&method.as_str()) {
            let message = format!("token_endpoint_auth_method must be {} for {name} and {application}", methods.join(" or "));
            problems.add("token_endpoint_auth_method", message);
        }
        (application, method)
    }

    fn check_grants(&self, kind: IntegrationType, problems: &mut Problems) -> Vec<String> {
        let machine = matches!(kind, IntegrationType::Maskinporten | IntegrationType::Krr);
        let default = if machine { JWT_BEARER } else { "authorization_code" };
        let given = self.grant_types.clone().unwrap_or_else(|| vec![default.to_owned()]);
        let long = |grant: String| if grant == SHORT_GRANT { JWT_BEARER.to_owned() } else { grant };
        let mut grants: Vec<String> = given.into_iter().map(long).collect();
        grants.dedup();
        let known: &[&str] = if machine { &[JWT_BEARER] } else { &LOGIN_GRANTS };
        if grants.is_empty() || grants.iter().any(|grant| !known.contains(&grant.as_str())) {
            problems.add("grant_types", format!("grant_types must be {known:?} for {}", kind_name(kind)));
        }
        grants
    }

    /// Zero is refused everywhere; that one lifetime is shorter than another is advice only, for known clients do not follow it.
    fn check_lifetimes(&self, kind: IntegrationType, problems: &mut Problems) {
        let too_long = kind == IntegrationType::Maskinporten && self.access_token_lifetime > Some(MAX_TOKEN_LIFETIME);
        if self.access_token_lifetime == Some(0) || too_long {
            problems.add(
                "access_token_lifetime",
                format!("access_token_lifetime must be 1 to {MAX_TOKEN_LIFETIME} seconds, or absent"),
            );
        }
        for (name, value) in
            [("refresh_token_lifetime", self.refresh_token_lifetime), ("authorization_lifetime", self.authorization_lifetime)]
        {
            if value == Some(0) {
                problems.add(name, format!("{name} must be at least one second, or absent"));
            }
        }
        if self.refresh_token_usage.as_deref().is_some_and(|usage| usage != "ONETIME" && usage != "REUSE") {
            problems.add("refresh_token_usage", "refresh_token_usage must be ONETIME or REUSE");
        }
        if self.code_challenge_method.as_deref().is_some_and(|method| method != "S256" && method != "none") {
            problems.add("code_challenge_method", "code_challenge_method must be S256 or none");
        }
    }

    fn check_addresses(&self, kind: IntegrationType, problems: &mut Problems) {
        use IntegrationType::{Ansattporten, ApiKlient, Idporten};
        let logs_in = matches!(kind, Idporten | ApiKlient | Ansattporten);
        let redirects = self.redirect_uris.as_deref().unwrap_or_default();
        if logs_in && redirects.is_empty() {
            problems.add("redirect_uris", "redirect_uris is missing: a login must know where to return to");
        }
        let native = self.application_type.as_deref() == Some("native");
        for (name, addresses) in [
            ("redirect_uris", redirects),
            ("post_logout_redirect_uris", self.post_logout_redirect_uris.as_deref().unwrap_or_default()),
        ] {
            if let Some(wrong) = addresses.iter().find(|address| !is_redirect(address, native)) {
                let shown: String = wrong.chars().take(200).collect();
                problems.add(name, format!("{shown:?} must be an https address without fragment, or http://localhost"));
            }
        }
        if let Some(logout) = &self.frontchannel_logout_uri {
            let same = |redirect: &String| host(redirect).is_some() && host(redirect) == host(logout);
            if !redirects.iter().any(same) {
                problems.add("frontchannel_logout_uri", "frontchannel_logout_uri must have the host of one of redirect_uris");
            }
        }
    }

    fn check_scopes(
        &self,
        registry: &Registry,
        kind: IntegrationType,
        access: OrgNumber,
        compat: ApiCompat,
        problems: &mut Problems,
    ) -> Vec<ScopeName> {
        let given = self.scopes.clone().unwrap_or_default();
        if compat.require_scopes && given.is_empty() {
            problems.add("scopes", "scopes is missing: a client needs at least one");
        }
        let mut scopes: Vec<ScopeName> = Vec::new();
        for text in given.iter().filter(|text| !is_login_scope(kind, text)) {
            match allowed_scope(registry, kind, access, text) {
                Ok(scope) if scopes.contains(&scope) => {}
                Ok(scope) => scopes.push(scope),
                Err(message) => problems.add("scopes", message),
            }
        }
        scopes
    }

    /// What only logins look at, as given. `openid` and `profile` are no scopes of anybody's, so they stand here too.
    fn login(&self, kind: IntegrationType) -> Option<std::sync::Arc<Map<String, Value>>> {
        let mut login = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                login.insert(name.to_owned(), value);
            }
        };
        let sso_disabled = if kind == IntegrationType::Ansattporten { Some(true) } else { self.sso_disabled };
        put("redirect_uris", self.redirect_uris.clone().into());
        put("post_logout_redirect_uris", self.post_logout_redirect_uris.clone().into());
        put("frontchannel_logout_uri", self.frontchannel_logout_uri.clone().into());
        put("frontchannel_logout_session_required", self.frontchannel_logout_session_required.into());
        put("refresh_token_lifetime", self.refresh_token_lifetime.into());
        put("authorization_lifetime", self.authorization_lifetime.into());
        put("refresh_token_usage", self.refresh_token_usage.clone().into());
        put("sso_disabled", sso_disabled.into());
        put("code_challenge_method", self.code_challenge_method.clone().into());
        put("logo_uri", self.logo_uri.clone().into());
        let given = self.scopes.clone().unwrap_or_default();
        let plain: Vec<String> = given.into_iter().filter(|text| is_login_scope(kind, text)).collect();
        let defaults = matches!(kind, IntegrationType::Idporten | IntegrationType::Ansattporten) && plain.is_empty();
        let plain = if defaults { vec!["openid".to_owned(), "profile".to_owned()] } else { plain };
        if !plain.is_empty() {
            put("login_scopes", plain.into());
        }
        (!login.is_empty()).then(|| std::sync::Arc::new(login))
    }
}

/// The kind's name on the wire.
pub(super) fn kind_name(kind: IntegrationType) -> &'static str {
    match kind {
        IntegrationType::Maskinporten => "maskinporten",
        IntegrationType::ApiKlient => "api_klient",
        IntegrationType::Idporten => "idporten",
        IntegrationType::Krr => "krr",
        IntegrationType::Ansattporten => "ansattporten",
        IntegrationType::Eformidling => "eformidling",
        IntegrationType::IdportenSaml2 => "idporten_saml2",
    }
}

/// Scopes of the login itself, which nobody owns.
fn is_login_scope(kind: IntegrationType, text: &str) -> bool {
    match kind {
        IntegrationType::Maskinporten => false,
        IntegrationType::Krr => KRR_SCOPES.contains(&text),
        _ => matches!(text, "openid" | "profile" | "eidas" | "no_pid" | "ansattporten:sjef"),
    }
}

/// `https`, or plain on this machine; a native application may leave the port of the loopback address open.
fn is_redirect(address: &str, native: bool) -> bool {
    let fine = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '#' | '\\');
    let loopback = native && (address.starts_with("https://127.0.0.1") || address.starts_with("http://127.0.0.1"));
    let scheme = address.starts_with("https://") || address.starts_with("http://localhost") || loopback;
    let own = native && address.split_once(':').is_some_and(|(scheme, rest)| scheme.contains('.') && rest.starts_with('/'));
    address.len() <= 2048 && address.chars().all(fine) && (own || (scheme && host(address).is_some()))
}

fn host(address: &str) -> Option<&str> {
    let rest = address.split_once("://")?.1;
    rest.split(['/', '?', ':']).next().filter(|host| !host.is_empty())
}

/// A scope may stand on a client when it is open to all, granted, the organisation's own, or delegable: a supplier must be able to register
/// it before any consumer is known. Whether it may be *used* is looked at again for every token.
fn allowed_scope(registry: &Registry, kind: IntegrationType, access: OrgNumber, text: &str) -> Result<ScopeName, String> {
    let name: ScopeName = text.parse().map_err(|e: skybru_core::scope::ScopeError| e.to_string())?;
    let visible = |scope: &&std::sync::Arc<Scope>| scope.visibility != Visibility::Internal || registry.has_access(scope, access);
    let Some(scope) = registry.scope(&name).filter(visible) else {
        return Err(format!("scope {name} does not exist"));
    };
    let kinds = &scope.allowed_integration_types;
    if !kinds.is_empty() && !kinds.contains(&kind) {
        return Err(format!("scope {name} is not for {}", kind_name(kind)));
    }
    if kind == IntegrationType::Idporten || kind == IntegrationType::Krr {
        return Err(format!("scope {name} cannot stand on a client of kind {}", kind_name(kind)));
    }
    if registry.has_access(scope, access) || scope.delegation_source.is_some() {
        return Ok(name);
    }
    Err(format!("organisation {access} has no access to scope {name}: its owner must grant it first"))
}
