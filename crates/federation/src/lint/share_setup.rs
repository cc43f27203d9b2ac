//! What a share would create at each cloud, and whom that lets in: the proof before anything is there.
//!
//! The same rules decide on it as on what a cloud really has: a role with its trust policy, a provider with Skyporten's mapping and
//! one binding a consumer (G-14, G-15), an identity with one credential a consumer (E-2, E-3).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use skybru_core::OrgNumber;

use super::share::SharedResource;
use crate::aws::{Role, RoleInput};
use crate::catalogue::Cloud;
use crate::entra::{CredentialInput, FederatedCredential, Identity, IdentityKind};
use crate::finding::{Finding, Severity, Who};
use crate::google::policy::{Binding, Policy};
use crate::google::{Oidc, Provider, State};
use crate::organisations::Organisations;
use crate::reach::{Admission, Told, reach};

/// The account that stands for one that is not known before it is asked.
const SOME_ACCOUNT: &str = "000000000000";
/// Pool and provider, by names that nobody has.
const SOME_PROVIDER: &str = "projects/0/locations/global/workloadIdentityPools/skyporten/providers/skyporten";

/// What would be created. A part that a cloud would not take is a finding.
#[derive(Debug, Default)]
pub struct SharedSetup {
    role: Option<Role>,
    providers: Vec<Provider>,
    policy: Option<Policy>,
    identity: Option<Identity>,
}

impl SharedSetup {
    /// The set-ups for the share's clouds.
    pub fn of(share: &SharedResource<'_>, findings: &mut Vec<Finding>) -> Self {
        let mut setup = Self::default();
        for cloud in &share.clouds {
            match cloud {
                Cloud::Aws => setup.role = role(share, findings),
                Cloud::Google => (setup.providers, setup.policy) = google(share),
                Cloud::Azure => setup.identity = Some(identity(share, findings)),
            }
        }
        setup
    }

    /// Whom it could ever let in.
    pub fn admissions(&self) -> Vec<Admission> {
        let google = self.policy.as_ref().map(|policy| Told::Google {
            policy,
            permission: "storage.objects.get",
            providers: &self.providers,
        });
        let told: Vec<Told<'_>> =
            [self.role.as_ref().map(Told::Aws), google, self.identity.as_ref().map(Told::Azure)].into_iter().flatten().collect();
        // The policies were just written here, and can be read.
        reach(&told).unwrap_or_default()
    }
}

/// D-25, D-26, D-47, D-49, D-61: whom a cloud lets in beside whom the share names.
///
/// `admissions` are rules of the clouds about tokens of the share's issuer. `is_live` tells that they are what is there, not what would be.
pub fn lint_admissions(share: &SharedResource<'_>, admissions: &[Admission], is_live: bool) -> Vec<Finding> {
    let number = |org: &str| org.strip_prefix("0192:").unwrap_or(org).parse::<OrgNumber>().ok();
    let wanted: BTreeSet<OrgNumber> = share.consumers.iter().filter_map(|(org, _)| number(org)).collect();
    let mut findings = Vec::new();
    for cloud in &share.clouds {
        let here: Vec<&Admission> = admissions.iter().filter(|admission| admission.cloud == *cloud).collect();
        for admission in &here {
            let others = match &admission.organisations {
                Organisations::Any => Some("any organisation".to_owned()),
                Organisations::Only(let_in) => {
                    let others: Vec<String> = let_in.difference(&wanted).map(|number| format!("0192:{number}")).collect();
                    (!others.is_empty()).then(|| others.join(", "))
                }
            };
            if let Some(others) = others {
                let what = format!("{} can let in {others}, whom the share does not name", admission.rule);
                let fix = "take them out, or add them to the share's consumers";
                findings.push(Finding::new(too_wide(*cloud), Who::Provider, what, fix));
            }
        }
        for number in &wanted {
            if here.iter().any(|admission| admission.organisations.include(*number)) {
                continue;
            }
            let what = format!("nothing at {} lets in 0192:{number}", cloud.name());
            let fix = if is_live { "apply the share" } else { "see what would not be taken" };
            findings.push(Finding::new(too_narrow(*cloud), Who::Provider, what, fix).severity(Severity::Warning));
        }
    }
    findings
}

fn too_wide(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Aws => "D-26",
        Cloud::Google => "D-49",
        Cloud::Azure => "D-61",
    }
}

fn too_narrow(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Aws => "D-25",
        Cloud::Google => "D-47",
        Cloud::Azure => "D-61",
    }
}

fn role(share: &SharedResource<'_>, findings: &mut Vec<Finding>) -> Option<Role> {
    let host = share.issuer.trim_start_matches("https://");
    let mut condition = json!({format!("{host}:sub"): share.subjects()});
    if let Some(audience) = share.audience {
        condition[format!("{host}:aud")] = audience.into();
    }
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": format!("arn:aws:iam::{SOME_ACCOUNT}:oidc-provider/{host}")},
        "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": condition},
    }]});
    let input = RoleInput { name: "share".to_owned(), trust_policy: policy.to_string(), ..RoleInput::default() };
    match Role::create(SOME_ACCOUNT, String::new(), input, 0, |_| true) {
        Ok(role) => Some(role),
        Err(error) => {
            // a trust policy holds some thirty consumers.
            let what = format!("AWS would not take the role's trust policy: {error} ({})", error.rule);
            findings.push(Finding::new("D-27", Who::Provider, what, "share with fewer organisations a role"));
            None
        }
    }
}

