//! The Google simulator: a project in which organisation A shares a bucket with organisation B, as the guide has it.

mod exchange;
mod mutations;
mod objects;
mod settings;
mod tables;

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use skybru_core::ctx::{ManualClock, SeededRandomness};
use skybru_core::{Ctx, Secret};
use skybru_federation::google::Wording;
use skybru_sim::control::ControlSettings;
use skybru_sim::google::{GoogleSim, GoogleSimOptions};

use super::issuer::TestIssuer;

pub(crate) const NOW: i64 = 1_790_000_000;
const OWNER_TOKEN: &str = "ya29.owner";
const AUDIENCE: &str = "https://skyporten.example.no";
const SCOPE: &str = "entur:demo";
const CONSUMER: &str = "0192:917422575";
const NUMBER: &str = "100000000001";
const ACCOUNT: &str = "reader@skybru-lab.iam.gserviceaccount.com";
const BUCKET: &str = "fjordbuss-data";
const POOL: &str = "projects/100000000001/locations/global/workloadIdentityPools/skyporten";
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Status and body of an answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    /// `error` and `error_description` of STS.
    #[track_caller]
    fn oauth(&self) -> (u16, &str, &str) {
        let text = |name: &str| self.body[name].as_str().unwrap_or_default();
        (self.status, text("error"), text("error_description"))
    }

    /// The message of any other API.
    fn message(&self) -> (u16, &str) {
        (self.status, self.body["error"]["message"].as_str().unwrap_or_default())
    }

    #[track_caller]
    fn ok(self) -> Value {
        assert!(self.status < 300, "{self:?}");
        self.body
    }
}

struct Google {
    sim: GoogleSim,
    clock: Arc<ManualClock>,
    client: Client,
}

fn options(clock: &Arc<ManualClock>, issuer: &TestIssuer) -> GoogleSimOptions {
    GoogleSimOptions {
        port: 0,
        state_dir: None,
        ctx: Ctx::new(clock.clone(), Arc::new(SeededRandomness::new(1))),
        project: "skybru-lab".to_owned(),
        project_number: NUMBER.to_owned(),
        owner: "owner@fjordbuss.example".to_owned(),
        owner_token: Secret::from(OWNER_TOKEN.to_owned()),
        wording: Wording::Current,
        control: ControlSettings::default(),
        extra_roots_pem: issuer.ca_pem.clone(),
    }
}

