//! Start and stop of a program.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What has been going on on other threads is waited for, at the end of a program, for this long: to write a file takes a
/// moment, and one on a disk that hangs is not written anyhow.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs a program to its end, as `#[tokio::main]` does; but that would wait for calls of a hanging disk without an end.
///
/// # Errors
/// When the system gives no threads.
pub fn block_on<T>(program: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let output = runtime.block_on(program);
    runtime.shutdown_timeout(LAST_WAIT);
    Ok(output)
}

/// To be called first in `main`: sets what holds for the whole process.
///
/// Chooses rustls's provider of cryptography. With two of them compiled in (dependencies decide that), rustls would
/// panic at the first connection instead of choosing. Has panics logged by their place alone. Raises the limit of open files as far as the process may: many
/// systems start with 1,024, for programs of the time before `poll`.
#[expect(clippy::print_stderr, reason = "a panic before the logs begin has no other place")]
pub fn prepare_process() {
    // A panic's text may quote what was being handled. Where it happened is enough to find it.
    std::panic::set_hook(Box::new(|panic| {
        // `print!` panics when whoever read the output has seen enough of it, as `head` has.
        if panic.payload_as_str().is_some_and(|text| text.starts_with("failed printing to stdout")) {
            #[expect(
                clippy::disallowed_methods,
                reason = "the output is gone, and main cannot be returned to from here"
            )]
            std::process::exit(1);
        }
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        match tracing::dispatcher::has_been_set() {
            true => tracing::error!(place, thread, "a part of the program panicked: a fault of kefu, report it"),
            false => eprintln!("kefu panicked at {place}: a fault of kefu, report it"),
        }
    }));
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a provider of cryptography is installed already");
    }
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// How many files and connections this process may have open at once; `None` when there is no limit.
pub fn open_files_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
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
                #[expect(clippy::disallowed_methods, reason = "the operator asked for an end at once")]
                std::process::exit(130);
            }
            tracing::info!(signal = name, "shutting down");
            token.cancel();
        }
    });
    Ok(shutdown)
}
