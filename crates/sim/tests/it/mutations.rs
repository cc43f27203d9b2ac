//! One mistake at a time in a set-up that works: the simulator must refuse with AWS's code, and the doctor's first error must be that
//! mistake.
//!
//! The mistakes are drawn with a fixed seed, so that a failure can be looked at again. What the doctor misses is printed, and at most one
//! case in twenty may be missed.

use serde_json::{Value, json};
use skybru_core::Randomness as _;
use skybru_core::ctx::SeededRandomness;
use skybru_federation::Severity;
use skybru_federation::aws::{LintInput, OidcProvider, ProviderInput, Role, RoleInput, Setup, lint};

use super::issuer::TestIssuer;
use super::sim::{ACCOUNT, AUDIENCE, NOW, ROLE, TestSim};
use crate::tally::Tally;

/// How often each kind of mistake is made, each time another way.
const ROUNDS: u64 = 6;

const SUBJECT: &str = "0192:917422575;entur:demo";

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(pub(crate) SeededRandomness);

impl Dice {
    pub(crate) fn below(&self, limit: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        usize::try_from(u32::from_le_bytes(bytes)).unwrap() % limit
    }

    pub(crate) fn one_of<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub(crate) fn seconds(&self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(usize::try_from(to - from).unwrap())).unwrap()
    }

    /// The text with one of its characters changed: another letter or digit, or the other case.
    pub(crate) fn misspelt(&self, text: &str) -> String {
        let mut characters: Vec<char> = text.chars().collect();
        let letters: Vec<usize> = (0..characters.len()).filter(|at| characters[*at].is_ascii_alphanumeric()).collect();
        let at = *self.one_of(&letters);
        let old = characters[at];
        characters[at] = match old {
            '0'..='8' => char::from_u32(u32::from(old) + 1).unwrap(),
            '9' => '0',
            letter if self.below(2) == 0 => letter.to_ascii_uppercase(),
            'z' => 'y',
            letter => char::from_u32(u32::from(letter) + 1).unwrap(),
        };
        characters.into_iter().collect()
    }
}

/// Everything that somebody can get wrong.
struct SetUp {
    provider_url: String,
    client_ids: Vec<String>,
    thumbprint: String,
    /// One statement of the trust policy; `Principal` is filled in.
    statement: Value,
    principal: Option<String>,
    discovery: Value,
    keys: Vec<Value>,
    header: Value,
    claims: Value,
    /// Instead of header and claims.
    token: Option<Box<dyn Fn(String) -> String>>,
    session_name: String,
    duration: u32,
}

