//! What is asked: clients, and assertions signed beforehand, each for one use.

use anyhow::{Context as _, Result};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use skybru_protocol::jose::SigningKey;
use skybru_store::Change;

use crate::process::{SERVER_CORE, stay_on};

/// The scope that every client asks for.
pub(crate) const SCOPE: &str = "fjordbuss:timetables.read";

/// The resource that every client names.
pub(crate) const RESOURCE: &str = "https://skyporten.example.no";

const PROVIDER: &str = "314330897";
const CONSUMER: &str = "310702641";
const TIME: &str = "2026-11-01T00:00:00Z";

/// The id of client number `place`.
pub(crate) fn client_id(place: usize) -> String {
    format!("{place:08x}-0000-4000-8000-000000000000")
}

/// So many clients send requests: far more than the issuer keeps whole.
const SENDERS: usize = 20_000;

/// The places of the clients that send requests, spread evenly over all of them, one client after the other.
pub(crate) fn senders(clients: usize, requests: usize) -> impl Iterator<Item = usize> {
    let senders = SENDERS.min(clients);
    let stride = clients / senders.max(1);
    // A run of few requests uses the same clients as one of many.
    (0..requests).map(move |request| (request % senders.max(1)) * stride)
}

/// A registry of `clients` clients. Those that send requests have the public half of `key`; each other has a key
/// of its own: an odd number of the right size, which nobody will ever verify with, but which fills memory like any other.
pub(crate) fn registry(clients: usize, key: &SigningKey) -> Result<impl Iterator<Item = Result<Change>>> {
    let sending: std::collections::HashSet<usize> = senders(clients, SENDERS).collect();
    let public = serde_json::to_value(key.public_jwk())?;
    let mut numbers = ChaCha20Rng::seed_from_u64(7);
    let base = [
        json!({"put_organisation": {"orgno": PROVIDER, "name": "Fjordbuss", "prefixes": ["fjordbuss"], "created": TIME, "last_updated": TIME}}),
        json!({"put_organisation": {"orgno": CONSUMER, "name": "Kystdata", "created": TIME, "last_updated": TIME}}),
        json!({"put_scope": {"name": SCOPE, "owner_orgno": PROVIDER, "description": "Timetables", "active": true, "created": TIME, "last_updated": TIME}}),
        json!({"put_access": {"scope": SCOPE, "consumer_orgno": CONSUMER, "state": "APPROVED", "created": TIME, "last_updated": TIME}}),
    ];
    let of_clients = (0..clients).flat_map(move |place| {
        let id = client_id(place);
        let jwk = if sending.contains(&place) { public.clone() } else { stranger(&mut numbers) };
        [
            json!({"put_client": {
                "client_id": id, "client_name": "bench", "client_orgno": CONSUMER, "integration_type": "maskinporten",
                "application_type": "web", "token_endpoint_auth_method": "private_key_jwt",
                "grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer"], "scopes": [SCOPE], "active": true,
                "created": TIME, "last_updated": TIME
            }}),
            json!({"put_keys": {"client": id, "keys": [
                {"kid": jwk["kid"], "jwk": jwk, "created": TIME, "expires": "2027-11-01T00:00:00Z"}
            ]}}),
        ]
    });
    Ok(base.into_iter().chain(of_clients).map(|change| serde_json::from_value(change).context("a change of the registry")))
}

fn stranger(numbers: &mut ChaCha20Rng) -> Value {
    let mut modulus = [0; 256];
    numbers.fill_bytes(&mut modulus);
    modulus[0] |= 0x80;
    modulus[255] |= 1;
    let kid = URL_SAFE_NO_PAD.encode(&modulus[16..32]);
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"})
}

/// What is asked for in a run.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// The JWT grant, from so many clients.
    Grant {
        /// The issuer.
        audience: String,
        /// How many are registered.
        clients: usize,
    },
    /// The same for an OAuth server that knows client credentials with `private_key_jwt`
    /// ([RFC 7523, section 2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).
    ClientCredentials {
        /// The issuer.
        audience: String,
    },
}

impl Ask {
    /// Bodies of token requests, each with an assertion of its own. `issued` is in seconds since 1970; they are good for two minutes.
    pub(crate) fn bodies(&self, key: &SigningKey, requests: usize, issued: i64) -> Result<Vec<Bytes>> {
        let clients = match self {
            Self::Grant { clients, .. } => *clients,
            Self::ClientCredentials { .. } => 1,
        };
        let places: Vec<usize> = senders(clients, requests).collect();
        let sign = |places: &[usize]| places.iter().map(|place| self.body(key, *place, issued)).collect::<Result<Vec<Bytes>>>();
        // On both cores: nobody is measured meanwhile.
        let (here, there) = places.split_at(requests / 2);
        std::thread::scope(|scope| {
            let there = scope.spawn(|| stay_on(SERVER_CORE).and_then(|()| sign(there)));
            let mut bodies = sign(here)?;
            bodies.extend(there.join().ok().context("the other half was not signed")??);
            Ok(bodies)
        })
    }

    fn body(&self, key: &SigningKey, place: usize, issued: i64) -> Result<Bytes> {
        let client = client_id(place);
        let (expires, jti) = (issued + 120, mark()?);
        let claims = match self {
            Self::Grant { audience, .. } => json!({
                "aud": audience, "iss": client, "scope": SCOPE, "resource": RESOURCE, "iat": issued, "exp": expires, "jti": jti
            }),
            Self::ClientCredentials { audience } => {
                json!({"aud": audience, "iss": client, "sub": client, "iat": issued, "exp": expires, "jti": jti})
            }
        };
        let assertion = key.sign(None, &claims).context("signing an assertion")?;
        Ok(Bytes::from(match self {
            Self::Grant { .. } => {
                format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}")
            }
            Self::ClientCredentials { .. } => format!(
                "grant_type=client_credentials&scope=read&client_id={client}\
                 &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
            ),
        }))
    }
}

fn mark() -> Result<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok().context("no randomness")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
