//! One mistake at a time in a set-up that works: the simulator must refuse with Google's code, and the doctor's first error must be that
//! mistake. As for AWS, the mistakes are drawn with a fixed seed, and at most one in twenty may be missed.

use reqwest::Method;
use serde_json::{Value, json};
use skybru_core::ctx::SeededRandomness;
use skybru_federation::Severity;
use skybru_federation::google::policy::{Binding, Policy};
use skybru_federation::google::{LintInput, Provider, Setup, lint};
use skybru_protocol::jose::JwkSet;

use super::super::mutations::{Dice, stranger};
use super::{ACCOUNT, AUDIENCE, CONSUMER, Google, NOW, POOL, SCOPE, TestIssuer, claims, member, provider};
use crate::tally::Tally;

/// How often each kind of mistake is made, each time another way.
const ROUNDS: u64 = 6;

/// Everything that somebody can get wrong.
struct SetUp {
    audience: String,
    provider: Value,
    account_role: String,
    account_member: String,
    bucket_role: String,
    bucket_member: String,
    discovery: Value,
    keys: Vec<Value>,
    header: Value,
    claims: Value,
    /// What people put around a token.
    around: (String, String),
    deleted: bool,
}

impl SetUp {
    fn good(issuer: &TestIssuer) -> Self {
        let documents = issuer.documents.lock().unwrap().clone();
        Self {
            audience: format!("//iam.googleapis.com/{POOL}/providers/maskinporten"),
            provider: provider(issuer),
            account_role: "roles/iam.workloadIdentityUser".to_owned(),
            account_member: member(),
            bucket_role: "roles/storage.objectViewer".to_owned(),
            bucket_member: format!("serviceAccount:{ACCOUNT}"),
            discovery: documents.discovery,
            keys: documents.keys["keys"].as_array().unwrap().clone(),
            header: json!({"alg": "RS256", "kid": issuer.key.kid().as_str()}),
            claims: claims(issuer),
            around: (String::new(), String::new()),
            deleted: false,
        }
    }

    fn map(&mut self, key: &str, expression: &str) {
        self.provider["attributeMapping"][key] = expression.into();
    }

    fn token(&self, issuer: &TestIssuer) -> String {
        format!("{}{}{}", self.around.0, issuer.key.sign_with_header(&self.header, &self.claims).unwrap(), self.around.1)
    }

    /// What Google answers at the first step that is refused: STS's error, or the status.
    async fn walk(&self, issuer: &TestIssuer) -> Option<String> {
        {
            let mut documents = issuer.documents.lock().unwrap();
            documents.discovery = self.discovery.clone();
            documents.keys = json!({"keys": self.keys});
        }
        let google = Google::start(issuer).await;
        let set_up = google.set_up(issuer, &self.provider, &member()).await;
        if set_up.status >= 300 {
            return Some(set_up.status.to_string());
        }
        let bound = google.bind_account(&self.account_role, &self.account_member).await;
        if bound.status >= 300 {
            return Some(bound.status.to_string());
        }
        google.bind_bucket(&self.bucket_role, &self.bucket_member).await.ok();
        if self.deleted {
            google.owner(Method::DELETE, &format!("v1/{POOL}/providers/maskinporten"), &json!({})).await.ok();
        }
        let answer = google.road(&self.token(issuer), &[("audience", &self.audience)]).await;
        match answer.body["error"].as_str() {
            Some(error) => Some(error.to_owned()),
            None => (answer.status >= 300).then(|| answer.status.to_string()),
        }
    }

