//! Settings of whom an issuer trusts: each mistake is named by its key, before anything is served.

use crate::support::{program, stderr};

const SETTINGS: &str = "[server]\ndata = \"data\"\noperator = \"312605031\"\napi-listen = \"127.0.0.1:0\"\n\n[issuers.apis]\n\
    url = \"https://maskinporten.example.no/\"\nprofile = \"maskinporten\"\nlisten = \"127.0.0.1:0\"\n";

#[test]
fn each_mistake_in_the_settings_of_trust_is_named_by_its_key() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "no certificate\n").unwrap();
    std::fs::write(folder.path().join("broken.pem"), "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").unwrap();
    let compat = "[issuers.apis.compat]\n";
    let certificates = "[issuers.apis.certificates]\n";
    for (section, line, text) in [
        (
            compat,
            "multi-scope = \"maybe\"",
            "setting issuers.apis.compat.multi-scope: expected join, reject or first, found \"maybe\"",
        ),
        (compat, "pid = \"none\"", "setting issuers.apis.compat.pid: expected both or from-2032, found \"none\""),
        (
            compat,
            "orgno-checksum = \"format\"",
            "setting issuers.apis.compat.orgno-checksum: only strict is possible, found \"format\"",
        ),
        (compat, "forbidden-as = 401", "setting issuers.apis.compat.forbidden-as: expected 403 or 400, found 401"),
        (compat, "colour = \"blue\"", "colour"),
        (certificates, "anchors = []", "setting issuers.apis.certificates.anchors: expected at least one PEM file"),
        (certificates, "anchors = [\"missing.pem\"]", "setting issuers.apis.certificates.anchors: cannot read certificates from"),
        (certificates, "anchors = [\"empty.pem\"]", "holds no certificate (expected PEM)"),
        (certificates, "anchors = [\"broken.pem\"]", "anchor 1 is no certificate"),
        (
            certificates,
            "anchors = [\"broken.pem\"]\nrevocation = \"maybe\"",
            "expected required, if-available or off, found \"maybe\"",
        ),
        (
            certificates,
            "anchors = [\"broken.pem\"]\nclient-amr = { \"broken.pem\" = \"seal\" }",
            "expected virksomhetssertifikat, CForESeal or QCForESeal, found \"seal\"",
        ),
    ] {
        std::fs::write(folder.path().join("skybru.toml"), format!("{SETTINGS}\n{section}{line}\n")).unwrap();
        let output = program(folder.path(), &["issuer", "serve"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {}", stderr(&output));
        assert!(stderr(&output).contains(text), "{line}: {}", stderr(&output));
    }
}
