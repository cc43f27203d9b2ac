//! The load generator: keep-alive connections that send prepared requests, as fast as they are answered or at a fixed rate.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Where the requests go.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// The listener.
    pub(crate) address: SocketAddr,
    /// The `Host` header.
    pub(crate) host: String,
    /// The path of the token endpoint.
    pub(crate) path: String,
}

/// How fast.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Each connection sends its next request when the last is answered.
    Closed,
    /// Requests begin at this rate per second, answered or not; latency counts from when a request should have begun, so that a
    /// stall is not hidden by the requests that were not sent during it.
    Open(f64),
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Answers.
    pub(crate) answered: usize,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Microseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Outcome {
    /// Answers per second.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    /// Latency at a quantile, in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "microseconds far below 2^52")]
    pub(crate) fn milliseconds(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

struct Queue {
    bodies: Mutex<VecDeque<(usize, Bytes)>>,
    answered: AtomicUsize,
}

/// Sends all `bodies`, each once, over `connections`.
///
/// Anything but a 200 stops the run: a benchmark of refusals would be a lie.
pub(crate) async fn run(endpoint: &Endpoint, bodies: &[Bytes], connections: usize, pace: Pace) -> Result<Outcome> {
    let queue =
        Arc::new(Queue { bodies: Mutex::new(bodies.iter().cloned().enumerate().collect()), answered: AtomicUsize::new(0) });
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(endpoint).await?);
    }
    let start = Instant::now();
    let workers: Vec<_> = senders
        .into_iter()
        .map(|sender| tokio::spawn(worker(sender, endpoint.clone(), Arc::clone(&queue), pace, start)))
        .collect();
    let mut latency = Histogram::new(3)?;
    for worker in workers {
        latency.add(worker.await??)?;
    }
    Ok(Outcome { answered: queue.answered.load(Ordering::Relaxed), elapsed: start.elapsed(), latency })
}

async fn connect(endpoint: &Endpoint) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(endpoint.address).await.with_context(|| format!("connecting to {}", endpoint.address))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn worker(
    mut sender: SendRequest<Full<Bytes>>,
    endpoint: Endpoint,
    queue: Arc<Queue>,
    pace: Pace,
    start: Instant,
) -> Result<Histogram<u64>> {
    let mut latency = Histogram::new(3)?;
    loop {
        let next = queue.bodies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((number, body)) = next else { return Ok(latency) };
        let due = match pace {
            Pace::Closed => Instant::now(),
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
            Pace::Open(rate) => start + Duration::from_secs_f64(number as f64 / rate),
        };
        tokio::time::sleep_until(due.into()).await;
        let request = Request::builder()
            .method(Method::POST)
            .uri(&endpoint.path)
            .header("host", &endpoint.host)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(body))?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status != StatusCode::OK {
            bail!("request {number} was answered with {status}: {}", String::from_utf8_lossy(&answer));
        }
        latency.record(u64::try_from(due.elapsed().as_micros())?)?;
        queue.answered.fetch_add(1, Ordering::Relaxed);
    }
}