    /// The rule of the doctor's first error, or of its first finding when nothing is an error: what no public source tells of Google
    /// is no error to the doctor, and refused by the simulator.
    fn diagnosis(&self, issuer: &TestIssuer) -> String {
        let mut described = self.provider.clone();
        described["name"] = format!("{POOL}/providers/maskinporten").into();
        if self.deleted {
            described["state"] = "DELETED".into();
        }
        let provider: Provider = serde_json::from_value(described).unwrap();
        let discovery = serde_json::from_value(self.discovery.clone()).unwrap();
        let keys: JwkSet = serde_json::from_value(json!({"keys": self.keys})).unwrap();
        let policy = |role: &str, member: &str| Policy {
            version: 1,
            bindings: vec![Binding { role: role.to_owned(), members: vec![member.to_owned()], condition: None }],
            etag: None,
        };
        let (account, bucket) =
            (policy(&self.account_role, &self.account_member), policy(&self.bucket_role, &self.bucket_member));
        let token = self.token(issuer);
        let setup = Setup {
            audience: Some(&self.audience),
            provider: Some(&provider),
            service_account: Some(ACCOUNT),
            account_policy: Some(&account),
            resource_policy: Some(&bucket),
            ..Setup::default()
        };
        let input = LintInput { discovery: Some(&discovery), keys: Some(&keys), token_text: Some(&token), now: Some(NOW), setup };
        let findings = lint(input);
        let first = findings.iter().find(|finding| finding.severity == Severity::Error).or_else(|| findings.first());
        first.map_or("nothing", |finding| finding.rule).to_owned()
    }
}

/// A kind of mistake: what it is, what Google answers, which rules name it, and how it is made.
type Mistake = (&'static str, &'static str, &'static [&'static str], fn(&mut SetUp, &Dice));

