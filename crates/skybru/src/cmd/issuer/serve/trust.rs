//! Whom an issuer trusts and asks, from its settings; and the fetching that this takes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use skybru_core::Secret;
use skybru_issuer::certificates::{Anchor, Certificates, Revocation};
use skybru_issuer::compat::{MultiScope, PersonCheck};
use skybru_issuer::delegation::{AltinnDelegations, Delegations};
use skybru_issuer::fetch::{Fetch, FetchError};
use skybru_issuer::selfservice::ApiCompat;
use skybru_issuer::{Compat, Issuer, IssuerSettings, Profile};
use skybru_protocol::assertion::TimeRules;
use skybru_protocol::certificate::ClientAmr;
use skybru_store::LiveRegistry;

use super::super::stores::secret;
use crate::cmd::Call;
use crate::settings::{ApiCompatOptions, CertificatesOptions, CompatOptions, DelegationSourceOptions, IssuerOptions, Settings};

/// Lists of revoked certificates are the largest documents that are fetched.
const LARGEST: usize = 10 * 1024 * 1024;

/// What the switches change of an issuer's settings.
pub(super) fn adapt_settings(options: &CompatOptions, settings: IssuerSettings) -> IssuerSettings {
    let mut profile = settings.profile;
    if let Profile::Skyporten { cloud_metadata } = &mut profile {
        *cloud_metadata = options.skyporten_extended;
    }
    let time_rules = TimeRules { exp_rounding: options.exp_rounding, max_iat_age: options.max_iat_age.into() };
    IssuerSettings { profile, time_rules, ..settings }
}

/// The issuer with its switches, trusted authorities and sources of delegations.
pub(super) fn adapt(
    call: &Call,
    settings: &Settings,
    name: &str,
    options: &IssuerOptions,
    registry: &Arc<LiveRegistry>,
    issuer: Issuer,
) -> Result<Issuer> {
    let fetch: Arc<dyn Fetch> = Arc::new(Web::new()?);
    let mut issuer = issuer.with_compat(compat(name, &options.compat)?);
    if let Some(trusted) = &options.certificates {
        issuer = issuer.with_certificates(Arc::new(certificates(settings, name, trusted, Arc::clone(&fetch))?));
    }
    let mut delegations = Delegations::built_in(Arc::clone(registry));
    for (source, asked) in &options.delegation_sources {
        let asked = match asked {
            DelegationSourceOptions::Url(url) => AltinnDelegations::new(url, Arc::clone(&fetch)),
            DelegationSourceOptions::WithToken(source) => {
                let key = format!("issuers.{name}.delegation-sources");
                let url: url::Url = source.url.parse().with_context(|| format!("setting {key}: {:?} is no URL", source.url))?;
                if url.scheme() != "https" && !matches!(url.host_str(), Some("localhost" | "127.0.0.1")) {
                    bail!("setting {key}: a token goes to an https address only, found {url}");
                }
                let token = secret(call, settings, &format!("{key}.token"), &source.token)?;
                AltinnDelegations::new(&source.url, Arc::clone(&fetch)).with_bearer(token)
            }
        };
        delegations = delegations.with_remote(source, Arc::new(asked));
    }
    Ok(issuer.with_delegations(Arc::new(delegations)))
}

pub(super) fn api_compat(options: ApiCompatOptions) -> ApiCompat {
    let ApiCompatOptions { require_scopes, strict_unknown_fields } = options;
    ApiCompat { require_scopes, strict_unknown_fields }
}

fn compat(name: &str, options: &CompatOptions) -> Result<Compat> {
    let key = |member: &str| format!("setting issuers.{name}.compat.{member}");
    let multi_scope = match options.multi_scope.as_str() {
        "join" => MultiScope::Join,
        "reject" => MultiScope::Reject,
        "first" => MultiScope::First,
        other => bail!("{}: expected join, reject or first, found {other:?}", key("multi-scope")),
    };
    let pid = match options.pid.as_str() {
        "both" => PersonCheck::Both,
        "from-2032" => PersonCheck::From2032,
        other => bail!("{}: expected both or from-2032, found {other:?}", key("pid")),
    };
    if options.orgno_checksum != "strict" {
        bail!(
            "{}: only strict is possible, found {:?}: a number whose check digit is wrong names no organisation, and one that is accepted \
             here would stand in tokens; synthetic organisations (2…, 3…, 4…) have right check digits, so tests need no other",
            key("orgno-checksum"),
            options.orgno_checksum
        );
    }
    if options.forbidden_as != 403 && options.forbidden_as != 400 {
        bail!("{}: expected 403 or 400, found {}", key("forbidden-as"), options.forbidden_as);
    }
    Ok(Compat {
        multi_scope,
        legacy_aud: options.legacy_aud,
        client_orgno: options.client_orgno,
        at_jwt: options.at_jwt,
        forbidden_status: options.forbidden_as,
        owner_implicit: options.owner_implicit,
        rar_aliases: options.rar_aliases,
        on_behalf_of: options.on_behalf_of,
        pid,
        european_seals: options.european_seals,
    })
}

