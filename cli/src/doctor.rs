//! `kefu doctor`: whether all that kefu needs is there and set as it must be. It writes nothing, locks nothing, and gives
//! secrets to those alone who get them from kefu; what it asks for is in docs/operations.md.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use kefu_shared::config::{self, BackendUrls, Config};
use kefu_shared::program::ConfigFile;
use reqwest::Url;
use tokio::time::timeout;

mod accounts;
mod callback;
mod clock;
mod finding;
mod folder;
mod rabbitmq;
mod redis;
mod wechat;

use finding::{Finding, Status};

/// What `kefu doctor` is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Asks this callback URL as WeChat does when it is saved in the console; may be given more than once.
    #[arg(long, value_name = "URL", value_parser = crate::push::callback_url)]
    callback_url: Vec<Url>,
    /// RabbitMQ's management page, without user and password: it is asked for the plugins, with those of the queue.
    #[arg(long, value_name = "URL", value_parser = crate::push::callback_url)]
    management_url: Option<Url>,
    /// One JSON object, for other programs.
    #[arg(long)]
    json: bool,
}

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Exit status: 0, and 1 when something failed; warnings are none.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let findings = examine(&arguments).await;
    let is_well = findings.iter().all(|finding| finding.status != Status::Failed);
    let mut out = io::stdout().lock();
    let told = match arguments.json {
        true => finding::write_json(&mut out, is_well, &findings),
        false => finding::write(&mut out, &findings),
    };
    match told.and_then(|()| out.flush()) {
        // Whoever reads it has seen enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        told => told.context("the result cannot be written")?,
    }
    // Not by returning: the end of the runtime would wait for a disk that hangs.
    std::process::exit(i32::from(!is_well))
}

async fn examine(arguments: &Arguments) -> Vec<Finding> {
    let file = arguments.config.path.clone();
    let loaded = match timeout(PATIENCE, tokio::task::spawn_blocking(move || config::load(&file))).await {
        Ok(Ok(loaded)) => loaded,
        _ => return vec![Finding::failed("configuration", "it cannot be read within 5 s", "look at the disk")],
    };
    let config = match loaded {
        Ok(config) => config,
        Err(errors) => {
            let file = arguments.config.path.display();
            let mend = "mend all of these; the other checks need a configuration that can be read";
            let failed = |problem: &String| Finding::failed("configuration", format!("{file}: {problem}"), mend);
            return errors.problems().iter().map(failed).collect();
        }
    };
    let mut findings = accounts::look(&arguments.config.path, &config);
    let management = arguments.management_url.as_ref();
    let (servers, folders, wechat, callbacks) = tokio::join!(
        servers(&config, management),
        folder::look(&config),
        wechat::look(&config),
        callback::look(&config, &arguments.callback_url),
    );
    findings.extend(servers);
    findings.extend(folders);
    findings.extend(wechat);
    findings.extend(callbacks);
    findings
}

async fn servers(config: &Config, management: Option<&Url>) -> Vec<Finding> {
    let BackendUrls::Servers { queue, store } = &config.backend else { return Vec::new() };
    let (mut found, rabbitmq) =
        tokio::join!(redis::look(store), rabbitmq::look(queue, config.queue.partitions, management));
    found.extend(rabbitmq);
    found
}

/// The findings, or one that says that there was no answer in time.
async fn in_time(check: &str, mend: &str, look: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    let late = || vec![Finding::failed(check, format!("no answer within {} s", PATIENCE.as_secs()), mend)];
    timeout(PATIENCE, look).await.unwrap_or_else(|_| late())
}
