//! A stretch of line that lets so many bytes through and then holds the rest back, so that a test can act in the middle of a transfer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A transfer that never comes so far is a failure.
const LONGEST: Duration = Duration::from_mins(2);

/// Seen from the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

#[derive(Default)]
struct Flow {
    up: u64,
    down: u64,
    /// What may pass, and which way.
    limit: Option<(Way, u64)>,
    /// Lines that were opened under another number are cut.
    cuts: u32,
}

impl Flow {
    fn passed(&mut self, way: Way) -> &mut u64 {
        if way == Way::Up { &mut self.up } else { &mut self.down }
    }

    fn is_held(&mut self, way: Way) -> bool {
        self.limit.is_some_and(|(held, most)| held == way && *self.passed(way) >= most)
    }
}

/// Between a client and a server on this machine.
pub(crate) struct Dam {
    pub(crate) port: u16,
    flow: Arc<(Mutex<Flow>, Condvar)>,
}

impl Dam {
    /// Before the server at this port; open.
    pub(crate) fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let flow = Arc::<(Mutex<Flow>, Condvar)>::default();
        let all = flow.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                for (way, from, to) in [(Way::Up, &client, &server), (Way::Down, &server, &client)] {
                    let (from, to, flow) = (from.try_clone().unwrap(), to.try_clone().unwrap(), all.clone());
                    std::thread::spawn(move || pump(way, from, to, &flow));
                }
            }
        });
        Self { port, flow }
    }

    /// Counts anew, and lets so many bytes through.
    pub(crate) fn hold_after(&self, way: Way, bytes: u64) {
        let mut flow = self.flow.0.lock().unwrap();
        *flow = Flow { limit: Some((way, bytes)), cuts: flow.cuts, ..Flow::default() };
    }

    /// Waits until it holds something back.
    pub(crate) fn wait_until_full(&self) {
        let flow = self.flow.0.lock().unwrap();
        let is_filling = |flow: &mut Flow| flow.limit.is_some_and(|(way, _)| !flow.is_held(way));
        let (_flow, waited) = self.flow.1.wait_timeout_while(flow, LONGEST, is_filling).unwrap();
        assert!(!waited.timed_out(), "nothing comes through");
    }

    /// Counts anew and lets everything through.
    pub(crate) fn open(&self) {
        let mut flow = self.flow.0.lock().unwrap();
        *flow = Flow { cuts: flow.cuts, ..Flow::default() };
        self.flow.1.notify_all();
    }

    /// The same, but what is under way goes nowhere: as when the machine behind it is gone.
    pub(crate) fn cut(&self) {
        self.flow.0.lock().unwrap().cuts += 1;
        self.open();
    }

    /// What has passed since.
    pub(crate) fn passed(&self, way: Way) -> u64 {
        *self.flow.0.lock().unwrap().passed(way)
    }
}

fn pump(way: Way, mut from: TcpStream, mut to: TcpStream, flow: &(Mutex<Flow>, Condvar)) {
    let mut chunk = [0; 16 * 1024];
    let cuts = flow.0.lock().unwrap().cuts;
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        let mut now = flow.0.lock().unwrap();
        if now.is_held(way) {
            flow.1.notify_all();
            now = flow.1.wait_while(now, |flow| flow.is_held(way)).unwrap();
        }
        if now.cuts != cuts {
            break;
        }
        *now.passed(way) += length as u64;
        drop(now);
        flow.1.notify_all();
        if to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    let both = flow.0.lock().unwrap().cuts != cuts;
    let _ = to.shutdown(if both { std::net::Shutdown::Both } else { std::net::Shutdown::Write });
}
