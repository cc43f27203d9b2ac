//! An STS that answers what the test says, and remembers what it was sent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::http::header::{DATE, HeaderName};
use axum::routing::post;

use crate::serve;

pub(crate) const SECRET: &str = "wJalrXUtnFEMIsecret";
pub(crate) const SESSION_TOKEN: &str = "FQoGZXIvYXdzEBsessiontoken";

pub(crate) type Answer = (u16, String);

pub(crate) struct Seen {
    script: VecDeque<Answer>,
    pub(crate) forms: Vec<HashMap<String, String>>,
}

pub(crate) struct TestSts {
    pub(crate) url: String,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

impl TestSts {
    /// Begins with these answers; every later request gets credentials until 2023-11-14T23:13:20Z, an hour after the tests' time.
    pub(crate) async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let seen = Arc::new(Mutex::new(Seen { script: script.into_iter().collect(), forms: Vec::new() }));
        let app = Router::new().route("/", post(answer)).with_state(seen.clone());
        Self { url: format!("http://{}", serve(app).await), seen }
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().forms.len()
    }
}

async fn answer(
    State(seen): State<Arc<Mutex<Seen>>>,
    Form(form): Form<HashMap<String, String>>,
) -> (StatusCode, [(HeaderName, String); 1], String) {
    let mut seen = seen.lock().unwrap();
    let session = form.get("RoleSessionName").cloned().unwrap_or_default();
    seen.forms.push(form);
    let (status, body) = seen
        .script
        .pop_front()
        .unwrap_or_else(|| (200, success(&format!("arn:aws:sts::123456789012:assumed-role/skyporten-role/{session}"), SUBJECT)));
    (StatusCode::from_u16(status).unwrap(), [(DATE, crate::http_date(crate::NOW))], body)
}

pub(crate) const SUBJECT: &str = "0192:917422575;entur:skyporten.demo";

/// A-24.
pub(crate) fn success(arn: &str, subject: &str) -> String {
    format!(
        r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>{subject}</SubjectFromWebIdentityToken>
    <Audience>https://skyporten.example.no</Audience>
    <AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>AROAEXAMPLE:sess</AssumedRoleId></AssumedRoleUser>
    <Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>
      <SessionToken>{SESSION_TOKEN}</SessionToken><Expiration>2023-11-14T23:13:20Z</Expiration></Credentials>
    <Provider>arn:aws:iam::123456789012:oidc-provider/sky.example.no</Provider>
    <PackedPolicySize>25</PackedPolicySize>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>"#
    )
}

/// A-27.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>4e4c4b4a</RequestId></ErrorResponse>"#
    );
    (status, body)
}
