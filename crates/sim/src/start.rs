//! What can go wrong before a simulator answers.

use std::io;

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not to be had.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The state cannot be read or its folder not be made.
    #[error("cannot open the state of the simulated cloud")]
    State(#[source] io::Error),
    /// The cloud's own signing key cannot be used: Entra signs its tokens.
    #[error("the simulated cloud cannot use its signing key")]
    Key(#[source] skybru_protocol::jose::SigningKeyError),
    /// The extra roots are not PEM certificates.
    #[error("the extra trusted roots are not PEM certificates")]
    Roots(#[source] rustls::pki_types::pem::Error),
}
