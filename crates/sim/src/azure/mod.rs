//! Azure: Entra's token endpoint, Resource Manager, Blob, Data Lake Gen2 and Files, each on an https endpoint of its own.
//!
//! Whether a token, a call or a storage request is accepted is decided by `skybru_federation::{entra, azure}`; here are the wire, the
//! state and the fetching of the issuer's documents. Accounts stand in the path, `https://localhost:7414/ACCOUNT/CONTAINER`, as with
//! Azurite: a machine has no names below `blob.core.windows.net`.
//!
//! Deliberately missing: account keys and signed URLs (every account here has them switched off), snapshots, versions, leases, page and
//! append blobs, groups, users, and client secrets.

mod arm;
mod body;
mod entra;
mod graph;
mod server;
mod state;
mod storage;
mod wire;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use skybru_core::{Ctx, Secret};
use skybru_federation::azure::RoleAssignment;
use skybru_federation::azure::roles::{self, RoleDefinition};
use skybru_federation::entra::Rules;
use skybru_protocol::jose::{Algorithm, JwkSet, RsaSize, SigningKey};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::StartError;
use crate::control::{Control, ControlSettings};
use crate::fetch::Fetcher;
use crate::kept::Kept;

use self::state::State;

/// How a simulated directory and subscription are set up.
#[derive(Clone)]
pub struct AzureSimOptions {
    /// The ports on 127.0.0.1; 0 for any that is free.
    pub ports: AzurePorts,
    /// Entra and its clients insist on https (E-72).
    pub tls: Arc<ServerConfig>,
    /// Where everything is kept. `None`: in a temporary folder, until the simulator is dropped.
    pub state_dir: Option<PathBuf>,
    /// The time by which tokens expire, and the source of ids.
    pub ctx: Ctx,
    /// The directory's name for people.
    pub tenant_name: String,
    /// A bearer token that stands for the subscription's owner. As in Azure, the owner has no access to data without a data role.
    pub owner_token: Secret,
    /// Where Azure has changed.
    pub rules: Rules,
    /// Clock, propagation and faults at the start; [`AzureSim::control`] and `PUT /_skybru/control` change them (S-21). A new credential
    /// or role assignment is unknown for as long as changes spread (E-8, E-66). Azure needs minutes.
    pub control: ControlSettings,
    /// PEM certificates that count as public roots beside the machine's own: a lab's own authority.
    pub extra_roots_pem: Option<String>,
}

/// The five services' ports; Resource Manager and Graph share Entra's.
#[derive(Debug, Clone, Copy, Default)]
pub struct AzurePorts {
    /// Entra at `/`, Resource Manager at `/arm`, Graph at `/graph`.
    pub authority: u16,
    /// Blob.
    pub blob: u16,
    /// Data Lake Gen2.
    pub dfs: u16,
    /// Files.
    pub file: u16,
}

/// Everything that requests share.
pub(crate) struct Sim {
    ctx: Ctx,
    owner_token: Secret,
    rules: Rules,
    control: Control,
    state: Kept<State>,
    items: storage::Items,
    roles: Vec<RoleDefinition>,
    fetcher: Fetcher,
    key: SigningKey,
    /// `https://localhost:PORT`.
    authority: String,
    /// Where Blob, Data Lake and Files answer, in the same form.
    storage: [String; 3],
    /// Removed with the last user of it.
    _temporary: Option<tempfile::TempDir>,
}

impl Sim {
    /// Seconds since 1970.
    fn now(&self) -> i64 {
        self.ctx.clock.unix_seconds()
    }

    /// A new GUID.
    fn guid(&self) -> String {
        skybru_core::id::uuid(&*self.ctx.randomness).to_string()
    }

    /// The keys that access tokens are signed with.
    fn keys(&self) -> JwkSet {
        JwkSet { keys: vec![self.key.public_jwk()] }
    }

    /// Whether what was made at `created` is known everywhere by now.
    fn has_settled(&self, created: i64) -> bool {
        self.now() >= created.saturating_add_unsigned(self.control.propagation_delay().as_secs())
    }

    /// The role assignments that count by now.
    fn assignments(&self, state: &State) -> Vec<RoleAssignment> {
        state.assignments.iter().filter(|one| self.has_settled(one.created)).cloned().collect()
    }
}

/// A running simulator. It stops when dropped.
pub struct AzureSim {
    sim: Arc<Sim>,
    addresses: [SocketAddr; 4],
    stop: CancellationToken,
    servers: Vec<JoinHandle<()>>,
}

