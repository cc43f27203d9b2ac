//! `skybru doctor TARGET` beside a provider's mistake, made in the cloud itself: the doctor reads it there and names it.

use serde_json::{Value, json};

use crate::support::aws::Aws;
use crate::support::{Lab, RESOURCE, SUBJECT, stderr, stdout};

const ROLE: &str = "skyporten-timetables";
const GOOGLE_PROVIDER: &str = "projects/100000000001/locations/global/workloadIdentityPools/skyporten/providers/skyporten";
const GOOGLE_ACCOUNT: &str = "timetable-reader@skybru-lab.iam.gserviceaccount.com";

/// A lab, its owner's calls, and the doctor with the owner's token.
struct Live {
    lab: Lab,
    runtime: tokio::runtime::Runtime,
}

impl Live {
    fn start() -> Self {
        Self { lab: Lab::start(), runtime: tokio::runtime::Runtime::new().unwrap() }
    }

    /// A call as the owner, which must succeed.
    #[track_caller]
    fn call(&self, cloud: &str, method: &str, url: &str, body: &Value) -> Value {
        let token = self.lab.get(&format!("/clouds/{cloud}/access_token"));
        let request = self.lab.http().request(method.parse().unwrap(), url).bearer_auth(token).json(body);
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            assert!(status < 300, "{method} {url}: {text}");
            serde_json::from_str(&text).unwrap_or_default()
        })
    }

    fn google(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call("google", method, &format!("{}/{path}", self.lab.get("/clouds/google/endpoint")), body)
    }

    fn azure(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!(
            "{}/subscriptions/{}/{path}?api-version=2024-11-30",
            self.lab.get("/clouds/azure/arm"),
            self.lab.get("/clouds/azure/subscription_id")
        );
        self.call("azure", method, &url, body)
    }

    /// Exit code and JSON of the doctor, with the owner's tokens in the environment.
    fn doctor(&self, target: &str) -> (i32, Value) {
        let output = self
            .lab
            .skybru(&["doctor", target, "--json", "--ca-file", self.lab.get("/ca_file")])
            .env("AWS_ACCESS_KEY_ID", self.lab.get("/clouds/aws/access_key_id"))
            .env("AWS_SECRET_ACCESS_KEY", self.lab.get("/clouds/aws/secret_access_key"))
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", self.lab.get("/clouds/google/access_token"))
            .env("AZURE_ACCESS_TOKEN", self.lab.get("/clouds/azure/access_token"))
            .env("AZURE_GRAPH_ACCESS_TOKEN", self.lab.get("/clouds/azure/access_token"))
            .env("AZURE_STORAGE_ACCESS_TOKEN", self.lab.get("/clouds/azure/access_token"))
            .output()
            .unwrap();
        let text = stdout(&output);
        let value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", stderr(&output)));
        (output.status.code().unwrap(), value)
    }

    /// The doctor's first finding: its rule and where it was made.
    #[track_caller]
    fn first(&self, target: &str) -> (String, String) {
        let (code, report) = self.doctor(target);
        assert_eq!(code, 1, "{report}");
        let text = |member: &str| report["findings"][0][member].as_str().unwrap_or_default().to_owned();
        (text("rule"), text("where"))
    }

    /// Nothing is wrong, and the configuration was read: the proof names the one organisation.
    #[track_caller]
    fn is_fine(&self, target: &str) {
        let (code, report) = self.doctor(target);
        assert_eq!(code, 0, "{report}");
        let reach = report["reach"].as_array().unwrap_or_else(|| panic!("what the cloud was told was read: {report}"));
        assert!(reach.iter().all(|one| one["organisations"]["only"] == json!(["310702641"])), "{report}");
        assert!(report["notes"].to_string().contains("lets the consumer list"), "{report}");
    }
}

