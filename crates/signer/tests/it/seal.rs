//! Sealing.

use skybru_core::Secret;
use skybru_signer::seal::{Seal, SealError, is_sealed};

/// Cheap, for tests.
fn passphrase(text: &str) -> Seal {
    Seal::passphrase_with_cost(Secret::from(text.to_owned()), 2).unwrap()
}

#[test]
fn what_is_sealed_opens_with_the_same_seal_and_no_other() {
    let file = Seal::new_key_file();
    let (word, key, other) =
        (passphrase("correct horse"), Seal::key_file(&file).unwrap(), Seal::key_file(&Seal::new_key_file()).unwrap());
    for seal in [&word, &key] {
        let sealed = seal.seal(b"a private key").unwrap();
        assert!(is_sealed(&sealed));
        assert_eq!(&**seal.open(&sealed).unwrap(), b"a private key");
        assert!(!sealed.windows(7).any(|window| window == b"private"));
    }
    for wrong in [&passphrase("wrong horse"), &other] {
        assert!(matches!(wrong.open(&word.seal(b"x").unwrap()), Err(SealError::Closed)));
        assert!(matches!(wrong.open(&key.seal(b"x").unwrap()), Err(SealError::Closed)));
    }
}

#[test]
fn a_changed_file_does_not_open() {
    let seal = passphrase("correct horse");
    let sealed = seal.seal(&[7; 1000]).unwrap();
    for place in [30, sealed.len() / 2, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        assert!(matches!(seal.open(&changed), Err(SealError::Closed)), "byte {place}");
    }
    assert!(matches!(seal.open(&sealed[..sealed.len() - 20]), Err(SealError::Closed)), "cut off");
    assert!(matches!(seal.open(b"{\"kty\":\"RSA\"}"), Err(SealError::NotSealed)));
}

#[test]
fn a_file_from_elsewhere_cannot_ask_for_unbounded_work() {
    let sealed = passphrase("correct horse").seal(b"x").unwrap();
    let dear = String::from_utf8_lossy(&sealed[..80]).replacen(" 2\n", " 30\n", 1).into_bytes();
    let dear = [&dear[..], &sealed[80..]].concat();
    let error = passphrase("correct horse").open(&dear).unwrap_err();
    assert!(matches!(error, SealError::TooDear { asked: 30 }), "{error:?}");
}

#[test]
fn a_seal_does_not_print_itself() {
    let file = Seal::new_key_file();
    assert_eq!(
        format!("{:?} {:?}", passphrase("correct horse"), Seal::key_file(&file).unwrap()),
        "Seal(passphrase) Seal(key file)"
    );
    assert!(matches!(Seal::key_file("# nothing\n"), Err(SealError::KeyFile)));
    assert!(matches!(Seal::passphrase(Secret::from(" ".to_owned())), Err(SealError::Empty)));
}
