//! How an error is told to a person: what was attempted, why it failed, what to do. And the exit code.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use skybru_client::aws::{AwsCredentialError, ExchangeError};
use skybru_client::azure::{AzureCredentialError, AzureExchangeError};
use skybru_client::google::{GoogleCredentialError, GoogleExchangeError};
use skybru_client::guardian::RotationError;
use skybru_client::http::HttpError;
use skybru_client::selfservice::ApiCallError;
use skybru_client::storage::{StorageError, VariablesError};
use skybru_client::token::TokenError;
use skybru_issuer::keys::{KeysError, SwitchError};

use crate::settings::SettingsError;

/// The answer is no: somebody else, who may, refused.
const NO: u8 = 1;

/// Wrong use, or failure.
const FAILURE: u8 = 2;

/// What layers of the network's libraries say and nobody needs: what failed stands before it, and why behind it.
const NOISE: [&str; 4] = ["error sending request", "client error (Connect)", "dns error", "error resolving DNS"];

/// Prints the error with its causes and hints.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let gone = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(gone) {
        // Whoever read our output has seen enough.
        return ExitCode::SUCCESS;
    }
    let mut text = format!("error: {error}\n");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if cause != last && !NOISE.contains(&cause.as_str()) {
            text.extend(["  because: ", &cause, "\n"]);
        }
        last = cause;
    }
    if let Some(hint) = error.chain().find_map(hint) {
        text.extend(["hint: ", &hint, "\n"]);
    }
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    ExitCode::from(if error.chain().any(is_refusal) { NO } else { FAILURE })
}

/// The error with its causes and its hint on one line, for those who read no more.
pub(crate) fn on_one_line(error: &anyhow::Error) -> String {
    let hint = error.chain().find_map(hint).map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
    let lines = format!("{error:#}{hint}");
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    None.or_else(|| error.downcast_ref::<SettingsError>().and_then(SettingsError::hint))
        .or_else(|| error.downcast_ref::<TokenError>().and_then(TokenError::hint))
        .or_else(|| error.downcast_ref::<AwsCredentialError>().and_then(AwsCredentialError::hint))
        .or_else(|| error.downcast_ref::<ExchangeError>().and_then(ExchangeError::hint))
        .or_else(|| error.downcast_ref::<GoogleCredentialError>().and_then(GoogleCredentialError::hint))
        .or_else(|| error.downcast_ref::<GoogleExchangeError>().and_then(GoogleExchangeError::hint))
        .or_else(|| error.downcast_ref::<AzureCredentialError>().and_then(AzureCredentialError::hint))
        .or_else(|| error.downcast_ref::<AzureExchangeError>().and_then(AzureExchangeError::hint))
        .or_else(|| error.downcast_ref::<ApiCallError>().and_then(ApiCallError::hint))
        .or_else(|| error.downcast_ref::<RotationError>().and_then(RotationError::hint))
        .or_else(|| error.downcast_ref::<StorageError>().and_then(StorageError::hint))
        .or_else(|| error.downcast_ref::<VariablesError>().and_then(VariablesError::hint))
        .or_else(|| error.downcast_ref::<HttpError>().and_then(HttpError::hint))
}

fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<KeysError>().is_some()
        || error.downcast_ref::<SwitchError>().is_some()
        || matches!(error.downcast_ref(), Some(TokenError::Refused { .. }))
        || matches!(error.downcast_ref(), Some(ExchangeError::Refused { .. }))
        || matches!(error.downcast_ref(), Some(GoogleExchangeError::Refused { .. }))
        || matches!(error.downcast_ref(), Some(AzureExchangeError::Refused { .. }))
        || matches!(error.downcast_ref(), Some(ApiCallError::Refused { .. }))
        || matches!(error.downcast_ref(), Some(StorageError::Refused(_)))
}
