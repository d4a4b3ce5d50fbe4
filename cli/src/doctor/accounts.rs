//! The checks that need nothing but the configuration.

use std::collections::BTreeSet;
use std::path::Path;

use kefu_messages::rules::Action;
use kefu_program::config::{Account, Config};
use secrecy::ExposeSecret;

use super::Finding;
use crate::terminal::count;

/// Loading the configuration has already found everything that is certainly wrong, including the lengths of keys and
/// the pictures.
pub(super) fn look(file: &Path, config: &Config) -> Vec<Finding> {
    let rules = config.rules.current();
    let accounts = count(config.accounts.iter().count(), "account", "accounts");
    let rule_count = count(rules.iter().len(), "rule", "rules");
    let mut findings = vec![Finding::ok("configuration", format!("{}: {accounts}, {rule_count}", file.display()))];
    if rules.iter().len() == 0 {
        let mend = "add a [[rule]]: docs/rules.md says how";
        findings.push(Finding::warning("rules", "the configuration has no rules: kefu sends no replies", mend));
    }
    let mut pictures = BTreeSet::new();
    for rule in rules.iter() {
        let Action::Reply(replies) = rule.action() else { continue };
        pictures.extend(replies.iter().filter_map(|reply| reply.picture()).map(|(_, file)| file));
    }
    if !pictures.is_empty() {
        let named = count(pictures.len(), "picture", "pictures");
        findings.push(Finding::ok(
            "pictures",
            format!("{named} of rules: readable, and of a kind and size that WeChat accepts"),
        ));
    }
    findings.extend(config.accounts.iter().map(account));
    findings
}

/// Shows only the lengths of secret values.
fn account(account: &Account) -> Finding {
    let check = format!("account {}", account.appid);
    let appid_is_usual = account.appid.strip_prefix("wx").is_some_and(|rest| rest.len() == 16 && is_hex(rest));
    let secret = account.secret.expose_secret();
    let token = account.tokens.first().map(|token| token.expose_secret()).unwrap_or_default();
    let mut odd = Vec::new();
    if !appid_is_usual {
        odd.push("the appid is not wx and 16 hex digits".to_owned());
    }
    if secret.len() != 32 || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        odd.push(format!("the secret has {}, an AppSecret has 32 letters and digits", characters(secret)));
    }
    if !(3..=32).contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        odd.push(format!("the token has {}, a Token has 3 to 32 letters and digits", characters(token)));
    }
    let mode = format!("{:?}", account.mode).to_lowercase();
    if odd.is_empty() {
        let keys = if account.keys.is_empty() { "no EncodingAESKey" } else { "an EncodingAESKey of 43 characters" };
        let previous = account.tokens.len().max(account.keys.len()).saturating_sub(1);
        let previous = if previous == 0 { String::new() } else { format!(", {previous} previous") };
        Finding::ok(check, format!("mode {mode}, a Token of {} characters, {keys}{previous}", token.len()))
    } else {
        Finding::warning(
            check,
            odd.join("; "),
            "compare the value with WeChat's console: a part may be missing since the value was copied",
        )
    }
}

fn characters(secret: &str) -> String {
    count(secret.chars().count(), "character", "characters")
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
