//! Clients that prove themselves with a business certificate.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use rcgen::{CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, KeyUsagePurpose};
use serde_json::{Value, json};
use skybru_issuer::Compat;
use skybru_issuer::certificates::{Anchor, Certificates, Revocation};
use skybru_issuer::selfservice::{Caller, KeySetInput, ScopeInput};
use skybru_protocol::certificate::ClientAmr;
use x509_ocsp::CertStatus;

use crate::harness::{Answer, CONSUMER, MASKINPORTEN, NOW, SCOPE, TestIssuer, org};
use crate::pki::{Authority, BELOW, ROOT_CRL_URL, ROOT_OCSP_URL, Seal, Web, revoked};

/// An issuer that trusts one root, knows one intermediate, and has a client of the consumer's without keys.
struct Trusting {
    t: TestIssuer,
    client: String,
    root: Authority,
    between: Arc<Authority>,
    web: Arc<Web>,
}

impl Trusting {
    async fn start(revocation: Revocation, amr: Option<ClientAmr>) -> Self {
        let root = Authority::root("Test Root");
        let between = Arc::new(root.below("Test CA"));
        Self::between(revocation, amr, root, between).await
    }

    /// With another authority between than the usual one, whose revocation a list of the root tells.
    async fn between(revocation: Revocation, amr: Option<ClientAmr>, root: Authority, between: Arc<Authority>) -> Self {
        let web = Web::silent();
        *web.root_list.lock().unwrap() = Some(root.list(&[]));
        let anchor = Anchor { certificate: root.der.clone(), client_amr: amr };
        let trust = Certificates::new(&[anchor], std::slice::from_ref(&between.der), revocation, 600, web.clone()).unwrap();
        let trust = Arc::new(trust);
        let compat = Compat { european_seals: true, ..Compat::default() };
        let t = TestIssuer::adapted(|issuer| issuer.with_certificates(trust.clone()).with_compat(compat)).await;
        let client = t.register_without_key(CONSUMER, &[SCOPE]).await;
        Self { t, client, root, between, web }
    }

    async fn present(&self, x5c: Value) -> Answer {
        self.present_as(&self.client, x5c).await
    }

    async fn present_as(&self, client: &str, x5c: Value) -> Answer {
        let claims = json!({"iss": client, "aud": [MASKINPORTEN], "scope": SCOPE, "iat": NOW, "exp": NOW + 120});
        let header = json!({"alg": "RS256", "typ": "JWT", "x5c": x5c});
        self.t.present(&self.t.maskinporten, &self.t.key.sign_with_header(&header, &claims).unwrap()).await
    }

    /// Presents a certificate alone; each time with another one in force.
    async fn seal(&self, seal: &Seal) -> Answer {
        self.present(json!([STANDARD.encode(self.between.issue(seal))])).await
    }
}

#[tokio::test]
async fn a_leaf_alone_a_chain_and_a_chain_with_its_root_are_taken() {
    for length in 1..=3 {
        let trusting = Trusting::start(Revocation::Off, None).await;
        let chain = [trusting.between.issue(&Seal::old(CONSUMER)), trusting.between.der.clone(), trusting.root.der.clone()];
        let x5c: Vec<String> = chain.iter().take(length).map(|der| STANDARD.encode(der)).collect();
        let token = trusting.t.open(&trusting.present(json!(x5c)).await);
        assert_eq!((&token["client_amr"], &token["consumer"]["ID"]), (&json!("virksomhetssertifikat"), &json!("0192:889640782")));
    }
}

