//! Business certificates: the chain that a client puts into `x5c`, and what its first certificate says.
//!
//! Two kinds are in use in Norway. The older (SEID 1) has the organisation number as subject `serialNumber`; the newer (SEID 2.0, an
//! e-seal after ETSI EN 319 412) has `organizationIdentifier` `NTRNO-` and the number, and tells whether the seal is qualified. Neither
//! `O`, `OU` nor `CN` is ever read as a number.
//!
//! Whether a certificate is *trusted* is not decided here: this reads, the issuer asks its anchors.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use skybru_core::OrgNumber;
use x509_parser::der_parser::oid::Oid;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::oid_registry::asn1_rs::oid;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::public_key::PublicKey;

use crate::jose::{Jwk, VerifyingKey};

/// The most certificates that are looked at in one header.
pub const MAX_CERTIFICATES: usize = 8;

/// The largest certificate that is looked at, in bytes.
pub const MAX_CERTIFICATE_LENGTH: usize = 8 * 1024;

/// Why an `x5c` or a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The header member is no array of base64 texts.
    #[error("x5c: expected an array of 1 to {MAX_CERTIFICATES} base64 texts (not base64url), found {0}")]
    Header(&'static str),
    /// The bytes are no certificate.
    #[error("certificate {place} of x5c cannot be read")]
    Unreadable {
        /// Counted from one.
        place: usize,
    },
    /// It is none of an organisation, or one that must not sign.
    #[error("the certificate cannot be used: {0}")]
    Unusable(&'static str),
}

/// The certificates of an `x5c` header, DER, the signer's first. Nothing in them is trusted yet.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateChain(Vec<Vec<u8>>);

impl CertificateChain {
    /// Reads the header member: an array of standard base64, the signer's certificate first
    /// ([RFC 7515, section 4.1.6](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.6)). Clients often send the first one alone.
    pub fn parse(x5c: &Value) -> Result<Self, CertificateError> {
        let texts = match x5c {
            Value::Array(texts) if texts.is_empty() => return Err(CertificateError::Header("an empty array")),
            Value::Array(texts) if texts.len() > MAX_CERTIFICATES => return Err(CertificateError::Header("more")),
            Value::Array(texts) => texts,
            Value::String(_) => return Err(CertificateError::Header("a text")),
            _ => return Err(CertificateError::Header("something else")),
        };
        let certificates = texts.iter().map(|text| {
            let text = text.as_str().ok_or(CertificateError::Header("something that is no text"))?;
            if text.len() > MAX_CERTIFICATE_LENGTH * 4 / 3 + 4 {
                return Err(CertificateError::Header("a text that is too long for a certificate"));
            }
            STANDARD.decode(text).map_err(|_| CertificateError::Header("a text that is not base64"))
        });
        let chain = Self(certificates.collect::<Result<_, _>>()?);
        for (place, certificate) in (1..).zip(&chain.0) {
            parse(certificate).ok_or(CertificateError::Unreadable { place })?;
        }
        Ok(chain)
    }

    /// The certificate of the key that signed.
    pub fn leaf(&self) -> &[u8] {
        self.0.first().map_or(&[], Vec::as_slice)
    }

    /// What was sent along to lead from the first one to somebody trusted.
    pub fn intermediates(&self) -> &[Vec<u8>] {
        self.0.get(1..).unwrap_or(&[])
    }
}

impl fmt::Debug for CertificateChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateChain({})", self.0.len())
    }
}

/// How a client proved itself, as `client_amr` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAmr {
    /// With a registered key.
    PrivateKeyJwt,
    /// With a business certificate of the older kind.
    Virksomhetssertifikat,
    /// With an e-seal that is not qualified.
    CForESeal,
    /// With a qualified e-seal.
    QcForESeal,
}

impl ClientAmr {
    /// The word in tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::Virksomhetssertifikat => "virksomhetssertifikat",
            Self::CForESeal => "CForESeal",
            Self::QcForESeal => "QCForESeal",
        }
    }
}

/// What a certificate says of its holder. Read, not trusted.
#[derive(Debug)]
pub struct BusinessCertificate {
    /// The key that signs assertions.
    pub key: VerifyingKey,
    /// `organizationIdentifier` of the subject, such as `NTRNO-991825827`.
    pub organization_identifier: Option<String>,
    /// The Norwegian organisation number, if it is one.
    pub org: Option<OrgNumber>,
    /// Which kind it is, by its contents alone.
    pub amr: ClientAmr,
    /// From then on, in seconds since 1970.
    pub not_before: i64,
    /// Until then.
    pub not_after: i64,
    /// The serial number, lower-case hexadecimal.
    pub serial: String,
    /// Who can tell whether it is revoked.
    pub revocation: RevocationSources,
    /// Names for people.
    pub names: SubjectNames,
}

