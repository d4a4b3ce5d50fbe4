//! Accounts: the mini programs that kefu serves.

use std::path::{Path, PathBuf};

use kefu_wechat::cipher::EncodingAesKey;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::value::choice;
use super::{Problems, secret};

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

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        choice(deserializer, &[("plain", Self::Plain), ("compat", Self::Compat), ("safe", Self::Safe)])
    }
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

    pub(super) fn resolve(sections: Vec<(String, AccountSection)>, folder: &Path, problems: &mut Problems) -> Self {
        let mut accounts: Vec<Account> = Vec::new();
        if sections.is_empty() {
            let problem = "there is no [[account]]: add one with the mini program's appid, secret, token and mode";
            problems.missing("the file", "account", problem);
        }
        let mut seen: Vec<String> = Vec::new();
        for (place, section) in sections {
            let appid = section.appid.clone();
            if seen.contains(&appid) {
                problems.add(&place, "another account has the same appid");
            } else if let Some(other) = seen.iter().find(|other| other.eq_ignore_ascii_case(&appid)) {
                let problem = "differs only in capital letters, which variables of the environment do not tell apart";
                problems.add(&place, format!("the appid of another account, {other}, {problem}"));
            }
            seen.extend(Some(appid).filter(|appid| !appid.is_empty()));
            accounts.extend(section.resolve(&place, folder, problems));
        }
        Self(accounts)
    }
}

/// `[[account]]` as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct AccountSection {
    appid: String,
    secret: Option<SecretString>,
    secret_file: Option<PathBuf>,
    mode: Option<Mode>,
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    encoding_aes_key: Option<SecretString>,
    encoding_aes_key_file: Option<PathBuf>,
    previous: Vec<PreviousSection>,
}

/// `[[account.previous]]`: the console's previous values, while both are in use.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PreviousSection {
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    encoding_aes_key: Option<SecretString>,
    encoding_aes_key_file: Option<PathBuf>,
}

impl AccountSection {
    fn resolve(self, place: &str, folder: &Path, problems: &mut Problems) -> Option<Account> {
        let before = problems.count();
        let appid = self.appid;
        if appid.is_empty() {
            problems.missing(place, "appid", "appid is missing");
        } else if !appid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            problems.add(format!("{place} appid"), "has something else than letters and digits");
        } else if appid.eq_ignore_ascii_case(secret::SHOWN_APPID) {
            problems.add(format!("{place} appid"), secret::IS_SHOWN);
        }
        let secret =
            secret::resolve(place, "secret", self.secret.as_ref(), self.secret_file.as_ref(), folder, problems);
        let token_given = self.token.is_some() || self.token_file.is_some();
        let key_given = self.encoding_aes_key.is_some() || self.encoding_aes_key_file.is_some();
        let secret_given = self.secret.is_some() || self.secret_file.is_some();
        let present = PreviousSection {
            token: self.token,
            token_file: self.token_file,
            encoding_aes_key: self.encoding_aes_key,
            encoding_aes_key_file: self.encoding_aes_key_file,
        };
        let (mut tokens, mut keys) = (Vec::new(), Vec::new());
        for (index, pair) in std::iter::once(&present).chain(&self.previous).enumerate() {
            let place = if index == 0 { place.to_owned() } else { format!("{place} previous {index}") };
            tokens.extend(secret::resolve(
                &place,
                "token",
                pair.token.as_ref(),
                pair.token_file.as_ref(),
                folder,
                problems,
            ));
            let text = secret::resolve(
                &place,
                "encoding_aes_key",
                pair.encoding_aes_key.as_ref(),
                pair.encoding_aes_key_file.as_ref(),
                folder,
                problems,
            );
            let key = text.map(|text| EncodingAesKey::parse(text.expose_secret()));
            keys.extend(key.and_then(|key| problems.take(format!("{place} encoding_aes_key"), key)));
        }
        if !secret_given {
            problems.missing(place, "secret", "secret (or secret_file) is missing");
        }
        if !token_given {
            problems.missing(place, "token", "token (or token_file) is missing");
        }
        if self.mode.is_none() {
            problems.missing(place, "mode", "mode is missing: plain, compat or safe, as in WeChat's console");
        }
        if !key_given && self.mode.is_some_and(|mode| mode != Mode::Plain) {
            let problem = "encoding_aes_key (or encoding_aes_key_file) is missing: compat and safe mode need it";
            problems.missing(place, "encoding_aes_key", problem);
        }
        match (secret, self.mode) {
            (Some(secret), Some(mode)) if problems.count() == before => {
                Some(Account { appid, secret, tokens, keys, mode })
            }
            _ => None,
        }
    }
}
