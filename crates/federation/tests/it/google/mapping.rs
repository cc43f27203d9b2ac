//! Mapping and condition, G-8 to G-13 and G-16.

use serde_json::json;
use skybru_federation::google::{Mapping, MappingError};

use super::case::{Case, mapping, provider, workforce_provider};

fn compile(pairs: &[(&str, &str)]) -> Result<Mapping, MappingError> {
    let mut given = provider();
    given.attribute_mapping = mapping(pairs);
    Mapping::compile(&given)
}

#[test]
fn g_8_keys_are_googles_or_ones_own() {
    compile(&[("google.subject", "assertion.sub"), ("google.groups", "assertion.groups"), ("attribute.a_1", "assertion.a")])
        .unwrap();
    assert_eq!(compile(&[("attribute.a", "assertion.a")]), Err(MappingError::NoSubject));
    for key in
        ["google.name", "google.display_name", "attribute.A", "attribute.a-b", "attribute.", "subject", &"attribute.x".repeat(20)]
    {
        let wrong = compile(&[("google.subject", "assertion.sub"), (key, "assertion.a")]);
        assert!(matches!(wrong, Err(MappingError::Key(_))), "{key}");
    }
    let mut many: Vec<(String, &str)> = (0..51).map(|n| (format!("attribute.a{n}"), "assertion.a")).collect();
    many.push(("google.subject".to_owned(), "assertion.sub"));
    let many: Vec<(&str, &str)> = many.iter().map(|(key, expression)| (key.as_str(), *expression)).collect();
    assert_eq!(compile(&many), Err(MappingError::TooMany(51)));
    assert!(Mapping::compile(&workforce_provider()).is_ok(), "a workforce pool maps google.display_name");
}

#[test]
fn g_9_expressions_have_a_longest() {
    let long = |length: usize| format!("assertion.{}", "a".repeat(length - 10));
    compile(&[("google.subject", &long(2048))]).unwrap();
    assert_eq!(compile(&[("google.subject", &long(2049))]).unwrap_err().rule(), "G-9");
    let mut given = provider();
    given.attribute_condition = Some(format!("{} == 'x'", long(4090)));
    assert_eq!(Mapping::compile(&given).unwrap_err().rule(), "G-9");
}

#[test]
fn g_9_all_attributes_together_have_a_largest() {
    let case = Case::but(|case| {
        case.claims["long"] = "x".repeat(8200).into();
        let mapping = &mut case.provider.as_mut().unwrap().attribute_mapping;
        mapping.insert("attribute.long".to_owned(), "assertion.long".to_owned());
    });
    case.is_refused("G-9", "invalid_request", "The size of the entire mapped attributes exceeds the 8 KB limit.");
}

#[test]
fn g_10_a_mapping_sees_the_assertion_and_a_condition_the_attributes_too() {
    assert_eq!(compile(&[("google.subject", "google.subject")]).unwrap_err().rule(), "G-10");
    let with = |condition: &str| {
        let mut given = provider();
        given.attribute_condition = Some(condition.to_owned());
        Mapping::compile(&given)
    };
    with("google.subject == attribute.maskinportenscope || assertion.scope in ['a', 'b']").unwrap();
    for wrong in ["claims.scope == 'a'", "assertion.scope ==", "assertion.scope = 'a'", "'a' 'b'"] {
        assert_eq!(with(wrong).unwrap_err().rule(), "G-10", "{wrong}");
    }
}

#[test]
fn g_11_only_functions_that_are_known_exist() {
    compile(&[("google.subject", "assertion.sub.extract('{org};').lowerAscii()")]).unwrap();
    let error = compile(&[("google.subject", "assertion.sub.replace(';', '-')")]).unwrap_err();
    assert_eq!(error.rule(), "G-11");
}

#[test]
fn g_12_every_attribute_but_the_groups_is_a_text() {
    let with = |key: &str, expression: &str| {
        Case::but(|case| {
            case.claims["list"] = json!(["a", "b"]);
            case.claims["number"] = json!(7);
            case.provider.as_mut().unwrap().attribute_mapping.insert(key.to_owned(), expression.to_owned());
        })
    };
    assert_eq!(with("google.groups", "assertion.list").accepted().identity.groups, ["a", "b"]);
    for (key, expression) in [
        ("attribute.a", "assertion.list"),
        ("attribute.a", "assertion.number"),
        ("attribute.a", "assertion.absent"),
        ("google.groups", "assertion.scope"),
    ] {
        let text = format!("Could not obtain a value for {key} from the given credential.");
        with(key, expression).is_refused("G-12", "unauthorized_client", &text);
    }
    assert_eq!(with("google.subject", "assertion.number").run().unwrap_err().error.rule, "G-32");
    with("attribute.a", "string(assertion.number)").accepted();
    with("attribute.a", "has(assertion.absent) ? assertion.absent : ''").accepted();
}

#[test]
fn g_13_groups_are_counted() {
    let with = |count: usize| {
        Case::but(|case| {
            case.claims["groups"] = (0..count).map(|n| n.to_string()).collect::<Vec<_>>().into();
            let mapping = &mut case.provider.as_mut().unwrap().attribute_mapping;
            mapping.insert("google.groups".to_owned(), "assertion.groups".to_owned());
        })
    };
    with(400).accepted();
    let text = "The current count of 401 mapped attribute google.groups exceeds the 400 count limit. Either modify your attribute mapping or the incoming assertion to produce a mapped attribute that has fewer than 400 groups.";
    with(401).is_refused("G-13", "invalid_request", text);
}

/// The token of the guide to Ansattporten.
#[test]
fn g_16_ansattportens_employee_stands_for_the_organisation() {
    let claims = json!({
        "sub": "A_-1aaa", "pid": "10850199405", "name": "NEPE SKRAVLETE",
        "authorization_details": [{"type": "ansattporten:altinn:service", "reportees": [{"ID": "0192:311046349", "Name": "EKTE TOPP TIGER AS"}]}],
    });
    let provider = workforce_provider();
    let mapping = Mapping::compile(&provider).unwrap();
    let attributes = mapping.apply(&claims).unwrap();
    mapping.check_condition(&claims, &attributes).unwrap();
    let members = attributes.identity(&provider).members();
    let expected =
        "principalSet://iam.googleapis.com/locations/global/workforcePools/ansattporten/attribute.orgno/0192:311046349";
    assert!(members.iter().any(|member| member == expected), "{members:?}");
}
