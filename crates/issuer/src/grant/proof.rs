//! Steps 4 to 7: who asks, proven by a registered key or a business certificate.

use skybru_core::OrgNumber;
use skybru_protocol::assertion::{AddressedAssertion, VerifiedAssertion};
use skybru_protocol::certificate::{CertificateChain, ClientAmr};
use skybru_protocol::claims::{ETSI_AUTHORITY, Party};
use skybru_store::registry::{RegisteredClient, RegisteredKey};

use crate::certificates::{CertificateProblem, Certificates, TrustedCertificate};
use crate::issuer::Issuer;
use crate::refusal::GrantError;

/// Who asks, proven.
#[derive(Debug)]
pub(super) enum Proven {
    /// A registered client, and how it proved itself.
    Client(RegisteredClient, ClientAmr),
    /// A European organisation that nobody registered, by its seal.
    Seal(EuropeanSeal),
}

/// What a European seal says. Its holder is named by the certificate alone.
#[derive(Debug)]
pub(super) struct EuropeanSeal {
    client_id: String,
    amr: ClientAmr,
    pub(super) party: Party,
}

impl Proven {
    /// The `client_id` of its tokens.
    pub(super) fn client_id(&self) -> &str {
        match self {
            Self::Client(client, _) => client.client.client_id.as_str(),
            Self::Seal(seal) => &seal.client_id,
        }
    }

    /// The `client_amr` of its tokens.
    pub(super) fn amr(&self) -> ClientAmr {
        match self {
            Self::Client(_, amr) => *amr,
            Self::Seal(seal) => seal.amr,
        }
    }
}

/// What verifies the signature.
enum Key<'a> {
    Registered(&'a RegisteredKey, Option<Box<TrustedCertificate>>),
    Certificate(Box<TrustedCertificate>),
}

impl Issuer {
    /// Steps 4 to 7. Whether a certificate is revoked is asked last, of others: only who holds its key may make us ask.
    pub(super) async fn authenticate(&self, assertion: AddressedAssertion) -> Result<(Proven, VerifiedAssertion), GrantError> {
        let client = self.registry.read(|registry| registry.client(assertion.claimed_client()));
        let Some(client) = client.filter(|known| known.client.active) else {
            return self.authenticate_seal(assertion).await;
        };
        let now = self.ctx.clock.unix_seconds();
        let key = self.find_key(&client, &assertion, now)?;
        let verifying = match &key {
            Key::Registered(registered, _) => &registered.verifying,
            Key::Certificate(trusted) => &trusted.contents.key,
        };
        let verified = assertion.verify(verifying, now, self.settings.time_rules)?;
        let (amr, certificate) = match key {
            Key::Registered(_, locked) => (ClientAmr::PrivateKeyJwt, locked),
            Key::Certificate(trusted) => (trusted.amr, Some(trusted)),
        };
        if let Some(certificate) = certificate {
            self.trust()?.check_revocation(&certificate, now).await?;
        }
        Ok((Proven::Client(client, amr), verified))
    }

    fn trust(&self) -> Result<&Certificates, CertificateProblem> {
        self.certificates.as_deref().ok_or(CertificateProblem::NoAnchors)
    }

    /// Step 5. Registered keys win over a certificate in the header: known clients send both. Without registered keys only a certificate
    /// can prove the client, and it must be that of the client's own organisation; of a supplier's client, that of the customer.
    fn find_key<'a>(
        &self,
        client: &'a RegisteredClient,
        assertion: &AddressedAssertion,
        now: i64,
    ) -> Result<Key<'a>, GrantError> {
        let header = assertion.header();
        if client.keys.is_empty() {
            let x5c = header.x5c.as_ref().ok_or(GrantError::KeyUnknown)?;
            let chain = CertificateChain::parse(x5c).map_err(CertificateProblem::from)?;
            let trusted = self.trust()?.check(chain, now)?;
            belongs_to(&trusted, client.client.client_orgno)?;
            return Ok(Key::Certificate(Box::new(trusted)));
        }
        let kid = header.kid.as_deref().ok_or(GrantError::KeyNotNamed)?;
        let found = client.keys.iter().find(|known| known.key.kid.as_str() == kid).ok_or(GrantError::KeyUnknown)?;
        if found.key.expires.as_second() <= now {
            return Err(GrantError::KeyExpired(found.key.kid.clone()));
        }
        let Some(x5c) = found.key.jwk.other.get("x5c") else { return Ok(Key::Registered(found, None)) };
        // The key is locked to a certificate: it counts as long as the certificate does.
        let chain = CertificateChain::parse(x5c).map_err(CertificateProblem::from)?;
        let trusted = self.trust()?.check(chain, now)?;
        if trusted.contents.key != found.verifying {
            return Err(CertificateProblem::OtherKey.into());
        }
        belongs_to(&trusted, client.client.client_orgno)?;
        Ok(Key::Registered(found, Some(Box::new(trusted))))
    }

    /// The pilot for European organisations: nobody registered them, so the seal itself says who asks, and `iss` does not matter.
    async fn authenticate_seal(&self, assertion: AddressedAssertion) -> Result<(Proven, VerifiedAssertion), GrantError> {
        let x5c = assertion.header().x5c.clone().filter(|_| self.compat.european_seals).ok_or(GrantError::ClientNotFound)?;
        let now = self.ctx.clock.unix_seconds();
        let chain = CertificateChain::parse(&x5c).map_err(CertificateProblem::from)?;
        let trusted = self.trust()?.check(chain, now)?;
        let identifier = trusted.contents.organization_identifier.clone().ok_or(GrantError::ClientNotFound)?;
        let verified = assertion.verify(&trusted.contents.key, now, self.settings.time_rules)?;
        self.trust()?.check_revocation(&trusted, now).await?;
        let names = trusted.contents.names.clone();
        let party = Party {
            common_name: names.common_name,
            organization_name: names.organization,
            organizational_unit_name: names.unit,
            country_name: names.country,
            ..Party::new(ETSI_AUTHORITY, identifier)
        };
        let client_id = format!("eidas-{}", trusted.contents.serial);
        Ok((Proven::Seal(EuropeanSeal { client_id, amr: trusted.amr, party }), verified))
    }
}

fn belongs_to(certificate: &TrustedCertificate, owner: OrgNumber) -> Result<(), GrantError> {
    match certificate.contents.org {
        Some(org) if org == owner => Ok(()),
        Some(_) => Err(GrantError::CertificateOrganisation),
        None => {
            let none = skybru_protocol::certificate::CertificateError::Unusable("it has no Norwegian organisation number");
            Err(CertificateProblem::from(none).into())
        }
    }
}
