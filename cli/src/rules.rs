//! `kefu rules` shows and tries the rules of a configuration, without a running kefu.

use std::io::{self, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use kefu_messages::rules::Rule;
use kefu_program::ConfigFile;
use kefu_program::config::{self, Config};

use crate::terminal::{self, GAP, align, count, printable, widest, width, wrap};

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
    /// Lists the rules, or all mistakes of the configuration.
    Check,
    /// Shows which rule matches a push, why earlier rules do not, and what kefu would do. Sends nothing.
    Try {
        /// A file with the decrypted push, in XML or JSON; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        push: PathBuf,
        /// The appid of the account that gets the push; required if the configuration has several accounts.
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
    match &arguments.command {
        Command::Check => terminal::print(|out| list(out, &arguments.config.path, &config))?,
        Command::Try { push, account } => match try_push::Trial::read(&config, push, account.as_deref()) {
            Ok(trial) => terminal::print(|out| trial.write(out))?,
            Err(error) => return Ok(kefu_program::not_understood(&format!("kefu: {error:#}"))),
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// The least width of the column of conditions.
const LEAST_WHEN: usize = 24;

/// Lists the rules, with the notices about them.
fn list(out: &mut impl Write, file: &Path, config: &Config) -> io::Result<()> {
    let rules = config.rules.current();
    let accounts = count(config.accounts.iter().count(), "account", "accounts");
    writeln!(out, "{} is good: {accounts}, {}", file.display(), count(rules.iter().len(), "rule", "rules"))?;
    for notice in &config.notices {
        writeln!(out, "note: {}", printable(notice))?;
    }
    if rules.iter().len() == 0 {
        return writeln!(out, "ingress acknowledges every push, and the worker sends nothing");
    }
    let cells = |(index, rule): (usize, &Rule)| {
        [(index + 1).to_string(), printable(&rule.when()), printable(&rule.action().in_words())]
    };
    let mut rules_in_words = vec![["RULE", "WHEN", "ACTION"].map(str::to_owned)];
    rules_in_words.extend(rules.iter().enumerate().map(cells));
    let taken = widest(&rules_in_words, 0) + widest(&rules_in_words, 2) + 2 * GAP.len();
    let room = width().map_or(usize::MAX, |width| width.saturating_sub(taken).max(LEAST_WHEN));
    let mut rows = Vec::new();
    for [mut number, when, mut action] in rules_in_words {
        for line in wrap(&when, room) {
            rows.push([mem::take(&mut number), line, mem::take(&mut action)]);
        }
    }
    align(&rows, &[0]).iter().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}
