//! Rich authorization details ([RFC 9396](https://www.rfc-editor.org/rfc/rfc9396)) of the two types that Maskinporten knows:
//! `urn:altinn:systemuser` and `urn:altinn:consent`. What they ask for becomes a type here; whether it is so is looked up by the issuer.

use serde_json::{Map, Value, json};
use skybru_core::{OrgId, OrgNumber, PersonNumber};

use crate::claims::Party;

/// A vendor's system that acts for a party.
pub const SYSTEM_USER: &str = "urn:altinn:systemuser";

/// A consent that a person or an organisation has given.
pub const CONSENT: &str = "urn:altinn:consent";

/// Why details are refused: Maskinporten's three ways.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetailsError {
    /// MP-301.
    #[error("Unknown authorization details type")]
    Type,
    /// MP-302.
    #[error("Unknown fields in the authorization details")]
    Fields,
    /// MP-303. The text says which value; it repeats none.
    #[error("Invalid authorization details values{0}")]
    Values(&'static str),
}

/// One detail that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// A system user of a party.
    SystemUser(SystemUserDetail),
    /// A consent.
    Consent(ConsentDetail),
}

/// `urn:altinn:systemuser`: the system is the client's own, the party is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemUserDetail {
    /// The party.
    pub org: OrgNumber,
    /// Tells several system users of one party apart.
    pub external_ref: Option<String>,
}

/// `urn:altinn:consent`.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentDetail {
    /// The consent's id.
    pub id: String,
    /// Who is said to have given it: a URN of a person or an organisation.
    pub from: String,
}

impl std::fmt::Debug for ConsentDetail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // `from` may be a person.
        f.debug_struct("ConsentDetail").field("id", &self.id).finish_non_exhaustive()
    }
}

const PERSON: &str = "urn:altinn:person:identifier-no:";
const ORGANISATION: &str = "urn:altinn:organization:identifier-no:";

impl Detail {
    /// Reads the claim: an array of one object. `aliases` also takes the spellings of an early draft (`systemuserorg`, `id`).
    ///
    /// Altinn answers for one party at a time, so more than one object is a wrong value.
    pub fn parse(claim: &Value, aliases: bool) -> Result<Self, DetailsError> {
        let Value::Array(details) = claim else { return Err(DetailsError::Values(", expected an array")) };
        let objects = details.iter().map(|detail| detail.as_object().ok_or(DetailsError::Values(", expected objects")));
        let objects: Vec<&Map<String, Value>> = objects.collect::<Result<_, _>>()?;
        for object in &objects {
            let kind = object.get("type").and_then(Value::as_str).ok_or(DetailsError::Values(", type is missing"))?;
            if kind != SYSTEM_USER && kind != CONSENT {
                return Err(DetailsError::Type);
            }
        }
        let [object] = objects[..] else { return Err(DetailsError::Values(", expected one object")) };
        if object["type"] == SYSTEM_USER { Self::system_user(object, aliases) } else { Self::consent(object) }
    }

    fn system_user(object: &Map<String, Value>, aliases: bool) -> Result<Self, DetailsError> {
        // The answer's own members may be sent along: one client's example does.
        let known = ["type", "systemuser_org", "externalRef", "systemuser_id", "system_id"];
        let old = ["systemuserorg", "systemuserid", "systemid"];
        only(object, |name| known.contains(&name) || (aliases && old.contains(&name)))?;
        let wrong = DetailsError::Values(", systemuser_org expected {authority: iso6523-actorid-upis, ID: 0192:NNNNNNNNN}");
        let party = object.get("systemuser_org").or_else(|| object.get("systemuserorg").filter(|_| aliases));
        let party = party.and_then(Value::as_object).ok_or_else(|| wrong.clone())?;
        only(party, |name| name == "authority" || name == "ID" || (aliases && name == "id"))?;
        let text = |name: &str| party.get(name).and_then(Value::as_str);
        let id = text("ID").or_else(|| text("id").filter(|_| aliases)).ok_or_else(|| wrong.clone())?;
        let named = Party::new(text("authority").unwrap_or_default(), id.to_owned());
        let org = named.org().filter(|_| id.starts_with("0192:")).ok_or(wrong)?.number();
        let external_ref = match object.get("externalRef") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if !text.is_empty() && text.len() <= 255 => Some(text.clone()),
            Some(_) => return Err(DetailsError::Values(", externalRef expected a text")),
        };
        Ok(Self::SystemUser(SystemUserDetail { org, external_ref }))
    }

    fn consent(object: &Map<String, Value>) -> Result<Self, DetailsError> {
        only(object, |name| ["type", "id", "from"].contains(&name))?;
        let text = |name: &str, wrong| object.get(name).and_then(Value::as_str).ok_or(DetailsError::Values(wrong));
        let (id, from) = (text("id", ", id expected a UUID")?, text("from", FROM_EXPECTED)?);
        if id.len() != 36 || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Err(DetailsError::Values(", id expected a UUID"));
        }
        if !is_party_urn(from) {
            return Err(DetailsError::Values(FROM_EXPECTED));
        }
        Ok(Self::Consent(ConsentDetail { id: id.to_ascii_lowercase(), from: from.to_owned() }))
    }
}

