//! Listening: TLS, limits against slow and numerous callers, and a stop that lets running requests finish.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::{Layer as _, ServiceExt as _};
use tower_http::timeout::TimeoutLayer;

/// How much one listener puts up with.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; further callers wait.
    pub connections: usize,
    /// From the first byte to the end of the TLS handshake, and from there to the end of the headers. So long a connection may also be
    /// silent before its first request, and between two requests of HTTP/1.1.
    pub header_timeout: Duration,
    /// From the headers to the answer, the body's arrival included. What takes longer is answered with 408.
    pub request_timeout: Duration,
    /// How long running requests may go on after the stop was asked for.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(15),
            drain: Duration::from_secs(10),
        }
    }
}

/// The largest head of a request, in bytes: twice the largest assertion, which one known client puts into the address.
const HEAD_LIMIT: u32 = 64 * 1024;

/// So often a caller who keeps an HTTP/2 connection must show that it is still there.
const PING: Duration = Duration::from_secs(20);

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

impl Peer {
    /// Who asks. A proxy on this machine is believed when it says for whom; nobody else is.
    pub(super) fn behind_proxy(self, forwarded_for: Option<&str>) -> Option<IpAddr> {
        let last = forwarded_for.and_then(|text| text.rsplit(',').next()).and_then(|text| text.trim().parse().ok());
        if self.0.to_canonical().is_loopback() { last.or(Some(self.0)) } else { Some(self.0) }
    }
}

/// Answers on `listener` until `stop` is cancelled, then lets running requests finish.
///
/// With `tls` every connection is HTTPS (HTTP/1.1 or HTTP/2 by ALPN).
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let (acceptor, router, watcher) = (acceptor.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _slot = slot;
            match acceptor {
                None => connection(stream, peer, router, limits, watcher).await,
                Some(acceptor) => match tokio::time::timeout(limits.header_timeout, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, peer, router, limits, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                    Err(_) => tracing::debug!("TLS handshake took too long"),
                },
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(limits.drain, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => {
            // Answers are small: waiting to fill a packet only delays them.
            let _ = stream.set_nodelay(true);
            Some((stream, Peer(address.ip()), slot))
        }
        Err(error) => {
            // Out of file descriptors, most likely: give others time to close some.
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection<S>(stream: S, peer: Peer, router: Router, limits: Limits, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(HEAD_LIMIT as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_header_list_size(HEAD_LIMIT)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let has_asked = Arc::new(AtomicBool::new(false));
    let asks = Arc::clone(&has_asked);
    let service = router.map_request(move |mut request: Request<Incoming>| {
        asks.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(peer);
        request
    });
    // Here and not among the router's layers, each of which would be one more boxed service for every request.
    let service = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limits.request_timeout).layer(service);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let connection = watcher.watch(connection.into_owned());
    tokio::pin!(connection);
    // Whoever says nothing, or too little to tell which HTTP it is, is asked for no headers yet: nobody else would hang up on it.
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = tokio::time::sleep(limits.header_timeout) => {
            if !has_asked.load(Ordering::Relaxed) {
                tracing::debug!("a caller said nothing");
                return;
            }
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error, "connection ended early");
    }
}
