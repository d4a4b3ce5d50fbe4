//! `kefu-load`: what `bench/run` measures with. It is no part of kefu and shares no code with kefu.
//!
//! * `push ORDER` prepares signed pushes, prints `ready`, waits for a line and sends them: [`push`].
//! * `api` is an API of WeChat that accepts every reply at once, and counts: [`api`].
//! * `stored ORDER` counts the messages of RabbitMQ's queues: [`stored`].
//!
//! ORDER is JSON, and so is every answer. Every connection has a blocking thread: on few cores that costs the least, and a
//! thread sleeps more precisely than a timer of an event loop.

#![allow(clippy::print_stdout)]

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;

mod api;
mod http;
mod push;
mod stored;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["push", order] => push::run(&read(order)?),
        ["api"] => api::run(),
        ["stored", order] => stored::run(&read(order)?),
        _ => bail!("usage: kefu-load push ORDER | api | stored ORDER"),
    }
}

fn read<T: DeserializeOwned>(order: &str) -> anyhow::Result<T> {
    serde_json::from_str(order).context("the order")
}
