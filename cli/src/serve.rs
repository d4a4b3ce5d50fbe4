//! `kefu serve`: ingress and worker in one process.

use std::path::PathBuf;
use std::process::ExitCode;

use kefu_shared::program;

use crate::pair;

/// What `kefu serve` is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "KEFU_CONFIG", default_value = "kefu.toml")]
    config: PathBuf,
}

pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    let internal = |config: &kefu_shared::config::Config| config.ingress.internal_listen;
    program::run("kefu serve", &arguments.config, internal, |frame| pair::run(frame, |_| {})).await
}
