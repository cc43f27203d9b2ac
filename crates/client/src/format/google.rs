//! What Google's tools read.

use serde::Serialize;
use serde_json::{Value, json as object};
use skybru_core::Secret;

use super::{json, shell, whole_seconds};
use crate::google::{GoogleCredentials, GoogleTarget, ServiceAccount};
use crate::token::AccessToken;

/// Variables that would outrank ours, or mix with them: a command that runs with our credentials must not inherit them.
pub const GOOGLE_VARIABLES_TO_REMOVE: [&str; 15] = [
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CREDENTIALS",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "GOOGLE_API_KEY",
    "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT",
    "CLOUDSDK_AUTH_ACCESS_TOKEN",
    "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
    "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT",
    "CLOUDSDK_CORE_ACCOUNT",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE",
    "STORAGE_EMULATOR_HOST",
    "GCE_METADATA_HOST",
    "GCE_METADATA_IP",
    "GCE_METADATA_ROOT",
];

/// Longer than any round trip to issuer and cloud, within Google's 5 to 120 seconds (G-64).
const EXECUTABLE_TIMEOUT_MILLIS: u32 = 30_000;

/// Where a library finds the issuer's token, each time that it needs one (G-61).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleSource {
    /// An address of the agent's.
    Url(String),
    /// A command; the library splits it at blanks, without quotes (G-66).
    Executable(String),
    /// A file that somebody keeps fresh.
    File(String),
}

/// The `external_account` file that every Google library reads (G-60). It holds no secret.
pub fn google_file(target: &GoogleTarget, source: &GoogleSource) -> Value {
    let format = object!({"type": "text"});
    let credential_source = match source {
        // The header is what tells a program of this machine from a page that somebody was lured to.
        GoogleSource::Url(url) => object!({"url": url, "headers": {"Metadata-Flavor": "Google"}, "format": format}),
        GoogleSource::Executable(command) => {
            object!({"executable": {"command": command, "timeout_millis": EXECUTABLE_TIMEOUT_MILLIS}})
        }
        GoogleSource::File(path) => object!({"file": path, "format": format}),
    };
    let mut file = object!({
        "type": "external_account",
        "universe_domain": "googleapis.com",
        "audience": target.provider.audience(),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": target.token_url(),
        "credential_source": credential_source,
    });
    match target.impersonation_url() {
        Some(url) => file["service_account_impersonation_url"] = url.into(),
        None => file["token_info_url"] = target.introspection_url().into(),
    }
    if let Some(project) = &target.workforce_user_project {
        file["workforce_pool_user_project"] = project.as_str().into();
    }
    file
}

/// What an executable source prints (G-65): the issuer's own token.
pub fn google_executable(token: &AccessToken) -> Secret {
    #[derive(Serialize)]
    struct Printed<'a> {
        version: u8,
        success: bool,
        token_type: &'static str,
        id_token: &'a str,
        expiration_time: i64,
    }
    json(&Printed {
        version: 1,
        success: true,
        token_type: "urn:ietf:params:oauth:token-type:jwt",
        id_token: token.token.expose(),
        expiration_time: token.expires_at.as_second(),
    })
}

/// What an executable source prints when there is no token (G-65).
pub fn google_executable_failure(message: &str) -> Value {
    object!({"version": 1, "success": false, "code": "401", "message": message})
}

/// Everything that is known about the access token, as JSON on one line.
pub fn google_json(credentials: &GoogleCredentials, target: &GoogleTarget) -> Secret {
    #[derive(Serialize)]
    struct All<'a> {
        cloud: &'static str,
        access_token: &'a str,
        token_type: &'static str,
        expiration: String,
        provider: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        service_account: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        principal: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        endpoint: Option<&'a str>,
    }
    json(&All {
        cloud: "google",
        access_token: credentials.access_token.expose(),
        token_type: "Bearer",
        expiration: whole_seconds(credentials.expires_at),
        provider: target.provider.as_str(),
        service_account: target.service_account.as_ref().map(ServiceAccount::as_str),
        principal: credentials.principal.as_deref(),
        endpoint: target.endpoint.as_deref(),
    })
}

