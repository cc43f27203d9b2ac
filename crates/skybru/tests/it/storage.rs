//! `ls`, `sync`, `cat` and `cp` at all three simulated clouds, as the consumer, beside keys that somebody else made and that no file can have.

use serde_json::Value;

use crate::support::aws::Aws;
use crate::support::{Lab, stderr, stdout};

const BUCKET: &str = "fjordbuss-data";
const TIMETABLE: &str = "stop,departure\nBergen,07:10\nVoss,08:35\n";

/// The owner puts `timetables/x//y.csv` into each cloud.
fn put_a_strange_key(lab: &Lab) {
    let (status, body) = Aws::of(lab).s3(None, "PUT", &format!("/{BUCKET}/timetables/x//y.csv"), "strange");
    assert_eq!(status, 200, "{body}");
    let (http, runtime) = (lab.http(), tokio::runtime::Runtime::new().unwrap());
    let google = format!(
        "{}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=timetables%2Fx%2F%2Fy.csv",
        lab.get("/clouds/google/endpoint")
    );
    let google = http.post(google).bearer_auth(lab.get("/clouds/google/access_token")).body("strange");
    let blob = format!("{}{}/{BUCKET}/timetables/x//y.csv", lab.get("/clouds/azure/blob"), lab.get("/clouds/azure/account"));
    let azure = http.put(blob).bearer_auth(lab.get("/clouds/azure/access_token")).body("strange");
    let azure = azure.header("x-ms-blob-type", "BlockBlob").header("x-ms-version", "2023-11-03");
    for request in [google, azure] {
        let answer = runtime.block_on(async { request.send().await }).unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

#[test]
fn one_strange_key_is_told_and_hides_nothing_at_any_cloud() {
    let lab = Lab::start();
    put_a_strange_key(&lab);
    for target in ["demo", "demo-google", "demo-azure"] {
        let run = |arguments: &[&str]| lab.skybru(arguments).output().unwrap();
        let place = format!("{target}:timetables/");

        let listed = run(&["ls", "-r", "--json", &place]);
        assert_eq!(listed.status.code(), Some(1), "{target}: {}", stderr(&listed));
        let keys: Vec<Value> = stdout(&listed).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(keys.len(), 1, "{target}: {keys:?}");
        assert_eq!((&keys[0]["key"], &keys[0]["size"]), (&"timetables/line-1.csv".into(), &TIMETABLE.len().into()), "{target}");
        assert!(
            stderr(&listed).contains("timetables/x//y.csv") && stderr(&listed).contains("passed over 1"),
            "{}",
            stderr(&listed)
        );

        let folder = lab.folder.join(target);
        let to = folder.display().to_string();
        let dry = run(&["sync", "--dry-run", &place, &to]);
        assert_eq!((dry.status.code(), folder.exists()), (Some(1), false), "{target}: {}", stderr(&dry));
        let synced = run(&["sync", &place, &to]);
        assert_eq!(synced.status.code(), Some(1), "{target}: {}", stderr(&synced));
        assert_eq!(std::fs::read_to_string(folder.join("line-1.csv")).unwrap(), TIMETABLE, "{target}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "{target}: whole files and nothing else");
        let again = run(&["sync", &place, &to]);
        assert!(stderr(&again).contains("1 unchanged"), "{target}: {}", stderr(&again));

        let shown = run(&["cat", &format!("{place}line-1.csv")]);
        assert_eq!((shown.status.code(), stdout(&shown).as_str()), (Some(0), TIMETABLE), "{target}: {}", stderr(&shown));
        let (one, none) = (format!("{place}line-1.csv"), format!("{place}line-2.csv"));
        let copied = run(&["cp", &one, &format!("{to}/copy.csv")]);
        assert!(copied.status.success(), "{target}: {}", stderr(&copied));
        let missing = run(&["cp", &none, &format!("{to}/none.csv")]);
        assert_eq!((missing.status.code(), folder.join("none.csv").exists()), (Some(1), false), "{target}: {}", stderr(&missing));
        // The demonstration may read and nothing more.
        let written = run(&["cp", &format!("{to}/copy.csv"), &none]);
        assert_eq!(written.status.code(), Some(1), "{target}: {}", stderr(&written));
        assert!(stderr(&written).contains("hint: "), "{target}: {}", stderr(&written));
    }
}
