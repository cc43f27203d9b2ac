//! Where a client's private key is, and how to open it.

use std::path::Path;
use std::sync::Arc;

use skybru_client::http::{Http, HttpOptions};
use skybru_client::token::KeyProof;
use skybru_core::{KeyId, Secret};
use skybru_signer::kms::KmsKeyName;
use skybru_signer::pkcs11::{Pkcs11Signer, Pkcs11Uri};
use skybru_signer::{LocalSigner, Signer, from_pkcs12};
use tokio::runtime::{Builder, Handle, RuntimeFlavor};

use super::layers::{Settings, SettingsError};
use super::options::{ClientOptions, KeyOptions};
use super::resolve::parse;
use crate::key_service::KeyService;
use crate::system::System;

/// What to look at when a key cannot be opened.
mod advice {
    pub(super) const TEXT: &str =
        "the key must be a JWK or a PEM file with the private key, RSA from 2048 bits or P-256; check key.file";
    pub(super) const PKCS12: &str = "check key.password-file, which holds the passphrase and nothing else, and key.alias; openssl pkcs12 -info -in FILE shows what is there";
    pub(super) const PKCS11: &str = "check token and object in key.pkcs11, and the PIN in the file that pin-source names; pkcs11-tool --list-objects shows what is there";
    pub(super) const AWS: &str = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN must be somebody's who may kms:GetPublicKey and kms:Sign with this key";
    pub(super) const GOOGLE: &str = "the file that SKYBRU_KMS_TOKEN_FILE names must hold a fresh access token of somebody with \
                                     roles/cloudkms.signerVerifier on the key";
    pub(super) const AZURE: &str = "the file that SKYBRU_KMS_TOKEN_FILE names must hold a fresh access token for https://vault.azure.net of \
                                    somebody with the role Key Vault Crypto User";
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Settings {
    /// The client's key, opened, and how the issuer knows it: by its id, or, when it came with a certificate and no `key-id` was set, by
    /// that.
    pub(crate) fn signer(
        &self,
        name: &str,
        client: &ClientOptions,
        system: &System,
    ) -> Result<(Arc<dyn Signer>, KeyProof), SettingsError> {
        let options = &client.key;
        let key = format!("clients.{name}.key");
        let kid: Option<KeyId> = options.key_id.as_deref().map(|text| parse(&format!("{key}.key-id"), text)).transpose()?;
        let (place, advice, opened) = match sources(options)[..] {
            ["file"] => {
                let path = self.folder.join(options.file.as_deref().unwrap_or_default());
                (path.display().to_string(), advice::TEXT, read(&path).and_then(|text| from_text(&text, kid.as_ref())))
            }
            ["env"] => {
                let variable = options.env.as_deref().unwrap_or_default();
                let text = system.var(variable).ok_or_else(|| Cause::from("the variable is not set"));
                (format!("variable {variable}"), advice::TEXT, text.and_then(|text| from_text(text, kid.as_ref())))
            }
            ["pkcs12"] => {
                let path = self.folder.join(options.pkcs12.as_deref().unwrap_or_default());
                (path.display().to_string(), advice::PKCS12, self.pkcs12(&path, options, kid.as_ref()))
            }
            ["pkcs11"] => {
                let uri: Pkcs11Uri = parse(&format!("{key}.pkcs11"), options.pkcs11.as_deref().unwrap_or_default())?;
                ("the hardware module".to_owned(), advice::PKCS11, self.pkcs11(uri, kid.as_ref()))
            }
            ["kms"] => {
                let address: KmsKeyName = parse(&format!("{key}.kms"), options.kms.as_deref().unwrap_or_default())?;
                let http = self.http(name)?;
                let advice = match address {
                    KmsKeyName::Aws { .. } => advice::AWS,
                    KmsKeyName::Google(_) => advice::GOOGLE,
                    KmsKeyName::Azure { .. } => advice::AZURE,
                };
                ("the key service".to_owned(), advice, self.kms(&address, &http, system, kid.as_ref()))
            }
            _ => {
                let problem =
                    "expected one of file = \"client.jwk\", env = \"NAME\", pkcs12 = \"client.p12\" (with password-file), \
                               pkcs11 = \"pkcs11:token=…;object=…?module-path=…\" and kms = \"arn:aws:kms:…\""
                        .to_owned();
                return Err(SettingsError::Value { key, problem });
            }
        };
        let signer = opened.map_err(|source| SettingsError::PrivateKey { client: name.to_owned(), place, advice, source })?;
        let proof = if signer.certificates().is_empty() || kid.is_some() { KeyProof::Registered } else { KeyProof::Certificate };
        Ok((signer, proof))
    }

    fn pkcs12(&self, path: &Path, options: &KeyOptions, kid: Option<&KeyId>) -> Result<Arc<dyn Signer>, Cause> {
        let bytes = std::fs::read(path)?;
        let file = options.password_file.as_deref().ok_or("it needs password-file = \"FILE\" beside it")?;
        let password = secret_in(&self.folder.join(file))?;
        Ok(Arc::new(from_pkcs12(&bytes, &password, options.alias.as_deref(), kid)?))
    }

    /// Opening asks the module for the public half, which takes its time.
    fn pkcs11(&self, uri: Pkcs11Uri, kid: Option<&KeyId>) -> Result<Arc<dyn Signer>, Cause> {
        let pin = uri.pin_source.as_ref().map(|file| secret_in(&self.folder.join(file))).transpose()?;
        Ok(Arc::new(wait(Pkcs11Signer::open(uri, pin, kid))?))
    }

    /// Opening fetches the public half; each signature is one more call.
    fn kms(&self, name: &KmsKeyName, http: &HttpOptions, system: &System, kid: Option<&KeyId>) -> Result<Arc<dyn Signer>, Cause> {
        let service = KeyService { env: system.env.clone(), folder: system.folder.clone(), clock: Arc::clone(&system.ctx.clock) };
        let opening = service.open(name, Http::new(http)?, kid);
        Ok(Arc::new(wait(async { opening.await.map_err(|error| format!("{error:#}")) })?))
    }
}

/// Waits for what a module or a service has to be asked. A command that runs on one thread cannot wait there for what that thread must
/// do: another one waits, with a runtime of its own.
fn wait<T, E>(opening: impl Future<Output = Result<T, E>> + Send) -> Result<T, Cause>
where
    T: Send,
    E: Into<Cause> + Send,
{
    let here = Handle::current();
    let opened = if here.runtime_flavor() == RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(|| here.block_on(opening))
    } else {
        // Made and dropped there: a runtime must not end where another one runs.
        let asking = || std::io::Result::Ok(Builder::new_current_thread().enable_all().build()?.block_on(opening));
        let asked = std::thread::scope(|scope| scope.spawn(asking).join());
        asked.map_err(|_| "asking the holder of the key broke off")??
    };
    opened.map_err(Into::into)
}

/// The names of those sources that are set.
fn sources(options: &KeyOptions) -> Vec<&'static str> {
    let all = [
        ("file", options.file.is_some()),
        ("env", options.env.is_some()),
        ("pkcs12", options.pkcs12.is_some()),
        ("pkcs11", options.pkcs11.is_some()),
        ("kms", options.kms.is_some()),
    ];
    all.into_iter().filter_map(|(name, set)| set.then_some(name)).collect()
}

fn from_text(text: &str, kid: Option<&KeyId>) -> Result<Arc<dyn Signer>, Cause> {
    Ok(Arc::new(LocalSigner::from_text(text, kid)?))
}

fn read(path: &Path) -> Result<String, Cause> {
    Ok(std::fs::read_to_string(path)?)
}

/// A passphrase or PIN: the file without its last line feed.
fn secret_in(path: &Path) -> Result<Secret, Cause> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(Secret::from(text.trim_end_matches(['\r', '\n']).to_owned()))
}
