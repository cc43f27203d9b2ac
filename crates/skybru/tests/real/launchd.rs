//! The example for launchd, read by Python's reader of property lists.

use std::process::Command;

use crate::aws::present;
use crate::support::{PROGRAM, stderr, stdout};

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/no.skybru.agent.plist");

#[test]
fn launchds_list_is_a_property_list_with_the_agents_arguments() {
    if !present("python3", &["-c", "import plistlib"]) {
        return;
    }
    let script = "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let output = Command::new("python3").args(["-c", script, LIST]).output().unwrap();
    let list: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let arguments: Vec<&str> = list["ProgramArguments"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!((list["Label"].as_str(), arguments[1]), (Some("no.skybru.agent"), "agent"));
    assert_eq!(list["Umask"], 0o077, "what it writes is for its user alone");
    // The arguments are good: only the file that they would write to is missing here.
    let help = Command::new(PROGRAM).args(&arguments[1..]).arg("--help").output().unwrap();
    assert!(help.status.success(), "{}", stderr(&help));
}
