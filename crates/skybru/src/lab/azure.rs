//! The provider's subscription at Azure: the simulator, and what organisation A sets up in it, through the front door.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use reqwest::{Certificate, Method};
use serde::Serialize;
use serde_json::{Value, json};
use skybru_core::{Ctx, Secret};
use skybru_federation::azure::roles::id;
use skybru_federation::entra::Rules;
use skybru_sim::azure::{AzurePorts, AzureSim, AzureSimOptions};
use skybru_sim::control::ControlSettings;

use super::organisations::{CONSUMER, PAYROLL, PRIVATE_FILE, PROVIDER, RESOURCE, SCOPE, SHARED_FILE, TIMETABLE};
use super::tls::Tls;
use super::{Lab, files};

const GROUP: &str = "sharing";
const IDENTITY: &str = "skyporten-timetables";
const CREDENTIAL: &str = "innsikt-data";
const ACCOUNT: &str = "fjordbussdata";
/// The same file in an account with folders, where lists decide.
const LAKE: &str = "fjordbusslake";
const CONTAINER: &str = "fjordbuss-data";
const PRIVATE_CONTAINER: &str = "fjordbuss-private";
const SHARE: &str = "fjordbuss-files";

/// The simulated Azure and its owner's bearer token, which is good for nothing else.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AzureInfo {
    pub(crate) authority: String,
    pub(crate) arm: String,
    pub(crate) blob: String,
    pub(crate) dfs: String,
    pub(crate) file: String,
    pub(crate) tenant_id: String,
    pub(crate) subscription_id: String,
    pub(crate) access_token: String,
    pub(crate) client_id: String,
    pub(crate) principal_id: String,
    pub(crate) account: String,
    pub(crate) container: String,
    pub(crate) private_container: String,
    pub(crate) lake_account: String,
    pub(crate) file_share: String,
}

/// Starts the simulator. The lab's own authority vouches for its servers and for the issuer, which the real Entra would not know.
pub(super) async fn start(folder: &Path, port_base: Option<u16>, ctx: &Ctx, tls: &Tls) -> Result<(AzureSim, AzureInfo)> {
    let token = owner_token(folder, ctx)?;
    let port = |offset: u16| port_base.map_or(0, |base| base + offset);
    let sim = AzureSim::start(AzureSimOptions {
        ports: AzurePorts { authority: port(13), blob: port(14), dfs: port(15), file: port(16) },
        tls: Arc::clone(&tls.config),
        state_dir: Some(folder.join("azure")),
        ctx: ctx.clone(),
        tenant_name: PROVIDER.name.to_owned(),
        owner_token: token.clone(),
        rules: Rules::default(),
        control: ControlSettings::default(),
        extra_roots_pem: Some(tls.ca_pem.clone()),
    })
    .await?;
    let with_slash = |url: String| format!("{url}/");
    let info = AzureInfo {
        authority: with_slash(sim.authority()),
        arm: sim.arm(),
        blob: with_slash(sim.blob()),
        dfs: with_slash(sim.dfs()),
        file: with_slash(sim.file()),
        tenant_id: sim.tenant_id(),
        subscription_id: sim.subscription_id(),
        access_token: token.expose().to_owned(),
        client_id: String::new(),
        principal_id: String::new(),
        account: ACCOUNT.to_owned(),
        container: CONTAINER.to_owned(),
        private_container: PRIVATE_CONTAINER.to_owned(),
        lake_account: LAKE.to_owned(),
        file_share: SHARE.to_owned(),
    };
    Ok((sim, info))
}

/// The owner's token: random, so that nothing on this machine can guess it; kept, so that it goes on working.
fn owner_token(folder: &Path, ctx: &Ctx) -> Result<Secret> {
    let path = folder.join("azure-owner-token");
    if !path.is_file() {
        let mut bytes = [0; 30];
        ctx.randomness.fill(&mut bytes);
        files::write_private(&path, format!("owner.{}", skybru_protocol::base64url::encode(bytes)).as_bytes())?;
    }
    Ok(Secret::from(files::read(&path)?.trim().to_owned()))
}

/// The owner of the subscription: calls of Resource Manager and of storage, as az would make them.
pub(crate) struct AzureAdmin {
    info: AzureInfo,
    http: reqwest::Client,
}

impl AzureAdmin {
    pub(crate) fn new(info: &AzureInfo, ca_pem: &str) -> Result<Self> {
        let ca = Certificate::from_pem(ca_pem.as_bytes()).context("the lab's CA certificate cannot be used")?;
        let builder = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().timeout(std::time::Duration::from_secs(30));
        Ok(Self { info: info.clone(), http: builder.build()? })
    }

