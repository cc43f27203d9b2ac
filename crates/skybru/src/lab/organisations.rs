//! The demonstration's cast. The numbers are synthetic: they have a valid check digit and belong to nobody.

/// Runs the issuers.
pub(crate) const OPERATOR: Organisation = Organisation { number: "312605031", name: "Demo Drift AS" };

/// Shares data: organisation A.
pub(crate) const PROVIDER: Organisation = Organisation { number: "314330897", name: "Fjordbuss AS" };

/// Reads the data: organisation B.
pub(crate) const CONSUMER: Organisation = Organisation { number: "310702641", name: "Innsikt Data AS" };

/// Has a client of its own, and no access: organisation C.
pub(crate) const OUTSIDER: Organisation = Organisation { number: "311046349", name: "Annen Part AS" };

/// Somebody in the story.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Organisation {
    pub(crate) number: &'static str,
    pub(crate) name: &'static str,
}

impl Organisation {
    /// `0192:NNNNNNNNN`.
    pub(crate) fn id(self) -> String {
        format!("0192:{}", self.number)
    }
}

/// The provider's prefix.
pub(crate) const PREFIX: &str = "fjordbuss";

/// What is shared.
pub(crate) const SCOPE: &str = "fjordbuss:timetables.read";

/// Another scope of the provider's, open to all: with it the outsider gets a good token that opens nothing.
pub(crate) const OPEN_SCOPE: &str = "fjordbuss:newsletter";

/// The audience that the provider registered at the cloud.
pub(crate) const RESOURCE: &str = "https://skyporten.example.no";

/// The provider's bucket.
pub(crate) const BUCKET: &str = "fjordbuss-data";

/// What is shared of it.
pub(crate) const SHARED_PREFIX: &str = "timetables/";

/// The file that the consumer is after.
pub(crate) const SHARED_FILE: &str = "timetables/line-1.csv";

/// A file beside it that nobody else may read.
pub(crate) const PRIVATE_FILE: &str = "payroll/2026.csv";

/// The role that consumers assume.
pub(crate) const ROLE: &str = "skyporten-timetables";

/// Contents of the two files.
pub(crate) const TIMETABLE: &str = "stop,departure\nBergen,07:10\nVoss,08:35\n";
pub(crate) const PAYROLL: &str = "name,salary\nnot,yours\n";
