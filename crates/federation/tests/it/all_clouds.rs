//! One question over all clouds: could two organisations ever satisfy the same rule?

use std::collections::BTreeSet;

use serde_json::json;
use skybru_federation::catalogue::Cloud;
use skybru_federation::entra::{FederatedCredential, Identity, IdentityKind, Matching};
use skybru_federation::google::Provider;
use skybru_federation::google::policy::Policy;
use skybru_federation::reach::{Admission, Told, reach, shared};

use crate::case::{SUBJECT, role};

const OTHER: &str = "0192:889640782;entur:skyporten.demo";
const POOL: &str = "projects/1/locations/global/workloadIdentityPools/p";

fn identity(subjects: &[&str]) -> Identity {
    let credential = |subject: &&str| FederatedCredential {
        name: "one".to_owned(),
        issuer: "https://sky.example.no".to_owned(),
        matching: Matching::Subject((*subject).to_owned()),
        audience: "https://skyporten.example.no".to_owned(),
        description: None,
        created: 0,
    };
    Identity {
        kind: IdentityKind::ManagedIdentity,
        name: "readers".to_owned(),
        client_id: "c".to_owned(),
        principal_id: "p".to_owned(),
        credentials: subjects.iter().map(credential).collect(),
    }
}

fn provider() -> Provider {
    serde_json::from_value(json!({
        "name": format!("{POOL}/providers/q"),
        "attributeMapping": {"google.subject": "assertion.sub", "attribute.org": "assertion.consumer.ID"},
        "oidc": {"issuerUri": "https://sky.example.no", "allowedAudiences": ["https://skyporten.example.no"]},
    }))
    .unwrap()
}

fn policy(member: &str) -> Policy {
    let member = format!("principalSet://iam.googleapis.com/{POOL}/{member}");
    serde_json::from_value(json!({"bindings": [{"role": "roles/storage.objectViewer", "members": [member]}]})).unwrap()
}

fn admissions(told: Told<'_>) -> Vec<Admission> {
    reach(&[told]).unwrap()
}

#[test]
fn d_26_d_49_a_rule_for_one_organisation_is_shared_with_nobody_at_any_cloud() {
    let role = role(&json!({"StringEquals": {"sky.example.no:sub": SUBJECT}}));
    let (identity, policy, providers) = (identity(&[SUBJECT]), policy("attribute.org/0192:917422575"), [provider()]);
    let google = Told::Google { policy: &policy, permission: "storage.objects.get", providers: &providers };
    let all = reach(&[Told::Aws(&role), google, Told::Azure(&identity)]).unwrap();
    assert_eq!(all.iter().map(|one| one.cloud).collect::<Vec<_>>(), Cloud::ALL);
    assert!(shared(&all).is_empty(), "{all:#?}");
    for admission in all {
        assert!(admission.organisations.include("917422575".parse().unwrap()), "{admission:?}");
    }
}

#[test]
fn d_26_d_49_a_rule_that_two_organisations_satisfy_is_named() {
    let role = role(&json!({"StringEquals": {"sky.example.no:sub": [SUBJECT, OTHER]}}));
    assert_eq!(shared(&admissions(Told::Aws(&role)))[0].rule, "statement 1");
    let identity = identity(&[SUBJECT, OTHER]);
    assert_eq!(shared(&admissions(Told::Azure(&identity)))[0].rule, "identity readers", "each may do what the other may");
    let (policy, providers) = (policy("*"), [provider()]);
    let google = Told::Google { policy: &policy, permission: "storage.objects.get", providers: &providers };
    assert!(shared(&admissions(google))[0].rule.contains("roles/storage.objectViewer"));
}

#[test]
fn subjects_audiences_and_scopes_that_get_in_are_listed_where_they_can_be() {
    let identity = identity(&[SUBJECT]);
    let azure = admissions(Told::Azure(&identity)).remove(0);
    assert_eq!(azure.subjects, Some(BTreeSet::from([SUBJECT.to_owned()])));
    assert_eq!(azure.scopes, Some(BTreeSet::from(["entur:skyporten.demo".to_owned()])));
    let open = role(&json!({"StringLike": {"sky.example.no:sub": "0192:917422575;*"}}));
    let aws = admissions(Told::Aws(&open)).remove(0);
    assert_eq!((aws.subjects, aws.scopes), (None, None));
}