/// Who can tell whether a certificate is revoked, and how to ask about it. Of any certificate, an authority's too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationSources {
    /// The serial number, as the bytes of the DER integer.
    pub serial: Vec<u8>,
    /// The issuer's name, DER.
    pub issuer_name: Vec<u8>,
    /// Where OCSP is answered: three addresses at most.
    pub ocsp: Vec<String>,
    /// Where revocation lists are: three addresses at most.
    pub crl: Vec<String>,
}

impl RevocationSources {
    /// Reads a certificate; `None` if the bytes are none.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        parse(der).map(|certificate| Self::of(&certificate))
    }

    fn of(certificate: &X509Certificate<'_>) -> Self {
        let (ocsp, crl) = addresses(certificate);
        let (serial, issuer_name) = (certificate.raw_serial().to_vec(), certificate.issuer().as_raw().to_vec());
        Self { serial, issuer_name, ocsp, crl }
    }
}

/// Names in a subject, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of X.520")]
pub struct SubjectNames {
    pub common_name: Option<String>,
    pub organization: Option<String>,
    pub unit: Option<String>,
    pub country: Option<String>,
}

impl BusinessCertificate {
    /// Reads a certificate and checks what needs no clock: it is an organisation's, no authority's, may sign, and has an RSA key.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = parse(der).ok_or(CertificateError::Unreadable { place: 1 })?;
        let unusable = CertificateError::Unusable;
        if certificate.is_ca() {
            return Err(unusable("it is a certificate authority's"));
        }
        let usage = certificate.key_usage().map_err(|_| unusable("its key usage cannot be read"))?;
        if !usage.is_some_and(|usage| usage.value.digital_signature() || usage.value.non_repudiation()) {
            return Err(unusable("its key usage is neither digitalSignature nor nonRepudiation"));
        }
        let PublicKey::RSA(rsa) = certificate.public_key().parsed().map_err(|_| unusable("its key cannot be read"))? else {
            return Err(unusable("its key is not RSA"));
        };
        let significant = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
        let jwk = Jwk::rsa("x5c", "RS256", &significant(rsa.modulus), &significant(rsa.exponent));
        let key =
            VerifyingKey::from_jwk(&jwk).map_err(|_| unusable("its RSA key is shorter than 2048 bits, or longer than 8192"))?;

        let subject = certificate.subject();
        let organization_identifier = only(subject, &ORGANIZATION_IDENTIFIER)?;
        let org = organisation(organization_identifier.as_deref(), only(subject, &SERIAL_NUMBER)?.as_deref())?;
        let amr = match &organization_identifier {
            None => ClientAmr::Virksomhetssertifikat,
            Some(_) if is_qualified(&certificate) => ClientAmr::QcForESeal,
            Some(_) => ClientAmr::CForESeal,
        };
        let first =
            |oid: &Oid<'_>| subject.iter_by_oid(oid).next().and_then(|attribute| attribute.as_str().ok()).map(str::to_owned);
        Ok(Self {
            key,
            organization_identifier,
            org,
            amr,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            serial: hex(certificate.raw_serial()),
            revocation: RevocationSources::of(&certificate),
            names: SubjectNames {
                common_name: first(&COMMON_NAME),
                organization: first(&ORGANIZATION),
                unit: first(&UNIT),
                country: first(&COUNTRY),
            },
        })
    }
}

const ORGANIZATION_IDENTIFIER: Oid<'static> = oid!(2.5.4.97);
const SERIAL_NUMBER: Oid<'static> = oid!(2.5.4.5);
const COMMON_NAME: Oid<'static> = oid!(2.5.4.3);
const ORGANIZATION: Oid<'static> = oid!(2.5.4.10);
const UNIT: Oid<'static> = oid!(2.5.4.11);
const COUNTRY: Oid<'static> = oid!(2.5.4.6);

/// `id-pe-qcStatements`.
const QC_STATEMENTS: Oid<'static> = oid!(1.3.6.1.5.5.7.1.3);
/// `id-ad-ocsp`.
const OCSP: Oid<'static> = oid!(1.3.6.1.5.5.7.48.1);

/// The DER of `id-etsi-qcs-QcCompliance` (0.4.0.1862.1.1) and `id-etsi-qct-eseal` (0.4.0.1862.1.6.2), as they stand in the statements.
const QC_COMPLIANCE: &[u8] = &[0x06, 0x06, 0x04, 0x00, 0x8E, 0x46, 0x01, 0x01];
const QC_TYPE_ESEAL: &[u8] = &[0x06, 0x07, 0x04, 0x00, 0x8E, 0x46, 0x01, 0x06, 0x02];

