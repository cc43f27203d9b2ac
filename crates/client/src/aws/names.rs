//! Names in AWS's own grammar: role ARNs, regions, session names.

use std::fmt;
use std::str::FromStr;

use skybru_core::text_type;

/// Why a text is not such a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not the ARN of a role.
    #[error("{0:?} is not a role: expected arn:aws:iam::123456789012:role/NAME")]
    Role(String),
    /// Not a region.
    #[error("{0:?} is not a region: expected one like eu-north-1")]
    Region(String),
    /// Not a session name (A-22, A-23).
    #[error("{0:?} is not a session name: expected 2 to 64 characters out of A-Z a-z 0-9 _ + = , . @ - (no colon, no slash)")]
    Session(String),
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The ARN of a role, `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RoleArn {
    arn: Box<str>,
    account_at: usize,
}

/// A region such as `eu-north-1`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Region(Box<str>);

/// A role session's name, 2 to 64 of `[\w+=,.@-]` (A-22). `\w` is ASCII here.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionName(Box<str>);

impl RoleArn {
    /// The ARN as written.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The twelve digits of the account.
    pub fn account(&self) -> &str {
        &self.arn[self.account_at..self.account_at + 12]
    }

    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or_default()
    }

    /// The role's name, without its path.
    pub fn name(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    /// Whether `arn` is a session of this role: `arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION`. AWS drops the path.
    pub fn is_session(&self, arn: &str) -> bool {
        let prefix = format!("arn:{}:sts::{}:assumed-role/{}/", self.partition(), self.account(), self.name());
        arn.strip_prefix(&prefix).is_some_and(|session| session.parse::<SessionName>().is_ok())
    }
}

impl FromStr for RoleArn {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NameError::Role(shown(text));
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition @ ("aws" | "aws-cn" | "aws-us-gov"), "iam", "", account, resource] = parts[..] else {
            return Err(wrong());
        };
        let name = resource.strip_prefix("role/").ok_or_else(wrong)?;
        let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let fine = |c: char| c.is_ascii_graphic() && !matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '\\');
        let name_is_there = name.rsplit('/').next().is_some_and(|last| !last.is_empty());
        if !digits || !name_is_there || !name.chars().all(fine) || !(20..=2048).contains(&text.len()) {
            return Err(wrong());
        }
        Ok(Self { account_at: "arn:".len() + partition.len() + ":iam::".len(), arn: text.into() })
    }
}

impl Region {
    /// The region as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The regional STS endpoint.
    pub fn sts_endpoint(&self) -> String {
        let domain = if self.0.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://sts.{}.{domain}", self.0)
    }
}

impl FromStr for Region {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let edges = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('-');
        if !edges || !text.contains('-') || text.len() > 32 || !text.chars().all(fine) {
            return Err(NameError::Region(shown(text)));
        }
        Ok(Self(text.into()))
    }
}

impl SessionName {
    const LONGEST: usize = 64;

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest legal name: runs of other characters become one hyphen, so `0192:917422575` becomes `0192-917422575` (A-23).
    ///
    /// ```
    /// use skybru_client::aws::SessionName;
    /// assert_eq!(SessionName::nearest("0192:917422575;entur:demo").as_str(), "0192-917422575-entur-demo");
    /// assert_eq!(SessionName::nearest("").as_str(), "skybru");
    /// ```
    pub fn nearest(text: &str) -> Self {
        let mut name = String::new();
        for c in text.chars() {
            if is_session_character(c) {
                name.push(c);
            } else if !name.ends_with('-') {
                name.push('-');
            }
            if name.len() == Self::LONGEST {
                break;
            }
        }
        let name = name.trim_matches('-');
        // Too little is left to be a name, or to mean anything.
        Self(if name.len() < 2 { "skybru".into() } else { name.into() })
    }
}

fn is_session_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-')
}

impl FromStr for SessionName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(2..=Self::LONGEST).contains(&text.len()) || !text.chars().all(is_session_character) {
            return Err(NameError::Session(shown(text)));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type!(RoleArn, Region, SessionName);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_role_tells_its_account_and_name() {
        let role: RoleArn = "arn:aws:iam::123456789012:role/team/data/skyporten-role".parse().unwrap();
        assert_eq!((role.account(), role.name(), role.partition()), ("123456789012", "skyporten-role", "aws"));
        for wrong in [
            "",
            "skyporten-role",
            "arn:aws:iam::123456789012:user/me",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:sts::123456789012:assumed-role/x/y",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam:eu-north-1:123456789012:role/x",
        ] {
            assert!(wrong.parse::<RoleArn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_session_of_this_very_role_is_one() {
        let role: RoleArn = "arn:aws:iam::123456789012:role/team/reader".parse().unwrap();
        assert!(role.is_session("arn:aws:sts::123456789012:assumed-role/reader/917422575"));
        for other in [
            "arn:aws:sts::123456789012:assumed-role/reader2/917422575",
            "arn:aws:sts::123456789012:assumed-role/team/reader/917422575",
            "arn:aws:sts::210987654321:assumed-role/reader/917422575",
            "arn:aws:sts::123456789012:assumed-role/reader/",
            "arn:aws:sts::123456789012:assumed-role/reader",
            "arn:aws-cn:sts::123456789012:assumed-role/reader/917422575",
        ] {
            assert!(!role.is_session(other), "{other}");
        }
    }

    #[test]
    fn regions_give_their_endpoint() {
        let endpoint = |region: &str| region.parse::<Region>().unwrap().sts_endpoint();
        assert_eq!(endpoint("eu-north-1"), "https://sts.eu-north-1.amazonaws.com");
        assert_eq!(endpoint("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn");
        for wrong in ["", "Ireland", "eu-north-1.evil.example", "eu north", "-a-", "eu-north-1/"] {
            assert!(wrong.parse::<Region>().is_err(), "{wrong}");
        }
    }

    proptest! {
        /// A-22, A-23.
        #[test]
        fn the_nearest_session_name_is_always_legal(text in "\\PC{0,100}") {
            let name = SessionName::nearest(&text);
            prop_assert_eq!(name.as_str().parse::<SessionName>().unwrap(), name);
        }

        #[test]
        fn a_legal_session_name_is_its_own_nearest(text in "[A-Za-z0-9_+=,.@][A-Za-z0-9_+=,.@-]{0,62}[A-Za-z0-9_+=,.@]") {
            let nearest = SessionName::nearest(&text);
            prop_assert_eq!(nearest.as_str(), text);
        }
    }
}
