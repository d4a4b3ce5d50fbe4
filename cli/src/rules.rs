//! `kefu rules`: the rules of a configuration, looked at and tried without a kefu that runs.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use kefu_program::{ConfigFile, config};

use crate::terminal::printable;

mod listing;
mod try_push;

/// What `kefu rules` is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the rules, or all that is wrong with the configuration.
    Check,
    /// Says which rule a push meets, why those before it do not match, and what would be done. Nothing is sent.
    Try {
        /// The decrypted push, XML or JSON; `-` for standard input.
        #[arg(long, value_name = "FILE")]
        push: PathBuf,
        /// The appid of the account that it comes to; needed when there are several.
        #[arg(long, value_name = "APPID")]
        account: Option<String>,
    },
}

/// Exit status: 0, also for a push that cannot be read and is kept; 2 when the configuration or the command says nothing
/// sensible, or ingress refuses the push.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = match config::load(&arguments.config.path) {
        Ok(config) => config,
        Err(errors) => {
            let status = kefu_program::not_understood(&errors);
            if matches!(arguments.command, Command::Check) {
                errors.notices().iter().for_each(|notice| eprintln!("note: {}", printable(notice)));
            }
            return Ok(status);
        }
    };
    let mut out = io::stdout().lock();
    let told = match &arguments.command {
        Command::Check => listing::write(&mut out, &arguments.config.path, &config),
        Command::Try { push, account } => match try_push::Trial::read(&config, push, account.as_deref()) {
            Ok(trial) => trial.write(&mut out),
            Err(error) => return Ok(kefu_program::not_understood(&format!("kefu: {error:#}"))),
        },
    };
    match told {
        // Whoever reads it has seen enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        told => told.context("the result cannot be written")?,
    }
    Ok(ExitCode::SUCCESS)
}