const MISTAKES: [Mistake; 33] = [
    ("a slash at the end of the issuer URI", "invalid_grant", &["D-43"], |it, dice| {
        let slashes = "/".repeat(1 + dice.below(3));
        it.provider["oidc"]["issuerUri"] = format!("{}{slashes}", it.provider["oidc"]["issuerUri"].as_str().unwrap()).into();
    }),
    ("a misspelt issuer URI", "invalid_grant", &["D-43", "D-16"], |it, dice| {
        let uri = it.provider["oidc"]["issuerUri"].as_str().unwrap();
        it.provider["oidc"]["issuerUri"] = format!("https://{}", dice.misspelt(uri.strip_prefix("https://").unwrap())).into();
    }),
    ("the issuer URI of another environment", "invalid_grant", &["D-16"], |it, dice| {
        let uri = it.provider["oidc"]["issuerUri"].as_str().unwrap();
        let other = dice.one_of::<&str>(&["test", "dev", "ver2", "systest", "staging", "atest"]);
        it.provider["oidc"]["issuerUri"] = uri.replace("https://", &format!("https://{other}.")).into();
    }),
    ("a misspelt audience in the provider", "invalid_grant", &["D-42"], |it, dice| {
        it.provider["oidc"]["allowedAudiences"] = json!([dice.misspelt(AUDIENCE)]);
    }),
    ("no allowed audience", "invalid_grant", &["D-42"], |it, _| it.provider["oidc"]["allowedAudiences"] = json!([])),
    ("a token for another audience", "invalid_grant", &["D-42"], |it, dice| it.claims["aud"] = dice.misspelt(AUDIENCE).into()),
    ("a token without an audience", "invalid_grant", &["D-18"], |it, dice| {
        if dice.below(2) == 0 {
            it.claims.as_object_mut().unwrap().remove("aud");
        } else {
            it.claims["aud"] = "".into();
        }
    }),
    ("a kid that is not published", "invalid_grant", &["D-05"], |it, dice| {
        it.header["kid"] = dice.misspelt(it.header["kid"].as_str().unwrap()).into();
    }),
    ("no kid", "invalid_grant", &["D-05"], |it, _| drop(it.header.as_object_mut().unwrap().remove("kid"))),
    ("another key with the kid", "invalid_grant", &["D-06"], |it, _| {
        let kid = it.header["kid"].as_str().unwrap().to_owned();
        it.keys = vec![stranger(&it.keys[0], &kid)];
    }),
    ("an algorithm that is not taken", "invalid_grant", &["D-08"], |it, dice| {
        it.header["alg"] = (*dice.one_of::<&str>(&["RS384", "RS512", "PS256"])).into();
    }),
    ("a clock that is ahead", "invalid_grant", &["D-13"], |it, dice| {
        let ahead = dice.seconds(61, 7200);
        it.claims["iat"] = (NOW + ahead).into();
        it.claims["exp"] = (NOW + ahead + 120).into();
    }),
    ("an old token", "invalid_grant", &["D-13"], |it, dice| {
        let ago = dice.seconds(61, 7200);
        it.claims["iat"] = (NOW - ago - 120).into();
        it.claims["exp"] = (NOW - ago).into();
    }),
    ("no iat", "invalid_grant", &["D-11"], |it, _| drop(it.claims.as_object_mut().unwrap().remove("iat"))),
    ("a time that is no integer", "invalid_grant", &["D-11"], |it, dice| {
        let name = *dice.one_of::<&str>(&["iat", "exp"]);
        it.claims[name] = json!(it.claims[name].as_f64().unwrap() + 0.5);
    }),
    ("a token that lives a second", "internal_error", &["D-12"], |it, _| it.claims["exp"] = (NOW + 1).into()),
    ("a subject from a claim that is not there", "unauthorized_client", &["D-46"], |it, dice| {
        let absent = *dice.one_of::<&str>(&[
            "assertion.consumer.id",
            "assertion.Consumer.ID",
            "assertion.org",
            "assertion.consumer[0].ID",
        ]);
        it.map("google.subject", absent);
    }),
    ("an attribute that is no text", "unauthorized_client", &["D-46"], |it, dice| {
        it.map(
            "attribute.more",
            dice.one_of::<&str>(&["assertion.consumer", "assertion.iat", "[assertion.scope]", "assertion.scope == 'x'"]),
        );
    }),
    ("a condition on another value", "unauthorized_client", &["D-45"], |it, dice| {
        it.provider["attributeCondition"] = format!("assertion.scope == '{}'", dice.misspelt(SCOPE)).into();
    }),
    ("a condition on a claim that is not there", "unauthorized_client", &["D-45"], |it, dice| {
        let claim = *dice.one_of::<&str>(&["orgno", "Scope", "azp", "consumer.id"]);
        it.provider["attributeCondition"] = format!("assertion.{claim} == '{CONSUMER}'").into();
    }),
    ("a mapping that is no CEL", "400", &["G-10", "G-11", "G-8"], |it, dice| {
        it.map(
            "google.subject",
            dice.one_of::<&str>(&["assertion.consumer.", "claims.sub", "assertion.sub.replace('a', 'b')", "assertion.sub ="]),
        );
    }),
    ("two scopes", "403", &["D-15"], |it, dice| {
        let two = format!("{SCOPE} {}", dice.one_of::<&str>(&["entur:other", "entur:demo2", "a:b"]));
        it.claims["sub"] = format!("{CONSUMER};{two}").into();
        it.claims["scope"] = two.into();
    }),
    ("another value in the binding", "403", &["D-47"], |it, dice| {
        let (start, value) = it.account_member.split_once("client::").unwrap();
        it.account_member = format!("{start}client::{}", dice.misspelt(value));
    }),
    ("an attribute that is not mapped in the binding", "403", &["D-47"], |it, dice| {
        it.account_member =
            it.account_member.replace("clientaccess", dice.one_of::<&str>(&["orgno", "client_access", "clientacces"]));
    }),
    ("another pool in the binding", "403", &["D-47"], |it, dice| {
        it.account_member = it
            .account_member
            .replace("/skyporten/", &format!("/{}/", dice.one_of::<&str>(&["maskinporten", "skyporten2", "skyporte"])));
    }),
    ("principal where principalSet belongs", "400", &["D-47"], |it, _| {
        it.account_member = it.account_member.replace("principalSet://", "principal://");
    }),
    ("a role that gives no tokens", "403", &["D-47"], |it, dice| {
        it.account_role =
            String::from(*dice.one_of::<&str>(&["roles/iam.serviceAccountUser", "roles/viewer", "roles/storage.objectViewer"]));
    }),
    ("a service account without the bucket", "403", &["D-50"], |it, dice| {
        if dice.below(2) == 0 {
            it.bucket_role =
                String::from(*dice.one_of::<&str>(&["roles/storage.objectCreator", "roles/storage.legacyBucketReader"]));
        } else {
            it.bucket_member = format!("serviceAccount:{}", dice.misspelt(ACCOUNT).to_lowercase().replace("reader@", "other@"));
            if it.bucket_member == format!("serviceAccount:{ACCOUNT}") {
                "serviceAccount:other@skybru-lab.iam.gserviceaccount.com".clone_into(&mut it.bucket_member);
            }
        }
    }),
    ("a provider that is disabled or deleted", "invalid_target", &["D-41"], |it, dice| match dice.below(2) {
        0 => it.provider["disabled"] = true.into(),
        _ => it.deleted = true,
    }),
    ("the project's id in the audience", "invalid_target", &["D-40"], |it, dice| {
        it.audience = it.audience.replace("100000000001", dice.one_of::<&str>(&["skybru-lab", "skybru_lab", "lab"]));
    }),
    ("an audience that is no provider's name", "invalid_request", &["D-40"], |it, dice| {
        it.audience = match dice.below(4) {
            0 => it.audience.replace("//iam", "https://iam"),
            1 => it.audience.trim_start_matches("//iam.googleapis.com/").to_owned(),
            2 => format!("{}/", it.audience),
            _ => format!("//iam.googleapis.com/{}", it.audience),
        };
    }),
    ("keys that were uploaded before the last rotation", "invalid_grant", &["D-44"], |it, dice| {
        let old = dice.misspelt(it.header["kid"].as_str().unwrap());
        it.provider["oidc"]["jwksJson"] = json!({"keys": [stranger(&it.keys[0], &old)]}).to_string().into();
    }),
    ("the binding's value in another case", "403", &["D-47"], |it, dice| {
        let (place, value) = it.account_member.rsplit_once("::").unwrap();
        let value = if dice.below(2) == 0 { value.to_uppercase() } else { format!("E{}", &value[1..]) };
        it.account_member = format!("{place}::{value}");
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn one_mistake_at_a_time_is_refused_and_named() {
    let issuer = TestIssuer::tls().await;
    let good = SetUp::good(&issuer);
    assert_eq!((good.walk(&issuer).await, good.diagnosis(&issuer).as_str()), (None, "nothing"));
    let (mut cases, mut misses, mut wrong) = (0, Vec::new(), Vec::new());
    let mut tally = Tally::of("google");
    for (kind, code, rules, make) in MISTAKES {
        let before = misses.len();
        for round in 0..ROUNDS {
            let mut set_up = SetUp::good(&issuer);
            // The issuer's documents carry the last mistake: begin with good ones.
            set_up.discovery = good.discovery.clone();
            set_up.keys.clone_from(&good.keys);
            make(&mut set_up, &Dice(SeededRandomness::new(round)));
            let answered = set_up.walk(&issuer).await;
            if answered.as_deref() != Some(code) {
                wrong.push(format!("{kind}, round {round}: {answered:?} instead of {code}"));
            }
            cases += 1;
            let diagnosis = set_up.diagnosis(&issuer);
            if !rules.contains(&diagnosis.as_str()) {
                misses.push(format!("{kind}, round {round}: {diagnosis} instead of {}", rules.join(" or ")));
            }
        }
        tally.add(kind, code, rules, ROUNDS, &misses[before..]);
    }
    println!("{} of {cases} mistakes were not the doctor's first finding\n{}", misses.len(), misses.join("\n"));
    assert!(cases >= 110, "only {cases} mistakes were made");
    assert!(wrong.is_empty(), "the simulator answers otherwise than Google:\n{}", wrong.join("\n"));
    assert!(misses.len() * 20 <= cases, "{} of {cases} missed:\n{}", misses.len(), misses.join("\n"));
    tally.keep();
}

/// What people put around a token.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_around_a_token_is_named() {
    let issuer = TestIssuer::tls().await;
    for (before, after) in [("Bearer ", ""), ("\"", "\""), ("", "\n"), ("{\"access_token\":\"", "\"}"), ("\u{feff}", "")] {
        let mut set_up = SetUp::good(&issuer);
        set_up.around = (before.to_owned(), after.to_owned());
        assert_eq!(set_up.walk(&issuer).await.as_deref(), Some("invalid_grant"), "{before:?} {after:?}");
        assert_eq!(set_up.diagnosis(&issuer), "D-19", "{before:?} {after:?}");
    }
}