#[test]
fn a_mistake_at_google_is_read_there() {
    let live = Live::start();
    live.is_fine("demo-google");
    let provider = format!("v1/{GOOGLE_PROVIDER}");
    let issuer = live.lab.get("/issuers/skyporten").to_owned();
    let oidc = |issuer: &str, audience: &str| json!({"oidc": {"issuerUri": issuer, "allowedAudiences": [audience]}});
    let mistakes: [(&str, Value, Value); 4] = [
        ("D-41", json!({"disabled": true}), json!({"disabled": false})),
        ("D-42", oidc(&issuer, "https://else.example.no"), oidc(&issuer, RESOURCE)),
        ("D-43", oidc(&format!("{issuer}/"), RESOURCE), oidc(&issuer, RESOURCE)),
        ("D-45", json!({"attributeCondition": "assertion.scope == 'other:scope'"}), json!({"attributeCondition": "true"})),
    ];
    for (rule, mistake, mended) in mistakes {
        live.google("PATCH", &provider, &mistake);
        assert_eq!(live.first("demo-google"), (rule.to_owned(), "Google IAM".to_owned()));
        live.google("PATCH", &provider, &mended);
    }
    live.is_fine("demo-google");

    let account = format!("v1/projects/-/serviceAccounts/{GOOGLE_ACCOUNT}");
    let before = live.google("POST", &format!("{account}:getIamPolicy"), &json!({}));
    let set =
        |bindings: &Value| live.google("POST", &format!("{account}:setIamPolicy"), &json!({"policy": {"bindings": bindings}}));
    let mut other = before["bindings"].clone();
    let member = other[0]["members"][0].as_str().unwrap().replace("0192:310702641", "0192:917422575");
    other[0]["members"][0] = member.into();
    set(&other);
    assert_eq!(live.first("demo-google").0, "D-47", "the service account is bound to another organisation");
    set(&before["bindings"]);

    live.google("PUT", "storage/v1/b/fjordbuss-data/iam", &json!({"version": 3, "bindings": []}));
    let (rule, _) = live.first("demo-google");
    assert_eq!(rule, "D-50", "the exchange works, and the bucket says no");
}

#[test]
fn a_mistake_at_azure_is_read_there() {
    let live = Live::start();
    live.is_fine("demo-azure");
    let credential = "resourceGroups/sharing/providers/Microsoft.ManagedIdentity/userAssignedIdentities/skyporten-timetables/federatedIdentityCredentials/innsikt-data";
    let issuer = live.lab.get("/issuers/skyporten").to_owned();
    let trust = |issuer: &str, subject: &str, audience: &str| {
        live.azure("PUT", credential, &json!({"properties": {"issuer": issuer, "subject": subject, "audiences": [audience]}}));
    };
    let mistakes = [
        ("D-60", format!("{issuer}/"), SUBJECT, RESOURCE),
        ("D-61", issuer.clone(), "0192:310702641", RESOURCE),
        ("D-62", issuer.clone(), SUBJECT, "api://AzureADTokenExchange"),
    ];
    for (rule, issuer, subject, audience) in mistakes {
        trust(&issuer, subject, audience);
        assert_eq!(live.first("demo-azure"), (rule.to_owned(), "Azure Resource Manager".to_owned()));
    }
    trust(&issuer, SUBJECT, RESOURCE);
    live.is_fine("demo-azure");

    let container = "resourceGroups/sharing/providers/Microsoft.Storage/storageAccounts/fjordbussdata/blobServices/default/containers/fjordbuss-data";
    let assignment =
        |last: u8| format!("providers/Microsoft.Authorization/roleAssignments/5b0c3a52-0000-4000-8000-00000000000{last}");
    live.azure("DELETE", &format!("{container}/{}", assignment(1)), &Value::Null);
    let (code, report) = live.doctor("demo-azure");
    assert_eq!((code, report["findings"][0]["rule"].as_str()), (1, Some("E-66")), "{report}");
    assert!(
        report["findings"][0]["expected"].as_str().unwrap().ends_with("/containers/fjordbuss-data"),
        "read, not guessed: {report}"
    );

    let role = format!(
        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/b24988ac-6180-42a0-ab88-20f7382dd24c",
        live.lab.get("/clouds/azure/subscription_id")
    );
    let who = live.lab.get("/clouds/azure/principal_id");
    let properties = json!({"roleDefinitionId": role, "principalId": who, "principalType": "ServicePrincipal"});
    live.azure("PUT", &format!("resourceGroups/sharing/{}", assignment(9)), &json!({"properties": properties}));
    assert_eq!(live.first("demo-azure").0, "D-68", "Contributor, as the guide of 2024 has it, is no data role");

    let account = "resourceGroups/sharing/providers/Microsoft.Storage/storageAccounts/fjordbussdata";
    live.azure("PATCH", account, &json!({"properties": {"publicNetworkAccess": "Disabled"}}));
    assert_eq!(live.first("demo-azure").0, "D-73");
}

