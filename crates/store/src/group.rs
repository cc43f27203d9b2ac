//! Group commit: what comes in while the last batch is on its way makes up the next one.
//!
//! One task owns the connection. There is always at most one batch under way, so the busier it gets the larger the batches are, and the
//! cost of a commit is shared by all that wait for it.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;

/// The most requests in one batch.
const LARGEST: usize = 512;

/// The most requests that wait. Beyond that the store is too slow, and more waiting helps nobody.
const QUEUE: usize = 4096;

/// The longest that a caller waits. Then nobody knows whether it happened, and the caller refuses.
const PATIENCE: Duration = Duration::from_secs(3);

/// Carries out batches.
#[async_trait]
pub(crate) trait Backend: Send + 'static {
    /// What is asked for.
    type Request: Send + 'static;

    /// Carries out all of `batch` or none of it, and tells for each whether it changed anything.
    ///
    /// After an error it is not used as it is: it makes a new connection first.
    async fn commit(&mut self, batch: &[Self::Request]) -> Result<Vec<bool>, StoreError>;

    /// What can be done when nobody waits. Called at most about once a second, also without requests.
    async fn idle(&mut self) {}
}

struct Waiting<R> {
    request: R,
    answer: oneshot::Sender<Result<bool, StoreError>>,
}

/// The way to the task. When it is dropped the task ends.
pub(crate) struct Group<R> {
    sender: mpsc::Sender<Waiting<R>>,
    what: &'static str,
}

impl<R: Send + 'static> Group<R> {
    /// Starts the task. `what` is what failed when something fails.
    pub(crate) fn start<B: Backend<Request = R>>(backend: B, what: &'static str) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(run(backend, receiver));
        Self { sender, what }
    }

    /// Asks, and waits for the commit.
    pub(crate) async fn ask(&self, request: R) -> Result<bool, StoreError> {
        let (answer, heard) = oneshot::channel();
        self.sender.try_send(Waiting { request, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Late { what: self.what },
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        match tokio::time::timeout(PATIENCE, heard).await {
            Ok(heard) => heard.map_err(|_| StoreError::Closed)?,
            Err(_) => Err(StoreError::Late { what: self.what }.in_doubt(self.what)),
        }
    }
}

async fn run<B: Backend>(mut backend: B, mut receiver: mpsc::Receiver<Waiting<B::Request>>) {
    let mut idle = tokio::time::interval(Duration::from_secs(1));
    idle.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut requests, mut answers) = (Vec::with_capacity(LARGEST), Vec::with_capacity(LARGEST));
    loop {
        tokio::select! {
            first = receiver.recv() => {
                let Some(first) = first else { return };
                // Whoever is ready to ask as well joins this batch: the fewer batches, the less each request costs.
                tokio::task::yield_now().await;
                let mut next = Some(first);
                while let Some(Waiting { request, answer }) = next.take() {
                    // Whoever does not wait any more has refused already: nothing must be used up for it.
                    if !answer.is_closed() {
                        requests.push(request);
                        answers.push(answer);
                    }
                    if requests.len() < LARGEST {
                        next = receiver.try_recv().ok();
                    }
                }
                if requests.is_empty() {
                    continue;
                }
                let done = backend.commit(&requests).await;
                requests.clear();
                for (place, answer) in answers.drain(..).enumerate() {
                    let result = match &done {
                        Ok(done) => done.get(place).copied().ok_or(StoreError::Closed),
                        Err(error) => Err(error.clone()),
                    };
                    let _ = answer.send(result);
                }
            }
            _ = idle.tick() => backend.idle().await,
        }
    }
}