/// G-15: Skyporten's mapping, and one binding a consumer.
fn google(share: &SharedResource<'_>) -> (Vec<Provider>, Option<Policy>) {
    let Ok(name) = SOME_PROVIDER.parse() else { return (Vec::new(), None) };
    let mapping = [
        ("google.subject", "assertion.consumer.ID"),
        ("attribute.maskinportenscope", "assertion.scope"),
        ("attribute.clientaccess", "\"client::\" + assertion.consumer.ID + \"::\" + assertion.scope"),
    ];
    let allowed_audiences = share.audience.iter().map(|audience| (*audience).to_owned()).collect();
    let provider = Provider {
        name,
        display_name: None,
        description: None,
        state: State::Active,
        disabled: false,
        attribute_mapping: mapping
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        attribute_condition: None,
        oidc: Oidc { issuer_uri: share.issuer.to_owned(), allowed_audiences, ..Oidc::default() },
        expire_time: None,
    };
    let pool = provider.name.pool.to_string();
    let member = |org: &str| {
        let org = org.strip_prefix("0192:").unwrap_or(org);
        format!("principalSet://iam.googleapis.com/{pool}/attribute.clientaccess/client::0192:{org}::{}", share.scope)
    };
    let members = share.consumers.iter().map(|(org, _)| member(org)).collect();
    let binding = Binding { role: "roles/storage.objectViewer".to_owned(), members, condition: None };
    (vec![provider], Some(Policy { version: 1, bindings: vec![binding], etag: None }))
}

fn identity(share: &SharedResource<'_>, findings: &mut Vec<Finding>) -> Identity {
    let mut identity = Identity {
        kind: IdentityKind::ManagedIdentity,
        name: "share".to_owned(),
        client_id: String::new(),
        principal_id: String::new(),
        credentials: Vec::new(),
    };
    for (place, subject) in share.subjects().into_iter().enumerate() {
        let input = CredentialInput {
            name: format!("consumer-{place}"),
            issuer: Some(share.issuer.to_owned()),
            subject: Some(subject),
            audiences: share.audience.iter().map(|audience| (*audience).to_owned()).collect(),
            ..CredentialInput::default()
        };
        match FederatedCredential::create(input, &identity.credentials, identity.kind, 0) {
            Ok(credential) => identity.credentials.push(credential),
            Err(error) => {
                let (what, fix) =
                    (format!("Azure would not store the credential: {}", error.message), "mend the share as the text says");
                // One consumer too many is D-67, which the share's own lint names.
                if error.rule != "E-1" {
                    findings.push(Finding::new(if error.rule == "E-2" { "D-14" } else { "D-62" }, Who::Provider, what, fix));
                }
                break;
            }
        }
    }
    identity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share<'a>(orgs: &[&'a str]) -> SharedResource<'a> {
        SharedResource {
            issuer: "https://sky.example.no",
            scope: "entur:skyporten.demo",
            audience: Some("https://skyporten.example.no"),
            consumers: orgs.iter().map(|org| (*org, None)).collect(),
            clouds: vec![Cloud::Aws, Cloud::Google, Cloud::Azure],
        }
    }

    #[test]
    fn what_a_share_would_create_lets_in_its_consumers_and_nobody_else() {
        let (share, mut findings) = (share(&["0192:917422575", "889640782"]), Vec::new());
        let admissions = SharedSetup::of(&share, &mut findings).admissions();
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(lint_admissions(&share, &admissions, false), []);
        for cloud in &share.clouds {
            assert!(admissions.iter().any(|admission| admission.cloud == *cloud), "{cloud:?}");
        }
    }

    /// D-26, D-49, D-61 and D-25.
    #[test]
    fn rules_that_are_wider_or_narrower_than_the_share_are_named() {
        let (wide, mut findings) = (share(&["0192:917422575", "0192:889640782"]), Vec::new());
        let admissions = SharedSetup::of(&wide, &mut findings).admissions();
        let rules = |found: &[Finding]| found.iter().map(|finding| finding.rule).collect::<Vec<_>>();
        assert_eq!(rules(&lint_admissions(&share(&["0192:917422575"]), &admissions, true)), ["D-26", "D-49", "D-61"]);
        let more = share(&["0192:917422575", "0192:889640782", "0192:310702641"]);
        let narrow = lint_admissions(&more, &admissions, true);
        assert_eq!(rules(&narrow), ["D-25", "D-47", "D-61"]);
        assert_eq!(narrow[0].what, "nothing at AWS lets in 0192:310702641");
    }
}
