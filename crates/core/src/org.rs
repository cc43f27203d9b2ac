//! Organisation numbers.
//!
//! A consumer, a supplier and an API provider are named by their number in the Norwegian register of legal entities. On the
//! wire the number travels in its ISO 6523 form, `0192:NNNNNNNNN`, under the authority `iso6523-actorid-upis`.

use std::fmt;
use std::str::FromStr;

/// The `authority` member that accompanies an [`OrgId`] in tokens.
pub const AUTHORITY: &str = "iso6523-actorid-upis";

/// The ISO 6523 code of the Norwegian register of legal entities.
const NORWAY: &str = "0192";

/// A Norwegian organisation number: nine digits, the last one a modulus-11 check digit.
///
/// The first digit is not checked: synthetic organisations begin with 2 or 3, Altinn's test organisation with 4.
///
/// ```
/// use skybru_core::OrgNumber;
/// assert!("991825827".parse::<OrgNumber>().is_ok());
/// assert_eq!("123456789".parse::<OrgNumber>().unwrap_err().to_string(),
///     "123456789 is not an organisation number: the check digit should be 5, not 9");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrgNumber([u8; 9]);

/// Why a text is not an organisation number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrgNumberError {
    /// Not nine digits.
    #[error("{0:?} is not an organisation number: expected nine digits, like 991825827")]
    Shape(String),
    /// Nine digits whose last one does not fit the others.
    #[error("{number} is not an organisation number: the check digit should be {expected}, not {found}")]
    CheckDigit {
        /// The text as given.
        number: String,
        /// The digit that the first eight ask for.
        expected: u8,
        /// The digit that was there.
        found: u8,
    },
    /// The first eight digits have no valid check digit.
    #[error("{0} is not an organisation number: no check digit fits its first eight digits")]
    NoCheckDigit(String),
}

impl OrgNumber {
    /// Weights of the first eight digits. Rule: Brønnøysund register, modulus 11.
    const WEIGHTS: [u32; 8] = [3, 2, 7, 6, 5, 4, 3, 2];

    /// The number before all others in any order.
    pub const LOWEST: Self = Self([b'0'; 9]);

    /// The number as nine ASCII digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are let in, so there is always a text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for OrgNumber {
    type Err = OrgNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = || OrgNumberError::Shape(shown(text));
        let digits: [u8; 9] = text.as_bytes().try_into().map_err(|_| shape())?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(shape());
        }
        let sum: u32 = digits.iter().zip(Self::WEIGHTS).map(|(d, w)| u32::from(d - b'0') * w).sum();
        let expected = match 11 - sum % 11 {
            11 => 0,
            10 => return Err(OrgNumberError::NoCheckDigit(text.to_owned())),
            digit => u8::try_from(digit).expect("one digit"),
        };
        let found = digits[8] - b'0';
        if expected == found {
            Ok(Self(digits))
        } else {
            Err(OrgNumberError::CheckDigit { number: text.to_owned(), expected, found })
        }
    }
}

/// Keeps an error message short whatever was pasted.
fn shown(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { format!("{}…", text.chars().take(40).collect::<String>()) }
}

impl fmt::Display for OrgNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An organisation in ISO 6523 form: `0192:NNNNNNNNN`.
///
/// ```
/// use skybru_core::OrgId;
/// let org: OrgId = "0192:991825827".parse().unwrap();
/// assert_eq!(org.number().as_str(), "991825827");
/// assert_eq!("991825827".parse::<OrgId>().unwrap(), org, "people may leave the prefix out");
/// assert!("9908:991825827".parse::<OrgId>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrgId(OrgNumber);

/// Why a text is not an organisation id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrgIdError {
    /// Another scheme than 0192.
    #[error("{0:?} is not a Norwegian organisation: expected 0192: and nine digits")]
    Scheme(String),
    /// The number after the colon is wrong.
    #[error(transparent)]
    Number(#[from] OrgNumberError),
}

impl OrgId {
    /// The organisation with this number.
    pub const fn new(number: OrgNumber) -> Self {
        Self(number)
    }

    /// The nine digits.
    pub const fn number(self) -> OrgNumber {
        self.0
    }
}

impl FromStr for OrgId {
    type Err = OrgIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Split on the first colon only: the standard allows more elements later, and those must not be stripped blindly.
        match text.split_once(':') {
            None => Ok(Self(text.parse()?)),
            Some((NORWAY, number)) => Ok(Self(number.parse()?)),
            Some(_) => Err(OrgIdError::Scheme(shown(text))),
        }
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NORWAY}:{}", self.0)
    }
}

impl From<OrgNumber> for OrgId {
    fn from(number: OrgNumber) -> Self {
        Self(number)
    }
}

crate::text_type!(OrgNumber, OrgId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_and_synthetic_numbers_pass() {
        for number in [
            "991825827",
            "889640782",
            "974761076",
            "310702641",
            "311046349",
            "314330897",
            "312605031",
            "313367002",
            "310175838",
            "405003309",
            "555555555",
            "111111111",
            "917422575",
        ] {
            assert!(number.parse::<OrgNumber>().is_ok(), "{number}");
        }
    }

    #[test]
    fn placeholders_of_documentation_fail_the_check_digit() {
        for number in ["123456789", "999888777", "101010101"] {
            assert!(number.parse::<OrgNumber>().is_err(), "{number}");
        }
    }

    #[test]
    fn other_shapes_are_refused_by_shape() {
        for text in ["", "99182582", "9918258270", "99182582x", " 91825827", "99182582٧", "æøå"] {
            assert!(matches!(text.parse::<OrgNumber>(), Err(OrgNumberError::Shape(_))), "{text:?}");
        }
    }

    #[test]
    fn an_org_id_reads_with_and_without_its_scheme_and_writes_with_it() {
        let org: OrgId = "917422575".parse().unwrap();
        assert_eq!(org.to_string(), "0192:917422575");
        assert_eq!(serde_json::to_string(&org).unwrap(), "\"0192:917422575\"");
        assert!(serde_json::from_str::<OrgId>("\"0192:123456789\"").is_err(), "a file cannot bypass the parser");
        assert!(matches!("0192:917422575:1".parse::<OrgId>(), Err(OrgIdError::Number(_))));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_always_caught(position in 0usize..9, by in 1u8..10) {
            let mut digits = *b"991825827";
            digits[position] = b'0' + (digits[position] - b'0' + by) % 10;
            prop_assert!(std::str::from_utf8(&digits).unwrap().parse::<OrgNumber>().is_err());
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<OrgId>();
        }
    }
}
