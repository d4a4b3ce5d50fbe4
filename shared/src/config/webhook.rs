//! `[webhook]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use kefu_messages::rules::{Action, Rules};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::value::milliseconds;
use super::{Problems, secret};
use crate::webhook::address;

/// `[webhook]`: what holds for all rules with a webhook.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Webhook {
    /// What calls are signed with; at least 16 characters.
    pub secret: Option<SecretString>,
    pub(crate) secret_file: Option<PathBuf>,
    /// How long one call may take, in milliseconds. Default 5,000.
    #[serde(rename = "timeout_ms", deserialize_with = "milliseconds")]
    pub timeout: Duration,
    /// How many calls of one webhook are under way at once. Default 64.
    pub concurrency: usize,
    /// Whether redirects with status 307 and 308 to the same scheme, host and port are followed. Default false.
    pub allow_redirects: bool,
    /// Whether link-local addresses and those of cloud metadata may be called. Default false.
    pub allow_link_local: bool,
}

/// Shorter secrets can be guessed.
const MIN_SECRET_CHARS: usize = 16;

impl Default for Webhook {
    fn default() -> Self {
        Self {
            secret: None,
            secret_file: None,
            timeout: Duration::from_secs(5),
            concurrency: 64,
            allow_redirects: false,
            allow_link_local: false,
        }
    }
}

impl Webhook {
    /// Puts the secret in its place and checks the values. Returns whether a secret is given, right or wrong.
    pub(super) fn resolve(&mut self, from: &Path, problems: &mut Problems) -> bool {
        let (value, file) = (self.secret.take(), self.secret_file.as_ref());
        let given = value.is_some() || file.is_some();
        self.secret = secret::resolve("[webhook]", "secret", value.as_ref(), file, from, problems);
        let too_short = |secret: &SecretString| secret.expose_secret().chars().count() < MIN_SECRET_CHARS;
        if self.secret.as_ref().is_some_and(too_short) {
            let name = if file.is_some() { "secret_file" } else { "secret" };
            let text = format!(
                "is too short to be secret: at least {MIN_SECRET_CHARS} characters, for example those of `openssl rand -hex 32`"
            );
            problems.add(format!("[webhook] {name}"), text);
        }
        problems.within("[webhook] timeout_ms", self.timeout.as_millis() as u64, 100, 60_000);
        problems.within("[webhook] concurrency", self.concurrency as u64, 1, 10_000);
        given
    }

    /// Notes what rules with a webhook need and do not find. `secret_given`: what [`Webhook::resolve`] said.
    pub(super) fn check_rules(&self, rules: &Rules, secret_given: bool, problems: &mut Problems) {
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
            if address::is_forbidden_literal(&endpoint.url) && !self.allow_link_local {
                problems.add(format!("{} webhook.url", rule.place()), address::FORBIDDEN);
            }
        }
    }
}
