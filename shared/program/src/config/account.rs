//! Accounts: the mini programs that kefu serves.

use kefu_wechat::cipher::EncodingAesKey;
use secrecy::{ExposeSecret, SecretString};

use super::secret;
use super::source::Source;
use super::table::Table;

/// One mini program.
#[derive(Debug, Clone)]
pub struct Account {
    /// `wx…`
    pub appid: String,
    /// The AppSecret, for access_tokens.
    pub secret: SecretString,
    /// The Tokens that signatures may use: the present one first, then the previous ones.
    pub tokens: Vec<SecretString>,
    /// The keys that may encrypt pushes: the present one first, then the previous ones. Empty only in plain mode.
    pub keys: Vec<EncodingAesKey>,
    /// The mode in WeChat's console. The request never chooses the mode.
    pub mode: Mode,
}

/// The form in which pushes arrive.
///
/// Source: <https://developers.weixin.qq.com/doc/oplatform/developers/dev/push/encryption>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 明文: the body is plain; `signature` does not cover it.
    Plain,
    /// 兼容: the body has the plain fields and `Encrypt`; kefu believes only `Encrypt`.
    Compat,
    /// 安全: the body has `Encrypt` only.
    Safe,
}

/// All accounts, by appid.
#[derive(Debug, Clone, Default)]
pub struct Accounts(Vec<Account>);

impl Accounts {
    /// The account with this appid.
    pub fn get(&self, appid: &str) -> Option<&Account> {
        self.0.iter().find(|account| account.appid == appid)
    }

    /// All accounts, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.0.iter()
    }

    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let mut appids: Vec<String> = Vec::new();
        let accounts = source.accounts(|table| {
            let appid: String = table.get("appid").unwrap_or_default();
            check_appid(&appid, &appids, table);
            appids.push(appid.clone());
            Account::read(appid, table)
        });
        if accounts.is_empty() {
            let problem = "there is no [[account]]: add one with the mini program's appid, secret, token and mode";
            source.problems.missing("the file", "account", problem);
        }
        Self(accounts.into_iter().flatten().collect())
    }
}

fn check_appid(appid: &str, others: &[String], table: &mut Table<'_>) {
    if appid.is_empty() {
        table.missing("appid", "appid is missing");
    } else if others.iter().any(|other| other == appid) {
        table.problem("another account has the same appid");
    } else if let Some(other) = others.iter().find(|other| other.eq_ignore_ascii_case(appid)) {
        table.problem(format!(
            "another account has the appid {other}, which differs only in capital letters: variables of the environment \
             cannot tell the two apart"
        ));
    }
    if !appid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        table.wrong("appid", "must have letters and digits only, as in WeChat's console");
    } else if appid.eq_ignore_ascii_case(secret::SHOWN_APPID) {
        table.wrong("appid", secret::IS_SHOWN);
    }
}

impl Account {
    /// `None` without a secret or a mode, which is a mistake.
    fn read(appid: String, table: &mut Table<'_>) -> Option<Self> {
        let secret = table.secret("secret");
        let mode = table.choice("mode", &[("plain", Mode::Plain), ("compat", Mode::Compat), ("safe", Mode::Safe)]);
        let (token, key) = token_and_key(table);
        table.needs("secret", &secret, "secret (or secret_file) is missing");
        table.needs("token", &token, "token (or token_file) is missing");
        table.needs("mode", &mode, "mode is missing: \"plain\", \"compat\" or \"safe\", as in WeChat's console");
        if mode.is_some_and(|mode| mode != Mode::Plain) {
            let problem =
                "encoding_aes_key (or encoding_aes_key_file) is missing: mode \"compat\" and mode \"safe\" need it";
            table.needs("encoding_aes_key", &key, problem);
        }
        // The console's previous values, while both are in use.
        let (previous_tokens, previous_keys): (Vec<_>, Vec<_>) =
            table.list("previous", token_and_key).into_iter().unzip();
        let tokens = std::iter::once(token).chain(previous_tokens).flatten().collect();
        let keys = std::iter::once(key).chain(previous_keys).flatten().collect();
        Some(Self { appid, secret: secret?, tokens, keys, mode: mode? })
    }
}

fn token_and_key(table: &mut Table<'_>) -> (Option<SecretString>, Option<EncodingAesKey>) {
    let key = |text: &SecretString| EncodingAesKey::parse(text.expose_secret());
    (table.secret("token"), table.secret_as("encoding_aes_key", key))
}
