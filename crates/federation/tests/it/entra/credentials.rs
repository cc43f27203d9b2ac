//! What Azure stores as a federated credential: E-1, E-2, E-5, E-6, E-9.

use skybru_federation::Organisations;
use skybru_federation::azure::AzureError;
use skybru_federation::entra::{CredentialInput, FederatedCredential, IdentityKind, organisations, reach};

use super::case::{AUDIENCE, credential, identity, input};
use crate::case::{ISSUER, NOW, SUBJECT};

fn create(input: CredentialInput, existing: &[FederatedCredential]) -> Result<FederatedCredential, AzureError> {
    FederatedCredential::create(input, existing, IdentityKind::ManagedIdentity, NOW)
}

fn good() -> CredentialInput {
    input("b-reads", ISSUER, SUBJECT, AUDIENCE)
}

#[track_caller]
fn refused(input: CredentialInput, existing: &[FederatedCredential], rule: &str, message: &str) {
    let error = create(input, existing).unwrap_err();
    assert_eq!((error.rule, error.status, error.message.as_str()), (rule, 400, message));
}

#[test]
fn e_1_twenty_credentials_are_taken_and_the_twenty_first_is_not() {
    let mut existing = Vec::new();
    for number in 0..20 {
        let name = format!("consumer-{number}");
        existing.push(create(input(&name, ISSUER, &format!("0192:{number};s"), AUDIENCE), &existing).unwrap());
    }
    let error = create(good(), &existing).unwrap_err();
    assert_eq!((error.rule, error.status), ("E-1", 400));
    let again = input("consumer-3", ISSUER, "0192:new;s", AUDIENCE);
    assert!(create(again, &existing).is_ok(), "one that is there can be changed");
}

#[test]
fn e_1_issuer_and_subject_are_unique_on_one_identity() {
    let existing = [create(good(), &[]).unwrap()];
    let twin = CredentialInput { name: "another".to_owned(), audiences: vec!["other".to_owned()], ..good() };
    let text = "Issuer and subject combination already exists for this Managed Identity.";
    refused(twin, &existing, "E-9", text);
    assert!(create(good(), &existing).is_ok(), "it does not stand in its own way");
}

#[test]
fn e_2_names_and_lengths_have_limits() {
    for name in ["ab", "-abc", "_abc", "a b c", "æøå", "a.b.c", &"a".repeat(121)] {
        let text = format!("Federated Identity Credential name '{name}' is invalid.");
        refused(CredentialInput { name: name.to_owned(), ..good() }, &[], "E-9", &text);
    }
    for name in ["abc", "1_b-C", &"a".repeat(120)] {
        assert!(create(CredentialInput { name: name.to_owned(), ..good() }, &[]).is_ok(), "{name}");
    }
    let long = |length: usize| Some("x".repeat(length));
    assert!(create(CredentialInput { subject: long(600), issuer: long(600), ..good() }, &[]).is_ok());
    for wrong in [
        CredentialInput { subject: long(601), ..good() },
        CredentialInput { issuer: long(601), ..good() },
        CredentialInput { description: long(601), ..good() },
        CredentialInput { audiences: vec!["x".repeat(601)], ..good() },
    ] {
        assert_eq!(create(wrong, &[]).unwrap_err().rule, "E-2");
    }
}

#[test]
fn e_5_nothing_else_is_looked_at() {
    for issuer in ["test.sky.maskinporten.no", "http://sky.example.no", " https://sky.example.no ", "ftp://x"] {
        let made = create(CredentialInput { issuer: Some(issuer.to_owned()), ..good() }, &[]).unwrap();
        assert_eq!(made.issuer, issuer, "stored as it came");
    }
}

#[test]
fn e_6_a_managed_identity_takes_no_expression_and_an_application_does() {
    let flexible = || CredentialInput { subject: None, expression: Some("claims['sub'] matches '0192:*'".to_owned()), ..good() };
    assert_eq!(create(flexible(), &[]).unwrap_err().rule, "E-6");
    let made = FederatedCredential::create(flexible(), &[], IdentityKind::Application, NOW).unwrap();
    assert_eq!(made.subject(), None);
}

#[test]
fn e_9_the_texts_are_those_of_resource_manager() {
    let one = "Federated identity credentials must have exactly one audience.";
    refused(CredentialInput { audiences: Vec::new(), ..good() }, &[], "E-9", one);
    refused(CredentialInput { audiences: vec!["a".to_owned(), "b".to_owned()], ..good() }, &[], "E-9", one);
    let empty = "Federated Identity Credential from HTTP body has empty properties";
    refused(CredentialInput { issuer: None, ..good() }, &[], "E-9", empty);
    refused(CredentialInput { subject: Some(String::new()), ..good() }, &[], "E-9", empty);
}

/// The proof at plan time: which three values get in, and which organisations share an identity.
#[test]
fn reach_lists_who_could_ever_get_in() {
    let b = credential("b-reads", ISSUER, SUBJECT, AUDIENCE);
    let alone = identity(IdentityKind::ManagedIdentity, vec![b.clone()]);
    let only = &reach(&alone)[0];
    assert!(only.admits(ISSUER, SUBJECT, AUDIENCE));
    assert!(!only.admits(ISSUER, "0192:917422575;entur:other", AUDIENCE) && !only.admits(ISSUER, SUBJECT, "other"));
    assert_eq!(only.scope.as_deref(), Some("entur:skyporten.demo"));
    let number: skybru_core::OrgNumber = "917422575".parse().unwrap();
    assert_eq!(organisations(&alone), Organisations::Only([number].into()));

    let other = credential("c-reads", ISSUER, "0192:889640782;entur:skyporten.demo", AUDIENCE);
    let Organisations::Only(both) = organisations(&identity(IdentityKind::ManagedIdentity, vec![b.clone(), other])) else {
        panic!("both are known");
    };
    assert_eq!(both.len(), 2, "what one may do, the other may");

    let opaque = credential("odd", ISSUER, "somebody", AUDIENCE);
    assert_eq!(organisations(&identity(IdentityKind::ManagedIdentity, vec![b, opaque])), Organisations::Any);
}