#[tokio::test]
async fn client_amr_tells_the_kind_of_certificate() {
    let modern = Seal::modern("NTRNO-889640782");
    let kinds = [
        (Seal::old(CONSUMER), "virksomhetssertifikat"),
        (modern.clone(), "CForESeal"),
        (Seal { serial: Some("UN:NO-9578"), ..modern.clone() }, "CForESeal"),
        // NCP+, which is what is sold as an ordinary business certificate.
        (Seal { policy: Some(&[0x04, 0x00, 0x8F, 0x7A, 0x01, 0x02]), ..modern.clone() }, "CForESeal"),
        (Seal { qualified_statements: true, ..modern.clone() }, "QCForESeal"),
        // QCP-l-qscd: 0.4.0.194112.1.3.
        (Seal { policy: Some(&[0x04, 0x00, 0x8B, 0xEC, 0x40, 0x01, 0x03]), ..modern }, "QCForESeal"),
    ];
    for (seal, amr) in kinds {
        let trusting = Trusting::start(Revocation::Off, None).await;
        assert_eq!(trusting.t.open(&trusting.seal(&seal).await)["client_amr"], amr);
    }
    let told = Trusting::start(Revocation::Off, Some(ClientAmr::QcForESeal)).await;
    assert_eq!(told.t.open(&told.seal(&Seal::old(CONSUMER)).await)["client_amr"], "QCForESeal", "the anchor's settings win");
}

#[tokio::test]
async fn certificates_that_must_not_count_are_mp_120() {
    let trusting = Trusting::start(Revocation::Off, None).await;
    let good = Seal::old(CONSUMER);
    for (what, seal) in [
        ("expired", Seal { years: (2019, 2022), ..good.clone() }),
        ("not yet valid", Seal { years: (2024, 2027), ..good.clone() }),
        ("an authority's", Seal { is_ca: true, ..good.clone() }),
        ("for encryption only", Seal { usages: vec![KeyUsagePurpose::KeyEncipherment], ..good.clone() }),
        ("without usage", Seal { usages: vec![], ..good.clone() }),
        ("an elliptic key's", Seal { elliptic: true, ..good.clone() }),
        ("without number", Seal { serial: None, ..good.clone() }),
        ("with a wrong check digit", Seal { serial: Some("123456789"), ..good.clone() }),
        ("of two organisations", Seal { identifier: Some("NTRNO-991825827"), ..good.clone() }),
    ] {
        let answer = trusting.seal(&seal).await;
        assert_eq!(answer.refusal().1, "MP-120", "{what}: {answer:?}");
    }
    let production = Authority::root("Production Root");
    let foreign = trusting.present(json!([STANDARD.encode(production.issue(&good))])).await;
    let text = "Invalid assertion. Client authentication failed. The JWT is signed with an invalid certificate.";
    assert_eq!(foreign.refusal(), (400, "MP-120", text.to_owned()), "another environment's");
    assert_eq!(trusting.seal(&good).await.0, 200, "the same without the fault");
}

#[tokio::test]
async fn a_certificate_of_another_organisation_is_mp_122() {
    let trusting = Trusting::start(Revocation::Off, None).await;
    let answer = trusting.seal(&Seal::old("991825827")).await;
    let text = "Invalid assertion. Client authentication failed. Invalid JWT. Invalid organization number for client. Does not match certificate orgno.";
    assert_eq!(answer.refusal(), (400, "MP-122", text.to_owned()));
}

#[tokio::test]
async fn a_header_that_is_no_list_of_certificates_is_mp_123() {
    let trusting = Trusting::start(Revocation::Off, None).await;
    let leaf = STANDARD.encode(trusting.between.issue(&Seal::old(CONSUMER)));
    for wrong in [json!(leaf), json!([]), json!([leaf, 1]), json!(["not base64!"]), json!(["MIIB"]), json!([leaf, "AAAA"])] {
        assert_eq!(trusting.present(wrong.clone()).await.refusal().1, "MP-123", "{wrong}");
    }
}

#[tokio::test]
async fn the_signature_must_be_that_of_the_first_certificate() {
    let trusting = Trusting::start(Revocation::Off, None).await;
    let leaf = STANDARD.encode(trusting.between.issue(&Seal { elliptic: false, ..Seal::old(CONSUMER) }));
    let claims = json!({"iss": trusting.client, "aud": MASKINPORTEN, "scope": SCOPE, "iat": NOW, "exp": NOW + 120});
    let header = json!({"alg": "RS256", "x5c": [leaf]});
    let signed = trusting.t.key.sign_with_header(&header, &claims).unwrap();
    let (input, _) = signed.rsplit_once('.').unwrap();
    let answer = trusting.t.present(&trusting.t.maskinporten, &format!("{input}.{}", "A".repeat(342))).await;
    assert_eq!(answer.refusal().1, "MP-124");
}

