//! The configuration: one TOML file, environment overrides, secrets from files.
//!
//! * `KEFU__SECTION__KEY` overrides `key` of `[section]`: `KEFU__QUEUE__URL`, `KEFU__INGRESS__LISTEN`.
//! * `KEFU__ACCOUNT__APPID__KEY` overrides `key` of the account with that appid, or adds the account.
//! * Each secret `NAME` can come from a file named by `NAME_file`; relative paths start at the configuration's folder.
//!
//! [`load`] finds every problem before it gives up, so that one run names every mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kefu_messages::problems::Problems;
use kefu_messages::rules::{Context, LiveRules, RuleSection, Rules};
use kefu_messages::window;

pub mod account;
mod assistant;
mod backend;
mod changes;
mod environment;
mod errors;
mod secret;
mod sections;
mod source;
mod table;

pub use account::{Account, Accounts, Mode};
pub use assistant::Assistant;
use backend::MOST_PREFETCH;
pub use backend::{BackendUrls, Queue};
pub(crate) use changes::Reloaded;
use environment::Overrides;
pub use errors::ConfigErrors;
pub use sections::{
    Ambiguous, Api, Ingress, LogFormat, ReceivedPictures, Telemetry, TokenApi, TypingApi, WeChat, Worker,
};
use source::Source;
pub(crate) use source::digest;
use table::{Seen, Table};

/// The whole configuration of the programs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The backend of queue and state.
    pub backend: BackendUrls,
    /// `[queue]`
    pub queue: Queue,
    /// `[ingress]`
    pub ingress: Ingress,
    /// `[worker]`
    pub worker: Worker,
    /// `[wechat]`
    pub wechat: WeChat,
    /// `[window]`
    pub window: window::Limits,
    /// `[api]`; `None` without a key.
    pub api: Option<Api>,
    /// `[webhook]`
    pub webhook: kefu_webhook::Settings,
    /// `[received_pictures]`
    pub received_pictures: ReceivedPictures,
    /// `[assistant]`, if the section exists.
    pub assistant: Option<Assistant>,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[[account]]`
    pub accounts: Accounts,
    /// `[[rule]]`
    pub rules: LiveRules,
    /// The folder of the file, where relative paths start.
    pub folder: PathBuf,
    /// The SHA-256 of the file.
    pub digest: [u8; 32],
    /// Values that are accepted but sent with changes, in words: a rule's text without its control characters.
    pub notices: Vec<String>,
    /// `[[rule]]` as it is written.
    rule_sections: Arc<[(String, RuleSection)]>,
    /// The sections as kefu read them, by the section's head.
    sections: BTreeMap<String, Seen>,
}

/// The default number of messages that a worker holds of the whole queue, as a multiple of the messages that it works on at
/// once: enough that the worker never waits for the broker, and small enough that a worker that joins has its partitions
/// within a moment.
const HELD_PER_CONCURRENCY: usize = 4;

impl Config {
    /// How many unsettled messages of one partition a worker holds at most: `[queue] prefetch`, if it is set. Otherwise,
    /// over all partitions, four times `[worker] concurrency`, rounded up, and at least 2 for each partition.
    pub fn prefetch(&self) -> u16 {
        let Self { queue: Queue { partitions, prefetch }, worker, .. } = self;
        let followed = worker.concurrency.saturating_mul(HELD_PER_CONCURRENCY).div_ceil(usize::from(*partitions));
        prefetch.unwrap_or_else(|| u16::try_from(followed).unwrap_or(MOST_PREFETCH).clamp(2, MOST_PREFETCH))
    }

    /// The keys that the sections can have, by the section's head, for the tests of the documentation.
    #[doc(hidden)]
    pub fn keys(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.sections.iter().map(|(head, seen)| (head.as_str(), &seen.keys))
    }
}

/// The appid and the secrets that are refused because kefu.example.toml shows them, for the test of that file.
#[doc(hidden)]
pub fn refused_as_shown() -> impl Iterator<Item = &'static str> {
    secret::SHOWN_SECRETS.into_iter().chain([secret::SHOWN_APPID])
}

/// Reads the configuration of `file` with the overrides of the process environment.
#[expect(clippy::disallowed_methods, reason = "this is the configuration")]
pub fn load(file: &Path) -> Result<Config, ConfigErrors> {
    load_with(file, std::env::vars_os())
}

/// As [`load`], with `environment` in place of the process's.
pub fn load_with(
    file: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigErrors> {
    let mut problems = Problems::default();
    let overrides = Overrides::read(environment, &mut problems);
    let config = match Source::read(file, overrides, &mut problems) {
        Ok(source) => resolve(source),
        Err(problem) => {
            problems.add("the file", problem);
            None
        }
    };
    match config {
        Some(config) if problems.count() == 0 => Ok(Config { notices: problems.into_lines().1, ..config }),
        _ => Err(ConfigErrors::of(file, problems)),
    }
}

/// `None` after a mistake without which there is no backend. After another mistake, a default is in the value's place.
fn resolve(mut source: Source<'_>) -> Option<Config> {
    let folder = source.folder;
    let (queue, queue_url) = source.section("queue", Queue::read);
    let store_url = source.section("store", backend::store);
    let backend =
        queue_url.zip(store_url).and_then(|(queue, store)| BackendUrls::of(queue, store, folder, source.problems));
    let embedded = matches!(backend, Some(BackendUrls::Embedded(_)));
    let ingress = source.section("ingress", |table| Ingress::read(table, embedded));
    let worker = source.section("worker", Worker::read);
    let wechat = source.section("wechat", WeChat::read);
    let window = source.section("window", sections::window);
    let api = source.section("api", Api::read);
    let webhook = source.section("webhook", sections::webhook);
    let received_pictures = source.section("received_pictures", ReceivedPictures::read);
    let assistant = source.has("assistant").then(|| source.section("assistant", Assistant::read));
    let telemetry = source.section("telemetry", Telemetry::read);
    let before = source.problems.count();
    let accounts = Accounts::read(&mut source);
    // An account with a mistake is left out, and need not be reported with every rule.
    let any = source.problems.count() > before;
    let rule_sections: Arc<[_]> = source.list("rule", rule).into();
    let context = Context {
        folder,
        max_image_bytes: wechat.max_image_bytes,
        window: &window,
        assistant: assistant.as_ref().map(|assistant| &assistant.briefing),
        is_account: &|appid| any || accounts.get(appid).is_some(),
    };
    let rules = Rules::resolve(&rule_sections, &context, source.problems);
    sections::check_webhooks(&webhook, &rules, source.problems);
    source.report_unknown();
    Some(Config {
        backend: backend?,
        queue,
        ingress,
        worker,
        wechat,
        api,
        window,
        webhook,
        received_pictures,
        assistant,
        telemetry,
        accounts,
        rules: rules.into(),
        folder: folder.to_owned(),
        digest: source.digest,
        notices: Vec::new(),
        rule_sections,
        sections: source.seen,
    })
}

/// `[[rule]]`
fn rule(table: &mut Table<'_>) -> RuleSection {
    RuleSection {
        when: table.get("when"),
        reply: table.get("reply").unwrap_or_default(),
        transfer: table.get("transfer").unwrap_or_default(),
        webhook: table.get("webhook"),
        assistant: table.get("assistant"),
        ignore: table.get("ignore").unwrap_or_default(),
    }
}
