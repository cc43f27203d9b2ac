//! The least that a token can cost: one RSA verification and one signature, with the same library and the same keys.

use anyhow::{Context as _, Result, bail};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use cpu_time::ThreadTime;
use skybru_protocol::jose::{Algorithm, SigningKey};

/// Verifies and signs; the parsed keys are kept, as the issuer keeps them.
pub(crate) struct Floor {
    client: ParsedPublicKey,
    issuer: Pair,
    assertion: Vec<u8>,
    signature: Vec<u8>,
}

/// The issuer's key, as the library has it.
enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl Pair {
    fn new(key: &SigningKey) -> Result<Self> {
        let der = key.pkcs8_der()?;
        match key.algorithm() {
            Algorithm::RS256 => RsaKeyPair::from_pkcs8(&der).ok().map(Self::Rsa).context("the issuer's key"),
            Algorithm::ES256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).ok().map(Self::P256).context("the issuer's key")
            }
            other => bail!("what signing with {other} costs at least is not measured"),
        }
    }
}

impl Floor {
    /// With the keys of the run.
    pub(crate) fn new(client: &SigningKey, issuer: &SigningKey) -> Result<Self> {
        // About the size of a real assertion and of its signing input.
        let assertion = vec![b'a'; 420];
        let client = RsaKeyPair::from_pkcs8(&client.pkcs8_der()?).ok().context("the client's key")?;
        let mut signature = vec![0; client.public_modulus_len()];
        client.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &assertion, &mut signature).ok().context("signing")?;
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, client.public_key().as_ref()).ok().context("the key")?;
        Ok(Self { client: public, issuer: Pair::new(issuer)?, assertion, signature })
    }

    /// CPU seconds of one verify and one sign, over `rounds` rounds.
    pub(crate) fn measure(&self, rounds: u32) -> Result<f64> {
        let token = vec![b't'; 780];
        let random = SystemRandom::new();
        let start = ThreadTime::try_now()?;
        for _ in 0..rounds {
            self.client.verify_sig(&self.assertion, &self.signature).ok().context("verifying")?;
            match &self.issuer {
                Pair::Rsa(pair) => {
                    let mut signature = vec![0; pair.public_modulus_len()];
                    pair.sign(&RSA_PKCS1_SHA256, &random, &token, &mut signature).ok().context("signing")?;
                    std::hint::black_box(&signature);
                }
                Pair::P256(pair) => {
                    std::hint::black_box(pair.sign(&random, &token).ok().context("signing")?.as_ref());
                }
            }
        }
        Ok(start.try_elapsed()?.as_secs_f64() / f64::from(rounds))
    }
}