#[tokio::test]
async fn without_a_trusted_authority_no_certificate_counts() {
    let t = TestIssuer::start().await;
    let client = t.register_without_key(CONSUMER, &[SCOPE]).await;
    let leaf = STANDARD.encode(Authority::root("r").issue(&Seal::old(CONSUMER)));
    let claims = json!({"iss": client, "aud": MASKINPORTEN, "scope": SCOPE, "iat": NOW, "exp": NOW + 60});
    let assertion = t.key.sign_with_header(&json!({"alg": "RS256", "x5c": [leaf]}), &claims).unwrap();
    assert_eq!(t.present(&t.maskinporten, &assertion).await.refusal().1, "MP-120");
    let bare = t.key.sign_with_header(&json!({"alg": "RS256"}), &claims).unwrap();
    assert_eq!(t.present(&t.maskinporten, &bare).await.refusal().1, "MP-120", "neither key nor certificate");
}

fn revocable() -> Seal {
    Seal { revocation: true, ..Seal::old(CONSUMER) }
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_by_ocsp_and_the_answer_is_remembered() {
    let trusting = Trusting::start(Revocation::Required, None).await;
    let authority = trusting.between.clone();
    trusting.web.answer_ocsp(move |question| Some(authority.ocsp(question, CertStatus::good(), false)));
    let x5c = json!([STANDARD.encode(trusting.between.issue(&revocable()))]);
    assert_eq!(trusting.present(x5c.clone()).await.0, 200);
    assert_eq!(trusting.web.asked(), 1);

    let authority = trusting.between.clone();
    trusting.web.answer_ocsp(move |question| Some(authority.ocsp(question, revoked(), false)));
    assert_eq!(trusting.present(x5c.clone()).await.refusal().1, "MP-012", "still believed: only the replay is refused");
    assert_eq!(trusting.web.asked(), 0, "nobody was asked again");
    trusting.t.clock.advance(SignedDuration::from_secs(601));
    let claims = json!({"iss": trusting.client, "aud": MASKINPORTEN, "scope": SCOPE, "iat": NOW + 601, "exp": NOW + 700});
    let assertion = trusting.t.key.sign_with_header(&json!({"alg": "RS256", "x5c": x5c}), &claims).unwrap();
    assert_eq!(trusting.t.present(&trusting.t.maskinporten, &assertion).await.refusal().1, "MP-120", "revoked by now");
}

#[tokio::test]
async fn a_certified_responder_may_answer_and_a_stranger_may_not() {
    let trusting = Trusting::start(Revocation::Required, None).await;
    let responder = trusting.between.responder();
    trusting.web.answer_ocsp(move |question| Some(responder.ocsp(question, CertStatus::good(), true)));
    assert_eq!(trusting.seal(&revocable()).await.0, 200);

    for stranger in [Authority::root("Test CA").responder(), Authority::root("x")] {
        let trusting = Trusting::start(Revocation::Required, None).await;
        trusting.web.answer_ocsp(move |question| Some(stranger.ocsp(question, CertStatus::good(), true)));
        assert_eq!(trusting.seal(&revocable()).await.refusal().1, "MP-120");
    }
}

#[tokio::test]
async fn a_list_answers_when_ocsp_does_not() {
    let trusting = Trusting::start(Revocation::Required, None).await;
    *trusting.web.list.lock().unwrap() = Some(trusting.between.list(&[]));
    assert_eq!(trusting.seal(&revocable()).await.0, 200);
    assert_eq!(trusting.web.asked(), 2, "OCSP, then the list");

    let trusting = Trusting::start(Revocation::Required, None).await;
    *trusting.web.list.lock().unwrap() = Some(trusting.between.list(&[&[0x4A, 0x01, 0x02]]));
    assert_eq!(trusting.seal(&revocable()).await.refusal().1, "MP-120", "it is on the list");

    let trusting = Trusting::start(Revocation::Required, None).await;
    *trusting.web.list.lock().unwrap() = Some(Authority::root("Test CA").list(&[]));
    assert_eq!(trusting.seal(&revocable()).await.refusal().1, "MP-120", "signed by somebody of the same name");
}

#[tokio::test]
async fn when_nobody_can_tell_the_settings_decide_and_the_default_is_no() {
    assert_eq!(Revocation::default(), Revocation::Required);
    let strict = Trusting::start(Revocation::Required, None).await;
    assert_eq!(strict.seal(&revocable()).await.refusal().1, "MP-120");
    assert_eq!(strict.seal(&Seal::old(CONSUMER)).await.refusal().1, "MP-120", "it names nobody who could tell");
    let lenient = Trusting::start(Revocation::IfAvailable, None).await;
    assert_eq!(lenient.seal(&revocable()).await.0, 200);
    let asked = lenient.web.asked();
    let unknown = lenient.between.clone();
    lenient.web.answer_ocsp(move |question| Some(unknown.ocsp(question, CertStatus::unknown(), false)));
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn many_requests_at_once_ask_about_a_certificate_once() {
    let trusting = Trusting::start(Revocation::Required, None).await;
    let authority = trusting.between.clone();
    trusting.web.answer_ocsp(move |question| Some(authority.ocsp(question, CertStatus::good(), false)));
    trusting.web.slow();
    let x5c = json!([STANDARD.encode(trusting.between.issue(&revocable()))]);
    let assertions: Vec<String> = (0..20)
        .map(|number| {
            let claims = json!({"iss": trusting.client, "aud": MASKINPORTEN, "scope": SCOPE, "iat": NOW, "exp": NOW + 60, "jti": number.to_string()});
            trusting.t.key.sign_with_header(&json!({"alg": "RS256", "x5c": x5c}), &claims).unwrap()
        })
        .collect();
    let answers = assertions.iter().map(|assertion| trusting.t.present(&trusting.t.maskinporten, assertion));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.0, 200, "{answer:?}");
    }
    assert_eq!(trusting.web.asked(), 1);
}

