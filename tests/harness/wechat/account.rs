//! One mini program, as its administrator set it up at WeChat.

use rand::Rng;
use rand::distr::Alphanumeric;

/// How WeChat sends pushes: the account's setting, never the request's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 明文: nothing is encrypted.
    Plain,
    /// 兼容: everything twice, plain and encrypted.
    Compat,
    /// 安全: encrypted only.
    Safe,
}

impl Mode {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Compat, Self::Safe];

    /// Its name in kefu's configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Compat => "compat",
            Self::Safe => "safe",
        }
    }
}

/// A mini program's credentials and settings.
#[derive(Debug, Clone)]
pub struct Account {
    /// `wx` and 16 hex digits.
    pub appid: String,
    /// For the API.
    pub secret: String,
    /// For signatures.
    pub token: String,
    /// For encryption: 43 characters.
    pub encoding_aes_key: String,
    /// How WeChat pushes.
    pub mode: Mode,
}

impl Account {
    /// One that nobody else has, with a key whose surplus bits are as random as those of real keys.
    pub fn random(mode: Mode) -> Self {
        Self {
            appid: format!("wx{:016x}", rand::random::<u64>()),
            secret: random_text(32),
            token: random_text(24),
            encoding_aes_key: random_text(43),
            mode,
        }
    }
}

/// Letters and digits.
pub(super) fn random_text(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}
