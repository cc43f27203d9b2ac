//! The one table to review: which situation is answered how, by which profile; and what the grant accepts.
//!
//! It is written to `crates/issuer/tests/matrix.md`. A changed cell fails the test and leaves the new table there to look at.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use skybru_issuer::certificates::{Anchor, Certificates, Revocation};
use skybru_issuer::selfservice::{Caller, ScopeInput};
use skybru_protocol::jose::SigningKey;
use skybru_store::records::Delegation;
use skybru_store::registry::{AccessState, Client, IntegrationType};
use skybru_store::{Change, Record};

use crate::harness::{Answer, CONSUMER, MASKINPORTEN, NOW, PROVIDER, SCOPE, SKYPORTEN, TestIssuer, org, post, scope_input};
use crate::pki::{Authority, Seal, Web};

const SUPPLIER: &str = "310702641";
const FORM: &str = "application/x-www-form-urlencoded";
const JWT_BEARER: &str = "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Everything that a situation may need.
struct World {
    t: TestIssuer,
    /// A client of the consumer's with the test key and several scopes.
    keyed: String,
    /// One without keys.
    certified: String,
    /// A supplier's.
    supplier: String,
    authority: Authority,
    url: &'static str,
}

impl World {
    async fn new(url: &'static str) -> Self {
        let root = Authority::root("Test Root");
        let authority = root.below("Test CA");
        let anchor = Anchor { certificate: root.der.clone(), client_amr: None };
        let trust =
            Certificates::new(&[anchor], std::slice::from_ref(&authority.der), Revocation::Off, 600, Web::silent()).unwrap();
        let trust = Arc::new(trust);
        let t = TestIssuer::adapted(|issuer| issuer.with_certificates(trust.clone())).await;
        let provider = Caller::operator(org(PROVIDER));
        let delegable = |input: &mut ScopeInput| input.delegation_source = Some("https://tt02.altinn.no/".to_owned());
        for name in ["withdrawn", "inactive", "login"] {
            t.scope(name, |_| (), &[CONSUMER]).await;
        }
        t.scope("delegable", delegable, &[CONSUMER]).await;
        t.scope("undelegated", delegable, &[CONSUMER]).await;
        t.scope("foreign", |_| (), &[]).await;
        let scopes = [SCOPE, "entur:withdrawn", "entur:inactive", "entur:login"];
        let keyed = t.register(CONSUMER, &scopes).await;
        let certified = t.register_without_key(CONSUMER, &[SCOPE]).await;
        let supplier = t.register(SUPPLIER, &["entur:delegable", "entur:undelegated"]).await;
        t.service.set_access(&provider, "entur:withdrawn", CONSUMER, AccessState::Denied).await.unwrap();
        t.service.deactivate_scope(&provider, "entur:inactive").await.unwrap();
        let login =
            ScopeInput { allowed_integration_types: Some(vec![IntegrationType::Idporten]), ..scope_input("entur", "login") };
        t.service.update_scope(&provider, "entur:login", login).await.unwrap();
        let now = Timestamp::from_second(NOW).unwrap();
        t.record(Record::Delegation(Delegation {
            consumer_orgno: org(CONSUMER),
            supplier_orgno: org(SUPPLIER),
            scope: "entur:delegable".parse().unwrap(),
            active: true,
            created: now,
            last_updated: now,
        }))
        .await;
        Self { t, keyed, certified, supplier, authority, url }
    }

    fn claims(&self) -> Value {
        json!({"iss": self.keyed, "aud": self.url, "scope": SCOPE, "iat": NOW, "exp": NOW + 120, "jti": "1", "resource": "https://api.example.no"})
    }

    fn with(&self, changes: &[(&str, Value)]) -> Value {
        let mut claims = self.claims();
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        claims
    }

    async fn body(&self, body: String) -> Answer {
        let router = if self.url == MASKINPORTEN { &self.t.maskinporten } else { &self.t.skyporten };
        post(router, "/token", FORM, body).await
    }

    async fn present(&self, assertion: &str) -> Answer {
        self.body(format!("{JWT_BEARER}&assertion={assertion}")).await
    }

    async fn ask(&self, changes: &[(&str, Value)]) -> Answer {
        self.present(&self.t.sign(&self.with(changes))).await
    }

    /// A good assertion under another header.
    async fn headed(&self, header: Value) -> Answer {
        self.present(&self.t.key.sign_with_header(&header, &self.claims()).unwrap()).await
    }

