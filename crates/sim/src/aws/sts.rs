//! STS: `AssumeRoleWithWebIdentity`, `AssumeRole`, and the calls about the caller's own credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::request::Parts;
use skybru_federation::aws::policy::{Context, Request, check_identity_policy, evaluate};
use skybru_federation::aws::session::is_session_name;
use skybru_federation::aws::{
    Accepted, AwsError, Decision, OidcProvider, Parameters as Call, Registered, Role, after_fetch, before_fetch,
};

use super::caller::{Caller, policy_text};
use super::query::{Answer, Parameters};
use super::state::{Session, State};
use super::xml::{Element, element, text};
use super::{Sim, errors, iso8601, names};

/// How long credentials are remembered after they have expired, so that they are told so: a day.
const REMEMBERED_SECONDS: i64 = 24 * 60 * 60;

/// Answers one call.
pub(crate) async fn answer(
    sim: &Sim,
    action: &str,
    parameters: &Parameters,
    parts: &Parts,
    body: &[u8],
) -> Result<Answer, AwsError> {
    match action {
        // The only call that needs no signature: the token is the proof.
        "AssumeRoleWithWebIdentity" => assume_role_with_web_identity(sim, parameters).await,
        "AssumeRole" => assume_role(sim, parameters, &Caller::of_request(sim, "sts", parts, body)?),
        "GetCallerIdentity" => {
            // Needs no permission: everybody may ask who they are.
            let caller = Caller::of_request(sim, "sts", parts, body)?;
            let (arn, id) = (caller.arn(&sim.account), caller.user_id(&sim.account));
            Ok(Answer::new(vec![text("Arn", arn), text("UserId", id), text("Account", &sim.account.id)]))
        }
        "GetSessionToken" => session_token(sim, parameters, &Caller::of_request(sim, "sts", parts, body)?),
        "GetAccessKeyInfo" => {
            let caller = Caller::of_request(sim, "sts", parts, body)?;
            caller.authorize(&sim.state.get(), "sts:GetAccessKeyInfo", "*")?;
            key_info(sim, parameters.required("AccessKeyId")?)
        }
        "DecodeAuthorizationMessage" => {
            let caller = Caller::of_request(sim, "sts", parts, body)?;
            caller.authorize(&sim.state.get(), "sts:DecodeAuthorizationMessage", "*")?;
            parameters.required("EncodedMessage")?;
            // Only EC2 and a few other services give encoded messages out, and they are not here: no message is one.
            Err(AwsError::new("A-60", "InvalidAuthorizationMessageException", 400, "Message is not valid."))
        }
        _ => Err(errors::invalid_action(action, parameters.get("Version").unwrap_or_default())),
    }
}

/// `GetSessionToken`: temporary credentials of the account itself. With them it may do all in S3, and in IAM and STS little more than ask
/// who it is, for they were got without a second factor. No session may have others made for it.
fn session_token(sim: &Sim, parameters: &Parameters, caller: &Caller) -> Result<Answer, AwsError> {
    if !matches!(caller, Caller::Root) {
        let text = "Cannot call GetSessionToken with session credentials";
        return Err(AwsError::new("A-62", "AccessDenied", 403, text));
    }
    let duration = parameters.number("DurationSeconds")?.unwrap_or(3600);
    for (fits, bound) in
        [(duration >= 900, "greater than or equal to 900"), (duration <= 129_600, "less than or equal to 129600")]
    {
        if !fits {
            let text = format!(
                "1 validation error detected: Value '{duration}' at 'durationSeconds' failed to satisfy constraint: Member must have \
                 value {bound}"
            );
            return Err(AwsError::new("A-60", "ValidationError", 400, text));
        }
    }
    // AWS's own keys live no longer than this, whatever is asked for.
    let duration = duration.min(3600);
    let who = Identity {
        role_name: String::new(),
        role_id: String::new(),
        arn: caller.arn(&sim.account),
        user_id: caller.user_id(&sim.account),
        is_root: true,
    };
    let session = keep_session(sim, who, duration, Vec::new(), BTreeMap::new())?;
    Ok(Answer::new(vec![credentials_element(&session)]))
}