impl AzureSim {
    /// Opens the state and listens.
    pub async fn start(options: AzureSimOptions) -> Result<Self, StartError> {
        let bind = async |port: u16| -> Result<(TcpListener, SocketAddr), StartError> {
            let failed = |source| StartError::Listen { port, source };
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            Ok((listener, address))
        };
        let AzurePorts { authority, blob, dfs, file } = options.ports;
        let opened = [bind(authority).await?, bind(blob).await?, bind(dfs).await?, bind(file).await?];
        let addresses = [opened[0].1, opened[1].1, opened[2].1, opened[3].1];
        let tls = Arc::clone(&options.tls);
        let sim = Arc::new(open(options, addresses.map(|address| format!("https://localhost:{}", address.port())))?);
        let stop = CancellationToken::new();
        let services = [server::Service::Authority, server::Service::Blob, server::Service::DataLake, server::Service::Files];
        let mut servers = Vec::new();
        for ((listener, _), service) in opened.into_iter().zip(services) {
            let sim = Arc::clone(&sim);
            let answer = move |request| {
                let sim = Arc::clone(&sim);
                async move { server::answer(&sim, service, request).await }
            };
            servers.push(tokio::spawn(crate::listen::serve(listener, Some(Arc::clone(&tls)), answer, stop.clone())));
        }
        tracing::info!(?addresses, "the Azure simulator is ready");
        Ok(Self { sim, addresses, stop, servers })
    }

    fn url(&self, place: usize) -> String {
        format!("https://localhost:{}", self.addresses[place].port())
    }

    /// Entra's address, without a slash at its end.
    pub fn authority(&self) -> String {
        self.url(0)
    }

    /// Resource Manager's.
    pub fn arm(&self) -> String {
        format!("{}/arm", self.url(0))
    }

    /// Blob's; the account's name follows.
    pub fn blob(&self) -> String {
        self.url(1)
    }

    /// Data Lake's.
    pub fn dfs(&self) -> String {
        self.url(2)
    }

    /// Files's.
    pub fn file(&self) -> String {
        self.url(3)
    }

    /// The directory's id.
    pub fn tenant_id(&self) -> String {
        self.sim.state.get().tenant.id.clone()
    }

    /// The only subscription's id.
    pub fn subscription_id(&self) -> String {
        self.sim.state.get().subscription.clone()
    }

    /// The owner's principal id, for whoever wants to give the owner a role.
    pub fn owner_principal_id(&self) -> String {
        self.sim.state.get().owner.clone()
    }

    /// Moves the clock, slows changes down, makes fetches of an issuer's documents fail (S-21).
    pub fn control(&self, settings: ControlSettings) {
        self.sim.control.set(settings);
        self.sim.fetcher.set_fault(settings.fetch_fault);
    }

    /// Stops listening, and returns when running requests have been answered.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        for server in self.servers.drain(..) {
            let _ = server.await;
        }
    }
}

impl Drop for AzureSim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn open(options: AzureSimOptions, [authority, blob, dfs, file]: [String; 4]) -> Result<Sim, StartError> {
    let extra_roots = options.extra_roots_pem.as_deref().unwrap_or_default();
    let extra_roots: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(extra_roots.as_bytes()).collect::<Result<_, _>>().map_err(StartError::Roots)?;
    let temporary = options.state_dir.is_none().then(tempfile::tempdir).transpose().map_err(StartError::State)?;
    let folder = options.state_dir.or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned())).unwrap_or_default();
    crate::files::create_private_folder(&folder).map_err(StartError::State)?;
    let start = || State::new(&options.tenant_name, &*options.ctx.randomness);
    let state = Kept::open(Some(folder.join("azure.json")), start).map_err(StartError::State)?;
    // The directory's ids are chosen once, and stay.
    state
        .change(|_| Ok::<_, crate::kept::NotKept>(()))
        .map_err(|_| StartError::State(io::Error::other("azure.json cannot be written")))?;
    let (control, ctx) = Control::new(&options.ctx);
    control.set(options.control);
    let fetcher = Fetcher::new(extra_roots);
    fetcher.set_fault(options.control.fetch_fault);
    let items = storage::Items::open(folder.join("storage")).map_err(StartError::State)?;
    let key = signing_key(&folder.join("entra-key.json"))?;
    Ok(Sim {
        ctx,
        owner_token: options.owner_token,
        rules: options.rules,
        control,
        state,
        items,
        roles: roles::built_in(),
        fetcher,
        key,
        authority,
        storage: [blob, dfs, file],
        _temporary: temporary,
    })
}

/// Entra's own key, made on first use. It stays the same, so that access tokens outlive a restart.
fn signing_key(path: &std::path::Path) -> Result<SigningKey, StartError> {
    if let Ok(text) = std::fs::read_to_string(path) {
        return SigningKey::from_text(&text, None).map_err(StartError::Key);
    }
    let key = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256).map_err(StartError::Key)?;
    let text = key.private_jwk().map_err(StartError::Key)?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| StartError::State(error.into()))?;
    crate::files::write_json(path, &value).map_err(StartError::State)?;
    Ok(key)
}
