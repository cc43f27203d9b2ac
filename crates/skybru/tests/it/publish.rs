//! `skybru issuer publish` to buckets of Google and Azure, which a site shows: with the owner's short-lived token, and as a target.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::site::Site;
use crate::support::{Lab, program, stderr, stdout};

const DOCUMENTS: [&str; 2] = [".well-known/openid-configuration", ".well-known/jwks.json"];
const BUCKET: &str = "fjordbuss-data";

/// Names and values.
type Variables = [(&'static str, &'static str)];

/// A bucket, asked as its owner.
#[derive(Clone)]
struct Owned {
    http: reqwest::Client,
    /// What an object's address begins with.
    base: String,
    token: String,
}

impl Owned {
    fn of(lab: &Lab, cloud: &str) -> Self {
        let base = match cloud {
            "google" => format!("{}/{BUCKET}", lab.get("/clouds/google/endpoint")),
            _ => format!("{}{}/{BUCKET}", lab.get("/clouds/azure/blob"), lab.get("/clouds/azure/account")),
        };
        Self { http: lab.http(), base, token: lab.get(&format!("/clouds/{cloud}/access_token")).to_owned() }
    }

    /// Status, two headers and body.
    fn get(&self, key: &str) -> (u16, String, String, Vec<u8>) {
        let request = self.http.get(format!("{}/{key}", self.base)).bearer_auth(&self.token).header("x-ms-version", "2025-05-05");
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let answer = request.send().await.unwrap();
            let header =
                |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
            let (status, kind, cache) = (answer.status().as_u16(), header("content-type"), header("cache-control"));
            (status, kind, cache, answer.bytes().await.unwrap().to_vec())
        })
    }
}

/// An issuer whose site shows a folder of a bucket, once it is open.
struct Published {
    folder: tempfile::TempDir,
    site: Site,
    open: Arc<AtomicBool>,
}

impl Published {
    fn new(owned: &Owned, prefix: &str) -> Self {
        let (folder, open) = (tempfile::tempdir().unwrap(), Arc::new(AtomicBool::new(false)));
        let (bucket, shown, prefix) = (owned.clone(), open.clone(), prefix.to_owned());
        let site = Site::over(folder.path(), move |path| {
            let (status, _, _, body) = bucket.get(&format!("{prefix}/{path}"));
            (shown.load(Ordering::Relaxed) && status == 200).then_some(body)
        });
        let made = program(folder.path(), &["issuer", "init", "--static", "id", "--url", &site.url]).output().unwrap();
        assert!(made.status.success(), "{}", stderr(&made));
        Self { folder, site, open }
    }

    fn publish(&self, arguments: &[&str]) -> Command {
        let always = ["--dir", "id", "--wait", "0"];
        program(self.folder.path(), &[&["issuer", "publish"], arguments, &always].concat())
    }

