//! Certificate authorities and what they issue: business certificates of both kinds, revocation answers and lists.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint,
    CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, SigningKey, date_time_ymd,
};
use skybru_issuer::fetch::{Fetch, FetchError};
use x509_cert::der::asn1::{BitString, GeneralizedTime, ObjectIdentifier, OctetString};
use x509_cert::der::{DateTime, Decode, Encode};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_ocsp::{
    BasicOcspResponse, CertStatus, OcspGeneralizedTime, OcspRequest, OcspResponse, OcspResponseStatus, ResponderId,
    ResponseBytes, ResponseData, RevokedInfo, SingleResponse, Version,
};

pub(crate) const OCSP_URL: &str = "http://ocsp.example.no/";
pub(crate) const CRL_URL: &str = "http://crl.example.no/list.crl";
/// Where roots tell of the authorities below them.
pub(crate) const ROOT_OCSP_URL: &str = "http://ocsp.root.example.no/";
pub(crate) const ROOT_CRL_URL: &str = "http://crl.root.example.no/authorities.crl";
/// The serial number of every authority below another.
pub(crate) const BELOW: &[u8] = &[0x5B, 0x01];

const TEST_KEY: &str = include_str!("../../../protocol/testdata/rsa2048.pem");

/// An authority with its certificate.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) der: Vec<u8>,
    /// Year, month and two days: its answers hold from one to the other.
    pub(crate) days: (u16, u8, u8, u8),
}

const DAYS: (u16, u8, u8, u8) = (2023, 11, 14, 16);

/// What a business certificate says.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing to vary")]
pub(crate) struct Seal {
    /// `serialNumber` of the subject.
    pub(crate) serial: Option<&'static str>,
    /// `organizationIdentifier` of the subject.
    pub(crate) identifier: Option<&'static str>,
    pub(crate) qualified_statements: bool,
    /// A certificate policy, as DER contents of its OID.
    pub(crate) policy: Option<&'static [u8]>,
    pub(crate) usages: Vec<KeyUsagePurpose>,
    pub(crate) years: (i32, i32),
    pub(crate) is_ca: bool,
    pub(crate) revocation: bool,
    /// Where OCSP and the list are, if not at the usual places.
    pub(crate) places: Option<(String, String)>,
    pub(crate) elliptic: bool,
}

impl Seal {
    /// SEID 1: the number as serial number.
    pub(crate) fn old(org: &'static str) -> Self {
        Self { serial: Some(org), ..Self::new() }
    }

    /// SEID 2.0: the number in the organisation identifier.
    pub(crate) fn modern(identifier: &'static str) -> Self {
        Self { identifier: Some(identifier), ..Self::new() }
    }

