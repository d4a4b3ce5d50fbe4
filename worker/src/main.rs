//! The program `kefu-worker`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use kefu_shared::backend::Backend;
use kefu_shared::config::{self, Config};
use kefu_shared::internal::{self, Readiness};
use kefu_shared::{lifecycle, telemetry};

/// Takes WeChat's pushes off the queue and sends the replies.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, env = "KEFU_CONFIG", default_value = "kefu.toml", value_name = "FILE")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config = match config::load(&Arguments::parse().config) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(2);
        }
    };
    match run(Arc::new(config)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kefu-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Arc<Config>) -> anyhow::Result<()> {
    lifecycle::prepare_process();
    telemetry::start_logs(&config.telemetry)?;
    let metrics = telemetry::start_metrics()?;
    let shutdown = lifecycle::shutdown_on_signal().context("signals cannot be listened for")?;

    let readiness = Readiness::default();
    let listen = config.worker.internal_listen;
    let server = internal::serve(listen, readiness.clone(), metrics, shutdown.clone())
        .with_context(|| format!("[worker] internal_listen {listen} cannot be used"))?;
    tokio::spawn(server);

    let backend = Backend::open(&config).await?;
    kefu_worker::run(config, &backend, &readiness, shutdown).await?;
    Ok(())
}
