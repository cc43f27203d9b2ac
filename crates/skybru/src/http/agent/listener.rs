//! Where programs ask.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use axum::extract::Request;
use axum::response::Response;
use tower::Service;
use tower::make::Shared;

/// An address of this machine, or a socket.
pub(crate) enum Listener {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Socket(tokio::net::UnixListener, PathBuf),
}

impl Listener {
    /// Tokens for everybody on the network is nobody's wish.
    pub(crate) async fn tcp(address: SocketAddr) -> Result<Self> {
        if !address.ip().is_loopback() {
            bail!(
                "--listen {address}: expected an address of this machine such as 127.0.0.1:7500; the agent has no TLS and no users"
            );
        }
        let listener = tokio::net::TcpListener::bind(address).await;
        listener.map(Self::Tcp).with_context(|| format!("cannot listen on {address}"))
    }

    /// For health and metrics, which hold nothing: any address.
    pub(crate) async fn for_probes(address: SocketAddr) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind(address).await;
        listener.map(Self::Tcp).with_context(|| format!("cannot listen on {address}"))
    }

    #[cfg(unix)]
    pub(crate) fn socket(path: &Path) -> Result<Self> {
        use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
        // One that a killed agent left behind; anything else is somebody's file.
        if std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket()) {
            std::fs::remove_file(path).with_context(|| format!("cannot take the place of {}", path.display()))?;
        }
        let listener = tokio::net::UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .with_context(|| format!("cannot protect {}", path.display()))?;
        Ok(Self::Socket(listener, path.to_path_buf()))
    }

    #[cfg(not(unix))]
    pub(crate) fn socket(path: &Path) -> Result<Self> {
        bail!("--socket {}: this system has none; use --listen", path.display())
    }

    pub(crate) fn shown(&self) -> Result<String> {
        match self {
            Self::Tcp(listener) => Ok(format!("http://{}", listener.local_addr()?)),
            #[cfg(unix)]
            Self::Socket(_, path) => Ok(format!("unix:{}", path.display())),
        }
    }

    pub(crate) fn hosts(&self) -> Result<Vec<String>> {
        match self {
            Self::Tcp(listener) => {
                let address = listener.local_addr()?;
                Ok(vec![address.to_string(), format!("localhost:{}", address.port())])
            }
            #[cfg(unix)]
            Self::Socket(..) => Ok(Vec::new()),
        }
    }

    pub(crate) async fn serve<S>(self, service: S, stopped: impl Future<Output = ()> + Send + 'static) -> Result<()>
    where
        S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let service = Shared::new(service);
        match self {
            Self::Tcp(listener) => axum::serve(listener, service).with_graceful_shutdown(stopped).await?,
            #[cfg(unix)]
            Self::Socket(listener, path) => {
                axum::serve(listener, service).with_graceful_shutdown(stopped).await?;
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }
}
