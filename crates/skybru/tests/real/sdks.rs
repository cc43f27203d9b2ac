//! The clouds' own SDKs for Go, Node and Java, unmodified, through `exec` and the agent, on every road by which they find credentials.
//!
//! Each language has one small program of the same shape (`go/main.go`, `node/sdks.mjs`, `java/Sdks.java`): it reads one object with the
//! credentials that its environment offers, and prints it, or what the SDK says of the refusal.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::aws::present;
use crate::support::agent::Agent;
use crate::support::{Lab, PROGRAM, ROLE_ARN, stderr, stdout};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real");
const TIMETABLE: &str = "stop,departure\nBergen,07:10\nVoss,08:35";
const AZURE_CLIENT: &str = "AZURE_CLIENT_ID";

/// What the issuer says of a client without access, and the doctor's rule.
const REFUSED: [&str; 2] = ["MP-200", "(D-17)"];

/// A language's program, and what one must know of its SDKs.
struct Language {
    /// The program and its first arguments.
    line: Vec<String>,
    /// AWS's chain of providers tells why the last one failed.
    aws_tells: bool,
    /// A metadata server's words are shown.
    metadata_tells: bool,
    /// An `external_account` file may name the lab's token service; else only Google's own.
    google_takes_any_service: bool,
}

/// A lab, an agent that it lets in, and one that it refuses.
struct Roads<'a> {
    lab: &'a Lab,
    agent: &'a Agent,
    refused: &'a Agent,
    language: &'a Language,
}

/// For each road the variables that a user would set.
type Variables<'a> = Vec<(&'a str, String)>;