    fn new() -> Self {
        Self {
            serial: None,
            identifier: None,
            qualified_statements: false,
            policy: None,
            usages: vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment],
            years: (2022, 2025),
            is_ca: false,
            revocation: false,
            places: None,
            elliptic: false,
        }
    }
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (authority_params(name), KeyPair::generate().unwrap());
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der, days: DAYS }
    }

    /// An authority below this one.
    pub(crate) fn below(&self, name: &str) -> Self {
        self.below_at(name, None, Some(ROOT_CRL_URL))
    }

    /// The same, with the addresses where its own certificate says that this one tells about it.
    pub(crate) fn below_at(&self, name: &str, ocsp: Option<&str>, list: Option<&str>) -> Self {
        let (mut params, key) = (authority_params(name), KeyPair::generate().unwrap());
        params.serial_number = Some(SerialNumber::from_slice(BELOW));
        params.crl_distribution_points =
            list.map(|list| CrlDistributionPoint { uris: vec![list.to_owned()] }).into_iter().collect();
        params.custom_extensions.extend(ocsp.map(ocsp_access));
        let der = params.signed_by(&key, &self.issuer()).unwrap().der().to_vec();
        Self { params, key, der, days: DAYS }
    }

    /// The same once more, for somebody else to hold.
    pub(crate) fn again(&self) -> Self {
        let key = KeyPair::try_from(self.key.serialize_der()).unwrap();
        Self { params: self.params.clone(), key, der: self.der.clone(), days: self.days }
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// A certificate for the test key.
    pub(crate) fn issue(&self, seal: &Seal) -> Vec<u8> {
        let key = if seal.elliptic { KeyPair::generate().unwrap() } else { KeyPair::from_pem(TEST_KEY).unwrap() };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "NO");
        params.distinguished_name.push(DnType::OrganizationName, "PRØVE AS");
        params.distinguished_name.push(DnType::CommonName, "991825827");
        if let Some(serial) = seal.serial {
            params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), serial);
        }
        if let Some(identifier) = seal.identifier {
            params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 97]), identifier);
        }
        params.serial_number = Some(SerialNumber::from_slice(&[0x4A, 0x01, 0x02]));
        params.not_before = date_time_ymd(seal.years.0, 1, 1);
        params.not_after = date_time_ymd(seal.years.1, 1, 1);
        params.key_usages.clone_from(&seal.usages);
        params.is_ca = if seal.is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        if seal.qualified_statements {
            let eseal = tlv(0x30, &oid(&[0x04, 0x00, 0x8E, 0x46, 0x01, 0x06, 0x02]));
            let statements = [
                tlv(0x30, &oid(&[0x04, 0x00, 0x8E, 0x46, 0x01, 0x01])),
                tlv(0x30, &[oid(&[0x04, 0x00, 0x8E, 0x46, 0x01, 0x06]), eseal].concat()),
            ];
            let content = tlv(0x30, &statements.concat());
            params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 3], content));
        }
        if let Some(policy) = seal.policy {
            let content = tlv(0x30, &tlv(0x30, &oid(policy)));
            params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 32], content));
        }
        if seal.revocation {
            let usual = || (OCSP_URL.to_owned(), CRL_URL.to_owned());
            let (ocsp, list) = seal.places.clone().unwrap_or_else(usual);
            params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![list] }];
            params.custom_extensions.push(ocsp_access(&ocsp));
        }
        params.signed_by(&key, &self.issuer()).unwrap().der().to_vec()
    }

    /// A list that revokes these serial numbers.
    pub(crate) fn list(&self, revoked: &[&[u8]]) -> Vec<u8> {
        self.list_about(revoked, None)
    }

    /// The same, restricted to some certificates.
    pub(crate) fn list_about(&self, revoked: &[&[u8]], scope: Option<CrlIssuingDistributionPoint>) -> Vec<u8> {
        let revoke = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: date_time_ymd(2023, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(self.days.0.into(), self.days.1, self.days.2),
            next_update: date_time_ymd(self.days.0.into(), self.days.1, self.days.3),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: scope,
            revoked_certs: revoked.iter().map(revoke).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer()).unwrap().der().to_vec()
    }

    /// Somebody who may answer OCSP questions in this authority's name.
    pub(crate) fn responder(&self) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "responder");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        params.not_before = date_time_ymd(2023, 1, 1);
        params.not_after = date_time_ymd(2025, 1, 1);
        let der = params.signed_by(&key, &self.issuer()).unwrap().der().to_vec();
        Self { params, key, der, days: DAYS }
    }

    /// The answer to an OCSP question, signed by this one; with its certificate when it is a responder.
    pub(crate) fn ocsp(&self, question: &[u8], status: CertStatus, with_certificate: bool) -> Vec<u8> {
        let question = OcspRequest::from_der(question).unwrap();
        let (year, month, from, to) = self.days;
        let day = |day| OcspGeneralizedTime(GeneralizedTime::from_date_time(DateTime::new(year, month, day, 0, 0, 0).unwrap()));
        let answer = SingleResponse {
            cert_id: question.tbs_request.request_list[0].req_cert.clone(),
            cert_status: status,
            this_update: day(from),
            next_update: Some(day(to)),
            single_extensions: None,
        };
        let tbs_response_data = ResponseData {
            version: Version::V1,
            responder_id: ResponderId::ByKey(OctetString::new([1; 20]).unwrap()),
            produced_at: day(from),
            responses: vec![answer],
            response_extensions: None,
        };
        let signature = self.key.sign(&tbs_response_data.to_der().unwrap()).unwrap();
        let basic = BasicOcspResponse {
            tbs_response_data,
            signature_algorithm: AlgorithmIdentifierOwned {
                oid: ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
                parameters: None,
            },
            signature: BitString::from_bytes(&signature).unwrap(),
            certs: with_certificate.then(|| vec![x509_cert::Certificate::from_der(&self.der).unwrap()]),
        };
        let response = OctetString::new(basic.to_der().unwrap()).unwrap();
        let response_type = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
        let response_bytes = Some(ResponseBytes { response_type, response });
        OcspResponse { response_status: OcspResponseStatus::Successful, response_bytes }.to_der().unwrap()
    }
}

