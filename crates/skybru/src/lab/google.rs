//! The provider's project at Google: the simulator, and what organisation A sets up in it, through the front door.

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use skybru_core::{Ctx, Secret};
use skybru_federation::google::Wording;
use skybru_sim::control::ControlSettings;
use skybru_sim::google::{GoogleSim, GoogleSimOptions};

use super::organisations::{BUCKET, CONSUMER, PAYROLL, PRIVATE_FILE, RESOURCE, SCOPE, SHARED_FILE, SHARED_PREFIX, TIMETABLE};
use super::{Lab, files};

const PROJECT: &str = "skybru-lab";
const NUMBER: &str = "100000000001";
const POOL: &str = "skyporten";
const PROVIDER: &str = "skyporten";
const ACCOUNT: &str = "timetable-reader";
const DATASET: &str = "timetables";

/// The simulated Google Cloud and its owner's access token, which is good for nothing else.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GoogleInfo {
    pub(crate) endpoint: String,
    pub(crate) project: String,
    pub(crate) project_number: String,
    pub(crate) access_token: String,
}

impl GoogleInfo {
    /// The provider's name.
    pub(crate) fn provider() -> String {
        format!("projects/{NUMBER}/locations/global/workloadIdentityPools/{POOL}/providers/{PROVIDER}")
    }

    /// The service account's address.
    pub(crate) fn service_account() -> String {
        format!("{ACCOUNT}@{PROJECT}.iam.gserviceaccount.com")
    }

    /// Who may use the service account: B with the scope (G-15).
    pub(crate) fn member() -> String {
        let pool = format!("iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/{POOL}");
        format!("principalSet://{pool}/attribute.clientaccess/client::{}::{SCOPE}", CONSUMER.id())
    }
}

/// Starts the simulator. `ca_pem` is the lab's own authority, which the real Google would not know.
pub(super) async fn start(
    folder: &std::path::Path,
    port_base: Option<u16>,
    ctx: &Ctx,
    ca_pem: &str,
) -> Result<(GoogleSim, GoogleInfo)> {
    let token = owner_token(folder, ctx)?;
    let sim = GoogleSim::start(GoogleSimOptions {
        port: port_base.map_or(0, |base| base + 12),
        state_dir: Some(folder.join("google")),
        ctx: ctx.clone(),
        project: PROJECT.to_owned(),
        project_number: NUMBER.to_owned(),
        owner: "owner@fjordbuss.example".to_owned(),
        owner_token: token.clone(),
        wording: Wording::Current,
        control: ControlSettings::default(),
        extra_roots_pem: Some(ca_pem.to_owned()),
    })
    .await
    .map_err(|error| super::taken(error.into(), port_base))?;
    let info = GoogleInfo {
        endpoint: sim.base_url().replace("127.0.0.1", "localhost"),
        project: PROJECT.to_owned(),
        project_number: NUMBER.to_owned(),
        access_token: token.expose().to_owned(),
    };
    Ok((sim, info))
}

/// The owner's token: random, so that nothing on this machine can guess it; kept, so that it goes on working.
fn owner_token(folder: &std::path::Path, ctx: &Ctx) -> Result<Secret> {
    let path = folder.join("google-owner-token");
    if !path.is_file() {
        let mut bytes = [0; 30];
        ctx.randomness.fill(&mut bytes);
        files::write_private(&path, format!("ya29.owner.{}", skybru_protocol::base64url::encode(bytes)).as_bytes())?;
    }
    Ok(Secret::from(files::read(&path)?.trim().to_owned()))
}

/// The owner of the project: calls of IAM, Storage and `BigQuery`, as gcloud would make them.
pub(crate) struct GoogleAdmin {
    endpoint: String,
    token: Secret,
}

impl GoogleAdmin {
    pub(crate) fn new(info: &GoogleInfo) -> Self {
        Self { endpoint: info.endpoint.clone(), token: Secret::from(info.access_token.clone()) }
    }

    /// Calls an API with JSON. That something is there already is fine: the lab may have been set up before.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(30)).build()?;
        let request = client.request(method.clone(), format!("{}/{path}", self.endpoint)).bearer_auth(self.token.expose());
        let answer = request.json(body).send().await.context("the simulated Google does not answer")?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        if status >= 300 && status != 409 {
            bail!("Google refused {method} {path}: {text}");
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    async fn put(&self, name: &str, content: &str) -> Result<()> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("{}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}", self.endpoint);
        let request =
            client.post(url).bearer_auth(self.token.expose()).header("content-type", "text/csv").body(content.to_owned());
        let answer = request.send().await?;
        anyhow::ensure!(answer.status().is_success(), "Google refused the object {name}: {}", answer.text().await?);
        Ok(())
    }

    /// Lets these members, and nobody else, use the service account.
    pub(crate) async fn bind_account(&self, members: &[String]) -> Result<()> {
        let path = format!("v1/projects/-/serviceAccounts/{}:setIamPolicy", GoogleInfo::service_account());
        let bindings = json!([{"role": "roles/iam.workloadIdentityUser", "members": members}]);
        self.call(Method::POST, &path, &json!({"policy": {"bindings": bindings}})).await.map(drop)
    }

