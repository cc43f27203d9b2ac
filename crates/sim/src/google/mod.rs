//! Google Cloud: STS, IAM, IAM Credentials, Resource Manager, Cloud Storage and `BigQuery` on one plain-http endpoint.
//!
//! Point a client at it with `token_url` and `service_account_impersonation_url` of its credential file, `STORAGE_EMULATOR_HOST`,
//! `BIGQUERY_EMULATOR_HOST` or gcloud's `api_endpoint_overrides`. Whether a token, a call or a read is accepted is decided by
//! `skybru_federation::google`; here are the wire, the state and the fetching of the issuer's documents.
//!
//! Deliberately missing: more than one project, custom roles, deny policies, object ACLs, versioning, and signing people in (a workforce
//! token comes from the issuer, as in a headless exchange).

mod caller;
mod datasets;
mod http;
mod sql;
mod state;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use skybru_core::{Ctx, Secret};
use skybru_federation::google::Wording;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::StartError;
use crate::control::{Control, ControlSettings};
use crate::fetch::Fetcher;
use crate::objects::Store;

pub use self::http::Service;

/// How a simulated project is set up.
#[derive(Clone)]
pub struct GoogleSimOptions {
    /// The port on 127.0.0.1; 0 for any that is free.
    pub port: u16,
    /// Where the project and its objects are kept. `None`: in a temporary folder, until the simulator is dropped.
    pub state_dir: Option<PathBuf>,
    /// The real time, from which the simulator's clock can be moved, and the source of tokens.
    pub ctx: Ctx,
    /// The project's id, such as `skybru-lab`.
    pub project: String,
    /// Its number: twelve digits.
    pub project_number: String,
    /// The address of the project's owner.
    pub owner: String,
    /// The owner's access token. It does not expire.
    pub owner_token: Secret,
    /// Which of Google's texts are used where they have changed.
    pub wording: Wording,
    /// Clock, propagation and faults at the start.
    pub control: ControlSettings,
    /// PEM certificates that count as public roots beside the machine's own: a lab's CA, which Google does not know.
    pub extra_roots_pem: Option<String>,
}

/// Everything that requests share.
pub(crate) struct Sim {
    ctx: Ctx,
    project: String,
    project_number: String,
    owner: String,
    owner_token: Secret,
    wording: Wording,
    control: Control,
    /// The minute of the last exchange, and how many there were in it (G-42).
    exchanges: Mutex<(i64, u32)>,
    state: state::StateStore,
    objects: Store,
    fetcher: Fetcher,
    /// Removed with the last user of it.
    _temporary: Option<tempfile::TempDir>,
}

/// A running simulator. It stops when dropped.
pub struct GoogleSim {
    address: SocketAddr,
    service: Service,
    stop: CancellationToken,
    server: Option<JoinHandle<()>>,
}

impl GoogleSim {
    /// Opens the state and listens.
    pub async fn start(options: GoogleSimOptions) -> Result<Self, StartError> {
        let port = options.port;
        let service = Self::service(options)?;
        let failed = |source| StartError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stop = CancellationToken::new();
        let answering = service.clone();
        let answer = move |request: ::http::Request<hyper::body::Incoming>| {
            let service = answering.clone();
            async move { service.incoming(request).await }
        };
        let server = tokio::spawn(crate::listen::serve(listener, None, answer, stop.clone()));
        tracing::info!(%address, "the Google simulator is ready");
        Ok(Self { address, service, stop, server: Some(server) })
    }

    /// The simulator without a socket, for tests and for whoever has a server already.
    pub fn service(options: GoogleSimOptions) -> Result<Service, StartError> {
        let extra_roots = options.extra_roots_pem.as_deref().unwrap_or_default();
        let extra_roots: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(extra_roots.as_bytes()).collect::<Result<_, _>>().map_err(StartError::Roots)?;
        let temporary = options.state_dir.is_none().then(tempfile::tempdir).transpose().map_err(StartError::State)?;
        let folder = options.state_dir.or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned())).unwrap_or_default();
        crate::files::create_private_folder(&folder).map_err(StartError::State)?;
        let start = || state::State::of_project(&options.project_number, &options.owner);
        let state = state::StateStore::open(Some(folder.join("google.json")), start).map_err(StartError::State)?;
        let objects = Store::open(folder.join("storage")).map_err(StartError::State)?;
        let (control, ctx) = Control::new(&options.ctx);
        let fetcher = Fetcher::new(extra_roots);
        control.set(options.control);
        fetcher.set_fault(options.control.fetch_fault);
        let sim = Arc::new(Sim {
            ctx,
            project: options.project,
            project_number: options.project_number,
            owner: options.owner,
            owner_token: options.owner_token,
            wording: options.wording,
            control,
            exchanges: Mutex::default(),
            state,
            objects,
            fetcher,
            _temporary: temporary,
        });
        Ok(Service::new(sim))
    }

    /// Where it answers: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Moves the clock, slows changes down, injects faults (S-21).
    pub fn control(&self, settings: ControlSettings) {
        self.service.control(settings);
    }

    /// Stops listening, and returns when running requests have been answered.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(server) = self.server.take() {
            let _ = server.await;
        }
    }
}

impl Drop for GoogleSim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Sim {
    /// Seconds since 1970, by the simulator's own clock.
    fn now(&self) -> i64 {
        self.ctx.clock.unix_seconds()
    }

    /// G-42: counts an exchange, and says whether it is one too many in this minute.
    fn may_exchange(&self, now: i64) -> bool {
        let most = self.control.settings().exchanges_per_minute;
        let mut counted = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.div_euclid(60);
        let before = if counted.0 == minute { counted.1 } else { 0 };
        *counted = (minute, before.saturating_add(1));
        most == 0 || before < most
    }

    /// A new text that nobody can guess.
    fn random_text(&self, bytes: usize) -> String {
        let mut random = vec![0; bytes];
        self.ctx.randomness.fill(&mut random);
        skybru_protocol::base64url::encode(random)
    }

    /// Whether a text in a path is this project, by id or by number.
    fn is_project(&self, text: &str) -> bool {
        text == self.project || text == self.project_number
    }
}

/// A time as Google writes it, such as `2026-09-11T11:48:26.000Z`.
pub(crate) fn rfc3339(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}
