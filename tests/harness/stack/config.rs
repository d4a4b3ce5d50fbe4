//! A stack's configuration, written as a user would write it.

use std::path::PathBuf;

use crate::wechat::Account;

/// What keeps state and queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file, in one process.
    Embedded,
    /// Redis and RabbitMQ, ingress and worker apart.
    Production,
}

impl Backend {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Embedded, Self::Production];
}

/// How a stack is started.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// What it runs on.
    pub backend: Backend,
    /// The mini programs.
    pub accounts: Vec<Account>,
    /// WeChat's API: that of a simulator.
    pub api_base: String,
    /// The `[[rule]]` tables, as TOML.
    pub rules: String,
    /// Further settings by table, as TOML lines, for example `("worker", "prefetch = 1")`.
    pub settings: Vec<(&'static str, String)>,
    /// Files beside the configuration, for example pictures.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// What the programs have in their environment besides that of the test.
    pub environment: Vec<(String, String)>,
    /// Where ingress listens: by default on a port of the system's choice, another one after each start.
    pub listen: String,
}

impl StackOptions {
    /// Without rules or further settings.
    pub fn new(backend: Backend, accounts: Vec<Account>, api_base: impl Into<String>) -> Self {
        Self {
            backend,
            accounts,
            api_base: api_base.into(),
            rules: String::new(),
            settings: Vec::new(),
            files: Vec::new(),
            environment: Vec::new(),
            listen: LISTEN.to_owned(),
        }
    }

    /// With these lines in this table.
    pub fn with(mut self, table: &'static str, lines: impl Into<String>) -> Self {
        self.settings.push((table, lines.into()));
        self
    }

    /// `kefu.toml`. Other ports are 0: the programs say in their log which they got.
    pub fn config(&self, queue: &str, store: &str) -> String {
        let mut tables = vec![
            ("queue", assign("url", queue)),
            ("store", assign("url", store)),
            ("ingress", assign("listen", &self.listen) + &assign("internal_listen", LISTEN)),
            ("worker", assign("internal_listen", LISTEN)),
            ("wechat", assign("api_base", &self.api_base)),
            ("telemetry", assign("log_format", "json")),
        ];
        for (name, lines) in &self.settings {
            match tables.iter_mut().find(|(of, _)| of == name) {
                Some((_, table)) => *table += &format!("{lines}\n"),
                None => tables.push((name, format!("{lines}\n"))),
            }
        }
        let tables: String = tables.into_iter().map(|(name, lines)| format!("[{name}]\n{lines}\n")).collect();
        let accounts: String = self.accounts.iter().map(account).collect();
        tables + &accounts + &self.rules
    }
}

const LISTEN: &str = "127.0.0.1:0";

fn account(account: &Account) -> String {
    let lines = [
        assign("appid", &account.appid),
        assign("secret", &account.secret),
        assign("token", &account.token),
        assign("encoding_aes_key", &account.encoding_aes_key),
        assign("mode", account.mode.as_str()),
    ];
    format!("[[account]]\n{}\n", lines.concat())
}

fn assign(key: &str, value: &str) -> String {
    format!("{key} = {}\n", toml::Value::from(value))
}