    /// The path of the resource group and what is in it.
    fn group(&self, rest: &str) -> String {
        format!("/subscriptions/{}/resourceGroups/{GROUP}{rest}", self.info.subscription_id)
    }

    fn storage(&self, account: &str, rest: &str) -> String {
        self.group(&format!("/providers/Microsoft.Storage/storageAccounts/{account}{rest}"))
    }

    fn container(&self, name: &str) -> String {
        self.storage(ACCOUNT, &format!("/blobServices/default/containers/{name}"))
    }

    fn credential(&self) -> String {
        self.group(&format!(
            "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{IDENTITY}/federatedIdentityCredentials/{CREDENTIAL}"
        ))
    }

    /// Calls Resource Manager. Repeating a call changes nothing.
    async fn arm(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}?api-version=2024-11-30", self.info.arm);
        let request = self.http.request(method.clone(), url).bearer_auth(&self.info.access_token).json(body);
        let answer = request.send().await.context("the simulated Azure does not answer")?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        if status >= 300 {
            bail!("Azure refused {method} {path}: {text}");
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Gives a role; `name` is the assignment's GUID, always the same, so that it is made once.
    async fn assign(&self, name: &str, role: &str, scope: &str, principal: &str) -> Result<()> {
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        let role =
            format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{role}", self.info.subscription_id);
        let properties = json!({"roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal"});
        self.arm(Method::PUT, &path, &json!({"properties": properties})).await.map(drop)
    }

    /// A call of storage; what is there already may stay.
    async fn data(&self, method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> Result<()> {
        let mut request = self.http.request(method.clone(), url).bearer_auth(&self.info.access_token);
        for (name, value) in [("x-ms-version", "2025-05-05"), ("x-ms-file-request-intent", "backup")].iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let answer = request.body(body.to_owned()).send().await.context("the simulated storage does not answer")?;
        let status = answer.status().as_u16();
        anyhow::ensure!(status < 300 || status == 409, "storage refused {method} {url}: {}", answer.text().await?);
        Ok(())
    }

    async fn put_blob(&self, container: &str, name: &str, content: &str) -> Result<()> {
        let url = format!("{}{ACCOUNT}/{container}/{name}", self.info.blob);
        self.data(Method::PUT, &url, &[("x-ms-blob-type", "BlockBlob"), ("x-ms-blob-content-type", "text/csv")], content).await
    }

    /// A file in the lake: made, appended to, flushed.
    async fn put_path(&self, name: &str, content: &str) -> Result<()> {
        let url = format!("{}{LAKE}/{CONTAINER}/{name}", self.info.dfs);
        self.data(Method::PUT, &format!("{url}?resource=file"), &[], "").await?;
        self.data(Method::PATCH, &format!("{url}?action=append&position=0"), &[], content).await?;
        self.data(Method::PATCH, &format!("{url}?action=flush&position={}", content.len()), &[], "").await
    }

    async fn set_acl(&self, path: &str, acl: &str) -> Result<()> {
        let url = format!("{}{LAKE}/{CONTAINER}/{path}?action=setAccessControl", self.info.dfs);
        self.data(Method::PATCH, &url, &[("x-ms-acl", acl)], "").await
    }

    async fn put_file(&self, name: &str, content: &str) -> Result<()> {
        let base = format!("{}{ACCOUNT}/{SHARE}", self.info.file);
        if let Some((folder, _)) = name.rsplit_once('/') {
            self.data(Method::PUT, &format!("{base}/{folder}?restype=directory"), &[], "").await?;
        }
        let length = content.len().to_string();
        let url = format!("{base}/{name}");
        self.data(Method::PUT, &url, &[("x-ms-type", "file"), ("x-ms-content-length", &length)], "").await?;
        let range = format!("bytes=0-{}", content.len() - 1);
        self.data(Method::PUT, &format!("{url}?comp=range"), &[("x-ms-range", &range), ("x-ms-write", "update")], content).await
    }

    /// Trusts the issuer for B with the scope, or makes it so again.
    pub(crate) async fn trust(&self, issuer: &str) -> Result<()> {
        let subject = format!("{};{SCOPE}", CONSUMER.id());
        let properties = json!({"issuer": issuer, "subject": subject, "audiences": [RESOURCE]});
        self.arm(Method::PUT, &self.credential(), &json!({"properties": properties})).await.map(drop)
    }

    /// Trusts nobody any more.
    pub(crate) async fn revoke(&self) -> Result<()> {
        self.arm(Method::DELETE, &self.credential(), &Value::Null).await.map(drop)
    }

    /// Gives B its role on the container, or takes it away.
    pub(crate) async fn let_read(&self, may: bool) -> Result<()> {
        let (name, scope) = ("5b0c3a52-0000-4000-8000-000000000001", self.container(CONTAINER));
        if may {
            return self.assign(name, id::BLOB_DATA_READER, &scope, &self.info.principal_id).await;
        }
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        self.arm(Method::DELETE, &path, &Value::Null).await.map(drop)
    }
}

impl Lab {
    /// What organisation A does in its Azure subscription: make an identity that trusts the issuer for B, say what it may read, put the
    /// data there.
    pub(super) async fn share_at_azure(&mut self) -> Result<()> {
        let (Some(info), Some(sim)) = (&mut self.info.clouds.azure, &self.azure) else { return Ok(()) };
        let mut admin = AzureAdmin::new(info, &self.tls.ca_pem)?;
        admin.arm(Method::PUT, &admin.group(""), &json!({"location": "norwayeast"})).await?;
        let path = admin.group(&format!("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{IDENTITY}"));
        let identity = admin.arm(Method::PUT, &path, &json!({"location": "norwayeast"})).await?;
        let id_of =
            |member: &str| identity["properties"][member].as_str().map(str::to_owned).context("Azure's identity has no id");
        (info.client_id, info.principal_id) = (id_of("clientId")?, id_of("principalId")?);
        admin.info = info.clone();
        // On other ports after a restart the issuer has another name.
        admin.trust(self.skyporten.url().as_str()).await?;

        for (account, has_folders) in [(ACCOUNT, false), (LAKE, true)] {
            let body = json!({"location": "norwayeast", "properties": {"isHnsEnabled": has_folders}});
            admin.arm(Method::PUT, &admin.storage(account, ""), &body).await?;
        }
        let lake = admin.storage(LAKE, &format!("/blobServices/default/containers/{CONTAINER}"));
        let share = admin.storage(ACCOUNT, &format!("/fileServices/default/shares/{SHARE}"));
        for path in [admin.container(CONTAINER), admin.container(PRIVATE_CONTAINER), lake, share] {
            admin.arm(Method::PUT, &path, &json!({})).await?;
        }
        // An owner has no access to data (E-64), and gives it to itself.
        let owner = sim.owner_principal_id();
        let data_roles = [("2", id::BLOB_DATA_OWNER), ("3", id::FILE_DATA_PRIVILEGED_CONTRIBUTOR)];
        for (last, role) in data_roles {
            admin.assign(&format!("5b0c3a52-0000-4000-8000-00000000000{last}"), role, &admin.group(""), &owner).await?;
        }
        admin.put_blob(CONTAINER, SHARED_FILE, TIMETABLE).await?;
        admin.put_blob(PRIVATE_CONTAINER, PRIVATE_FILE, PAYROLL).await?;
        admin.put_file(SHARED_FILE, TIMETABLE).await?;
        admin.put_path(SHARED_FILE, TIMETABLE).await?;
        admin.put_path(PRIVATE_FILE, PAYROLL).await?;

        admin.let_read(true).await?;
        let who = info.principal_id.clone();
        let share = admin.storage(ACCOUNT, &format!("/fileServices/default/fileshares/{SHARE}"));
        admin.assign("5b0c3a52-0000-4000-8000-000000000004", id::FILE_DATA_PRIVILEGED_READER, &share, &who).await?;
        let folder = SHARED_FILE.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (path, letters) in [("", "--x"), (folder, "r-x"), (SHARED_FILE, "r--")] {
            admin.set_acl(path, &format!("user:{who}:{letters}")).await?;
        }
        Ok(())
    }

    /// The administrator of the provider's subscription.
    pub(crate) fn azure_admin(&self) -> Result<AzureAdmin> {
        let info = self.info.clouds.azure.as_ref().context("the lab has no Azure")?;
        AzureAdmin::new(info, &self.tls.ca_pem)
    }

    /// The target `demo-azure` of the lab's settings.
    pub(super) fn azure_target(&self) -> Option<Value> {
        let info = self.info.clouds.azure.as_ref()?;
        Some(json!({
            "client": "demo", "scope": SCOPE, "resource": RESOURCE,
            "azure": {
                "tenant-id": info.tenant_id, "client-id": info.client_id, "account": ACCOUNT, "container": CONTAINER,
                "authority": info.authority, "endpoint": info.blob, "arm": info.arm, "ca-file": "ca.pem",
            },
        }))
    }
}