#[tokio::test]
async fn only_who_holds_the_key_makes_us_ask_others() {
    let trusting = Trusting::start(Revocation::Required, None).await;
    let leaf = STANDARD.encode(trusting.between.issue(&revocable()));
    let claims = json!({"iss": trusting.client, "aud": MASKINPORTEN, "scope": SCOPE, "iat": NOW, "exp": NOW + 120});
    let signed = trusting.t.key.sign_with_header(&json!({"alg": "RS256", "x5c": [leaf]}), &claims).unwrap();
    let (input, _) = signed.rsplit_once('.').unwrap();
    trusting.t.present(&trusting.t.maskinporten, &format!("{input}.AAAA")).await;
    assert_eq!(trusting.web.asked(), 0);
}

#[tokio::test]
async fn a_key_locked_to_a_certificate_counts_as_long_as_the_certificate() {
    let trusting = Trusting::start(Revocation::Off, None).await;
    let caller = Caller::operator(org(CONSUMER));
    let mut locked = trusting.t.key.public_jwk();
    locked.other.insert("x5c".to_owned(), json!([STANDARD.encode(trusting.between.issue(&Seal::old(CONSUMER)))]));
    trusting.t.service.put_keys(&caller, &trusting.client, KeySetInput { keys: vec![locked.clone()] }).await.unwrap();
    let ask = async |iat: i64| {
        let claims = json!({"iss": trusting.client, "aud": MASKINPORTEN, "scope": SCOPE, "iat": iat, "exp": iat + 60});
        trusting.t.ask(&claims).await
    };
    let token = trusting.t.open(&ask(NOW).await);
    assert_eq!(token["client_amr"], "private_key_jwt");
    // The certificate ends with 2024, before the year of the key is over when it is posted again late.
    trusting.t.clock.advance(SignedDuration::from_hours(300 * 24));
    trusting.t.service.put_keys(&caller, &trusting.client, KeySetInput { keys: vec![locked] }).await.unwrap();
    trusting.t.clock.advance(SignedDuration::from_hours(200 * 24));
    assert_eq!(ask(NOW + 500 * 24 * 3600).await.refusal().1, "MP-120");
}

