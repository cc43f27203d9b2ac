//! The certificates over a key.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use skybru_protocol::base64url;
use skybru_protocol::jose::{Jwk, SigningKey, SigningKeyError};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

/// Why a certificate cannot stand beside a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not X.509.
    #[error("certificate {0} is not an X.509 certificate")]
    Format(usize),
    /// Over another key.
    #[error("the first certificate ({subject}) is over another key; the key's own must stand first")]
    OtherKey {
        /// Whose it is.
        subject: String,
    },
}

/// Checks that the first certificate, if there is one, is over `key`. Neither dates nor who signed it are looked at: that is for whoever
/// relies on it.
pub(crate) fn check(chain: &[CertificateDer<'_>], key: &Jwk) -> Result<(), CertificateError> {
    for (place, der) in chain.iter().enumerate() {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::Format(place + 1))?;
        if place == 0 && !is_over(&certificate, key) {
            return Err(CertificateError::OtherKey { subject: certificate.subject().to_string() });
        }
    }
    Ok(())
}

fn is_over(certificate: &X509Certificate<'_>, key: &Jwk) -> bool {
    let same = |member: &Option<String>, number: &[u8]| member.as_deref() == Some(&*base64url::encode(number));
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(rsa)) => same(&key.n, stripped(rsa.modulus)) && same(&key.e, stripped(rsa.exponent)),
        Ok(PublicKey::EC(point)) => point.data().split_first().is_some_and(|(form, numbers)| {
            let (x, y) = numbers.split_at(numbers.len() / 2);
            *form == 4 && same(&key.x, x) && same(&key.y, y)
        }),
        _ => false,
    }
}

/// DER puts a zero before a number whose first bit is set.
pub(crate) fn stripped(number: &[u8]) -> &[u8] {
    number.strip_prefix(&[0]).unwrap_or(number)
}

/// A chain as `x5c` carries it: base64 of the DER, with padding ([RFC 7517, section 4.7](https://www.rfc-editor.org/rfc/rfc7517#section-4.7)).
pub fn x5c(chain: &[CertificateDer<'_>]) -> Vec<String> {
    chain.iter().map(|der| STANDARD.encode(der)).collect()
}

/// The reverse of [`x5c`].
pub(crate) fn from_x5c(texts: &[String]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let decode = |(place, text): (usize, &String)| {
        STANDARD.decode(text).map(CertificateDer::from).map_err(|_| CertificateError::Format(place + 1))
    };
    texts.iter().enumerate().map(decode).collect()
}

/// How long a certificate that a key signs over itself is good for.
const TEN_YEARS: SignedDuration = SignedDuration::from_hours(24 * 3653);

/// A certificate over a key, signed by itself, for verifiers that read keys out of certificates only.
///
/// It follows from the key and from `created` alone, so that every node has the same one (with an RSA key; ECDSA signatures are never the
/// same twice).
pub fn self_signed(key: &SigningKey, created: Timestamp) -> Result<CertificateDer<'static>, SigningKeyError> {
    let failed = |_| SigningKeyError::Library;
    let pair = KeyPair::try_from(&PrivatePkcs8KeyDer::from(key.pkcs8_der()?.as_slice())).map_err(failed)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, key.kid().as_str());
    let id = digest::digest(&digest::SHA256, key.kid().as_str().as_bytes());
    // At most 20 bytes, the first bit not set (RFC 5280, section 4.1.2.2).
    let mut serial = id.as_ref().get(..16).unwrap_or_default().to_vec();
    serial.insert(0, 1);
    params.serial_number = Some(SerialNumber::from(serial));
    let date = |time: Timestamp| {
        let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = date(created);
    params.not_after = date(created.saturating_add(TEN_YEARS).unwrap_or(Timestamp::MAX));
    params.self_signed(&pair).map(|certificate| certificate.der().clone()).map_err(failed)
}
