//! New names and keys in the shapes that AWS gives them: SDKs and people recognise them by their prefix.

use skybru_core::{Randomness, Secret};

/// RFC 4648's base32 alphabet, which AWS writes its ids in.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Every byte chooses one character; alphabets of 32 and 64 characters divide 256, so none is preferred.
fn text(randomness: &dyn Randomness, alphabet: &[u8], length: usize) -> String {
    let mut bytes = vec![0; length];
    randomness.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
}

/// The access key id of temporary credentials: `ASIA` and 16 characters.
pub(crate) fn temporary_access_key_id(randomness: &dyn Randomness) -> String {
    format!("ASIA{}", text(randomness, BASE32, 16))
}

/// The id of a role, `AROA` and 17 characters; of a managed policy, `ANPA`.
pub(crate) fn unique_id(randomness: &dyn Randomness, prefix: &str) -> String {
    format!("{prefix}{}", text(randomness, BASE32, 17))
}

/// A secret access key: 40 characters.
pub(crate) fn secret_access_key(randomness: &dyn Randomness) -> Secret {
    Secret::from(text(randomness, BASE64, 40))
}

/// A session token. AWS's are some 350 characters and opaque; so is this one.
pub(crate) fn session_token(randomness: &dyn Randomness) -> Secret {
    Secret::from(format!("IQoJb3JpZ2luX2Vj{}", text(randomness, BASE64, 340)))
}

/// The id of one request, as it stands in answers and logs.
pub(crate) fn request_id(randomness: &dyn Randomness) -> String {
    skybru_core::id::uuid(randomness).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skybru_core::ctx::SeededRandomness;

    #[test]
    fn ids_and_keys_have_the_shapes_of_aws() {
        let randomness = SeededRandomness::new(1);
        let id = temporary_access_key_id(&randomness);
        assert!(id.starts_with("ASIA") && id.len() == 20 && id.bytes().all(|b| BASE32.contains(&b)), "{id}");
        assert_eq!(unique_id(&randomness, "AROA").len(), 21);
        assert_eq!(secret_access_key(&randomness).expose().len(), 40);
        assert!(session_token(&randomness).expose().len() > 300);
        assert_ne!(temporary_access_key_id(&randomness), id);
    }
}
