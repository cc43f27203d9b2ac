//! Software that nobody here wrote, asked about the same tokens as the simulator: Ceph's RADOS Gateway as STS, and moto.
//!
//! They do not decide as AWS does, each in its own way. The table of differences, with the reason of each, is kept in
//! `docs/reference/judges.md`; a verdict that changes is a failure, here or there. `SKYBRU_WRITE_JUDGES=1` writes the table anew.

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
    let mut rows = Vec::new();
    for case in CASES {
        let mut made = Made::good(&issuer);
        (case.change)(&mut made, &issuer);
        issuer.publish(&made);
        let verdicts = judges.each_ref().map(|judge| judge.verdict(&made, &issuer));
        rows.push(table::Row { case, verdicts });
    }
    table::check(&rows);
}
