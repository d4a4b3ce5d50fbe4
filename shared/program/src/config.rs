//! The configuration: one TOML file, environment overrides, secrets from files.
//!
//! * `KEFU__SECTION__KEY` overrides `key` of `[section]`: `KEFU__QUEUE__URL`, `KEFU__INGRESS__LISTEN`.
//! * `KEFU__ACCOUNT__APPID__KEY` overrides `key` of the account with that appid, or adds the account.
//! * Each secret `NAME` can come from a file named by `NAME_file`; relative paths start at the configuration's folder.
//!
//! [`load`] finds every problem before it gives up, so that one run names every mistake.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use kefu_messages::keys::keys;
use kefu_messages::problems::Problems;
use kefu_messages::rules::{LiveRules, Rules};
use kefu_messages::window;

pub mod account;
mod api;
mod assistant;
mod backend;
mod environment;
mod errors;
mod file;
mod ingress;
mod secret;
mod sections;
mod sections_at_start;
mod source;
mod typed;
mod value;
mod webhook;

pub use account::{Account, Accounts, Mode};
use account::{AccountSection, PreviousSection};
pub use api::Api;
use api::ApiSection;
pub use assistant::Assistant;
use assistant::AssistantSection;
use backend::Store;
pub use backend::{BackendUrls, Queue};
use environment::Overrides;
pub use errors::ConfigErrors;
pub use ingress::Ingress;
pub use sections::{Ambiguous, LogFormat, ReceivedPictures, Telemetry, TokenApi, TypingApi, WeChat, Worker};
pub(crate) use sections_at_start::Reloaded;
use sections_at_start::RuleTables;
pub use sections_at_start::SectionsAtStart;
use source::Source;
pub(crate) use source::digest;
use webhook::WebhookSection;

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
    /// Everything but the rules, for reading the rules again.
    pub at_start: SectionsAtStart,
    /// Values that are accepted but sent with changes, in words: a rule's text without its control characters.
    pub notices: Vec<String>,
    /// `[[rule]]` as it is written.
    rule_tables: RuleTables,
}

impl Config {
    /// How many unsettled messages of one partition a worker holds at most: `[queue] prefetch`, if it is set. Otherwise,
    /// over all partitions, four times `[worker] concurrency`, rounded up, and at least 2 for each partition.
    pub fn prefetch(&self) -> u16 {
        self.queue.prefetch(self.worker.concurrency)
    }
}

/// The possible keys of the sections, by the section's head, for the test of kefu.example.toml.
#[doc(hidden)]
pub fn keys_of_sections() -> [(&'static str, &'static [&'static str]); 13] {
    [
        ("[queue]", keys::<Queue>()),
        ("[store]", keys::<Store>()),
        ("[ingress]", keys::<Ingress>()),
        ("[worker]", keys::<Worker>()),
        ("[wechat]", keys::<WeChat>()),
        ("[window]", keys::<window::Limits>()),
        ("[api]", keys::<ApiSection>()),
        ("[webhook]", keys::<WebhookSection>()),
        ("[received_pictures]", keys::<ReceivedPictures>()),
        ("[assistant]", keys::<AssistantSection>()),
        ("[telemetry]", keys::<Telemetry>()),
        ("[[account]]", keys::<AccountSection>()),
        ("[[account.previous]]", keys::<PreviousSection>()),
    ]
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
    let source = Source::read(file, overrides, &mut problems);
    match problems.take("the file", source) {
        Some(source) => resolve(source, file, problems),
        None => Err(ConfigErrors::of(file, problems)),
    }
}

fn resolve(mut source: Source, file: &Path, mut problems: Problems) -> Result<Config, ConfigErrors> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let (digest, at_start, rule_tables) = (source.digest, source.at_start(folder), source.rule_tables());
    let queue: Queue = source.section("queue", &mut problems);
    let store: Store = source.section("store", &mut problems);
    let mut ingress: Ingress = source.section("ingress", &mut problems);
    let worker: Worker = source.section("worker", &mut problems);
    let wechat: WeChat = source.section("wechat", &mut problems);
    let window: window::Limits = source.section("window", &mut problems);
    let api: ApiSection = source.section("api", &mut problems);
    let webhook: WebhookSection = source.section("webhook", &mut problems);
    let mut received_pictures: ReceivedPictures = source.section("received_pictures", &mut problems);
    let assistant: Option<AssistantSection> = source.optional("assistant", &mut problems);
    let telemetry: Telemetry = source.section("telemetry", &mut problems);
    problems.take("[telemetry] log_filter", crate::telemetry::filter(&telemetry));
    queue.check(&mut problems);
    ingress.check(&mut problems);
    worker.check(&mut problems);
    wechat.check(&mut problems);
    window.check(&mut problems);
    let webhook_secret_given = webhook.has_secret();
    let webhook = webhook.resolve(folder, &mut problems);
    received_pictures.resolve(folder, &mut problems);
    let assistant = assistant.map(|section| section.resolve(folder, &mut problems));
    let backend = BackendUrls::resolve(&queue, &store, folder, &mut problems);
    let api = api.resolve(folder, &mut problems);
    ingress.resolve_spool(backend.as_ref(), folder, &mut problems);
    let before = problems.count();
    let accounts = Accounts::resolve(source.accounts(&mut problems), folder, &mut problems);
    // An account with a mistake is left out, and need not be reported with every rule.
    let any = problems.count() > before || source.any_account;
    let is_known = |appid: &str| any || accounts.get(appid).is_some();
    let (sections, max_image_bytes) = (source.list("rule", &mut problems), wechat.max_image_bytes);
    let briefing = assistant.as_ref().map(|assistant| &assistant.briefing);
    let rules = Rules::resolve(sections, folder, max_image_bytes, &window, briefing, is_known, &mut problems);
    webhook::check_rules(&webhook, &rules, webhook_secret_given, &mut problems);
    source.report_unknown(&mut problems);

    match backend {
        Some(backend) if problems.count() == 0 => {
            let (rules, folder) = (rules.into(), folder.to_owned());
            Ok(Config {
                backend,
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
                rules,
                folder,
                digest,
                at_start,
                notices: problems.into_lines().1,
                rule_tables,
            })
        }
        _ => Err(ConfigErrors::of(file, problems)),
    }
}
