//! A wire that can be cut, and that can swallow everything.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Bytes pass.
    Open,
    /// Connections are closed, new ones at once.
    Cut,
    /// Nothing passes, and nobody is told.
    Silent,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: watch::Sender<Wire>,
}

impl Proxy {
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, seen) = watch::channel(Wire::Open);
        tokio::spawn(async move {
            while let Ok((inside, _)) = listener.accept().await {
                if *seen.borrow() == Wire::Cut {
                    continue;
                }
                let seen = seen.clone();
                tokio::spawn(async move {
                    let Ok(outside) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                    let _ = (inside.set_nodelay(true), outside.set_nodelay(true));
                    let ((inside_in, inside_out), (outside_in, outside_out)) = (inside.into_split(), outside.into_split());
                    tokio::select! {
                        () = pump(inside_in, outside_out, seen.clone()) => {}
                        () = pump(outside_in, inside_out, seen) => {}
                    }
                });
            }
        });
        Self { port, state }
    }

    pub(crate) fn set(&self, wire: Wire) {
        self.state.send_replace(wire);
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<Wire>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            changed = state.wait_for(|state| *state == Wire::Cut) => {
                let _ = changed;
                return;
            }
        };
        let Ok(length @ 1..) = read else { return };
        // What was on its way stays on its way.
        match state.wait_for(|state| *state != Wire::Silent).await {
            Ok(state) if *state == Wire::Open => {}
            _ => return,
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
