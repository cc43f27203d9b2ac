//! One mistake at a time in a set-up that works: the simulator must refuse with Entra's number or storage's code, and the doctor's first
//! error must be that mistake.
//!
//! The mistakes are drawn with a fixed seed, so that a failure can be looked at again. What the doctor misses is printed, and at most one
//! case in twenty may be missed.

use reqwest::Method;
use serde_json::{Value, json};
use skybru_core::ctx::SeededRandomness;
use skybru_federation::Severity;
use skybru_federation::azure::acl::Acl;
use skybru_federation::azure::roles::{built_in, id};
use skybru_federation::azure::{BlobOperation, FilesCall, Grants, PathAcls, RoleAssignment};
use skybru_federation::entra::{Access, CredentialInput, FederatedCredential, Identity, IdentityKind, Setup, Tenant};
use skybru_federation::lint::{LintInput, lint};

use super::sim::{ACCOUNT, AUDIENCE, LAKE, SUBJECT, TestAzure};
use crate::mutations::{Dice, stranger};
use crate::tally::Tally;

/// How often each kind of mistake is made, each time another way.
const ROUNDS: u64 = 5;

/// The data that B is after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// A blob, by a role.
    Blob,
    /// A path, by access control lists.
    Path,
    /// A file in a share, by a role and the intent.
    File,
}

/// Everything that somebody can get wrong.
struct SetUp {
    /// Issuer, subject and audience of the credential.
    credential: (String, String, String),
    tenant: String,
    client_id: String,
    scope: String,
    header: Value,
    claims: Value,
    /// What becomes of the token on its way.
    token: Option<Box<dyn Fn(String) -> String>>,
    discovery: Value,
    keys: Vec<Value>,
    goal: Goal,
    /// Roles, each at a scope, to a principal.
    roles: Vec<(String, String, String)>,
    /// The lists of root, folder and file.
    lists: [String; 3],
    intent: Option<&'static str>,
    version: &'static str,
    is_public: bool,
}

impl SetUp {
    fn good(t: &TestAzure, goal: Goal) -> Self {
        let documents = t.issuer.documents.lock().unwrap().clone();
        let who = &t.principal_id;
        let share = t.account(ACCOUNT, "/fileServices/default/fileshares/files");
        let role = |role: &str, scope: String| vec![(role.to_owned(), scope, who.clone())];
        Self {
            credential: (t.issuer.url.clone(), SUBJECT.to_owned(), AUDIENCE.to_owned()),
            tenant: t.sim.tenant_id(),
            client_id: t.client_id.clone(),
            scope: "https://storage.azure.com/.default".to_owned(),
            header: json!({"alg": "RS256", "kid": t.issuer.key.kid().as_str(), "typ": "JWT"}),
            claims: t.issuer.claims(t.now()),
            token: None,
            discovery: documents.discovery,
            keys: documents.keys["keys"].as_array().unwrap().clone(),
            goal,
            roles: match goal {
                Goal::Blob => role(id::BLOB_DATA_READER, t.container("timetables")),
                Goal::Path => Vec::new(),
                Goal::File => role(id::FILE_DATA_PRIVILEGED_READER, share),
            },
            lists: [format!("user:{who}:--x"), format!("user:{who}:--x"), format!("user:{who}:r--")],
            intent: Some("backup"),
            version: "2025-05-05",
            is_public: true,
        }
    }

    fn sign(&self, t: &TestAzure) -> String {
        let token = t.issuer.key.sign_with_header(&self.header, &self.claims).unwrap();
        self.token.as_ref().map_or(token.clone(), |change| change(token))
    }

    /// The resource that the role belongs on.
    fn scope(&self, t: &TestAzure) -> String {
        match self.goal {
            Goal::Blob => t.container("timetables"),
            Goal::Path => t.account(LAKE, "/blobServices/default/containers/lake"),
            Goal::File => t.account(ACCOUNT, "/fileServices/default/fileshares/files"),
        }
    }

