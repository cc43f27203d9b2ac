//! What Azure's tools read.

use serde::Serialize;
use skybru_core::Secret;

use super::{json, shell, whole_seconds};
use crate::azure::{AzureTarget, AzureToken};

/// Variables that would outrank ours, or mix with them: secrets, certificates and keys of some other identity, and other endpoints. A
/// command that runs with our credentials must not inherit them.
pub const AZURE_VARIABLES_TO_REMOVE: [&str; 25] = [
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_USERNAME",
    "AZURE_PASSWORD",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "AZURE_TOKEN_CREDENTIALS",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZCOPY_AUTO_LOGIN_TYPE",
    "AZCOPY_OAUTH_TOKEN_INFO",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
];

/// As `az account get-access-token` prints it.
pub fn azure_cli(token: &AzureToken, target: &AzureTarget) -> Secret {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Printed<'a> {
        access_token: &'a str,
        expires_on: String,
        #[serde(rename = "expires_on")]
        expires_on_unix: i64,
        tenant: String,
        token_type: &'static str,
    }
    json(&Printed {
        access_token: token.access_token.expose(),
        expires_on: token.expires_at.strftime("%Y-%m-%d %H:%M:%S.000000").to_string(),
        expires_on_unix: token.expires_at.as_second(),
        tenant: target.tenant_id.to_string(),
        token_type: "Bearer",
    })
}

/// Everything that is known about the access token, as JSON on one line.
pub fn azure_json(token: &AzureToken, target: &AzureTarget) -> Secret {
    #[derive(Serialize)]
    struct All<'a> {
        cloud: &'static str,
        access_token: &'a str,
        token_type: &'static str,
        expiration: String,
        resource: &'a str,
        tenant_id: String,
        client_id: String,
        principal_id: &'a str,
        account: String,
        blob_endpoint: String,
    }
    json(&All {
        cloud: "azure",
        access_token: token.access_token.expose(),
        token_type: "Bearer",
        expiration: whole_seconds(token.expires_at),
        resource: token.resource.as_str(),
        tenant_id: target.tenant_id.to_string(),
        client_id: target.client_id.to_string(),
        principal_id: &token.principal_id,
        account: target.account.to_string(),
        blob_endpoint: target.blob_url(),
    })
}

/// The variables for tools that take an access token: those built on `object_store` or fsspec-like libraries. Azure's own SDKs take none;
/// they need `exec` or the agent.
pub fn azure_environment(token: &AzureToken, target: &AzureTarget) -> Vec<(&'static str, Secret)> {
    let account = || Secret::from(target.account.to_string());
    vec![
        ("AZURE_STORAGE_ACCOUNT", account()),
        ("AZURE_STORAGE_ACCOUNT_NAME", account()),
        ("AZURE_STORAGE_TOKEN", token.access_token.clone()),
        ("AZURE_TENANT_ID", Secret::from(target.tenant_id.to_string())),
        ("AZURE_CLIENT_ID", Secret::from(target.client_id.to_string())),
    ]
}

/// The same as lines for a POSIX shell.
pub fn azure_shell(token: &AzureToken, target: &AzureTarget) -> Secret {
    shell(&AZURE_VARIABLES_TO_REMOVE, &azure_environment(token, target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::Resource;

    fn example() -> (AzureToken, AzureTarget) {
        let id = "8a6f1b1e-0c2d-4f63-9a53-7c5d2f1e0b11".parse().unwrap();
        let client = "11111111-2222-4333-8444-555555555555".parse().unwrap();
        let token = AzureToken {
            access_token: Secret::from("eyJ.x.y".to_owned()),
            expires_at: "2026-09-11T11:48:26.789Z".parse().unwrap(),
            resource: Resource::storage(),
            principal_id: "99999999-2222-4333-8444-555555555555".to_owned(),
        };
        (token, AzureTarget::new(id, client, "fjordbuss".parse().unwrap()))
    }

    #[test]
    fn an_access_token_is_printed_as_az_does() {
        let (token, target) = example();
        insta::assert_snapshot!(azure_cli(&token, &target).expose(), @r#"{"accessToken":"eyJ.x.y","expiresOn":"2026-09-11 11:48:26.000000","expires_on":1789127306,"tenant":"8a6f1b1e-0c2d-4f63-9a53-7c5d2f1e0b11","tokenType":"Bearer"}"#);
    }

    #[test]
    fn json_tells_everything() {
        let (token, target) = example();
        insta::assert_snapshot!(azure_json(&token, &target).expose(), @r#"{"cloud":"azure","access_token":"eyJ.x.y","token_type":"Bearer","expiration":"2026-09-11T11:48:26Z","resource":"https://storage.azure.com","tenant_id":"8a6f1b1e-0c2d-4f63-9a53-7c5d2f1e0b11","client_id":"11111111-2222-4333-8444-555555555555","principal_id":"99999999-2222-4333-8444-555555555555","account":"fjordbuss","blob_endpoint":"https://fjordbuss.blob.core.windows.net"}"#);
    }

    #[test]
    fn a_shell_loses_secrets_of_other_identities() {
        let (token, target) = example();
        let lines = azure_shell(&token, &target);
        assert!(lines.expose().lines().next().unwrap().contains(" AZURE_CLIENT_SECRET "), "{}", lines.expose());
        assert!(lines.expose().contains("export AZURE_STORAGE_TOKEN='eyJ.x.y'\n"));
    }
}
