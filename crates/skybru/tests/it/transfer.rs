//! Long files through the binary, up and down, at all five kinds of storage: killed in the middle and gone on with, and held up until
//! the credentials have expired.

use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::aws::Aws;
use crate::support::dam::{Dam, Way};
use crate::support::{Lab, RESOURCE, SCOPE, stderr, stdout};

const MIB: u64 = 1024 * 1024;
const PART: u64 = 8 * MIB;

/// Five parts and a half. Four travel at once, so when more than four have passed, one at least has arrived.
const LENGTH: u64 = 44 * MIB;
const MIDDLE: u64 = 34 * MIB;

/// On the way down the first part and four more may be under way, and only what is in order is written.
const LATE: u64 = 43 * MIB;

/// The shortest that the lab's credentials may live.
const LIFE: u32 = 5;

/// A target whose storage lies behind a dam.
struct Site {
    target: &'static str,
    dam: Dam,
}

struct Walk {
    lab: Lab,
    sites: Vec<Site>,
    settings: PathBuf,
    file: PathBuf,
    content: Vec<u8>,
}

impl Walk {
    fn start() -> Self {
        Self::with_lake_role(true)
    }

    /// Whether the consumer has a role in the lake; if not, lists alone let it in.
    fn with_lake_role(role: bool) -> Self {
        let lab = Lab::start_with(&["--credential-seconds", &LIFE.to_string()]);
        may_write(&lab, role);
        let sites = ["s3", "gcs", "blob", "lake", "files"].map(|target| {
            let endpoint = match target {
                "s3" => "/clouds/aws/endpoint",
                "gcs" => "/clouds/google/endpoint",
                "files" => "/clouds/azure/file",
                _ => "/clouds/azure/blob",
            };
            Site { target, dam: Dam::before(url::Url::parse(lab.get(endpoint)).unwrap().port().unwrap()) }
        });
        let settings = lab.folder.join("transfer.toml");
        std::fs::write(&settings, toml(&lab, &sites)).unwrap();
        let file = lab.folder.join("long");
        let mut seed = 7_u64;
        let content: Vec<u8> = std::iter::repeat_with(|| {
            // Numerical Recipes' generator: no two parts are alike.
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u8::try_from(seed >> 56).unwrap()
        })
        .take(usize::try_from(LENGTH).unwrap())
        .collect();
        std::fs::write(&file, &content).unwrap();
        Self { lab, sites: sites.into(), settings, file, content }
    }

    fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.lab.skybru(arguments);
        command.env("SKYBRU_CONFIG", &self.settings).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.lab.skybru(arguments).env("SKYBRU_CONFIG", &self.settings).output().unwrap()
    }

    /// What is there, by key.
    fn sizes(&self, place: &str) -> Vec<(String, u64)> {
        let listed = self.run(&["ls", "-r", "--json", place]);
        assert!(listed.status.success(), "{place}: {}", stderr(&listed));
        let entries = stdout(&listed);
        let entries = entries.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let entries = entries.map(|entry| (entry["key"].as_str().unwrap().to_owned(), entry["size"].as_u64().unwrap()));
        let mut entries: Vec<_> = entries.collect();
        // A share lists its folders after its files.
        entries.sort();
        entries
    }

    fn is_whole(&self, file: &Path) {
        assert!(std::fs::read(file).unwrap() == self.content, "{} differs", file.display());
    }
}

