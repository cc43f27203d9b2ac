//! The least that a token can cost: one RSA verification and one RSA signature, with the same library and the same keys.

use anyhow::{Context as _, Result};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair};
use cpu_time::ThreadTime;
use skybru_protocol::jose::SigningKey;

/// Verifies and signs; the parsed keys are kept, as the issuer keeps them.
pub(crate) struct Floor {
    client: ParsedPublicKey,
    issuer: RsaKeyPair,
    assertion: Vec<u8>,
    signature: Vec<u8>,
}

impl Floor {
    /// With the keys of the run.
    pub(crate) fn new(client: &SigningKey, issuer: &SigningKey) -> Result<Self> {
        // About the size of a real assertion and of its signing input.
        let assertion = vec![b'a'; 420];
        let pair = |key: &SigningKey| RsaKeyPair::from_pkcs8(&key.pkcs8_der()?).ok().context("the key");
        let client = pair(client)?;
        let mut signature = vec![0; client.public_modulus_len()];
        client.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &assertion, &mut signature).ok().context("signing")?;
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, client.public_key().as_ref()).ok().context("the key")?;
        Ok(Self { client: public, issuer: pair(issuer)?, assertion, signature })
    }

    /// CPU seconds of one verify and one sign, over `rounds` rounds.
    pub(crate) fn measure(&self, rounds: u32) -> Result<f64> {
        let token = vec![b't'; 780];
        let mut signature = vec![0; self.issuer.public_modulus_len()];
        let random = SystemRandom::new();
        let start = ThreadTime::try_now()?;
        for _ in 0..rounds {
            self.client.verify_sig(&self.assertion, &self.signature).ok().context("verifying")?;
            self.issuer.sign(&RSA_PKCS1_SHA256, &random, &token, &mut signature).ok().context("signing")?;
            std::hint::black_box(&signature);
        }
        Ok(start.try_elapsed()?.as_secs_f64() / f64::from(rounds))
    }
}
