//! A machine whose clock is off, by faketime: the client goes by the issuer's, and says so.

use std::process::Command;

use crate::aws::present;
use crate::support::{Lab, PROGRAM, stderr, stdout};

#[test]
fn a_clock_that_is_off_costs_a_warning_with_the_rule_and_no_token() {
    if !present("faketime", &["--version"]) {
        return;
    }
    let lab = Lab::start();
    for shift in ["+1 day", "-1 day", "+10 minutes"] {
        let mut command = Command::new("faketime");
        command.args(["-f", &shift.replace(" day", "d").replace(" minutes", "m"), PROGRAM, "credentials", "demo", "--json"]);
        command.current_dir(&lab.folder).env("SKYBRU_CONFIG", lab.get("/demo/config_file"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{shift}: {}", stderr(&output));
        assert!(stdout(&output).contains("\"access_key_id\""), "{shift}");
        assert!(stderr(&output).contains("D-13"), "{shift}: {}", stderr(&output));
    }
}
