//! Why a simulator cannot start.

use std::net::SocketAddr;

/// Why a simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// All mistakes in the configuration.
    #[error("the simulator's configuration is wrong: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The simulator cannot listen on the address.
    #[error("the simulator cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The simulator cannot build an HTTP client, for example because the system has no certificates at all.
    #[error("the simulator cannot build its HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The system has no further thread, or no further files for its events.
    #[error("the simulator cannot start its thread for pushes: {0}")]
    Thread(#[source] std::io::Error),
}
