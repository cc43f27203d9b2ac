//! What the audit log says about a token.
//!
//! No secret and no person: a `pid` is not written down. Refusals that anybody can cause are counted ([`tally`](crate::tally)), so that
//! strangers cannot fill the log; the ordinary log has them one by one.

use skybru_core::{OrgId, OrgNumber, ScopeSet};
use skybru_protocol::assertion::{Fingerprint, VerifiedAssertion};
use skybru_protocol::base64url;
use skybru_protocol::claims::Party;
use skybru_store::audit::{Entry, Event};
use skybru_store::registry::Client;

use super::Granted;
use super::proof::Proven;
use crate::issuer::Issuer;
use crate::refusal::GrantError;
use crate::tally::Kind;

fn number(party: &Party) -> Option<OrgNumber> {
    party.id.parse::<OrgId>().ok().map(OrgId::number)
}

impl Issuer {
    fn entry(&self, event: Event) -> Entry {
        Entry { issuer: Some(self.settings.url.to_string()), ..Entry::new(self.ctx.clock.now(), event) }
    }

    fn owners(&self, scopes: &ScopeSet) -> Vec<OrgNumber> {
        self.registry
            .read(|registry| scopes.iter().filter_map(|name| registry.scope(name)).map(|scope| scope.owner_orgno).collect())
    }

    /// A token that is about to be signed.
    pub(super) fn issued(&self, granted: &Granted, assertion: Fingerprint) -> Entry {
        let claims = &granted.claims;
        Entry {
            client: Some(claims.client_id.clone()),
            consumer: number(&claims.consumer),
            supplier: granted.supplier,
            owners: self.owners(&granted.scopes),
            scope: Some(claims.scope.clone()),
            resource: claims.aud.as_ref().map(|audience| audience.as_slice().to_vec()).unwrap_or_default(),
            jti: Some(claims.jti.clone()),
            assertion: Some(base64url::encode(assertion.0)),
            kid: Some(granted.keys.active().kid().to_string()),
            expires: Some(claims.exp),
            ..self.entry(Event::TokenIssued)
        }
    }

    /// The same token, which was not signed after all.
    pub(super) fn withdrawn(&self, granted: &Granted, assertion: Fingerprint) -> Entry {
        Entry { event: Event::TokenWithdrawn, at: self.ctx.clock.now(), ..self.issued(granted, assertion) }
    }

    /// A refusal of somebody who was proven.
    pub(super) fn refused(&self, proven: &Proven, assertion: &VerifiedAssertion, refusal: &GrantError) -> Entry {
        let claims = assertion.claims();
        let scopes: Option<ScopeSet> = claims.scope.as_deref().and_then(|scope| scope.parse().ok());
        let client = match proven {
            Proven::Client(known, _) => Some(&known.client),
            Proven::Seal(_) => None,
        };
        Entry {
            client: Some(proven.client_id().to_owned()),
            consumer: client.map(|client| client.client_orgno),
            supplier: client.and_then(|client| client.supplier_orgno),
            owners: scopes.as_ref().map(|scopes| self.owners(scopes)).unwrap_or_default(),
            scope: scopes.map(|scopes| scopes.to_string()),
            resource: claims.resources.clone(),
            assertion: Some(base64url::encode(assertion.fingerprint().0)),
            code: Some(code(refusal)),
            ..self.entry(Event::TokenRefused)
        }
    }

    /// Notes it. When it cannot be noted, that is what the caller hears.
    pub(super) async fn note_refusal(&self, proven: &Proven, assertion: &VerifiedAssertion, refusal: GrantError) -> GrantError {
        if !self.ledger.is_audited() {
            return refusal;
        }
        let entry = self.refused(proven, assertion, &refusal);
        self.ledger.note(entry).await.err().map_or(refusal, GrantError::from)
    }

    /// A refusal of somebody who names a client and does not prove it.
    pub(super) async fn note_stranger(&self, claimed: &str, refusal: GrantError) -> GrantError {
        if !self.ledger.is_audited() || refusal.is_fault() {
            return refusal;
        }
        if matches!(refusal, GrantError::ClientNotFound) {
            self.count_refusal(&refusal, None);
            return refusal;
        }
        let kind = Kind { code: code(&refusal), client: Some(claimed.to_owned()), ..Kind::default() };
        if !self.tally.is_single(kind, self.ctx.clock.now()) {
            return refusal;
        }
        let entry = Entry { client: Some(claimed.to_owned()), code: Some(code(&refusal)), ..self.entry(Event::TokenRefused) };
        self.ledger.note(entry).await.err().map_or(refusal, GrantError::from)
    }

    /// A refusal that is counted; `client` where somebody has proven to be it.
    pub(crate) fn count_refusal(&self, refusal: &GrantError, client: Option<&Client>) {
        if !self.ledger.is_audited() {
            return;
        }
        let kind = Kind {
            code: code(refusal),
            client: client.map(|client| client.client_id.to_string()),
            consumer: client.map(|client| client.client_orgno),
            supplier: client.and_then(|client| client.supplier_orgno),
        };
        self.tally.count(kind, self.ctx.clock.now());
    }
}

fn code(refusal: &GrantError) -> String {
    if let GrantError::TooOften { limit, .. } = refusal {
        // The caller reads the same word as for a fault.
        return format!("too_many_requests {limit}");
    }
    let word = refusal.code().as_str();
    refusal.mp_code().map_or_else(|| word.to_owned(), |number| format!("{word} {number}"))
}
