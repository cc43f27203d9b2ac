//! The program from outside: as a person at a terminal, or a script, meets it.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

mod agent;
mod agent_apis;
mod altinn_source;
mod backup;
mod bad_input;
mod business_certificates;
mod controls;
mod delegation;
mod doctor;
mod doctor_live;
mod examples;
mod exec;
mod guide;
mod handbook;
mod hostile;
mod key_vault;
mod keys;
mod kit;
mod lab_audit;
mod limits;
mod mistakes;
mod mistakes_everywhere;
mod operations;
#[path = "../../../issuer/tests/it/pki.rs"]
#[expect(dead_code, reason = "made for the issuer's own tests")]
mod pki;
mod private_issuer;
mod publish;
mod registry;
mod restart;
mod rotate;
mod serve;
mod storage;
#[path = "../support/mod.rs"]
mod support;
mod switches;
mod telemetry;
mod tools;
mod transfer;
mod trust;
mod try_it;