impl SetUp {
    fn good(issuer: &TestIssuer) -> Self {
        let documents = issuer.documents.lock().unwrap().clone();
        let host = issuer.host();
        Self {
            provider_url: issuer.url.clone(),
            client_ids: vec![AUDIENCE.to_owned()],
            thumbprint: issuer.thumbprint.clone().unwrap_or_else(|| "0".repeat(40)),
            statement: json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {format!("{host}:aud"): AUDIENCE, format!("{host}:sub"): SUBJECT}}}),
            principal: None,
            discovery: documents.discovery,
            keys: documents.keys["keys"].as_array().unwrap().clone(),
            header: json!({"alg": "RS256", "kid": issuer.key.kid().as_str(), "typ": "JWT"}),
            claims: issuer.claims(NOW),
            token: None,
            session_name: "917422575".to_owned(),
            duration: 3600,
        }
    }

    fn host(&self) -> String {
        self.claims["iss"].as_str().unwrap().split_once("://").unwrap().1.to_owned()
    }

    /// Replaces the condition on `claim` by this operator, key and value.
    fn condition(&mut self, claim: &str, operator: &str, key: String, value: impl Into<Value>) {
        let good = format!("{}:{claim}", self.host());
        self.statement["Condition"]["StringEquals"].as_object_mut().unwrap().remove(&good);
        self.statement["Condition"][operator][key] = value.into();
    }

    fn trust(&self) -> String {
        let mut statement = self.statement.clone();
        let own = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{}", self.provider_url.split_once("://").unwrap().1);
        statement["Principal"] = json!({"Federated": self.principal.clone().unwrap_or(own)});
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }

    fn sign(&self, issuer: &TestIssuer) -> String {
        let token = issuer.key.sign_with_header(&self.header, &self.claims).unwrap();
        match &self.token {
            Some(change) => change(token),
            None => token,
        }
    }

    /// What the simulated AWS answers: its code, or `None` for credentials.
    async fn exchange(&self, issuer: &TestIssuer) -> Option<String> {
        {
            let mut documents = issuer.documents.lock().unwrap();
            documents.discovery = self.discovery.clone();
            documents.keys = json!({"keys": self.keys});
        }
        let t = TestSim::start().await;
        let mut provider =
            vec![("Url".to_owned(), self.provider_url.clone()), ("ThumbprintList.member.1".to_owned(), self.thumbprint.clone())];
        for (place, id) in self.client_ids.iter().enumerate() {
            provider.push((format!("ClientIDList.member.{}", place + 1), id.clone()));
        }
        let provider: Vec<(&str, &str)> = provider.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        t.iam("CreateOpenIDConnectProvider", &provider).await;
        if let Some(other) = &self.principal {
            let url = format!("https://{}", other.split_once("oidc-provider/").unwrap().1);
            t.iam("CreateOpenIDConnectProvider", &[("Url", &url), ("ThumbprintList.member.1", &self.thumbprint)]).await;
        }
        t.iam("CreateRole", &[("RoleName", "skyporten-role"), ("AssumeRolePolicyDocument", &self.trust())]).await;
        let (token, duration) = (self.sign(issuer), self.duration.to_string());
        let call = [
            ("RoleArn", ROLE),
            ("RoleSessionName", self.session_name.as_str()),
            ("WebIdentityToken", token.as_str()),
            ("DurationSeconds", duration.as_str()),
        ];
        let answer = t.sts(None, "AssumeRoleWithWebIdentity", &call).await;
        (answer.status != 200).then(|| answer.text("Code"))
    }

    /// The rule of the doctor's first error, or of its first finding when nothing is an error.
    fn diagnosis(&self, issuer: &TestIssuer) -> String {
        let provider = OidcProvider::create(
            ACCOUNT,
            ProviderInput {
                url: self.provider_url.clone(),
                client_ids: self.client_ids.clone(),
                thumbprints: Some(vec![self.thumbprint.clone()]),
                ..ProviderInput::default()
            },
            NOW,
        )
        .unwrap();
        let input = RoleInput { name: "skyporten-role".to_owned(), trust_policy: self.trust(), ..RoleInput::default() };
        let role = Role::create(ACCOUNT, String::new(), input, NOW, |_| true).unwrap();
        let token = self.sign(issuer);
        let keys = serde_json::from_value(json!({"keys": self.keys})).unwrap();
        let findings = lint(LintInput {
            discovery: Some(&serde_json::from_value(self.discovery.clone()).unwrap()),
            keys: Some(&keys),
            token_text: Some(&token),
            now: Some(NOW),
            setup: Setup {
                provider: Some(&provider),
                role: Some(&role),
                session_name: Some(&self.session_name),
                duration_seconds: Some(self.duration),
                private_chain: issuer.thumbprint.as_deref(),
            },
            ..LintInput::default()
        });
        let first = findings.iter().find(|finding| finding.severity == Severity::Error).or_else(|| findings.first());
        first.map_or_else(|| "nothing".to_owned(), |finding| finding.rule.to_owned())
    }
}

/// A kind of mistake: its name, AWS's code, the doctor's rules that name it, and how it is made.
type Mistake = (&'static str, &'static str, &'static [&'static str], fn(&mut SetUp, &Dice));

const NO_IDENTITY: &str = "InvalidIdentityToken";
const DENIED: &str = "AccessDenied";

