//! The running simulator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::SimulatorConfig;
use crate::faults::FaultRequest;
use crate::journal::{Entry, Filter};
use crate::report::{LoadReport, LoadRequest, PushReport, PushRequest, VerifyReport};

/// A running simulator. Dropped, it stops at once; [`Simulator::shutdown`] waits for its end.
pub struct Simulator {}

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What is wrong with the configuration, all of it.
    #[error("the simulator's configuration is wrong: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The address cannot be had.
    #[error("the simulator cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// No HTTP client.
    #[error("the simulator cannot make an HTTP client: {0}")]
    Client(reqwest::Error),
}

/// Why the simulator refuses to do what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No such account.
    #[error("there is no account {0}: name the appid of one of the simulator's accounts")]
    UnknownAccount(String),
    /// The account has no callback URL.
    #[error("account {0} has no callback URL: set one in the configuration or with POST /simulator/callback")]
    NoCallback(String),
    /// A value that cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl Simulator {
    /// Starts listening. Must be called within a tokio runtime, on which the pushes run.
    ///
    /// # Errors
    /// If the configuration is wrong or the address cannot be had.
    pub async fn start(_config: SimulatorConfig) -> Result<Self, StartError> {
        todo!()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        todo!()
    }

    /// `http://127.0.0.1:PORT`: the base URL of the API, without a slash at the end.
    pub fn url(&self) -> String {
        todo!()
    }

    /// Sets where an account's pushes go.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn set_callback(&self, _account: &str, _url: &str) -> Result<(), RequestError> {
        todo!()
    }

    /// Pushes and waits for the answer to the last try of the last copy.
    ///
    /// # Errors
    /// If the request is none that can be sent; a push that fails is no error.
    pub async fn push(&self, _request: PushRequest) -> Result<PushReport, RequestError> {
        todo!()
    }

    /// Does WeChat's URL verification.
    ///
    /// # Errors
    /// If there is no such account or it has no callback URL.
    pub async fn verify(&self, _account: &str) -> Result<VerifyReport, RequestError> {
        todo!()
    }

    /// Pushes at a rate.
    ///
    /// # Errors
    /// If the request is none that can be met.
    pub async fn load(&self, _request: LoadRequest) -> Result<LoadReport, RequestError> {
        todo!()
    }

    /// Orders a fault; gives its number.
    ///
    /// # Errors
    /// If the request is none that can be met.
    pub fn fault(&self, _request: FaultRequest) -> Result<u64, RequestError> {
        todo!()
    }

    /// The journal's entries that match.
    pub fn journal(&self, _filter: &Filter) -> Vec<Arc<Entry>> {
        todo!()
    }

    /// Waits until `count` entries match, at most for `timeout`; gives those that do.
    pub async fn journal_wait(&self, _filter: &Filter, _count: usize, _timeout: Duration) -> Vec<Arc<Entry>> {
        todo!()
    }

    /// Stops listening and waits for the end.
    pub async fn shutdown(self) {
        todo!()
    }
}
