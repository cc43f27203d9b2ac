//! Digests and signature encodings, for holders of keys that sign a digest rather than a message.

use aws_lc_rs::digest::{self, Digest};
use skybru_protocol::jose::Algorithm;

/// The digest that `algorithm` signs.
pub(crate) fn digest(algorithm: Algorithm, message: &[u8]) -> Digest {
    let hash = match algorithm {
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &digest::SHA384,
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::ES512 => &digest::SHA512,
        _ => &digest::SHA256,
    };
    digest::digest(hash, message)
}

/// A digest with its name in front, as PKCS#1 v1.5 signs it ([RFC 8017, section 9.2](https://www.rfc-editor.org/rfc/rfc8017#section-9.2),
/// note 1).
#[cfg(feature = "pkcs11")]
pub(crate) fn digest_info(digest: &Digest) -> Vec<u8> {
    let bytes = digest.as_ref();
    let (identifier, length) = match bytes.len() {
        48 => (2, 0x41),
        64 => (3, 0x51),
        _ => (1, 0x31),
    };
    let size = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    let mut info = vec![
        0x30, length, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, identifier, 0x05, 0x00, 0x04, size,
    ];
    info.extend_from_slice(bytes);
    info
}

/// An ECDSA signature over P-256 as DER (two numbers) in the form that a JWS carries: 32 bytes each
/// ([RFC 7518, section 3.4](https://www.rfc-editor.org/rfc/rfc7518#section-3.4)).
pub(crate) fn fixed_from_der(der: &[u8]) -> Option<Vec<u8>> {
    let rest = der.strip_prefix(&[0x30])?;
    let (length, rest) = rest.split_first()?;
    if usize::from(*length) != rest.len() {
        return None;
    }
    let (r, rest) = number(rest)?;
    let (s, rest) = number(rest)?;
    rest.is_empty().then(|| [r, s].concat())
}

fn number(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (length, rest) = der.strip_prefix(&[0x02])?.split_first()?;
    let (bytes, rest) = rest.split_at_checked(usize::from(*length))?;
    let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    let mut fixed = [0; 32];
    fixed.get_mut(32_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some((fixed, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_their_full_length() {
        let der = [&[0x30, 38, 0x02, 33, 0][..], &[0xff; 32], &[0x02, 1, 7]].concat();
        let fixed = fixed_from_der(&der).unwrap();
        assert_eq!((&fixed[..32], &fixed[32..63], fixed[63]), (&[0xff; 32][..], &[0; 31][..], 7));
    }

    #[test]
    fn what_is_no_signature_is_none() {
        for wrong in [
            &[][..],
            &[0x30],
            &[0x30, 5, 2, 1, 7],
            &[0x30, 6, 2, 1, 7, 2, 1],
            &[0x30, 4, 2, 40, 0, 0],
            &[0x31, 6, 2, 1, 7, 2, 1, 7],
        ] {
            assert_eq!(fixed_from_der(wrong), None, "{wrong:?}");
        }
    }
}
