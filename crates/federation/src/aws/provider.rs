//! OIDC identity providers in IAM.

use serde::{Deserialize, Serialize};

use super::AwsError;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Unique without regard to case.
    pub key: String,
    /// May be empty.
    pub value: String,
}

/// What `CreateOpenIDConnectProvider` is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderInput {
    /// The issuer.
    pub url: String,
    /// Audiences.
    pub client_ids: Vec<String>,
    /// `None`: IAM fetches one itself.
    pub thumbprints: Option<Vec<String>>,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// A provider as IAM keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OidcProvider {
    /// `arn:aws:iam::ACCOUNT:oidc-provider/` and the URL without its scheme.
    pub arn: String,
    /// The URL without its scheme, path and slash included.
    pub url: String,
    /// Audiences; with none, every token is refused.
    pub client_ids: Vec<String>,
    /// SHA-1 of certificates, lower-case hexadecimal.
    pub thumbprints: Vec<String>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Seconds since 1970.
    pub created: i64,
}

/// A change of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Adds an audience; one that is there already changes nothing.
    AddClientId(String),
    /// Takes one away; one that is not there changes nothing.
    RemoveClientId(String),
    /// Replaces the thumbprints.
    Thumbprints(Vec<String>),
    /// Adds tags, replacing those of the same key.
    Tag(Vec<Tag>),
    /// Takes tags away.
    Untag(Vec<String>),
}

const MAX_PROVIDERS: usize = 100;
const MAX_CLIENT_IDS: usize = 100;
const MAX_TAGS: usize = 50;

impl OidcProvider {
    /// Checks the input of `CreateOpenIDConnectProvider` and makes the provider.
    ///
    /// With `thumbprints: None` the caller fetches one and puts it in afterwards. `now` is in seconds since 1970.
    pub fn create(account: &str, input: ProviderInput, now: i64) -> Result<Self, AwsError> {
        let url = checked_url(&input.url)?;
        let mut provider = Self {
            arn: arn(account, &url),
            url,
            client_ids: Vec::new(),
            thumbprints: Vec::new(),
            tags: Vec::new(),
            created: now,
        };
        for id in input.client_ids {
            provider.edit(Edit::AddClientId(id))?;
        }
        if let Some(thumbprints) = input.thumbprints {
            provider.thumbprints = checked_thumbprints(thumbprints)?;
        }
        provider.edit(Edit::Tag(input.tags))?;
        Ok(provider)
    }

    /// whether there is room for one more in an account that has `existing`.
    pub fn check_quota(existing: usize) -> Result<(), AwsError> {
        if existing < MAX_PROVIDERS {
            return Ok(());
        }
        let message = format!("Cannot exceed quota for OpenIdConnectProvidersPerAccount: {MAX_PROVIDERS}");
        Err(AwsError::new("A-15", "LimitExceeded", 409, message))
    }

    /// Changes the provider, or nothing.
    pub fn edit(&mut self, edit: Edit) -> Result<(), AwsError> {
        match edit {
            Edit::AddClientId(id) => {
                if id.is_empty() || id.len() > 255 {
                    return Err(AwsError::constraint("clientID", Some(&id), "have length between 1 and 255"));
                }
                if self.client_ids.contains(&id) {
                    return Ok(());
                }
                if self.client_ids.len() >= MAX_CLIENT_IDS {
                    let message = format!("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MAX_CLIENT_IDS}");
                    return Err(AwsError::new("A-6", "LimitExceeded", 409, message));
                }
                self.client_ids.push(id);
            }
            Edit::RemoveClientId(id) => self.client_ids.retain(|known| *known != id),
            Edit::Thumbprints(thumbprints) => {
                if thumbprints.is_empty() {
                    return Err(AwsError::new("A-9", "InvalidInput", 400, "Thumbprint list must contain at least one entry."));
                }
                self.thumbprints = checked_thumbprints(thumbprints)?;
            }
            Edit::Tag(tags) => self.tags = with_tags(&self.tags, tags)?,
            Edit::Untag(keys) => self.tags.retain(|tag| !keys.iter().any(|key| key.eq_ignore_ascii_case(&tag.key))),
        }
        Ok(())
    }

    /// The issuer whose tokens it vouches for.
    pub fn issuer(&self) -> String {
        format!("https://{}", self.url)
    }

    ///
    pub fn already_exists(&self) -> AwsError {
        let message = format!("Provider with url https://{} already exists.", self.url);
        AwsError::new("A-12", "EntityAlreadyExists", 409, message)
    }

    /// what reading an absent provider says.
    pub fn not_found(arn: &str) -> AwsError {
        AwsError::no_such_entity("A-14", format!("OpenIDConnect Provider not found for arn {arn}"))
    }

    /// what deleting an absent provider says, in another spelling.
    pub fn cannot_be_found(arn: &str) -> AwsError {
        AwsError::no_such_entity("A-14", format!("OpenId connect Provider {arn} cannot be found."))
    }
}

fn arn(account: &str, url: &str) -> String {
    format!("arn:aws:iam::{account}:oidc-provider/{url}")
}

/// https, no query, no fragment; `:443` vanishes; path and last slash stay. Any other port is refused, except on this
/// machine's own name: what AWS says to it is unconfirmed, and a lab has no other way.
fn checked_url(text: &str) -> Result<String, AwsError> {
    if text.is_empty() || text.len() > 255 {
        return Err(AwsError::constraint("url", Some(text), "have length between 1 and 255"));
    }
    let invalid = || AwsError::new("A-3", "InvalidInput", 400, "Unknown");
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://").filter(|rest| is_local(rest)));
    let rest = rest.ok_or_else(|| AwsError::validation("A-2", "Invalid Open ID Connect Provider URL"))?;
    if rest.contains(['?', '#', '@', ' ']) || rest.is_empty() || rest.starts_with('/') {
        return Err(invalid());
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let authority = authority.strip_suffix(":443").unwrap_or(authority);
    if authority.contains(':') && !is_local(authority) {
        return Err(invalid());
    }
    Ok(format!("{authority}{path}"))
}

/// Whether a URL without its scheme is on this machine: the host itself, perhaps with a port, and nothing that merely begins like it.
pub(super) fn is_local(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| match authority.strip_prefix(host) {
        Some("") => true,
        Some(after) => after.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()),
        None => false,
    })
}

