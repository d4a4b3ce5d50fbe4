//! `kefu simulator` runs the simulated WeChat by itself.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use kefu_runtime::lifecycle;
use kefu_simulator::{Simulator, SimulatorConfig};

/// The arguments of `kefu simulator`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A TOML file with the address to listen on and the mini programs that the simulator knows.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

const EXAMPLE: &str = r#"Example of FILE:
  listen = "127.0.0.1:8090"             # default: a free port, which the command prints
  [[accounts]]                          # one for each mini program
  appid = "wxde00000000000001"
  secret = "any"
  token = "any"
  mode = "safe"                         # plain, compat or safe
  encoding_aes_key = "x4w6tjxORFqfHwnjHySjEfofsbNVi3GzSRUENcZNjo0"
  raw_id = "gh_de0000000001"
  callback_url = "http://127.0.0.1:8080/push/wxde00000000000001"

Give kefu the same accounts, and [wechat] api_base = "http://127.0.0.1:8090"."#;

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let file = arguments.config.display();
    let text = std::fs::read_to_string(&arguments.config).with_context(|| format!("{file} cannot be read"))?;
    let config: SimulatorConfig = toml::from_str(&text).with_context(|| format!("{file} has a mistake"))?;
    let shutdown = lifecycle::shutdown_on_signal()?;
    let simulator = Simulator::start(config).await?;
    println!("simulated WeChat on {}, with a chat page at {0}/", simulator.url());
    shutdown.cancelled().await;
    simulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
