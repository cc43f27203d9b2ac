//! A simulator, an issuer that its directory trusts, and a client that calls as SDKs do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::{Certificate as Root, Client, Method};
use serde_json::{Value, json};
use skybru_core::ctx::{ManualClock, SeededRandomness};
use skybru_core::{Ctx, Secret};
use skybru_federation::azure::roles::id;
use skybru_federation::entra::Rules;
use skybru_sim::azure::{AzurePorts, AzureSim, AzureSimOptions};
use skybru_sim::control::ControlSettings;

use crate::issuer::{Certificate, TestIssuer};
use crate::sim::NOW;

pub(crate) const GROUP: &str = "sharing";
pub(crate) const ACCOUNT: &str = "fjordbuss";
/// The account with folders.
pub(crate) const LAKE: &str = "fjordbusslake";
pub(crate) const AUDIENCE: &str = "https://skyporten.example.no";
pub(crate) const SUBJECT: &str = "0192:917422575;entur:demo";
const OWNER_TOKEN: &str = "owner-of-the-tests";

pub(crate) struct TestAzure {
    pub(crate) sim: AzureSim,
    pub(crate) issuer: TestIssuer,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: Client,
    pub(crate) client_id: String,
    pub(crate) principal_id: String,
    settling: i64,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and storage's code.
    pub(crate) fn code(&self) -> (u16, &str) {
        (self.status, self.header("x-ms-error-code"))
    }
}