    async fn certificate(&self, x5c: Value) -> Answer {
        let claims = self.with(&[("iss", json!(self.certified))]);
        self.present(&self.t.key.sign_with_header(&json!({"alg": "RS256", "x5c": x5c}), &claims).unwrap()).await
    }

    async fn seal(&self, seal: Seal) -> Answer {
        self.certificate(json!([STANDARD.encode(self.authority.issue(&seal))])).await
    }

    async fn details(&self, detail: Value) -> Answer {
        self.ask(&[("authorization_details", json!([detail]))]).await
    }

    async fn change_client(&self, change: impl FnOnce(Client) -> Client) {
        let client = self.t.registry.read(|registry| (*registry.client(&self.keyed.parse().unwrap()).unwrap().client).clone());
        let change = Change::PutClient(change(client));
        self.t.registry.change(|_| Ok::<_, ()>((vec![change], ()))).await.unwrap();
    }
}

/// The situations, in the order of the steps that decide them.
const SITUATIONS: &[&str] = &[
    "no parameters",
    "another grant type",
    "no assertion",
    "the assertion twice",
    "no JWT",
    "a claim of the wrong type",
    "a resource that is no URI",
    "the audience of another issuer",
    "the audience with a slash more or less",
    "the token endpoint as audience",
    "an unknown client",
    "a deactivated client",
    "keys registered, none named",
    "keys registered, an unknown one named",
    "a key older than a year",
    "a certificate, older kind",
    "a certificate, qualified seal",
    "x5c is a text",
    "x5c holds no certificate",
    "a certificate of an unknown authority",
    "an expired certificate",
    "a certificate of another organisation",
    "neither key nor certificate",
    "a wrong signature",
    "algorithm none",
    "algorithm PS256",
    "crit",
    "expired",
    "issued in the future",
    "valid from the future",
    "too long a life",
    "used before",
    "no scope",
    "a scope that is none",
    "a scope that is not on the client",
    "a deactivated scope",
    "a scope for logins",
    "a client for logins",
    "two scopes",
    "a wrong person number",
    "a person number",
    "consumer_org that is no number",
    "consumer_org is the client itself",
    "consumer_org, and a scope that cannot be delegated",
    "consumer_org and iss_onbehalfof",
    "iss_onbehalfof",
    "no access",
    "delegated, but the consumer has no access",
    "not delegated",
    "delegated",
    "delegable scope without consumer_org",
    "details of an unknown type",
    "details with an unknown field",
    "details with a wrong value",
    "details that are not so",
    "all well",
];

