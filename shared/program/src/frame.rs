//! The frame of a long-running program: configuration, logs, metrics, internal server, signals, exit status.

use std::error::Error;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use kefu_runtime::{Cause, in_words, lifecycle};
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::config::{self, Config};
use crate::internal::{self, Internal, Readiness, Routes};
use crate::{reload, telemetry};

/// `--config FILE`, for the arguments of programs and commands that read a configuration.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigFile {
    /// The configuration file.
    #[arg(long = "config", value_name = "FILE", env = "KEFU_CONFIG", default_value = "kefu.toml", global = true)]
    pub path: PathBuf,
}

/// The frame's services for the program's own part.
pub struct Frame {
    /// The configuration.
    pub config: Arc<Config>,
    /// The queue and the store that the configuration names.
    pub backend: Backend,
    /// The checks of `/readyz`, which the program adds to.
    pub readiness: Readiness,
    /// The internal server.
    pub internal: Internal,
    /// Cancelled by SIGTERM or SIGINT: finish what is under way and return.
    pub shutdown: CancellationToken,
}

/// Runs `run` in its frame, with the internal server on the address that `internal_listen` picks, and with the program's
/// own `routes`.
///
/// Exit status: 0 after a shutdown, 1 after a failure, 2 for a wrong configuration; the reasons go to standard error.
#[expect(clippy::print_stderr, reason = "the reason for the exit status is for whoever started the program")]
pub async fn run<E: Into<Box<dyn Error>>>(
    name: &str,
    file: &Path,
    internal_listen: impl FnOnce(&Config) -> SocketAddr,
    routes: Routes,
    run: impl AsyncFnOnce(Frame) -> Result<(), E>,
) -> ExitCode {
    // From here on SIGHUP ends no program.
    let hangups = reload::hangups();
    lifecycle::prepare_process();
    let config = match config::load(file) {
        Ok(config) => Arc::new(config),
        Err(errors) => return not_understood(&errors),
    };
    let listen = internal_listen(&config);
    let ended = async {
        let frame = start(file, config, listen, routes, hangups).await?;
        let backend = frame.backend.clone();
        let ended = run(frame).await.map_err(Into::into);
        backend.end().await;
        ended
    };
    match ended.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {}", in_words(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The exit status of all programs for a wrong configuration or command. Prints the reason on standard error.
#[expect(clippy::print_stderr, reason = "no log has begun yet")]
pub fn not_understood(why: &impl Display) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}

async fn start(
    file: &Path,
    config: Arc<Config>,
    listen: SocketAddr,
    routes: Routes,
    hangups: std::io::Result<Signal>,
) -> Result<Frame, Box<dyn Error>> {
    telemetry::start_logs(&config.telemetry)?;
    let metrics = telemetry::start_metrics()?;
    let uncaught = |error: std::io::Error| Cause::from(error).at("the process cannot catch signals");
    let shutdown = lifecycle::shutdown_on_signal().map_err(uncaught)?;
    reload::start(file, &config, hangups.map_err(uncaught)?);
    let readiness = Readiness::default();
    let (server, internal) = internal::serve(listen, readiness.clone(), metrics, shutdown.clone(), routes)
        .map_err(|error| Cause::from(error).at(format_args!("internal_listen = \"{listen}\" cannot be bound")))?;
    // The server answers until the process ends: an operator can watch a shutdown to its end.
    tokio::spawn(server);
    let backend = Backend::open(&config).await?;
    Ok(Frame { config, backend, readiness, internal, shutdown })
}
