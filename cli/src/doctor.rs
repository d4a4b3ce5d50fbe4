//! `kefu doctor` checks whether everything that kefu needs is available and configured correctly. The doctor writes
//! nothing, locks nothing, and gives a secret only to a service that gets the secret from kefu anyway.
//! docs/operations.md lists the doctor's requests.

use std::process::ExitCode;
use std::time::Duration;

use kefu_program::ConfigFile;
use kefu_program::config::{self, Config};
use reqwest::Url;
use tokio::time::timeout;

mod accounts;
mod callback;
mod clock;
mod finding;
mod folder;
mod servers;
mod wechat;

use crate::terminal;
use finding::{Finding, Status};

/// The arguments of `kefu doctor`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Check this callback URL as WeChat's console does. May be given more than once.
    #[arg(long, value_name = "URL", value_parser = crate::push::callback_url)]
    callback_url: Vec<Url>,
    /// RabbitMQ's management page, without user and password. The doctor gives the page those of `[queue] url` and asks
    /// for the plugins.
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
    let nothing_failed = findings.iter().all(|finding| finding.status != Status::Failed);
    terminal::print(|out| match arguments.json {
        true => finding::write_json(out, nothing_failed, &findings),
        false => finding::write(out, &findings),
    })?;
    #[expect(clippy::disallowed_methods, reason = "returning from main would wait for a disk that hangs")]
    std::process::exit(i32::from(!nothing_failed))
}

async fn examine(arguments: &Arguments) -> Vec<Finding> {
    let file = arguments.config.path.clone();
    let loaded = match timeout(PATIENCE, tokio::task::spawn_blocking(move || config::load(&file))).await {
        Ok(Ok(loaded)) => loaded,
        _ => return vec![Finding::failed("configuration", "the file cannot be read within 5 s", "check the disk")],
    };
    let config = match loaded {
        Ok(config) => config,
        Err(errors) => {
            let file = arguments.config.path.display();
            let mend = "correct all mistakes first: the other checks need a readable configuration";
            let failed = |problem: &String| Finding::failed("configuration", format!("{file}: {problem}"), mend);
            return errors.problems().iter().map(failed).collect();
        }
    };
    let mut findings = accounts::look(&arguments.config.path, &config);
    let management = arguments.management_url.as_ref();
    let (servers, folders, outside) = tokio::join!(
        servers::look(&config, management),
        folder::look(&config),
        outside(&config, &arguments.callback_url)
    );
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
