//! Puts changed rules in force while the program runs: on SIGHUP, and when the configuration file has changed.
//!
//! The program reads the file's content every 2 seconds. Notifications of the kernel would not be enough: editors replace
//! the file by another one, Docker mounts a single file, and Kubernetes switches a link of a folder above the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::config::{self, Config, ConfigErrors, Reloaded};

/// How often the program reads the file.
const EVERY: Duration = Duration::from_secs(2);

/// How long the file must stay unchanged before its rules are read: some editors write in place.
const SETTLED: Duration = Duration::from_millis(300);

/// How long after a SIGHUP the next one counts; earlier ones are the same SIGHUP.
const QUIET: Duration = Duration::from_millis(200);

const RELOADS: &str = "kefu_rules_reloads_total";
const REFUSED: &str = "kefu_rules_refused";
const RULES: &str = "kefu_rules";

/// Catches SIGHUP, which ends a process that does not catch it. Call this function before anything else.
///
/// # Errors
/// When the process cannot listen for signals.
pub fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Keeps the rules of `config` the same as in `file`, in the background of the current tokio runtime, until the runtime
/// ends. Everything else stays as it was at the start.
///
/// A refused file changes nothing. Its mistakes are logged, and `config.rules` is degraded until the file is free of
/// mistakes. The file is tried again, because a picture may arrive after the rule that names the picture.
pub fn start(file: &Path, config: &Arc<Config>, hangups: Signal) {
    metrics::describe_counter!(RELOADS, "How often a changed configuration was read, by what became of its rules");
    metrics::describe_gauge!(
        REFUSED,
        "1 while the configuration file has mistakes and the previous rules stay in force"
    );
    metrics::describe_gauge!(RULES, "How many rules are in force");
    metrics::gauge!(REFUSED).set(0);
    metrics::gauge!(RULES).set(config.rules.current().iter().len() as f64);
    tell(&config.notices);
    let reload = Reload {
        file: file.to_owned(),
        config: Arc::clone(config),
        known: Ok(config.digest),
        refused: None,
        changed: Vec::new(),
    };
    tokio::spawn(reload.keep(hangups));
}

/// Logs the values that kefu changes before use.
fn tell(notices: &[String]) {
    for notice in notices {
        tracing::warn!(notice, "a text of the configuration is not sent as it is written");
    }
}

struct Reload {
    file: PathBuf,
    /// The rules in force, and everything else as it was at the start.
    config: Arc<Config>,
    /// The content at the last look.
    known: Content,
    /// The mistakes in that content.
    refused: Option<Vec<String>>,
    /// The other sections that have changed since the start, as far as the log has named them.
    changed: Vec<String>,
}

/// The digest of a file's content, or why it has none.
type Content = Result<[u8; 32], String>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    Hangup,
    File,
    /// The file was refused, and the files that it names may have changed.
    Again,
}

impl Reload {
    async fn keep(mut self, mut hangups: Signal) {
        loop {
            let trigger = match timeout(EVERY, hangups.recv()).await {
                Ok(Some(())) => Some(Trigger::Hangup),
                Ok(None) => return,
                Err(_) => self.look().await,
            };
            if let Some(trigger) = trigger {
                self.load(trigger).await;
                sleep(QUIET).await;
            }
        }
    }

    /// Whether there is a reason to load the file.
    async fn look(&mut self) -> Option<Trigger> {
        let mut content = self.content().await;
        if self.known == content {
            return self.refused.is_some().then_some(Trigger::Again);
        }
        loop {
            sleep(SETTLED).await;
            let now = self.content().await;
            if now == content {
                self.known = content;
                return Some(Trigger::File);
            }
            content = now;
        }
    }

    async fn content(&self) -> Content {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || config::digest(&file)).await;
        // A panic is logged. The text is the same each time, or the content would never settle.
        read.unwrap_or_else(|_| Err("reading it panicked".to_owned()))
    }

    async fn load(&mut self, trigger: Trigger) {
        let (file, config) = (self.file.clone(), Arc::clone(&self.config));
        let reloaded = tokio::task::spawn_blocking(move || config.reload(&file)).await;
        match reloaded {
            Ok(Ok(reloaded)) => self.take(reloaded, trigger),
            Ok(Err(errors)) => self.refuse(&errors, trigger),
            // A panic is logged.
            Err(_) => {}
        }
    }

    fn take(&mut self, Reloaded { rules, digest, changed, notices }: Reloaded, trigger: Trigger) {
        let count = rules.iter().len();
        self.config.rules.replace(rules);
        self.refused = None;
        self.known = Ok(digest);
        metrics::counter!(RELOADS, "outcome" => "taken").increment(1);
        metrics::gauge!(REFUSED).set(0);
        metrics::gauge!(RULES).set(count as f64);
        tracing::info!(rules = count, cause = trigger.as_str(), "the rules of the configuration are in force");
        tell(&notices);
        if !changed.is_empty() && changed != self.changed {
            let sections = changed.join(", ");
            tracing::warn!(sections, "the configuration has changed in more than its rules: that needs a restart");
        }
        self.changed = changed;
    }

    fn refuse(&mut self, errors: &ConfigErrors, trigger: Trigger) {
        let problems = errors.problems();
        let is_known = self.refused.as_deref() == Some(problems);
        if is_known && trigger != Trigger::Hangup {
            return;
        }
        metrics::counter!(RELOADS, "outcome" => "refused").increment(1);
        metrics::gauge!(REFUSED).set(1);
        let (count, cause, file) = (problems.len(), trigger.as_str(), self.file.display());
        for (number, problem) in problems.iter().enumerate() {
            let problem = format!("{} of {count}: {problem}", number + 1);
            tracing::error!(problem, cause, %file, "the changed configuration is refused, the previous rules stay in force");
        }
        let plural = if count == 1 { "" } else { "s" };
        let first = problems.first().map(String::as_str).unwrap_or_default();
        self.config.rules.refuse(format!(
            "{file} has {count} problem{plural}, and the previous rules stay in force; the log has all of them, the first: {first}"
        ));
        self.refused = Some(problems.to_vec());
    }
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::File => "the file changed",
            Self::Again => "what it names changed",
        }
    }
}
