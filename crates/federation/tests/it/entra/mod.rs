//! Entra's and Azure's rules, one test for each, with their own texts.

mod access;
mod case;
mod credentials;
mod exchange;
mod lint;