fn certificates(settings: &Settings, name: &str, options: &CertificatesOptions, fetch: Arc<dyn Fetch>) -> Result<Certificates> {
    let key = |member: &str| format!("setting issuers.{name}.certificates.{member}");
    let revocation = match options.revocation.as_str() {
        "required" => Revocation::Required,
        "if-available" => Revocation::IfAvailable,
        "off" => Revocation::Off,
        other => bail!("{}: expected required, if-available or off, found {other:?}", key("revocation")),
    };
    let read = |member: &str, file: &String| -> Result<Vec<Vec<u8>>> {
        let path = settings.beside(file);
        let failed = || format!("{}: cannot read certificates from {}", key(member), path.display());
        let text = std::fs::read(&path).with_context(failed)?;
        let found: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&text)
            .map(|certificate| certificate.map(|der| der.as_ref().to_vec()))
            .collect::<Result<_, _>>()
            .with_context(failed)?;
        if found.is_empty() {
            bail!("{}: {} holds no certificate (expected PEM)", key(member), path.display());
        }
        Ok(found)
    };
    if options.anchors.is_empty() {
        bail!("{}: expected at least one PEM file", key("anchors"));
    }
    let mut anchors = Vec::new();
    for file in &options.anchors {
        let client_amr = options.client_amr.get(file).map(|word| match word.as_str() {
            "virksomhetssertifikat" => Ok(ClientAmr::Virksomhetssertifikat),
            "CForESeal" => Ok(ClientAmr::CForESeal),
            "QCForESeal" => Ok(ClientAmr::QcForESeal),
            other => bail!("{}: expected virksomhetssertifikat, CForESeal or QCForESeal, found {other:?}", key("client-amr")),
        });
        let client_amr = client_amr.transpose()?;
        anchors.extend(read("anchors", file)?.into_iter().map(|certificate| Anchor { certificate, client_amr }));
    }
    if let Some(stray) = options.client_amr.keys().find(|file| !options.anchors.contains(file)) {
        bail!("{}: {stray:?} is none of anchors", key("client-amr"));
    }
    let intermediates =
        options.intermediates.iter().map(|file| read("intermediates", file)).collect::<Result<Vec<_>>>()?.concat();
    Certificates::new(&anchors, &intermediates, revocation, options.revocation_cache_seconds, fetch)
        .with_context(|| key("anchors"))
}

/// Fetches for the issuer. Plain HTTP is normal for revocation: the answers are signed.
struct Web(reqwest::Client);

impl Web {
    fn new() -> Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("skybru/", env!("CARGO_PKG_VERSION")));
        Ok(Self(client.build().context("cannot set up HTTP")?))
    }

    async fn read(url: &str, request: reqwest::RequestBuilder) -> Result<Vec<u8>, FetchError> {
        let failed = |problem: String| FetchError { url: url.to_owned(), problem };
        let mut answer =
            request.send().await.map_err(|error| failed(format!("{:#}", anyhow::Error::from(error.without_url()))))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(failed(format!("it answers {}", answer.status())));
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| failed(error.without_url().to_string()))? {
            if body.len() + part.len() > LARGEST {
                return Err(failed(format!("its answer is larger than {LARGEST} bytes")));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}

#[async_trait]
impl Fetch for Web {
    async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        Self::read(url, self.0.get(url)).await
    }

    async fn get_as(&self, url: &str, bearer: &Secret) -> Result<Vec<u8>, FetchError> {
        Self::read(url, self.0.get(url).bearer_auth(bearer.expose())).await
    }

    async fn post(&self, url: &str, content_type: &str, body: Vec<u8>) -> Result<Vec<u8>, FetchError> {
        Self::read(url, self.0.post(url).header("Content-Type", content_type).body(body)).await
    }
}
