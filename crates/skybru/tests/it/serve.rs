//! `skybru issuer serve`: an issuer that somebody runs for others, from an empty folder to a token.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::server::{Server, onboard, run, settings};
use crate::support::{program, stderr, stdout};

/// Claims of a token of the reader, verified by its issuer's key set.
fn claims(folder: &Path) -> Value {
    let token = run(program(folder, &["--config", "reader.toml", "token"]));
    std::fs::write(folder.join("token"), token.trim()).unwrap();
    let text = run(program(folder, &["--config", "reader.toml", "inspect", "--json", token.trim()]));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn an_operator_begins_with_an_empty_folder_and_ends_with_a_consumers_token() {
    let folder = tempfile::tempdir().unwrap();
    let port = settings(folder.path(), "");
    let server = Server::start(folder.path());
    assert_eq!(server.info["selfservice"], format!("http://localhost:{port}/api/v1"));
    onboard(folder.path(), port);
    let seen = claims(folder.path());
    assert_eq!(seen["claims"]["sub"], "0192:310702641;fjordbuss:timetables.read", "{seen}");
    assert_eq!(seen["claims"]["iss"], format!("http://localhost:{}", port + 2));

    // Killed and started again: the same registry, the same key.
    server.kill();
    let again = Server::start(folder.path());
    let later = claims(folder.path());
    assert_eq!(later["header"]["kid"], seen["header"]["kid"]);
    drop(again);
}

/// Nobody but the operator registers clients for others.
#[test]
fn an_organisation_cannot_make_clients_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let port = settings(folder.path(), "");
    let _server = Server::start(folder.path());
    onboard(folder.path(), port);
    let arguments = [
        "--config",
        "consumer.toml",
        "registry",
        "client",
        "add",
        "--org",
        "314330897",
        "--name",
        "mine",
        "--scope",
        "idporten:dcr.write",
    ];
    let output = program(folder.path(), &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("skybru:operator"), "{}", stderr(&output));
}

