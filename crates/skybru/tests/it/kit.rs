//! `skybru kit`: a provider makes one, a consumer takes it over, and a forged one gets nowhere.

use std::process::Output;

use crate::support::{Lab, stderr, stdout};

fn run(lab: &Lab, arguments: &[&str]) -> Output {
    lab.skybru(&[&["kit"], arguments].concat()).output().unwrap()
}

fn refused(lab: &Lab, arguments: &[&str], word: &str) {
    let output = run(lab, arguments);
    assert!(!output.status.success(), "{arguments:?}");
    assert!(stderr(&output).contains(word), "{arguments:?}: {}", stderr(&output));
}

#[test]
fn a_kit_becomes_a_working_target_once_its_key_is_known() {
    let lab = Lab::start();
    let made = run(&lab, &["create", "demo", "--client", "provider", "--consumer", "0192:310702641"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let (kit, thumbprint) = (stdout(&made).trim().to_owned(), stderr(&made).trim().rsplit(' ').next().unwrap().to_owned());
    std::fs::write(lab.folder.join("demo.kit"), &kit).unwrap();
    let settings = || std::fs::read_to_string(lab.folder.join("skybru.toml")).unwrap();
    let before = settings();

    refused(&lab, &["import", "demo.kit", "--name", "fresh"], "--thumbprint");
    refused(&lab, &["import", "demo.kit", "--name", "fresh", "--thumbprint", "another"], "do not use it");
    refused(&lab, &["import", "demo.kit", "--thumbprint", &thumbprint, "--client", "demo"], "already");
    refused(&lab, &["import", "demo.kit", "--name", "fresh", "--thumbprint", &thumbprint, "--client", "provider"], "tokens of");

    // One letter of the content changed.
    let (head, rest) = kit.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let forged = format!("{head}.{}A{}.{signature}", &body[..40], &body[41..]);
    std::fs::write(lab.folder.join("forged.kit"), forged).unwrap();
    refused(&lab, &["import", "forged.kit", "--name", "fresh", "--thumbprint", &thumbprint], "signature");

    // Whom nobody gave access is told so, and nothing is written.
    let output = run(&lab, &["import", "demo.kit", "--name", "fresh", "--thumbprint", &thumbprint, "--client", "outsider"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("failed") && stderr(&output).contains("--unchecked"), "{}", stderr(&output));
    let dry = run(&lab, &["import", "demo.kit", "--name", "fresh", "--thumbprint", &thumbprint, "--client", "demo", "--dry-run"]);
    assert!(dry.status.success(), "{}", stderr(&dry));
    assert_eq!(settings(), before);

    let done = run(&lab, &["import", "demo.kit", "--name", "fresh", "--thumbprint", &thumbprint, "--client", "demo"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(settings().starts_with(before.lines().next().unwrap()), "comments stay");
    let listed = lab.skybru(&["ls", "fresh:timetables/"]).output().unwrap();
    assert!(listed.status.success() && !stdout(&listed).is_empty(), "{}", stderr(&listed));
}
