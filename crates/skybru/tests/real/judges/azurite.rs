//! Azurite, from npm: Microsoft's own emulator of Blob, with OAuth. It reads the shape of an access token, not its signature.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};

use crate::support::free_ports;

/// A server, killed when dropped.
pub(super) struct Azurite {
    pub(super) endpoint: String,
    /// Its own certificate, to be trusted.
    pub(super) certificate_pem: String,
    child: Child,
}

/// Blob alone: its other services have no use here.
pub(super) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/node/node_modules/azurite/dist/src/blob/main.js")
}

impl Azurite {
    /// Bearer tokens are taken over https only.
    pub(super) fn start(folder: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let (certificate_file, key_file) = (folder.join("azurite.pem"), folder.join("azurite.key"));
        std::fs::write(&certificate_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let port = free_ports();
        let mut command = Command::new("node");
        command.arg(script()).args(["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent"]);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--oauth", "basic"]);
        command.arg("--cert").arg(certificate_file).arg("--key").arg(key_file);
        command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        let azurite = Self {
            endpoint: format!("https://localhost:{port}"),
            certificate_pem: certificate.pem(),
            child: command.spawn().unwrap(),
        };
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "Azurite does not answer");
            std::thread::yield_now();
        }
        azurite
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
