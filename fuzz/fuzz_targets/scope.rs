//! See `skybru_protocol::fuzz::scope`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skybru_protocol::fuzz::scope(data));
