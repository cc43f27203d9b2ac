//! Public keys as JSON ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)).

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base64url;

/// A public key. Order and choice of members are those that all three clouds take (P-9): what is `None` is not written.
///
/// Whatever other members a key set carries are kept in `other`, because some of them make a cloud refuse the key (A-33, G-4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Jwk {
    /// Key type: `RSA` or `EC`.
    pub kty: String,
    /// `sig`.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// The algorithm that the key is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// Key id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// RSA modulus, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA exponent, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// Curve: `P-256`, `P-384` or `P-521`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// EC x coordinate, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// EC y coordinate, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Members that stand above for none of these.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A set of public keys, the document behind `jwks_uri`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys, in the order published.
    pub keys: Vec<Jwk>,
}

/// Why a JWK is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// A required member is absent.
    #[error("the key has no member {0:?}")]
    Missing(&'static str),
    /// A member is not what it should be.
    #[error("the key's member {member:?} is wrong: {expected}")]
    Wrong {
        /// Which member.
        member: &'static str,
        /// What should have been there.
        expected: &'static str,
    },
    /// Private members stand in what should be a public key.
    #[error("the key has the private member {0:?}: register public keys only, and consider this private key leaked")]
    Private(String),
    /// The numbers are none that a public key can have: a point that is not on its curve, say.
    #[error("the key's numbers are not those of a public key")]
    Numbers,
    /// The key can be factored ([CVE-2017-15361](https://nvd.nist.gov/vuln/detail/CVE-2017-15361)).
    #[error(
        "the key has the ROCA weakness of some smart cards and security modules (CVE-2017-15361): anybody can compute its private key"
    )]
    Roca,
}

/// Members of a private RSA, EC or symmetric key ([RFC 7518, section 6](https://www.rfc-editor.org/rfc/rfc7518#section-6)).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl Jwk {
    /// A public RSA key in the profile that every cloud takes: `kty,use,alg,kid,n,e`.
    pub fn rsa(kid: &str, alg: &str, n: &[u8], e: &[u8]) -> Self {
        Self {
            kty: "RSA".to_owned(),
            usage: Some("sig".to_owned()),
            alg: Some(alg.to_owned()),
            kid: Some(kid.to_owned()),
            n: Some(base64url::encode(n)),
            e: Some(base64url::encode(e)),
            crv: None,
            x: None,
            y: None,
            other: Map::new(),
        }
    }

    /// A public key on P-256.
    pub fn p256(kid: &str, alg: &str, x: &[u8], y: &[u8]) -> Self {
        Self {
            kty: "EC".to_owned(),
            n: None,
            e: None,
            crv: Some("P-256".to_owned()),
            x: Some(base64url::encode(x)),
            y: Some(base64url::encode(y)),
            ..Self::rsa(kid, alg, &[], &[])
        }
    }

    /// The bytes of a base64url member.
    pub(crate) fn bytes(value: Option<&String>, member: &'static str) -> Result<Vec<u8>, JwkError> {
        let text = value.ok_or(JwkError::Missing(member))?;
        base64url::decode(text).map_err(|_| JwkError::Wrong { member, expected: "expected base64url without padding" })
    }

    /// Refuses a key that carries private members.
    pub fn must_be_public(&self) -> Result<(), JwkError> {
        match PRIVATE_MEMBERS.into_iter().find(|member| self.other.contains_key(*member)) {
            Some(member) => Err(JwkError::Private(member.to_owned())),
            None => Ok(()),
        }
    }

    /// The SHA-256 thumbprint ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)), 43 characters of base64url: how live Maskinporten
    /// keys are named.
    ///
    /// ```
    /// # use skybru_protocol::jose::Jwk;
    /// let key: Jwk = serde_json::from_str(r#"{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"x"}"#).unwrap();
    /// assert_eq!(key.thumbprint().unwrap().len(), 43);
    /// ```
    pub fn thumbprint(&self) -> Result<String, JwkError> {
        let member = |value: &Option<String>, name| value.clone().ok_or(JwkError::Missing(name));
        let canonical = match self.kty.as_str() {
            "RSA" => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, member(&self.e, "e")?, member(&self.n, "n")?),
            "EC" => format!(
                r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
                member(&self.crv, "crv")?,
                member(&self.x, "x")?,
                member(&self.y, "y")?
            ),
            _ => return Err(JwkError::Wrong { member: "kty", expected: "expected RSA or EC" }),
        };
        Ok(base64url::encode(digest::digest(&digest::SHA256, canonical.as_bytes())))
    }
}

impl JwkSet {
    /// The key with this id. Of several, the last: that is what AWS does (A-35).
    pub fn find(&self, kid: &str) -> Option<&Jwk> {
        self.keys.iter().rev().find(|key| key.kid.as_deref() == Some(kid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7638, section 3.1.
    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        let key: Jwk = serde_json::from_str(
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
        )
        .unwrap();
        assert_eq!(key.thumbprint().unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_private_key_is_not_taken_for_a_public_one() {
        let key: Jwk = serde_json::from_str(r#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}"#).unwrap();
        assert_eq!(key.must_be_public(), Err(JwkError::Private("d".to_owned())));
    }

    #[test]
    fn a_published_key_has_the_six_members_that_every_cloud_takes() {
        let key = Jwk::rsa("k1", "RS256", &[1, 2], &[1, 0, 1]);
        assert_eq!(
            serde_json::to_string(&key).unwrap(),
            r#"{"kty":"RSA","use":"sig","alg":"RS256","kid":"k1","n":"AQI","e":"AQAB"}"#
        );
    }
}
