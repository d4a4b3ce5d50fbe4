//! `[webhook]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use kefu_messages::rules::{Action, Rules};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::value::milliseconds;
use super::{Problems, secret};
use kefu_webhook::{Settings, address};

/// `[webhook]` as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct WebhookSection {
    secret: Option<SecretString>,
    secret_file: Option<PathBuf>,
    #[serde(rename = "timeout_ms", deserialize_with = "milliseconds")]
    timeout: Duration,
    concurrency: usize,
    allow_redirects: bool,
    allow_link_local: bool,
}

/// Shorter secrets can be guessed.
const MIN_SECRET_CHARS: usize = 16;

impl Default for WebhookSection {
    fn default() -> Self {
        let Settings { secret, timeout, concurrency, allow_redirects, allow_link_local } = Settings::default();
        Self { secret, secret_file: None, timeout, concurrency, allow_redirects, allow_link_local }
    }
}

impl WebhookSection {
    /// Whether the section has a secret, right or wrong.
    pub(super) fn has_secret(&self) -> bool {
        self.secret.is_some() || self.secret_file.is_some()
    }

    /// The section as settings, with all its mistakes noted. `from`: the folder in which relative paths start.
    pub(super) fn resolve(self, from: &Path, problems: &mut Problems) -> Settings {
        let Self { secret, secret_file, timeout, concurrency, allow_redirects, allow_link_local } = self;
        let secret = secret::resolve("[webhook]", "secret", secret.as_ref(), secret_file.as_ref(), from, problems);
        let too_short = |secret: &SecretString| secret.expose_secret().chars().count() < MIN_SECRET_CHARS;
        if secret.as_ref().is_some_and(too_short) {
            let name = if secret_file.is_some() { "secret_file" } else { "secret" };
            let text = format!(
                "is too short to be secret: at least {MIN_SECRET_CHARS} characters, for example those of `openssl rand -hex 32`"
            );
            problems.add(format!("[webhook] {name}"), text);
        }
        problems.within("[webhook] timeout_ms", timeout.as_millis() as u64, 100, 60_000);
        problems.within("[webhook] concurrency", concurrency as u64, 1, 10_000);
        Settings { secret, timeout, concurrency, allow_redirects, allow_link_local }
    }
}

/// Notes the settings that rules with a webhook need and that are missing. `secret_given`: whether the section has a
/// secret, right or wrong.
pub(super) fn check_rules(settings: &Settings, rules: &Rules, secret_given: bool, problems: &mut Problems) {
    let mut secret_missing = !secret_given;
    for rule in rules.iter() {
        let Action::Webhook(endpoint) = rule.action() else { continue };
        if std::mem::take(&mut secret_missing) {
            let text = format!(
                "secret (or secret_file) is missing: {} has a webhook, whose calls are signed with it",
                rule.place()
            );
            problems.missing("[webhook]", "secret", text);
        }
        if address::is_forbidden_literal(&endpoint.url) && !settings.allow_link_local {
            problems.add(format!("{} webhook.url", rule.place()), address::FORBIDDEN);
        }
    }
}
