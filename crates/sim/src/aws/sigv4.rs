//! Signatures of IAM and STS requests: AWS Signature Version 4, in headers or in the query string.
//!
//! The request is signed again with the secret that belongs to its access key, by AWS's own signer, and the two signatures are
//! compared in constant time. S3 requests are verified by `s3s`, which also knows chunked bodies.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::request::Parts;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use skybru_core::Secret;
use skybru_federation::aws::AwsError;

use super::errors;

/// How far a request's date may lie from the real time.
const SKEW: SignedDuration = SignedDuration::from_mins(15);

/// A signature as it stands on a request: who claims to have signed what, and when.
pub(crate) struct Signature {
    pub(crate) access_key_id: String,
    pub(crate) session_token: Option<Secret>,
    region: String,
    pub(crate) service: String,
    time: Timestamp,
    /// In the query string: how long it is good for.
    expires: Option<Duration>,
    signed_headers: Vec<String>,
    presented: String,
}

impl Signature {
    /// Finds the signature of a request; `None` if it has none.
    pub(crate) fn find(parts: &Parts) -> Result<Option<Self>, AwsError> {
        if let Some(value) = parts.headers.get(http::header::AUTHORIZATION) {
            let value = value.to_str().map_err(|_| errors::incomplete_signature("Authorization header is not text."))?;
            return Self::in_headers(value, parts).map(Some);
        }
        let query = parts.uri.query().unwrap_or_default();
        if query.contains("X-Amz-Signature=") { Self::in_query(query).map(Some) } else { Ok(None) }
    }