/// `revoked`, since the start of the year.
pub(crate) fn revoked() -> CertStatus {
    let since = OcspGeneralizedTime(GeneralizedTime::from_date_time(DateTime::new(2023, 1, 1, 0, 0, 0).unwrap()));
    CertStatus::Revoked(RevokedInfo { revocation_time: since, revocation_reason: None })
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2035, 1, 1);
    params
}

/// `authorityInfoAccess` with one responder.
fn ocsp_access(url: &str) -> CustomExtension {
    let description = [oid(&[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01]), tlv(0x86, url.as_bytes())];
    let content = tlv(0x30, &tlv(0x30, &description.concat()));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

fn oid(contents: &[u8]) -> Vec<u8> {
    tlv(0x06, contents)
}

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).ok().filter(|length| *length < 128).unwrap();
    [&[tag, length], contents].concat()
}

type Answer = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send>;

/// The web as far as revocation goes: scripted, and counting.
pub(crate) struct Web {
    pub(crate) ocsp: Mutex<Answer>,
    pub(crate) list: Mutex<Option<Vec<u8>>>,
    /// The root's.
    pub(crate) root_ocsp: Mutex<Answer>,
    pub(crate) root_list: Mutex<Option<Vec<u8>>>,
    asked: AtomicUsize,
    root_asked: AtomicUsize,
    slow: AtomicBool,
}

impl Web {
    /// Nobody answers.
    pub(crate) fn silent() -> Arc<Self> {
        Arc::new(Self {
            ocsp: Mutex::new(Box::new(|_| None)),
            list: Mutex::new(None),
            root_ocsp: Mutex::new(Box::new(|_| None)),
            root_list: Mutex::new(None),
            root_asked: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            slow: AtomicBool::new(false),
        })
    }

    pub(crate) fn answer_ocsp(&self, answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) {
        *self.ocsp.lock().unwrap() = Box::new(answer);
    }

    /// Lets others come in between question and answer.
    pub(crate) fn slow(&self) {
        self.slow.store(true, Ordering::SeqCst);
    }

    /// How often anything about clients' certificates was fetched since the last time this was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }

    /// The same about authorities.
    pub(crate) fn root_asked(&self) -> usize {
        self.root_asked.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl Fetch for Web {
    async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let (list, asked) = match url {
            CRL_URL => (&self.list, &self.asked),
            ROOT_CRL_URL => (&self.root_list, &self.root_asked),
            other => panic!("nobody names {other}"),
        };
        asked.fetch_add(1, Ordering::SeqCst);
        let list = list.lock().unwrap().clone();
        list.ok_or_else(|| FetchError { url: url.to_owned(), problem: "no route".to_owned() })
    }

    async fn post(&self, url: &str, content_type: &str, body: Vec<u8>) -> Result<Vec<u8>, FetchError> {
        assert_eq!(content_type, "application/ocsp-request");
        let (responder, asked) = match url {
            OCSP_URL => (&self.ocsp, &self.asked),
            ROOT_OCSP_URL => (&self.root_ocsp, &self.root_asked),
            other => panic!("nobody names {other}"),
        };
        asked.fetch_add(1, Ordering::SeqCst);
        for _ in 0..if self.slow.load(Ordering::SeqCst) { 100 } else { 0 } {
            tokio::task::yield_now().await;
        }
        let answer = (responder.lock().unwrap())(&body);
        answer.ok_or_else(|| FetchError { url: url.to_owned(), problem: "no route".to_owned() })
    }
}
