//! A client whose key was made in SoftHSM and never left it.

use std::path::Path;
use std::process::Command;

use crate::aws::present;
use crate::support::{Lab, stderr, stdout};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

#[test]
fn a_key_in_hardware_is_registered_and_gets_tokens() {
    if !present("ls", &[MODULE]) || !present("softhsm2-util", &["--version"]) || !present("sh", &["-c", "command -v pkcs11-tool"])
    {
        return;
    }
    let lab = Lab::start();
    let conf = lab.folder.join("softhsm2.conf");
    std::fs::create_dir(lab.folder.join("tokens")).unwrap();
    std::fs::write(&conf, format!("directories.tokendir = {}\nlog.level = ERROR\n", lab.folder.join("tokens").display()))
        .unwrap();
    hsm(&conf, "softhsm2-util", &["--init-token", "--free", "--label", "lab", "--so-pin", "1234", "--pin", "4711"]);
    let login = ["--module", MODULE, "--token-label", "lab", "--login", "--pin", "4711"];
    let make = ["--keypairgen", "--key-type", "rsa:2048", "--label", "consumer", "--id", "01"];
    hsm(&conf, "pkcs11-tool", &[&login[..], &make].concat());
    std::fs::write(lab.folder.join("pin"), "4711\n").unwrap();

    let uri = format!("pkcs11:token=lab;object=consumer?module-path={MODULE}&pin-source=pin");
    let own = std::fs::read_to_string(lab.get("/demo/config_file")).unwrap();
    let provider = own.split("[clients.provider]").nth(1).unwrap();
    let id = provider.split("client-id = \"").nth(1).unwrap().split('"').next().unwrap();
    let client = format!(
        "[clients.hardware]\nissuer = \"{}\"\nclient-id = \"{id}\"\nca-file = \"{}\"\nkey = {{ pkcs11 = \"{uri}\" }}\n\
         [targets.registry]\nclient = \"hardware\"\nscope = \"idporten:dcr.write\"\n",
        lab.get("/issuers/maskinporten"),
        lab.get("/ca_file")
    );
    let settings = lab.folder.join("hardware.toml");
    std::fs::write(&settings, format!("{own}\n{client}")).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = lab.skybru(arguments);
        command.env("SKYBRU_CONFIG", &settings).env("SOFTHSM2_CONF", &conf);
        command.output().unwrap()
    };
    let early = run(&["token", "registry"]);
    assert!(stderr(&early).contains("does not know this key"), "{}", stderr(&early));
    let added = run(&["registry", "client", "add-key", id, "--of", "hardware"]);
    assert!(added.status.success(), "{}", stderr(&added));
    let token = run(&["token", "registry"]);
    assert!(token.status.success(), "{}", stderr(&token));
    assert_eq!(stdout(&token).trim().split('.').count(), 3);

    std::fs::write(lab.folder.join("pin"), "0000\n").unwrap();
    let wrong = run(&["token", "registry"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
    assert!(!stderr(&wrong).contains("0000"), "{}", stderr(&wrong));
}

fn hsm(conf: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).env("SOFTHSM2_CONF", conf).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", stderr(&output));
}
