//! The doctor's rules, `D-01` to `D-74`: who errs, what is probably wrong, how to mend it, and which clouds mind.
//!
//! The catalogue is for people. What is wrong with a given set-up is decided by the `lint` functions, which name these ids; what stands
//! here is said when nothing but an error text is at hand, and in the generated table of rules.

mod aws;
mod azure;
mod common;
mod google;

use serde::Serialize;

use crate::finding::{Finding, Severity, Who};

/// A cloud that takes tokens of a foreign issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// Amazon Web Services: STS and IAM.
    Aws,
    /// Google Cloud: workload and workforce pools.
    Google,
    /// Microsoft Entra and Azure.
    Azure,
}

impl Cloud {
    /// All three, in the order of the catalogue.
    pub const ALL: [Self; 3] = [Self::Aws, Self::Google, Self::Azure];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Google => "Google Cloud",
            Self::Azure => "Azure",
        }
    }
}

/// A rule of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its id, such as `D-22`.
    pub rule: &'static str,
    /// Who errs, the likeliest first. Never empty.
    pub who: &'static [Who],
    /// What is probably wrong, as half a sentence.
    pub what: &'static str,
    /// How to find out, or to mend it.
    pub fix: &'static str,
    /// The clouds that mind.
    pub clouds: &'static [Cloud],
}

impl Entry {
    /// Who errs most.
    pub fn likeliest(&self) -> Who {
        self.who.first().copied().unwrap_or(Who::Consumer)
    }

    /// A finding that says no more than the catalogue: a guess, so a warning.
    pub fn possible(&self) -> Finding {
        Finding::new(self.rule, self.likeliest(), format!("possible: {}", self.what), self.fix).severity(Severity::Warning)
    }
}

/// The rule of this id.
///
/// ```
/// assert!(skybru_federation::catalogue::entry("D-23").unwrap().what.contains("scope"));
/// ```
pub fn entry(rule: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.rule == rule)
}

/// Every rule, in the order of the ids.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    [common::ENTRIES, aws::ENTRIES, google::ENTRIES, azure::ENTRIES].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_stands_once_and_in_order() {
        let rules: Vec<&str> = all().map(|entry| entry.rule).collect();
        assert!(rules.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn no_rule_of_the_four_groups_is_missing() {
        let numbers = (1..=19).chain(20..=36).chain(40..=54).chain(60..=74);
        let wanted: Vec<String> = numbers.map(|number| format!("D-{number:02}")).collect();
        assert_eq!(all().map(|entry| entry.rule).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn each_rule_has_somebody_to_mend_it_and_a_cloud_that_minds() {
        assert!(all().all(|entry| !entry.who.is_empty() && !entry.clouds.is_empty() && !entry.fix.is_empty()));
    }
}
