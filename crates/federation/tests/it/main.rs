//! The clouds' rules, one test for each, with the clouds' own texts. The rule's id begins the name of its test.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod all_clouds;
mod audience;
mod case;
mod clock;
mod common_lint;
mod entra;
mod error_text;
mod google;
mod guide;
mod iam;
mod keys;
mod lint;
mod order;
mod parameters;
mod properties;
mod reach;
mod tags;
mod token;
mod tools;
mod trust;
