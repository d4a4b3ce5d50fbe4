//! The frame of a long-running program: configuration, backend, logs, metrics, internal server, signals, exit status.
//!
//! * [`run`]: the frame; [`config`]: kefu.toml and its environment, with all mistakes at once; [`reload`]: reads rules
//!   again.
//! * [`backend`]: the queue and the store that a configuration names.
//! * [`internal`]: the port for operators; [`telemetry`]: logs and metrics.

mod allocator;
pub mod backend;
pub mod config;
mod frame;
pub mod internal;
pub mod reload;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use frame::{ConfigFile, Frame, not_understood, run};