/// The next key is published as soon as it is prepared, and signs no sooner than caches allow.
#[test]
fn a_prepared_key_is_published_by_the_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let port = settings(folder.path(), "");
    let _server = Server::start(folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let published = || -> Vec<String> {
        let url = format!("http://localhost:{}/jwk", port + 2);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let set: Value = runtime.block_on(async { client.get(url).send().await.unwrap().json().await.unwrap() });
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let first = published();
    assert_eq!(first.len(), 1);
    let text = run(program(folder.path(), &["issuer", "keys", "rotate"]));
    assert!(text.starts_with("prepared"), "{text}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while published().len() < 2 {
        assert!(Instant::now() < deadline, "the prepared key was not published");
        #[expect(clippy::disallowed_methods, reason = "it is a condition with a deadline")]
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(published()[0], first[0], "the signing one stands first");
    let listed = run(program(folder.path(), &["issuer", "keys", "list"]));
    assert!(listed.contains("active since") && listed.contains("prepared"), "{listed}");

    // Whoever fetched the set is known, and sealed keys are all that the database holds.
    let deadline = Instant::now() + Duration::from_secs(30);
    let shown = loop {
        published();
        let shown: Value = serde_json::from_str(&run(program(folder.path(), &["issuer", "keys", "list", "--json"]))).unwrap();
        if shown["verifiers"][0]["newest"] == published()[1] {
            break shown;
        }
        assert!(Instant::now() < deadline, "the fetch was not noted: {shown}");
        #[expect(clippy::disallowed_methods, reason = "it is a condition with a deadline")]
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(shown["verifiers"][0]["verifier"], "127.0.0.0/24 -");
    assert_eq!(shown["keys"][0]["holder"], "sealed");
    let output = program(folder.path(), &["issuer", "keys", "rotate"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "caches may lack it: {}", stderr(&output));
    let output = program(folder.path(), &["issuer", "keys", "rotate", "--emergency"]).output().unwrap();
    assert!(stderr(&output).contains("Of 1 known verifiers 1 have fetched it"), "{}", stderr(&output));
}

#[test]
fn wrong_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |text: &str| {
        std::fs::write(folder.path().join("skybru.toml"), text).unwrap();
        let output = program(folder.path(), &["issuer", "serve"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let server = "[server]\ndata = \"data\"\noperator = \"312605031\"\napi-listen = \"127.0.0.1:0\"\n";
    let issuer = |url: &str, profile: &str, listen: &str| {
        format!("{server}[issuers.a]\nurl = \"{url}\"\nprofile = \"{profile}\"\nlisten = \"{listen}\"\n")
    };
    for (text, expected) in [
        (String::new(), "setting server: missing"),
        (server.to_owned(), "setting issuers: none is there"),
        (
            server.replace("312605031", "312605032") + &issuer("http://localhost:1", "skyporten", "127.0.0.1:0")[server.len()..],
            "server.operator",
        ),
        (issuer("https://sky.example.no/", "skyporten", "127.0.0.1:0"), "must not end in a slash"),
        (issuer("https://mp.example.no", "maskinporten", "127.0.0.1:0"), "must end in a slash"),
        (issuer("https://sky.example.no", "idporten", "127.0.0.1:0"), "expected maskinporten or skyporten"),
        (issuer("https://sky.example.no", "skyporten", "0.0.0.0:0"), "there is no TLS"),
        (issuer("https://sky.example.no", "skyporten", "localhost"), "expected an address such as"),
        (
            format!(
                "{server}tls-cert = \"a.pem\"\n{}",
                &issuer("https://sky.example.no", "skyporten", "127.0.0.1:0")[server.len()..]
            ),
            "give both, or neither",
        ),
        (format!("{server}rotate = 3\n"), "unknown field `rotate`"),
    ] {
        let found = ask(&text);
        assert!(found.contains(expected), "{text}\n{found}");
    }
}

/// Every token and every change stands in the log; whoever touches it is found out; an organisation reads what concerns it.
#[test]
fn the_audit_log_tells_what_was_issued_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let port = settings(folder.path(), "");
    let server = Server::start(folder.path());
    onboard(folder.path(), port);
    let jti = claims(folder.path())["claims"]["jti"].as_str().unwrap().to_owned();
    let verify = || program(folder.path(), &["issuer", "audit", "verify"]).output().unwrap();
    assert!(verify().status.success(), "{}", stdout(&verify()));
    let export = |arguments: &[&str]| -> Vec<Value> {
        let text = run(program(folder.path(), &[&["issuer", "audit", "export"], arguments].concat()));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let issued = |entry: &&Value| entry["jti"] == jti.as_str() && entry["event"] == "token_issued";
    let of_consumer = export(&["--org", "310702641"]);
    let entry = of_consumer.iter().find(issued).unwrap();
    assert_eq!((&entry["consumer"], &entry["owners"][0]), (&"310702641".into(), &"314330897".into()));
    assert_eq!(export(&["--org", "314330897"]).iter().filter(issued).count(), 1, "the provider reads it, too");
    assert_eq!(export(&["--org", "889640782"]).len(), 0);
    assert_eq!(export(&["--since", "2999-01-01T00:00:00Z"]).len(), 0);
    let changes = |entry: &&Value| entry["changes"][0] == "access fjordbuss:timetables.read 310702641 approved";
    assert_eq!(export(&[]).iter().filter(changes).count(), 1);

    // The same through the API, by pages, with a token of the consumer's own.
    let consumer = std::fs::read_to_string(folder.path().join("consumer.toml")).unwrap();
    std::fs::write(folder.path().join("reading.toml"), consumer.replace("resource = \"https://skyporten.example.no\"\n", ""))
        .unwrap();
    let token = run(program(folder.path(), &["--config", "reading.toml", "token", "--scope", "idporten:dcr.write"]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ask = |query: &str| -> (u16, Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://localhost:{port}/api/v1/audit{query}");
        runtime.block_on(async {
            let answer = client.get(url).bearer_auth(token.trim()).send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        })
    };
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let (status, page) = ask(&format!("?limit=2{after}"));
        assert_eq!(status, 200, "{page}");
        seen.extend(page["entries"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen.iter().filter(issued).count(), 1);
    assert_eq!(ask("?orgno=314330897").0, 403, "another organisation's");
    assert_eq!(ask("?limit=0").0, 400);

    // The ends that were kept are found again after a crash; others are not.
    let ends = run(program(folder.path(), &["--json", "issuer", "audit", "verify"]));
    server.kill();
    let _again = Server::start(folder.path());
    let kept = folder.path().join("ends.json");
    std::fs::write(&kept, &ends).unwrap();
    run(program(folder.path(), &["issuer", "audit", "verify", "--kept", "ends.json"]));
    let mut ends: Value = serde_json::from_str(&ends).unwrap();
    ends["heads"][0]["hash"] = "A".repeat(43).into();
    std::fs::write(&kept, ends.to_string()).unwrap();
    let output = program(folder.path(), &["issuer", "audit", "verify", "--kept", "ends.json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("the ends that were kept"), "{}", stdout(&output));
}

/// What strangers cause stands in the log as counts, however often they come; what is done in a client's name, one by one at first.
#[test]
fn refusals_that_anybody_can_cause_are_counted_in_the_audit_log() {
    let folder = tempfile::tempdir().unwrap();
    let port = settings(folder.path(), "client-requests-per-second = 3");
    let server = Server::start(folder.path());
    onboard(folder.path(), port);
    let reader: toml::Table = std::fs::read_to_string(folder.path().join("reader.toml")).unwrap().parse().unwrap();
    let id = reader["clients"]["reader"]["client-id"].as_str().unwrap().to_owned();
    let key = std::fs::read_to_string(folder.path().join("reader.jwk")).unwrap();
    let key = skybru_protocol::jose::SigningKey::from_text(&key, None).unwrap();
    let issuer = format!("http://localhost:{}", port + 2);
    let signed = |client: &str, jti: &str| {
        let now = now();
        let claims = serde_json::json!({"aud": issuer, "iss": client, "scope": "fjordbuss:timetables.read", "iat": now,
            "exp": now + 60, "jti": jti});
        key.sign(None, &claims).unwrap()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |assertion: &str| -> u16 {
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
        runtime.block_on(async { http.post(format!("{issuer}/token")).form(&form).send().await.unwrap().status().as_u16() })
    };
    for number in 0..30 {
        assert_eq!(ask("garbage"), 400);
        assert_eq!(ask(&signed("00000000-0000-0000-0000-000000000000", &number.to_string())), 400);
        // In the consumer's name, with a signature that does not hold.
        let good = signed(&id, &format!("forged-{number}"));
        assert_eq!(ask(&format!("{}{}", &good[..good.len() - 8], "AAAAAAAA")), 400);
    }
    let limited = (0..40).filter(|number| ask(&signed(&id, &format!("good-{number}"))) == 429).count();
    assert!(limited > 0);
    server.stop();
    let text = run(program(folder.path(), &["issuer", "audit", "export"]));
    let refused: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|entry: &Value| entry["event"] == "token_refused")
        .collect();
    let of = |code: &str| -> Vec<&Value> { refused.iter().filter(|entry| entry["code"] == code).collect() };
    let counted = |code: &str| of(code).iter().filter_map(|entry| entry["count"].as_u64()).sum::<u64>();
    assert_eq!(counted("invalid_request MP-011"), 30);
    assert_eq!(counted("invalid_grant MP-100"), 30);
    assert!(of("invalid_request MP-011").len() <= 2 && of("invalid_grant MP-100").len() <= 2, "one entry a minute");
    let forged = of("invalid_grant MP-124");
    let single = forged.iter().filter(|entry| entry["count"].is_null()).count();
    assert!((10..=20).contains(&single), "{single} one by one");
    assert_eq!(single as u64 + counted("invalid_grant MP-124"), 30);
    assert!(forged.iter().all(|entry| entry["client"] == id.as_str() && entry["consumer"].is_null()), "nothing was proven");
    let too_often = of("too_many_requests client");
    assert_eq!(counted("too_many_requests client"), limited as u64);
    assert!(too_often.iter().all(|entry| entry["consumer"] == "310702641"), "{too_often:?}");
    run(program(folder.path(), &["issuer", "audit", "verify"]));
}

#[expect(clippy::disallowed_methods, reason = "a real server has the real clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A setting that would let an assertion be used once on each node is refused.
#[test]
fn used_assertions_of_several_nodes_do_not_lie_on_one() {
    let folder = tempfile::tempdir().unwrap();
    for (more, expected) in [
        (
            "[server.store]\nkind = \"postgres\"\nurl = \"postgresql://a@127.0.0.1:1/b\"\n[server.replay]\nkind = \"sqlite\"\n",
            "other nodes",
        ),
        ("[server.store]\nkind = \"postgres\"\n", "server.store.url"),
        ("[server.store]\nkind = \"postgres\"\nurl = \"postgresql://a:geheim@127.0.0.1:1/b\"\n", "as a file or a variable"),
        ("[server.replay]\nkind = \"postgres\"\n", "needs server.store.kind"),
        (
            "[server.replay]\nkind = \"valkey\"\nurl = \"redis://127.0.0.1:1\"\npassword = { env = \"NOT_SET\" }\n",
            "NOT_SET is not set",
        ),
        ("[server.store]\nkind = \"mysql\"\n", "expected `sqlite` or `postgres`"),
    ] {
        settings(folder.path(), more);
        let output = program(folder.path(), &["issuer", "serve"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected) && !stderr(&output).contains("geheim"), "{more}\n{}", stderr(&output));
    }
}
