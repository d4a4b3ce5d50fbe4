//! `kefu demo` runs ingress, worker and a simulated WeChat in one process.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kefu_ingress::Api;
use kefu_program::Frame;
use kefu_program::backend::Backend;
use kefu_program::config;
use kefu_program::internal::{Internal, Readiness};
use kefu_program::telemetry;
use kefu_runtime::lifecycle;
use kefu_simulator::{Simulator, SimulatorConfig};
use tokio::sync::oneshot;

use crate::serve;

mod accounts;
mod play;

/// The arguments of `kefu demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// End when all scenes are played. The exit status is 0 only if every reply arrived.
    #[arg(long)]
    once: bool,
}

/// The QR code that the demo's rule sends.
const PICTURE: &[u8] = include_bytes!("../assets/service_code.png");

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new()
        .prefix("kefu-demo-")
        .tempdir()
        .context("kefu cannot make a temporary folder; TMPDIR names the place")?;
    let shutdown = lifecycle::shutdown_on_signal()?;
    let simulator = Simulator::start(SimulatorConfig::new(accounts::all())).await?;
    let config = write_config(folder.path(), &simulator.url())?;
    telemetry::start_logs(&config.telemetry)?;
    let backend = Backend::open(&config).await?;
    let (readiness, internal) = (Readiness::default(), Internal::default());
    let frame = Frame { config: Arc::new(config), backend, readiness, internal, shutdown: shutdown.clone() };

    let (listening, address) = oneshot::channel();
    let both = tokio::spawn(serve::both(frame, Api::default(), move |addresses| {
        // The receiver is dropped only when the demo has already failed.
        listening.send(addresses.first().copied()).ok();
    }));
    let Some(address) = address.await.ok().flatten() else {
        both.await??;
        anyhow::bail!("ingress has no address");
    };
    let url = |appid: &str| format!("http://{address}/push/{appid}");
    for account in accounts::all() {
        simulator.set_callback(&account.appid, &url(&account.appid))?;
    }
    println!("kefu {}: ingress, worker and a simulated WeChat in one process", env!("CARGO_PKG_VERSION"));
    println!("the data are in {} until the demo ends\n", folder.path().display());

    let all_arrived = tokio::select! {
        played = play::all(&simulator) => played?,
        () = shutdown.cancelled() => false,
    };
    if !arguments.once && !shutdown.is_cancelled() {
        accounts::print_how_to_push(&simulator.url(), &url);
        shutdown.cancelled().await;
    }
    shutdown.cancel();
    both.await.context("ingress or the worker crashed")??;
    simulator.shutdown().await;
    Ok(if all_arrived { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_config(folder: &Path, api_base: &str) -> anyhow::Result<config::Config> {
    let file = folder.join("kefu.toml");
    std::fs::write(folder.join("service_code.png"), PICTURE)?;
    std::fs::write(&file, accounts::config(api_base))?;
    Ok(config::load_with(&file, [])?)
}

/// How long a reply may take before the demo calls it missing.
const REPLY_WITHIN: Duration = Duration::from_secs(10);