    fn in_headers(value: &str, parts: &Parts) -> Result<Self, AwsError> {
        let Some(fields) = value.strip_prefix("AWS4-HMAC-SHA256") else {
            return Err(errors::incomplete_signature("Authorization header requires 'AWS4-HMAC-SHA256'."));
        };
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| errors::incomplete_signature(&format!("Authorization header requires '{name}' parameter.")))
        };
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let date = header("x-amz-date")
            .ok_or_else(|| errors::incomplete_signature("Authorization header requires existence of a 'X-Amz-Date' header."))?;
        let token = header("x-amz-security-token").map(|token| Secret::from(token.to_owned()));
        Self::new(field("Credential")?, field("SignedHeaders")?, field("Signature")?, date, token, None)
    }

    fn in_query(query: &str) -> Result<Self, AwsError> {
        let parameter =
            |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value);
        let required = |name: &str| {
            parameter(name)
                .ok_or_else(|| errors::incomplete_signature(&format!("AWS query-string parameters must include '{name}'.")))
        };
        if required("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
            return Err(errors::incomplete_signature("'X-Amz-Algorithm' must be 'AWS4-HMAC-SHA256'."));
        }
        // STS takes a presigned request for 15 minutes at most, whatever it says.
        let expires = parameter("X-Amz-Expires").and_then(|text| text.parse().ok()).unwrap_or(900).min(900);
        let token = parameter("X-Amz-Security-Token").map(|token| Secret::from(token.into_owned()));
        Self::new(
            &required("X-Amz-Credential")?,
            &required("X-Amz-SignedHeaders")?,
            &required("X-Amz-Signature")?,
            &required("X-Amz-Date")?,
            token,
            Some(Duration::from_secs(expires)),
        )
    }

    fn new(
        credential: &str,
        signed_headers: &str,
        signature: &str,
        date: &str,
        session_token: Option<Secret>,
        expires: Option<Duration>,
    ) -> Result<Self, AwsError> {
        let mut scope = credential.rsplitn(5, '/');
        let (Some("aws4_request"), Some(service), Some(region), Some(day), Some(access_key_id)) =
            (scope.next(), scope.next(), scope.next(), scope.next(), scope.next())
        else {
            return Err(errors::incomplete_signature(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
            ));
        };
        let time = DateTime::strptime("%Y%m%dT%H%M%SZ", date)
            .and_then(|time| time.in_tz("UTC"))
            .map_err(|_| {
                errors::incomplete_signature(
                    "Date must be in ISO-8601 'basic format'. See https://en.wikipedia.org/wiki/ISO_8601.",
                )
            })?
            .timestamp();
        if !date.starts_with(day) {
            return Err(errors::signature_does_not_match(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{day}' != '{}'.",
                &date[..8]
            )));
        }
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            session_token,
            region: region.to_owned(),
            service: service.to_owned(),
            time,
            expires,
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
            presented: signature.to_owned(),
        })
    }

    /// Checks date and signature. `now` is the real time: the date was written by a client that knows no other.
    pub(crate) fn verify(&self, parts: &Parts, body: &[u8], secret: &Secret, now: Timestamp) -> Result<(), AwsError> {
        self.verify_date(now)?;
        if !self.signed_headers.iter().any(|name| name == "host") {
            return Err(errors::signature_does_not_match(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
            ));
        }
        let expected = self.expected(parts, body, secret).ok_or_else(errors::wrong_signature)?;
        if expected.matches(&self.presented) { Ok(()) } else { Err(errors::wrong_signature()) }
    }

    fn verify_date(&self, now: Timestamp) -> Result<(), AwsError> {
        let write = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let (earliest, latest) = (now.saturating_sub(SKEW).unwrap_or(now), now.saturating_add(SKEW).unwrap_or(now));
        let last = self.expires.map_or(self.time, |expires| self.time.saturating_add(expires).unwrap_or(self.time));
        let outlived = if self.expires.is_some() { last < now } else { last < earliest };
        if outlived {
            let (signed, earliest, now) = (write(self.time), write(earliest), write(now));
            return Err(errors::signature_does_not_match(format!(
                "Signature expired: {signed} is now earlier than {earliest} ({now} - 15 min.)"
            )));
        }
        if self.time > latest {
            let (signed, latest, now) = (write(self.time), write(latest), write(now));
            return Err(errors::signature_does_not_match(format!(
                "Signature not yet current: {signed} is still later than {latest} ({now} + 15 min.)"
            )));
        }
        Ok(())
    }

    /// The signature that the owner of `secret` would have made. `None` if the request cannot be signed at all.
    fn expected(&self, parts: &Parts, body: &[u8], secret: &Secret) -> Option<Secret> {
        let in_query = self.expires.is_some();
        let token = self.session_token.as_ref().filter(|_| in_query).map(|token| token.expose().to_owned());
        let identity = Credentials::new(self.access_key_id.as_str(), secret.expose(), token, None, "simulator").into();
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        settings.expires_in = self.expires_in(parts);
        settings.signature_location = if in_query { SignatureLocation::QueryParams } else { SignatureLocation::Headers };
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(SystemTime::from(self.time))
            .settings(settings)
            .build()
            .ok()?
            .into();
        let host = parts.headers.get(http::header::HOST)?.to_str().ok()?;
        let uri = format!("http://{host}{}", if in_query { without_signature(&parts.uri) } else { parts.uri.to_string() });
        let headers = self.signed_headers.iter().filter(|name| !in_query || *name != "host");
        let headers: Vec<(&str, &str)> =
            headers.map(|name| Some((name.as_str(), parts.headers.get(name)?.to_str().ok()?))).collect::<Option<_>>()?;
        let request = SignableRequest::new(parts.method.as_str(), uri, headers.into_iter(), SignableBody::Bytes(body)).ok()?;
        let (_, signature) = sign(request, &params).ok()?.into_parts();
        Some(Secret::from(signature))
    }

    fn expires_in(&self, parts: &Parts) -> Option<Duration> {
        self.expires?;
        let query = parts.uri.query().unwrap_or_default();
        let (_, text) = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "X-Amz-Expires")?;
        text.parse().ok().map(Duration::from_secs)
    }
}

/// The path and query of a presigned request as they were before it was signed.
fn without_signature(uri: &http::Uri) -> String {
    let kept = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.starts_with("X-Amz-"));
    let query = kept.collect::<Vec<_>>().join("&");
    format!("{}?{query}", uri.path())
}