    /// Makes it so at the simulator, tries, and gives the number or code of the refusal.
    async fn attempt(&self, t: &TestAzure) -> Option<String> {
        {
            let mut documents = t.issuer.documents.lock().unwrap();
            documents.discovery = self.discovery.clone();
            documents.keys = json!({"keys": self.keys});
        }
        let (issuer, subject, audience) = &self.credential;
        assert!(t.trust("b-reads", issuer, subject, audience).await.status < 300);
        let account = t.account(if self.goal == Goal::Path { LAKE } else { ACCOUNT }, "");
        let public = |yes: bool| json!({"properties": {"publicNetworkAccess": if yes { "Enabled" } else { "Disabled" }}});
        t.arm(Method::PATCH, &account, &public(true)).await;
        let mut refused_role = None;
        for (role, scope, principal) in &self.roles {
            let reply = t.assign(role, scope, principal).await;
            if reply.status >= 300 {
                refused_role = Some(reply.json()["error"]["code"].as_str().unwrap().to_owned());
            }
        }
        if self.goal == Goal::Path {
            for (path, list) in ["lake/", "lake/out", "lake/out/a.csv"].into_iter().zip(&self.lists) {
                let url = t.lake_url(&format!("{path}?action=setAccessControl"));
                assert_eq!(t.storage(t.owner(), Method::PATCH, &url, &[("x-ms-acl", list)], "").await.status, 200);
            }
        }
        t.arm(Method::PATCH, &account, &public(self.is_public)).await;
        let answer = match refused_role {
            Some(code) => Some(code),
            None => self.go(t).await,
        };
        for (role, scope, principal) in &self.roles {
            t.take_away(role, scope, principal).await;
        }
        answer
    }

    async fn go(&self, t: &TestAzure) -> Option<String> {
        let token = self.sign(t);
        let changes = [("client_id", self.client_id.as_str()), ("scope", self.scope.as_str())];
        let reply = t.exchange_for(&token, &changes, &self.tenant).await;
        if reply.status != 200 {
            return Some(reply.json()["error_codes"][0].to_string());
        }
        let access = reply.json()["access_token"].as_str().unwrap().to_owned();
        let url = match self.goal {
            Goal::Blob => t.blob_url("timetables", "line-1.csv"),
            Goal::Path => t.lake_url("lake/out/a.csv"),
            Goal::File => format!("{}/{ACCOUNT}/files/out/a.txt", t.sim.file()),
        };
        let mut request = t.http.get(url).bearer_auth(access).header("x-ms-version", self.version);
        if let Some(intent) = self.intent {
            request = request.header("x-ms-file-request-intent", intent);
        }
        let reply = super::sim::read(request).await;
        (reply.status != 200).then(|| reply.header("x-ms-error-code").to_owned())
    }

    /// The rule of the doctor's first error, or of its first finding above advice when nothing is an error.
    fn diagnosis(&self, t: &TestAzure) -> String {
        let (issuer, subject, audience) = self.credential.clone();
        let input = CredentialInput {
            name: "b-reads".to_owned(),
            issuer: Some(issuer),
            subject: Some(subject),
            audiences: vec![audience],
            ..CredentialInput::default()
        };
        let credential = FederatedCredential::create(input, &[], IdentityKind::ManagedIdentity, 0).unwrap();
        let identity = Identity {
            kind: IdentityKind::ManagedIdentity,
            name: "timetables".to_owned(),
            client_id: t.client_id.clone(),
            principal_id: t.principal_id.clone(),
            credentials: vec![credential],
        };
        let tenant = Tenant { id: t.sim.tenant_id(), name: String::new(), domains: Vec::new() };
        let assignment = |(role, scope, principal): &(String, String, String)| RoleAssignment {
            name: String::new(),
            scope: scope.clone(),
            role: role.clone(),
            principal_id: principal.clone(),
            principal_type: None,
            created: 0,
        };
        let assignments: Vec<RoleAssignment> = self.roles.iter().map(assignment).collect();
        let (roles, scope) = (built_in(), self.scope(t));
        let owner = t.sim.owner_principal_id();
        let folders = [0, 1].map(|place| Acl::of_owner(&owner, true).set(&self.lists[place], true).unwrap());
        let (above, file) = ([&folders[0], &folders[1]], Acl::of_owner(&owner, false).set(&self.lists[2], false).unwrap());
        let read = BlobOperation::ReadBlob.action();
        let action = match self.goal {
            Goal::File => "Microsoft.Storage/storageAccounts/fileServices/fileshares/files/read",
            _ => read.as_str(),
        };
        let access = Access {
            grants: Grants { assignments: &assignments, roles: &roles },
            scope: &scope,
            action,
            acls: (self.goal == Goal::Path).then_some(PathAcls { above: &above, own: Some(&file) }),
            is_public: self.is_public,
        };
        let setup = Setup {
            credentials_unknown: false,
            identity: Some(&identity),
            tenant: Some(&tenant),
            tenant_given: Some(&self.tenant),
            client_id: Some(&self.client_id),
            scope: Some(&self.scope),
            access: Some(access),
            files: (self.goal == Goal::File).then_some(FilesCall { version: Some(self.version), intent: self.intent }),
        };
        let token = self.sign(t);
        let keys = serde_json::from_value(json!({"keys": self.keys})).unwrap();
        let findings = lint(LintInput {
            discovery: Some(&serde_json::from_value(self.discovery.clone()).unwrap()),
            keys: Some(&keys),
            token_text: Some(&token),
            now: Some(t.now()),
            azure: Some(setup),
            ..LintInput::default()
        });
        let worst = findings.iter().find(|finding| finding.severity == Severity::Error);
        let first = worst.or_else(|| findings.iter().find(|finding| finding.severity > Severity::Advice));
        first.map_or_else(|| "nothing".to_owned(), |finding| finding.rule.to_owned())
    }
}

