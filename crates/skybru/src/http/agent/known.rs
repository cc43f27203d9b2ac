//! What was asked before. Programs send the same body for a token again and again: it is read once, and what its answer begins with is
//! written once for each token.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;
use skybru_client::token::{AccessToken, PreparedRequest};
use skybru_core::Secret;

use super::AgentClient;
use super::texas::Kind;

/// How many bodies of each kind are remembered. A program has a handful; one that varies them without end must not eat the memory.
const CAPACITY: usize = 64;

/// Longer bodies are read each time.
const LONGEST: usize = 2048;

/// Bodies that were understood, by the settings of now: a new set of settings begins with none.
#[derive(Default)]
pub(crate) struct Known {
    forms: Mutex<HashMap<Box<[u8]>, Arc<Asked>>>,
    json: Mutex<HashMap<Box<[u8]>, Arc<Asked>>>,
}

/// Whose token is asked for, and which.
pub(super) struct Asked {
    pub(super) client: Arc<AgentClient>,
    pub(super) request: PreparedRequest,
    answered: ArcSwapOption<Answered>,
}

/// What the answer with a token begins with.
struct Answered {
    token: Arc<AccessToken>,
    begin: Secret,
}

impl Known {
    fn of(&self, kind: Kind) -> &Mutex<HashMap<Box<[u8]>, Arc<Asked>>> {
        match kind {
            Kind::Form => &self.forms,
            Kind::Json => &self.json,
        }
    }

    /// What this very body asked for the last time.
    pub(super) fn find(&self, kind: Kind, body: &[u8]) -> Option<Arc<Asked>> {
        self.of(kind).lock().unwrap_or_else(PoisonError::into_inner).get(body).cloned()
    }

    /// Remembers what a body asked for. When there are too many, all are forgotten.
    pub(super) fn keep(&self, kind: Kind, body: &[u8], asked: &Arc<Asked>) {
        if body.len() > LONGEST {
            return;
        }
        let mut known = self.of(kind).lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(body.into(), Arc::clone(asked));
    }
}

impl Asked {
    pub(super) fn new(client: Arc<AgentClient>, request: PreparedRequest) -> Self {
        Self { client, request, answered: ArcSwapOption::empty() }
    }

    /// What texas answers with, and how many seconds the token has left `now`.
    pub(super) fn answer(&self, token: &Arc<AccessToken>, now: Timestamp) -> Response {
        let held = self.answered.load();
        let made;
        let begin = match &*held {
            Some(answered) if Arc::ptr_eq(&answered.token, token) => answered.begin.expose(),
            _ => {
                made = Arc::new(Answered { token: Arc::clone(token), begin: begin(token) });
                self.answered.store(Some(Arc::clone(&made)));
                made.begin.expose()
            }
        };
        let mut body = String::with_capacity(begin.len() + 64);
        body.push_str(begin);
        // Writing into a string does not fail.
        let _ = write!(body, "{},\"token_type\":\"Bearer\"}}", token.expires_in(now));
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

fn begin(token: &AccessToken) -> Secret {
    let quoted = Value::from(token.token.expose());
    Secret::from(format!("{{\"access_token\":{quoted},\"expires_in\":"))
}
