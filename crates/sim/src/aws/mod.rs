//! AWS: STS, IAM and S3 on one plain-http endpoint.
//!
//! Point a client at it with `AWS_ENDPOINT_URL`. Whether a token, a call or an S3 request is accepted is decided by
//! `skybru_federation::aws`; here are the wire, the state and the fetching of the issuer's documents.
//!
//! Deliberately missing: users and their access keys, ACLs, versioning, encryption, other regions.

mod builtin;
mod caller;
mod errors;
mod http;
mod iam;
mod names;
mod query;
mod s3;
mod sigv4;
mod state;
mod sts;
mod xml;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use skybru_core::{Clock, Ctx, Secret};
use skybru_federation::aws::Rules;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::StartError;
use crate::control::{Control, ControlSettings};
use crate::fetch::{FetchFault, Fetcher};

pub use self::http::Service;

/// How a simulated account is set up.
#[derive(Clone)]
pub struct AwsSimOptions {
    /// The port on 127.0.0.1; 0 for any that is free.
    pub port: u16,
    /// Where the account and its objects are kept. `None`: in a temporary folder, until the simulator is dropped.
    pub state_dir: Option<PathBuf>,
    /// The time by which tokens and credentials expire, and the source of keys.
    pub ctx: Ctx,
    /// The real time. Request signatures are checked against it, because the clients that make them know no other.
    pub wire_clock: Arc<dyn Clock>,
    /// Twelve digits.
    pub account: String,
    /// Where the buckets are.
    pub region: String,
    /// The account's own access key.
    pub root_access_key_id: String,
    /// Its secret.
    pub root_secret_access_key: Secret,
    /// Where AWS leaves a choice, or has changed.
    pub settings: AwsSettings,
    /// Clock, propagation (AWS needs 8 to 12 seconds, A-20) and faults at the start.
    pub control: ControlSettings,
    /// PEM certificates that count as public roots beside the machine's own. None by default: AWS does not know a lab's CA either,
    /// and a provider with the right thumbprint does not need it.
    pub extra_roots_pem: Option<String>,
}

/// Where AWS leaves a choice, or has changed (S-21).
#[derive(Debug, Clone, Copy, Default)]
pub struct AwsSettings {
    /// Wording and strictness about discovery.
    pub rules: Rules,
}

/// The account as its owner knows it.
pub(crate) struct Account {
    id: String,
    root_access_key_id: String,
    root_secret_access_key: Secret,
}

/// Everything that requests share.
pub(crate) struct Sim {
    ctx: Ctx,
    wire_clock: Arc<dyn Clock>,
    account: Account,
    region: String,
    settings: AwsSettings,
    control: Control,
    state: state::StateStore,
    fetcher: Fetcher,
    /// Removed with the last user of it.
    _temporary: Option<tempfile::TempDir>,
}

/// A running simulator. It stops when dropped.
pub struct AwsSim {
    address: SocketAddr,
    service: Service,
    stop: CancellationToken,
    server: Option<JoinHandle<()>>,
}

impl AwsSim {
    /// Opens the state and listens.
    pub async fn start(options: AwsSimOptions) -> Result<Self, StartError> {
        let port = options.port;
        let service = Self::service(options)?;
        let failed = |source| StartError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stop = CancellationToken::new();
        let answering = service.clone();
        let answer = move |request: ::http::Request<hyper::body::Incoming>| {
            let service = answering.clone();
            async move { service.call(request.map(s3s::Body::from)).await }
        };
        let server = tokio::spawn(crate::listen::serve(listener, None, answer, stop.clone()));
        tracing::info!(%address, "the AWS simulator is ready");
        Ok(Self { address, service, stop, server: Some(server) })
    }

    /// The simulator without a socket, for tests and for whoever has a server already.
    pub fn service(options: AwsSimOptions) -> Result<Service, StartError> {
        let extra_roots = options.extra_roots_pem.as_deref().unwrap_or_default();
        let extra_roots: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(extra_roots.as_bytes()).collect::<Result<_, _>>().map_err(StartError::Roots)?;
        let temporary = options.state_dir.is_none().then(tempfile::tempdir).transpose().map_err(StartError::State)?;
        let folder = options.state_dir.or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned())).unwrap_or_default();
        crate::files::create_private_folder(&folder).map_err(StartError::State)?;
        let state = state::StateStore::open(Some(folder.join("aws.json")), state::State::default).map_err(StartError::State)?;
        let objects = s3::Store::open(folder.join("s3")).map_err(StartError::State)?;
        let (control, ctx) = Control::new(&options.ctx);
        let fetcher = Fetcher::new(extra_roots);
        control.set(options.control);
        fetcher.set_fault(options.control.fetch_fault);
        let sim = Arc::new(Sim {
            ctx,
            wire_clock: options.wire_clock,
            account: Account {
                id: options.account,
                root_access_key_id: options.root_access_key_id,
                root_secret_access_key: options.root_secret_access_key,
            },
            region: options.region,
            settings: options.settings,
            control,
            state,
            fetcher,
            _temporary: temporary,
        });
        let s3 = s3::Endpoint::new(&sim, objects);
        Ok(Service { sim, s3 })
    }

    /// Where it answers: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on every fetch of an issuer's documents fails in this way; `None`: none does (S-21).
    pub fn inject_fetch_fault(&self, fault: Option<FetchFault>) {
        self.service.sim.fetcher.set_fault(fault);
    }

    /// Moves the clock, slows changes down, makes fetches of an issuer's documents fail (S-21).
    pub fn control(&self, settings: ControlSettings) {
        self.service.sim.control.set(settings);
        self.service.sim.fetcher.set_fault(settings.fetch_fault);
    }

    /// Stops listening, and returns when running requests have been answered.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(server) = self.server.take() {
            let _ = server.await;
        }
    }
}

impl Drop for AwsSim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A time as AWS writes it, such as `2026-09-11T11:48:26Z`.
pub(crate) fn iso8601(unix_seconds: i64) -> String {
    Timestamp::from_second(unix_seconds).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
