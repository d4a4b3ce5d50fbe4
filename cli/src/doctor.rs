//! `kefu doctor` checks whether everything that kefu needs is available and configured correctly. The doctor writes
//! nothing, locks nothing, and gives a secret only to a service that gets the secret from kefu anyway.
//! docs/operations.md lists the doctor's requests.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use kefu_program::ConfigFile;
use kefu_program::config::{self, BackendUrls, Config};
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

/// The arguments of `kefu doctor`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Ask this callback URL as WeChat does when it is saved in the console. May be given more than once.
    #[arg(long, value_name = "URL", value_parser = crate::push::callback_url)]
    callback_url: Vec<Url>,
    /// RabbitMQ's management page, without user and password. The doctor asks the page for the plugins, with user and
    /// password of the queue.
    #[arg(long, value_name = "URL", value_parser = crate::push::callback_url)]
    management_url: Option<Url>,
    /// Print one JSON object, for other programs.
    #[arg(long)]
    json: bool,
}

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The exit status is 1 when a check failed, else 0. Warnings are not failures.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let findings = examine(&arguments).await;
    let is_well = findings.iter().all(|finding| finding.status != Status::Failed);
    let mut out = io::stdout().lock();
    let told = match arguments.json {
        true => finding::write_json(&mut out, is_well, &findings),
        false => finding::write(&mut out, &findings),
    };
    match told.and_then(|()| out.flush()) {
        // The reader of the output has closed the pipe and wants no more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        told => told.context("the result cannot be written")?,
    }
    #[expect(clippy::disallowed_methods, reason = "returning from main would wait for a disk that hangs")]
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
    let (servers, folders, outside) =
        tokio::join!(servers(&config, management), folder::look(&config), outside(&config, &arguments.callback_url),);
    findings.extend(servers);
    findings.extend(folders);
    findings.extend(outside);
    findings
}

/// Checks WeChat's API and the callback URLs. The request to a callback URL carries WeChat's time.
async fn outside(config: &Config, callback_urls: &[Url]) -> Vec<Finding> {
    let api = wechat::reach(config).await;
    let lead_ms = api.as_ref().ok().and_then(|api| api.lead_ms);
    let (mut found, callbacks) =
        tokio::join!(wechat::look(config, api), callback::look(config, callback_urls, lead_ms));
    found.extend(callbacks);
    found
}

async fn servers(config: &Config, management: Option<&Url>) -> Vec<Finding> {
    let BackendUrls::Servers { queue, store } = &config.backend else { return Vec::new() };
    let partitions = config.queue.partitions;
    let (redis, rabbitmq, plugins) =
        tokio::join!(redis::ask(store), rabbitmq::ask(queue, partitions), rabbitmq::plugins(queue, management));
    let workers = redis.as_ref().ok().and_then(|found| found.workers);
    let mut found = redis.map_or_else(|finding| vec![finding], |found| redis::judge(&found));
    found.extend(rabbitmq.map_or_else(|finding| vec![finding], |found| rabbitmq::judge(&found, partitions, workers)));
    found.push(plugins);
    found
}

/// The result of a check, or a finding that says that no answer came in time.
async fn in_time<T>(check: &str, mend: &str, look: impl Future<Output = T>) -> Result<T, Finding> {
    let late = |_| Finding::failed(check, format!("no answer within {} s", PATIENCE.as_secs()), mend);
    timeout(PATIENCE, look).await.map_err(late)
}
