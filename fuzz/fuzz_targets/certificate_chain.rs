//! See `skybru_protocol::fuzz::certificate_chain`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skybru_protocol::fuzz::certificate_chain(data));