#[test]
fn a_mistake_at_aws_is_read_there() {
    let live = Live::start();
    live.is_fine("demo");
    let aws = Aws::of(&live.lab);
    aws.iam("DeleteRolePolicy", &[("RoleName", ROLE), ("PolicyName", "read-timetables")]);
    let (code, report) = live.doctor("demo");
    assert_eq!((code, report["findings"][0]["rule"].as_str()), (1, Some("D-32")), "{report}");
    let what = report["findings"][0]["what"].as_str().unwrap();
    assert_eq!(what, "the role was assumed, and none of its policies allows s3:ListBucket on arn:aws:s3:::fjordbuss-data");

    let host = live.lab.get("/issuers/skyporten").trim_start_matches("https://").to_owned();
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": format!("arn:aws:iam::123456789012:oidc-provider/{host}")},
        "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {format!("{host}:scope"): "fjordbuss:timetables.read"}}}]});
    aws.iam("UpdateAssumeRolePolicy", &[("RoleName", ROLE), ("PolicyDocument", &trust.to_string())]);
    assert_eq!(live.first("demo"), ("D-23".to_owned(), "AWS IAM".to_owned()));
}

/// Without the owner's token nothing is asked, and what is guessed is said to be a guess.
#[test]
fn an_owners_token_is_sent_to_the_cloud_or_to_this_machine_alone() {
    let lab = Lab::start();
    let ask = |variable: &str, address: &str| {
        let target = if variable.contains("AZURE") { "demo-azure" } else { "demo-google" };
        let output = lab
            .skybru(&["doctor", target, "--json", "--token", "token"])
            .env(variable, address)
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.secret")
            .env("AZURE_ACCESS_TOKEN", "secret")
            .output()
            .unwrap();
        stdout(&output)
    };
    std::fs::write(lab.folder.join("token"), lab.token(&[])).unwrap();
    let text = ask("SKYBRU_TARGETS__DEMO_GOOGLE__GOOGLE__ENDPOINT", "https://cloud.example.invalid");
    assert!(text.contains("is not sent to https://cloud.example.invalid"), "{text}");
    let text = ask("SKYBRU_TARGETS__DEMO_AZURE__AZURE__ARM", "https://cloud.example.invalid");
    assert!(text.contains("is not sent to https://cloud.example.invalid"), "{text}");
}

/// The share's own file against what its clouds let in now: nobody else, and nobody less.
#[test]
fn a_share_file_is_held_against_what_is_there() {
    let live = Live::start();
    let ask = |orgs: &[&str]| {
        let consumers = orgs.iter().map(|org| format!("    - {{ org: \"{org}\", access: read }}\n")).collect::<Vec<_>>().concat();
        let text = format!(
            "apiVersion: skybru.dev/v1\nkind: Share\nmetadata: {{ name: timetables }}\nspec:\n  issuer: {}\n  scope: fjordbuss:timetables.read\n  audience: {RESOURCE}\n  \
             consumers:\n{consumers}  aws: {{ account: \"123456789012\", region: eu-north-1, bucket: fjordbuss-data }}\n  google: {{ project: skybru-lab, bucket: fjordbuss-data }}\n  \
             azure: {{ account: fjordbussdata, container: fjordbuss-data }}\n",
            live.lab.get("/issuers/skyporten")
        );
        std::fs::write(live.lab.folder.join("share.yaml"), text).unwrap();
        let (code, report) = live.doctor("share.yaml");
        let findings = report["findings"].as_array().unwrap().iter();
        let text = |finding: &Value| format!("{}: {}", finding["rule"].as_str().unwrap(), finding["what"].as_str().unwrap());
        (code, findings.filter(|finding| finding["severity"] != "advice").map(text).collect::<Vec<_>>())
    };
    assert_eq!(ask(&["0192:310702641"]), (0, Vec::new()));
    let (code, found) = ask(&["0192:310702641", "0192:917422575"]);
    assert_eq!((code, found.len()), (1, 3), "{found:?}");
    for words in
        ["D-25: nothing at AWS lets in 0192:917422575", "D-47: nothing at Google Cloud lets in", "D-61: nothing at Azure lets in"]
    {
        assert!(found.iter().any(|text| text.starts_with(words)), "{words}: {found:?}");
    }
    let (code, found) = ask(&["0192:917422575"]);
    assert_eq!(code, 1);
    let role = "role skyporten-timetables, statement 1 can let in 0192:310702641, whom the share does not name";
    assert!(found.iter().any(|text| text == &format!("D-26: {role}")), "{found:?}");
    assert!(
        found.iter().any(|text| text.starts_with("D-49: ")) && found.iter().any(|text| text.starts_with("D-61: identity")),
        "{found:?}"
    );
}

