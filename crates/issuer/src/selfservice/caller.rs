//! Who calls, proven by a token of the issuer, and what that token allows.

use skybru_core::{OrgNumber, ScopeName, ScopeSet};
use skybru_protocol::claims::AccessTokenClaims;
use skybru_protocol::jose::{Jws, VerifyingKey};
use skybru_protocol::json;

use super::{ApiError, SelfService};

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read own clients and keys.
    ReadClients,
    /// Change the settings of own clients.
    ChangeClients,
    /// Register and deactivate own clients, and replace their keys and secrets.
    WriteClients,
    /// Register clients in the name of any organisation, as its supplier.
    Supply,
    /// Read a client's entries on behalf of others.
    ReadOnBehalfOf,
    /// Change them.
    WriteOnBehalfOf,
    /// Register clients for any organisation: Altinn's platform.
    Altinn,
    /// Read own scopes and accesses to them.
    ReadScopes,
    /// Change own scopes and accesses to them.
    WriteScopes,
    /// Read what was granted to the own organisation.
    ReadGranted,
    /// Register organisations and their prefixes: the issuer's operator.
    Operate,
}

impl Right {
    /// Scopes of which any one gives this right. Writing includes reading.
    fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::ReadClients => &["idporten:dcr.read", "idporten:dcr.modify", "idporten:dcr.write", "idporten:dcr.supplier"],
            Self::ChangeClients => &["idporten:dcr.write", "idporten:dcr.modify", "idporten:dcr.supplier"],
            Self::WriteClients => &["idporten:dcr.write", "idporten:dcr.supplier"],
            Self::Supply => &["idporten:dcr.supplier"],
            Self::ReadOnBehalfOf => &["idporten:dcr/onbehalfof:write", "idporten:dcr.modify", "idporten:dcr.write"],
            Self::WriteOnBehalfOf => &["idporten:dcr/onbehalfof:write"],
            Self::Altinn => &["idporten:dcr.altinn"],
            Self::ReadScopes => &["idporten:scopes.read", "idporten:scopes.write"],
            Self::WriteScopes => &["idporten:scopes.write"],
            Self::ReadGranted => &[
                "idporten:dcr.read",
                "idporten:dcr.modify",
                "idporten:dcr.write",
                "idporten:scopes.read",
                "idporten:scopes.write",
            ],
            Self::Operate => &["skybru:operator"],
        }
    }
}

/// A proven caller.
#[derive(Debug, Clone)]
pub struct Caller {
    org: OrgNumber,
    scopes: Vec<ScopeName>,
    /// Whether the caller works as Altinn's platform: on the clients that it registered, whose ever they are.
    altinn: bool,
}

impl Caller {
    /// The operator of this process, acting in the name of `org` without a token: for setting up.
    pub fn operator(org: OrgNumber) -> Self {
        let all = ["idporten:dcr.write", "idporten:dcr/onbehalfof:write", "idporten:scopes.write", "skybru:operator"];
        Self { org, scopes: all.iter().filter_map(|scope| scope.parse().ok()).collect(), altinn: false }
    }

    /// The same caller, working as Altinn's platform.
    pub fn into_altinn(self) -> Result<Self, ApiError> {
        self.must(Right::Altinn)?;
        Ok(Self { altinn: true, ..self })
    }

    /// Whether it does.
    pub fn is_altinn(&self) -> bool {
        self.altinn
    }

    /// The organisation for which the token was issued.
    pub fn org(&self) -> OrgNumber {
        self.org
    }

    /// Whether a scope of the token gives `right`.
    pub fn may(&self, right: Right) -> bool {
        let with_clients = matches!(right, Right::ReadClients | Right::ChangeClients | Right::WriteClients);
        (self.altinn && with_clients) || self.scopes.iter().any(|scope| right.scopes().contains(&scope.as_str()))
    }

    /// Refuses when no scope of the token gives `right`.
    pub fn must(&self, right: Right) -> Result<(), ApiError> {
        if self.may(right) {
            return Ok(());
        }
        Err(ApiError::Forbidden(format!("the token lacks the scope {}", right.scopes().join(" or "))))
    }
}

impl SelfService {
    /// Proves the caller by the `Authorization` header's value: one of the issuer's own tokens, alive, meant for nobody else.
    pub fn authenticate(&self, authorization: Option<&str>) -> Result<Caller, ApiError> {
        let refused = |why: &str| ApiError::Unauthenticated(format!("the access token was refused: {why}"));
        let header = authorization
            .ok_or_else(|| ApiError::Unauthenticated("an access token is needed: Authorization: Bearer …".to_owned()))?;
        let token = header.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer ")).map(|_| header[7..].trim());
        let jws = Jws::parse(token.ok_or_else(|| refused("the scheme must be Bearer"))?).map_err(|e| refused(&e.to_string()))?;

        let keys = self.issuer.key_set();
        let key = jws
            .header()
            .kid
            .as_deref()
            .and_then(|kid| keys.find(kid))
            .ok_or_else(|| refused("it is signed with an unknown key"))?;
        let verifying = VerifyingKey::from_jwk(key).map_err(|e| refused(&e.to_string()))?;
        let algorithm = jws.header().alg.parse().map_err(|_| refused("its algorithm is not the issuer's"))?;
        let algorithm_fits = key.alg.as_deref() == Some(jws.header().alg.as_str()) && jws.header().crit.is_none();
        if !algorithm_fits || verifying.verify(algorithm, jws.signing_input().as_bytes(), jws.signature()).is_err() {
            return Err(refused("its signature does not hold"));
        }
        let members = json::object(jws.payload()).map_err(|e| refused(&e.to_string()))?;
        let claims: AccessTokenClaims = serde_json::from_value(serde_json::Value::Object(members))
            .map_err(|_| refused("it lacks claims of the issuer's tokens"))?;
        if claims.iss != self.issuer.url().as_str() {
            return Err(refused("it is from another issuer"));
        }
        if claims.exp <= self.ctx.clock.unix_seconds() {
            return Err(refused("it has expired"));
        }
        if claims.aud.is_some() {
            return Err(refused("it is meant for another API (aud)"));
        }
        let scopes: ScopeSet = claims.scope.parse().map_err(|_| refused("its scope cannot be read"))?;
        let org = claims.consumer.org().ok_or_else(|| refused("its consumer is no Norwegian organisation"))?;
        Ok(Caller { org: org.number(), scopes: scopes.iter().cloned().collect(), altinn: false })
    }
}