/// A kind of mistake: its name, what is read, the number or code, the doctor's rules that name it, and how it is made.
type Mistake = (&'static str, Goal, &'static str, &'static [&'static str], fn(&mut SetUp, &Dice, &TestAzure));

const MISTAKES: [Mistake; 31] = [
    ("credential's issuer with a slash or without its scheme", Goal::Blob, "700211", &["D-60"], |s, dice, _| {
        let issuer = s.credential.0.clone();
        s.credential.0 = match dice.below(3) {
            0 => format!("{issuer}/"),
            1 => issuer.replace("https://", ""),
            _ => format!(" {issuer}"),
        };
    }),
    ("credential's issuer misspelt", Goal::Blob, "700211", &["D-60", "D-16"], |s, dice, _| {
        s.credential.0 = format!("https://{}", dice.misspelt(&s.credential.0[8..]));
    }),
    ("credential for another environment", Goal::Blob, "700211", &["D-60", "D-16"], |s, dice, _| {
        let host = s.credential.0.trim_start_matches("https://").to_owned();
        s.credential.0 = format!("https://{}{host}", dice.one_of::<&str>(&["test.", "ver2.", "staging."]));
    }),
    ("subject without its scope", Goal::Blob, "700213", &["D-61"], |s, _, _| "0192:917422575".clone_into(&mut s.credential.1)),
    ("subject misspelt", Goal::Blob, "700213", &["D-61"], |s, dice, _| s.credential.1 = dice.misspelt(&s.credential.1)),
    ("subject in another case", Goal::Blob, "700213", &["D-61"], |s, dice, _| {
        s.credential.1 =
            dice.one_of(&["0192:917422575;Entur:demo", "0192:917422575;entur:Demo", "0192:917422575;ENTUR:DEMO"]).to_string();
    }),
    ("subject with a star", Goal::Blob, "700213", &["D-66"], |s, dice, _| {
        s.credential.1 = dice.one_of(&["0192:917422575;*", "0192:*;entur:demo", "*"]).to_string();
    }),
    ("another organisation's token", Goal::Blob, "700213", &["D-61"], |s, dice, _| {
        s.claims["sub"] = format!("0192:{};entur:demo", dice.one_of::<&str>(&["889640782", "311046349", "310702641"])).into();
    }),
    ("token with two scopes", Goal::Blob, "700213", &["D-15"], |s, dice, _| {
        let more = *dice.one_of(&["entur:more", "nlod:all", "a:b"]);
        s.claims["scope"] = format!("entur:demo {more}").into();
        s.claims["sub"] = format!("{SUBJECT} {more}").into();
    }),
    ("token for another audience", Goal::Blob, "700212", &["D-62"], |s, dice, _| {
        s.claims["aud"] =
            (*dice.one_of(&["https://entur.org", "api://AzureADTokenExchange", "https://skyporten.example.no/"])).into();
    }),
    ("credential with another audience", Goal::Blob, "700212", &["D-62"], |s, dice, _| {
        s.credential.2 = dice.one_of(&["api://AzureADTokenExchange", "https://sky.example.no", "x"]).to_string();
    }),
    ("token with two audiences", Goal::Blob, "700212", &["D-10"], |s, dice, _| {
        s.claims["aud"] = json!([AUDIENCE, dice.one_of::<&str>(&["https://entur.org", "b"])]);
    }),
    ("token without an audience", Goal::Blob, "90014", &["D-18"], |s, _, _| {
        s.claims.as_object_mut().unwrap().remove("aud");
    }),
    ("wrong tenant", Goal::Blob, "90002", &["D-64"], |s, dice, _| {
        let misspelt = dice.misspelt(&s.tenant);
        // An id in upper case is the same id.
        s.tenant = if misspelt.eq_ignore_ascii_case(&s.tenant) { format!("{misspelt}0") } else { misspelt };
    }),
    ("principal id as client id", Goal::Blob, "700016", &["D-63"], |s, _, t| s.client_id.clone_from(&t.principal_id)),
    ("scope without /.default", Goal::Blob, "1002012", &["D-72"], |s, dice, _| {
        s.scope = dice.one_of(&["https://storage.azure.com", "https://storage.azure.com/", "user_impersonation"]).to_string();
    }),
    ("scope of another service", Goal::Blob, "InvalidAuthenticationInfo", &["D-72"], |s, dice, _| {
        s.scope = dice.one_of(&["https://management.azure.com/.default", "https://graph.microsoft.com/.default"]).to_string();
    }),
    ("another algorithm", Goal::Blob, "5002738", &["D-08"], |s, dice, _| {
        s.header["alg"] = (*dice.one_of(&["RS384", "ES256", "PS256", "none", "EdDSA"])).into();
    }),
    ("another kind of token", Goal::Blob, "5002727", &["D-09"], |s, dice, _| {
        s.header["typ"] = (*dice.one_of(&["at+jwt", "jwt", "application/jwt", "JWS"])).into();
    }),
    ("no kid", Goal::Blob, "5002723", &["D-05"], |s, _, _| drop(s.header.as_object_mut().unwrap().remove("kid"))),
    ("a kid that is not published", Goal::Blob, "700027", &["D-05"], |s, dice, _| {
        s.header["kid"] = dice.misspelt(s.header["kid"].as_str().unwrap()).into();
    }),
    ("another key under the kid", Goal::Blob, "7000274", &["D-06"], |s, _, _| {
        let kid = s.keys[0]["kid"].as_str().unwrap().to_owned();
        s.keys = vec![stranger(&s.keys[0], &kid)];
    }),
    ("expired, or not begun", Goal::Blob, "700024", &["D-13"], |s, dice, _| {
        let shift = if dice.below(2) == 0 { -dice.seconds(430, 90_000) } else { dice.seconds(310, 90_000) };
        for name in ["iat", "exp"] {
            s.claims[name] = (s.claims[name].as_i64().unwrap() + shift).into();
        }
    }),
    ("not a token alone", Goal::Blob, "50027", &["D-19"], |s, dice, _| {
        let around = *dice.one_of(&["Bearer {}", "{}\n", "\"{}\"", "{\"access_token\":\"{}\"}", " {}"]);
        s.token = Some(Box::new(move |token| around.replace("{}", &token)));
    }),
    ("discovery that is empty where it matters", Goal::Blob, "501661", &["D-01"], |s, dice, _| {
        if dice.below(2) == 0 {
            s.discovery["authorization_endpoint"] = "".into();
        } else {
            s.discovery["subject_types_supported"] = json!([]);
        }
    }),
    ("discovery of another issuer", Goal::Blob, "501661", &["D-02"], |s, dice, _| {
        let issuer = s.discovery["issuer"].as_str().unwrap();
        s.discovery["issuer"] = if dice.below(2) == 0 { format!("{issuer}/") } else { issuer.to_uppercase() }.into();
    }),
    ("role on another scope, or none", Goal::Blob, "AuthorizationPermissionMismatch", &["E-66"], |s, dice, t| {
        match dice.below(3) {
            0 => s.roles.clear(),
            1 => s.roles[0].1 = t.container("private"),
            _ => s.roles[0].1 = t.account(LAKE, ""),
        }
    }),
    ("Contributor instead of a data role", Goal::Blob, "AuthorizationPermissionMismatch", &["D-68"], |s, dice, t| {
        s.roles[0].0 = dice.one_of(&[id::CONTRIBUTOR, id::OWNER, id::READER]).to_string();
        if dice.below(2) == 0 {
            s.roles[0].1 = t.account(ACCOUNT, "");
        }
    }),
    ("a folder that does not let through", Goal::Path, "AuthorizationPermissionMismatch", &["D-74"], |s, dice, _| {
        let place = dice.below(2);
        s.lists[place] = s.lists[place].replace(":--x", dice.one_of::<&str>(&[":---", ":r--"]));
    }),
    ("the client id in a list", Goal::Path, "AuthorizationPermissionMismatch", &["D-63"], |s, _, t| {
        s.lists[2] = s.lists[2].replace(&t.principal_id, &t.client_id);
    }),
    ("Files without its intent, or of an old version", Goal::File, "", &["D-69"], |s, dice, _| {
        if dice.below(2) == 0 {
            s.intent = None;
        } else {
            s.version = dice.one_of::<&str>(&["2021-12-02", "2019-07-07"]);
        }
    }),
];