/// Which account a key belongs to. Of keys that are not ours nothing is known here.
fn key_info(sim: &Sim, id: &str) -> Result<Answer, AwsError> {
    let is_ours = id == sim.account.root_access_key_id || sim.state.get().sessions.contains_key(id);
    if !is_ours {
        // The text is unconfirmed.
        return Err(AwsError::new("A-60", "ValidationError", 400, format!("{id} is not a valid access key")));
    }
    Ok(Answer::new(vec![text("Account", &sim.account.id)]))
}

/// The order is that of A-64; the issuer is asked in the middle, and everything else is decided by `skybru-federation`.
async fn assume_role_with_web_identity(sim: &Sim, parameters: &Parameters) -> Result<Answer, AwsError> {
    let policy_arns = parameters.fields("PolicyArns", "arn");
    let call = Call::read(|name| parameters.get(name).map(str::to_owned), policy_arns)?;
    let now = sim.ctx.clock.unix_seconds();
    let state = sim.state.get();
    let role = state.roles.values().find(|role| role.arn == call.role_arn);
    let providers: Vec<OidcProvider> = state.providers.values().cloned().collect();
    let refuse = |decision: Decision| {
        tracing::info!(code = decision.error.code, rule = decision.error.rule, reason = ?decision.reason, role = %call.role_arn, "web identity refused");
        decision.error
    };
    let registered = Registered { role, providers: &providers };
    let (token, role, provider) = before_fetch(&call, &registered, now).map_err(refuse)?;
    let documents = sim.fetcher.documents(&token.iss, &provider.thumbprints).await;
    let accepted = after_fetch(&call, &token, role, provider, documents, sim.settings.rules).map_err(refuse)?;
    // what is too new to be known everywhere does not exist yet.
    let known_since = sim.control.propagation_delay().as_secs();
    if [role.created, provider.created].iter().any(|created| now < created.saturating_add_unsigned(known_since)) {
        return Err(AwsError::not_authorized());
    }
    let session_policies = session_policies(&state, accepted.session_policy.clone(), &call.policy_arns)?;
    let context = session_context(&accepted, provider);
    let session = new_session(sim, role, &call.session_name, accepted.duration_seconds, session_policies, context)?;
    let mut elements = vec![text("SubjectFromWebIdentityToken", &accepted.subject), text("Audience", &accepted.audience)];
    elements.extend(session_elements(&session));
    elements.extend([text("Provider", &accepted.provider), text("PackedPolicySize", accepted.packed_policy_size)]);
    elements.extend(accepted.source_identity.map(|identity| text("SourceIdentity", identity)));
    tracing::info!(session = %session.arn, provider = %provider.arn, "web identity accepted");
    Ok(Answer::new(elements))
}

/// What policies can look at while the session lives.
fn session_context(accepted: &Accepted, provider: &OidcProvider) -> BTreeMap<String, Vec<String>> {
    let mut context: BTreeMap<String, Vec<String>> =
        accepted.tags.iter().map(|(key, value)| (format!("aws:PrincipalTag/{key}"), vec![value.clone()])).collect();
    context.insert(format!("{}:aud", provider.url), vec![accepted.audience.clone()]);
    context.insert(format!("{}:sub", provider.url), vec![accepted.subject.clone()]);
    context.insert("aws:FederatedProvider".to_owned(), vec![provider.arn.clone()]);
    context.extend(accepted.source_identity.iter().map(|identity| ("aws:SourceIdentity".to_owned(), vec![identity.clone()])));
    context
}

