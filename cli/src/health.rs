//! `kefu health`: one question to an internal server.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

/// What `kefu health` is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to ask, for example `http://127.0.0.1:9080/readyz`.
    url: String,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).build()?;
    let response = client.get(&arguments.url).send().await.context("no answer")?;
    let status = response.status();
    println!("{}", response.text().await?);
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