/// The variables for tools that take an access token: gcloud, Terraform. Google's libraries take none; they need a file.
pub fn google_environment(credentials: &GoogleCredentials, target: &GoogleTarget) -> Vec<(&'static str, Secret)> {
    let mut variables = vec![
        ("CLOUDSDK_AUTH_ACCESS_TOKEN", credentials.access_token.clone()),
        ("GOOGLE_OAUTH_ACCESS_TOKEN", credentials.access_token.clone()),
    ];
    variables.extend(google_endpoints(target));
    variables
}

/// The variables that point tools at another endpoint than Google's own (G-70, G-73).
pub fn google_endpoints(target: &GoogleTarget) -> Vec<(&'static str, Secret)> {
    let Some(endpoint) = &target.endpoint else { return Vec::new() };
    let base = endpoint.trim_end_matches('/');
    vec![
        ("STORAGE_EMULATOR_HOST", Secret::from(base.to_owned())),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", Secret::from(format!("{base}/storage/v1/"))),
    ]
}

/// The same as lines for a POSIX shell.
pub fn google_shell(credentials: &GoogleCredentials, target: &GoogleTarget) -> Secret {
    shell(&GOOGLE_VARIABLES_TO_REMOVE, &google_environment(credentials, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> GoogleTarget {
        let provider = "projects/1/locations/global/workloadIdentityPools/p/providers/q".parse().unwrap();
        GoogleTarget::new(provider)
    }

    /// G-60, G-61.
    #[test]
    fn g_60_a_file_for_each_source() {
        let url = "http://127.0.0.1:7500/google/demo/subject-token".to_owned();
        insta::assert_json_snapshot!(google_file(&target(), &GoogleSource::Url(url)), @r#"
        {
          "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
          "credential_source": {
            "format": {
              "type": "text"
            },
            "headers": {
              "Metadata-Flavor": "Google"
            },
            "url": "http://127.0.0.1:7500/google/demo/subject-token"
          },
          "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
          "token_info_url": "https://sts.googleapis.com/v1/introspect",
          "token_url": "https://sts.googleapis.com/v1/token",
          "type": "external_account",
          "universe_domain": "googleapis.com"
        }
        "#);
        let account = GoogleTarget { service_account: Some("r@p.iam.gserviceaccount.com".parse().unwrap()), ..target() };
        let file = google_file(&account, &GoogleSource::File("/run/t.jwt".to_owned()));
        assert_eq!(
            file["service_account_impersonation_url"],
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/r@p.iam.gserviceaccount.com:generateAccessToken"
        );
        assert!(file.get("token_info_url").is_none());
        assert_eq!(file["credential_source"]["file"], "/run/t.jwt");
        let file = google_file(&target(), &GoogleSource::Executable("skybru credentials".to_owned()));
        assert_eq!(file["credential_source"]["executable"]["timeout_millis"], 30_000);
    }

    /// G-65.
    #[test]
    fn g_65_an_executable_prints_exactly_this() {
        let token = AccessToken {
            token: Secret::from("a.b.c".to_owned()),
            scope: String::new(),
            fetched_at: jiff::Timestamp::UNIX_EPOCH,
            expires_at: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
        };
        insta::assert_snapshot!(google_executable(&token).expose(), @r#"{"version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:jwt","id_token":"a.b.c","expiration_time":1700000000}"#);
        insta::assert_snapshot!(google_executable_failure("no"), @r#"{"code":"401","message":"no","success":false,"version":1}"#);
    }

    #[test]
    fn a_shell_gets_the_token_and_loses_what_would_outrank_it() {
        let credentials = GoogleCredentials {
            access_token: Secret::from("ya29.x".to_owned()),
            expires_at: jiff::Timestamp::UNIX_EPOCH,
            principal: None,
        };
        let lab = GoogleTarget { endpoint: Some("http://localhost:7412/".to_owned()), ..target() };
        let lines = google_shell(&credentials, &lab);
        assert!(lines.expose().starts_with("unset GOOGLE_APPLICATION_CREDENTIALS "), "{}", lines.expose());
        assert!(lines.expose().contains("export STORAGE_EMULATOR_HOST='http://localhost:7412'\n"), "{}", lines.expose());
        assert!(lines.expose().contains("export CLOUDSDK_AUTH_ACCESS_TOKEN='ya29.x'\n"));
    }
}