impl Roads<'_> {
    /// The program with nothing but what its cloud's endpoint needs.
    fn program(&self, which: &str, key: &str, variables: &Variables<'_>) -> Output {
        let container = if which.starts_with("azure") && key.starts_with("payroll") { "private_container" } else { "container" };
        let container = self.lab.get(&format!("/clouds/azure/{container}"));
        let (program, first) = self.language.line.split_first().unwrap();
        let mut command = clean(program, &self.lab.folder);
        command.args(first).args([which, container, key]);
        for (name, value) in self.endpoints().iter().chain(variables) {
            command.env(name, value);
        }
        command.output().unwrap()
    }

    /// Where the lab is. Go's exchange of a web identity reads the second name only.
    fn endpoints(&self) -> Variables<'static> {
        let (aws, azure) = (self.lab.get("/clouds/aws/endpoint"), "/clouds/azure");
        let blob = format!("{}{}", self.lab.get(&format!("{azure}/blob")), self.lab.get(&format!("{azure}/account")));
        let ca = self.lab.get("/ca_file").to_owned();
        vec![
            ("AWS_ENDPOINT_URL", aws.to_owned()),
            ("AWS_ENDPOINT_URL_STS", aws.to_owned()),
            ("AWS_REGION", "eu-north-1".to_owned()),
            ("GOOGLE_CLOUD_PROJECT", self.lab.get("/clouds/google/project").to_owned()),
            ("STORAGE_EMULATOR_HOST", self.lab.get("/clouds/google/endpoint").to_owned()),
            ("AZURE_STORAGE_BLOB_ENDPOINT", blob),
            ("SSL_CERT_FILE", ca.clone()),
            ("NODE_EXTRA_CA_CERTS", ca),
        ]
    }

    fn reads(&self, road: &str, which: &str, variables: &Variables<'_>) {
        let output = self.program(which, "timetables/line-1.csv", variables);
        assert_eq!(stdout(&output).trim(), TIMETABLE, "{road}: {}", stderr(&output));
    }

    fn is_told(&self, road: &str, which: &str, variables: &Variables<'_>, words: &[&str]) {
        let output = self.program(which, "timetables/line-1.csv", variables);
        let text = stderr(&output);
        assert!(output.stdout.is_empty() && !output.status.success(), "{road} was let through");
        assert!(words.iter().all(|word| text.contains(word)), "{road}: {text}");
    }

    fn aws(&self) {
        let of = |agent: &Agent| {
            vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url("/aws/demo")),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", agent.authorization().to_owned()),
            ]
        };
        self.reads("container", "aws", &of(self.agent));
        let file = self.lab.folder.join("tokens/demo.jwt").display().to_string();
        self.reads("web identity", "aws", &vec![("AWS_WEB_IDENTITY_TOKEN_FILE", file), ("AWS_ROLE_ARN", ROLE_ARN.to_owned())]);
        let config = self.lab.folder.join("aws-config");
        let settings = self.lab.get("/demo/config_file");
        let line = format!("[default]\ncredential_process = {PROGRAM} --config {settings} credentials demo\n");
        std::fs::write(&config, line).unwrap();
        self.reads("process", "aws", &vec![("AWS_CONFIG_FILE", config.display().to_string())]);
        let words: &[&str] = if self.language.aws_tells { &REFUSED } else { &[] };
        self.is_told("a refused container", "aws", &of(self.refused), words);
    }

    fn google(&self) {
        let metadata = |agent: &Agent| {
            let host = agent.url("").trim_start_matches("http://").to_owned();
            vec![("GCE_METADATA_HOST", host)]
        };
        self.reads("metadata", "google", &metadata(self.agent));
        let words: &[&str] = if self.language.metadata_tells { &REFUSED } else { &[] };
        self.is_told("refused metadata", "google", &metadata(self.refused), words);
        if !self.language.google_takes_any_service {
            return;
        }
        let token_file = self.lab.folder.join("tokens/demo-google.jwt").display().to_string();
        let (agent, refused) = (self.agent.url(""), self.refused.url(""));
        let account = |source: &[&str]| {
            let arguments = [&["credentials", "demo-google", "--format", "google-file", "--source"], source].concat();
            let output = self.lab.skybru(&arguments).output().unwrap();
            let file = self.lab.folder.join("account.json");
            std::fs::write(&file, output.stdout).unwrap();
            let file = file.display().to_string();
            vec![("GOOGLE_APPLICATION_CREDENTIALS", file), ("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1".to_owned())]
        };
        self.reads("URL", "google", &account(&["agent", "--agent", &agent]));
        self.reads("file", "google", &account(&["file", "--token-file", &token_file]));
        self.reads("executable", "google", &account(&["executable"]));
        self.is_told("a refused URL", "google", &account(&["agent", "--agent", &refused]), &REFUSED);
    }

    fn azure(&self) {
        let of = |agent: &Agent| {
            vec![("IDENTITY_ENDPOINT", agent.url("/azure/demo-azure/msi")), ("IDENTITY_HEADER", agent.authorization().to_owned())]
        };
        self.reads("managed identity", "azure-managed", &of(self.agent));
        self.reads("the default chain", "azure-default", &of(self.agent));
        let get = |name: &str| self.lab.get(&format!("/clouds/azure/{name}")).to_owned();
        let workload = vec![
            ("AZURE_TENANT_ID", get("tenant_id")),
            (AZURE_CLIENT, get("client_id")),
            ("AZURE_AUTHORITY_HOST", get("authority")),
            ("AZURE_FEDERATED_TOKEN_FILE", self.lab.folder.join("tokens/demo-azure.jwt").display().to_string()),
        ];
        self.reads("workload identity", "azure-workload", &workload);
        self.is_told("a refused managed identity", "azure-managed", &of(self.refused), &REFUSED);
    }

    /// Nothing but the command's name is needed; what may not be read is refused in the cloud's own words.
    fn exec(&self) {
        for (target, which, words) in [
            ("demo", "aws", "is not authorized to perform: s3:GetObject"),
            ("demo-google", "google", "does not have storage.objects.get access"),
            ("demo-azure", "azure-managed", "This request is not authorized to perform this operation using this permission."),
        ] {
            let run = |container: &str, key: &str| {
                let mut command = clean(PROGRAM, &self.lab.folder);
                command.env("SKYBRU_CONFIG", self.lab.get("/demo/config_file")).args(["exec", target, "--"]);
                if which == "google" && !self.language.google_takes_any_service {
                    command.args(["env", "-u", "GOOGLE_APPLICATION_CREDENTIALS"]);
                }
                command.args(&self.language.line).args([which, container, key]).output().unwrap()
            };
            let read = run("fjordbuss-data", "timetables/line-1.csv");
            assert_eq!(stdout(&read).trim(), TIMETABLE, "{target}: {}", stderr(&read));
            let container =
                if target == "demo-azure" { self.lab.get("/clouds/azure/private_container") } else { "fjordbuss-data" };
            let refused = run(container, "payroll/2026.csv");
            assert_eq!(refused.status.code(), Some(1), "{target}: {}", stdout(&refused));
            assert!(stderr(&refused).contains(words), "{target}: {}", stderr(&refused));
        }
    }
}