/// `AssumeRole`, as far as the account's own key and roles that trust each other need it. No external ids, no MFA.
fn assume_role(sim: &Sim, parameters: &Parameters, caller: &Caller) -> Result<Answer, AwsError> {
    let role_arn = parameters.required("RoleArn")?;
    let name = parameters.required("RoleSessionName")?;
    if !is_session_name(name) {
        let text = format!(
            "1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: [\\w+=,.@-]*"
        );
        return Err(AwsError::new("A-60", "ValidationError", 400, text));
    }
    let duration = parameters.number("DurationSeconds")?.unwrap_or(3600);
    let state = sim.state.get();
    let refused = || {
        let arn = caller.arn(&sim.account);
        let text = format!("User: {arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}");
        AwsError::new("A-62", "AccessDenied", 403, text)
    };
    let role = state.roles.values().find(|role| role.arn == role_arn).ok_or_else(refused)?;
    // In one account the trust policy may name the account, the role, or the very session.
    let account = format!("arn:aws:iam::{}:root", sim.account.id);
    let principals = match caller {
        Caller::Root => vec![account, sim.account.id.clone()],
        Caller::Session(session) => {
            let own = state.roles.get(&session.role_name).map(|role| role.arn.clone());
            vec![session.arn.clone(), account, sim.account.id.clone()].into_iter().chain(own).collect()
        }
    };
    let trust = role.trust()?;
    let context = Context::default();
    let trusted = |principal: &String| {
        let request =
            Request { principal: Some(("AWS", principal)), action: "sts:AssumeRole", resource: None, context: &context };
        evaluate([&trust], &request).is_allowed()
    };
    if !principals.iter().any(trusted) || caller.authorize(&state, "sts:AssumeRole", role_arn).is_err() {
        return Err(refused());
    }
    if duration > role.max_session_duration {
        let text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(AwsError::new("A-61", "ValidationError", 400, text));
    }
    let inline = parameters.get("Policy").map(str::to_owned);
    let session_policies = session_policies(&state, inline, &parameters.fields("PolicyArns", "arn"))?;
    let session = new_session(sim, role, name, duration, session_policies, BTreeMap::new())?;
    Ok(Answer::new(session_elements(&session)))
}

/// The texts of the policies given to a session.
fn session_policies(state: &State, inline: Option<String>, arns: &[String]) -> Result<Vec<String>, AwsError> {
    if let Some(text) = &inline {
        check_identity_policy(text)?;
    }
    let mut policies: Vec<String> = inline.into_iter().collect();
    for arn in arns {
        let text = policy_text(state, arn);
        policies
            .push(text.ok_or_else(|| AwsError::malformed_policy(format!("Policy {arn} does not exist or is not attachable.")))?);
    }
    Ok(policies)
}

/// Whom new credentials stand for.
struct Identity {
    role_name: String,
    role_id: String,
    arn: String,
    user_id: String,
    is_root: bool,
}

/// Makes temporary credentials of a role and remembers them.
fn new_session(
    sim: &Sim,
    role: &Role,
    name: &str,
    duration_seconds: u32,
    session_policies: Vec<String>,
    context: BTreeMap<String, Vec<String>>,
) -> Result<Arc<Session>, AwsError> {
    let who = Identity {
        role_name: role.name.clone(),
        role_id: role.id.clone(),
        arn: format!("arn:aws:sts::{}:assumed-role/{}/{name}", sim.account.id, role.name),
        user_id: format!("{}:{name}", role.id),
        is_root: false,
    };
    keep_session(sim, who, duration_seconds, session_policies, context)
}

fn keep_session(
    sim: &Sim,
    who: Identity,
    duration_seconds: u32,
    policies: Vec<String>,
    context: BTreeMap<String, Vec<String>>,
) -> Result<Arc<Session>, AwsError> {
    let randomness = &*sim.ctx.randomness;
    let now = sim.ctx.clock.unix_seconds();
    let Identity { role_name, role_id, arn, user_id, is_root } = who;
    let session = Arc::new(Session {
        access_key_id: names::temporary_access_key_id(randomness),
        secret_access_key: names::secret_access_key(randomness),
        token: names::session_token(randomness),
        role_name,
        role_id,
        arn,
        user_id,
        is_root,
        // not shortened by the token's own expiry.
        expires: sim.control.ends(now, now + i64::from(duration_seconds)),
        policies,
        context,
    });
    sim.state.change(|state| {
        state.sessions.retain(|_, old| now < old.expires + REMEMBERED_SECONDS);
        state.sessions.insert(session.access_key_id.clone(), Arc::clone(&session));
        Ok::<_, AwsError>(())
    })?;
    Ok(session)
}

fn session_elements(session: &Session) -> Vec<Element> {
    let user = vec![text("Arn", &session.arn), text("AssumedRoleId", &session.user_id)];
    vec![element("AssumedRoleUser", user), credentials_element(session)]
}

fn credentials_element(session: &Session) -> Element {
    let credentials = vec![
        text("AccessKeyId", &session.access_key_id),
        text("SecretAccessKey", session.secret_access_key.expose()),
        text("SessionToken", session.token.expose()),
        text("Expiration", iso8601(session.expires)),
    ];
    element("Credentials", credentials)
}
