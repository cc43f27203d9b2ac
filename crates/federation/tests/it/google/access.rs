//! Principals, policies and datasets: G-14, G-53, G-69.

use skybru_federation::google::access::{DatasetEntry, dataset_allows, scopes_allow};
use skybru_federation::google::policy::{Access, BindingCondition};
use skybru_federation::google::{Caller, PoolMember};

use super::case::{ACCOUNT, Case, NOW, POOL, policy, set};

const READ: Access<'static> = Access {
    permission: "storage.objects.get",
    resource: "projects/_/buckets/b/objects/timetables/a.txt",
    kind: "storage.googleapis.com/Object",
    now: NOW,
};

fn consumer() -> Caller {
    Caller::Federated(Case::good().accepted().identity)
}

fn allows(member: &str) -> bool {
    policy("roles/storage.objectViewer", member).allows(&consumer(), READ)
}

#[test]
fn g_14_a_principal_is_a_subject_and_a_set_is_an_attribute_a_group_or_the_pool() {
    assert!(allows(&format!("principal://iam.googleapis.com/{POOL}/subject/0192:917422575")));
    assert!(allows(&set("attribute.clientaccess/client::0192:917422575::entur:skyporten.demo")));
    assert!(allows(&set("attribute.maskinportenscope/entur:skyporten.demo")));
    assert!(allows(&set("*")));
    assert!(allows("allUsers"));
}

#[test]
fn g_14_anything_else_is_somebody_else() {
    let other_pool = set("*").replace("skyporten", "other-pool");
    for other in [
        set("subject/0192:917422575"),
        format!("principal://iam.googleapis.com/{POOL}/attribute.maskinportenscope/entur:skyporten.demo"),
        set("attribute.clientaccess/client::0192:991825827::entur:skyporten.demo"),
        set("attribute.clientaccess/CLIENT::0192:917422575::entur:skyporten.demo"),
        set("attribute.clientaccess/*"),
        set("group/x"),
        set("*").replace("100000000001", "100000000002"),
        other_pool,
        "allAuthenticatedUsers".to_owned(),
        format!("serviceAccount:{ACCOUNT}"),
    ] {
        assert!(!allows(&other), "{other}");
    }
}

#[test]
fn d_47_the_wrong_kind_is_refused_when_a_policy_is_set() {
    let check = |member: &str| policy("roles/storage.objectViewer", member).check();
    check(&set("attribute.a/b")).unwrap();
    check("user:a@example.no").unwrap();
    for wrong in
        [set("subject/x"), format!("principal://iam.googleapis.com/{POOL}/*"), "everybody".to_owned(), "user:".to_owned()]
    {
        assert_eq!(check(&wrong).unwrap_err().message, format!("Invalid member: {wrong}"));
    }
    let parsed = PoolMember::parse(&set("subject/x")).unwrap();
    assert_eq!(parsed.well_kinded().to_string(), format!("principal://iam.googleapis.com/{POOL}/subject/x"));
}

#[test]
fn a_role_holds_what_it_holds() {
    let holds = |role: &str| policy(role, &set("*")).allows(&consumer(), READ);
    assert!(holds("roles/storage.objectUser") && holds("roles/storage.admin") && holds("roles/owner"));
    for other in [
        "roles/storage.objectCreator",
        "roles/storage.legacyBucketReader",
        "roles/viewer",
        "roles/bigquery.admin",
        "roles/unknown",
    ] {
        assert!(!holds(other), "{other}");
    }
}

#[test]
fn a_condition_can_end_access_and_bound_it_to_a_prefix() {
    let with = |expression: &str| {
        let mut given = policy("roles/storage.objectViewer", &set("*"));
        given.version = 3;
        given.bindings[0].condition = Some(BindingCondition { expression: expression.to_owned(), ..BindingCondition::default() });
        given
    };
    let holds = |expression: &str| with(expression).allows(&consumer(), READ);
    assert!(holds("request.time < timestamp('2027-06-30T00:00:00Z')"));
    assert!(!holds("request.time < timestamp('2025-01-01T00:00:00Z')"));
    assert!(holds("resource.name.startsWith('projects/_/buckets/b/objects/timetables/')"));
    assert!(!holds("resource.name.startsWith('projects/_/buckets/b/objects/other/')"));
    assert!(holds("resource.type == 'storage.googleapis.com/Object' && resource.service == 'storage.googleapis.com'"));
    assert!(!holds("resource.absent == 'x'"), "what cannot be evaluated does not hold");
    let mut old = with("true");
    old.version = 1;
    assert!(old.check().is_err(), "a condition needs version 3");
    assert!(with("resource.name ==").check().is_err());
}

#[test]
fn tokens_are_good_for_their_scopes() {
    let with = |scope: &str, permission: &str| scopes_allow(&[format!("https://www.googleapis.com/auth/{scope}")], permission);
    assert!(with("cloud-platform", "storage.objects.create") && with("devstorage.read_only", "storage.objects.get"));
    assert!(with("bigquery", "bigquery.tables.getData") && with("devstorage.read_write", "storage.objects.delete"));
    assert!(!with("devstorage.read_only", "storage.objects.create") && !with("iam", "storage.objects.get"));
    assert!(!with("devstorage.full_control", "bigquery.tables.getData"));
}

#[test]
fn g_69_a_datasets_list_names_members() {
    let entry = |role: &str, member: String| DatasetEntry {
        role: Some(role.to_owned()),
        iam_member: Some(member),
        ..DatasetEntry::default()
    };
    let caller = consumer();
    let reads = |entry: DatasetEntry| dataset_allows(&[entry], &caller, &[], "bigquery.tables.getData");
    assert!(reads(entry("READER", set("attribute.maskinportenscope/entur:skyporten.demo"))));
    assert!(reads(entry("roles/bigquery.dataViewer", format!("principal://iam.googleapis.com/{POOL}/subject/0192:917422575"))));
    assert!(!reads(entry("READER", set("attribute.maskinportenscope/entur:other"))));
    assert!(!reads(entry("roles/bigquery.user", set("*"))), "a user may run jobs, not read data");
    let owners = DatasetEntry {
        role: Some("OWNER".to_owned()),
        special_group: Some("projectOwners".to_owned()),
        ..DatasetEntry::default()
    };
    assert!(dataset_allows(std::slice::from_ref(&owners), &caller, &["roles/owner"], "bigquery.datasets.update"));
    assert!(!dataset_allows(&[owners], &caller, &["roles/viewer"], "bigquery.datasets.update"));
}
