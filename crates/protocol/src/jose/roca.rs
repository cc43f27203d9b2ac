//! Keys that some smart cards and security modules made between 2012 and 2017, and that can be factored
//! ([CVE-2017-15361](https://nvd.nist.gov/vuln/detail/CVE-2017-15361), "ROCA").
//!
//! Their primes are powers of 65537 modulo a product of small primes, so their modulus is one too. A modulus that is a power of 65537 modulo
//! each of the first 39 primes is one of theirs: chance makes such a number less than once in a hundred million.

/// The largest of the first 39 primes, those that the affected software multiplied for keys of up to 960 bits; longer keys use more.
const LARGEST: u32 = 167;

/// Whether a modulus, big-endian, looks like that of an affected key.
pub(super) fn is_affected(modulus: &[u8]) -> bool {
    (3..=LARGEST).filter(|number| is_prime(*number)).all(|prime| is_power_of_65537(remainder(modulus, prime), prime))
}

fn is_prime(number: u32) -> bool {
    (2..number).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

fn remainder(modulus: &[u8], prime: u32) -> u32 {
    modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime)
}

fn is_power_of_65537(wanted: u32, prime: u32) -> bool {
    let base = 65537 % prime;
    let mut power = 1;
    // There are at most prime - 1 different powers.
    for _ in 1..prime {
        if power == wanted {
            return true;
        }
        power = power * base % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64url;
    use crate::jose::{Algorithm, RsaSize, SigningKey};

    // That an affected key is found is shown with Project Wycheproof's, in `tests/it/wycheproof.rs`.
    #[test]
    fn a_key_of_our_own_is_not_affected() {
        let key = SigningKey::generate(RsaSize::Bits2048, Algorithm::RS256).unwrap();
        let modulus = base64url::decode(key.public_jwk().n.as_deref().unwrap()).unwrap();
        assert!(!is_affected(&modulus));
    }
}