    /// A file that holds both the site's and the lab's authority.
    fn authorities(&self, lab: &Lab) -> String {
        let both =
            [&self.site.ca_file, std::path::Path::new(lab.get("/ca_file"))].map(|file| std::fs::read_to_string(file).unwrap());
        let file = self.folder.path().join("both.pem");
        std::fs::write(&file, both.concat()).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn mint(&self) -> Output {
        let arguments = ["issuer", "mint", "--dir", "id", "--subject", "laptop", "--audience", "my-client-id"];
        program(self.folder.path(), &arguments).output().unwrap()
    }
}

/// The owner's token and the lab's address, in the variables of the cloud's own tools.
fn as_owner(command: &mut Command, lab: &Lab, cloud: &str) {
    let token = lab.get(&format!("/clouds/{cloud}/access_token"));
    if cloud == "google" {
        command.env("CLOUDSDK_AUTH_ACCESS_TOKEN", token).env("STORAGE_EMULATOR_HOST", lab.get("/clouds/google/endpoint"));
    } else {
        let endpoint = format!("{}{}", lab.get("/clouds/azure/blob"), lab.get("/clouds/azure/account"));
        command.env("AZURE_STORAGE_TOKEN", token).env("AZURE_STORAGE_ENDPOINT", endpoint);
    }
}

#[test]
fn no_key_signs_before_a_site_shows_what_the_bucket_of_google_or_azure_has() {
    let lab = Lab::start();
    for (cloud, dest) in [("google", format!("gs://{BUCKET}/oidc")), ("azure", format!("az://fjordbussdata/{BUCKET}/oidc"))] {
        let owned = Owned::of(&lab, cloud);
        let published = Published::new(&owned, "oidc");
        let authorities = published.authorities(&lab);
        let publish = || {
            let mut command = published.publish(&[&dest, "--ca-file", &authorities]);
            as_owner(&mut command, &lab, cloud);
            command.output().unwrap()
        };
        let hidden = publish();
        assert_eq!(hidden.status.code(), Some(2), "{cloud}: {}", stderr(&hidden));
        let text = stderr(&hidden);
        assert!(text.contains(&format!("written to {dest}")) && text.contains("so no new key may sign"), "{cloud}: {text}");
        assert_eq!(published.mint().status.code(), Some(1), "{cloud}: nobody can find the key yet");
        for name in DOCUMENTS {
            let (status, kind, cache, body) = owned.get(&format!("oidc/{name}"));
            assert_eq!(
                (status, kind.as_str(), cache.as_str()),
                (200, "application/json", "public, max-age=300"),
                "{cloud}: {name}"
            );
            assert!(serde_json::from_slice::<Value>(&body).unwrap().is_object(), "{cloud}: {name}");
        }

        published.open.store(true, Ordering::Relaxed);
        let shown = publish();
        assert!(stdout(&shown).contains("may sign"), "{cloud}: {}{}", stdout(&shown), stderr(&shown));
        let minted = published.mint();
        assert!(minted.status.success(), "{cloud}: {}", stderr(&minted));
        assert_eq!(stdout(&minted).split('.').count(), 3, "{cloud}");
    }
}

/// Lets the demonstration's identity write to the bucket.
fn let_write(lab: &Lab, cloud: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let token = lab.get(&format!("/clouds/{cloud}/access_token"));
    let send = |request: reqwest::RequestBuilder| {
        runtime.block_on(async {
            let answer = request.bearer_auth(token).send().await.unwrap();
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            assert!(status < 300, "{text}");
            serde_json::from_str::<Value>(&text).unwrap_or_default()
        })
    };
    if cloud == "google" {
        let iam = format!("{}/storage/v1/b/{BUCKET}/iam", lab.get("/clouds/google/endpoint"));
        let mut policy = send(lab.http().get(format!("{iam}?optionsRequestedPolicyVersion=3")));
        let member = "serviceAccount:timetable-reader@skybru-lab.iam.gserviceaccount.com";
        policy["bindings"].as_array_mut().unwrap().push(json!({"role": "roles/storage.objectAdmin", "members": [member]}));
        send(lab.http().put(iam).json(&policy));
        return;
    }
    let subscription = format!("/subscriptions/{}", lab.get("/clouds/azure/subscription_id"));
    let container = format!(
        "{subscription}/resourceGroups/sharing/providers/Microsoft.Storage/storageAccounts/{}/blobServices/default/containers/{BUCKET}",
        lab.get("/clouds/azure/account")
    );
    // Storage Blob Data Contributor.
    let role = format!("{subscription}/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe");
    let properties = json!({"roleDefinitionId": role, "principalId": lab.get("/clouds/azure/principal_id"), "principalType": "ServicePrincipal"});
    let assignment = "providers/Microsoft.Authorization/roleAssignments/5b0c3a52-0000-4000-8000-00000000000f";
    let url = format!("{}{container}/{assignment}?api-version=2024-11-30", lab.get("/clouds/azure/arm"));
    send(lab.http().put(url).json(&json!({"properties": properties})));
}

#[test]
fn a_target_of_the_settings_publishes_when_it_may_write() {
    let lab = Lab::start();
    for (cloud, target) in [("google", "demo-google"), ("azure", "demo-azure")] {
        let published = Published::new(&Owned::of(&lab, cloud), "timetables/oidc");
        published.open.store(true, Ordering::Relaxed);
        let authorities = published.authorities(&lab);
        let dest = format!("{target}:timetables/oidc");
        let publish = || {
            let mut command = published.publish(&[&dest, "--ca-file", &authorities]);
            command.env("SKYBRU_CONFIG", lab.get("/demo/config_file")).output().unwrap()
        };
        let refused = publish();
        assert_eq!(refused.status.code(), Some(1), "{cloud}: {}", stderr(&refused));
        assert!(stderr(&refused).contains("hint: the identity works, but has no"), "{cloud}: {}", stderr(&refused));
        assert_eq!(published.mint().status.code(), Some(1), "{cloud}");

        let_write(&lab, cloud);
        let done = publish();
        assert!(stdout(&done).contains("may sign"), "{cloud}: {}{}", stdout(&done), stderr(&done));
        assert!(published.mint().status.success(), "{cloud}");
    }
}

#[test]
fn what_would_not_expire_or_leaves_the_machine_unprotected_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let made = program(folder.path(), &["issuer", "init", "--static", "id", "--url", "https://id.example.no"]).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    let mistakes: [(&str, &Variables, &str, &str); 6] = [
        (
            "gs://fjordbuss-data/oidc",
            &[],
            "no variable says who you are at Google Cloud Storage",
            "gcloud auth print-access-token",
        ),
        ("az://fjordbussdata/site", &[], "no variable says who you are at Azure Blob Storage", "az account get-access-token"),
        ("az://fjordbussdata/site", &[("AZURE_STORAGE_KEY", "c2VjcmV0LWtleQ==")], "AZURE_STORAGE_KEY holds a key", "--target"),
        (
            "gs://fjordbuss-data",
            &[("GOOGLE_SERVICE_ACCOUNT_KEY", "{secret}")],
            "GOOGLE_SERVICE_ACCOUNT_KEY holds a key",
            "unset it",
        ),
        (
            "gs://fjordbuss-data",
            &[("CLOUDSDK_AUTH_ACCESS_TOKEN", "ya29.x"), ("STORAGE_EMULATOR_HOST", "http://gcs.example.no")],
            "STORAGE_EMULATOR_HOST is no address",
            "http is for this machine only",
        ),
        ("az://my-site/oidc", &[], "is not an account", ""),
    ];
    for (dest, variables, expected, hint) in mistakes {
        let output =
            program(folder.path(), &["issuer", "publish", dest, "--dir", "id"]).envs(variables.iter().copied()).output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{dest}: {text}");
        assert!(text.contains(expected) && text.contains(hint), "{dest}: {text}");
        assert!(!text.contains("secret") && !text.contains("c2VjcmV0") && !text.contains("ya29.x"), "{dest}: {text}");
    }
}
