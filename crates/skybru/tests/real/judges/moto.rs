//! moto, from PyPI: its STS looks at no token. It judges that our calls of IAM are formed as AWS's.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::free_ports;

/// A server, killed when dropped.
pub(super) struct Moto {
    pub(super) endpoint: String,
    child: Child,
}

impl Moto {
    pub(super) fn start() -> Self {
        let port = free_ports();
        let mut command = Command::new("moto_server");
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let moto = Self { endpoint: format!("http://127.0.0.1:{port}"), child: command.spawn().unwrap() };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "moto does not answer");
            std::thread::yield_now();
        }
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
