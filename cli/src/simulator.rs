//! `kefu simulator`: the simulated WeChat by itself.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use kefu_shared::lifecycle;
use kefu_simulator::{Simulator, SimulatorConfig};

/// What `kefu simulator` is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A TOML file with the accounts: `listen = "127.0.0.1:8090"`, then for each `[[accounts]]` appid, secret, token,
    /// `encoding_aes_key`, mode, `raw_id` and `callback_url`.
    #[arg(long)]
    config: PathBuf,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let file = arguments.config.display();
    let text = std::fs::read_to_string(&arguments.config).with_context(|| format!("{file} cannot be read"))?;
    let config: SimulatorConfig = toml::from_str(&text).with_context(|| format!("{file} is wrong"))?;
    let shutdown = lifecycle::shutdown_on_signal()?;
    let simulator = Simulator::start(config).await?;
    println!("simulated WeChat on {}: the chat page is at {0}/", simulator.url());
    shutdown.cancelled().await;
    simulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