impl Google {
    async fn start(issuer: &TestIssuer) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        Self::start_with(options(&clock, issuer), clock).await
    }

    async fn start_in(issuer: &TestIssuer, folder: PathBuf) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        Self::start_with(GoogleSimOptions { state_dir: Some(folder), ..options(&clock, issuer) }, clock).await
    }

    async fn start_with(options: GoogleSimOptions, clock: Arc<ManualClock>) -> Self {
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { sim: GoogleSim::start(options).await.unwrap(), clock, client }
    }

    /// A project with everything that the guide sets up.
    async fn shared(issuer: &TestIssuer) -> Self {
        let google = Self::start(issuer).await;
        google.set_up(issuer, &provider(issuer), &member()).await;
        google
    }

    async fn set_up(&self, issuer: &TestIssuer, provider: &Value, member: &str) -> Answer {
        let _ = issuer;
        let parent = "projects/skybru-lab/locations/global/workloadIdentityPools";
        self.owner(Method::POST, &format!("v1/{parent}?workloadIdentityPoolId=skyporten"), &json!({})).await.ok();
        let path = format!("v1/{parent}/skyporten/providers?workloadIdentityPoolProviderId=maskinporten");
        let created = self.owner(Method::POST, &path, provider).await;
        if created.status >= 300 {
            return created;
        }
        let account = json!({"accountId": "reader", "serviceAccount": {"displayName": "Reader"}});
        self.owner(Method::POST, "v1/projects/skybru-lab/serviceAccounts", &account).await.ok();
        self.owner(Method::POST, "storage/v1/b?project=skybru-lab", &json!({"name": BUCKET})).await.ok();
        for (name, text) in [("timetables/line-1.csv", "Bergen,07:10\n"), ("private/payroll.csv", "secret\n")] {
            self.put(name, text.as_bytes()).await.ok();
        }
        self.bind_bucket("roles/storage.objectViewer", &format!("serviceAccount:{ACCOUNT}")).await.ok();
        self.bind_account("roles/iam.workloadIdentityUser", member).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>, bearer: Option<&str>) -> Answer {
        let mut request = self.client.request(method, format!("{}/{path}", self.sim.base_url()));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    async fn owner(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.call(method, path, Some(body), Some(OWNER_TOKEN)).await
    }

    async fn get(&self, path: &str, bearer: &str) -> Answer {
        self.call(Method::GET, path, None, Some(bearer)).await
    }

    async fn put(&self, name: &str, bytes: &[u8]) -> Answer {
        let url = format!("{}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}", self.sim.base_url());
        let answer = self.client.post(url).bearer_auth(OWNER_TOKEN).header("content-type", "text/csv").body(bytes.to_vec());
        let answer = answer.send().await.unwrap();
        Answer { status: answer.status().as_u16(), body: answer.json().await.unwrap() }
    }

    async fn bind_account(&self, role: &str, member: &str) -> Answer {
        let path = format!("v1/projects/-/serviceAccounts/{ACCOUNT}:setIamPolicy");
        self.owner(Method::POST, &path, &json!({"policy": {"bindings": [{"role": role, "members": [member]}]}})).await
    }

    async fn bind_bucket(&self, role: &str, member: &str) -> Answer {
        let policy = json!({"bindings": [{"role": role, "members": [member]}]});
        self.owner(Method::PUT, &format!("storage/v1/b/{BUCKET}/iam"), &policy).await
    }

    /// `POST /v1/token` with these parameters changed.
    async fn exchange(&self, token: &str, changes: &[(&str, &str)]) -> Answer {
        let audience = format!("//iam.googleapis.com/{POOL}/providers/maskinporten");
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", audience.as_str()),
            ("scope", CLOUD_PLATFORM),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", token),
        ];
        for (name, value) in changes {
            form.retain(|(known, _)| known != name);
            form.push((name, value));
        }
        let answer = self.client.post(format!("{}/v1/token", self.sim.base_url())).form(&form).send().await.unwrap();
        Answer { status: answer.status().as_u16(), body: answer.json().await.unwrap() }
    }

    /// The federated access token for a token that Google takes.
    async fn federated(&self, token: &str) -> String {
        self.exchange(token, &[]).await.ok()["access_token"].as_str().unwrap().to_owned()
    }

    async fn impersonate(&self, federated: &str) -> Answer {
        let path = format!("v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken");
        let body = json!({"delegates": null, "scope": [CLOUD_PLATFORM], "lifetime": "3600s"});
        self.call(Method::POST, &path, Some(&body), Some(federated)).await
    }

    async fn read(&self, bearer: &str, name: &str) -> Answer {
        self.get(&format!("storage/v1/b/{BUCKET}/o/{}?alt=media", name.replace('/', "%2F")), bearer).await
    }

    /// The whole road: exchange, impersonate, read.
    async fn road(&self, token: &str, changes: &[(&str, &str)]) -> Answer {
        let exchanged = self.exchange(token, changes).await;
        let Some(federated) = exchanged.body["access_token"].as_str() else { return exchanged };
        let granted = self.impersonate(federated).await;
        let Some(bearer) = granted.body["accessToken"].as_str() else { return granted };
        self.read(bearer, "timetables/line-1.csv").await
    }
}

/// Skyporten's provider (G-15).
fn provider(issuer: &TestIssuer) -> Value {
    json!({
        "attributeMapping": {
            "google.subject": "assertion.consumer.ID",
            "attribute.maskinportenscope": "assertion.scope",
            "attribute.clientaccess": "\"client::\" + assertion.consumer.ID + \"::\" + assertion.scope",
        },
        "oidc": {"issuerUri": issuer.url, "allowedAudiences": [AUDIENCE]},
    })
}

fn member() -> String {
    format!("principalSet://iam.googleapis.com/{POOL}/attribute.clientaccess/client::{CONSUMER}::{SCOPE}")
}

fn claims(issuer: &TestIssuer) -> Value {
    let mut claims = issuer.claims(NOW);
    claims["sub"] = format!("{CONSUMER};{SCOPE}").into();
    claims["scope"] = SCOPE.into();
    claims["consumer"] = json!({"authority": "iso6523-actorid-upis", "ID": CONSUMER});
    claims
}

/// A good token with these claims changed; `null` takes a claim out.
fn token(issuer: &TestIssuer, changes: &Value) -> String {
    let mut all = claims(issuer);
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all[name] = value.clone();
        }
    }
    issuer.key.sign(None, &all).unwrap()
}