#[track_caller]
fn works(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

#[test]
fn a_transfer_that_was_killed_goes_on_where_it_was_at_every_storage() {
    let walk = Walk::start();
    let file = walk.file.display().to_string();
    for Site { target, dam } in &walk.sites {
        let place = format!("{target}:uploads/long");
        let killed = |arguments: &[&str], way| {
            dam.hold_after(way, if way == Way::Up { MIDDLE } else { LATE });
            let mut child = walk.begin(arguments);
            dam.wait_until_full();
            child.kill().unwrap();
            child.wait().unwrap();
            dam.cut();
        };
        let up = ["cp", "--resume", &file, &place];
        killed(&up, Way::Up);
        assert_eq!(walk.sizes(&format!("{target}:uploads/")), [], "{target}: what is not whole is not there");
        works(&walk.run(&up));
        let sent = dam.passed(Way::Up);
        assert!((PART..=LENGTH - PART + MIB).contains(&sent), "{target}: sent {sent} again");
        assert_eq!(walk.sizes(&format!("{target}:uploads/")), [("uploads/long".to_owned(), LENGTH)], "{target}");

        let to = walk.lab.folder.join(format!("{target}-down"));
        let down = ["cp", "--resume", &place, to.to_str().unwrap()];
        killed(&down, Way::Down);
        assert!(!to.exists(), "{target}: whole or not at all");
        // How much is fetched again cannot be told from here: a server sends on while the client has enough. The client's tests count it.
        works(&walk.run(&down));
        walk.is_whole(&to);
    }
}

#[test]
fn a_transfer_that_takes_longer_than_its_credentials_live_ends_well_at_every_storage() {
    let walk = Walk::start();
    let file = walk.file.display().to_string();
    let held = |arguments: &dyn Fn(&Site) -> Vec<String>, way| {
        let children: Vec<(&Site, Child)> = walk
            .sites
            .iter()
            .map(|site| {
                site.dam.hold_after(way, MIDDLE);
                let arguments = arguments(site);
                (site, walk.begin(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
            })
            .collect();
        for (site, _) in &children {
            site.dam.wait_until_full();
        }
        // All that the credentials had, and a second.
        std::thread::park_timeout(Duration::from_secs(u64::from(LIFE) + 1));
        for (site, child) in children {
            site.dam.open();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}: {}", site.target, stderr(&output));
        }
    };
    held(&|site| vec!["cp".to_owned(), file.clone(), format!("{}:uploads/long", site.target)], Way::Up);
    let to = |site: &Site| walk.lab.folder.join(format!("{}-down", site.target));
    held(&|site| vec!["cp".to_owned(), format!("{}:uploads/long", site.target), to(site).display().to_string()], Way::Down);
    walk.sites.iter().for_each(|site| walk.is_whole(&to(site)));
}

#[test]
fn folders_are_kept_alike_listed_read_and_removed_at_every_storage() {
    let walk = Walk::start();
    let folder = walk.lab.folder.join("tree");
    std::fs::create_dir_all(folder.join("deep/er")).unwrap();
    for (name, content) in [("a.csv", "a"), ("deep/æ ø.csv", "b"), ("deep/er/empty", "")] {
        std::fs::write(folder.join(name), content).unwrap();
    }
    let from = folder.display().to_string();
    for Site { target, .. } in &walk.sites {
        let place = format!("{target}:uploads/tree/");
        works(&walk.run(&["sync", &from, &place]));
        let again = walk.run(&["sync", &from, &place]);
        assert!(stderr(&again).contains("3 unchanged"), "{target}: {}", stderr(&again));
        let keys: Vec<String> = walk.sizes(&place).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["uploads/tree/a.csv", "uploads/tree/deep/er/empty", "uploads/tree/deep/æ ø.csv"], "{target}");
        let shown = walk.run(&["cat", &format!("{place}deep/æ ø.csv")]);
        assert_eq!(stdout(&shown), "b", "{target}: {}", stderr(&shown));
        let back = walk.lab.folder.join(format!("{target}-tree"));
        works(&walk.run(&["sync", &place, back.to_str().unwrap()]));
        assert_eq!(std::fs::read_to_string(back.join("deep/æ ø.csv")).unwrap(), "b", "{target}");
        assert!(back.join("deep/er/empty").exists(), "{target}");
        works(&walk.run(&["cp", &format!("{place}a.csv"), &format!("{place}b.csv")]));
        works(&walk.run(&["rm", "-r", &place]));
        assert_eq!(walk.sizes(&place), [], "{target}");
        let gone = walk.run(&["cat", &format!("{place}a.csv")]);
        assert_eq!((gone.status.code(), stderr(&gone).contains("hint: ")), (Some(1), true), "{target}: {}", stderr(&gone));
    }
}

/// In the lake a list lets the consumer into one folder to read and into another to write, and into nothing else.
#[test]
fn lists_alone_let_a_consumer_into_the_lake() {
    let walk = Walk::with_lake_role(false);
    let small = walk.lab.folder.join("small");
    std::fs::write(&small, "small").unwrap();
    works(&walk.run(&["cp", small.to_str().unwrap(), "lake:uploads/small"]));
    assert_eq!(stdout(&walk.run(&["cat", "lake:uploads/small"])), "small");
    let read = walk.run(&["cat", "lake:timetables/line-1.csv"]);
    works(&read);
    for arguments in [["cat", "lake:payroll/2026.csv"], ["rm", "lake:timetables/line-1.csv"]] {
        let refused = walk.run(&arguments);
        assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("AuthorizationPermissionMismatch"), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("hint: "), "{}", stderr(&refused));
    }
}

