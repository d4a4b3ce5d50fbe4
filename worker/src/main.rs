//! The program `kefu-worker`.

use std::process::ExitCode;

use clap::Parser;
use kefu_program::internal::Routes;
use kefu_program::{ConfigFile, Frame};
use kefu_runtime::lifecycle;
use kefu_worker::{Worker, WorkerError};

/// Takes WeChat's pushes off the queue and sends the replies.
#[derive(Parser)]
#[command(name = "kefu-worker", version)]
struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

fn main() -> std::io::Result<ExitCode> {
    lifecycle::block_on(run())
}

async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let internal = |config: &kefu_program::config::Config| config.worker.internal_listen;
    kefu_program::run(
        "kefu-worker",
        &arguments.config.path,
        internal,
        Routes::default(),
        async |frame| -> Result<(), WorkerError> {
            let Frame { config, backend, readiness, shutdown, .. } = frame;
            let worker = Worker::new(config, &backend, &readiness, shutdown)?;
            readiness.complete();
            worker.run().await
        },
    )
    .await
}
