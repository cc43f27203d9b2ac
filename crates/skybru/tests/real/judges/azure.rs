//! Azurite and our Blob, asked about the same access tokens.

use serde_json::json;
use skybru_protocol::jose::{Algorithm, RsaSize, SigningKey};

use super::access_tokens::{Access, Around, CASES};
use super::azurite::{Azurite, script};
use super::table::{Section, TAKES};
use crate::aws::present;
use crate::support::Lab;

const HEAD: &str = "The simulator reads access tokens as Azure's storage does, and knows the directory and its roles. Azurite (3.35, with \
`--oauth basic`) is Microsoft's emulator: it reads issuer, audience and times, and nothing else. Each token asks for the list of a \
container's blobs.";

/// A Blob service.
struct Judge<'a> {
    around: Around<'a>,
    /// Where the account answers.
    account_url: String,
    container: &'a str,
    client: reqwest::Client,
}

impl Judge<'_> {
    async fn send(&self, method: &str, query: &str, access: &Access) -> (u16, String) {
        let url = format!("{}/{}?restype=container{query}", self.account_url, self.container);
        let request = self.client.request(method.parse().unwrap(), url).header("x-ms-version", access.version);
        let authorization = format!("{} {}", access.scheme, access.token(&self.around));
        let answer = request.header("authorization", authorization).header("content-length", "0").send().await.unwrap();
        let code = answer.headers().get("x-ms-error-code").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        (answer.status().as_u16(), code)
    }

    /// `takes it`, or the code with which it refuses.
    async fn verdict(&self, change: fn(&mut Access, &Around<'_>)) -> String {
        let mut access = Access::good(&self.around);
        change(&mut access, &self.around);
        match self.send("GET", "&comp=list", &access).await {
            (200, _) => TAKES.to_owned(),
            (status, code) if code.is_empty() => format!("refuses: status {status}"),
            (_, code) => format!("refuses: {code}"),
        }
    }
}

#[tokio::test]
async fn azurite_says_what_the_table_says() {
    if !present("node", &[&script().display().to_string(), "--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start();
    let azurite = Azurite::start(folder.path());
    let key = SigningKey::from_text(&std::fs::read_to_string(lab.folder.join("azure/entra-key.json")).unwrap(), None).unwrap();
    let other = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256).unwrap();
    let around = |account| Around {
        key: &key,
        other: &other,
        tenant: lab.get("/clouds/azure/tenant_id"),
        account,
        principal: lab.get("/clouds/azure/principal_id"),
    };
    let account = lab.get("/clouds/azure/account");
    let simulator = Judge {
        around: around(account),
        account_url: format!("{}{account}", lab.get("/clouds/azure/blob")),
        container: lab.get("/clouds/azure/container"),
        client: lab.http(),
    };
    let certificate = reqwest::Certificate::from_pem(azurite.certificate_pem.as_bytes()).unwrap();
    let judge = Judge {
        around: around("devstoreaccount1"),
        account_url: format!("{}/devstoreaccount1", azurite.endpoint),
        container: "judged",
        client: reqwest::Client::builder().tls_certs_only([certificate]).no_proxy().build().unwrap(),
    };
    let made = judge.send("PUT", "", &Access::good(&judge.around)).await;
    assert_eq!(made, (201, String::new()), "{}", json!(made));
    let mut section = Section::new("Azure: access tokens", HEAD, &["simulator", "Azurite"]);
    for case in CASES {
        let verdicts = vec![simulator.verdict(case.change).await, judge.verdict(case.change).await];
        section.row(case.name, verdicts, case.why);
    }
    section.check();
}
