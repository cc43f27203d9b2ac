//! See `skybru_protocol::fuzz::jwk_set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skybru_protocol::fuzz::jwk_set(data));