const FROM_EXPECTED: &str = ", from expected urn:altinn:person:identifier-no:... or urn:altinn:organization:identifier-no:...";

/// Whether a text names a person or an organisation as Altinn's URNs do, with a number whose check digits fit.
pub fn is_party_urn(text: &str) -> bool {
    if let Some(number) = text.strip_prefix(PERSON) {
        return number.parse::<PersonNumber>().is_ok();
    }
    text.strip_prefix(ORGANISATION).is_some_and(|number| number.parse::<OrgNumber>().is_ok())
}

fn only(object: &Map<String, Value>, known: impl Fn(&str) -> bool) -> Result<(), DetailsError> {
    if object.keys().all(|name| known(name)) { Ok(()) } else { Err(DetailsError::Fields) }
}

/// The answer to a [`SystemUserDetail`], as it goes into the token.
pub fn system_user_answer(asked: &SystemUserDetail, system_id: &str, ids: &[String]) -> Value {
    let mut answer = json!({
        "type": SYSTEM_USER,
        "systemuser_org": Party::from(OrgId::new(asked.org)),
        "systemuser_id": ids,
        "system_id": system_id,
    });
    if let Some(external_ref) = &asked.external_ref {
        answer["externalRef"] = json!(external_ref);
    }
    json!([answer])
}

/// The answer to a [`ConsentDetail`]. Times are ISO 8601.
pub fn consent_answer(asked: &ConsentDetail, to: OrgNumber, consented: &str, valid_to: &str, rights: &Value) -> Value {
    json!([{
        "type": CONSENT,
        "id": asked.id,
        "from": asked.from,
        "to": Party::from(OrgId::new(to)),
        "consented": consented,
        "validTo": valid_to,
        "consentRights": rights,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party() -> Value {
        json!({"authority": "iso6523-actorid-upis", "ID": "0192:310702641"})
    }

    #[test]
    fn the_request_of_a_live_token_is_read() {
        let claim = json!([{"type": SYSTEM_USER, "systemuser_org": party(), "externalRef": "ed1c38f4"}]);
        let Ok(Detail::SystemUser(detail)) = Detail::parse(&claim, false) else { panic!("{claim}") };
        assert_eq!((detail.org.as_str(), detail.external_ref.as_deref()), ("310702641", Some("ed1c38f4")));
        let texas = json!([{"type": SYSTEM_USER, "systemuser_org": party(), "systemuser_id": ["x"], "system_id": "s"}]);
        assert!(Detail::parse(&texas, false).is_ok(), "Texas sends the answer's members along");
    }

    #[test]
    fn each_way_to_be_wrong_has_its_code() {
        let error = |claim: Value| Detail::parse(&claim, false).unwrap_err();
        assert_eq!(error(json!([{"type": "urn:other"}])), DetailsError::Type);
        assert_eq!(error(json!([{"type": SYSTEM_USER, "systemuser_org": party(), "extra": 1}])), DetailsError::Fields);
        for wrong in [
            json!({}),
            json!([]),
            json!(["x"]),
            json!([{}]),
            json!([{"type": SYSTEM_USER}]),
            json!([{"type": SYSTEM_USER, "systemuser_org": {"authority": "iso6523-actorid-upis", "ID": "0192:123456789"}}]),
            json!([{"type": SYSTEM_USER, "systemuser_org": {"authority": "other", "ID": "0192:310702641"}}]),
            json!([{"type": SYSTEM_USER, "systemuser_org": party(), "externalRef": 7}]),
            json!([{"type": SYSTEM_USER, "systemuser_org": party()}, {"type": SYSTEM_USER, "systemuser_org": party()}]),
            json!([{"type": CONSENT, "id": "x", "from": "urn:altinn:organization:identifier-no:310702641"}]),
            json!([{"type": CONSENT, "id": "11111111-1111-1111-1111-111111111111", "from": "urn:altinn:person:identifier-no:01010199999"}]),
        ] {
            assert!(matches!(error(wrong.clone()), DetailsError::Values(_)), "{wrong}");
        }
    }

    #[test]
    fn the_drafts_spellings_need_a_switch() {
        let claim =
            json!([{"type": SYSTEM_USER, "systemuserorg": {"authority": "iso6523-actorid-upis", "id": "0192:310702641"}}]);
        assert_eq!(Detail::parse(&claim, false), Err(DetailsError::Fields));
        assert!(Detail::parse(&claim, true).is_ok());
    }

    #[test]
    fn a_person_in_a_consent_is_not_printed() {
        let from = "urn:altinn:person:identifier-no:10850199405";
        let claim = json!([{"type": CONSENT, "id": "11111111-1111-1111-1111-111111111111", "from": from}]);
        assert!(!format!("{:?}", Detail::parse(&claim, false)).contains("10850199405"));
    }
}
