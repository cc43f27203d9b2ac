//! Requests to key services go out by the rules of this module, too.

use async_trait::async_trait;
use skybru_signer::kms::{Cause, Transport};

use super::{Http, checked, send};

#[async_trait]
impl Transport for Http {
    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, Cause> {
        let (parts, body) = request.into_parts();
        let url = checked(&parts.uri.to_string())?;
        let answer = send(&url, self.0.request(parts.method, url.clone()).headers(parts.headers).body(body)).await?;
        let mut response = http::Response::new(answer.body().to_vec());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}