async fn play(w: &World, situation: &str) -> Answer {
    let kid = w.t.key.kid();
    let provider = Caller::operator(org(PROVIDER));
    match situation {
        "no parameters" => w.body(String::new()).await,
        "another grant type" => w.body("grant_type=client_credentials".to_owned()).await,
        "no assertion" => w.body(JWT_BEARER.to_owned()).await,
        "the assertion twice" => w.body(format!("{JWT_BEARER}&assertion=a&assertion=a")).await,
        "no JWT" => w.present("a.b").await,
        "a claim of the wrong type" => w.ask(&[("exp", json!("soon"))]).await,
        "a resource that is no URI" => w.ask(&[("resource", json!("no uri"))]).await,
        "the audience of another issuer" => w.ask(&[("aud", json!("https://other.example.no"))]).await,
        "the audience with a slash more or less" => {
            let other = w.url.strip_suffix('/').map_or_else(|| format!("{}/", w.url), str::to_owned);
            w.ask(&[("aud", json!(other))]).await
        }
        "the token endpoint as audience" => w.ask(&[("aud", json!(format!("{}/token", w.url.trim_end_matches('/'))))]).await,
        "an unknown client" => w.ask(&[("iss", json!("nobody"))]).await,
        "a deactivated client" => {
            w.change_client(|client| Client { active: false, ..client }).await;
            w.ask(&[]).await
        }
        "keys registered, none named" => w.headed(json!({"alg": "RS256"})).await,
        "keys registered, an unknown one named" => w.headed(json!({"alg": "RS256", "kid": "other"})).await,
        "a key older than a year" => {
            w.t.clock.advance(SignedDuration::from_hours(365 * 24));
            let later = NOW + 365 * 24 * 3600;
            w.ask(&[("iat", json!(later)), ("exp", json!(later + 60))]).await
        }
        "a certificate, older kind" => w.seal(Seal::old(CONSUMER)).await,
        "a certificate, qualified seal" => w.seal(Seal { qualified_statements: true, ..Seal::modern("NTRNO-889640782") }).await,
        "x5c is a text" => w.certificate(json!("MIIB")).await,
        "x5c holds no certificate" => w.certificate(json!(["MIIB"])).await,
        "a certificate of an unknown authority" => {
            w.certificate(json!([STANDARD.encode(Authority::root("x").issue(&Seal::old(CONSUMER)))])).await
        }
        "an expired certificate" => w.seal(Seal { years: (2019, 2022), ..Seal::old(CONSUMER) }).await,
        "a certificate of another organisation" => w.seal(Seal::old(PROVIDER)).await,
        "neither key nor certificate" => {
            let claims = w.with(&[("iss", json!(w.certified))]);
            w.present(&w.t.key.sign_with_header(&json!({"alg": "RS256"}), &claims).unwrap()).await
        }
        "a wrong signature" => {
            let signed = w.t.sign(&w.claims());
            w.present(&format!("{}.AAAA", signed.rsplit_once('.').unwrap().0)).await
        }
        "algorithm none" => w.headed(json!({"alg": "none", "kid": kid})).await,
        "algorithm PS256" => w.headed(json!({"alg": "PS256", "kid": kid})).await,
        "crit" => w.headed(json!({"alg": "RS256", "kid": kid, "crit": ["exp"]})).await,
        "expired" => w.ask(&[("iat", json!(NOW - 70)), ("exp", json!(NOW - 10))]).await,
        "issued in the future" => w.ask(&[("iat", json!(NOW + 11)), ("exp", json!(NOW + 60))]).await,
        "valid from the future" => w.ask(&[("nbf", json!(NOW + 11))]).await,
        "too long a life" => w.ask(&[("exp", json!(NOW + 122))]).await,
        "used before" => {
            w.ask(&[]).await;
            w.ask(&[]).await
        }
        "no scope" => w.ask(&[("scope", Value::Null)]).await,
        "a scope that is none" => w.ask(&[("scope", json!("scope"))]).await,
        "a scope that is not on the client" => w.ask(&[("scope", json!("entur:foreign"))]).await,
        "a deactivated scope" => w.ask(&[("scope", json!("entur:inactive"))]).await,
        "a scope for logins" => w.ask(&[("scope", json!("entur:login"))]).await,
        "a client for logins" => {
            w.change_client(|client| Client { integration_type: IntegrationType::Idporten, ..client }).await;
            w.ask(&[]).await
        }
        "two scopes" => {
            w.t.service.set_access(&provider, "entur:withdrawn", CONSUMER, AccessState::Approved).await.unwrap();
            w.ask(&[("scope", json!(format!("entur:withdrawn {SCOPE}")))]).await
        }
        "a wrong person number" => w.ask(&[("pid", json!("01010199999"))]).await,
        "a person number" => w.ask(&[("pid", json!("10850199405"))]).await,
        "consumer_org that is no number" => w.ask(&[("consumer_org", json!("123456789"))]).await,
        "consumer_org is the client itself" => w.ask(&[("consumer_org", json!(CONSUMER))]).await,
        "consumer_org, and a scope that cannot be delegated" => w.ask(&[("consumer_org", json!(PROVIDER))]).await,
        "consumer_org and iss_onbehalfof" => w.ask(&[("consumer_org", json!(PROVIDER)), ("iss_onbehalfof", json!("x"))]).await,
        "iss_onbehalfof" => w.ask(&[("iss_onbehalfof", json!("x"))]).await,
        "no access" => w.ask(&[("scope", json!("entur:withdrawn"))]).await,
        "delegated, but the consumer has no access" => {
            w.t.service.set_access(&provider, "entur:delegable", CONSUMER, AccessState::Denied).await.unwrap();
            supplied(w, "entur:delegable").await
        }
        "not delegated" => supplied(w, "entur:undelegated").await,
        "delegated" => supplied(w, "entur:delegable").await,
        "delegable scope without consumer_org" => w.ask(&[("iss", json!(w.supplier)), ("scope", json!("entur:delegable"))]).await,
        "details of an unknown type" => w.details(json!({"type": "urn:other"})).await,
        "details with an unknown field" => w.details(json!({"type": "urn:altinn:systemuser", "x": 1})).await,
        "details with a wrong value" => w.details(json!({"type": "urn:altinn:systemuser"})).await,
        "details that are not so" => {
            let party = json!({"authority": "iso6523-actorid-upis", "ID": "0192:310702641"});
            w.details(json!({"type": "urn:altinn:systemuser", "systemuser_org": party})).await
        }
        "all well" => w.ask(&[]).await,
        other => panic!("nobody plays {other:?}"),
    }
}

