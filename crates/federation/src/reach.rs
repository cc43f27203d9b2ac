//! Whom what the clouds have been told could ever let in, over all clouds: a proof before anything is created, and for the doctor after
//! (D-26, D-49).
//!
//! Each cloud proves it in its own way, as an upper bound: `aws::reach`, `google::reach`, `entra::reach`. Here the answers are of one
//! shape, so that one question can be asked of all: could two organisations ever satisfy the same rule?

use std::collections::BTreeSet;

use serde::Serialize;

use crate::aws::{self, AwsError, Role, Values};
use crate::catalogue::Cloud;
use crate::entra::{self, Identity};
use crate::google::policy::Policy;
use crate::google::{self, Provider};
use crate::organisations::Organisations;

/// What a cloud has been told.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    /// A role with its trust policy: each statement is a rule.
    Aws(&'a Role),
    /// Who has a permission in an allow policy, through these providers: each member is a rule.
    Google {
        /// The policy of a service account, a bucket, or whatever is shared.
        policy: &'a Policy,
        /// What they may do, such as `storage.objects.get`.
        permission: &'a str,
        /// The pools' providers.
        providers: &'a [Provider],
    },
    /// An identity with its federated credentials: together they are one rule, because each gives the same rights.
    Azure(&'a Identity),
}

/// What one rule could let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Admission {
    /// The cloud.
    pub cloud: Cloud,
    /// The rule as people find it, such as `statement 1`.
    pub rule: String,
    /// Organisations that could satisfy it.
    pub organisations: Organisations,
    /// The only subjects, if they can be listed.
    pub subjects: Option<BTreeSet<String>>,
    /// The only audiences, if they can be listed.
    pub audiences: Option<BTreeSet<String>>,
    /// The only scopes that stand in the subjects, if these can be listed.
    pub scopes: Option<BTreeSet<String>>,
}

impl Admission {
    fn new(cloud: Cloud, rule: String, organisations: Organisations, subjects: Option<BTreeSet<String>>) -> Self {
        let scope = |subject: &String| subject.split_once(';').map(|(_, scope)| scope.to_owned());
        let scopes = subjects.as_ref().and_then(|subjects| subjects.iter().map(scope).collect());
        Self { cloud, rule, organisations, subjects, audiences: None, scopes }
    }
}

/// What each rule could let in.
///
/// # Errors
/// A trust policy cannot be read.
pub fn reach(told: &[Told<'_>]) -> Result<Vec<Admission>, AwsError> {
    let mut admissions = Vec::new();
    for told in told {
        match told {
            Told::Aws(role) => admissions.extend(aws::reach(role)?.iter().map(of_statement)),
            Told::Google { policy, permission, providers } => {
                admissions.extend(google::reach(policy, permission, providers).iter().map(|member| of_member(member, providers)));
            }
            Told::Azure(identity) => admissions.push(of_identity(identity)),
        }
    }
    Ok(admissions)
}

/// Rules that two or more organisations could satisfy: what one of them may do, the other may too.
pub fn shared(admissions: &[Admission]) -> Vec<&Admission> {
    admissions.iter().filter(|admission| admission.organisations.are_several()).collect()
}

fn of_statement(reach: &aws::Reach) -> Admission {
    let owned = |values: &Values| values.listed().map(|listed| listed.into_iter().map(str::to_owned).collect());
    let rule = format!("statement {}", reach.statement + 1);
    let admission = Admission::new(Cloud::Aws, rule, reach.organisations.clone(), owned(&reach.subjects));
    Admission { audiences: owned(&reach.audiences), ..admission }
}

fn of_member(reach: &google::MemberReach, providers: &[Provider]) -> Admission {
    let provider = reach.provider.as_ref().and_then(|name| providers.iter().find(|provider| provider.name == *name));
    let audiences = provider.map(|provider| {
        let allowed: BTreeSet<String> = provider.oidc.allowed_audiences.iter().cloned().collect();
        // G-3: with none, the provider's own name is the audience.
        if allowed.is_empty() { BTreeSet::from([provider.name.audience()]) } else { allowed }
    });
    let rule = format!("{} of {}", reach.role, reach.member);
    Admission { audiences, ..Admission::new(Cloud::Google, rule, reach.organisations.clone(), None) }
}

fn of_identity(identity: &Identity) -> Admission {
    let reaches = entra::reach(identity);
    let subjects = reaches.iter().map(|reach| reach.subject.clone()).collect();
    let rule = format!("identity {}", identity.name);
    let admission = Admission::new(Cloud::Azure, rule, entra::organisations(identity), subjects);
    Admission { audiences: Some(reaches.into_iter().map(|reach| reach.audience).collect()), ..admission }
}
