//! Real databases for tests: started on a free port in a temporary folder, and stopped when dropped.
//!
//! Where a program is missing the test says so loudly and passes; with `REAL_PARTS_REQUIRED=1` it fails.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server process of our own.
pub(crate) struct Service {
    child: Child,
    /// Where it listens.
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    command: Vec<String>,
    probe: fn(u16) -> bool,
}

impl Service {
    fn start(folder: tempfile::TempDir, port: u16, command: Vec<String>, probe: fn(u16) -> bool) -> Self {
        let child = spawn(&command, folder.path());
        let service = Self { child, port, folder, command, probe };
        service.wait();
        service
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !(self.probe)(self.port) {
            assert!(Instant::now() < deadline, "{} did not start: see {}", self.command[0], self.folder.path().display());
            pause();
        }
    }

    /// `kill -9`: nothing is written any more.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it in place, without closing anything: it looks like a network that swallows everything.
    pub(crate) fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Starts it again on the same folder and port.
    pub(crate) fn restart(&mut self) {
        self.kill();
        // A database whose processes are still going away has not let go of its folder yet.
        let _ = std::fs::remove_file(self.folder.path().join("data/postmaster.pid"));
        self.child = spawn(&self.command, self.folder.path());
        self.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(command: &[String], folder: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    Command::new(&command[0])
        .args(&command[1..])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "it is a condition with a deadline")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[expect(clippy::disallowed_methods, reason = "the test's own switch")]
fn missing(what: &str) {
    assert!(std::env::var("REAL_PARTS_REQUIRED").is_err(), "{what} is required, and not there");
    // Straight to the handle: the harness keeps the words of a test that passes to itself.
    let _ = writeln!(std::io::stderr(), "\n!! SKIPPED: {what} is not installed\n");
}

/// PostgreSQL's own programs, of whatever version is installed.
fn postgres_programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    versions.sort();
    versions.pop().filter(|bin| bin.join("initdb").is_file())
}

/// PostgreSQL refuses to run as root: then it runs as the user that its package made.
fn as_postgres(program: &Path) -> Vec<String> {
    let program = program.display().to_string();
    if user("-u", None) == 0 {
        let words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", &program];
        return words.iter().map(ToString::to_string).collect();
    }
    vec![program]
}

fn user(what: &str, name: Option<&str>) -> u32 {
    let output = Command::new("id").arg(what).args(name).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// What a server shows who it is with, PEM.
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// An empty PostgreSQL. Any name may come in without a password.
pub(crate) fn postgres() -> Option<Service> {
    postgres_with(None)
}

/// The same; with a certificate it lets nobody in who does not encrypt.
pub(crate) fn postgres_with(certificate: Option<&Certificate>) -> Option<Service> {
    let Some(bin) = postgres_programs() else {
        missing("PostgreSQL (Debian: postgresql)");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    if user("-u", None) == 0 {
        chown(folder.path(), Some(user("-u", Some("postgres"))), Some(user("-g", Some("postgres")))).unwrap();
    }
    let data = folder.path().join("data").display().to_string();
    let mut initdb = as_postgres(&bin.join("initdb"));
    initdb.extend(["-D", &data, "-A", "trust", "-U", "skybru", "--no-sync", "--locale=C.UTF-8"].map(str::to_owned));
    let output = Command::new(&initdb[0]).args(&initdb[1..]).current_dir("/").output().unwrap();
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    let port = free_port();
    let mut command = as_postgres(&bin.join("postgres"));
    let sockets = folder.path().display().to_string();
    // What is committed survives the death of the process without it; a machine that loses power is not tested.
    command
        .extend(["-D", &data, "-p", &port.to_string(), "-h", "127.0.0.1", "-k", &sockets, "-c", "fsync=off"].map(str::to_owned));
    if let Some(certificate) = certificate {
        let data = folder.path().join("data");
        for (name, text) in [("server.crt", &certificate.chain), ("server.key", &certificate.key)] {
            private(&data.join(name), text);
            if user("-u", None) == 0 {
                chown(data.join(name), Some(user("-u", Some("postgres"))), Some(user("-g", Some("postgres")))).unwrap();
            }
        }
        let rules = data.join("pg_hba.conf");
        let text = std::fs::read_to_string(&rules).unwrap().replace("\nhost ", "\nhostssl ");
        std::fs::write(rules, text).unwrap();
        command.extend(["-c", "ssl=on"].map(str::to_owned));
    }
    Some(Service::start(folder, port, command, |port| {
        let ready = postgres_programs().map(|bin| bin.join("pg_isready")).unwrap_or_default();
        let asked = Command::new(ready).args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status();
        asked.is_ok_and(|status| status.success())
    }))
}

fn private(file: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// An empty Redis or Valkey that loses nothing when it is killed. With `appendfsync everysec` it would: while the disk is busy it does not
/// even write for two seconds.
pub(crate) fn valkey() -> Option<Service> {
    valkey_with(None)
}

/// The same; with a certificate nobody gets in who does not encrypt.
pub(crate) fn valkey_with(certificate: Option<&Certificate>) -> Option<Service> {
    let installed = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    let Some(program) = ["valkey-server", "redis-server"].iter().find(|program| installed(program)) else {
        missing("Valkey or Redis (Debian: redis-server)");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let place = folder.path().display().to_string();
    let command = [
        program,
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--dir",
        &place,
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ];
    let mut command: Vec<String> = command.iter().map(ToString::to_string).collect();
    if let Some(certificate) = certificate {
        let files = [("tls-cert-file", &certificate.chain), ("tls-key-file", &certificate.key)];
        for (name, text) in files {
            private(&folder.path().join(name), text);
            command.extend([format!("--{name}"), folder.path().join(name).display().to_string()]);
        }
        "0".clone_into(&mut command[2]);
        let port = port.to_string();
        command.extend(["--tls-port", &port, "--tls-auth-clients", "no"].map(str::to_owned));
        return Some(Service::start(folder, port.parse().unwrap(), command, |port| {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        }));
    }
    Some(Service::start(folder, port, command, |port| {
        use std::io::{Read as _, Write as _};
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && answer == *b"+PONG"
    }))
}
