//! Settings: environment over file over nothing. Each value knows where it came from; unknown keys are errors.

mod clouds;
mod keys;
mod layers;
mod lifetimes;
mod nais;
mod options;
mod resolve;
mod store;
mod telemetry;
mod trust;

pub(crate) use clouds::Cloud;
pub(crate) use layers::{Settings, SettingsError};
pub(crate) use options::{IssuerOptions, ServerOptions, TargetOptions};
pub(crate) use store::{ReplayKind, ReplayOptions, SealOptions, SecretOptions, StoreKind, StoreOptions};
pub(crate) use telemetry::TelemetryOptions;
pub(crate) use trust::{ApiCompatOptions, CertificatesOptions, CompatOptions, DelegationSourceOptions};

#[cfg(test)]
mod smoke {
    use skybru_core::Randomness as _;
    use skybru_core::ctx::SeededRandomness;

    use super::options::Options;

    /// Settings that were changed at random are read or refused, and never stop the program. The same input is a target of `fuzz/`.
    #[test]
    fn settings_survive_mutation() {
        let seeds =
            [include_str!("../../../../fuzz/corpus/settings/server"), include_str!("../../../../fuzz/corpus/settings/client")];
        let randomness = SeededRandomness::new(20_261_125);
        let number = |below: usize| {
            let mut bytes = [0; 4];
            randomness.fill(&mut bytes);
            usize::try_from(u32::from_le_bytes(bytes)).unwrap() % below
        };
        for seed in seeds {
            assert!(toml::from_str::<Options>(seed).is_ok(), "the seed itself is good");
        }
        for _ in 0..3000 {
            let mut data = seeds[number(seeds.len())].as_bytes().to_vec();
            for _ in 0..=number(4) {
                let at = number(data.len());
                match number(4) {
                    0 => data[at] ^= 1 << number(7),
                    1 => drop(data.drain(at..(at + number(12)).min(data.len()))),
                    2 => data.splice(at..at, *b"[[a]]\n").for_each(drop),
                    _ => data.splice(at..at, *b"\"\"\"\\u0000").for_each(drop),
                }
                if data.is_empty() {
                    data.push(b'=');
                }
            }
            let _ = toml::from_str::<Options>(&String::from_utf8_lossy(&data));
        }
    }
}