async fn supplied(w: &World, scope: &str) -> Answer {
    w.ask(&[("iss", json!(w.supplier)), ("scope", json!(scope)), ("consumer_org", json!(CONSUMER))]).await
}

/// One cell: what is answered; of a token, who it is for.
fn cell(w: &World, answer: &Answer) -> String {
    if answer.0 == 200 {
        let token = w.t.open(answer);
        let party = |name: &str| token[name]["ID"].as_str().map_or_else(String::new, |id| format!(", {name} `{id}`"));
        let subject = token["sub"].as_str().map_or_else(String::new, |sub| format!(", sub `{sub}`"));
        let amr = token["client_amr"].as_str().unwrap();
        return format!("200 token, `{amr}`{}{}{subject}", party("consumer"), party("supplier"));
    }
    let (status, code, text) = answer.refusal();
    format!("{status} `{}` {code}: {text}", answer.1["error"].as_str().unwrap_or_default())
}

const HEADING: &str = "# What the grant answers

Written by a test (`cargo test -p skybru-issuer matrix`); a changed cell fails it. The first situation that holds, from top to bottom, is the
one that is answered. Skyporten's column says `=` where it answers as Maskinporten does.

";

#[tokio::test]
async fn the_matrix_of_answers_is_the_reviewed_one() {
    let mut table = String::from(HEADING);
    table.push_str("| situation | Maskinporten | Skyporten |\n|---|---|---|\n");
    for situation in SITUATIONS {
        let (one, other) = (World::new(MASKINPORTEN).await, World::new(SKYPORTEN).await);
        let first = cell(&one, &play(&one, situation).await);
        let second = cell(&other, &play(&other, situation).await);
        let second = if second == first { "=".to_owned() } else { second };
        writeln!(table, "| {situation} | {first} | {second} |").unwrap();
    }
    table.push_str(&acceptance().await);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/matrix.md");
    if std::fs::read_to_string(path).unwrap_or_default() != table {
        std::fs::write(path, &table).unwrap();
        panic!(
            "tests/matrix.md was another; the new one is written there: look at every changed cell, and commit it if it was meant"
        );
    }
}

/// What an assertion can look like, factor by factor. The first level of each is the plain one.
const FACTORS: [(&str, &[&str]); 9] = [
    ("key", &["kid", "x5c leaf", "x5c chain", "both", "neither"]),
    ("aud", &["text", "array", "array of two", "slash missing"]),
    ("jti", &["new", "none", "repeated"]),
    ("resource", &["none", "text", "array of one", "array of two"]),
    ("exp - iat", &["60", "10", "30", "100", "120", "121", "180"]),
    ("iat - now", &["0", "-130", "-60", "-9", "9", "11"]),
    ("typ", &["JWT", "none"]),
    ("more claims", &["none", "nbf", "sub", "an unknown one"]),
    ("alg", &["RS256", "RS384", "RS512", "PS256", "ES256", "none"]),
];

type Levels = [usize; FACTORS.len()];

/// What must come out, said again in another way than the issuer says it: the code, or `granted`.
fn expected(levels: &Levels) -> &'static str {
    let level = |factor: usize| FACTORS[factor].1[levels[factor]];
    let (life, iat): (i64, i64) = (level(4).parse().unwrap(), level(5).parse().unwrap());
    match () {
        () if level(1) == "slash missing" => "MP-110",
        () if level(0) == "neither" => "MP-120",
        () if ["PS256", "ES256", "none"].contains(&level(8)) => "MP-124",
        () if iat + life <= -10 => "MP-130",
        () if iat > 10 => "-",
        () if life > 121 => "MP-011",
        () if level(2) == "repeated" => "MP-012",
        () => "granted",
    }
}

