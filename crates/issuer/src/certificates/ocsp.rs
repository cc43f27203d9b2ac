//! OCSP ([RFC 6960](https://www.rfc-editor.org/rfc/rfc6960)): one question about one certificate, and what the answer proves.
//!
//! No nonce is sent: most responders hand out answers made beforehand, so freshness is judged by `thisUpdate` and `nextUpdate`.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls_pki_types::{CertificateDer, Der, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity};
use x509_cert::der::asn1::{Null, ObjectIdentifier, OctetString};
use x509_cert::der::{AnyRef, Decode, Encode};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoRef};
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspRequest, OcspResponse, OcspResponseStatus, Request, TbsRequest, Version,
};

use super::SUPPORTED;

/// Clocks may differ by this many seconds.
const SKEW_SECONDS: i64 = 300;

/// An answer that does not say when the next one comes is old after a day.
const UNBOUNDED_SECONDS: i64 = 24 * 3600;

const ID_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const ID_BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// `id-kp-OCSPSigning`, DER contents.
const OCSP_SIGNING: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];

/// Whose certificate it is about: the issuing authority's name and key, and the serial number. All DER.
#[derive(Debug, Clone)]
pub(super) struct Subject<'a> {
    pub(super) issuer_name: &'a [u8],
    pub(super) issuer_key: &'a [u8],
    pub(super) serial: &'a [u8],
}

/// What an answer proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Not revoked, as far as is known until then.
    Good {
        /// Seconds since 1970.
        until: i64,
    },
    /// Revoked.
    Revoked,
}

impl Subject<'_> {
    fn cert_id(&self) -> Option<CertId> {
        let key = SubjectPublicKeyInfoRef::from_der(self.issuer_key).ok()?;
        let hash = |bytes: &[u8]| OctetString::new(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref()).ok();
        Some(CertId {
            hash_algorithm: AlgorithmIdentifierOwned { oid: ID_SHA1, parameters: Some(Null.into()) },
            issuer_name_hash: hash(self.issuer_name)?,
            issuer_key_hash: hash(key.subject_public_key.raw_bytes())?,
            serial_number: SerialNumber::new(self.serial).ok()?,
        })
    }

    /// The request's body.
    pub(super) fn request(&self) -> Option<Vec<u8>> {
        let request = Request { req_cert: self.cert_id()?, single_request_extensions: None };
        let tbs_request =
            TbsRequest { version: Version::V1, requestor_name: None, request_list: vec![request], request_extensions: None };
        OcspRequest { tbs_request, optional_signature: None }.to_der().ok()
    }

    /// Reads an answer: signed by the authority itself or by a responder that it has certified, about this certificate, and fresh.
    pub(super) fn read(&self, body: &[u8], now: i64) -> Result<Status, &'static str> {
        let response = OcspResponse::from_der(body).map_err(|_| "the OCSP answer cannot be read")?;
        if response.response_status != OcspResponseStatus::Successful {
            return Err("the OCSP responder could not answer");
        }
        let bytes = response.response_bytes.filter(|bytes| bytes.response_type == ID_BASIC);
        let bytes = bytes.ok_or("the OCSP answer is of an unknown type")?;
        let basic = BasicOcspResponse::from_der(bytes.response.as_bytes()).map_err(|_| "the OCSP answer cannot be read")?;
        self.check_signature(&basic, now)?;

        let asked = self.cert_id().ok_or("the certificate's serial number cannot be written")?;
        let same = |id: &CertId| {
            id.hash_algorithm.oid == ID_SHA1
                && id.issuer_name_hash == asked.issuer_name_hash
                && id.issuer_key_hash == asked.issuer_key_hash
                && id.serial_number == asked.serial_number
        };
        let answers = &basic.tbs_response_data.responses;
        let answer = answers.iter().find(|answer| same(&answer.cert_id)).ok_or("the OCSP answer is about another certificate")?;
        let seconds =
            |time: &x509_ocsp::OcspGeneralizedTime| i64::try_from(time.0.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        let since = seconds(&answer.this_update);
        let until = answer.next_update.as_ref().map_or(since.saturating_add(UNBOUNDED_SECONDS), seconds);
        if since > now.saturating_add(SKEW_SECONDS) || until.saturating_add(SKEW_SECONDS) < now {
            return Err("the OCSP answer is not of today");
        }
        match answer.cert_status {
            CertStatus::Good(_) => Ok(Status::Good { until }),
            CertStatus::Revoked(_) => Ok(Status::Revoked),
            CertStatus::Unknown(_) => Err("the OCSP responder does not know the certificate"),
        }
    }

    fn check_signature(&self, basic: &BasicOcspResponse, now: i64) -> Result<(), &'static str> {
        const WRONG: &str = "the OCSP answer's signature does not hold";
        let algorithm = algorithm(&basic.signature_algorithm.oid).ok_or("the OCSP answer is signed with an unknown algorithm")?;
        // DER has one spelling, so encoding again gives the bytes that were signed.
        let signed = basic.tbs_response_data.to_der().map_err(|_| WRONG)?;
        let signature = basic.signature.raw_bytes();
        let key = SubjectPublicKeyInfoDer::from(self.issuer_key);
        let authority = RawPublicKeyEntity::try_from(&key).map_err(|_| WRONG)?;
        if authority.verify_signature(algorithm, &signed, signature).is_ok() {
            return Ok(());
        }
        let contents = |der: &[u8]| AnyRef::from_der(der).map(|any| any.value().to_vec()).map_err(|_| WRONG);
        let anchors = [TrustAnchor {
            subject: Der::from(contents(self.issuer_name)?),
            subject_public_key_info: Der::from(contents(self.issuer_key)?),
            name_constraints: None,
        }];
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(now).unwrap_or(0)));
        for certificate in basic.certs.iter().flatten().take(4) {
            let der = CertificateDer::from(certificate.to_der().map_err(|_| WRONG)?);
            let Ok(responder) = EndEntityCert::try_from(&der) else { continue };
            // The responder is certified by the same authority, directly, and for this purpose.
            let certified =
                responder.verify_for_usage(SUPPORTED, &anchors, &[], time, KeyUsage::required(OCSP_SIGNING), None, None);
            if certified.is_ok() && responder.verify_signature(algorithm, &signed, signature).is_ok() {
                return Ok(());
            }
        }
        Err(WRONG)
    }
}

fn algorithm(oid: &ObjectIdentifier) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    Some(match oid.to_string().as_str() {
        "1.2.840.113549.1.1.11" => algorithms::RSA_PKCS1_2048_8192_SHA256,
        "1.2.840.113549.1.1.12" => algorithms::RSA_PKCS1_2048_8192_SHA384,
        "1.2.840.113549.1.1.13" => algorithms::RSA_PKCS1_2048_8192_SHA512,
        "1.2.840.10045.4.3.2" => algorithms::ECDSA_P256_SHA256,
        "1.2.840.10045.4.3.3" => algorithms::ECDSA_P384_SHA384,
        _ => return None,
    })
}
