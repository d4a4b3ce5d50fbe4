//! Start and stop of a program.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// To be called first in `main`: sets what holds for the whole process.
///
/// Chooses rustls's provider of cryptography. With two of them compiled in (dependencies decide that), rustls would
/// panic at the first connection instead of choosing.
pub fn prepare_process() {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a provider of cryptography is installed already");
    }
}

/// A token that is cancelled by the first SIGTERM or SIGINT. A second one ends the process at once with status 130, for
/// the operator who cannot wait.
///
/// # Errors
/// When the process cannot listen for signals.
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        for already in [false, true] {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if already {
                tracing::warn!(signal = name, "second signal: leaving at once");
                std::process::exit(130);
            }
            tracing::info!(signal = name, "shutting down");
            token.cancel();
        }
    });
    Ok(shutdown)
}
