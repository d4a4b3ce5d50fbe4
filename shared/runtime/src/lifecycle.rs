//! Start and stop of a program.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cores;

/// How long the end of a program waits for work on other threads. Writing a file takes a moment, and a file on a hanging
/// disk would not be written anyhow.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs a program to its end, as `#[tokio::main]` does. But `#[tokio::main]` would wait without end for the calls of a
/// hanging disk, and would have a thread for each core: [`cores::half`] of them need about a tenth less CPU for a message.
/// The variable `TOKIO_WORKER_THREADS` sets another number.
///
/// # Errors
/// When the system provides no threads.
pub fn block_on<T>(program: impl Future<Output = T>) -> std::io::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    #[expect(
        clippy::disallowed_methods,
        reason = "the runtime is there before the configuration, and reads this variable"
    )]
    let is_set = std::env::var_os("TOKIO_WORKER_THREADS").is_some();
    if !is_set {
        builder.worker_threads(cores::half());
    }
    let runtime = builder.enable_all().build()?;
    let output = runtime.block_on(program);
    runtime.shutdown_timeout(LAST_WAIT);
    Ok(output)
}

/// Sets the settings of the whole process. Call this function first in `main`.
///
/// Chooses rustls's provider of cryptography: with two providers compiled in (dependencies decide that), rustls would panic
/// at the first connection instead of choosing. Makes the log show a panic by its place alone. Raises the limit of open
/// files as far as the process may: many systems start with 1,024, for programs of the time before `poll`. Does without huge
/// pages, with which the allocator took about 20 MB more for an idle process, and no less CPU.
#[expect(clippy::print_stderr, reason = "a panic before the logs begin has no other place")]
pub fn prepare_process() {
    // A panic's text may quote the data in work. The place of the panic is enough to find the fault.
    std::panic::set_hook(Box::new(|panic| {
        // `print!` panics when the reader of the output has seen enough of it, as `head` has.
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
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay");
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

/// A token that the first SIGTERM or SIGINT cancels. A second signal ends the process at once with status 130, for an
/// operator who cannot wait.
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
