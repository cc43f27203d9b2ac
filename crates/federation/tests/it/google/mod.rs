//! Google's rules.

pub(crate) mod case;

mod access;
mod error_text;
mod exchange;
mod lint;
mod mapping;
mod properties;
mod provider;
mod reach;
mod service_account;