    /// Sets the provider's attribute condition; none takes it away.
    pub(crate) async fn set_condition(&self, condition: Option<&str>) -> Result<()> {
        let path = format!("v1/{}?updateMask=attributeCondition", GoogleInfo::provider());
        self.call(Method::PATCH, &path, &json!({"attributeCondition": condition})).await.map(drop)
    }
}

impl Lab {
    /// What organisation A does in its Google project: trust the issuer, map its tokens, let B use a service account, say what that may
    /// read, put the data there.
    pub(super) async fn share_at_google(&self) -> Result<()> {
        let Some(info) = &self.info.clouds.google else { return Ok(()) };
        let admin = GoogleAdmin::new(info);
        let pools = format!("v1/projects/{PROJECT}/locations/global/workloadIdentityPools");
        admin.call(Method::POST, &format!("{pools}?workloadIdentityPoolId={POOL}"), &json!({"displayName": "Skyporten"})).await?;
        let provider = json!({
            "displayName": "Skyporten",
            "attributeMapping": {
                "google.subject": "assertion.consumer.ID",
                "attribute.maskinportenscope": "assertion.scope",
                "attribute.clientaccess": "\"client::\" + assertion.consumer.ID + \"::\" + assertion.scope",
            },
            "oidc": {"issuerUri": self.skyporten.url().as_str(), "allowedAudiences": [RESOURCE]},
        });
        let path = format!("{pools}/{POOL}/providers?workloadIdentityPoolProviderId={PROVIDER}");
        admin.call(Method::POST, &path, &provider).await?;
        // On other ports after a restart the issuer has another name.
        let path = format!("v1/{}?updateMask=oidc", GoogleInfo::provider());
        admin.call(Method::PATCH, &path, &json!({"oidc": provider["oidc"]})).await?;
        let account = json!({"accountId": ACCOUNT, "serviceAccount": {"displayName": "Reads timetables"}});
        admin.call(Method::POST, &format!("v1/projects/{PROJECT}/serviceAccounts"), &account).await?;
        admin.bind_account(&[GoogleInfo::member()]).await?;
        admin.call(Method::POST, &format!("storage/v1/b?project={PROJECT}"), &json!({"name": BUCKET})).await?;
        let expression = format!(
            "resource.type == 'storage.googleapis.com/Bucket' || \
             resource.name.startsWith('projects/_/buckets/{BUCKET}/objects/{SHARED_PREFIX}')"
        );
        let binding = json!({
            "role": "roles/storage.objectViewer", "members": [format!("serviceAccount:{}", GoogleInfo::service_account())],
            "condition": {"title": "timetables only", "expression": expression},
        });
        let policy = json!({"version": 3, "bindings": [binding]});
        admin.call(Method::PUT, &format!("storage/v1/b/{BUCKET}/iam"), &policy).await?;
        admin.put(SHARED_FILE, TIMETABLE).await?;
        admin.put(PRIVATE_FILE, PAYROLL).await?;
        self.share_a_dataset(&admin).await
    }

    /// The same timetable as a table, for B by its attribute (G-69).
    async fn share_a_dataset(&self, admin: &GoogleAdmin) -> Result<()> {
        let datasets = format!("bigquery/v2/projects/{PROJECT}/datasets");
        let known = admin.call(Method::GET, &datasets, &json!({})).await?;
        if known["datasets"].as_array().is_some_and(|datasets| !datasets.is_empty()) {
            return Ok(());
        }
        let reader = json!({"role": "READER", "iamMember": GoogleInfo::member()});
        let owner = json!({"role": "OWNER", "specialGroup": "projectOwners"});
        let dataset = json!({"datasetReference": {"datasetId": DATASET}, "access": [owner, reader]});
        admin.call(Method::POST, &datasets, &dataset).await?;
        let schema = json!({"fields": [{"name": "stop", "type": "STRING"}, {"name": "departure", "type": "STRING"}]});
        let table = json!({"tableReference": {"tableId": "line_1"}, "schema": schema});
        admin.call(Method::POST, &format!("{datasets}/{DATASET}/tables"), &table).await?;
        let cells = TIMETABLE.lines().skip(1).filter_map(|line| line.split_once(','));
        let rows: Vec<Value> = cells.map(|(stop, time)| json!({"json": {"stop": stop, "departure": time}})).collect();
        admin.call(Method::POST, &format!("{datasets}/{DATASET}/tables/line_1/insertAll"), &json!({"rows": rows})).await?;
        let path = format!("v1/projects/{PROJECT}:getIamPolicy");
        let mut policy = admin.call(Method::POST, &path, &json!({})).await?;
        let jobs = json!({"role": "roles/bigquery.jobUser", "members": [GoogleInfo::member()]});
        if let Some(bindings) = policy["bindings"].as_array_mut() {
            bindings.push(jobs);
        }
        admin.call(Method::POST, &format!("v1/projects/{PROJECT}:setIamPolicy"), &json!({"policy": policy})).await.map(drop)
    }

    /// The target `demo-google` of the lab's settings.
    pub(super) fn google_target(&self) -> Option<Value> {
        let info = self.info.clouds.google.as_ref()?;
        Some(json!({
            "client": "demo", "scope": SCOPE, "resource": RESOURCE,
            "google": {
                "provider": GoogleInfo::provider(), "service-account": GoogleInfo::service_account(), "bucket": BUCKET,
                "endpoint": info.endpoint,
            },
        }))
    }
}