/// forty characters each, at most five though the text says fewer; not necessarily hexadecimal.
fn checked_thumbprints(thumbprints: Vec<String>) -> Result<Vec<String>, AwsError> {
    if thumbprints.len() > 5 {
        return Err(AwsError::new("A-8", "InvalidInput", 400, "Thumbprint list must contain fewer than 5 entries."));
    }
    if let Some(wrong) = thumbprints.iter().find(|thumbprint| thumbprint.len() != 40) {
        return Err(AwsError::constraint("thumbprintList", Some(wrong), "have length equal to 40"));
    }
    Ok(thumbprints.into_iter().map(|thumbprint| thumbprint.to_lowercase()).collect())
}

/// at most fifty tags, keys unique without regard to case.
pub(super) fn with_tags(known: &[Tag], added: Vec<Tag>) -> Result<Vec<Tag>, AwsError> {
    for (place, tag) in added.iter().enumerate() {
        if tag.key.is_empty() || tag.key.chars().count() > 128 || tag.value.chars().count() > 256 {
            return Err(AwsError::constraint("tags", Some(&tag.key), "have length between 1 and 128"));
        }
        if added[..place].iter().any(|other| other.key.eq_ignore_ascii_case(&tag.key)) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(AwsError::new("A-65", "InvalidInput", 400, message));
        }
    }
    let mut tags: Vec<Tag> =
        known.iter().filter(|tag| !added.iter().any(|new| new.key.eq_ignore_ascii_case(&tag.key))).cloned().collect();
    tags.extend(added);
    if tags.len() > MAX_TAGS {
        return Err(AwsError::new(
            "A-15",
            "LimitExceeded",
            409,
            format!("The number of tags has reached the maximum limit: {MAX_TAGS}."),
        ));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(url: &str) -> Result<OidcProvider, AwsError> {
        OidcProvider::create("123456789012", ProviderInput { url: url.to_owned(), ..ProviderInput::default() }, 0)
    }

    ///
    #[test]
    fn a_slash_more_is_another_provider_and_the_standard_port_vanishes() {
        assert_eq!(create("https://h.no/path").unwrap().arn, "arn:aws:iam::123456789012:oidc-provider/h.no/path");
        assert_eq!(create("https://h.no/path/").unwrap().url, "h.no/path/");
        assert_eq!(create("https://H.no:443").unwrap().url, "H.no");
        assert_eq!(create("https://localhost:7402").unwrap().url, "localhost:7402");
    }

    ///
    #[test]
    fn queries_fragments_ports_and_http_are_refused() {
        for wrong in ["https://h.no?q=1", "https://h.no#f", "https://h.no:8443", "https://"] {
            assert_eq!(create(wrong).unwrap_err().message, "Unknown", "{wrong}");
        }
        assert_eq!(create("http://h.no").unwrap_err().code, "ValidationError");
        for beside in ["https://localhost.evil.no:1", "https://localhost:1.evil.no", "https://localhost:no"] {
            assert_eq!(create(beside).unwrap_err().code, "InvalidInput", "{beside}");
        }
        assert_eq!(create("").unwrap_err().code, "ValidationError");
    }

    ///
    #[test]
    fn client_ids_keep_their_order_once_each_up_to_a_hundred() {
        let mut provider = create("https://h.no").unwrap();
        for id in ["b", "a", "b"] {
            provider.edit(Edit::AddClientId(id.to_owned())).unwrap();
        }
        provider.edit(Edit::RemoveClientId("absent".to_owned())).unwrap();
        assert_eq!(provider.client_ids, ["b", "a"]);
        for n in 0..98 {
            provider.edit(Edit::AddClientId(n.to_string())).unwrap();
        }
        let error = provider.edit(Edit::AddClientId("more".to_owned())).unwrap_err();
        assert_eq!((error.code, error.status), ("LimitExceeded", 409));
        assert_eq!(error.message, "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100");
    }

    ///
    #[test]
    fn five_thumbprints_pass_although_the_text_says_fewer_than_five() {
        let print = |c: char| c.to_string().repeat(40);
        assert_eq!(checked_thumbprints(vec![print('A'); 5]).unwrap()[0], print('a'), "lower-cased, duplicates kept");
        assert_eq!(
            checked_thumbprints(vec![print('z'); 6]).unwrap_err().message,
            "Thumbprint list must contain fewer than 5 entries."
        );
        assert_eq!(checked_thumbprints(vec!["ab".into()]).unwrap_err().code, "ValidationError");
        let error = create("https://h.no").unwrap().edit(Edit::Thumbprints(vec![])).unwrap_err();
        assert_eq!(error.message, "Thumbprint list must contain at least one entry.");
    }

    ///
    #[test]
    fn tag_keys_differ_by_more_than_case() {
        let tag = |key: &str| Tag { key: key.to_owned(), value: String::new() };
        assert_eq!(with_tags(&[], vec![tag("a"), tag("A")]).unwrap_err().rule, "A-65");
        assert_eq!(with_tags(&[tag("a")], vec![tag("A")]).unwrap().len(), 1, "replaced");
    }
}