const MISTAKES: [Mistake; 34] = [
    ("provider URL with a slash", NO_IDENTITY, &["D-20"], |s, _| s.provider_url.push('/')),
    ("provider URL with a path", NO_IDENTITY, &["D-20"], |s, dice| {
        s.provider_url.push_str(dice.one_of::<&str>(&["/oidc", "/issuer", "/v2.0", "/.well-known"]));
    }),
    ("token of another environment", NO_IDENTITY, &["D-16", "D-20"], |s, dice| {
        let iss = *dice.one_of(&["https://test.sky.example.no", "https://sky.example.com", "https://sky.maskinporten.no/"]);
        s.claims["iss"] = iss.into();
        s.discovery["issuer"] = iss.into();
    }),
    ("another audience registered", NO_IDENTITY, &["D-22"], |s, dice| s.client_ids = vec![dice.misspelt(AUDIENCE)]),
    ("audience with a slash", NO_IDENTITY, &["D-22"], |s, _| s.client_ids = vec![format!("{AUDIENCE}/")]),
    ("no audience registered", NO_IDENTITY, &["D-22"], |s, _| s.client_ids.clear()),
    ("subject misspelt in the policy", DENIED, &["D-25"], |s, dice| {
        let key = format!("{}:sub", s.host());
        s.condition("sub", "StringEquals", key, dice.misspelt(SUBJECT));
    }),
    ("subject without scope, or with another mark between", DENIED, &["D-25"], |s, dice| {
        let value = *dice.one_of(&[
            "0192:917422575",
            "917422575",
            "0192:917422575-entur:demo",
            "0192:917422575:entur:demo",
            "entur:demo",
        ]);
        let key = format!("{}:sub", s.host());
        s.condition("sub", "StringEquals", key, value);
    }),
    ("star compared literally", DENIED, &["D-25"], |s, dice| {
        let value = *dice.one_of(&["0192:917422575;*", "*;entur:demo", "0192:9174*"]);
        let key = format!("{}:sub", s.host());
        s.condition("sub", "StringEquals", key, value);
    }),
    ("audience misspelt in the policy", DENIED, &["D-25"], |s, dice| {
        let key = format!("{}:aud", s.host());
        s.condition("aud", "StringEquals", key, dice.misspelt(AUDIENCE));
    }),
    ("condition on a claim that AWS does not show", DENIED, &["D-23"], |s, dice| {
        let claim = *dice.one_of(&["scope", "consumer", "client_id", "consumer.ID", "iss", "client_amr"]);
        let key = format!("{}:{claim}", s.host());
        s.statement["Condition"]["StringEquals"][key] = "entur:demo".into();
    }),
    ("condition key with a wrong prefix", DENIED, &["D-24"], |s, dice| {
        let host = s.host();
        let key = match dice.below(4) {
            0 => format!("{host}/:sub"),
            1 => format!("https://{host}:sub"),
            2 => "sky.maskinporten.no:sub".to_owned(),
            _ => format!("{host}/oidc:sub"),
        };
        s.condition("sub", "StringEquals", key, SUBJECT);
    }),
    ("another action", DENIED, &["D-27"], |s, dice| {
        s.statement["Action"] =
            (*dice.one_of(&["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:TagSession", "sts:GetCallerIdentity"])).into();
    }),
    ("another provider as principal", DENIED, &["D-27"], |s, dice| {
        let other = *dice.one_of(&["sky.maskinporten.no", "test.sky.maskinporten.no", "accounts.example.com"]);
        s.principal = Some(format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{other}"));
    }),
    ("discovery lacks a field", NO_IDENTITY, &["D-01"], |s, dice| {
        let field =
            dice.one_of(&["response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"]);
        s.discovery.as_object_mut().unwrap().remove(*field);
    }),
    ("discovery names another issuer", NO_IDENTITY, &["D-02"], |s, dice| {
        let issuer = s.discovery["issuer"].as_str().unwrap();
        let other = match dice.below(3) {
            0 => format!("{issuer}/"),
            1 => issuer.replace("localhost", "LOCALHOST"),
            _ => issuer.replace("https://", ""),
        };
        s.discovery["issuer"] = other.into();
    }),
    ("key not published", NO_IDENTITY, &["D-05"], |s, dice| {
        s.keys[0]["kid"] = format!("older-{}", dice.below(1000)).into();
        s.keys.push(stranger(&s.keys[0], &format!("other-{}", dice.below(1000))));
    }),
    ("no kid in the token, and several keys", NO_IDENTITY, &["D-05"], |s, _| {
        s.header.as_object_mut().unwrap().remove("kid");
        s.keys.push(stranger(&s.keys[0], "next"));
    }),
    ("kid used again for another key", NO_IDENTITY, &["D-06"], |s, _| {
        let kid = s.keys[0]["kid"].as_str().unwrap().to_owned();
        s.keys.push(stranger(&s.keys[0], &kid));
    }),
    ("over a hundred keys", NO_IDENTITY, &["D-07"], |s, dice| {
        for number in 0..100 + dice.below(20) {
            s.keys.push(stranger(&s.keys[0], &format!("k{number}")));
        }
    }),
    ("a key that is not for signatures", NO_IDENTITY, &["D-07"], |s, dice| match dice.below(2) {
        0 => s.keys[0]["use"] = "enc".into(),
        _ => s.keys[0]["key_ops"] = json!(["verify"]),
    }),
    ("another algorithm", NO_IDENTITY, &["D-08"], |s, dice| {
        s.header["alg"] = (*dice.one_of(&["none", "HS256", "PS256", "PS512", "EdDSA"])).into();
    }),
    ("several audiences", NO_IDENTITY, &["D-10"], |s, dice| {
        s.claims["aud"] = json!([AUDIENCE, format!("https://{}.example.no", dice.below(100))]);
    }),
    ("azp that is registered nowhere", NO_IDENTITY, &["D-10", "D-22"], |s, dice| {
        s.claims["azp"] = format!("client-{}", dice.below(100)).into();
    }),
    ("a time missing or in another form", NO_IDENTITY, &["D-11"], |s, dice| match dice.below(3) {
        0 => drop(s.claims.as_object_mut().unwrap().remove("iat")),
        1 => s.claims["exp"] = json!(f64::from(u32::try_from(NOW).unwrap()) + 60.5),
        _ => drop(s.claims.as_object_mut().unwrap().remove("exp")),
    }),
    ("expired, or a clock that is behind", "ExpiredTokenException", &["D-13"], |s, dice| {
        let exp = NOW - dice.seconds(301, 90_000);
        (s.claims["iat"], s.claims["exp"]) = (json!(exp - 120), json!(exp));
    }),
    ("issued in the future", NO_IDENTITY, &["D-13"], |s, dice| {
        let iat = NOW + dice.seconds(301, 90_000);
        (s.claims["iat"], s.claims["exp"]) = (json!(iat), json!(iat + 120));
    }),
    ("no resource asked for", NO_IDENTITY, &["D-18"], |s, _| drop(s.claims.as_object_mut().unwrap().remove("aud"))),
    ("not the token alone", NO_IDENTITY, &["D-19"], |s, dice| {
        s.token = Some(match dice.below(4) {
            0 => Box::new(|token| format!("Bearer {token}")),
            1 => Box::new(|token| format!("\"{token}\"")),
            2 => Box::new(|token| json!({"access_token": token, "token_type": "Bearer", "expires_in": 119}).to_string()),
            _ => Box::new(|token| token[..token.rfind('.').unwrap()].to_owned()),
        });
    }),
    ("session name that AWS refuses", "ValidationError", &["D-28"], |s, dice| {
        s.session_name = String::from(*dice.one_of(&["0192:917422575", "a/b", "917422575;x", "x", "sky porten"]));
    }),
    ("duration that the role does not allow", "ValidationError", &["D-29"], |s, dice| {
        s.duration = *dice.one_of(&[60, 899, 3601, 7200, 43_200]);
    }),
    ("session tags that the policy does not expect", DENIED, &["D-31"], |s, dice| {
        s.claims["https://aws.amazon.com/tags"] =
            json!({"principal_tags": {format!("consumer{}", dice.below(9)): ["917422575"]}});
    }),
    ("subject in another case in the policy", DENIED, &["D-25"], |s, dice| {
        let (key, (organisation, scope)) = (format!("{}:sub", s.host()), SUBJECT.split_once(';').unwrap());
        let scope = if dice.below(2) == 0 { scope.to_uppercase() } else { format!("E{}", &scope[1..]) };
        s.condition("sub", "StringEquals", key, format!("{organisation};{scope}"));
    }),
    ("two scopes in the other order", DENIED, &["D-15", "D-25"], |s, dice| {
        let (key, second) = (format!("{}:sub", s.host()), dice.one_of::<&str>(&["entur:other", "entur:demo.write"]));
        s.claims["sub"] = format!("{SUBJECT} {second}").into();
        s.claims["scope"] = format!("{} {second}", SUBJECT.split_once(';').unwrap().1).into();
        let (organisation, scope) = SUBJECT.split_once(';').unwrap();
        s.condition("sub", "StringEquals", key, format!("{organisation};{second} {scope}"));
    }),
];

/// Another RSA key with this kid.
pub(crate) fn stranger(like: &Value, kid: &str) -> Value {
    let mut key = like.clone();
    let n = key["n"].as_str().unwrap();
    let middle = n.len() / 2;
    let other = if &n[middle..=middle] == "A" { "B" } else { "A" };
    key["n"] = format!("{}{other}{}", &n[..middle], &n[middle + 1..]).into();
    key["kid"] = kid.into();
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mistake_at_a_time_is_refused_and_named() {
    let issuer = TestIssuer::tls().await;
    let good = SetUp::good(&issuer);
    assert_eq!((good.exchange(&issuer).await, good.diagnosis(&issuer).as_str()), (None, "nothing"));
    let (mut cases, mut misses, mut wrong) = (0, Vec::new(), Vec::new());
    let mut tally = Tally::of("aws");
    for (kind, code, rules, make) in MISTAKES {
        let before = misses.len();
        for round in 0..ROUNDS {
            let mut set_up = SetUp::good(&issuer);
            // The issuer's documents carry the last mistake: begin with good ones.
            set_up.discovery = good.discovery.clone();
            set_up.keys.clone_from(&good.keys);
            make(&mut set_up, &Dice(SeededRandomness::new(round)));
            let answered = set_up.exchange(&issuer).await;
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
    assert!(wrong.is_empty(), "the simulator answers otherwise than AWS:\n{}", wrong.join("\n"));
    assert!(misses.len() * 20 <= cases, "{} of {cases} missed:\n{}", misses.len(), misses.join("\n"));
    tally.keep();
}

/// The same with a chain that nobody trusts, where the thumbprint decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_thumbprint_that_is_wrong_in_one_digit_is_refused_and_named() {
    let issuer = TestIssuer::tls().await;
    let good = SetUp::good(&issuer);
    assert_eq!((good.exchange(&issuer).await, good.diagnosis(&issuer).as_str()), (None, "nothing"));
    for round in 0..ROUNDS {
        let mut set_up = SetUp::good(&issuer);
        let place = Dice(SeededRandomness::new(round)).below(40);
        let other = if &set_up.thumbprint[place..=place] == "0" { "1" } else { "0" };
        set_up.thumbprint.replace_range(place..=place, other);
        assert_eq!(set_up.exchange(&issuer).await.as_deref(), Some(NO_IDENTITY), "round {round}");
        assert_eq!(set_up.diagnosis(&issuer), "D-30", "round {round}");
    }
}