/// What Files says, one or the other.
const FILES_CODES: &str = "MissingRequiredHeader or InvalidAuthenticationInfo";

/// The fragile ones: a mistake is only one if what it changed is not what it was.
fn is_no_mistake(s: &SetUp, good: &SetUp, t: &TestAzure) -> bool {
    let unchanged =
        s.credential == good.credential && s.tenant == good.tenant && s.client_id == good.client_id && s.scope == good.scope;
    unchanged
        && s.sign(t) == good.sign(t)
        && s.roles == good.roles
        && s.lists == good.lists
        && s.intent == good.intent
        && s.version == good.version
        && s.discovery == good.discovery
        && s.keys == good.keys
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mistake_at_a_time_is_refused_and_named() {
    let t = TestAzure::start().await;
    // The set-up's own role is given case by case.
    t.take_away(id::BLOB_DATA_READER, &t.container("timetables"), &t.principal_id).await;
    for url in ["lake/out?resource=directory", "lake/out/a.csv?resource=file"] {
        assert_eq!(t.storage(t.owner(), Method::PUT, &t.lake_url(url), &[], "").await.status, 201);
    }
    let intent = ("x-ms-file-request-intent", "backup");
    let file = format!("{}/{ACCOUNT}/files/out", t.sim.file());
    t.storage(t.owner(), Method::PUT, &format!("{file}?restype=directory"), &[intent], "").await;
    let headers = [intent, ("x-ms-type", "file"), ("x-ms-content-length", "5")];
    assert_eq!(t.storage(t.owner(), Method::PUT, &format!("{file}/a.txt"), &headers, "").await.status, 201);

    let good = [Goal::Blob, Goal::Path, Goal::File].map(|goal| SetUp::good(&t, goal));
    for one in &good {
        assert_eq!((one.attempt(&t).await, one.diagnosis(&t).as_str()), (None, "nothing"));
    }
    let (mut cases, mut misses, mut wrong) = (0, Vec::new(), Vec::new());
    let mut tally = Tally::of("azure");
    for (kind, goal, code, rules, make) in MISTAKES {
        let before = misses.len();
        for round in 0..ROUNDS {
            let begin = good.iter().find(|one| one.goal == goal).unwrap();
            let mut set_up = SetUp::good(&t, goal);
            // The issuer's documents carry the last mistake: begin with good ones.
            set_up.discovery = begin.discovery.clone();
            set_up.keys.clone_from(&begin.keys);
            make(&mut set_up, &Dice(SeededRandomness::new(round)), &t);
            assert!(!is_no_mistake(&set_up, begin, &t), "{kind}, round {round} changes nothing");
            let answered = set_up.attempt(&t).await;
            let as_it_must = if code.is_empty() {
                matches!(answered.as_deref(), Some("MissingRequiredHeader" | "InvalidAuthenticationInfo"))
            } else {
                answered.as_deref() == Some(code)
            };
            if !as_it_must {
                wrong.push(format!("{kind}, round {round}: {answered:?} instead of {code}"));
            }
            cases += 1;
            let diagnosis = set_up.diagnosis(&t);
            if !rules.contains(&diagnosis.as_str()) {
                misses.push(format!("{kind}, round {round}: {diagnosis} instead of {}", rules.join(" or ")));
            }
        }
        tally.add(kind, if code.is_empty() { FILES_CODES } else { code }, rules, ROUNDS, &misses[before..]);
    }
    println!("{} of {cases} mistakes were not the doctor's first finding\n{}", misses.len(), misses.join("\n"));
    assert!(cases >= 100);
    assert!(wrong.is_empty(), "the simulator answers otherwise than Azure:\n{}", wrong.join("\n"));
    assert!(misses.len() * 20 <= cases, "{} of {cases} missed:\n{}", misses.len(), misses.join("\n"));
    tally.keep();
}
