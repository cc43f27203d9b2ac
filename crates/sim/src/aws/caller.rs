//! Who makes a call, and whether that one may.
//!
//! The account's own key may do everything. Temporary credentials may do what the policies of their role allow *now*: a role that is
//! deleted, or whose policies change, takes effect with the next request.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::request::Parts;
use skybru_core::Secret;
use skybru_federation::aws::policy::{Context, Document, Outcome, Request, evaluate};
use skybru_federation::aws::{AwsError, s3};

use super::sigv4::Signature;
use super::state::{Session, State};
use super::{Account, Sim, builtin, errors};

/// Who makes a call.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// The account itself.
    Root,
    /// Temporary credentials of a role.
    Session(Arc<Session>),
}

/// The policies that speak for a session, as they are now.
pub(crate) struct Permissions {
    policies: Vec<Document>,
    session_policies: Vec<Document>,
    bucket_policies: BTreeMap<String, Document>,
    tags: Vec<(String, String)>,
}

impl Permissions {
    /// Those of `session`; none if its role is gone.
    pub(crate) fn of(session: &Session, state: &State) -> Self {
        let role = state.roles.get(&session.role_name).filter(|role| role.id == session.role_id);
        let parse = |text: &str| Document::parse(text).ok();
        let mut policies: Vec<Document> =
            role.into_iter().flat_map(|role| role.inline_policies.values()).filter_map(|text| parse(text)).collect();
        let attached = role.into_iter().flat_map(|role| &role.attached_policies);
        policies.extend(attached.filter_map(|arn| policy_text(state, arn)).filter_map(|text| parse(&text)));
        let tagged = |values: &Vec<String>| values.first().cloned().unwrap_or_default();
        let mut tags: Vec<(String, String)> =
            role.into_iter().flat_map(|role| &role.tags).map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        for (key, values) in &session.context {
            if let Some(key) = key.strip_prefix("aws:PrincipalTag/") {
                tags.retain(|(known, _)| !known.eq_ignore_ascii_case(key));
                tags.push((key.to_owned(), tagged(values)));
            }
        }
        Self {
            policies,
            session_policies: session.policies.iter().filter_map(|text| parse(text)).collect(),
            bucket_policies: state
                .bucket_policies
                .iter()
                .filter_map(|(bucket, text)| Some((bucket.clone(), parse(text)?)))
                .collect(),
            tags,
        }
    }

    /// May the session do this in S3?
    pub(crate) fn authorize_s3(&self, session: &Session, operation: &s3::Operation<'_>, now: i64) -> Result<(), AwsError> {
        if session.is_root {
            return Ok(());
        }
        let provider = session.context.get("aws:FederatedProvider").and_then(|values| values.first()).map(String::as_str);
        let asking = s3::Session {
            arn: &session.arn,
            policies: &self.policies,
            session_policies: &self.session_policies,
            bucket_policies: &self.bucket_policies,
            carried: &session.context,
            tags: &self.tags,
            provider,
            now,
        };
        s3::authorize(operation, &asking)
    }

    /// May the session do this in IAM or STS?
    fn authorize(&self, session: &Session, action: &str, resource: &str) -> Result<(), AwsError> {
        if session.is_root {
            // Without a second factor the account's temporary credentials are none to IAM, and to most of STS.
            return Err(errors::invalid_client_token_id());
        }
        let mut context = Context::default();
        for (key, values) in &session.context {
            context.set(key, values.iter().map(String::as_str));
        }
        for (key, value) in &self.tags {
            context.set(&format!("aws:PrincipalTag/{key}"), [value.as_str()]);
        }
        let request = Request { principal: None, action, resource: Some(resource), context: &context };
        let why = match evaluate(&self.policies, &request).outcome {
            Outcome::Denied => "with an explicit deny in an identity-based policy".to_owned(),
            Outcome::NotAllowed => format!("because no identity-based policy allows the {action} action"),
            Outcome::Allowed if self.session_policies.is_empty() => return Ok(()),
            Outcome::Allowed => match evaluate(&self.session_policies, &request).outcome {
                Outcome::Allowed => return Ok(()),
                Outcome::Denied => "with an explicit deny in a session policy".to_owned(),
                Outcome::NotAllowed => format!("because no session policy allows the {action} action"),
            },
        };
        let text = format!("User: {} is not authorized to perform: {action} on resource: {resource} {why}", session.arn);
        Err(AwsError::new("D-32", "AccessDenied", 403, text))
    }
}

/// The document that counts of a managed policy, the account's own or AWS's.
pub(crate) fn policy_text(state: &State, arn: &str) -> Option<String> {
    state.policies.get(arn).map(|policy| policy.document().to_owned()).or_else(|| builtin::document(arn).map(str::to_owned))
}

impl Caller {
    /// Finds out who signed a request of `service`, IAM or STS, and that the signature holds.
    pub(crate) fn of_request(sim: &Sim, service: &str, parts: &Parts, body: &[u8]) -> Result<Self, AwsError> {
        let signature = Signature::find(parts)?.ok_or_else(errors::missing_authentication_token)?;
        if signature.service != service {
            let text = format!("Credential should be scoped to correct service: '{service}'. ");
            return Err(errors::signature_does_not_match(text));
        }
        let (caller, secret) = Self::find(sim, &signature)?;
        signature.verify(parts, body, &secret, sim.wire_clock.now())?;
        if let Self::Session(session) = &caller
            && session.is_expired(sim.ctx.clock.unix_seconds())
        {
            return Err(errors::expired_token());
        }
        Ok(caller)
    }

    /// The owner of an access key. A session token belongs to temporary keys, and only theirs will do.
    fn find(sim: &Sim, signature: &Signature) -> Result<(Self, Secret), AwsError> {
        let token = signature.session_token.as_ref();
        if signature.access_key_id == sim.account.root_access_key_id {
            return match token {
                None => Ok((Self::Root, sim.account.root_secret_access_key.clone())),
                Some(_) => Err(errors::invalid_client_token_id()),
            };
        }
        let state = sim.state.get();
        let session = state.sessions.get(&signature.access_key_id).ok_or_else(errors::invalid_client_token_id)?;
        if !token.is_some_and(|token| session.token.matches(token.expose())) {
            return Err(errors::invalid_client_token_id());
        }
        Ok((Self::Session(Arc::clone(session)), session.secret_access_key.clone()))
    }

    /// May the caller do this in IAM or STS?
    pub(crate) fn authorize(&self, state: &State, action: &str, resource: &str) -> Result<(), AwsError> {
        match self {
            Self::Root => Ok(()),
            Self::Session(session) => Permissions::of(session, state).authorize(session, action, resource),
        }
    }

    /// The caller's ARN.
    pub(crate) fn arn(&self, account: &Account) -> String {
        match self {
            Self::Root => format!("arn:aws:iam::{}:root", account.id),
            Self::Session(session) => session.arn.clone(),
        }
    }

    /// The caller's unique id.
    pub(crate) fn user_id(&self, account: &Account) -> String {
        match self {
            Self::Root => account.id.clone(),
            Self::Session(session) => session.user_id.clone(),
        }
    }
}
