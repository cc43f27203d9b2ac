//! See `skybru_protocol::fuzz::token_form`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skybru_protocol::fuzz::token_form(data));