/// E-62: an application registration is shown by Graph alone.
#[test]
fn an_applications_registration_is_read_from_graph() {
    let live = Live::start();
    let graph = format!("{}/v1.0/applications", live.lab.get("/clouds/azure/arm").replace("/arm", "/graph"));
    let ask = |method: &str, url: &str, body: &Value| live.call("azure", method, url, body);
    let made = ask("POST", &graph, &json!({"displayName": "innsikt"}));
    let credentials = format!("{graph}/{}/federatedIdentityCredentials", made["id"].as_str().unwrap());
    let issuer = live.lab.get("/issuers/skyporten");
    let credential = json!({"name": "innsikt", "issuer": issuer, "subject": "0192:310702641", "audiences": [RESOURCE]});
    ask("POST", &credentials, &credential);
    let settings = live.lab.get("/demo/config_file");
    let text = std::fs::read_to_string(settings).unwrap();
    let changed = text.replace(live.lab.get("/clouds/azure/client_id"), made["appId"].as_str().unwrap());
    assert_ne!(text, changed);
    std::fs::write(settings, changed).unwrap();
    assert_eq!(live.first("demo-azure"), ("D-61".to_owned(), "Microsoft Graph".to_owned()));
}

/// D-74: in an account with folders the lists decide, and storage alone shows them.
#[test]
fn a_folder_that_lets_nobody_through_is_read_from_the_lakes_lists() {
    let live = Live::start();
    let settings = live.lab.get("/demo/config_file");
    let text = std::fs::read_to_string(settings).unwrap();
    let changed = text
        .replace("[targets.demo-azure]\n", "[targets.demo-azure]\nprefix = \"timetables\"\n")
        .replace("account = \"fjordbussdata\"", "account = \"fjordbusslake\"");
    std::fs::write(settings, changed).unwrap();
    let url = format!("{}fjordbusslake/fjordbuss-data?action=setAccessControl", live.lab.get("/clouds/azure/dfs"));
    let set = |list: &str| {
        let request = live.lab.http().patch(&url).bearer_auth(live.lab.get("/clouds/azure/access_token"));
        let request = request.header("x-ms-version", "2023-11-03").header("x-ms-acl", list);
        let status = live.runtime.block_on(async { request.send().await.unwrap().status() });
        assert!(status.is_success(), "{status}");
    };
    // Blob's listing asks for a role, so the data are refused; what is read of the lists says whether they are the reason.
    let found = || -> Vec<String> {
        let (_, report) = live.doctor("demo-azure");
        let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "error");
        findings.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
    };
    assert!(!found().contains(&"D-74".to_owned()));
    set("user::rwx,group::r-x,other::---");
    assert_eq!(live.first("demo-azure").0, "D-74");
    set(&format!("user::rwx,user:{}:--x,group::r-x,mask::r-x,other::---", live.lab.get("/clouds/azure/principal_id")));
    assert!(!found().contains(&"D-74".to_owned()));
}