#[tokio::test]
async fn a_key_cannot_be_locked_to_a_certificate_of_another_key_or_organisation() {
    let trusting = Trusting::start(Revocation::Off, None).await;
    let caller = Caller::operator(org(CONSUMER));
    for (seal, reason) in [
        (Seal { elliptic: true, ..Seal::old(CONSUMER) }, "RSA"),
        (Seal::old("991825827"), "organisation"),
        (Seal { is_ca: true, ..Seal::old(CONSUMER) }, "authority"),
    ] {
        let mut locked = trusting.t.key.public_jwk();
        locked.other.insert("x5c".to_owned(), json!([STANDARD.encode(trusting.between.issue(&seal))]));
        let error = trusting.t.service.put_keys(&caller, &trusting.client, KeySetInput { keys: vec![locked] }).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error} should contain {reason}");
    }
}

#[tokio::test]
async fn a_european_seal_gets_scopes_that_are_open_to_it() {
    let trusting = Trusting::start(Revocation::Off, None).await;
    let swedish = Seal { qualified_statements: true, ..Seal::modern("NTRSE-5560360793") };
    let x5c = json!([STANDARD.encode(trusting.between.issue(&swedish))]);
    let refused = trusting.present_as("nobody", x5c.clone()).await;
    assert_eq!(refused.refusal().1, "MP-200", "the scope does not say that it is open to Europe");
    let open = |input: &mut ScopeInput| {
        input.more.insert("supports_european_businesses".to_owned(), json!(true));
    };
    let scope = trusting.t.scope("europe", open, &[]).await;
    let claims = json!({"iss": "nobody", "aud": MASKINPORTEN, "scope": scope, "iat": NOW, "exp": NOW + 60});
    let assertion = trusting.t.key.sign_with_header(&json!({"alg": "RS256", "x5c": x5c}), &claims).unwrap();
    let token = trusting.t.open(&trusting.t.present(&trusting.t.maskinporten, &assertion).await);
    assert_eq!((&token["client_id"], &token["client_amr"]), (&json!("eidas-4a0102"), &json!("QCForESeal")));
    assert_eq!(token["consumer"]["authority"], "etsi-en-319-412");
    assert_eq!((&token["consumer"]["ID"], &token["consumer"]["countryName"]), (&json!("NTRSE-5560360793"), &json!("NO")));
}

#[tokio::test]
async fn a_revoked_authority_takes_its_certificates_with_it_by_list() {
    let trusting = Trusting::start(Revocation::Required, None).await;
    *trusting.web.list.lock().unwrap() = Some(trusting.between.list(&[]));
    *trusting.web.root_list.lock().unwrap() = Some(trusting.root.list(&[BELOW]));
    assert_eq!(trusting.seal(&revocable()).await.refusal().1, "MP-120");
    assert_eq!((trusting.web.root_asked(), trusting.web.asked()), (1, 0), "what a revoked authority says is not asked for");

    let trusting = Trusting::start(Revocation::IfAvailable, None).await;
    *trusting.web.root_list.lock().unwrap() = Some(trusting.root.list(&[BELOW]));
    assert_eq!(trusting.seal(&revocable()).await.refusal().1, "MP-120", "leniency is for those of whom nobody can tell");
}

#[tokio::test]
async fn a_revoked_authority_takes_its_certificates_with_it_by_ocsp() {
    for (status, taken) in [(CertStatus::good(), true), (revoked(), false), (CertStatus::unknown(), false)] {
        let root = Authority::root("Test Root");
        let between = Arc::new(root.below_at("Test CA", Some(ROOT_OCSP_URL), None));
        let root = Arc::new(root);
        let trusting = Trusting::between(Revocation::Required, None, root.again(), between.clone()).await;
        *trusting.web.root_ocsp.lock().unwrap() = Box::new(move |question| Some(root.ocsp(question, status, false)));
        trusting.web.answer_ocsp(move |question| Some(between.ocsp(question, CertStatus::good(), false)));
        let answer = trusting.seal(&revocable()).await;
        assert_eq!(answer.0 == 200, taken, "{status:?}: {answer:?}");
        assert_eq!(trusting.web.root_asked(), 1, "{status:?}");
    }
}

