//! A settings file: the shapes of the binary, read as the binary reads them.
#![no_main]
#![allow(dead_code, reason = "only read, never used, here")]

#[path = "../../crates/skybru/src/settings/lifetimes.rs"]
mod lifetimes;
#[path = "../../crates/skybru/src/settings/options.rs"]
mod options;
#[path = "../../crates/skybru/src/settings/store.rs"]
mod store;
#[path = "../../crates/skybru/src/settings/telemetry.rs"]
mod telemetry;
#[path = "../../crates/skybru/src/settings/trust.rs"]
mod trust;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = toml::from_str::<options::Options>(text);
    }
});
