//! The AWS Query protocol: a form in, XML out.
//!
//! Parameters arrive in the body or in the query string. Lists are written `Name.member.1=…`, structures in lists
//! `Tags.member.1.Key=…`, and the SDKs write an empty list as `Name=`.

use std::collections::BTreeMap;

use skybru_federation::aws::{AwsError, Fault};

use super::errors;
use super::xml::{Element, element, text};

/// Namespace of IAM's answers.
pub(crate) const IAM_NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";
/// Namespace of STS's answers.
pub(crate) const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// Namespace of faults that belong to no service.
pub(crate) const FAULT_NAMESPACE: &str = "http://webservices.amazon.com/AWSFault/2005-15-09";

/// The parameters of one request. They may hold a token, so there is no `Debug`.
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a form. Of a repeated parameter the first counts.
    pub(crate) fn parse(form: &[u8]) -> Self {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            parameters.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Self(parameters)
    }

    /// A parameter, if it is there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, AwsError> {
        self.get(name).ok_or_else(|| errors::must_not_be_null(name))
    }

    /// A parameter that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u32>, AwsError> {
        self.get(name).map(|text| text.parse().map_err(|_| errors::malformed_input())).transpose()
    }

    /// A list of texts: `None` if the parameter is absent, empty if it was sent empty.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        let members = self.members(name);
        if members.is_empty() && !self.0.contains_key(name) {
            return None;
        }
        Some(members.into_values().filter_map(|member| member.get("").map(|text| (*text).to_owned())).collect())
    }

    /// A list of structures with the given two fields, such as tags.
    pub(crate) fn pairs(&self, name: &str, first: &str, second: &str) -> Vec<(String, String)> {
        let text = |member: &BTreeMap<&str, &str>, field| member.get(field).copied().unwrap_or_default().to_owned();
        self.members(name).into_values().map(|member| (text(&member, first), text(&member, second))).collect()
    }

    /// A list of structures of which only one field matters.
    pub(crate) fn fields(&self, name: &str, field: &str) -> Vec<String> {
        self.members(name).into_values().filter_map(|member| member.get(field).map(|text| (*text).to_owned())).collect()
    }

    /// `Name.member.N.field=text`, by number, then by field; the field of a plain text is empty.
    fn members(&self, name: &str) -> BTreeMap<u32, BTreeMap<&str, &str>> {
        let mut members: BTreeMap<u32, BTreeMap<&str, &str>> = BTreeMap::new();
        for (key, value) in &self.0 {
            let Some(rest) = key.strip_prefix(name).and_then(|rest| rest.strip_prefix(".member.")) else { continue };
            let (number, field) = rest.split_once('.').unwrap_or((rest, ""));
            if let Ok(number) = number.parse() {
                members.entry(number).or_default().insert(field, value);
            }
        }
        members
    }
}

/// What an action answers: the elements of its result, or nothing beyond the request id.
pub(crate) struct Answer(Option<Vec<Element>>);

impl Answer {
    /// An answer without a result.
    pub(crate) fn empty() -> Self {
        Self(None)
    }

    /// An answer with a result.
    pub(crate) fn new(elements: Vec<Element>) -> Self {
        Self(Some(elements))
    }

    /// The whole document.
    pub(crate) fn document(self, action: &str, namespace: &str, request_id: &str) -> String {
        let result = self.0.map(|elements| element(&format!("{action}Result"), elements));
        let metadata = element("ResponseMetadata", vec![text("RequestId", request_id)]);
        element(&format!("{action}Response"), result.into_iter().chain([metadata]).collect()).document(namespace)
    }
}

/// A refusal as a document.
pub(crate) fn error_document(error: &AwsError, namespace: &str, request_id: &str) -> String {
    let fault = match error.fault() {
        Fault::Sender => "Sender",
        Fault::Receiver => "Receiver",
    };
    let details = vec![text("Type", fault), text("Code", error.code), text("Message", &error.message)];
    element("ErrorResponse", vec![element("Error", details), text("RequestId", request_id)]).document(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_structures_come_in_the_order_of_their_numbers() {
        let form =
            "Tags.member.2.Key=b&Tags.member.2.Value=2&Tags.member.1.Value=1&Tags.member.1.Key=a&C.member.10=z&C.member.9=y&E=";
        let parameters = Parameters::parse(form.as_bytes());
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(parameters.pairs("Tags", "Key", "Value"), [pair("a", "1"), pair("b", "2")]);
        assert_eq!(parameters.list("C"), Some(vec!["y".to_owned(), "z".to_owned()]));
        assert_eq!(parameters.list("E"), Some(Vec::new()));
        assert_eq!(parameters.list("Absent"), None);
    }

    ///
    #[test]
    fn an_error_names_type_code_message_and_request() {
        let error = AwsError::new("A-62", "AccessDenied", 403, "<no>");
        assert_eq!(
            error_document(&error, STS_NAMESPACE, "r1"),
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
             <Message>&lt;no&gt;</Message></Error><RequestId>r1</RequestId></ErrorResponse>"
        );
        assert!(error_document(&errors::internal_failure(), STS_NAMESPACE, "r1").contains("<Type>Receiver</Type>"));
    }
}
