//! The identities of the clouds as sources of bearer tokens for their storage.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use skybru_core::Secret;

use super::service::{BearerSource, CredentialError};
use crate::azure::{AzureCredentialSource, Resource};
use crate::google::GoogleCredentialSource;

/// Google's access tokens.
pub(super) struct GoogleBearer(pub(super) Arc<GoogleCredentialSource>);

#[async_trait]
impl BearerSource for GoogleBearer {
    async fn bearer(&self) -> Result<Secret, CredentialError> {
        match self.0.credentials().await {
            Ok(credentials) => Ok(credentials.access_token.clone()),
            Err(error) => {
                let hint = error.hint();
                Err(CredentialError::new(error, hint))
            }
        }
    }
}

/// Entra's access tokens for Azure Storage: the same for blobs and files.
pub(super) struct AzureBearer(pub(super) Arc<AzureCredentialSource>);

#[async_trait]
impl BearerSource for AzureBearer {
    async fn bearer(&self) -> Result<Secret, CredentialError> {
        match self.0.token(&Resource::storage()).await {
            Ok(token) => Ok(token.access_token.clone()),
            Err(error) => {
                let hint = error.hint();
                Err(CredentialError::new(error, hint))
            }
        }
    }
}

impl fmt::Debug for GoogleBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GoogleBearer").field(self.0.target()).finish()
    }
}

impl fmt::Debug for AzureBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AzureBearer").field(self.0.target()).finish()
    }
}
