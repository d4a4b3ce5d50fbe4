//! `kefu dead` lists, shows, replays and drops dead letters.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use kefu_program::{ConfigFile, config};
use kefu_queue::dead_letters::{Action, Order, Report, Selection, reasons};
use kefu_runtime::clock::now_ms;

mod backend;
mod letter;
mod since;
mod table;

use crate::terminal;
use since::Since;

/// The arguments of `kefu dead`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the dead letters. The letter that died first comes first.
    List {
        #[command(flatten)]
        filters: Filters,
        /// Print one JSON object a line, for other programs.
        #[arg(long)]
        json: bool,
    },
    /// Shows all that is known of a dead letter, except what the user wrote and who the user is.
    Show {
        /// The id of a dead letter, from the list. Copies of one message share an id.
        #[arg(required = true)]
        id: Vec<String>,
        /// Show the push and the user's openid, too. For an unreadable push, show its bytes, also as Base64.
        #[arg(long)]
        with_content: bool,
        /// Print one JSON object a line, for other programs.
        #[arg(long)]
        json: bool,
    },
    /// Puts dead letters into the queue again. Replies that were sent are not sent again.
    Replay {
        #[command(flatten)]
        which: Which,
        /// Also replay dead letters that died more than 71 hours ago: if some of their replies were sent, kefu sends
        /// them again.
        #[arg(long)]
        forgotten: bool,
    },
    /// Deletes dead letters for good.
    Drop {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(clap::Args)]
struct Filters {
    /// Only dead letters of the account with this appid.
    #[arg(long, value_name = "APPID")]
    account: Option<String>,
    /// Only dead letters with this reason, for example `window_closed`.
    #[arg(long, value_name = "WORD", value_parser = reason)]
    reason: Option<String>,
    /// Only dead letters that died since then: 2h, 30m, 1d ago, or a time like 2026-11-22T12:00:00Z.
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    since: Option<Since>,
    /// At most so many dead letters: the letters that died first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max: Option<u32>,
}

#[derive(clap::Args)]
struct Which {
    /// The id of a dead letter, from the list. Copies of one message share an id.
    id: Vec<String>,
    #[command(flatten)]
    filters: Filters,
    /// All dead letters.
    #[arg(long, conflicts_with_all = ["id", "account", "reason", "since"])]
    all: bool,
    /// Change nothing, and show what would be done.
    #[arg(long)]
    dry_run: bool,
}

fn reason(word: &str) -> Result<String, String> {
    match reasons().find(|reason| *reason == word) {
        Some(reason) => Ok(reason.to_owned()),
        None => Err(format!("the reasons are {}", reasons().collect::<Vec<_>>().join(", "))),
    }
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let order = match arguments.command.order(now_ms()) {
        Ok(order) => order,
        Err(error) => return Ok(kefu_program::not_understood(&format!("kefu: {error:#}"))),
    };
    let config = match config::load(&arguments.config.path) {
        Ok(config) => config,
        Err(errors) => return Ok(kefu_program::not_understood(&errors)),
    };
    let report = backend::carry_out(&config, &order).await?;
    let told = arguments.command.tell(&report, &order);
    match told {
        // The reader of the list has closed the pipe and wants no more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        told => told.context("the result cannot be written")?,
    }
    let missing = report.missing(&order);
    for id in &missing {
        eprintln!("kefu: no dead letter has the id {}", terminal::printable(id));
    }
    if let Some(error) = &report.error {
        bail!("{}", terminal::printable(error));
    }
    Ok(if missing.is_empty() && report.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Command {
    fn order(&self, now_ms: u64) -> anyhow::Result<Order> {
        Ok(match self {
            Self::List { filters, .. } => filters.order(&[], now_ms)?,
            Self::Show { id, with_content, .. } => {
                let selection = Selection { ids: id.clone(), ..Selection::default() };
                Order { with_content: *with_content, ..Order::list(selection) }
            }
            Self::Replay { which, forgotten } => {
                Order { forgotten: *forgotten, ..which.order(Action::Replay, now_ms)? }
            }
            Self::Drop { which } => which.order(Action::Drop, now_ms)?,
        })
    }

    fn tell(&self, report: &Report, order: &Order) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self {
            Self::List { json: true, .. } | Self::Show { json: true, .. } => {
                for letter in &report.letters {
                    serde_json::to_writer(&mut out, letter)?;
                    writeln!(out)?;
                }
            }
            Self::List { .. } => {
                table::write(&mut out, &report.letters, now_ms())?;
                if report.error.is_none() {
                    writeln!(out, "{}", count(report.letters.len()))?;
                }
            }
            Self::Show { .. } => {
                for letter in &report.letters {
                    letter::write(&mut out, letter, now_ms())?;
                }
            }
            Self::Replay { .. } | Self::Drop { .. } => {
                if order.dry_run {
                    table::write(&mut out, &report.letters, now_ms())?;
                }
                let done = if order.action == Action::Replay { "replayed" } else { "dropped" };
                let would = if order.dry_run { "would be " } else { "" };
                writeln!(out, "{} {would}{done}", count(report.letters.len()))?;
                tell_left(&mut out, report)?;
            }
        }
        out.flush()
    }
}

/// How many ids the command names, at most, among the dead letters that it left alone for the same reason.
const MAX_NAMED: usize = 5;

fn tell_left(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let mut whys: Vec<&str> = report.left.iter().map(|left| left.why.as_str()).collect();
    whys.sort_unstable();
    whys.dedup();
    for why in whys {
        let ids: Vec<&str> = report.left.iter().filter(|left| left.why == why).map(|left| left.id.as_str()).collect();
        let more = if ids.len() > MAX_NAMED { ", …" } else { "" };
        let named = ids[..ids.len().min(MAX_NAMED)].join(", ");
        writeln!(out, "{} left where it was, {}: {named}{more}", count(ids.len()), terminal::printable(why))?;
    }
    Ok(())
}

fn count(letters: usize) -> String {
    match letters {
        0 => "no dead letters".to_owned(),
        1 => "1 dead letter".to_owned(),
        many => format!("{many} dead letters"),
    }
}

impl Filters {
    fn order(&self, ids: &[String], now_ms: u64) -> anyhow::Result<Order> {
        let selection = Selection {
            ids: ids.to_vec(),
            account: self.account.clone(),
            reason: self.reason.clone(),
            since_ms: self.since.map(|since| since.ms(now_ms)),
        };
        let max = self.max.map(usize::try_from).transpose()?;
        Ok(Order { max, ..Order::list(selection) })
    }
}

impl Which {
    fn order(&self, action: Action, now_ms: u64) -> anyhow::Result<Order> {
        let order = Order { action, all: self.all, dry_run: self.dry_run, ..self.filters.order(&self.id, now_ms)? };
        if order.names_none() {
            bail!("which ones? give ids, or --account, --reason or --since, or --all");
        }
        Ok(order)
    }
}
