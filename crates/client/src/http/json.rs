//! Calls of JSON APIs with an access token.

use http::Method;
use reqwest::header;
use serde_json::Value;
use skybru_core::Secret;

use super::{Http, HttpAnswer, HttpError, checked, send};

impl Http {
    /// Calls an API as the token's bearer. Any status is an answer.
    pub async fn call(&self, method: Method, url: &str, bearer: &Secret, body: Option<&Value>) -> Result<HttpAnswer, HttpError> {
        let url = checked(url)?;
        let mut request =
            self.0.request(method, url.clone()).header(header::ACCEPT, "application/json").bearer_auth(bearer.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        send(&url, request).await
    }

    /// Asks for the headers alone, with one of the caller's own, such as the version of an API.
    ///
    /// # Errors
    /// As those of the other calls.
    pub async fn head(&self, url: &str, bearer: &Secret, header: (&'static str, &str)) -> Result<HttpAnswer, HttpError> {
        let url = checked(url)?;
        let request = self.0.head(url.clone()).bearer_auth(bearer.expose()).header(header.0, header.1);
        send(&url, request).await
    }
}
