//! The policy simulator, and what conditions policies look at. `skybru-federation` decides, as it does on the calls themselves.

use skybru_federation::aws::policy::{Context, Document};
use skybru_federation::aws::{AwsError, Role, Simulation, context_keys};

use super::page;
use super::policies::name_of;
use crate::aws::Sim;
use crate::aws::caller::policy_text;
use crate::aws::query::{Answer, Parameters};
use crate::aws::state::State;
use crate::aws::xml::{Element, list, text, texts};

/// What is answered here.
pub(super) const ACTIONS: [&str; 4] =
    ["SimulatePrincipalPolicy", "SimulateCustomPolicy", "GetContextKeysForPrincipalPolicy", "GetContextKeysForCustomPolicy"];

/// Policies with the names that IAM gives them in its answers.
#[derive(Default)]
struct Named {
    names: Vec<String>,
    documents: Vec<Document>,
}

impl Named {
    fn add(&mut self, name: String, text: &str) -> Result<(), AwsError> {
        self.documents.push(Document::parse(text)?);
        self.names.push(name);
        Ok(())
    }
}

/// Answers one call.
pub(super) fn answer(sim: &Sim, action: &str, parameters: &Parameters) -> Result<Answer, AwsError> {
    let state = sim.state.get();
    let is_custom = action.ends_with("CustomPolicy");
    let mut policies = Named::default();
    let role = if is_custom {
        None
    } else {
        let role = role_of(&state, parameters.required("PolicySourceArn")?)?;
        add_policies_of(&state, role, &mut policies)?;
        Some(role)
    };
    let given = parameters.list("PolicyInputList");
    if is_custom && given.is_none() {
        parameters.required("PolicyInputList")?;
    }
    for (place, document) in given.into_iter().flatten().enumerate() {
        policies.add(format!("PolicyInputList.{}", place + 1), &document)?;
    }
    if action.starts_with("GetContextKeys") {
        return Ok(Answer::new(vec![texts("ContextKeyNames", context_keys(&policies.documents))]));
    }
    let resource_policy = parameters.get("ResourcePolicy").map(Document::parse).transpose()?;
    let own = format!("arn:aws:iam::{}:role/simulated", sim.account.id);
    let asked = match parameters.get("CallerArn") {
        Some(caller) => &role_of(&state, caller)?.arn,
        None => role.map_or(&own, |role| &role.arn),
    };
    let context = context(parameters);
    let simulation = Simulation {
        role: asked,
        policies: &policies.documents,
        resource_policy: resource_policy.as_ref(),
        context: &context,
        now: sim.ctx.clock.unix_seconds(),
    };
    results(&simulation, &policies.names, parameters)
}

/// One result for each action and resource, in the order in which they were asked for.
fn results(simulation: &Simulation<'_>, names: &[String], parameters: &Parameters) -> Result<Answer, AwsError> {
    let actions = parameters.list("ActionNames").unwrap_or_default();
    if actions.is_empty() {
        parameters.required("ActionNames")?;
    }
    if let Some(action) =
        actions.iter().find(|action| action.split_once(':').is_none_or(|(service, name)| service.is_empty() || name.is_empty()))
    {
        // The text is unconfirmed.
        return Err(AwsError::new("A-60", "InvalidInput", 400, format!("Invalid action name: {action}")));
    }
    let resources = parameters.list("ResourceArns").unwrap_or_else(|| vec!["*".to_owned()]);
    let pairs: Vec<(&String, &String)> =
        actions.iter().flat_map(|action| resources.iter().map(move |resource| (action, resource))).collect();
    let (pairs, more) = page(pairs, parameters)?;
    let missing = simulation.missing_keys();
    let results = pairs.into_iter().map(|(action, resource)| {
        let simulated = simulation.decide(action, resource);
        let statement = |policy: &usize| vec![text("SourcePolicyId", &names[*policy]), text("SourcePolicyType", "IAM Policy")];
        vec![
            text("EvalActionName", action),
            text("EvalResourceName", resource),
            text("EvalDecision", simulated.decision.name()),
            list("MatchedStatements", simulated.matched.iter().map(statement)),
            texts("MissingContextValues", &missing),
        ]
    });
    Ok(Answer::new([vec![list("EvaluationResults", results)], more].concat()))
}

/// The role of an ARN. Users and groups there are none.
fn role_of<'a>(state: &'a State, arn: &str) -> Result<&'a Role, AwsError> {
    if let Some(role) = state.roles.values().find(|role| role.arn == arn) {
        return Ok(role);
    }
    for (kind, word) in [(":role/", "role"), (":user/", "user"), (":group/", "group")] {
        if arn.contains(":iam:") && arn.contains(kind) {
            return Err(AwsError::no_such_entity("A-14", format!("The {word} with name {} cannot be found.", name_of(arn))));
        }
    }
    let message = format!("Invalid Entity Arn: {arn} does not clearly define entity type and name.");
    Err(AwsError::new("A-60", "InvalidInput", 400, message))
}

fn add_policies_of(state: &State, role: &Role, policies: &mut Named) -> Result<(), AwsError> {
    for (name, document) in &role.inline_policies {
        policies.add(format!("role_{}_{name}", role.name), document)?;
    }
    for arn in &role.attached_policies {
        if let Some(document) = policy_text(state, arn) {
            policies.add(name_of(arn).to_owned(), &document)?;
        }
    }
    Ok(())
}

/// `ContextEntries.member.N.ContextKeyName` and `….ContextKeyValues.member.M`.
fn context(parameters: &Parameters) -> Context {
    let mut context = Context::default();
    for (place, key) in parameters.fields("ContextEntries", "ContextKeyName").into_iter().enumerate() {
        let values = parameters.list(&format!("ContextEntries.member.{}.ContextKeyValues", place + 1));
        context.set(&key, values.unwrap_or_default());
    }
    context
}

/// The elements of a role's own policies, for whoever lists everything.
pub(super) fn policy_elements(role: &Role) -> Element {
    let of =
        |(name, document): (&String, &String)| vec![text("PolicyName", name), text("PolicyDocument", super::encoded(document))];
    list("RolePolicyList", role.inline_policies.iter().map(of))
}
