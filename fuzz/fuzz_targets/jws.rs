//! See `skybru_protocol::fuzz::jws`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skybru_protocol::fuzz::jws(data));
