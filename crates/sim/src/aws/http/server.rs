//! Listening: limits against slow and numerous callers, and a stop that lets running requests finish.

use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::Service;

/// Connections at once; further callers wait.
const CONNECTIONS: usize = 1024;
/// From the beginning of a request to the end of its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long running requests may go on after the stop was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// Answers on `listener` until `stop` is cancelled, then lets running requests finish.
pub(crate) async fn serve(listener: TcpListener, service: Service, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, slot)) = accepted else { continue };
        let (service, watcher) = (service.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _slot = slot;
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            builder.http2().timer(TokioTimer::new()).max_concurrent_streams(100).max_header_list_size(64 * 1024);
            let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let service = service.clone();
                async move { Ok::<_, std::convert::Infallible>(service.call(request.map(s3s::Body::from)).await) }
            });
            let connection = builder.serve_connection(TokioIo::new(stream), answer);
            if let Err(error) = watcher.watch(connection.into_owned()).await {
                tracing::debug!(error, "connection ended early");
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, slot))
        }
        Err(error) => {
            // Out of file descriptors, most likely: give others time to close some.
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