impl TestAzure {
    /// A directory, an identity that trusts the issuer for one subject, two accounts, and a role on one container.
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default(), None).await
    }

    pub(crate) async fn with(settings: Settings, state_dir: Option<PathBuf>) -> Self {
        let issuer = TestIssuer::tls().await;
        let mut test = Self::empty(issuer, settings, state_dir).await;
        test.set_up().await;
        test
    }

    /// Nothing but the directory.
    pub(crate) async fn empty(issuer: TestIssuer, settings: Settings, state_dir: Option<PathBuf>) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let certificate = Certificate::new();
        let settling = i64::from(settings.control.propagation_delay_seconds);
        let sim = AzureSim::start(AzureSimOptions {
            ports: AzurePorts::default(),
            tls: certificate.config,
            state_dir,
            ctx: Ctx::new(clock.clone(), Arc::new(SeededRandomness::new(7))),
            tenant_name: "Fjordbuss AS".to_owned(),
            owner_token: Secret::from(OWNER_TOKEN.to_owned()),
            rules: settings.rules,
            control: settings.control,
            extra_roots_pem: issuer.ca_pem.clone(),
        })
        .await
        .unwrap();
        let root = Root::from_pem(certificate.ca_pem.as_bytes()).unwrap();
        let http = Client::builder().tls_certs_only([root]).no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { sim, issuer, clock, http, client_id: String::new(), principal_id: String::new(), settling }
    }

    async fn set_up(&mut self) {
        self.arm(Method::PUT, &self.group(""), &json!({"location": "norwayeast"})).await;
        let identity = self.identity("").trim_end_matches('/').to_owned();
        let made = self.arm(Method::PUT, &identity, &json!({"location": "norwayeast"})).await.json();
        made["properties"]["clientId"].as_str().unwrap().clone_into(&mut self.client_id);
        made["properties"]["principalId"].as_str().unwrap().clone_into(&mut self.principal_id);
        self.trust("b-reads", &self.issuer.url, SUBJECT, AUDIENCE).await;
        for (account, has_folders) in [(ACCOUNT, false), (LAKE, true)] {
            let body = json!({"location": "norwayeast", "properties": {"isHnsEnabled": has_folders}});
            assert_eq!(self.arm(Method::PUT, &self.account(account, ""), &body).await.status, 200);
        }
        for path in [
            self.account(ACCOUNT, "/blobServices/default/containers/timetables"),
            self.account(ACCOUNT, "/blobServices/default/containers/private"),
            self.account(ACCOUNT, "/fileServices/default/shares/files"),
            self.account(LAKE, "/blobServices/default/containers/lake"),
        ] {
            assert_eq!(self.arm(Method::PUT, &path, &json!({})).await.status, 201, "{path}");
        }
        self.assign(id::BLOB_DATA_READER, &self.container("timetables"), &self.principal_id).await;
        // The owner, who in Azure has no access to data either, gives itself a role.
        let owner = self.sim.owner_principal_id();
        self.assign(id::BLOB_DATA_OWNER, &self.group(""), &owner).await;
        self.assign(id::FILE_DATA_PRIVILEGED_CONTRIBUTOR, &self.group(""), &owner).await;
        self.clock.advance(SignedDuration::from_secs(self.settling));
        for (container, name) in [("timetables", "line-1.csv"), ("timetables", "old/line-0.csv"), ("private", "payroll.csv")] {
            let reply = self.put_blob(OWNER_TOKEN, container, name, "stop,departure\n").await;
            assert_eq!(reply.status, 201, "{}", reply.text);
        }
    }

    pub(crate) fn group(&self, rest: &str) -> String {
        format!("/subscriptions/{}/resourceGroups/{GROUP}{rest}", self.sim.subscription_id())
    }

    pub(crate) fn identity(&self, rest: &str) -> String {
        self.group(&format!("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/timetables/{rest}"))
    }

    pub(crate) fn account(&self, account: &str, rest: &str) -> String {
        self.group(&format!("/providers/Microsoft.Storage/storageAccounts/{account}{rest}"))
    }

    pub(crate) fn container(&self, name: &str) -> String {
        self.account(ACCOUNT, &format!("/blobServices/default/containers/{name}"))
    }

    /// A call of the owner's to Resource Manager.
    pub(crate) async fn arm(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.arm_as(OWNER_TOKEN, method, path, body).await
    }

    pub(crate) async fn arm_as(&self, token: &str, method: Method, path: &str, body: &Value) -> Reply {
        let between = if path.contains('?') { "&" } else { "?" };
        let url = format!("{}{path}{between}api-version=2024-11-30", self.sim.arm());
        let request = self.http.request(method, url).bearer_auth(token);
        let request = if body.is_null() { request } else { request.json(body) };
        read(request).await
    }

    pub(crate) async fn trust(&self, name: &str, issuer: &str, subject: &str, audience: &str) -> Reply {
        let body = json!({"properties": {"issuer": issuer, "subject": subject, "audiences": [audience]}});
        self.arm(Method::PUT, &self.identity(&format!("federatedIdentityCredentials/{name}")), &body).await
    }

    pub(crate) async fn assign(&self, role: &str, scope: &str, principal: &str) -> Reply {
        let definition =
            format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{role}", self.sim.subscription_id());
        let body = json!({"properties": {"roleDefinitionId": definition, "principalId": principal, "principalType": "ServicePrincipal"}});
        let name = assignment_name(role, scope, principal);
        self.arm(Method::PUT, &format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"), &body).await
    }

    pub(crate) async fn take_away(&self, role: &str, scope: &str, principal: &str) {
        let name = assignment_name(role, scope, principal);
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        self.arm(Method::DELETE, &path, &json!(null)).await;
    }

    /// A good assertion with these claims changed.
    pub(crate) fn assertion(&self, changes: &Value) -> String {
        let mut all = json!({"sub": SUBJECT, "aud": AUDIENCE});
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.issuer.token(self.now(), &all)
    }

    pub(crate) fn now(&self) -> i64 {
        skybru_core::Clock::unix_seconds(&*self.clock)
    }

    pub(crate) async fn exchange_for(&self, assertion: &str, changes: &[(&str, &str)], tenant: &str) -> Reply {
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", self.client_id.as_str()),
            ("scope", "https://storage.azure.com/.default"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        for (name, value) in changes {
            form.retain(|(known, _)| known != name);
            form.push((name, value));
        }
        read(self.http.post(format!("{}/{tenant}/oauth2/v2.0/token", self.sim.authority())).form(&form)).await
    }

    pub(crate) async fn exchange(&self, assertion: &str) -> Reply {
        self.exchange_for(assertion, &[], &self.sim.tenant_id()).await
    }

    /// B's access token to storage.
    pub(crate) async fn token(&self) -> String {
        let reply = self.exchange(&self.assertion(&json!({}))).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn owner(&self) -> &'static str {
        OWNER_TOKEN
    }

    pub(crate) fn blob_url(&self, container: &str, name: &str) -> String {
        format!("{}/{ACCOUNT}/{container}/{name}", self.sim.blob())
    }

    pub(crate) fn lake_url(&self, rest: &str) -> String {
        format!("{}/{LAKE}/{rest}", self.sim.dfs())
    }

    pub(crate) async fn storage(&self, token: &str, method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = self.http.request(method, url).bearer_auth(token).header("x-ms-version", "2025-05-05");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.body(body.to_owned())).await
    }

    pub(crate) async fn get(&self, token: &str, url: &str) -> Reply {
        self.storage(token, Method::GET, url, &[], "").await
    }

    pub(crate) async fn put_blob(&self, token: &str, container: &str, name: &str, body: &str) -> Reply {
        let headers = [("x-ms-blob-type", "BlockBlob"), ("content-type", "text/csv")];
        self.storage(token, Method::PUT, &self.blob_url(container, name), &headers, body).await
    }
}

/// A GUID of its own for each assignment, always the same.
fn assignment_name(role: &str, scope: &str, principal: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{role} {scope} {principal}").as_bytes());
    let hex = hash.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

/// Where a test differs from the usual.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) rules: Rules,
    pub(crate) control: ControlSettings,
}

pub(crate) fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, text: response.text().await.unwrap() }
}
