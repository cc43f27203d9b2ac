//! IAM policy documents: reading and evaluating them.
//!
//! Grammar and semantics are those of the IAM user guide ("IAM JSON policy elements", "Policy evaluation logic"). An evaluation tells
//! not only yes or no but also which statement, and which condition in it, stood in the way: AWS never says, the doctor does.

mod condition;
mod document;
mod evaluate;
mod pattern;

pub use condition::{Condition, Operator, Quantifier};
pub use document::{Document, Effect, Principals, Statement};
pub use evaluate::{Context, Miss, MissReason, Outcome, Request, Verdict, evaluate, matching};

use super::AwsError;

/// Whether `text` fits `pattern`, in which `*` stands for any characters and `?` for one. Case counts.
pub(crate) fn glob_matches(pattern: &str, text: &str) -> bool {
    pattern::Pattern::plain(pattern).matches(text, false)
}

/// Checks a policy that will be attached to a role: it names resources and no principal.
pub fn check_identity_policy(text: &str) -> Result<Document, AwsError> {
    let document = Document::parse(text)?;
    for statement in document.statements() {
        if statement.principal().is_some() {
            return Err(AwsError::malformed_policy("Policy document should not specify a principal."));
        }
        if !statement.has_resource() {
            return Err(AwsError::malformed_policy("Policy statement must contain resources."));
        }
    }
    Ok(document)
}
