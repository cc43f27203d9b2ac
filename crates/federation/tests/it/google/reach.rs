//! Whom a binding could ever let in.

use std::collections::BTreeSet;

use skybru_core::OrgNumber;
use skybru_federation::Organisations;
use skybru_federation::google::{Provider, reach};

use super::case::{mapping, policy, provider, set, workforce_provider};

const ROLE: &str = "roles/storage.objectViewer";

fn through(provider: Provider, member: &str) -> Organisations {
    let found = reach(&policy(ROLE, member), "storage.objects.get", &[provider]);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap().organisations
}

fn these(numbers: &[&str]) -> Organisations {
    Organisations::Only(numbers.iter().map(|number| number.parse::<OrgNumber>().unwrap()).collect::<BTreeSet<_>>())
}

fn conditioned(condition: &str) -> Provider {
    Provider { attribute_condition: Some(condition.to_owned()), ..provider() }
}

#[test]
fn skyportens_binding_lets_in_one_organisation() {
    let member = set("attribute.clientaccess/client::0192:917422575::entur:skyporten.demo");
    assert_eq!(through(provider(), &member), these(&["917422575"]));
    let member = set("*").replace("principalSet", "principal").replace("/*", "/subject/0192:917422575");
    assert_eq!(through(provider(), &member), these(&["917422575"]));
}

#[test]
fn an_attribute_without_the_consumer_lets_in_any() {
    assert_eq!(through(provider(), &set("attribute.maskinportenscope/entur:skyporten.demo")), Organisations::Any);
    assert_eq!(through(provider(), &set("*")), Organisations::Any);
}

#[test]
fn what_can_never_be_lets_in_nobody() {
    for member in [
        set("attribute.clientaccess/0192:917422575::entur:skyporten.demo"),
        set("attribute.clientaccess/client::0192:917422576::entur:skyporten.demo"),
        set("attribute.absent/x"),
        set("group/x"),
        set("subject/0192:917422575"),
        set("attribute.clientaccess/client::0192:917422575::x").replace("skyporten/", "other-pool/"),
    ] {
        assert_eq!(through(provider(), &member), these(&[]), "{member}");
    }
}

#[test]
fn a_condition_narrows() {
    let pool = set("*");
    for (condition, expected) in [
        ("assertion.consumer.ID == '0192:917422575'", these(&["917422575"])),
        ("'0192:917422575' == google.subject && assertion.scope == 'a:b'", these(&["917422575"])),
        ("assertion.consumer.ID in ['0192:917422575', '0192:991825827']", these(&["917422575", "991825827"])),
        (
            "assertion.consumer.ID == '0192:917422575' || assertion.consumer.ID == '0192:991825827'",
            these(&["917422575", "991825827"]),
        ),
        ("assertion.sub == '0192:917422575;entur:skyporten.demo'", these(&["917422575"])),
        ("assertion.sub.startsWith('0192:917422575;')", these(&["917422575"])),
        ("attribute.clientaccess.startsWith('client::0192:917422575::')", these(&["917422575"])),
        ("assertion.sub.startsWith('0192:91742')", Organisations::Any),
        ("assertion.scope == 'entur:skyporten.demo'", Organisations::Any),
        ("assertion.consumer.ID != '0192:917422575'", Organisations::Any),
        ("assertion.consumer.ID == '0192:917422575' || assertion.scope == 'a:b'", Organisations::Any),
        ("assertion.consumer.ID == 'nobody'", these(&[])),
    ] {
        assert_eq!(through(conditioned(condition), &pool), expected, "{condition}");
    }
}

#[test]
fn ansattportens_attribute_is_an_organisation_and_its_subject_is_not() {
    let pool = "principalSet://iam.googleapis.com/locations/global/workforcePools/ansattporten";
    let open = Provider { attribute_condition: None, ..workforce_provider() };
    assert_eq!(through(open.clone(), &format!("{pool}/attribute.orgno/0192:311046349")), these(&["311046349"]));
    assert_eq!(through(open, &format!("{pool}/*")), Organisations::Any);
    assert_eq!(through(workforce_provider(), &format!("{pool}/*")), these(&["311046349"]));
}

#[test]
fn every_way_to_read_a_value_counts() {
    let mut given = provider();
    given.attribute_mapping = mapping(&[("google.subject", "assertion.client_id + assertion.consumer.ID + assertion.scope")]);
    let member = set("*").replace("principalSet", "principal").replace("/*", "/subject/0192:9174225750192:991825827");
    assert_eq!(through(given, &member), these(&["917422575", "991825827"]));
}

#[test]
fn the_internet_is_everybody_and_a_service_account_is_not_listed() {
    let found = reach(&policy(ROLE, "allUsers"), "storage.objects.get", &[]);
    assert_eq!((found.len(), found[0].organisations.are_several()), (1, true));
    assert!(reach(&policy(ROLE, "serviceAccount:a@b.iam.gserviceaccount.com"), "storage.objects.get", &[]).is_empty());
    assert!(reach(&policy(ROLE, "allUsers"), "storage.objects.delete", &[]).is_empty());
}
