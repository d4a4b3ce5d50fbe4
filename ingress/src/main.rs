//! The program `kefu-ingress`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use kefu_ingress::{Ingress, Parts};
use kefu_shared::backend::Backend;
use kefu_shared::config::{self, Config};
use kefu_shared::internal::{self, Readiness};
use kefu_shared::{lifecycle, telemetry};

/// Takes WeChat's pushes in: verified, decrypted, claimed, published, answered.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, env = "KEFU_CONFIG", default_value = "kefu.toml")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    lifecycle::prepare_process();
    let config = match config::load(&arguments.config) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(2);
        }
    };
    match run(Arc::new(config)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kefu-ingress: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Arc<Config>) -> anyhow::Result<()> {
    telemetry::start_logs(&config.telemetry)?;
    let metrics = telemetry::start_metrics()?;
    let shutdown = lifecycle::shutdown_on_signal().context("signals cannot be listened for")?;
    let readiness = Readiness::default();
    let backend = Backend::open(&config).await?;
    let publisher = backend.publisher().await?;

    let listen = config.ingress.internal_listen;
    let internal = internal::serve(listen, readiness.clone(), metrics, shutdown.clone())
        .with_context(|| format!("[ingress] internal_listen = \"{listen}\" cannot be bound"))?;
    let internal = tokio::spawn(internal);
    let parts = Parts { config, stores: backend.stores.clone(), publisher, readiness, shutdown };
    let result = Ingress::bind(parts)?.run().await;
    internal.abort();
    Ok(result?)
}
