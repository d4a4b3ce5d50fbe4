//! `kefu dead` lists, shows, replays and drops dead letters.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::bail;
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Subcommand};
use kefu_program::{ConfigFile, config};
use kefu_queue::dead_letters::{Action, Order, Report, Selection, reasons};
use kefu_runtime::clock::now_ms;

mod backend;
mod show;
mod since;

use crate::terminal;

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
    /// Lists the dead letters, in the order in which they died.
    List {
        #[command(flatten)]
        filters: Filters,
        /// Print one JSON object per line, for other programs.
        #[arg(long)]
        json: bool,
    },
    /// Shows a dead letter, without the user's text and openid.
    Show {
        /// The id of a dead letter, from the list. Copies of one message share an id.
        #[arg(required = true)]
        id: Vec<String>,
        /// Also show the push and the user's openid. An unreadable push is shown by its bytes.
        #[arg(long)]
        with_content: bool,
        /// Print one JSON object per line, for other programs.
        #[arg(long)]
        json: bool,
    },
    /// Puts dead letters into the queue again. kefu sends only the replies that it has not sent yet.
    Replay {
        #[command(flatten)]
        which: Which,
        /// Also replay dead letters that died more than 71 hours ago. Their users may get replies a second time.
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
    #[arg(long, value_name = "WORD", hide_possible_values = true, value_parser = PossibleValuesParser::new(reasons()))]
    reason: Option<String>,
    /// Only dead letters that died since then: 30m, 2h or 1d ago, or 2026-11-22T12:00:00Z.
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, value_parser = |text: &str| since::ms(text, now_ms()))]
    since: Option<u64>,
    /// At most this many dead letters, the oldest first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max: Option<u32>,
}

#[derive(clap::Args)]
#[command(group = ArgGroup::new("which").args(["id", "account", "reason", "since", "all"]).required(true).multiple(true))]
struct Which {
    /// The id of a dead letter, from the list. Copies of one message share an id.
    id: Vec<String>,
    #[command(flatten)]
    filters: Filters,
    /// All dead letters.
    #[arg(long, conflicts_with_all = ["id", "account", "reason", "since"])]
    all: bool,
    /// Change nothing, and only show what the command would do.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = match config::load(&arguments.config.path) {
        Ok(config) => config,
        Err(errors) => return Ok(kefu_program::not_understood(&errors)),
    };
    let order = arguments.command.order();
    let report = backend::carry_out(&config, &order).await?;
    terminal::print(|out| arguments.command.tell(out, &report, &order))?;
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
    fn order(&self) -> Order {
        match self {
            Self::List { filters, .. } => filters.order(&[]),
            Self::Show { id, with_content, .. } => {
                let selection = Selection { ids: id.clone(), ..Selection::default() };
                Order { with_content: *with_content, ..Order::list(selection) }
            }
            Self::Replay { which, forgotten } => Order { forgotten: *forgotten, ..which.order(Action::Replay) },
            Self::Drop { which } => which.order(Action::Drop),
        }
    }

    fn tell(&self, out: &mut impl Write, report: &Report, order: &Order) -> io::Result<()> {
        match self {
            Self::List { json: true, .. } | Self::Show { json: true, .. } => {
                for letter in &report.letters {
                    serde_json::to_writer(&mut *out, letter)?;
                    writeln!(out)?;
                }
            }
            Self::List { .. } => {
                show::table(out, &report.letters, now_ms())?;
                if report.error.is_none() {
                    writeln!(out, "{}", count(report.letters.len()))?;
                }
            }
            Self::Show { .. } => {
                for letter in &report.letters {
                    show::letter(out, letter, now_ms())?;
                }
            }
            Self::Replay { .. } | Self::Drop { .. } => {
                if order.dry_run {
                    show::table(out, &report.letters, now_ms())?;
                }
                let done = if order.action == Action::Replay { "replayed" } else { "dropped" };
                let would = if order.dry_run { "would be " } else { "" };
                writeln!(out, "{} {would}{done}", count(report.letters.len()))?;
                tell_left(out, report)?;
            }
        }
        Ok(())
    }
}

fn tell_left(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let mut whys: Vec<&str> = report.left.iter().map(|left| left.why.as_str()).collect();
    whys.sort_unstable();
    whys.dedup();
    for why in whys {
        let ids: Vec<&str> = report.left.iter().filter(|left| left.why == why).map(|left| left.id.as_str()).collect();
        writeln!(out, "{} left alone ({}): {}", count(ids.len()), terminal::printable(why), terminal::names(&ids))?;
    }
    Ok(())
}

fn count(letters: usize) -> String {
    match letters {
        0 => "no dead letters".to_owned(),
        some => terminal::count(some, "dead letter", "dead letters"),
    }
}

impl Filters {
    fn order(&self, ids: &[String]) -> Order {
        let (account, reason) = (self.account.clone(), self.reason.clone());
        let selection = Selection { ids: ids.to_vec(), account, reason, since_ms: self.since };
        Order { max: self.max.map(|max| max as usize), ..Order::list(selection) }
    }
}

impl Which {
    fn order(&self, action: Action) -> Order {
        Order { action, all: self.all, dry_run: self.dry_run, ..self.filters.order(&self.id) }
    }
}
