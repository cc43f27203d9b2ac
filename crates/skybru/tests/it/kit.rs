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

#[test]
#[expect(clippy::disallowed_methods, reason = "the program under test looks at the real clock")]
fn a_kit_is_imported_until_its_last_day_and_not_after_it() {
    let lab = Lab::start();
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    refused(&lab, &["create", "demo", "--client", "provider", "--expires", "2026-01-01"], "has passed");
    refused(&lab, &["create", "demo", "--client", "provider", "--expires", "soon"], "--expires");
    let last = today.tomorrow().unwrap().to_string();
    let made = run(&lab, &["create", "demo", "--client", "provider", "--expires", &last]);
    let thumbprint = stderr(&made).trim().rsplit(' ').next().unwrap().to_owned();
    std::fs::write(lab.folder.join("demo.kit"), stdout(&made)).unwrap();
    let import = ["kit", "import", "demo.kit", "--name", "fresh", "--thumbprint", &thumbprint, "--client", "demo", "--dry-run"];
    let now = lab.skybru(&import).output().unwrap();
    assert!(now.status.success(), "{}", stderr(&now));
    if !std::process::Command::new("faketime").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return;
    }
    // Three days on, by the clock that the program sees.
    let mut later = std::process::Command::new("faketime");
    later.args(["-f", "+3d"]).arg(crate::support::PROGRAM).args(import).current_dir(&lab.folder);
    later.env("SKYBRU_CONFIG", lab.get("/demo/config_file"));
    let later = later.output().unwrap();
    assert_eq!(later.status.code(), Some(2), "{}", stderr(&later));
    assert!(stderr(&later).contains("the kit expired") && stderr(&later).contains(&last), "{}", stderr(&later));
}

/// The dry run tries the issuer and each cloud that the kit names.
#[test]
fn a_kit_of_each_cloud_is_tried_before_it_is_accepted() {
    let lab = Lab::start();
    for (target, cloud) in [("demo", "AWS"), ("demo-google", "Google Cloud"), ("demo-azure", "Azure")] {
        let made = run(&lab, &["create", target, "--client", "provider"]);
        assert!(made.status.success(), "{}", stderr(&made));
        let thumbprint = stderr(&made).trim().rsplit(' ').next().unwrap().to_owned();
        std::fs::write(lab.folder.join("a.kit"), stdout(&made)).unwrap();
        let import = ["import", "a.kit", "--name", "fresh", "--thumbprint", &thumbprint, "--dry-run", "--client"];
        let good = run(&lab, &[&import[..], &["demo"]].concat());
        assert!(good.status.success(), "{cloud}: {}", stderr(&good));
        assert!(stderr(&good).contains(&format!("ok      {cloud} takes the token")), "{cloud}: {}", stderr(&good));
        // Whom the provider's cloud does not know: the issuer says no first.
        let bad = run(&lab, &[&import[..], &["outsider"]].concat());
        assert_eq!(bad.status.code(), Some(1), "{cloud}: {}", stderr(&bad));
    }
}
