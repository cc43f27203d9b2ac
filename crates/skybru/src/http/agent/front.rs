//! The way in. What programs ask for all the time, a token that is there already, costs little more than reading the request and writing
//! the answer; so it goes past the router and its layers, through the same checks, to the same handler. Everything else goes to the router.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use tower::Service;

use super::{Agent, texas};

/// Where texas hands out tokens.
pub(super) const TOKEN: &str = "/api/v1/token";

/// The agent's paths, as a service.
#[derive(Clone)]
pub(crate) struct Front {
    agent: Arc<Agent>,
    others: Router,
}

impl Front {
    /// `others` has every path, this one's too: it is asked for all methods but the one that is answered here.
    pub(super) fn new(agent: Arc<Agent>, others: Router) -> Self {
        Self { agent, others }
    }
}

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.uri().path() != TOKEN || request.method() != Method::POST {
            return Box::pin(self.others.call(request));
        }
        let agent = Arc::clone(&self.agent);
        Box::pin(async move {
            let started = tokio::time::Instant::now();
            let response = match agent.stranger(request.headers()) {
                Some(refusal) => refusal,
                None => texas::token(State(Arc::clone(&agent)), request).await,
            };
            agent.measures.token_asked(response.status(), started.elapsed());
            Ok(response)
        })
    }
}