async fn outcome(w: &World, keys: &[SigningKey; 3], chain: &[String], levels: &Levels, count: usize) -> String {
    let level = |factor: usize| FACTORS[factor].1[levels[factor]];
    let (life, iat): (i64, i64) = (level(4).parse().unwrap(), level(5).parse().unwrap());
    let by_certificate = level(0).starts_with("x5c");
    let mut claims = json!({
        "iss": if by_certificate { &w.certified } else { &w.keyed }, "scope": SCOPE, "iat": NOW + iat, "exp": NOW + iat + life
    });
    claims["aud"] = match level(1) {
        "text" => json!(MASKINPORTEN),
        "array" => json!([MASKINPORTEN]),
        "array of two" => json!(["https://other.example.no", MASKINPORTEN]),
        _ => json!(MASKINPORTEN.trim_end_matches('/')),
    };
    match level(2) {
        "new" => claims["jti"] = json!(format!("n{count}")),
        "repeated" => claims["jti"] = json!("used"),
        _ => {}
    }
    match level(3) {
        "text" => claims["resource"] = json!("https://a.no"),
        "array of one" => claims["resource"] = json!(["https://a.no"]),
        "array of two" => claims["resource"] = json!(["https://a.no", "https://b.no"]),
        _ => {}
    }
    match level(7) {
        "nbf" => claims["nbf"] = json!(NOW + iat),
        "sub" => claims["sub"] = claims["iss"].clone(),
        "an unknown one" => claims["colour"] = json!({"deep": [1]}),
        _ => {}
    }
    let mut header = json!({"alg": level(8)});
    if level(6) == "JWT" {
        header["typ"] = json!("JWT");
    }
    match level(0) {
        "kid" => header["kid"] = json!(keys[0].kid()),
        "x5c leaf" => header["x5c"] = json!([chain[0]]),
        "x5c chain" => header["x5c"] = json!(chain),
        "both" => (header["kid"], header["x5c"]) = (json!(keys[0].kid()), json!([chain[0]])),
        _ => {}
    }
    let key = match level(8) {
        "RS384" => &keys[1],
        "RS512" => &keys[2],
        _ => &keys[0],
    };
    let answer = w.present(&key.sign_with_header(&header, &claims).unwrap()).await;
    if answer.0 == 200 { "granted".to_owned() } else { answer.refusal().1.to_owned() }
}

/// Each level alone, and each pair of levels of two factors, against what is expected. Gives the table of single levels.
async fn acceptance() -> String {
    let w = World::new(MASKINPORTEN).await;
    let text = w.t.key.private_jwk().unwrap();
    let with = |alg: &str| SigningKey::from_text(&text.replace("\"RS256\"", &format!("\"{alg}\"")), None).unwrap();
    let keys = [with("RS256"), with("RS384"), with("RS512")];
    let chain = [w.authority.issue(&Seal::old(CONSUMER)), w.authority.der.clone()].map(|der| STANDARD.encode(der));
    for id in [&w.keyed, &w.certified] {
        let claims = json!({"iss": id, "aud": MASKINPORTEN, "scope": SCOPE, "iat": NOW, "exp": NOW + 60, "jti": "used"});
        let header =
            if *id == w.keyed { json!({"alg": "RS256", "kid": keys[0].kid()}) } else { json!({"alg": "RS256", "x5c": chain}) };
        assert_eq!(w.present(&keys[0].sign_with_header(&header, &claims).unwrap()).await.0, 200);
    }
    let plain: Levels = [0; FACTORS.len()];
    let mut combinations: BTreeSet<Levels> = BTreeSet::from([plain]);
    for one in 0..FACTORS.len() {
        for other in one + 1..FACTORS.len() {
            for a in 0..FACTORS[one].1.len() {
                for b in 0..FACTORS[other].1.len() {
                    let mut levels = plain;
                    (levels[one], levels[other]) = (a, b);
                    combinations.insert(levels);
                }
            }
        }
    }
    for (count, levels) in combinations.iter().enumerate() {
        let shown: Vec<&str> = (0..FACTORS.len()).map(|factor| FACTORS[factor].1[levels[factor]]).collect();
        assert_eq!(outcome(&w, &keys, &chain, levels, count).await, expected(levels), "{shown:?}");
    }
    let mut table = format!(
        "\n# What an assertion may look like\n\nEach line changes one thing of a plain assertion. All {} combinations of two changes are tested\nas well.\n\n\
         | what | how | outcome |\n|---|---|---|\n",
        combinations.len()
    );
    for (factor, (name, known)) in FACTORS.iter().enumerate() {
        for (place, level) in known.iter().enumerate() {
            let mut levels = plain;
            levels[factor] = place;
            writeln!(table, "| {name} | {level} | {} |", expected(&levels)).unwrap();
        }
    }
    table
}
