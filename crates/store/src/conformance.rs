//! What every backend must do. A backend's tests call these functions with an empty store.
//!
//! They are part of the library, not of one backend's tests, so that a backend elsewhere can be held to the same.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use skybru_core::{OrgNumber, ScopeName};
use skybru_protocol::assertion::Fingerprint;
use skybru_protocol::jose::Jwk;

use crate::audit::{self, AuditQuery, AuditStore, Entry, Event, Journal};
use crate::records::{Consent, Delegation, DelegationSourceRecord, Document, OnBehalfOf, SystemUser};
use crate::registry::{AccessState, Client, ClientKey, IntegrationType, Organisation, Scope, ScopeAccess, Visibility};
use crate::{AssertionLog, Change, LiveRegistry, Record, RegistryStore};

const NOW: Timestamp = Timestamp::constant(1_700_000_000, 123_000_000);

fn org(number: &str) -> OrgNumber {
    number.parse().expect("a fixture")
}

fn organisation(number: &str, prefixes: &[&str]) -> Organisation {
    Organisation {
        number: org(number),
        name: "Prøve & søn \"AS\"".to_owned(),
        prefixes: prefixes.iter().map(|p| p.parse().expect("a fixture")).collect(),
        created: NOW,
        last_updated: NOW,
    }
}

fn scope(name: &str, owner: &str) -> Scope {
    Scope {
        name: name.parse().expect("a fixture"),
        owner_orgno: org(owner),
        description: "d".to_owned(),
        long_description: None,
        visibility: Visibility::Private,
        accessible_for_all: false,
        allowed_integration_types: vec![IntegrationType::Maskinporten],
        at_max_age: 30,
        delegation_source: None,
        more: Some(Arc::new(
            json!({"description#nn": "k", "requires_user_consent": true}).as_object().expect("a fixture").clone(),
        )),
        active: true,
        created: NOW,
        last_updated: NOW,
    }
}

fn access(state: AccessState) -> ScopeAccess {
    let scope: ScopeName = "entur:a/b.read".parse().expect("a fixture");
    ScopeAccess { scope, consumer_orgno: org("889640782"), state, created: NOW, last_updated: NOW }
}

