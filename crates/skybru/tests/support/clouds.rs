//! Token services of Google and Entra that answer every well-formed question: for tests of what lies before them. Whether a token is
//! good is no business of theirs; the simulators decide that.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::{Lab, RESOURCE, SCOPE};

pub(crate) const TENANT: &str = "8a6f1b1e-0c2d-4f63-9a53-7c5d2f1e0b11";
pub(crate) const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
pub(crate) const PROVIDER: &str = "projects/123456/locations/global/workloadIdentityPools/skyporten/providers/test";
pub(crate) const GOOGLE_TOKEN: &str = "ya29.federated";

/// The address of the services, which live as long as the test.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    format!("http://{address}")
}

/// Settings with a target `both` in both clouds, beside the lab's own.
pub(crate) fn settings(lab: &Lab, cloud: &str) -> String {
    let own = std::fs::read_to_string(lab.get("/demo/config_file")).unwrap();
    format!(
        r#"{own}
[targets.both]
client = "demo"
scope = "{SCOPE}"
resource = "{RESOURCE}"
google = {{ provider = "{PROVIDER}", endpoint = "{cloud}" }}
azure = {{ tenant-id = "{TENANT}", client-id = "{CLIENT}", account = "fjordbuss", authority = "{cloud}" }}
"#
    )
}

fn answer(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let header = header.trim().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let answer = of(&path, &form).to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", answer.len());
    let _ = write!(stream, "{head}connection: close\r\n\r\n{answer}");
}

fn of(path: &str, form: &HashMap<String, String>) -> Value {
    match path {
        "/v1/token" if form["subject_token"].split('.').count() == 3 => json!({"access_token": GOOGLE_TOKEN,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 3598}),
        "/v1/introspect" => {
            let pool = PROVIDER.split("/providers").next().unwrap();
            json!({"active": true, "username": format!("principal://iam.googleapis.com/{pool}/subject/x")})
        }
        path if path == format!("/{TENANT}/oauth2/v2.0/token") && form["client_assertion"].split('.').count() == 3 => {
            let resource = form["scope"].trim_end_matches("/.default");
            let claims = json!({"aud": resource, "tid": TENANT, "appid": form["client_id"], "oid": CLIENT, "sub": CLIENT});
            let part = |value: &Value| skybru_protocol::base64url::encode(value.to_string());
            let token = format!("{}.{}.c2ln", part(&json!({"alg": "RS256", "kid": "k"})), part(&claims));
            json!({"token_type": "Bearer", "expires_in": 3599, "access_token": token})
        }
        _ => json!({"error": "invalid_request", "error_description": path}),
    }
}