/// The demonstration's consumer may read; its owner lets it write too: by a role's policy, a bucket's, two roles, and in the lake by a
/// list alone.
fn may_write(lab: &Lab, lake_role: bool) {
    let statement = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::fjordbuss-data", "arn:aws:s3:::fjordbuss-data/*"]}]});
    let policy = [("RoleName", "skyporten-timetables"), ("PolicyName", "writes"), ("PolicyDocument", &statement.to_string())];
    Aws::of(lab).iam("PutRolePolicy", &policy);

    let (http, runtime) = (lab.http(), tokio::runtime::Runtime::new().unwrap());
    let ask = |request: reqwest::RequestBuilder| {
        runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_success(), "{status} {text}");
            serde_json::from_str::<Value>(&text).unwrap_or_default()
        })
    };
    let google = |name: &str| lab.get(&format!("/clouds/google/{name}")).to_owned();
    let url = format!("{}/storage/v1/b/fjordbuss-data/iam", google("endpoint"));
    let mut policy = ask(http.get(&url).bearer_auth(google("access_token")));
    let account = format!("serviceAccount:timetable-reader@{}.iam.gserviceaccount.com", google("project"));
    policy["bindings"].as_array_mut().unwrap().push(json!({"role": "roles/storage.objectAdmin", "members": [account]}));
    ask(http.put(&url).bearer_auth(google("access_token")).json(&policy));

    let azure = |name: &str| lab.get(&format!("/clouds/azure/{name}")).to_owned();
    let group = format!("/subscriptions/{}/resourceGroups/sharing", azure("subscription_id"));
    let blobs = format!("{group}/providers/Microsoft.Storage/storageAccounts/{}", azure("account"));
    let lake = format!("{group}/providers/Microsoft.Storage/storageAccounts/{}", azure("lake_account"));
    let mut roles = vec![
        (1, &blobs, "ba92f5b4-2d11-453d-a403-e96b0029c9fe"), // Storage Blob Data Contributor
        (2, &blobs, "69566ab7-960f-475b-8e7c-b3118f30c6bd"), // Storage File Data Privileged Contributor
    ];
    roles.extend(lake_role.then_some((3, &lake, "ba92f5b4-2d11-453d-a403-e96b0029c9fe")));
    for (last, scope, role) in roles {
        let name = format!("7c0c3a52-0000-4000-8000-00000000000{last}");
        let url = format!("{}{scope}/providers/Microsoft.Authorization/roleAssignments/{name}", azure("arm"));
        let definition =
            format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{role}", azure("subscription_id"));
        let properties =
            json!({"roleDefinitionId": definition, "principalId": azure("principal_id"), "principalType": "ServicePrincipal"});
        let request = http.put(&url).query(&[("api-version", "2022-04-01")]).json(&json!({"properties": properties}));
        ask(request.bearer_auth(azure("access_token")));
    }
    let folder = format!("{}{}/fjordbuss-data/uploads", azure("dfs"), azure("lake_account"));
    let lake = |request: reqwest::RequestBuilder| {
        ask(request.bearer_auth(azure("access_token")).header("x-ms-version", "2023-11-03").body(""));
    };
    lake(http.put(&folder).query(&[("resource", "directory")]));
    let who = azure("principal_id");
    let list = format!("user::rwx,group::r-x,other::---,mask::rwx,user:{who}:rwx,default:user:{who}:rwx");
    lake(http.patch(&folder).query(&[("action", "setAccessControl")]).header("x-ms-acl", list));
}

/// Settings with a target for each storage, through its dam.
fn toml(lab: &Lab, sites: &[Site]) -> String {
    let mut text = std::fs::read_to_string(lab.get("/demo/config_file")).unwrap();
    let azure = |name: &str| lab.get(&format!("/clouds/azure/{name}")).to_owned();
    for Site { target, dam } in sites {
        let port = dam.port;
        let entra = format!(
            "tenant-id = \"{}\"\nclient-id = \"{}\"\nauthority = \"{}\"\nca-file = \"{}\"\n",
            azure("tenant_id"),
            azure("client_id"),
            azure("authority"),
            lab.get("/ca_file")
        );
        let place = match *target {
            "s3" => format!(
                "aws]\nrole-arn = \"{}\"\nregion = \"eu-north-1\"\nbucket = \"fjordbuss-data\"\nendpoint = \"http://localhost:{port}\"\n",
                crate::support::ROLE_ARN
            ),
            "gcs" => format!(
                "google]\nprovider = \"projects/{}/locations/global/workloadIdentityPools/skyporten/providers/skyporten\"\n\
                 service-account = \"timetable-reader@{}.iam.gserviceaccount.com\"\nbucket = \"fjordbuss-data\"\n\
                 endpoint = \"http://localhost:{port}\"\n",
                lab.get("/clouds/google/project_number"),
                lab.get("/clouds/google/project")
            ),
            "files" => format!(
                "azure]\n{entra}account = \"{}\"\nfile-share = \"{}\"\nfile-endpoint = \"https://localhost:{port}/\"\n",
                azure("account"),
                azure("file_share")
            ),
            name => {
                let account = azure(if name == "lake" { "lake_account" } else { "account" });
                format!(
                    "azure]\n{entra}account = \"{account}\"\ncontainer = \"fjordbuss-data\"\nendpoint = \"https://localhost:{port}/\"\n"
                )
            }
        };
        let target = format!(
            "\n[targets.{target}]\nclient = \"demo\"\nscope = \"{SCOPE}\"\nresource = \"{RESOURCE}\"\n[targets.{target}.{place}"
        );
        text.push_str(&target);
    }
    text
}
