//! IAM's policy simulator: what policies would make of a call, decided by the functions that decide on the call itself.

use std::collections::{BTreeMap, BTreeSet};

use super::policy::{Context, Document, Effect, Request, matching};
use super::{account_of_arn, s3};

/// Whom the simulator is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Simulation<'a> {
    /// The role's ARN.
    pub role: &'a str,
    /// Its policies, and those that the question adds.
    pub policies: &'a [Document],
    /// The policy of the resource, where the question brings one.
    pub resource_policy: Option<&'a Document>,
    /// What the question says about the request.
    pub context: &'a Context,
    /// Seconds since 1970.
    pub now: i64,
}

/// IAM's three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvalDecision {
    /// It would be done.
    Allowed,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement allows it.
    ImplicitDeny,
}

/// The answer about one action and one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    /// Whether it would be done.
    pub decision: EvalDecision,
    /// Which of the role's policies have statements that decided so, counted from 0: one entry a statement.
    pub matched: Vec<usize>,
}

impl EvalDecision {
    /// As IAM writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::ExplicitDeny => "explicitDeny",
            Self::ImplicitDeny => "implicitDeny",
        }
    }
}

impl Simulation<'_> {
    /// Would the role be let do this?
    pub fn decide(&self, action: &str, resource: &str) -> Simulated {
        let (none, carried) = (BTreeMap::new(), BTreeMap::new());
        let buckets = self
            .resource_policy
            .map_or_else(BTreeMap::new, |policy| BTreeMap::from([(s3::bucket_of(resource).to_owned(), policy.clone())]));
        // The data plane knows sessions of roles only; this one has brought no policies along.
        let name = self.role.rsplit('/').next().unwrap_or_default();
        let arn = format!("arn:aws:sts::{}:assumed-role/{name}/simulated", account_of_arn(self.role).unwrap_or_default());
        let session = s3::Session {
            arn: &arn,
            policies: self.policies,
            session_policies: &[],
            bucket_policies: if self.resource_policy.is_some() { &buckets } else { &none },
            tags: &[],
            carried: &carried,
            provider: None,
            now: self.now,
        };
        let decision = match s3::allowed(&session, action, resource, self.context) {
            Ok(()) => EvalDecision::Allowed,
            Err(why) if why.is_deny() => EvalDecision::ExplicitDeny,
            Err(_) => EvalDecision::ImplicitDeny,
        };
        let request = Request { principal: None, action, resource: Some(resource), context: self.context };
        let deciding = if decision == EvalDecision::ExplicitDeny { Effect::Deny } else { Effect::Allow };
        let matched = matching(self.policies, &request);
        let matched = matched.into_iter().filter(|(_, effect)| *effect == deciding).map(|(policy, _)| policy).collect();
        Simulated { decision, matched: if decision == EvalDecision::ImplicitDeny { Vec::new() } else { matched } }
    }

    /// The keys that the policies look at and that the question says nothing about.
    pub fn missing_keys(&self) -> Vec<String> {
        let documents = self.policies.iter().chain(self.resource_policy);
        context_keys(documents).into_iter().filter(|key| self.context.get(key).is_none()).collect()
    }
}

/// The condition keys that policies look at, in conditions and in variables; each once, whatever its case.
pub fn context_keys<'a>(policies: impl IntoIterator<Item = &'a Document>) -> Vec<String> {
    let (mut seen, mut keys) = (BTreeSet::new(), Vec::new());
    for key in policies.into_iter().flat_map(Document::context_keys) {
        if seen.insert(key.to_lowercase()) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/skyporten-role";
    const READ: &str = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"},
        {"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b","Condition":{"StringLike":{"s3:prefix":"${aws:PrincipalTag/org}/*"}}},
        {"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::b/secret/*"}]}"#;

    fn decide(resource_policy: Option<&str>, context: &Context, action: &str, resource: &str) -> Simulated {
        let policies = [Document::parse(READ).unwrap()];
        let resource_policy = resource_policy.map(|text| Document::parse(text).unwrap());
        Simulation { role: ROLE, policies: &policies, resource_policy: resource_policy.as_ref(), context, now: 0 }
            .decide(action, resource)
    }

    #[test]
    fn the_simulator_says_allowed_denied_or_nothing() {
        let context = Context::default();
        let of = |action: &str, resource: &str| decide(None, &context, action, resource);
        let allowed = of("s3:GetObject", "arn:aws:s3:::b/a");
        assert_eq!(allowed, Simulated { decision: EvalDecision::Allowed, matched: vec![0] });
        assert_eq!(of("s3:GetObject", "arn:aws:s3:::b/secret/a").decision, EvalDecision::ExplicitDeny);
        assert_eq!(
            of("s3:PutObject", "arn:aws:s3:::b/a"),
            Simulated { decision: EvalDecision::ImplicitDeny, matched: Vec::new() }
        );
    }

    #[test]
    fn the_simulator_names_the_keys_that_it_was_not_told() {
        let policies = [Document::parse(READ).unwrap()];
        let mut context = Context::default();
        let ask = |context: &Context| {
            Simulation { role: ROLE, policies: &policies, resource_policy: None, context, now: 0 }.missing_keys()
        };
        assert_eq!(ask(&context), ["s3:prefix", "aws:PrincipalTag/org"]);
        context.set("S3:Prefix", ["917422575/x"]);
        context.set("aws:PrincipalTag/org", ["917422575"]);
        assert!(ask(&context).is_empty());
        assert_eq!(decide(None, &context, "s3:ListBucket", "arn:aws:s3:::b").decision, EvalDecision::Allowed);
        context.set("s3:prefix", ["889640782/x"]);
        assert_eq!(decide(None, &context, "s3:ListBucket", "arn:aws:s3:::b").decision, EvalDecision::ImplicitDeny);
    }

    #[test]
    fn a_resources_policy_counts_as_it_does_for_the_call_itself() {
        let policy = |effect: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{{"AWS":"{ROLE}"}},"Action":"s3:*","Resource":"arn:aws:s3:::b/*"}}]}}"#
            )
        };
        let context = Context::default();
        let of = |effect: &str, action: &str| decide(Some(&policy(effect)), &context, action, "arn:aws:s3:::b/a").decision;
        assert_eq!(of("Allow", "s3:PutObject"), EvalDecision::Allowed);
        assert_eq!(of("Deny", "s3:GetObject"), EvalDecision::ExplicitDeny);
    }
}