#[tokio::test]
async fn an_authority_is_asked_about_once_for_all_its_certificates_and_again_when_the_answer_is_old() {
    let trusting = Trusting::start(Revocation::Required, None).await;
    *trusting.web.list.lock().unwrap() = Some(trusting.between.list(&[]));
    let x5c = json!([STANDARD.encode(trusting.between.issue(&revocable()))]);
    let trusting = &trusting;
    let ask = |at: i64, number: i64| {
        let claims = json!({"iss": trusting.client, "aud": MASKINPORTEN, "scope": SCOPE, "iat": at, "exp": at + 60, "jti": number.to_string()});
        let assertion = trusting.t.key.sign_with_header(&json!({"alg": "RS256", "x5c": x5c}), &claims).unwrap();
        async move { trusting.t.present(&trusting.t.maskinporten, &assertion).await }
    };
    let answers = futures_util::future::join_all((0..20).map(|number| ask(NOW, number))).await;
    assert!(answers.iter().all(|answer| answer.0 == 200), "{answers:?}");
    assert_eq!(trusting.web.root_asked(), 1, "one question, however many ask at once");
    trusting.t.clock.advance(SignedDuration::from_secs(601));
    *trusting.web.root_list.lock().unwrap() = Some(trusting.root.list(&[BELOW]));
    assert_eq!(ask(NOW + 601, 99).await.refusal().1, "MP-120", "revoked by now");
    assert_eq!(trusting.web.root_asked(), 1);
}

#[tokio::test]
async fn an_authority_of_which_nobody_can_tell_is_refused_unless_the_settings_are_lenient() {
    let good = |trusting: &Trusting| *trusting.web.list.lock().unwrap() = Some(trusting.between.list(&[]));
    let root = Authority::root("Test Root");
    let nameless = Arc::new(root.below_at("Test CA", None, None));
    let strict = Trusting::between(Revocation::Required, None, root.again(), nameless.clone()).await;
    good(&strict);
    assert_eq!(strict.seal(&revocable()).await.refusal().1, "MP-120", "its certificate names nobody who could tell");
    let lenient = Trusting::between(Revocation::IfAvailable, None, root, nameless).await;
    good(&lenient);
    assert_eq!(lenient.seal(&revocable()).await.0, 200);

    let only_clients = CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint { uris: vec![ROOT_CRL_URL.to_owned()] },
        scope: Some(CrlScope::UserCertsOnly),
    };
    let elsewhere = CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint { uris: vec!["http://crl.root.example.no/other.crl".to_owned()] },
        scope: None,
    };
    let authorities = CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint { uris: vec![ROOT_CRL_URL.to_owned()] },
        scope: Some(CrlScope::CaCertsOnly),
    };
    for (what, scope, taken) in [
        ("a list of clients only", only_clients, false),
        ("a list for another address", elsewhere, false),
        ("a list of authorities", authorities, true),
    ] {
        let trusting = Trusting::start(Revocation::Required, None).await;
        good(&trusting);
        *trusting.web.root_list.lock().unwrap() = Some(trusting.root.list_about(&[], Some(scope)));
        assert_eq!(trusting.seal(&revocable()).await.0 == 200, taken, "{what}");
    }
    for (what, list) in [
        ("nothing", None),
        ("a stranger's of the same name", Some(Authority::root("Test Root").list(&[]))),
        ("another authority's", Some(Authority::root("Other Root").list(&[]))),
        ("no list at all", Some(b"<html>".to_vec())),
    ] {
        let trusting = Trusting::start(Revocation::Required, None).await;
        good(&trusting);
        *trusting.web.root_list.lock().unwrap() = list;
        assert_eq!(trusting.seal(&revocable()).await.refusal().1, "MP-120", "{what}");
    }
}
