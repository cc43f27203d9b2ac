//! Listings where there is very much: they look at what they show, not at all there is.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use skybru_core::{ClientId, OrgNumber};
use skybru_issuer::selfservice::{Caller, ClientFilter, ClientInput, DelegationFilter};
use skybru_store::records::Delegation;
use skybru_store::registry::Client;
use skybru_store::{Change, Record};

use crate::harness::{CONSUMER, PROVIDER, TestIssuer, org};
use crate::selfservice::Admin;

const MANY: u32 = 30_000;

fn took<T>(work: impl Fn() -> T) -> (T, Duration) {
    let mut best = Duration::MAX;
    let mut found = None;
    for _ in 0..3 {
        let begun = Instant::now();
        found = Some(work());
        best = best.min(begun.elapsed());
    }
    (found.unwrap(), best)
}

/// Organisation numbers in a row, as far as there are check digits.
fn organisations() -> impl Iterator<Item = OrgNumber> {
    (0_u32..).filter_map(|number| (0..10).find_map(|digit| format!("8{number:07}{digit}").parse().ok()))
}

#[tokio::test]
async fn listings_of_a_few_among_very_many_do_not_look_at_all() {
    let mut admin = Admin::with(TestIssuer::start().await, "974761076", "idporten:dcr.altinn").await;
    let platform = admin.caller();
    let mut callers = Vec::new();
    for number in [PROVIDER, CONSUMER, "310702641"] {
        admin.become_caller(number, "idporten:dcr.read").await;
        callers.push(admin.caller());
    }
    let t = &admin.t;
    let operator = Caller::operator(org("991825827"));
    let scope = t.scope("delegated", |input| input.delegation_source = Some("https://altinn.example.no/".to_owned()), &[]).await;
    let scope: skybru_core::ScopeName = scope.parse().unwrap();
    let template = t.registry.read(|registry| Client::clone(&registry.client(&t.client_id.parse().unwrap()).unwrap().client));
    let mut changes = Vec::new();
    for (number, party) in (0..MANY).zip(organisations()) {
        let client_id: ClientId = format!("client-{number}").parse().unwrap();
        changes.push(Change::PutClient(Client { client_id, client_orgno: party, ..template.clone() }));
        let now = Timestamp::UNIX_EPOCH;
        changes.push(Change::PutRecord(Record::Delegation(Delegation {
            consumer_orgno: party,
            supplier_orgno: if number % 5000 == 0 { org(CONSUMER) } else { org("974760673") },
            scope: scope.clone(),
            active: true,
            created: now,
            last_updated: now,
        })));
    }
    t.registry.change(|_| Ok::<_, ()>((changes, ()))).await.unwrap();
    for _ in 0..3 {
        let input: ClientInput = serde_json::from_value(json!({"client_name": "a", "description": "a",
            "integration_type": "maskinporten", "client_orgno": CONSUMER, "scopes": []}))
        .unwrap();
        t.service.create_altinn_client(&platform, input).await.unwrap();
    }

    let (_, scan) = took(|| t.registry.read(|registry| registry.clients().filter(|known| known.client.active).count()));
    let (listed, clients) = took(|| t.service.altinn_clients(&platform, ClientFilter { inactive: true }).unwrap());
    assert_eq!(listed.len(), 3);
    let (all, everything) = took(|| t.service.delegations(&operator, &DelegationFilter::default()).unwrap().len());
    assert_eq!(all, MANY as usize, "the operator sees all");
    let filter = |text: &str| DelegationFilter { supplier: Some(text.to_owned()), ..DelegationFilter::default() };
    let (given, delegations) = took(|| t.service.delegations(&callers[1], &filter(CONSUMER)).unwrap().len());
    assert_eq!(given, 6);
    for (what, few, many) in [("clients", clients, scan), ("delegations", delegations, everything)] {
        eprintln!("{what}: {few:?} for a few, {many:?} for all");
        assert!(few * 20 < many, "{what}: {few:?} for a few, {many:?} for all");
    }

    // Who owns the scope sees what was delegated of it, and nobody else's.
    let seen = |place: usize| t.service.delegations(&callers[place], &DelegationFilter::default()).unwrap().len();
    assert_eq!((seen(0), seen(1), seen(2)), (MANY as usize, 6, 0));
}