fn client(id: &str) -> Client {
    Client {
        client_id: id.parse().expect("a fixture"),
        client_name: "n".to_owned(),
        description: "cluster:ns:app".to_owned(),
        client_orgno: org("889640782"),
        supplier_orgno: None,
        integration_type: IntegrationType::Maskinporten,
        application_type: "web".to_owned(),
        token_endpoint_auth_method: "private_key_jwt".to_owned(),
        grant_types: vec!["urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()],
        scopes: vec!["entur:a/b.read".parse().expect("a fixture")],
        access_token_lifetime: 0,
        client_uri: None,
        login: None,
        secret: None,
        active: true,
        created: NOW,
        last_updated: NOW,
    }
}

fn key(kid: &str) -> ClientKey {
    // Any odd number of 2048 bits will do: nothing is signed with it.
    let modulus = [0xC5; 256];
    ClientKey {
        kid: kid.parse().expect("a fixture"),
        jwk: Jwk::rsa(kid, "RS256", &modulus, &[1, 0, 1]),
        created: NOW,
        expires: NOW,
    }
}

/// What is committed is there after a restart, whole or not at all.
///
/// # Panics
/// When the backend does not conform.
pub async fn registry(store: Arc<dyn RegistryStore>) {
    let load = || async { store.load().await.expect("load").registry };
    assert_eq!(load().await.organisations().count(), 0, "the suite starts with an empty store");

    let fill = [
        Change::PutOrganisation(organisation("991825827", &["entur", "difi"])),
        Change::PutScope(scope("entur:a/b.read", "991825827")),
        Change::PutAccess(access(AccessState::Approved)),
        Change::PutClient(client("client-1")),
        Change::PutKeys { client: "client-1".parse().expect("a fixture"), keys: vec![key("b"), key("a")] },
    ];
    store.commit(&fill).await.expect("commit");
    let registry = load().await;
    assert_eq!(registry.organisation(org("991825827")), Some(&organisation("991825827", &["entur", "difi"])));
    assert_eq!(
        registry.scope(&access(AccessState::Approved).scope).map(AsRef::as_ref),
        Some(&scope("entur:a/b.read", "991825827"))
    );
    assert_eq!(registry.accesses().collect::<Vec<_>>(), [&access(AccessState::Approved)]);
    let known = registry.client(&client("client-1").client_id).expect("the client");
    assert_eq!(*known.client, client("client-1"));
    assert_eq!(known.keys.iter().map(|k| k.key.clone()).collect::<Vec<_>>(), [key("b"), key("a")], "in the order posted");

    let replace = [
        Change::PutOrganisation(organisation("991825827", &["entur"])),
        Change::PutAccess(access(AccessState::Denied)),
        Change::PutClient(Client { active: false, ..client("client-1") }),
        Change::PutKeys { client: "client-1".parse().expect("a fixture"), keys: vec![key("c")] },
    ];
    store.commit(&replace).await.expect("commit");
    let registry = load().await;
    assert_eq!(registry.organisation(org("991825827")).map(|o| o.prefixes.len()), Some(1));
    assert_eq!(registry.prefix_owner(&"difi".parse().expect("a fixture")), None, "a prefix that was given up is free");
    let denied = [access(AccessState::Denied)];
    assert!(registry.accesses_to(&denied[0].scope).eq(&denied) && registry.accesses_of(denied[0].consumer_orgno).eq(&denied));
    assert!(registry.clients_of(org("889640782")).map(|client| client.active).eq([false]), "an update does not list it twice");
    assert_eq!(registry.accesses().map(|a| a.state).collect::<Vec<_>>(), [AccessState::Denied]);
    let known = registry.client(&client("client-1").client_id).expect("the client");
    assert!(!known.client.active);
    assert_eq!(known.keys.iter().map(|k| k.key.kid.to_string()).collect::<Vec<_>>(), ["c"]);

    records(&*store).await;

    let half = [Change::PutClient(client("client-2")), Change::PutScope(scope("x:y", "974761076"))];
    assert!(store.commit(&half).await.is_err(), "the scope's owner is not registered");
    assert!(load().await.client(&client("client-2").client_id).is_none(), "all or nothing");

    let live = LiveRegistry::load(store.clone()).await.expect("load");
    live.change(|_| Ok::<_, ()>((vec![Change::PutClient(client("client-3"))], ()))).await.expect("change");
    assert!(live.read(|registry| registry.client(&client("client-3").client_id).is_some()));
    assert!(load().await.client(&client("client-3").client_id).is_some(), "a live change is stored");
}

/// The smaller kinds: each comes back as it went in, and the newest of one name counts.
async fn records(store: &dyn RegistryStore) {
    let (supplier, consumer) = (org("310702641"), org("889640782"));
    let scope: ScopeName = "entur:a/b.read".parse().expect("a fixture");
    let client: skybru_core::ClientId = "client-1".parse().expect("a fixture");
    let delegation = Delegation {
        consumer_orgno: consumer,
        supplier_orgno: supplier,
        scope: scope.clone(),
        active: true,
        created: NOW,
        last_updated: NOW,
    };
    let user = |id: &str, external_ref: Option<&str>| SystemUser {
        id: id.to_owned(),
        system_id: "310702641_smart".to_owned(),
        client: client.clone(),
        orgno: consumer,
        external_ref: external_ref.map(str::to_owned),
        active: true,
        created: NOW,
        last_updated: NOW,
    };
    let entry = OnBehalfOf {
        client: client.clone(),
        id: "customer-1".to_owned(),
        orgno: consumer,
        name: "Kunde".to_owned(),
        description: None,
        client_uri: Some("https://kunde.example.no".to_owned()),
        logo_uri: None,
        active: true,
        created: NOW,
        last_updated: NOW,
    };
    let consent = Consent {
        id: "1c7a".to_owned(),
        from: "urn:altinn:organization:identifier-no:889640782".to_owned(),
        to: supplier,
        consented: NOW,
        valid_to: NOW,
        rights: json!([{"action": ["consent"], "metadata": {"year": "2026"}}]),
        active: true,
        created: NOW,
        last_updated: NOW,
    };
    let source = DelegationSourceRecord {
        name: "altinn".to_owned(),
        issuer: "https://tt02.altinn.no/".to_owned(),
        created: NOW,
        last_updated: NOW,
    };
    let document = Document { id: "keys".to_owned(), body: json!({"any": ["thing", 1, null]}) };
    let changes = [
        Record::Delegation(delegation.clone()),
        Record::Delegation(Delegation { active: false, ..delegation.clone() }),
        Record::SystemUser(user("u2", Some("b"))),
        Record::SystemUser(user("u1", None)),
        Record::OnBehalfOf(entry.clone()),
        Record::Consent(consent.clone()),
        Record::Document(document.clone()),
        Record::DelegationSource(source.clone()),
    ];
    store.commit(&changes.map(Change::PutRecord)).await.expect("commit");
    let registry = store.load().await.expect("load").registry;
    let records = registry.records();
    assert_eq!(records.delegation(&scope, consumer, supplier).map(|given| given.active), Some(false));
    assert_eq!(records.system_users_of(&client, consumer).collect::<Vec<_>>(), [&user("u1", None), &user("u2", Some("b"))]);
    assert_eq!(records.system_users_of(&client, supplier).count(), 0);
    assert_eq!(records.on_behalf_of(&client, "customer-1"), Some(&entry));
    assert_eq!(records.on_behalf_of_client(&client).count(), 1);
    assert_eq!(records.consent("1c7a"), Some(&consent));
    assert_eq!(records.document("keys"), Some(&document));
    assert_eq!(records.delegation_sources().collect::<Vec<_>>(), [&source]);
}

/// Nodes on one store see each other's changes, in order, and writers that lag do not decide on what is old.
///
/// # Panics
/// When the backend does not conform.
pub async fn several_nodes(store: Arc<dyn RegistryStore>) {
    let node = || async { LiveRegistry::load(store.clone()).await.expect("load") };
    let (one, two) = (node().await, node().await);
    let put = |number: &'static str, prefix: &'static str| {
        move |registry: &crate::Registry| match registry.prefix_owner(&prefix.parse().expect("a fixture")) {
            Some(owner) if owner != org(number) => Err(owner),
            _ => Ok((vec![Change::PutOrganisation(organisation(number, &[prefix]))], ())),
        }
    };
    one.change(put("314330897", "fjord")).await.expect("the first");
    assert!(two.read(|registry| registry.organisation(org("314330897")).is_none()), "nobody has told the other node");
    let refused = two.change(put("310702641", "fjord")).await;
    assert!(matches!(refused, Err(crate::ChangeError::Refused(owner)) if owner == org("314330897")), "it decided on what is old");

    two.change(put("310702641", "kyst")).await.expect("another prefix");
    one.catch_up().await.expect("catching up");
    assert!(one.read(|registry| registry.organisation(org("310702641")).is_some()));
    assert_eq!(one.sequence(), two.sequence());

    // Many writers on both at once: every change counts once, and both end alike.
    let before = one.sequence();
    let (one, two) = (Arc::new(one), Arc::new(two));
    let writers: Vec<_> = (0..20_u32)
        .map(|n| {
            let node = Arc::clone(if n % 2 == 0 { &one } else { &two });
            tokio::spawn(async move {
                node.change(|_| Ok::<_, ()>((vec![Change::PutClient(client(&format!("many-{n}")))], ()))).await.expect("change");
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no panic");
    }
    for node in [&one, &two] {
        node.catch_up().await.expect("catching up");
        assert_eq!(node.sequence(), before + 20);
        assert_eq!(
            node.read(|registry| registry.clients().filter(|c| c.client.client_id.as_str().starts_with("many-")).count()),
            20
        );
        assert!(!node.is_stale());
    }
    let since = store.changes_after(u64::from(u32::MAX)).await.expect("an answer");
    assert!(since.is_none(), "a node that is ahead of a store put back from a copy must read anew");
}

/// An assertion is recorded once, whoever asks at the same time.
///
/// # Panics
/// When the backend does not conform.
pub async fn assertion_log(log: Arc<dyn AssertionLog>) {
    let late = i64::from(u32::MAX);
    let first = Fingerprint([1; 32]);
    assert!(log.record_once(first, late).await.expect("record"), "the first time");
    assert!(!log.record_once(first, late).await.expect("record"), "the second time");
    assert!(log.record_once(Fingerprint([2; 32]), late).await.expect("record"), "another one");

    assert!(log.is_used(first).await.expect("look"));

    log.forget(first).await.expect("forget");
    assert!(!log.is_used(first).await.expect("look"));
    assert!(log.record_once(first, late).await.expect("record"), "after it was taken back");
    log.forget(Fingerprint([9; 32])).await.expect("forgetting what is not there is fine");

    let calls: Vec<_> = (0..200_u8)
        .map(|n| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.record_once(Fingerprint([100 + n % 10; 32]), late).await.expect("record") })
        })
        .collect();
    let mut firsts = 0;
    for call in calls {
        firsts += usize::from(call.await.expect("no panic"));
    }
    assert_eq!(firsts, 10, "ten assertions, twenty callers each, one first each");
}

fn issued(n: u8) -> Entry {
    Entry {
        consumer: Some(org("310702641")),
        owners: vec![org("991825827")],
        jti: Some(format!("token-{n}")),
        ..Entry::new(NOW + jiff::SignedDuration::from_secs(n.into()), Event::TokenIssued)
    }
}

/// Entries stand in the log when the call returns, in the same commit as the use of the assertion, and the chains hold.
///
/// # Panics
/// When the backend does not conform.
pub async fn audit<S: AssertionLog + Journal + AuditStore + 'static>(store: Arc<S>) {
    let late = i64::from(u32::MAX);
    let calls: Vec<_> = (0..40_u8)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                // Each assertion twice, at once.
                store.record_and_append(Fingerprint([n / 2; 32]), late, issued(n)).await.expect("record")
            })
        })
        .collect();
    let mut firsts = 0;
    for call in calls {
        firsts += usize::from(call.await.expect("no panic"));
    }
    assert_eq!(firsts, 20);
    store.append(Entry { author: Some(org("889640782")), ..Entry::new(NOW, Event::RegistryChanged) }).await.expect("append");
    store.forget_and_append(Fingerprint([0; 32]), Entry::new(NOW, Event::TokenWithdrawn)).await.expect("forget");
    assert!(
        !store.is_used(Fingerprint([0; 32])).await.expect("look") && store.is_used(Fingerprint([1; 32])).await.expect("look")
    );

    let all = store.entries(&AuditQuery { limit: 1000, ..AuditQuery::default() }).await.expect("read");
    let count = |event: &str| all.iter().filter(|entry| entry.body.contains(event)).count();
    assert_eq!((count("token_issued"), count("token_withdrawn")), (20, 1), "a use that was not the first leaves no entry");

    // By pages, and only what concerns an organisation.
    let mut query = AuditQuery { org: Some(org("310702641")), limit: 7, ..AuditQuery::default() };
    let mut seen = Vec::new();
    loop {
        let page = store.entries(&query).await.expect("read");
        seen.extend(page.iter().map(audit::Recorded::position));
        query.after = page.last().map(audit::Recorded::position);
        if page.len() < query.limit {
            break;
        }
    }
    assert_eq!(seen.len(), 20, "the others name somebody else, or nobody");
    assert!(seen.is_sorted_by(|a, b| a < b), "in the order of time, none twice");
    let later =
        AuditQuery { since: (NOW + jiff::SignedDuration::from_secs(30)).as_millisecond(), limit: 1000, ..AuditQuery::default() };
    assert!(store.entries(&later).await.expect("read").iter().all(|entry| entry.at >= later.since));

    let verified = audit::verify(&*store, &[]).await.expect("read").expect("the chains hold");
    assert!(verified.entries >= 22);
    let kept = audit::Head { hash: audit::Hash([1; 32]), ..verified.heads[0].clone() };
    assert!(audit::verify(&*store, &[kept]).await.expect("read").is_err(), "another end was kept");
    audit::verify(&*store, &verified.heads).await.expect("read").expect("the ends that were kept are found");
}