/// A program without any cloud's variables, in a home of its own.
fn clean(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).current_dir(home);
    for (name, value) in std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LANG") {
        command.env(name, value);
    }
    command
}

/// Walks all roads with the program that `language` makes in the lab's folder.
fn walk(language: impl FnOnce(&Lab) -> Language) {
    let lab = Lab::start();
    let language = language(&lab);
    let agent = Agent::of(&lab, &["--token-files", "tokens"]);
    // The same targets, reached for by somebody who has no access.
    let own = std::fs::read_to_string(lab.get("/demo/config_file")).unwrap();
    let settings = lab.folder.join("outsider.toml");
    std::fs::write(&settings, own.replace("client = \"demo\"", "client = \"outsider\"")).unwrap();
    let mut start = lab.skybru(&["agent", "--listen", "127.0.0.1:0", "--json"]);
    start.env("SKYBRU_CONFIG", &settings);
    let mut refused = Agent::start(start);
    {
        let roads = Roads { lab: &lab, agent: &agent, refused: &refused, language: &language };
        roads.exec();
        roads.aws();
        roads.google();
        roads.azure();
    }
    // An SDK that keeps the reason to itself leaves its user with the agent's log.
    let line = refused.hears();
    assert!(REFUSED.iter().all(|word| line.contains(word)), "{line}");
}

#[test]
fn gos_sdks_read_on_every_road_and_tell_why_they_may_not() {
    if !present("go", &["version"]) {
        return;
    }
    walk(|lab| {
        let program = lab.folder.join("sdks");
        let mut build = Command::new("go");
        let build = build.current_dir(format!("{HERE}/go")).args(["build", "-o"]).arg(&program).arg(".").output().unwrap();
        assert!(build.status.success(), "{}", stderr(&build));
        Language {
            line: vec![program.display().to_string()],
            aws_tells: true,
            metadata_tells: true,
            google_takes_any_service: true,
        }
    });
}

#[test]
fn nodes_sdks_read_on_every_road_and_tell_why_they_may_not() {
    let script = format!("{HERE}/node/sdks.mjs");
    if !present("node", &[&script, "present"]) {
        return;
    }
    walk(|_| Language {
        line: vec!["node".to_owned(), script],
        aws_tells: false,
        metadata_tells: false,
        google_takes_any_service: true,
    });
}

/// Java trusts a store of its own, which keytool fills.
#[test]
fn javas_sdks_read_on_every_road_and_tell_why_they_may_not() {
    let classes = PathBuf::from(HERE).join("java/lib");
    if !present("javac", &["-version"]) || !present("ls", &[&classes.display().to_string()]) {
        return;
    }
    walk(|lab| {
        let (store, out) = (lab.folder.join("trust.p12"), lab.folder.join("classes"));
        let import = ["-importcert", "-noprompt", "-alias", "lab", "-storetype", "PKCS12", "-storepass", "changeit"];
        let mut keytool = Command::new("keytool");
        let keytool = keytool.args(import).args(["-file", lab.get("/ca_file"), "-keystore"]).arg(&store).output().unwrap();
        assert!(keytool.status.success(), "{}{}", stdout(&keytool), stderr(&keytool));
        let libraries = format!("{}/*", classes.display());
        let mut javac = Command::new("javac");
        let javac = javac.args(["-cp", &libraries, "-d"]).arg(&out).arg(format!("{HERE}/java/Sdks.java")).output().unwrap();
        assert!(javac.status.success(), "{}", stderr(&javac));
        let line = [
            "java".to_owned(),
            "-XX:TieredStopAtLevel=1".to_owned(),
            format!("-Djavax.net.ssl.trustStore={}", store.display()),
            "-Djavax.net.ssl.trustStorePassword=changeit".to_owned(),
            "-cp".to_owned(),
            format!("{}:{libraries}", out.display()),
            "Sdks".to_owned(),
        ];
        Language { line: line.to_vec(), aws_tells: false, metadata_tells: true, google_takes_any_service: false }
    });
}
