//! Software that nobody here wrote, asked about the same tokens as the simulators: Ceph's RADOS Gateway as STS, moto, and Azurite.
//!
//! They do not decide as the clouds do, each in its own way. The table of differences, with the reason of each, is kept in
//! `docs/reference/judges.md`; a verdict that changes is a failure, here or there. `SKYBRU_WRITE_JUDGES=1` writes the table anew.

mod access_tokens;
mod azure;
mod azurite;
mod cases;
mod ceph;
mod issuer;
mod judge;
mod moto;
mod private_issuer;
mod table;

use crate::aws::present;
use crate::support::Lab;
use cases::{CASES, Made};
use ceph::Ceph;
use issuer::TestIssuer;
use judge::Judge;
use moto::Moto;
use table::Section;

const HEAD: &str = "The simulator decides as AWS does. Ceph's RADOS Gateway (16.2, of Debian 12) is an STS that others wrote: it verifies \
signature, time, audience and trust policy in its own way. moto (5.2) looks at no token; it judges only that providers and roles can be \
made with our calls.";

#[test]
fn each_judge_says_what_the_table_says() {
    if !ceph::is_here() || !present("moto_server", &["--help"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let issuer = TestIssuer::start(folder.path());
    let lab = Lab::start();
    let ceph = Ceph::start(&issuer.site.ca_file);
    let moto = Moto::start();
    let judges = [Judge::simulator(&lab), Judge::ceph(&ceph), Judge::moto(&moto)];
    for judge in &judges {
        judge.set_up(&issuer);
    }
    let mut section = Section::new("AWS: web identities", HEAD, &["simulator", "Ceph", "moto"]);
    for case in CASES {
        let mut made = Made::good(&issuer);
        (case.change)(&mut made, &issuer);
        issuer.publish(&made);
        section.row(case.name, judges.iter().map(|judge| judge.verdict(&made, &issuer)).collect(), case.why);
    }
    section.check();
}
