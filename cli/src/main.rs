//! The command `kefu`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to whoever typed it")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kefu_runtime::{in_words, lifecycle};

mod dead;
mod demo;
mod doctor;
mod push;
mod rules;
mod serve;
mod simulator;
mod terminal;

/// Customer service for WeChat mini programs: loses no message, answers none twice, keeps each user's order.
#[derive(Parser)]
#[command(name = "kefu", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows kefu at work in one process, with a simulated WeChat on this machine.
    Demo(demo::Arguments),
    /// Runs ingress and worker in one process. With an embedded database, kefu needs no servers.
    Serve(serve::Arguments),
    /// Lists, shows, replays and drops dead letters: messages that kefu does not try again by itself.
    Dead(dead::Arguments),
    /// Shows the rules of a configuration, and what kefu would do with a push.
    Rules(rules::Arguments),
    /// Checks whether everything that kefu needs is available and configured correctly. Changes nothing.
    Doctor(doctor::Arguments),
    /// Signs, encrypts and sends one push to a callback URL, as WeChat would.
    Push(Box<push::Arguments>),
    /// Runs the simulated WeChat by itself.
    Simulator(simulator::Arguments),
}

fn main() -> std::io::Result<ExitCode> {
    lifecycle::prepare_process();
    lifecycle::block_on(run())
}

async fn run() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => return serve::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Dead(arguments) => dead::run(arguments).await,
        Command::Rules(arguments) => rules::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments).await,
        Command::Push(arguments) => push::run(*arguments).await,
        Command::Simulator(arguments) => simulator::run(arguments).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("kefu: {}", in_words(error.as_ref()));
        ExitCode::FAILURE
    })
}
