//! Secrets of clients that may have one. What is kept is a hash; the secret is shown once.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::SignedDuration;
use skybru_core::{Ctx, Secret};
use skybru_protocol::base64url;
use skybru_store::Change;
use skybru_store::registry::{Client, ClientSecret};

use super::client_input::has_secret;
use super::client_view::ClientView;
use super::clients::own_client;
use super::{ApiError, Caller, Right, SelfService};

/// A secret lives 360 days.
const SECRET_LIFETIME: SignedDuration = SignedDuration::from_hours(360 * 24);

/// A new secret, and what is kept of it.
pub(super) fn new_secret(ctx: &Ctx) -> (Secret, ClientSecret) {
    let mut bytes = [0; 32];
    ctx.randomness.fill(&mut bytes);
    let text = base64url::encode(bytes);
    let created = ctx.clock.now();
    let expires = created.saturating_add(SECRET_LIFETIME).unwrap_or(created);
    let kept = ClientSecret { sha256: base64url::encode(digest(&SHA256, text.as_bytes())), created, expires };
    (Secret::from(text), kept)
}

impl SelfService {
    /// Replaces a client's secret. The old one counts no more.
    pub async fn rotate_secret(&self, caller: &Caller, id: &str) -> Result<ClientView, ApiError> {
        caller.must(Right::WriteClients)?;
        let now = self.ctx.clock.now();
        let (secret, kept) = new_secret(&self.ctx);
        self.change(caller, |registry| {
            let known = own_client(registry, caller, id, false)?;
            if !has_secret(&known.token_endpoint_auth_method) {
                let method = &known.token_endpoint_auth_method;
                let message = format!("a client with token_endpoint_auth_method {method} has no secret");
                return Err(ApiError::field("Client", "token_endpoint_auth_method", message));
            }
            let client = Client { secret: Some(kept.into()), last_updated: now, ..Client::clone(&known) };
            let view = ClientView::new(registry, &client, Some(&secret));
            Ok((vec![Change::PutClient(client)], view))
        })
        .await
    }
}
