//! `kefu rules` shows and tries the rules of a configuration, without a running kefu.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use kefu_program::{ConfigFile, config};

use crate::terminal::printable;

mod listing;
mod try_push;

/// The arguments of `kefu rules`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the rules, or all mistakes in the configuration.
    Check,
    /// Says which rule matches a push, why the rules before it do not match, and what kefu would do. Nothing is sent.
    Try {
        /// The decrypted push, XML or JSON; `-` for standard input.
        #[arg(long, value_name = "FILE")]
        push: PathBuf,
        /// The appid of the account that gets the push; needed when there are several accounts.
        #[arg(long, value_name = "APPID")]
        account: Option<String>,
    },
}

/// The exit status is 0, also for an unreadable push that kefu keeps. The exit status is 2 when the configuration or
/// the command makes no sense, or when ingress refuses the push.
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
        // The reader of the output has closed the pipe and wants no more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        told => told.context("the result cannot be written")?,
    }
    Ok(ExitCode::SUCCESS)
}
