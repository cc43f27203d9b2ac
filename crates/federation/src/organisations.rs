//! Sets of organisations, for what a trust rule could ever let in.

use std::collections::BTreeSet;

use serde::Serialize;
use skybru_core::OrgNumber;

/// The organisations that could satisfy one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Organisations {
    /// These and no others; none when no subject of Skyporten's form fits.
    Only(BTreeSet<OrgNumber>),
    /// Any, or more than anybody would list.
    Any,
}

impl Organisations {
    /// Whether two different organisations could satisfy the rule.
    pub fn are_several(&self) -> bool {
        match self {
            Self::Only(numbers) => numbers.len() > 1,
            Self::Any => true,
        }
    }

    /// Whether this one could.
    pub fn include(&self, organisation: OrgNumber) -> bool {
        match self {
            Self::Only(numbers) => numbers.contains(&organisation),
            Self::Any => true,
        }
    }

    /// Those in both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, rest) | (rest, Self::Any) => rest,
            (Self::Only(one), Self::Only(other)) => Self::Only(one.intersection(&other).copied().collect()),
        }
    }

    /// Those in either.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(mut one), Self::Only(other)) => {
                one.extend(other);
                Self::Only(one)
            }
            _ => Self::Any,
        }
    }

    pub(crate) fn none() -> Self {
        Self::Only(BTreeSet::new())
    }
}