/// QCP-l and QCP-l-qscd.
const QUALIFIED_POLICIES: [Oid<'static>; 2] = [oid!(0.4.0.194112.1.1), oid!(0.4.0.194112.1.3)];

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    if der.len() > MAX_CERTIFICATE_LENGTH {
        return None;
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

/// An attribute that may stand only once: of two, nobody could say which one counts.
fn only(subject: &X509Name<'_>, oid: &Oid<'_>) -> Result<Option<String>, CertificateError> {
    let mut found = subject.iter_by_oid(oid);
    let (first, second) = (found.next(), found.next());
    if second.is_some() {
        return Err(CertificateError::Unusable("its subject has two organisation identifiers or serial numbers"));
    }
    first
        .map(|attribute| {
            attribute.as_str().map(str::to_owned).map_err(|_| CertificateError::Unusable("its subject cannot be read"))
        })
        .transpose()
}

/// The organisation number, by the identifier first, by the serial number otherwise. Both must agree when both are numbers.
fn organisation(identifier: Option<&str>, serial: Option<&str>) -> Result<Option<OrgNumber>, CertificateError> {
    let wrong = CertificateError::Unusable("its organisation number is none: the check digit is wrong");
    let nine = |text: &str| text.len() == 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number =
        |text: Option<&str>| text.filter(|text| nine(text)).map(|text| text.parse().map_err(|_| wrong.clone())).transpose();
    let by_identifier: Option<OrgNumber> = number(identifier.and_then(|text| text.strip_prefix("NTRNO-")))?;
    let by_serial: Option<OrgNumber> = number(serial)?;
    match (by_identifier, by_serial) {
        (Some(one), Some(other)) if one != other => {
            Err(CertificateError::Unusable("its organisation identifier and its serial number name two organisations"))
        }
        // A foreign organisation may have nine digits of its own as serial number.
        (None, Some(_)) if identifier.is_some() => Ok(None),
        (one, other) => Ok(one.or(other)),
    }
}

/// Whether the seal is qualified: by its statements, or by its policy.
fn is_qualified(certificate: &X509Certificate<'_>) -> bool {
    certificate.iter_extensions().any(|extension| {
        if extension.oid == QC_STATEMENTS {
            let holds = |part: &[u8]| extension.value.windows(part.len()).any(|window| window == part);
            return holds(QC_COMPLIANCE) && holds(QC_TYPE_ESEAL);
        }
        match extension.parsed_extension() {
            ParsedExtension::CertificatePolicies(policies) => {
                policies.iter().any(|policy| QUALIFIED_POLICIES.contains(&policy.policy_id))
            }
            _ => false,
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Where to ask for revocation: OCSP and lists, HTTP only.
fn addresses(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<String>) {
    let (mut ocsp, mut crl) = (Vec::new(), Vec::new());
    let web = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) if uri.starts_with("http://") || uri.starts_with("https://") => Some((*uri).to_owned()),
        _ => None,
    };
    for extension in certificate.iter_extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityInfoAccess(access) => {
                let answering = access.iter().filter(|description| description.access_method == OCSP);
                ocsp.extend(answering.filter_map(|description| web(&description.access_location)));
            }
            ParsedExtension::CRLDistributionPoints(points) => {
                for point in points.iter() {
                    if let Some(DistributionPointName::FullName(names)) = &point.distribution_point {
                        crl.extend(names.iter().filter_map(web));
                    }
                }
            }
            _ => {}
        }
    }
    ocsp.truncate(3);
    crl.truncate(3);
    (ocsp, crl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn x5c_is_an_array_of_base64_texts_and_nothing_else() {
        for wrong in [json!("MIIB"), json!([]), json!([1]), json!(["a-b_"]), json!({}), json!(vec!["MIIB"; 9])] {
            assert!(matches!(CertificateChain::parse(&wrong), Err(CertificateError::Header(_))), "{wrong}");
        }
        assert_eq!(CertificateChain::parse(&json!(["MIIB"])), Err(CertificateError::Unreadable { place: 1 }));
        assert!(CertificateChain::parse(&json!(["A".repeat(100_000)])).is_err());
    }

    #[test]
    fn the_number_is_read_from_the_identifier_or_the_serial_number() {
        let found = |identifier, serial| organisation(identifier, serial).map(|org| org.map(|org| org.to_string()));
        assert_eq!(found(Some("NTRNO-991825827"), None), Ok(Some("991825827".into())));
        assert_eq!(found(None, Some("889640782")), Ok(Some("889640782".into())));
        assert_eq!(found(Some("NTRNO-991825827"), Some("991825827")), Ok(Some("991825827".into())));
        assert_eq!(found(Some("NTRNO-991825827"), Some("UN:NO-1")), Ok(Some("991825827".into())));
        assert_eq!(found(Some("NTRSE-5560360793"), Some("889640782")), Ok(None), "a foreigner's own nine digits");
        assert_eq!(found(None, Some("1234")), Ok(None));
        assert!(found(Some("NTRNO-991825827"), Some("889640782")).is_err(), "they disagree");
        assert!(found(None, Some("123456789")).is_err(), "the check digit");
    }

    proptest! {
        #[test]
        fn reading_a_certificate_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = BusinessCertificate::from_der(&bytes);
            let _ = RevocationSources::from_der(&bytes);
        }
    }
}
