//! Keys in a real PKCS#11 module: SoftHSM. Its tests say loudly when it is absent, unless `REAL_PARTS_REQUIRED` is set.

#![expect(clippy::unwrap_used, reason = "tests; helpers count as such too")]

mod softhsm;
