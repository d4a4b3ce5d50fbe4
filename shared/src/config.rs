//! The configuration: one TOML file, environment overrides, secrets from files.
//!
//! * `KEFU__SECTION__KEY` overrides `key` of `[section]`: `KEFU__QUEUE__URL`, `KEFU__INGRESS__LISTEN`.
//! * `KEFU__ACCOUNT__APPID__KEY` overrides `key` of the account with that appid, or adds the account.
//! * Each secret `NAME` can come from a file named by `NAME_file`; relative paths start at the configuration's folder.
//!
//! [`load`] finds every problem before it gives up, so that one run tells all that has to be mended.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::rules::Rules;
use crate::telemetry;

pub mod account;
mod backend;
mod secret;
mod section;
mod source;

pub use account::{Account, Accounts, Mode};
pub use backend::BackendUrls;
pub use section::{Ambiguous, Ingress, LogFormat, Queue, Telemetry, TokenApi, WeChat, Worker};

/// Everything that the programs are told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where queue and state live.
    pub backend: BackendUrls,
    /// `[queue]`
    pub queue: Queue,
    /// `[ingress]`
    pub ingress: Ingress,
    /// `[worker]`
    pub worker: Worker,
    /// `[wechat]`
    pub wechat: WeChat,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[[account]]`
    pub accounts: Accounts,
    /// `[[rule]]`
    pub rules: Rules,
}

/// All that is wrong with a configuration, in the order of the file. Holds no secret.
#[derive(Debug)]
pub struct ConfigErrors {
    file: PathBuf,
    problems: Vec<String>,
}

impl ConfigErrors {
    /// One line a problem.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.problems.len() == 1 { "" } else { "s" };
        write!(f, "{} has {} problem{plural}:", self.file.display(), self.problems.len())?;
        for (number, problem) in self.problems.iter().enumerate() {
            write!(f, "\n  {}. {problem}", number + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    pub(crate) fn add(&mut self, place: impl fmt::Display, problem: impl fmt::Display) {
        self.0.push(format!("{place}: {problem}"));
    }

    /// The value, or `None` with the error noted.
    pub(crate) fn take<T, E: fmt::Display>(&mut self, place: impl fmt::Display, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(place, error)).ok()
    }
}

/// Reads the configuration of `file` with the overrides of the process environment.
pub fn load(file: &Path) -> Result<Config, ConfigErrors> {
    // Names and values that are not UTF-8 are none of ours.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    load_with(file, environment)
}

/// As [`load`], with `environment` in place of the process's.
pub fn load_with(file: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Config, ConfigErrors> {
    let mut problems = Problems::default();
    let fail = |problems: Problems| ConfigErrors { file: file.to_owned(), problems: problems.0 };
    let folder = file.parent().unwrap_or(Path::new("."));

    let source = source::Source::read(file, environment, &mut problems);
    let Some(mut source) = problems.take("the file", source) else {
        return Err(fail(problems));
    };
    let queue: Queue = source.section("queue", &mut problems);
    let store: section::Store = source.section("store", &mut problems);
    let ingress: Ingress = source.section("ingress", &mut problems);
    let worker: Worker = source.section("worker", &mut problems);
    let wechat: WeChat = source.section("wechat", &mut problems);
    let telemetry: Telemetry = source.section("telemetry", &mut problems);
    problems.take("[telemetry]", telemetry::filter(&telemetry));
    queue.check(&mut problems);
    ingress.check(&mut problems);
    worker.check(&mut problems);
    wechat.check(&mut problems);
    let backend = BackendUrls::resolve(&queue, &store, folder, &mut problems);
    let accounts = Accounts::resolve(source.accounts(&mut problems), folder, &mut problems);
    let rules = Rules::resolve(source.list("rule", &mut problems), folder, wechat.max_image_bytes, &mut problems);
    source.report_unknown(&mut problems);

    match backend {
        Some(backend) if problems.0.is_empty() => {
            Ok(Config { backend, queue, ingress, worker, wechat, telemetry, accounts, rules })
        }
        _ => Err(fail(problems)),
    }
}
